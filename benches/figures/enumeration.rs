//! Whether the time of an answer tells who is known: the same request for somebody and for nobody, in
//! turns drawn by chance, one after the other on one connection.
//!
//! Welch's t says how sure a difference is, whatever its size; beyond 4.5 there is one (Reparaz, Balasch
//! and Verbauwhede, "Dude, is my code constant time?", 2017). What an attacker could use is the
//! difference itself, beside what the way over a network adds by chance.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use vestibule::random::Random;

use crate::Extent;
use crate::load::{Answer, Connection, request};
use crate::server::{PASSWORD, Process, Res, Scratch, Second, UNLIMITED, path, token_by_code};
use crate::table::{Aim, Table, Unit, median};

const RECOVER: &str = "/api/v1/auth/recover";
const RESEND: &str = "/api/v1/auth/resend-code";
const KNOWN: &str = "+12025550100";
const UNKNOWN: &str = "+12025550101";

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
    token_by_code(&server, "known", KNOWN).await?;
    let mut line = Connection::new(server.address);
    let mut chance = Chance(Random::seeded(7));

    let mut times = Times::default();
    let mut number = 0_u64;
    for part in ["sign-in", "recover", "sign-up", "resend"] {
        let end = Instant::now() + extent.stretch * 4;
        while Instant::now() < end {
            let known = chance.is_known();
            let to = if known { KNOWN } else { UNKNOWN };
            number += 1;
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
            times.add(known, start.elapsed());
            answer.must_be(status)?;
        }
        std::mem::take(&mut times).tell(part, table);
    }
    Ok(())
}

async fn send(line: &mut Connection, path: &str, body: &Json) -> Res<Answer> {
    Ok(line.send(&request("POST", path, None, Some(body))).await?)
}

struct Chance(Random);

impl Chance {
    fn is_known(&mut self) -> bool {
        let [byte] = self.0.bytes::<1>();
        byte & 1 == 1
    }
}

/// How long answers took, in seconds.
#[derive(Default)]
struct Times {
    known: Vec<f64>,
    unknown: Vec<f64>,
}

impl Times {
    fn add(&mut self, known: bool, took: Duration) {
        if known { &mut self.known } else { &mut self.unknown }.push(took.as_secs_f64());
    }

    fn tell(mut self, part: &str, table: &mut Table) {
        let mut all = [self.known.as_slice(), self.unknown.as_slice()].concat();
        all.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let cut = all.get((all.len() as f64 * KEPT) as usize).copied().unwrap_or(f64::MAX);
        self.known.retain(|time| *time < cut);
        self.unknown.retain(|time| *time < cut);
        let (known, unknown) = (Sample::of(&self.known), Sample::of(&self.unknown));
        let name = format!("{part}: known ÷ unknown");
        table.figure(&name, Unit::Time, median(&self.known), median(&self.unknown), Aim::Known);
        table.note(format!(
            "{part}: known − unknown = {:+.1} µs of {:.1} µs, Welch's t = {:+.2} (n = {} and {})",
            (known.mean - unknown.mean) * 1e6,
            unknown.mean * 1e6,
            (known.mean - unknown.mean) / (known.error + unknown.error).sqrt(),
            self.known.len(),
            self.unknown.len(),
        ));
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
