//! Three nodes, as in production, over a PostgreSQL and a Valkey of our own: what has ended on one has
//! ended on all, whatever is killed, hangs or forgets in between.
//!
//! Needs a Valkey or Redis, named in `VESTIBULE_TEST_VALKEY`, and PostgreSQL's programs; `scripts/test`
//! sees to both. Real processes and real signals: the clock is the machine's here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

#[path = "../../benches/figures/beside.rs"]
mod beside;
#[path = "../../benches/figures/cluster.rs"]
mod cluster;

// Where the two above find them, as in the benches.
use crate::kill::{load, server};

use crate::scripted::{Reply, Scripted};
use crate::told;
use beside::Valkey;
use cluster::{Cluster, NODES, SIGN_OUT, counts, end_each, policy};
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
async fn what_ends_on_one_node_ends_on_all_and_what_is_used_once_is_used_once() {
    const CREDENTIALS: usize = 150;
    const AGAIN: u64 = 30;
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
    let start = Instant::now();
    let cluster = Cluster::start(&policy(r#""username", "mobile""#, "always", ""), &twilio).await.unwrap();
    told::figure(format_args!("three nodes over an empty database: ready after {:.0?}", start.elapsed()));
    let addresses: Vec<_> = cluster.nodes.iter().map(|node| node.address).collect();

    // Each node ends a third, two at once.
    let ada = cluster.sign_up(0, "ada", Some(ADA)).await.unwrap();
    let tokens = cluster.sessions(ada, CREDENTIALS).await.unwrap();
    let mut ends = JoinSet::new();
    for (part, tokens) in tokens.chunks(CREDENTIALS / NODES).enumerate() {
        let (mut addresses, tokens) = (addresses.clone(), tokens.to_vec());
        addresses.rotate_left(part);
        ends.spawn(async move { end_each(&addresses, &tokens, AGAIN).await });
    }
    let mut ended = cluster::Ended::default();
    while let Some(part) = ends.join_next().await {
        ended.merge(part.unwrap().unwrap());
    }
    let [half, most, nearly_all, all] = [0.5, 0.99, 0.999, 1.0].map(|part| ended.percentile(part));
    told::figure(format_args!(
        "three nodes: ended credentials asked for {} times where they ended, {} accepted; elsewhere over after \
         {half:.1?} (p50), {most:.1?} (p99), {nearly_all:.1?} (p99.9)",
        ended.asked, ended.accepted
    ));
    assert_eq!((ended.asked, ended.accepted), (CREDENTIALS as u64 * AGAIN, 0));
    assert!(all <= EVERYWHERE);
    // So fast that it was the word which did it, not the end of trust.
    assert!(half < Duration::from_millis(250));

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
    let [lives, ended] = [&tokens[0], &tokens[1]];
    assert!(all_say(&cluster, lives, true).await && all_say(&cluster, ended, true).await);
    let out = request("POST", SIGN_OUT, Some(ended), Some(&json!({})));
    cluster.to(0).send(&out).await.unwrap().must_be(204).unwrap();
    until("refused everywhere", EVERYWHERE, async || all_say(&cluster, ended, false).await).await;
    assert!(figure(&cluster, 1, "vestibule_channel_words_total").await > Some(0.0));

    counted_together(&mut cluster).await;
    assert!(all_say(&cluster, ended, false).await && all_say(&cluster, lives, true).await);
    killed(&mut cluster).await;
    assert!(all_say(&cluster, ended, false).await && all_say(&cluster, lives, true).await);

    assert_eq!(figure(&cluster, 0, "vestibule_channel_up").await, Some(1.0));
    unheard(&cluster, eve).await;

    // PostgreSQL ends as in a crash and comes back.
    cluster.postgres.crash().unwrap();
    for node in 0..NODES {
        assert_ne!(counts(&mut cluster.to(node), ended).await, Some(true));
    }
    let (status, told) = health(&cluster, 0).await;
    assert_eq!((status, is_well(&told, "store"), is_well(&told, "shared")), (503, false, true), "{told}");
    cluster.postgres.again().await.unwrap();
    let back =
        until("back after PostgreSQL's restart", BACK, async || all_say(&cluster, lives, true).await).await;
    told::figure(format_args!("three nodes: back {back:.0?} after PostgreSQL's restart"));
    assert!(all_say(&cluster, ended, false).await);

    // PostgreSQL hangs. What is kept is not believed for long, and nobody waits for ever.
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
    told::figure(format_args!("three nodes: PostgreSQL hangs, 30 requests are told so within {slowest:.1?}"));
    assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
    assert!(slowest <= BOUND, "{slowest:?}");
    cluster.postgres.go_on().unwrap();
    let back = until("back after PostgreSQL hung", BACK, async || all_say(&cluster, lives, true).await).await;
    told::figure(format_args!("three nodes: back {back:.0?} after PostgreSQL hung"));
    assert!(all_say(&cluster, ended, false).await);
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
async fn counted_together(cluster: &mut Cluster) {
    assert_eq!(guessed(cluster, "shared", 12).await, 6, "one budget for all nodes");
    cluster.valkey.flush().unwrap();
    assert_eq!(guessed(cluster, "shared", 6).await, 0, "each node remembers what it was told");

    cluster.valkey.kill().unwrap();
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
    let back = until("the Valkey is back", BACK, async || shared(cluster).await).await;
    told::figure(format_args!("three nodes: back {back:.0?} after the Valkey's restart"));
    assert_eq!(guessed(cluster, "shared", 6).await, 0, "an empty one is told");
    assert_eq!(guessed(cluster, "alone", 6).await, 0);
    assert_eq!(guessed(cluster, "later", 12).await, 6, "and counts for all again");

    // One that hangs costs each asker a bounded time, and nobody after the first.
    cluster.valkey.hang().unwrap();
    let start = Instant::now();
    assert_eq!(guessed(cluster, "hung", 18).await, 6);
    told::figure(format_args!("three nodes: while the Valkey hung 18 requests took {:.1?}", start.elapsed()));
    cluster.valkey.go_on().unwrap();
    until("the Valkey goes on", BACK, async || shared(cluster).await).await;
}

/// Word does not come in any more, although the database answers.
async fn unheard(cluster: &Cluster, user: uuid::Uuid) {
    let tokens = cluster.sessions(user, 6).await.unwrap();
    let hears = async || cluster.postgres.listeners().await.unwrap().len() == NODES;
    for token in &tokens {
        assert!(all_say(cluster, token, true).await);
    }
    until("every node listens", BACK, hears).await;
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

/// Each node is killed while it writes; what it has answered for stands.
async fn killed(cluster: &mut Cluster) {
    for node in 0..NODES {
        let address = cluster.nodes[node].address;
        let written = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&written);
        let writer = tokio::spawn(async move {
            let (mut connection, mut promised) = (Connection::new(address), Vec::new());
            for n in 0.. {
                let name = format!("w{node}n{n}");
                let body = json!({"username": name, "password": PASSWORD});
                let ask = request("POST", path::SIGN_UP, None, Some(&body));
                let Ok(answer) = connection.send(&ask).await else { break };
                answer.must_be(201).unwrap();
                promised.push(name);
                counted.store(promised.len(), Ordering::SeqCst);
            }
            promised
        });
        until("some writes", BOUND, async || written.load(Ordering::SeqCst) >= 8).await;
        cluster.nodes[node].kill().unwrap();
        let promised = writer.await.unwrap();
        for name in &promised {
            let signed_in =
                cluster.post((node + 1) % NODES, path::SIGN_IN, &sign_in_body(name)).await.unwrap();
            assert_eq!(signed_in.text("/status").as_deref(), Some("signed_in"), "{name} is lost");
        }
        cluster.again(node).await.unwrap();
        told::figure(format_args!(
            "node {node} killed: {} promises kept, ready {:.0?} after its start",
            promised.len(),
            cluster.nodes[node].ready_after
        ));
        assert!(cluster.nodes[node].ready_after <= BACK);
    }
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
    told::figure(format_args!("ten nodes that start together migrate in {:.1?}", start.elapsed()));
    assert_eq!(did, 1, "one did it, nine waited");
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
