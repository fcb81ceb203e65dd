//! The server is killed fifty times under load (SIGKILL, as a power cut to the process would), and
//! nothing that it has answered for is lost: users can sign in, sessions that began live on, sessions
//! that ended stay dead, the database is sound, and it is ready again within a second.
//!
//! What was asked and not answered when the server died may have happened or not, and is not judged.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use vestibule::random::Random;

#[path = "../../benches/figures/load.rs"]
#[expect(dead_code, reason = "shared with the benches, which also use what makes a load of it")]
pub mod load;
#[path = "../../benches/figures/server.rs"]
#[expect(dead_code, reason = "shared with the benches, which also measure the process")]
pub mod server;

use crate::place::second_round;
use crate::scripted::{Reply, Scripted};
use crate::told;
use load::{Connection, request};
use server::{PASSWORD, Process, Res, Scratch, Second, path, sign_in_body};

/// Names the seed of a run, to have it again.
const SEED: &str = "VESTIBULE_TEST_KILL_SEED";
const SIGN_OUT: &str = "/api/v1/auth/logout";

const KILLS: u64 = 50;
/// Writers at once.
const WRITERS: u64 = 8;
/// From the start to the kill, at least and at most.
const LIFE: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(450)];
/// From the start of the process to its first answer.
const READY: Duration = Duration::from_secs(1);
/// So cheap that the disk, not the hash, sets the pace: the least that Argon2 takes for one lane (RFC 9106, 3.1).
const CHEAP: [(&str, &str); 2] = [("VESTIBULE_HASHING_MEMORY_KIB", "8"), ("VESTIBULE_HASHING_PASSES", "1")];

/// What the server has answered for.
#[derive(Clone, Default, Debug)]
pub struct Ledger {
    pub users: Vec<String>,
    pub live: Vec<String>,
    pub ended: Vec<String>,
}

impl Ledger {
    pub fn merge(&mut self, other: Self) {
        self.users.extend(other.users);
        self.live.extend(other.live);
        self.ended.extend(other.ended);
    }

    pub fn len(&self) -> usize {
        self.users.len() + self.live.len() + self.ended.len()
    }
}

/// A chance of one in `of`.
fn chance(random: &Random, of: u8) -> bool {
    let [byte] = random.bytes::<1>();
    byte % of == 0
}

/// A duration between two others.
fn between(random: &Random, [least, most]: [Duration; 2]) -> Duration {
    let share = u32::from(u16::from_le_bytes(random.bytes()));
    least + (most - least) * share / u32::from(u16::MAX)
}

/// Signs up, in and out until the server is gone. Refused requests are errors: there is no reason for any.
async fn write(server: SocketAddr, prefix: String, random: Random) -> Res<Ledger> {
    let mut ledger = Ledger::default();
    let mut connection = Connection::new(server);
    for number in 0.. {
        let name = format!("{prefix}n{number}");
        let ask =
            request("POST", path::SIGN_UP, None, Some(&json!({"username": name, "password": PASSWORD})));
        let Ok(answer) = connection.send(&ask).await else { break };
        answer.must_be(201)?;
        ledger.users.push(name.clone());
        for _ in 0..3 {
            let ask = request("POST", path::SIGN_IN, None, Some(&sign_in_body(&name)));
            let Ok(answer) = connection.send(&ask).await else { return Ok(ledger) };
            let token = answer.must_be(200)?.text("/token").ok_or("no token")?;
            if chance(&random, 3) {
                ledger.live.push(token);
                continue;
            }
            // From here on its fate is open until the answer is there.
            let ask = request("POST", SIGN_OUT, Some(&token), Some(&json!({})));
            let Ok(answer) = connection.send(&ask).await else { return Ok(ledger) };
            answer.must_be(204)?;
            ledger.ended.push(token);
        }
    }
    Ok(ledger)
}

