//! Three nodes, as in production, over one PostgreSQL and one Valkey.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use uuid::Uuid;
use vestibule::accounts::User;
use vestibule::app::Moment;
use vestibule::clock::Clock;
use vestibule::policy::{Policy, Proofs};
use vestibule::random::Random;
use vestibule::secret::Keyring;
use vestibule::sessions::{Carry, Session};
use vestibule::store::{Change, Engine, Store};
use vestibule::verify::{Refused, Settings, Verifier, WhenStale};

use super::beside::{Postgres, Valkey};
use super::load::{Answer, Connection, request};
use super::server::{PASSWORD, POLICY, Process, Res, Scratch, UNLIMITED, bare_vestibule, path};

/// How many nodes there are.
pub const NODES: usize = 3;

/// The address that people would reach them at.
pub const ORIGIN: &str = "http://127.0.0.1:1";

/// What signs a session out.
pub const SIGN_OUT: &str = "/api/v1/auth/logout";

/// All of it. The nodes go before what they need.
pub struct Cluster {
    pub nodes: Vec<Process>,
    pub postgres: Postgres,
    pub valkey: Valkey,
    homes: Vec<Scratch>,
    settings: Vec<(String, String)>,
    random: Random,
}

/// A policy that asks for no second factor and limits nobody but by `more`.
///
/// Nobody here has an address, so there is no mail server.
pub fn policy(required: &str, second: &str, more: &str) -> String {
    let kept: Vec<_> =
        UNLIMITED.lines().filter(|line| !more.contains(line.split(' ').next().unwrap_or("#"))).collect();
    format!(
        "[recovery]\nchannels = []\n[operation.\"user.email.change\"]\nnever = true\n\
         [sign_up]\nrequired = [{required}]\n[sign_in.second]\nwhen = \"{second}\"\n{}\n\
         refresh_address = {{ limit = 1000000, window = \"1m\" }}\n{more}\n",
        kept.join("\n")
    )
}

impl Cluster {
    /// Starts everything, the nodes all at once over an empty database.
    pub async fn start(policy: &str, more: &[(&str, &str)]) -> Res<Self> {
        let (postgres, valkey) = tokio::try_join!(Postgres::start(), Valkey::start())?;
        let key = Keyring::generate("test", &Random::System);
        let homes: Vec<_> = (0..NODES).map(|_| Scratch::new()).collect::<Result<_, _>>()?;
        // As it should be: the password is in a file.
        let secret = homes.first().ok_or("no node")?.path().join("shared");
        std::fs::write(&secret, valkey.url())?;
        let secret = secret.display().to_string();
        let settings = [
            ("VESTIBULE_ORIGIN", ORIGIN),
            ("VESTIBULE_STORE", &postgres.url()),
            ("VESTIBULE_SHARED_FILE", &secret),
            ("VESTIBULE_SERVER_METRICS", "public"),
            ("VESTIBULE_SECRETS_KEYS", key.expose()),
            ("VESTIBULE_LOG_FORMAT", "json"),
        ];
        let settings: Vec<_> = settings
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let given = pairs(&settings);
        let starting = homes.iter().map(|home| Process::node(home.path(), policy, &given));
        let nodes = futures_util::future::try_join_all(starting).await?;
        Ok(Self { nodes, postgres, valkey, homes, settings, random: Random::System })
    }

    /// Starts a node that has ended, at its old address.
    pub async fn again(&mut self, node: usize) -> Res<()> {
        self.nodes[node].node_again(self.homes[node].path(), &pairs(&self.settings)).await
    }

