//! The limits: bare hashing, a bare route, bare fsyncs. Nothing here knows the house.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use axum::routing::get;
use axum::{Json, Router};

use crate::server::{Res, path};

/// Starts the bare route instead of the benches; not for people.
pub const WORD: &str = "bare-route";

/// The cost that the server hashes with by default: 19 MiB, two passes, one lane (OWASP's choice for Argon2id).
pub const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;

/// Serves one JSON route, and nothing else, at the path of the figure that it is compared with.
pub async fn serve(address: &str) -> Res<()> {
    let signed_out = || async { Json(serde_json::json!({"authenticated": true})) };
    let router = Router::new().route(path::AUTHENTICATED, get(signed_out));
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))),
        router,
    )
    .await?)
}

/// Hashes the password with a salt made from a number.
type Hasher = Box<dyn FnMut(u64) -> Res<[u8; 32]> + Send>;

/// A hasher of passwords.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// `argon2-rust` with a pooled `Hasher`.
    Pooled,
    /// RustCrypto's `argon2` with memory that is used again.
    Portable,
}

impl Engine {
    /// A closure that hashes once, in memory of its own.
    fn hasher(self) -> Res<Hasher> {
        let salt = |number: u64| [number.to_le_bytes(), number.to_be_bytes()].concat();
        Ok(match self {
            Self::Pooled => {
                use argon2_rust::{Algorithm, Argon2, Params, Version, params::Memory};
                let params = Params::builder().memory(Memory::kib(MEMORY_KIB.into())).passes(PASSES).build();
                let params = params.map_err(|error| format!("{error:?}"))?;
                let mut hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hasher();
                Box::new(move |number| {
                    let mut tag = [0; 32];
                    let done = hasher.hash_into(crate::server::PASSWORD.as_bytes(), &salt(number), &mut tag);
                    done.map(|()| tag).map_err(|error| format!("{error:?}").into())
                })
            }
            Self::Portable => {
                use argon2::{Algorithm, Argon2, Block, Params, Version};
                let params =
                    Params::new(MEMORY_KIB, PASSES, 1, Some(32)).map_err(|error| error.to_string())?;
                let mut memory = vec![Block::default(); params.block_count()];
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                Box::new(move |number| {
                    let (mut tag, password) = ([0; 32], crate::server::PASSWORD.as_bytes());
                    let done = argon2.hash_password_into_with_memory(
                        password,
                        &salt(number),
                        &mut tag,
                        &mut memory[..],
                    );
                    done.map(|()| tag).map_err(|error| error.to_string().into())
                })
            }
        })
    }

    /// Hashes a second on as many threads as cores.
    pub fn rate(self, duration: Duration) -> Res<f64> {
        let one = move || -> Res<f64> {
            let mut hash = self.hasher()?;
            // The first touches the memory; it is not counted.
            hash(0)?;
            let (start, mut count) = (Instant::now(), 0_u64);
            while start.elapsed() < duration {
                count += 1;
                std::hint::black_box(hash(count)?);
            }
            Ok(count as f64 / start.elapsed().as_secs_f64())
        };
        let threads: Vec<_> = (0..crate::cores()).map(|_| std::thread::spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a hashing thread panicked")?).sum()
    }

    /// Whichever is faster on this machine, after checking that both agree.
    pub fn fastest(duration: Duration) -> Res<Self> {
        if Self::Pooled.hasher()?(7)? != Self::Portable.hasher()?(7)? {
            return Err("the two argon2 engines disagree".into());
        }
        let (pooled, portable) = (Self::Pooled.rate(duration)?, Self::Portable.rate(duration)?);
        Ok(if pooled >= portable { Self::Pooled } else { Self::Portable })
    }
}

/// Writes of a page in `folder`, each made durable by itself, a second.
///
/// In place, in a file that has its length already: growing it would cost a journal entry more.
pub fn fsyncs(folder: &Path, duration: Duration) -> Res<f64> {
    const PAGE: [u8; 4096] = [7; 4096];
    const PAGES: u64 = 1024;
    let mut file = File::create(folder.join("fsync"))?;
    for _ in 0..PAGES {
        file.write_all(&PAGE)?;
    }
    file.sync_all()?;
    let (start, mut count) = (Instant::now(), 0_u64);
    while start.elapsed() < duration {
        file.seek(SeekFrom::Start(count % PAGES * PAGE.len() as u64))?;
        file.write_all(&PAGE)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
