//! How long after its sign-out was answered a session is still accepted by a service that checks offline.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use vestibule::random::Random;
use vestibule::secret::Keyring;
use vestibule::verify::{Refused, Verifier};

use crate::cluster::{SIGN_OUT, offline};
use crate::load::{Connection, request};
use crate::server::{Process, Res, Scratch, Second, path, sign_in_body, sign_up_many};
use crate::table::{Aim, Table, Unit};

/// Sessions that are ended, and how many of them at once.
const SESSIONS: usize = 1_000;
const AT_ONCE: usize = 8;
/// Whose they are: a user has a hundred at most.
pub const USERS: usize = 20;
/// Within this a session that ends here ends everywhere.
const LIMIT: Duration = Duration::from_secs(1);

/// Measures it with one node, whose feed is followed.
pub async fn measure(table: &mut Table) -> Res<()> {
    vestibule::tls::install_crypto();
    let home = Scratch::new()?;
    let server = Process::vestibule(home.path(), Second::Never, &[]).await?;
    let store = format!("sqlite:{}", home.path().join("data/vestibule.db").display());
    let keys = Keyring::generate("bench", &Random::System);
    let command = |words: &[&str]| -> Res<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        command.current_dir(home.path()).arg("service-accounts").args(words);
        let output =
            command.env("VESTIBULE_STORE", &store).env("VESTIBULE_SECRETS_KEYS", keys.expose()).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let account = command(&["add", "bench"])?;
    let key = command(&["key", &account, "first", "--scopes", "revocations.read"])?;
    let users = sign_up_many(&server, USERS).await?;
    let issuer = format!("http://{}", server.address);
    let offline = Offline { issuer, key, users, ends: server.address, follows: server.address };
    offline.figures("signed out, refused offline elsewhere after", table).await
}

/// A service beside, which follows one node while sessions end on another or the same.
pub struct Offline {
    /// Who issues access tokens.
    pub issuer: String,
    /// What the feed is asked for with.
    pub key: String,
    /// Whose sessions end.
    pub users: Vec<String>,
    /// Where they end.
    pub ends: SocketAddr,
    /// Whose feed is followed.
    pub follows: SocketAddr,
}

impl Offline {
    /// Ends sessions and notes how long each was still accepted after that was answered.
    pub async fn figures(&self, name: &str, table: &mut Table) -> Res<()> {
        let (verifier, _following) = offline(&self.issuer, &self.key, self.follows)?;
        let mut tokens = Vec::new();
        let users: Vec<_> = self.users.iter().cycle().take(SESSIONS).collect();
        for some in users.chunks(AT_ONCE) {
            let opened = some.iter().map(|user| self.signs_in(user));
            tokens.extend(futures_util::future::try_join_all(opened).await?);
        }
        let start = Instant::now();
        while verifier.check(tokens.last().ok_or("no token")?).await.is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err("the feed is not followed".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut took = Vec::new();
        for some in tokens.chunks(AT_ONCE) {
            let ended = some.iter().map(|token| self.signs_out(&verifier, token));
            took.extend(futures_util::future::try_join_all(ended).await?);
        }
        took.sort_unstable();
        let at = |part: usize| took.get((took.len() - 1) * part / 1000).map_or(0.0, Duration::as_secs_f64);
        for (part, of) in [("p50", 500), ("p99", 990), ("p99.9", 999), ("at most", 1000)] {
            let name = format!("{name}, {part} ÷ 1 s");
            table.figure(&name, Unit::Time, at(of), LIMIT.as_secs_f64(), Aim::AtMost(1.0));
        }
        Ok(())
    }

    async fn signs_in(&self, user: &str) -> Res<String> {
        let mut body = sign_in_body(user);
        body["session"] = json!("jwt");
        let ask = request("POST", path::SIGN_IN, None, Some(&body));
        let answer = Connection::new(self.ends).send(&ask).await?.must_be(200)?;
        Ok(answer.text("/access_token").ok_or("no access token")?)
    }

    async fn signs_out(&self, verifier: &Verifier, token: &str) -> Res<Duration> {
        // It may have expired when there were very many: then it is not the feed that is measured.
        verifier.check(token).await?;
        let ask = request("POST", SIGN_OUT, Some(token), Some(&json!({})));
        Connection::new(self.ends).send(&ask).await?.must_be(204)?;
        let answered = Instant::now();
        while verifier.check(token).await != Err(Refused::Ended) {
            if answered.elapsed() > Duration::from_secs(10) {
                return Err("it was never refused".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(answered.elapsed())
    }
}