/// What of `ledger` the server does not stand by, as sentences.
pub async fn broken_promises(server: SocketAddr, ledger: &Ledger) -> Res<Vec<String>> {
    let mut connection = Connection::new(server);
    let mut broken = Vec::new();
    for name in &ledger.users {
        let answer =
            connection.send(&request("POST", path::SIGN_IN, None, Some(&sign_in_body(name)))).await?;
        if answer.text("/status").as_deref() != Some("signed_in") {
            broken.push(format!("user {name} is lost: {} {}", answer.status, answer.json()));
        }
    }
    for (tokens, alive) in [(&ledger.live, true), (&ledger.ended, false)] {
        for token in tokens {
            let answer = connection.send(&request("GET", path::AUTHENTICATED, Some(token), None)).await?;
            let seen = answer.json();
            // Dead is what is told to be dead: a failure is no proof of it.
            let told =
                seen.get("authenticated").and_then(Json::as_bool).or((answer.status == 401).then_some(false));
            if told != Some(alive) {
                let what = if alive { "a session is lost" } else { "an ended session is alive" };
                broken.push(format!("{what}: {} {seen}", answer.status));
            }
        }
    }
    Ok(broken)
}

/// The SQLite file somewhere under `folder`.
fn database(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_sqlite =
        |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
    files.into_iter().find(is_sqlite).or_else(|| folders.iter().find_map(|folder| database(folder)))
}

fn integrity(file: &Path) -> rusqlite::Result<String> {
    let connection = rusqlite::Connection::open(file)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.query_row("PRAGMA integrity_check", (), |row| row.get(0))
}

/// Chance that can be had again: the number is printed.
#[expect(clippy::disallowed_methods, reason = "no setting of the house, but of this test")]
fn seed() -> u64 {
    let given = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| Random::System.number().unsigned_abs())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_answered_for_is_lost_when_the_server_is_killed() {
    let seed = seed();
    println!("{SEED}={seed}");
    let random = Random::seeded(seed);
    let home = Scratch::new().unwrap();
    let mut process = Process::vestibule(home.path(), Second::Never, &CHEAP).await.unwrap();
    let (mut all, mut slowest) = (Ledger::default(), Duration::ZERO);
    let start = Instant::now();
    for round in 0..KILLS {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let prefix = format!("r{round}w{writer}");
            let random = Random::seeded(seed ^ (round * WRITERS + writer + 1));
            writers.spawn(write(process.address, prefix, random));
        }
        tokio::time::sleep(between(&random, LIFE)).await;
        process.kill().unwrap();
        let mut ledger = Ledger::default();
        while let Some(writer) = writers.join_next().await {
            ledger.merge(writer.unwrap().unwrap());
        }
        process = Process::vestibule(home.path(), Second::Never, &CHEAP).await.unwrap();
        slowest = slowest.max(process.ready_after);
        let broken = broken_promises(process.address, &ledger).await.unwrap();
        assert!(broken.is_empty(), "{SEED}={seed}, kill {round}: {broken:#?}");
        all.merge(ledger);
    }
    // Nothing that stood after its own kill was lost by a later one. A sign-in costs a write: some will do.
    let promises = all.len();
    all.users = all.users.iter().step_by(all.users.len() / 500 + 1).cloned().collect();
    let broken = broken_promises(process.address, &all).await.unwrap();
    assert!(broken.is_empty(), "{SEED}={seed}, at the end: {broken:#?}");
    let file = database(home.path()).expect("a database in the data folder");
    assert_eq!(integrity(&file).unwrap(), "ok", "{SEED}={seed}");
    told::figure(format_args!(
        "the server killed {KILLS} times in {:.0?} (SQLite): {promises} promises kept, ready after {slowest:.0?} at most",
        start.elapsed()
    ));
    assert!(promises > 200, "the load was too light to say anything: {promises}");
    assert!(slowest <= READY, "{SEED}={seed}: ready after {slowest:.0?}");
}

/// Answers each request with the next of `answers`, on one connection.
async fn canned(answers: &'static [&'static str]) -> SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for answer in answers {
            let read = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(read > 0);
            // In two pieces, so that no answer arrives whole.
            let (one, two) = answer.split_at(answer.len() / 2);
            stream.write_all(one.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
            stream.write_all(two.as_bytes()).await.unwrap();
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(serve);
    });
    address
}

#[tokio::test]
async fn the_load_tool_reads_each_answer_whole_and_nothing_of_the_next() {
    let address = canned(&[
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
        "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
    ])
    .await;
    let (mut connection, ask) = (Connection::new(address), request("GET", "/", None, None));
    let first = connection.send(&ask).await.unwrap();
    assert_eq!((first.status, first.retry_after, first.body.as_slice()), (200, None, &b"first"[..]));
    let busy = connection.send(&ask).await.unwrap();
    assert_eq!((busy.status, busy.retry_after, busy.body.as_slice()), (503, Some(7), &b"abcd"[..]));
    assert_eq!(connection.send(&ask).await.unwrap().status, 204);
    assert!(connection.send(&ask).await.is_err(), "an answer that breaks off is none");
}

