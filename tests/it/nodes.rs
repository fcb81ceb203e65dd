//! Three nodes, as in production, over a PostgreSQL and a Valkey of our own: what has ended on one has
//! ended on all, whatever is killed, hangs or forgets in between.
//!
//! Needs a Valkey or Redis, named in `VESTIBULE_TEST_VALKEY`, and PostgreSQL's programs; `scripts/test`
//! sees to both. Real processes and real signals: the clock is the machine's here.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::task::{JoinHandle, JoinSet};
use vestibule::clock::Clock;
use vestibule::config::SharedSettings;
use vestibule::identifiers::Identifier;
use vestibule::secret::Secret;
use vestibule::shared::{Claim, Shared};
use vestibule::store::Query;

#[path = "../../benches/figures/beside.rs"]
pub mod beside;
#[path = "../../benches/figures/cluster.rs"]
mod cluster;

// Where the two above find them, as in the benches.
use crate::kill::{load, server};

use crate::kill::{Ledger, broken_promises};
use crate::scripted::{Reply, Scripted};
use crate::told;
use beside::Valkey;
use cluster::{Cluster, NODES, SIGN_OUT, counts, end_each, percentile, policy};
use load::{Connection, request};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use server::{PASSWORD, Scratch, bare_vestibule, free_address, path, sign_in_body};

/// By when another node must refuse, at the latest.
const EVERYWHERE: Duration = Duration::from_secs(1);
/// By when service must be back after something was away.
const BACK: Duration = Duration::from_secs(3);
/// By when a node must say that it cannot, when its database hangs.
const BOUND: Duration = Duration::from_secs(12);

const ADA: &str = "+12025550123";

fn left_out() -> bool {
    // Both engines' runs would do the same.
    let other = std::env::var("VESTIBULE_TEST_STORE").is_ok_and(|store| store != "postgres");
    if !other && Valkey::program().is_none() {
        told::left_out("VESTIBULE_TEST_VALKEY names no Valkey or Redis server.");
    }
    other || Valkey::program().is_none()
}

/// Waits until `holds`, at most so long; how long it took.
async fn until(what: &str, at_most: Duration, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < at_most, "{what}: not after {at_most:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// Every node says the same of a token.
async fn all_say(cluster: &Cluster, token: &str, wanted: bool) -> bool {
    for node in 0..NODES {
        if counts(&mut cluster.to(node), token).await != Some(wanted) {
            return false;
        }
    }
    true
}

/// What a node says of its dependencies: name and whether it is well.
async fn health(cluster: &Cluster, node: usize) -> (u16, Json) {
    let answer = cluster.to(node).send(&request("GET", "/health/ready", None, None)).await.unwrap();
    (answer.status, answer.json())
}

/// A figure without labels.
async fn figure(cluster: &Cluster, node: usize, name: &str) -> Option<f64> {
    let answer = cluster.to(node).send(&request("GET", "/metrics", None, None)).await.unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim_start_matches("{}").strip_prefix(' ')?.parse().ok())
}

