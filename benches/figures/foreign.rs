//! What checking the hash of another system takes, at the costs that are common, beside one of today.

use std::time::{Duration, Instant};

use vestibule::hashing::{Cost, Hashing, Keys};
use vestibule::secret::Secret;

use crate::server::Res;
use crate::table::{Aim, Table, Unit, median};
use crate::{TURNS, bare};

/// Formats at the costs that their makers recommend or set by default. The password is wrong for each of
/// them, which takes as long as a right one.
const HASHES: [(&str, &str); 9] = [
    (
        "argon2id 64 MiB t=3 p=4",
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$a6YfbKHWd5y0qx35qRBbRhrGt8+sIAwzafC+Oi5R0XM",
    ),
    (
        "argon2i 4 MiB t=3",
        "$argon2i$v=19$m=4096,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$a6YfbKHWd5y0qx35qRBbRhrGt8+sIAwzafC+Oi5R0XM",
    ),
    ("bcrypt 10", "$2b$10$bxRvLzE76cJgOidBl0zaueLUFekObD7MGWuEFtttolCE9Z0tuZIfW"),
    ("bcrypt 12", "$2b$12$bxRvLzE76cJgOidBl0zaueLUFekObD7MGWuEFtttolCE9Z0tuZIfW"),
    (
        "scrypt N=2^14 r=8",
        "$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0$CIniORsIz+4DNNHCDNPeA65aFsE+KkClqApYOGP30q0",
    ),
    (
        "scrypt N=2^17 r=8",
        "$scrypt$ln=17,r=8,p=1$c2FsdHNhbHRzYWx0$CIniORsIz+4DNNHCDNPeA65aFsE+KkClqApYOGP30q0",
    ),
    (
        "PBKDF2 SHA-256 600,000",
        "$pbkdf2-sha256$i=600000$c2FsdHNhbHQ$xhzwYv2FcvB2RQ7cqeRzMATXENfybQBsOoD8sXFWt3I",
    ),
    ("PBKDF2 SHA-1 10,000", "$pbkdf2-sha1$i=10000$c2FsdHNhbHQ$2T1vdVq8tYQ0o2nCNA6dNwjqq4g"),
    (
        "Firebase N=2^14 r=8",
        "$firebase-scrypt$ln=14,r=8,p=1,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$BtLZm7C7ad4oRqdGf4HhvFYFmCTBy1x7XVWCmKVAsHFKuZUdvjftLQgDXZB6C82acBejvTRV+QyxdBWUE0UYHQ==",
    ),
];

/// Measures. Each figure stands beside nobody's password in the same turns: below it none should be.
pub async fn measure(table: &mut Table) -> Res<()> {
    let today = Cost { memory_kib: bare::MEMORY_KIB, passes: 2, lanes: 1 };
    let pool = Hashing::start(today, 1, Duration::from_secs(60), false, Keys::default())?;
    let time = async |stored: Option<&str>| -> Res<f64> {
        let began = Instant::now();
        let verdict = pool.verify(Secret::new("a wrong password"), stored.map(str::to_owned)).await;
        verdict.map_err(|error| error.to_string())?;
        Ok(began.elapsed().as_secs_f64())
    };
    for _ in 0..TURNS {
        time(None).await?;
    }
    for (name, stored) in HASHES {
        let (mut measured, mut nobodys) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            nobodys.push(time(None).await?);
            measured.push(time(Some(stored)).await?);
        }
        let (measured, nobodys) = (median(&measured), median(&nobodys));
        let name = format!("{name} ÷ nobody's");
        table.figure(&name, Unit::Time, measured, nobodys, Aim::Known);
    }
    Ok(())
}