#[test]
fn percentiles_are_never_too_short_and_hardly_too_long() {
    let mut histogram = load::Histogram::default();
    for micros in 1..=1_000 {
        histogram.add(Duration::from_micros(micros));
    }
    for (part, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
        let found = histogram.percentile(part).as_secs_f64() * 1e6;
        assert!((micros..=micros * (1.0 + 1.0 / 32.0)).contains(&found), "{part}: {found}");
    }
    histogram.add(Duration::MAX);
    assert!(histogram.percentile(1.0) > Duration::from_secs(600));
    assert_eq!(load::Histogram::default().percentile(0.5), Duration::ZERO);
}

/// A number of its own for each user, none of which is anybody's.
fn number(n: u64) -> String {
    format!("+1202555{n:04}")
}

/// Signs up until the server is gone; returns the numbers to which a message was promised.
async fn ask_for_codes(server: SocketAddr, from: u64) -> Vec<String> {
    let (mut promised, mut connection) = (Vec::new(), Connection::new(server));
    for n in from..from + 10 {
        let body = json!({"username": format!("m{n}"), "mobile": number(n), "password": PASSWORD});
        let ask = request("POST", path::SIGN_UP, None, Some(&body));
        let Ok(answer) = connection.send(&ask).await else { break };
        answer.must_be(201).unwrap();
        promised.push(number(n));
    }
    promised
}

/// A stranger who only opens connections takes the places of connections, and never what is needed to answer those
/// that are open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_connected_is_answered_however_many_others_only_connect() {
    /// More than there is room for, and few enough for the system's queue of those that nobody has accepted yet.
    const STRANGERS: usize = 120;
    if second_round() {
        return;
    }
    // Event loops take some for each core.
    let files = 100 + 8 * std::thread::available_parallelism().unwrap().get();
    let limits = format!("ulimit -n {files} && exec \"$@\"");
    let home = Scratch::new().unwrap();
    let policy = home.path().join("policy.toml");
    let text = "[sign_up]\nrequired = [\"username\"]\n[sign_in.second]\nwhen = \"never\"\n";
    std::fs::write(&policy, text).unwrap();
    let address = server::free_address().unwrap();
    let bare = server::bare_vestibule(home.path());
    let limited = || {
        let mut command = tokio::process::Command::new("sh");
        command
            .args(["-c", &limits, "sh"])
            .arg(bare.get_program())
            .current_dir(home.path())
            .kill_on_drop(true);
        for (name, _) in bare.get_envs() {
            command.env_remove(name);
        }
        command.env(server::POLICY, &policy).envs(CHEAP);
        command
    };
    let data = home.path().join("data");
    let log = std::fs::File::create(home.path().join("log")).unwrap();
    let mut serving = limited();
    serving.arg("--listen").arg(address.to_string()).arg("--data").arg(&data);
    serving.stdout(log.try_clone().unwrap()).stderr(log);
    let _serving = serving.spawn().unwrap();
    let (health, mut ready) = (request("GET", path::HEALTH, None, None), Connection::new(address));
    let start = Instant::now();
    while !ready.send(&health).await.is_ok_and(|answer| answer.status == 200) {
        assert!(start.elapsed() < Duration::from_secs(15), "it does not start");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // On an event loop that has not read from the database yet, where there are several.
    let mut kept = Connection::new(address);
    assert_eq!(kept.send(&request("GET", "/nothing", None, None)).await.unwrap().status, 404);
    let mut idle = Vec::new();
    for _ in 0..STRANGERS {
        idle.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let body = json!({"username": "ada", "password": PASSWORD});
    let answer = kept.send(&request("POST", path::SIGN_UP, None, Some(&body))).await.unwrap();
    answer.must_be(201).unwrap();
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("connections can be open at the same time, not the 4096"), "{log}");
    // Told before it is met, too.
    let told = limited().arg("doctor").output().await.unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("connections can be open at the same time, not the 4096"), "{told}");
}

