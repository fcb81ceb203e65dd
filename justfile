# Shorter names for what the README and CONTRIBUTING.md say; nothing is only here.

# everything that must hold before a change lands
test *NAME:
    ./scripts/test {{NAME}}

# SQLite alone, without lints
quick *NAME:
    ./scripts/test --quick {{NAME}}

# development mode
run *ARGS:
    cargo run --release -- {{ARGS}}

# the same, built quickly, and anew whenever a source file changes
dev *ARGS:
    ./scripts/dev {{ARGS}}

# form and lints before each commit
hooks:
    git config core.hooksPath .githooks

# the figures, each beside its limit
figures:
    cargo bench --bench figures

# the same with a million steps of the model test
nightly:
    ./scripts/test --nightly
