# Vestibule in a container: one binary, no shell needed, nobody's rights, a file system that is only read.
# What it writes is below /var/lib/vestibule (the SQLite file; with PostgreSQL nothing).
#
#   docker build -t vestibule .

FROM rust:1.90-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc g++ libc6-dev make cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY benches benches
COPY migrations migrations
COPY policies policies
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin vestibule && cp target/dist/vestibule /vestibule
# An empty folder to copy, so that a volume that is mounted there belongs to whom it should.
RUN mkdir /data

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /data /var/lib/vestibule
COPY --from=build /vestibule /usr/local/bin/vestibule
USER 65532:65532
WORKDIR /var/lib/vestibule
VOLUME /var/lib/vestibule
# The database is vestibule.db in the folder above unless VESTIBULE_STORE, or VESTIBULE_STORE_FILE, says otherwise. Set here
# as well, the second would be another name for what is set already, which is refused.
ENV VESTIBULE_LISTEN=0.0.0.0:8080
EXPOSE 8080
# It lets requests in progress finish for server.drain_timeout, 20 seconds.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s --retries=3 CMD ["/usr/local/bin/vestibule", "health"]
ENTRYPOINT ["/usr/local/bin/vestibule"]
CMD ["serve"]
