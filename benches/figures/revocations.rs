//! How long after its sign-out was answered a session is still accepted by a service that checks offline.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use vestibule::random::Random;
use vestibule::secret::Keyring;
use vestibule::verify::{Refused, Settings, Verifier, WhenStale};

use crate::server::{PASSWORD, Process, Res, Scratch, Second, path, sign_up_many};
use crate::table::{Aim, Table, Unit};

/// Sessions that are ended, and how many of them at once.
const SESSIONS: usize = 400;
const AT_ONCE: usize = 8;
/// Within this a session that ends here ends everywhere.
const LIMIT: Duration = Duration::from_secs(1);

/// Measures it.
pub async fn measure(table: &mut Table) -> Res<()> {
    vestibule::install_crypto();
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
    let settings = Settings::new(&format!("http://{}", server.address), &key, WhenStale::Refuse);
    #[expect(clippy::disallowed_methods, reason = "the service beside is no part of the house")]
    let http = reqwest::Client::builder().no_proxy().build()?;
    let verifier = Verifier::new(settings, http)?;
    let mut following = JoinSet::new();
    following.spawn({
        let verifier = verifier.clone();
        async move { match verifier.follow().await {} }
    });

    let user = sign_up_many(&server, 1).await?.remove(0);
    let mut tokens = Vec::new();
    for _ in 0..SESSIONS {
        let body = json!({"username": user, "password": PASSWORD, "session": "jwt"});
        let answer = server.ask("POST", path::SIGN_IN, None, Some(&body)).await?.must_be(200)?;
        tokens.push(answer.text("/access_token").ok_or("no access token")?);
    }
    let start = Instant::now();
    while verifier.check(tokens.first().ok_or("no token")?).await.is_err() {
        if start.elapsed() > Duration::from_secs(10) {
            return Err("the feed is not followed".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut took = Vec::new();
    for some in tokens.chunks(AT_ONCE) {
        let ended = some.iter().map(|token| ends(&server, &verifier, token));
        for one in futures_util::future::join_all(ended).await {
            took.push(one?);
        }
    }
    took.sort_unstable();
    let at = |part: usize| took.get((took.len() - 1) * part / 1000).map_or(0.0, Duration::as_secs_f64);
    for (name, part) in [("median", 500), ("p99", 990), ("most", 1000)] {
        let name = format!("signed out here, refused offline elsewhere: {name}");
        table.figure(&name, Unit::Time, at(part), LIMIT.as_secs_f64(), Aim::AtMost(1.0));
    }
    Ok(())
}

async fn ends(server: &Process, verifier: &Verifier, token: &str) -> Res<Duration> {
    verifier.check(token).await?;
    server.ask("POST", "/api/v1/auth/logout", Some(token), Some(&json!({}))).await?.must_be(204)?;
    let answered = Instant::now();
    while verifier.check(token).await != Err(Refused::Ended) {
        if answered.elapsed() > Duration::from_secs(10) {
            return Err("it was never refused".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(answered.elapsed())
}