fn is_well(health: &Json, name: &str) -> bool {
    let checks = health["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()["ok"] == true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_on_one_node_is_over_there_at_once_and_soon_wherever_it_is_shown() {
    /// Sessions of each node that are looked up, and how often each is shown again where it has ended.
    const LOOKED_UP: (usize, usize) = (160, 100);
    /// The same of those that are carried as JWT.
    const CARRIED: (usize, usize) = (40, 20);
    if left_out() {
        return;
    }
    // 50,400 in all take some 20 seconds of two processors. At night there is time for 100,800.
    let longer = 1 + usize::from(std::env::var_os("VESTIBULE_TEST_CASES").is_some());
    let start = Instant::now();
    let cluster = Cluster::start(&policy(r#""username""#, "never", ""), &[]).await.unwrap();
    told::figure(format_args!("three nodes over an empty database after {:.0?}", start.elapsed()));
    let addresses: Vec<_> = cluster.nodes.iter().map(|node| node.address).collect();
    let (verifier, _following) = cluster.offline(NODES - 1).await.unwrap();

    // Each node ends its own, all three at once.
    let begun = Instant::now();
    let mut ends = JoinSet::new();
    for node in 0..NODES {
        // Whoever signs in once too often ends the oldest of their sessions: another's are looked up.
        let name = format!("ada{node}");
        cluster.sign_up(node, &name, None).await.unwrap();
        let user = cluster.sign_up(node, &format!("eve{node}"), None).await.unwrap();
        let looked_up = cluster.sessions(user, LOOKED_UP.0).await.unwrap();
        let (mut nodes, verifier) = (addresses.clone(), verifier.clone());
        nodes.rotate_left(node);
        ends.spawn(async move {
            let mut carried = Vec::new();
            for _ in 0..CARRIED.0 {
                carried.push(access_token(nodes[0], &name).await);
            }
            let follows = async {
                while verifier.check(&carried[0]).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(BOUND, follows).await.expect("the feed is followed");
            let mut ended = end_each(&nodes, &carried, CARRIED.1 * longer, Some(&verifier)).await.unwrap();
            ended.merge(end_each(&nodes, &looked_up, LOOKED_UP.1 * longer, None).await.unwrap());
            ended
        });
    }
    let mut ended = cluster::Ended::default();
    while let Some(part) = ends.join_next().await {
        ended.merge(part.unwrap());
    }
    let took = begun.elapsed();
    told::figure(format_args!(
        "three nodes: {} shown after their end where they ended, {} accepted; {took:.0?}",
        ended.asked, ended.accepted
    ));
    assert!(ended.asked >= 50_000 * longer && ended.accepted == 0);
    let refusals = (ended.until.len(), ended.offline.len());
    assert_eq!(refusals, (NODES * (NODES - 1) * (LOOKED_UP.0 + CARRIED.0), NODES * CARRIED.0));
    for (who, times) in [("the other nodes", &mut ended.until), ("a service offline", &mut ended.offline)] {
        let [half, most, nearly_all] = [0.5, 0.99, 0.999].map(|part| percentile(times, part));
        told::figure(format_args!(
            "three nodes: refused by {who} after {half:.1?} (p50), {most:.1?} (p99), {nearly_all:.1?} (p99.9) of {}",
            times.len()
        ));
        assert!(nearly_all <= EVERYWHERE, "{who}: {nearly_all:?}");
    }
    // So fast that it was the word which did it, not the end of trust.
    assert!(percentile(&mut ended.until, 0.5) < Duration::from_millis(250));
}

/// Somebody signs in at a node, to be carried as JWT.
async fn access_token(node: SocketAddr, name: &str) -> String {
    let mut wanted = sign_in_body(name);
    wanted["session"] = json!("jwt");
    let ask = request("POST", path::SIGN_IN, None, Some(&wanted));
    let signed_in = Connection::new(node).send(&ask).await.unwrap().must_be(200).unwrap();
    signed_in.text("/access_token").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_used_once_is_used_once_by_three_nodes() {
    if left_out() {
        return;
    }
    let sent = r#"{"sid":"SM00000000000000000000000000000001","status":"queued"}"#;
    let provider = Scripted::new([Reply::Answer(201, sent.to_owned())]).await;
    let (base, place) = (provider.url(), provider.address.to_string());
    let twilio = [
        ("VESTIBULE_TWILIO_BASE_URL", base.as_str()),
        ("VESTIBULE_TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000001"),
        ("VESTIBULE_TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("VESTIBULE_TWILIO_FROM", "+12025550199"),
        ("VESTIBULE_SERVER_OUTBOUND_ALLOW", place.as_str()),
    ];
    let cluster = Cluster::start(&policy(r#""username", "mobile""#, "always", ""), &twilio).await.unwrap();
    cluster.sign_up(0, "ada", Some(ADA)).await.unwrap();
    refreshed_together(&cluster, &provider).await;
    proved_together(&cluster, &provider).await;
}

/// Gives the password; what then proves the second factor. `before`: how many codes were sent already.
async fn asked_for_a_code(cluster: &Cluster, provider: &Scripted, carry: &str, before: usize) -> Json {
    let codes = || -> Vec<String> {
        let bodies = provider.requests().into_iter().map(|request| request.body);
        let text =
            |body: String| body.split('&').find_map(|pair| Some(pair.strip_prefix("Body=")?.to_owned()));
        let code = |text: String| {
            text.split(|c: char| !c.is_ascii_digit()).find(|word| word.len() == 6).map(str::to_owned)
        };
        bodies.filter_map(text).filter_map(code).collect()
    };
    until("the codes before", BOUND, async || codes().len() == before).await;
    let mut wanted = sign_in_body("ada");
    wanted["session"] = json!(carry);
    let asked = cluster.post(1, path::SIGN_IN, &wanted).await.unwrap().must_be(200).unwrap();
    until("the code", BOUND, async || codes().len() == before + 1).await;
    json!({"challenge": asked.text("/challenge/id").unwrap(), "code": codes().last()})
}

/// Sixty-four use one refresh token at once, at all nodes.
async fn refreshed_together(cluster: &Cluster, provider: &Scripted) {
    let proof = asked_for_a_code(cluster, provider, "jwt", 1).await;
    let signed_in = cluster.post(2, path::VERIFY, &proof).await.unwrap().must_be(200).unwrap();
    let shown = json!({"refresh_token": signed_in.text("/refresh_token").unwrap()});
    let ask = request("POST", path::REFRESH, None, Some(&shown));
    let mut asking = JoinSet::new();
    for n in 0..64 {
        let (mut node, ask) = (cluster.to(n % NODES), ask.clone());
        asking.spawn(async move { node.send(&ask).await.unwrap().must_be(200).unwrap() });
    }
    let mut children = BTreeSet::new();
    let mut access = String::new();
    while let Some(answer) = asking.join_next().await {
        let answer = answer.unwrap();
        children.insert(answer.text("/refresh_token").unwrap());
        access = answer.text("/access_token").unwrap();
    }
    assert_eq!(children.len(), 1, "one new state of the family");
    assert!(all_say(cluster, &access, true).await, "no session lost");
    let next = json!({"refresh_token": children.first()});
    cluster.post(2, path::REFRESH, &next).await.unwrap().must_be(200).unwrap();
}

/// Sixty-four give one right code at once, at all nodes.
async fn proved_together(cluster: &Cluster, provider: &Scripted) {
    let proof = asked_for_a_code(cluster, provider, "bearer", 2).await;
    let ask = request("POST", path::VERIFY, None, Some(&proof));
    let mut asking = JoinSet::new();
    for n in 0..64 {
        let (mut node, ask) = (cluster.to(n % NODES), ask.clone());
        asking.spawn(async move { node.send(&ask).await.unwrap() });
    }
    let answers = asking.join_all().await;
    let opened: Vec<_> = answers.iter().filter(|answer| answer.text("/token").is_some()).collect();
    assert_eq!(opened.len(), 1, "exactly one");
    assert!(answers.iter().all(|answer| answer.status == 200 || (400..500).contains(&answer.status)));
    assert!(all_say(cluster, &opened[0].text("/token").unwrap(), true).await);
}

/// One that was merely unreachable has kept the numbers of before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nodes_counted_alone_counts_when_the_valkey_goes_on_with_what_it_had() {
    if left_out() {
        return;
    }
    let valkey = Valkey::start().await.unwrap();
    let node = || Shared::open(&SharedSettings { url: Secret::new(valkey.url()), nodes: 2 }).unwrap();
    let nodes = [node(), node()];
    let claim = |key: &str| Claim { key: key.to_owned(), limit: 6, window: Duration::from_secs(3_600) };
    let now = Clock::System.now();
    let taken = async |node: &Shared, key: &str, times: usize| {
        let mut taken = 0;
        for _ in 0..times {
            taken += usize::from(node.take_each(&[claim(key)], now).await.unwrap()[0].allowed);
        }
        taken
    };
    assert_eq!(taken(&nodes[0], "shared", 1).await, 1);
    valkey.hang().unwrap();
    assert_eq!([taken(&nodes[0], "shared", 6).await, taken(&nodes[1], "shared", 6).await], [2, 3]);
    valkey.go_on().unwrap();
    for node in &nodes {
        until("it counts again", BACK, async || node.health().await.is_some_and(|health| health.is_ok()))
            .await;
    }
    // The one that has used up its part is first; the other is told by the server.
    assert_eq!([taken(&nodes[1], "shared", 6).await, taken(&nodes[0], "shared", 6).await], [0, 0]);
    assert_eq!(taken(&node(), "shared", 6).await, 0, "nor does one that knows nothing start anew");
    // A budget that is made whole on purpose is whole for all, now that nobody counts alone.
    nodes[0].clear("shared", claim("shared").window).await;
    assert_eq!([taken(&nodes[1], "shared", 4).await, taken(&nodes[0], "shared", 4).await], [4, 2]);
}

/// What a node counted alone and has not told is part of what another one forgave; what it counts alone
/// afterwards is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_counted_alone_does_not_undo_that_the_budget_was_made_whole_since() {
    if left_out() {
        return;
    }
    let valkey = Valkey::start().await.unwrap();
    let node = || Shared::open(&SharedSettings { url: Secret::new(valkey.url()), nodes: 2 }).unwrap();
    let nodes = [node(), node()];
    let window = Duration::from_secs(30 * 24 * 60 * 60);
    let taken = async |node: &Shared, key: &str, times: usize| {
        let mut taken = 0;
        for _ in 0..times {
            let claim = Claim { key: key.to_owned(), limit: 6, window };
            taken += usize::from(node.take_each(&[claim], Clock::System.now()).await.unwrap()[0].allowed);
        }
        taken
    };
    nodes[1].clear("forgiven before", window).await;
    valkey.hang().unwrap();
    for key in ["forgiven", "forgiven before"] {
        assert_eq!(taken(&nodes[0], key, 2).await, 2, "{key}");
    }
    valkey.go_on().unwrap();
    for node in &nodes {
        until("it counts again", BACK, async || node.health().await.is_some_and(|health| health.is_ok()))
            .await;
    }
    nodes[1].clear("forgiven", window).await;
    assert_eq!([taken(&nodes[1], "forgiven", 1).await, taken(&nodes[0], "forgiven", 6).await], [1, 5]);
    assert_eq!(taken(&nodes[0], "forgiven before", 6).await, 2, "two of its part of three are four of six");
}

/// A Valkey that speaks TLS, with a certificate that only an authority of one's own vouches for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_are_kept_over_tls_only_where_the_certificate_is_vouched_for() {
    if left_out() {
        return;
    }
    let home = Scratch::new().unwrap();
    let file = |name: &str, text: String| {
        let path = home.path().join(name).display().to_string();
        std::fs::write(&path, text).unwrap();
        path
    };
    let authority = || {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    };
    let ((ours, issuer), (others, _)) = (authority(), authority());
    let [ours, others] = [file("ours.pem", ours), file("others.pem", others)];
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let port = free_address().unwrap().port();
    let words = [
        ("--tls-port", port.to_string()),
        ("--tls-cert-file", file("server.pem", certificate.pem())),
        ("--tls-key-file", file("server.key", key.serialize_pem())),
        ("--tls-auth-clients", "no".to_owned()),
    ];
    let words = words.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
    let valkey = Valkey::start_with(words).await.unwrap();

    let says = |url: String, trusted: &str| {
        let mut doctor = bare_vestibule(home.path());
        doctor.arg("doctor").env("VESTIBULE_SHARED", url).env("SSL_CERT_FILE", trusted);
        doctor.env("VESTIBULE_STORE", format!("sqlite:{}", home.path().join("none.db").display()));
        let told = String::from_utf8(doctor.output().unwrap().stdout).unwrap();
        let line = told.lines().find(|line| line.contains(" shared ")).unwrap_or_default().to_owned();
        (line.starts_with("ok "), line)
    };
    let (good, told) = says(format!("rediss://:secret@127.0.0.1:{port}/"), &ours);
    assert!(good, "{told}");
    for (what, url, trusted) in [
        ("another authority", format!("rediss://:secret@127.0.0.1:{port}/"), &others),
        ("nor when asked not to look", format!("rediss://:secret@127.0.0.1:{port}/#insecure"), &others),
        ("another name", format!("rediss://:secret@localhost:{port}/"), &ours),
        ("TLS is asked for and not spoken", valkey.url().replace("redis:", "rediss:"), &ours),
        ("TLS is spoken and not asked for", format!("redis://:secret@127.0.0.1:{port}/"), &ours),
    ] {
        let (good, told) = says(url, trusted);
        assert!(!good && told.contains("shared") && !told.contains("secret@"), "{what}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_hangs_or_forgets_ended_stays_ended_and_limits_stay_shut() {
    if left_out() {
        return;
    }
    let limits = "sign_in_identifier = { limit = 6, window = \"1h\" }";
    let mut cluster = Cluster::start(&policy(r#""username""#, "never", limits), &[]).await.unwrap();
    let eve = cluster.sign_up(0, "eve", None).await.unwrap();
    let tokens = cluster.sessions(eve, 2).await.unwrap();
    let [lives, ended] = [tokens[0].as_str(), tokens[1].as_str()];
    assert!(all_say(&cluster, lives, true).await && all_say(&cluster, ended, true).await);
    let out = request("POST", SIGN_OUT, Some(ended), Some(&json!({})));
    cluster.to(0).send(&out).await.unwrap().must_be(204).unwrap();
    until("refused everywhere", EVERYWHERE, async || all_say(&cluster, ended, false).await).await;
    assert!(figure(&cluster, 1, "vestibule_channel_words_total").await > Some(0.0));

    // From here to the end some write, and somebody tries what must not be let in.
    let load = Load::start(&cluster);
    let siege = Siege::start(&cluster, ended).await;
    let beside = Beside { load: &load, lives, ended };

    counted_together(&mut cluster, &beside).await;
    assert!(all_say(&cluster, ended, false).await && all_say(&cluster, lives, true).await);
    for node in 0..NODES {
        load.is_on().await;
        cluster.nodes[node].kill().unwrap();
        load.is_on().await;
        let start = Instant::now();
        cluster.again(node).await.unwrap();
        beside.back(&cluster, &format!("node {node} was killed and started"), start).await;
    }

    assert_eq!(figure(&cluster, 0, "vestibule_channel_up").await, Some(1.0));
    unheard(&cluster, eve).await;

    // PostgreSQL ends as in a crash and comes back.
    load.is_on().await;
    cluster.postgres.crash().unwrap();
    for node in 0..NODES {
        assert_ne!(counts(&mut cluster.to(node), ended).await, Some(true));
    }
    let (status, told) = health(&cluster, 0).await;
    assert_eq!((status, is_well(&told, "store"), is_well(&told, "shared")), (503, false, true), "{told}");
    cluster.postgres.again().await.unwrap();
    beside.back(&cluster, "PostgreSQL crashed and takes connections again", Instant::now()).await;

    // PostgreSQL hangs. What is kept is not believed for long, and nobody waits for ever.
    load.is_on().await;
    assert!(all_say(&cluster, lives, true).await);
    cluster.postgres.hang().unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let start = Instant::now();
    let ask = request("GET", path::AUTHENTICATED, Some(lives), None);
    let asking: Vec<_> = (0..30)
        .map(|n| {
            let (mut node, ask) = (cluster.to(n % NODES), ask.clone());
            async move { node.send(&ask).await.unwrap().status }
        })
        .collect();
    let statuses = futures_util::future::join_all(asking).await;
    let slowest = start.elapsed();
    told::figure(format_args!("three nodes: PostgreSQL hangs: 30 requests told so within {slowest:.1?}"));
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    assert!(slowest <= BOUND, "{slowest:?}");
    cluster.postgres.go_on().unwrap();
    beside.back(&cluster, "PostgreSQL hung and goes on", Instant::now()).await;

    load.is_on().await;
    siege.found_nothing(&cluster).await;
    load.must_be_kept(&cluster).await;
}

/// What goes on beside whatever happens, and what must be so after it.
struct Beside<'a> {
    load: &'a Load,
    lives: &'a str,
    ended: &'a str,
}

impl Beside<'_> {
    /// Waits until every node lets in who may and takes what is new. Ended has stayed ended.
    async fn back(&self, cluster: &Cluster, what: &str, since: Instant) {
        static NAMES: AtomicUsize = AtomicUsize::new(0);
        let serves = async || {
            for node in 0..NODES {
                let lives = counts(&mut cluster.to(node), self.lives).await == Some(true);
                let name = format!("new{}", NAMES.fetch_add(1, Ordering::SeqCst));
                let ask = json!({"username": name, "password": PASSWORD});
                let written = cluster.post(node, path::SIGN_UP, &ask).await;
                if !lives || written.ok().is_none_or(|answer| answer.status != 201) {
                    return false;
                }
            }
            true
        };
        until(what, BACK, serves).await;
        let back = since.elapsed();
        told::figure(format_args!("three nodes: service back {back:.1?} after: {what}"));
        assert!(back <= BACK, "{what}: {back:?}");
        assert!(all_say(cluster, self.ended, false).await, "{what}");
        self.load.is_on().await;
    }
}

/// Several who write at whatever node answers, whatever happens, and remember what was answered for.
struct Load {
    writers: JoinSet<Ledger>,
    kept: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Load {
    const WRITERS: usize = 4;
    /// So that there is room for what else is measured.
    const PAUSE: Duration = Duration::from_millis(50);

    fn start(cluster: &Cluster) -> Self {
        let nodes: Vec<_> = cluster.nodes.iter().map(|node| node.address).collect();
        let (kept, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut writers = JoinSet::new();
        for writer in 0..Self::WRITERS {
            let (nodes, kept, over) = (nodes.clone(), Arc::clone(&kept), Arc::clone(&over));
            let nodes = nodes.into_iter().map(Connection::new).collect();
            let writer = Writer { prefix: format!("w{writer}"), nodes, at: writer % NODES, kept };
            writers.spawn(writer.write(over));
        }
        Self { writers, kept, over }
    }

    /// Waits until some more was answered for: whatever happens next falls into it.
    async fn is_on(&self) {
        let kept = || self.kept.load(Ordering::SeqCst);
        let wanted = kept() + 2 * Self::WRITERS;
        until("some writes", BOUND, async || kept() >= wanted).await;
    }

    /// Stops, and finds all of it at whichever node.
    async fn must_be_kept(self, cluster: &Cluster) {
        self.over.store(true, Ordering::SeqCst);
        let mut all = Ledger::default();
        for ledger in self.writers.join_all().await {
            all.merge(ledger);
        }
        let promises = all.len();
        told::figure(format_args!(
            "three nodes: {promises} promises across all of it: {} users, {} sessions that live, {} that ended",
            all.users.len(),
            all.live.len(),
            all.ended.len()
        ));
        assert!(all.users.len() > 50 && all.live.len() > 20 && all.ended.len() > 20, "too light a load");
        let store = cluster.store().unwrap();
        let names = store.find(Query::<Identifier>::along(Identifier::BY_USER).limit(10_000)).await.unwrap();
        let names: BTreeSet<_> = names.items.iter().map(|name| name.value.as_str()).collect();
        for name in &all.users {
            assert!(names.contains(name.as_str()), "{name} is lost");
        }
        // A sign-in costs a hash: some will do, as all are there.
        all.users = all.users.iter().step_by(all.users.len() / 30 + 1).cloned().collect();
        for node in &cluster.nodes {
            let broken = broken_promises(node.address, &all).await.unwrap();
            assert!(broken.is_empty(), "{broken:#?}");
        }
    }
}

struct Writer {
    prefix: String,
    nodes: Vec<Connection>,
    at: usize,
    kept: Arc<AtomicUsize>,
}

impl Writer {
    /// Signs up, in and out.
    async fn write(mut self, over: Arc<AtomicBool>) -> Ledger {
        let mut ledger = Ledger::default();
        for number in 0.. {
            if over.load(Ordering::SeqCst) {
                break;
            }
            tokio::time::sleep(Load::PAUSE).await;
            let name = format!("{}n{number}", self.prefix);
            let body = json!({"username": name, "password": PASSWORD});
            let ask = request("POST", path::SIGN_UP, None, Some(&body));
            let Some(_) = self.ask(&ask, 201).await else { continue };
            ledger.users.push(name.clone());
            let ask = request("POST", path::SIGN_IN, None, Some(&sign_in_body(&name)));
            let Some(signed_in) = self.ask(&ask, 200).await else { continue };
            let token = signed_in.text("/token").unwrap();
            if number % 2 == 0 {
                ledger.live.push(token);
                continue;
            }
            // From here on its fate is open until the answer is there.
            let ask = request("POST", SIGN_OUT, Some(&token), Some(&json!({})));
            let Some(_) = self.ask(&ask, 204).await else { continue };
            assert_ne!(
                counts(&mut self.nodes[self.at], &token).await,
                Some(true),
                "let in where it has ended"
            );
            ledger.ended.push(token);
        }
        ledger
    }

    /// The answer, when it stands for something. None leaves open what became of it, and the next node is asked.
    async fn ask(&mut self, ask: &[u8], wanted: u16) -> Option<load::Answer> {
        match self.nodes[self.at].send(ask).await {
            Ok(answer) if answer.status == wanted => {
                self.kept.fetch_add(1, Ordering::SeqCst);
                return Some(answer);
            }
            // Whatever is away: what was answered for is there, and nobody is told that they may not.
            Ok(answer) => assert!(answer.status >= 500, "{} {}", answer.status, answer.json()),
            Err(_) => {}
        }
        self.at = (self.at + 1) % NODES;
        None
    }
}

/// Somebody who shows every node in turn, all the while, a session that has ended and passwords that are wrong.
struct Siege {
    trying: JoinHandle<[usize; 3]>,
    over: Arc<AtomicBool>,
}

impl Siege {
    async fn start(cluster: &Cluster, ended: &str) -> Self {
        assert_eq!(guessed(cluster, "besieged", 12).await, 6, "from here on no guess is left");
        let mut nodes: Vec<_> = (0..NODES).map(|node| cluster.to(node)).collect();
        let over = Arc::new(AtomicBool::new(false));
        let (ended, is_over) = (ended.to_owned(), Arc::clone(&over));
        let body = json!({"username": "besieged", "password": "not the one that it is"});
        let guess = request("POST", path::SIGN_IN, None, Some(&body));
        let trying = tokio::spawn(async move {
            let [mut let_in, mut judged, mut shut] = [0; 3];
            while !is_over.load(Ordering::SeqCst) {
                for node in &mut nodes {
                    let_in += usize::from(counts(node, &ended).await == Some(true));
                    let status = node.send(&guess).await.map_or(0, |answer| answer.status);
                    judged += usize::from(status == 401);
                    shut += usize::from(status == 429);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            [let_in, judged, shut]
        });
        Self { trying, over }
    }

    async fn found_nothing(self, cluster: &Cluster) {
        self.over.store(true, Ordering::SeqCst);
        let [let_in, judged, shut] = self.trying.await.unwrap();
        // A node that was started anew, and whose first question to the Valkey was not answered in time, has its part.
        let mut parts = 0;
        for node in 0..NODES {
            let alone = figure(cluster, node, "vestibule_shared_counted_alone_total").await;
            parts += usize::from(alone > Some(0.0)) * 6 / NODES;
        }
        told::figure(format_args!(
            "three nodes: all the while: {let_in} let in, {judged} guesses judged ({parts} at most), {shut} refused"
        ));
        assert!(let_in == 0 && judged <= parts && shut > 100);
    }
}

/// Wrong guesses at `name` that the nodes in turn let through, of `times`.
async fn guessed(cluster: &Cluster, name: &str, times: usize) -> usize {
    let mut judged = 0;
    for n in 0..times {
        let body = json!({"username": name, "password": "not the one that it is"});
        let answer = cluster.post(n % NODES, path::SIGN_IN, &body).await.unwrap();
        assert!([401, 429].contains(&answer.status), "{} {}", answer.status, answer.json());
        judged += usize::from(answer.status == 401);
    }
    judged
}

/// The counters of limits: shared, and never open.
async fn counted_together(cluster: &mut Cluster, beside: &Beside<'_>) {
    assert_eq!(guessed(cluster, "shared", 12).await, 6, "one budget for all nodes");
    beside.load.is_on().await;
    cluster.valkey.flush().unwrap();
    beside.back(cluster, "FLUSHALL", Instant::now()).await;
    assert_eq!(guessed(cluster, "shared", 6).await, 0, "each node remembers what it was told");

    beside.load.is_on().await;
    cluster.valkey.kill().unwrap();
    beside.back(cluster, "the Valkey was killed", Instant::now()).await;
    let start = Instant::now();
    assert_eq!(guessed(cluster, "shared", 6).await, 0, "and goes on from there");
    assert_eq!(guessed(cluster, "alone", 18).await, 6, "each has its third of what is new");
    told::figure(format_args!("three nodes: without a Valkey 24 requests took {:.1?}", start.elapsed()));
    let (status, told) = health(cluster, 1).await;
    assert_eq!((status, told["status"].as_str()), (200, Some("degraded")), "{told}");
    assert!(is_well(&told, "store") && !is_well(&told, "shared"));
    let told = cluster.doctor(1).await.unwrap();
    assert!(told.contains("bad   shared    the server of shared counters fails"), "{told}");
    assert!(!told.contains("secret@"), "{told}");
    assert!(figure(cluster, 1, "vestibule_shared_up").await == Some(0.0));
    assert!(figure(cluster, 1, "vestibule_shared_counted_alone_total").await > Some(0.0));

    cluster.valkey.again().await.unwrap();
    let told = cluster.doctor(1).await.unwrap();
    assert!(told.contains("ok    shared    The server of shared counters answers and counts."), "{told}");
    let shared = async |cluster: &Cluster| {
        let mut well = true;
        for node in 0..NODES {
            let metrics = cluster.to(node).send(&request("GET", "/health", None, None)).await.unwrap();
            well &= is_well(&metrics.json(), "shared");
        }
        well
    };
    let start = Instant::now();
    until("the Valkey is back", BACK, async || shared(cluster).await).await;
    beside.back(cluster, "the Valkey started again", start).await;
    assert_eq!(guessed(cluster, "shared", 6).await, 0, "an empty one is told");
    assert_eq!(guessed(cluster, "alone", 6).await, 0);
    assert_eq!(guessed(cluster, "later", 12).await, 6, "and counts for all again");

    // One that hangs costs each asker a bounded time, and nobody after the first.
    cluster.valkey.hang().unwrap();
    let start = Instant::now();
    assert_eq!(guessed(cluster, "hung", 18).await, 6);
    told::figure(format_args!("three nodes: while it hung 18 requests took {:.1?}", start.elapsed()));
    cluster.valkey.go_on().unwrap();
    until("the Valkey goes on", BACK, async || shared(cluster).await).await;
    assert_eq!(guessed(cluster, "hung", 6).await, 0, "and each tells it what it has counted");
}

/// Word does not come in any more, although the database answers.
async fn unheard(cluster: &Cluster, user: uuid::Uuid) {
    let tokens = cluster.sessions(user, 6).await.unwrap();
    let hears = async || cluster.postgres.listeners().await.unwrap().len() == NODES;
    for token in &tokens {
        assert!(all_say(cluster, token, true).await);
    }
    until("every node listens", BACK, hears).await;
    // A node that nobody asks for anything is well all the same.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(figure(cluster, 1, "vestibule_channel_up").await, Some(1.0));
    let listeners = cluster.postgres.listeners().await.unwrap();
    cluster.postgres.silence(&listeners).unwrap();
    let mut slowest = Duration::ZERO;
    for token in &tokens {
        let out = request("POST", SIGN_OUT, Some(token), Some(&json!({})));
        cluster.to(0).send(&out).await.unwrap().must_be(204).unwrap();
        let over =
            until("refused without a word", EVERYWHERE, async || all_say(cluster, token, false).await).await;
        slowest = slowest.max(over);
    }
    assert_eq!(figure(cluster, 1, "vestibule_channel_up").await, Some(0.0));
    told::figure(format_args!("three nodes: without a word over elsewhere after {slowest:.0?} at most"));
    assert!(slowest > Duration::from_millis(50), "it was kept before, and nobody was told");
    cluster.postgres.go_on().unwrap();
    until("every node listens again", BACK, hears).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_that_start_together_migrate_once() {
    let place = crate::place::Place::new().await;
    let home = Scratch::new().unwrap();
    let start = Instant::now();
    let migrating: Vec<_> = (0..10)
        .map(|_| {
            let mut command = bare_vestibule(home.path());
            command.arg("migrate").env("VESTIBULE_STORE", &place.url);
            tokio::process::Command::from(command).output()
        })
        .collect();
    let mut did = 0;
    for output in futures_util::future::join_all(migrating).await {
        let output = output.unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        did += usize::from(told.contains("0001_ground"));
    }
    told::figure(format_args!("three nodes: ten migrated together in {:.1?}", start.elapsed()));
    assert_eq!(did, 1, "one did it, nine waited");
}

/// PostgreSQL alone has roles.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_not_change_the_schema_serves_and_does_not_migrate() {
    if std::env::var("VESTIBULE_TEST_STORE").as_deref() != Ok("postgres") {
        return;
    }
    let place = crate::place::Place::new().await;
    let home = Scratch::new().unwrap();
    let role = format!("vestibule_serves_{}", std::process::id());
    // What docs/operations.md gives to it.
    let grants = format!(
        "CREATE ROLE {role}; DO $$ BEGIN \
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', current_schema()); \
            EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I \
                GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}', current_schema()); \
        END $$"
    );
    place.by_hand(&grants).await;
    let serving = format!("{}%20-crole%3D{role}", place.url);
    let migrate = |url: &str| {
        let mut command = bare_vestibule(home.path());
        command.arg("migrate").env("VESTIBULE_STORE", url);
        tokio::process::Command::from(command).output()
    };
    let refused = migrate(&serving).await.unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("permission denied"), "{told}");
    assert!(migrate(&place.url).await.unwrap().status.success());
    for output in futures_util::future::join_all((0..10).map(|_| migrate(&serving))).await {
        let output = output.unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("Nothing to do."), "{told}{}", String::from_utf8_lossy(&output.stderr));
    }
    let key = vestibule::secret::Keyring::generate("test", &vestibule::random::Random::System);
    let settings = [
        ("VESTIBULE_ORIGIN", "http://127.0.0.1:1"),
        ("VESTIBULE_STORE", serving.as_str()),
        ("VESTIBULE_SECRETS_KEYS", key.expose()),
    ];
    let policy = policy(r#""username""#, "never", "");
    let node = server::Process::node(home.path(), &policy, &settings).await.unwrap();
    let ada = json!({"username": "ada", "password": PASSWORD});
    node.ask("POST", path::SIGN_UP, None, Some(&ada)).await.unwrap().must_be(201).unwrap();
    node.ask("POST", path::SIGN_IN, None, Some(&sign_in_body("ada"))).await.unwrap().must_be(200).unwrap();
    drop(node);
    place.by_hand(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_works_beside_the_next_release_and_not_on_what_it_does_not_understand() {
    let place = crate::place::Place::new().await;
    let home = Scratch::new().unwrap();
    let key = vestibule::secret::Keyring::generate("test", &vestibule::random::Random::System);
    let settings = [
        ("VESTIBULE_ORIGIN", "http://127.0.0.1:1"),
        ("VESTIBULE_STORE", place.url.as_str()),
        ("VESTIBULE_SECRETS_KEYS", key.expose()),
    ];
    let policy = policy(r#""username""#, "never", "");
    let mut node = server::Process::node(home.path(), &policy, &settings).await.unwrap();
    let ada = json!({"username": "ada", "password": PASSWORD});
    node.ask("POST", path::SIGN_UP, None, Some(&ada)).await.unwrap().must_be(201).unwrap();

    // What the next release adds while this one serves, and what this one finds when it starts again.
    let add = "ALTER TABLE users ADD COLUMN shoes bigint; CREATE TABLE hats (id text); \
        INSERT INTO schema_migrations (version, name, checksum, needs, applied_at) \
        VALUES (2, '0002_hats', 'abc', 1, '2030-01-01T00:00:00Z')";
    // SQLite's schema has no type of that name in a strict table.
    place
        .by_hand(&if place.url.starts_with("sqlite:") {
            add.replace("bigint", "INTEGER")
        } else {
            add.into()
        })
        .await;
    let works = async |node: &server::Process, name: &str| {
        let signed_in = node.ask("POST", path::SIGN_IN, None, Some(&sign_in_body("ada"))).await.unwrap();
        let token = signed_in.must_be(200).unwrap().text("/token").unwrap();
        let body = json!({"name": "Ada"});
        node.ask("PATCH", "/api/v1/users/me", Some(&token), Some(&body)).await.unwrap().must_be(200).unwrap();
        let body = json!({"username": name, "password": PASSWORD});
        node.ask("POST", path::SIGN_UP, None, Some(&body)).await.unwrap().must_be(201).unwrap();
    };
    works(&node, "bob").await;
    node.kill().unwrap();
    node.node_again(home.path(), &settings).await.unwrap();
    works(&node, "carol").await;
    let mut doctor = bare_vestibule(home.path());
    doctor.arg("doctor").envs(settings).env("VESTIBULE_POLICY", home.path().join("policy.toml"));
    let told = tokio::process::Command::from(doctor).output().await.unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("has the shape that this program expects"), "{told}");

    // What the release after that takes away.
    node.kill().unwrap();
    place.by_hand("UPDATE schema_migrations SET needs = 2 WHERE version = 2").await;
    let refused = node.node_again(home.path(), &settings).await.unwrap_err().to_string();
    let sentence = "The database was not migrated: the database has migration 0002_hats, after which programs must \
        know migration 2, and this one knows 1 at most";
    assert!(refused.contains(sentence), "{refused}");
}
