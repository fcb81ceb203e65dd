//! Whether the time of an answer tells who is known: the same request for somebody, for somebody who is
//! suspended, and for nobody, in turns drawn by chance, one after the other on one connection.
//!
//! Welch's t says how sure a difference is, whatever its size; beyond 4.5 there is one (Reparaz, Balasch
//! and Verbauwhede, "Dude, is my code constant time?", 2017). What an attacker could use is the
//! difference itself, beside what the way over a network adds by chance.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use vestibule::random::Random;

use crate::Extent;
use crate::load::{Answer, Connection, request};
use crate::server::{
    PASSWORD, Process, Res, Scratch, Second, UNLIMITED, bare_vestibule, path, token_by_code,
};
use crate::table::{Aim, Table, Unit, median};

const RECOVER: &str = "/api/v1/auth/recover";
const RESEND: &str = "/api/v1/auth/resend-code";

/// Who is asked about.
#[derive(Clone, Copy)]
enum Who {
    Known,
    Suspended,
    Nobody,
}

/// How many there are of each: enough that nobody's wrong passwords come to the bound after which none is looked at.
const EACH: u64 = 16;

impl Who {
    /// The number of the one of them whose turn it is.
    fn number(self, turn: u64) -> String {
        let first = match self {
            Self::Known => 100,
            Self::Suspended => 120,
            Self::Nobody => 140,
        };
        format!("+12025550{}", first + turn % EACH)
    }
}

/// Of the slowest answers, the machine's own pauses are left out: those past this part of all.
const KEPT: f64 = 0.9;

/// Measures.
pub async fn measure(extent: Extent, table: &mut Table) -> Res<()> {
    let home = Scratch::new()?;
    let policy = home.path().join("unlimited.toml");
    let required = "[sign_up]\nrequired = [\"username\", \"mobile\"]\n[code]\nresend_after = \"1ms\"\n";
    std::fs::write(&policy, format!("{required}{UNLIMITED}"))?;
    let policy = policy.to_string_lossy().into_owned();
    let server = Process::vestibule(home.path(), Second::Always, &[("VESTIBULE_POLICY", &policy)]).await?;
    for turn in 0..EACH {
        token_by_code(&server, &format!("known{turn}"), &Who::Known.number(turn)).await?;
        let suspended = format!("suspended{turn}");
        token_by_code(&server, &suspended, &Who::Suspended.number(turn)).await?;
        suspend(home.path(), &suspended)?;
    }
    let mut line = Connection::new(server.address);
    let mut chance = Chance(Random::seeded(7));

    let mut times = Times::default();
    let mut number = 0_u64;
    for part in ["sign-in", "recover", "sign-up", "resend"] {
        let end = Instant::now() + extent.stretch * 4;
        while Instant::now() < end {
            let who = chance.who();
            number += 1;
            let to = who.number(number);
            let (path, body, status) = match part {
                "sign-in" => {
                    (path::SIGN_IN, json!({"identifier": to, "password": "a wrong one, certainly"}), 401)
                }
                "recover" => (RECOVER, json!({"identifier": to}), 202),
                "sign-up" => {
                    let body = json!({"username": format!("somebody{number:06}"), "mobile": to, "password": PASSWORD});
                    (path::SIGN_UP, body, 201)
                }
                _ => {
                    let asked = send(&mut line, RECOVER, &json!({"identifier": to})).await?.must_be(202)?;
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    (RESEND, json!({"challenge": asked.text("/challenge/id")}), 200)
                }
            };
            let start = Instant::now();
            let answer = send(&mut line, path, &body).await?;
            times.add(who, start.elapsed());
            answer.must_be(status)?;
        }
        std::mem::take(&mut times).tell(part, table);
    }
    Ok(())
}

/// By the program, over the data of the server that runs.
fn suspend(home: &Path, username: &str) -> Res<()> {
    let mut admin = bare_vestibule(home);
    admin.env("VESTIBULE_STORE", format!("sqlite:{}", home.join("data/vestibule.db").display()));
    admin.env("VESTIBULE_SECRETS_KEYS_FILE", home.join("data/secret.key"));
    admin.args(["admin", "suspend", username, "--reason", "measured"]);
    let output = admin.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(())
}

async fn send(line: &mut Connection, path: &str, body: &Json) -> Res<Answer> {
    Ok(line.send(&request("POST", path, None, Some(body))).await?)
}

struct Chance(Random);

impl Chance {
    fn who(&mut self) -> Who {
        let [byte] = self.0.bytes::<1>();
        // Two in four for nobody, whom both others are compared with.
        match byte & 3 {
            0 => Who::Known,
            1 => Who::Suspended,
            _ => Who::Nobody,
        }
    }
}

/// How long answers took, in seconds.
#[derive(Default)]
struct Times {
    known: Vec<f64>,
    suspended: Vec<f64>,
    nobody: Vec<f64>,
}

impl Times {
    fn add(&mut self, who: Who, took: Duration) {
        let times = match who {
            Who::Known => &mut self.known,
            Who::Suspended => &mut self.suspended,
            Who::Nobody => &mut self.nobody,
        };
        times.push(took.as_secs_f64());
    }

    fn tell(mut self, part: &str, table: &mut Table) {
        let mut all = [self.known.as_slice(), &self.suspended, &self.nobody].concat();
        all.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let cut = all.get((all.len() as f64 * KEPT) as usize).copied().unwrap_or(f64::MAX);
        for times in [&mut self.known, &mut self.suspended, &mut self.nobody] {
            times.retain(|time| *time < cut);
        }
        let nobody = Sample::of(&self.nobody);
        for (word, times) in [("known", &self.known), ("suspended", &self.suspended)] {
            let somebody = Sample::of(times);
            let name = format!("{part}: {word} ÷ nobody");
            table.figure(&name, Unit::Time, median(times), median(&self.nobody), Aim::Known);
            table.note(format!(
                "{part}: {word} − nobody = {:+.1} µs of {:.1} µs, Welch's t = {:+.2} (n = {} and {})",
                (somebody.mean - nobody.mean) * 1e6,
                nobody.mean * 1e6,
                (somebody.mean - nobody.mean) / (somebody.error + nobody.error).sqrt(),
                times.len(),
                self.nobody.len(),
            ));
        }
    }
}

/// The mean of a sample, and its variance over its size.
struct Sample {
    mean: f64,
    error: f64,
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
    fn of(times: &[f64]) -> Self {
        let size = times.len().max(2) as f64;
        let mean = times.iter().sum::<f64>() / size;
        let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
        Self { mean, error: squares / (size - 1.0) / size }
    }
}