/// A message that a worker had taken when it was killed, and for which time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Lease {
    id: String,
    attempt: i64,
    to: String,
}

/// What the worker that was just killed, or one before it, has taken and not settled.
fn leased(home: &Path) -> Vec<Lease> {
    // Whoever may write would tidy up behind the one that died.
    let only_reads = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(database(home).unwrap(), only_reads).unwrap();
    let sending = r#"SELECT id, attempts, "to" FROM messages WHERE status = 'sending'"#;
    let mut query = connection.prepare(sending).unwrap();
    let lease =
        |row: &rusqlite::Row<'_>| Ok(Lease { id: row.get(0)?, attempt: row.get(1)?, to: row.get(2)? });
    query.query_map((), lease).unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_promised_is_sent_although_the_worker_is_killed() {
    const KILLS: u64 = 100;
    /// Messages that a worker has in hand at once.
    const IN_HAND: usize = 16;
    let seed = seed();
    println!("{SEED}={seed}");
    let random = Random::seeded(seed);
    let sent = r#"{"sid":"SM00000000000000000000000000000001","status":"queued"}"#;
    let provider = Scripted::new([Reply::Answer(201, sent.to_owned())]).await;
    let base = format!("http://{}", provider.address);
    let settings = [
        CHEAP[0],
        CHEAP[1],
        ("VESTIBULE_TWILIO_BASE_URL", base.as_str()),
        ("VESTIBULE_TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
        ("VESTIBULE_TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("VESTIBULE_TWILIO_FROM", "+12025550199"),
        ("VESTIBULE_SERVER_OUTBOUND_ALLOW", &base["http://".len()..]),
    ];
    let home = Scratch::new().unwrap();
    let (mut promised, mut in_flight) = (Vec::new(), BTreeSet::new());
    for round in 0..KILLS {
        let mut process = Process::vestibule(home.path(), Second::Always, &settings).await.unwrap();
        let asking = [0, 1, 2]
            .map(|writer| tokio::spawn(ask_for_codes(process.address, 100 + round * 30 + writer * 10)));
        tokio::time::sleep(between(&random, [Duration::from_millis(2), Duration::from_millis(120)])).await;
        process.kill().unwrap();
        in_flight.extend(leased(home.path()));
        for asking in asking {
            promised.extend(asking.await.unwrap());
        }
    }
    // What a killed worker had in hand is taken up again once its lease has run out.
    let process = Process::vestibule(home.path(), Second::Always, &settings).await.unwrap();
    let later = json!({"advance": "90s"});
    process.ask("POST", "/dev/clock", None, Some(&later)).await.unwrap().must_be(200).unwrap();
    let arrived = || {
        let mut times = std::collections::HashMap::<String, usize>::new();
        for request in provider.requests() {
            // What became of a message is asked as well, when that is long in coming.
            let Some(to) = request.body.split('&').find_map(|pair| pair.strip_prefix("To=%2B")) else {
                continue;
            };
            *times.entry(format!("+{to}")).or_default() += 1;
        }
        times
    };
    let start = Instant::now();
    let lacks = |times: &std::collections::HashMap<String, usize>| {
        promised.iter().filter(|to| !times.contains_key(*to)).count()
    };
    while lacks(&arrived()) > 0 && start.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let times = arrived();
    let twice: usize = times.values().map(|times| times - 1).sum();
    told::figure(format_args!(
        "the worker killed {KILLS} times (SQLite): {} messages promised, {} arrived, {} were on their way when it died, \
         {twice} came once more",
        promised.len(),
        times.len(),
        in_flight.len()
    ));
    assert_eq!(lacks(&times), 0, "{SEED}={seed}: promised and never sent");
    assert!(promised.len() > 100, "the load was too light to say anything: {}", promised.len());
    assert!(times.values().all(|times| *times <= 2), "{SEED}={seed}: one doubt, one copy");
    for (to, times) in &times {
        let in_flight = in_flight.iter().filter(|lease| lease.to == *to).count();
        assert!(*times <= 1 + in_flight, "{SEED}={seed}: {to} had {times}, in flight at {in_flight} kills");
    }
    assert!(twice <= in_flight.len() && in_flight.len() <= IN_HAND * usize::try_from(KILLS).unwrap());
}