    /// What the program says to these words where a node runs.
    pub async fn says(&self, node: usize, words: &[&str]) -> Res<String> {
        let home = self.homes[node].path();
        let mut program = bare_vestibule(home);
        program.args(words).envs(pairs(&self.settings)).env(POLICY, home.join("policy.toml"));
        let output = tokio::process::Command::from(program).output().await?;
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// What `vestibule doctor` says where a node runs.
    pub async fn doctor(&self, node: usize) -> Res<String> {
        self.says(node, &["doctor"]).await
    }

    /// A connection of one's own to a node.
    pub fn to(&self, node: usize) -> Connection {
        Connection::new(self.nodes[node].address)
    }

    /// One request to a node.
    pub async fn post(&self, node: usize, path: &str, body: &Json) -> Res<Answer> {
        Ok(self.to(node).send(&request("POST", path, None, Some(body))).await?)
    }

    /// Somebody signs up at a node; their id.
    pub async fn sign_up(&self, node: usize, name: &str, mobile: Option<&str>) -> Res<Uuid> {
        let mut body = json!({"username": name, "password": PASSWORD});
        if let Some(mobile) = mobile {
            body["mobile"] = json!(mobile);
        }
        let answer = self.post(node, path::SIGN_UP, &body).await?.must_be(201)?;
        Ok(answer.text("/user/id").ok_or("no id")?.parse()?)
    }

    /// A service that checks offline and follows a node, which refuses while it hears nothing.
    pub async fn offline(&self, node: usize) -> Res<(Verifier, JoinSet<()>)> {
        let account = self.says(0, &["service-accounts", "add", "offline"]).await?;
        let words = ["service-accounts", "key", &account, "first", "--scopes", "revocations.read"];
        offline(ORIGIN, &self.says(0, &words).await?, self.nodes[node].address)
    }

    /// The records, as a process sees them that is no node.
    pub fn store(&self) -> Res<Store> {
        Ok(Store::new(Engine::open(&self.postgres.url(), 32)?, self.random.clone()))
    }

    /// Tokens of `count` new sessions of a user, without the way in.
    pub async fn sessions(&self, user: Uuid, count: usize) -> Res<Vec<String>> {
        let store = self.store()?;
        let user = store.get::<User>(user).await?.ok_or("nobody")?;
        let policy = Policy::from_toml("").map_err(|faults| faults.to_string())?.session;
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..count {
            let now = Clock::System.now();
            let moment = Moment::new(now, self.random.seed());
            let (session, token) = Session::open(&user, Proofs::default(), Carry::Bearer, &policy, &moment);
            store.commit(vec![Change::insert(&session)]).await?;
            tokens.push(token.reveal());
        }
        Ok(tokens)
    }
}

fn pairs(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A service beside that checks access tokens offline, and follows the feed while the set is kept.
pub fn offline(issuer: &str, key: &str, follows: SocketAddr) -> Res<(Verifier, JoinSet<()>)> {
    let mut settings = Settings::new(issuer, key, WhenStale::Refuse);
    settings.server = format!("http://{follows}");
    #[expect(clippy::disallowed_methods, reason = "the service beside is no part of the house")]
    let http = reqwest::Client::builder().no_proxy().build()?;
    let verifier = Verifier::new(settings, http)?;
    let mut following = JoinSet::new();
    following.spawn({
        let verifier = verifier.clone();
        async move { match verifier.follow().await {} }
    });
    Ok((verifier, following))
}

/// Whether a token counts; nothing when the node does not say.
pub async fn counts(connection: &mut Connection, token: &str) -> Option<bool> {
    says(&connection.send(&asks(token)).await.ok()?)
}

/// What asks whether a token counts.
fn asks(token: &str) -> bytes::Bytes {
    request("GET", path::AUTHENTICATED, Some(token), None)
}

/// What a node says to that.
fn says(answer: &Answer) -> Option<bool> {
    answer.json().get("authenticated").and_then(Json::as_bool).filter(|_| answer.status == 200)
}

/// What ending sessions on one node came to.
#[derive(Default)]
pub struct Ended {
    /// Times at which the node that ended one was asked for it afterwards.
    pub asked: usize,
    /// Times at which it let it in.
    pub accepted: usize,
    /// From the answer of the end until the other nodes refused.
    pub until: Vec<Duration>,
    /// The same of a service that checks offline.
    pub offline: Vec<Duration>,
}

impl Ended {
    pub fn merge(&mut self, other: Self) {
        self.asked += other.asked;
        self.accepted += other.accepted;
        self.until.extend(other.until);
        self.offline.extend(other.offline);
    }
}

/// The time within which so large a part was over, such as 0.99.
pub fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    let at = (part * times.len() as f64).ceil() as usize;
    times.get(at.max(1) - 1).copied().unwrap_or_default()
}

/// How often a node is asked at once.
const BURST: usize = 50;

/// How long somebody is asked who does not refuse.
const NEVER: Duration = Duration::from_secs(10);

/// Ends each of `tokens` on the first of `nodes` while all of them know it, asks that one for it
/// `again` times afterwards, and the others until they refuse; so, too, a service that checks `offline`.
pub async fn end_each(
    nodes: &[SocketAddr],
    tokens: &[String],
    again: usize,
    offline: Option<&Verifier>,
) -> Res<Ended> {
    let mut nodes: Vec<_> = nodes.iter().map(|address| Connection::new(*address)).collect();
    let mut ended = Ended::default();
    let (first, others) = nodes.split_first_mut().ok_or("no node")?;
    for token in tokens {
        for _ in 0..2 {
            for node in std::iter::once(&mut *first).chain(&mut *others) {
                if counts(node, token).await != Some(true) {
                    return Err("a session does not count although nobody has ended it".into());
                }
            }
        }
        if let Some(verifier) = offline {
            verifier.check(token).await?;
        }
        let out = request("POST", SIGN_OUT, Some(token), Some(&json!({})));
        first.send(&out).await?.must_be(204)?;
        let start = Instant::now();
        let afterwards = async {
            let (ask, mut answers) = (asks(token), Vec::with_capacity(again));
            while answers.len() < again {
                let burst = first.send_times(&ask, BURST.min(again - answers.len())).await?;
                answers.extend(burst.iter().map(says));
            }
            Res::Ok(answers)
        };
        let checked = async {
            let verifier = offline?;
            while verifier.check(token).await != Err(Refused::Ended) && start.elapsed() < NEVER {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Some(start.elapsed())
        };
        let elsewhere = others.iter_mut().map(|node| async move {
            while counts(node, token).await != Some(false) && start.elapsed() < NEVER {}
            start.elapsed()
        });
        let elsewhere = futures_util::future::join_all(elsewhere);
        let (answers, until, offline) = tokio::join!(afterwards, elsewhere, checked);
        let answers = answers?;
        if until.iter().chain(&offline).any(|time| *time >= NEVER) {
            return Err("it is never refused".into());
        }
        ended.asked += answers.len();
        ended.accepted += answers.iter().filter(|answer| **answer != Some(false)).count();
        ended.until.extend(until);
        ended.offline.extend(offline);
    }
    Ok(ended)
}
