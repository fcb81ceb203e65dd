//! Three nodes over a PostgreSQL and a Valkey: how soon what ends on one has ended on all, how soon they
//! are back after something was away, and what it costs to tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use uuid::Uuid;
use vestibule::app::Moment;
use vestibule::audit::{What, note};
use vestibule::clock::Clock;
use vestibule::random::Random;
use vestibule::sessions::Session;
use vestibule::store::{Change, Entity, Query, Seen, Store};

use crate::cluster::{Cluster, Ended, NODES, ORIGIN, counts, end_each, percentile, policy};
use crate::revocations::{Offline, USERS};
use crate::server::Res;
use crate::table::{Aim, Table, Turns, Unit, median};
use crate::{Extent, TURNS};

/// Sessions that are ended, and how often each is asked for afterwards where it ended.
const CREDENTIALS: usize = 1_000;
const AGAIN: usize = 100;
/// Ends at once.
const AT_ONCE: usize = 4;
/// Writers at once.
const WRITERS: usize = 32;

/// Measures all of it.
pub async fn measure(extent: Extent, table: &mut Table) -> Res<()> {
    vestibule::tls::install_crypto();
    let mut cluster = Cluster::start(&policy(r#""username""#, "never", ""), &[]).await?;
    let user = cluster.sign_up(0, "load", None).await?;
    ended(&cluster, user, table).await?;
    offline(&cluster, table).await?;
    back(&mut cluster, user, table).await?;
    words(&cluster, user, extent, table).await
}

async fn ended(cluster: &Cluster, user: Uuid, table: &mut Table) -> Res<()> {
    let tokens = cluster.sessions(user, CREDENTIALS).await?;
    let addresses: Vec<_> = cluster.nodes.iter().map(|node| node.address).collect();
    let mut ends = JoinSet::new();
    for (part, tokens) in tokens.chunks(CREDENTIALS / AT_ONCE).enumerate() {
        let (mut addresses, tokens) = (addresses.clone(), tokens.to_vec());
        addresses.rotate_left(part % NODES);
        ends.spawn(async move { end_each(&addresses, &tokens, AGAIN, None).await });
    }
    let mut ended = Ended::default();
    while let Some(part) = ends.join_next().await {
        ended.merge(part??);
    }
    let accepted = ended.accepted as f64;
    table.figure(
        "let in where it has ended, of 100,000",
        Unit::Count,
        accepted,
        ended.asked as f64,
        Aim::AtMost(0.0),
    );
    for (name, part) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("at most", 1.0)] {
        let name = format!("refused by the other nodes after, {name} ÷ 1 s");
        table.figure(
            &name,
            Unit::Time,
            percentile(&mut ended.until, part).as_secs_f64(),
            1.0,
            Aim::AtMost(1.0),
        );
    }
    Ok(())
}

/// A service that follows the third node, while sessions end on the first.
async fn offline(cluster: &Cluster, table: &mut Table) -> Res<()> {
    let users: Vec<_> = (0..USERS).map(|number| format!("elsewhere{number}")).collect();
    for user in &users {
        cluster.sign_up(0, user, None).await?;
    }
    let account = cluster.says(0, &["service-accounts", "add", "bench"]).await?;
    let words = ["service-accounts", "key", &account, "first", "--scopes", "revocations.read"];
    let offline = Offline {
        issuer: ORIGIN.to_owned(),
        key: cluster.says(0, &words).await?,
        users,
        ends: cluster.nodes[0].address,
        follows: cluster.nodes[NODES - 1].address,
    };
    offline.figures("refused by a service that follows another node after", table).await
}

/// Until every node lets a session in that has not ended.
async fn until_back(cluster: &Cluster, token: &str) -> Res<f64> {
    let start = Instant::now();
    for node in 0..NODES {
        let mut connection = cluster.to(node);
        while counts(&mut connection, token).await != Some(true) {
            if start.elapsed() > Duration::from_secs(30) {
                return Err("a node is not back".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(start.elapsed().as_secs_f64())
}

async fn back(cluster: &mut Cluster, user: Uuid, table: &mut Table) -> Res<()> {
    let token = cluster.sessions(user, 1).await?.pop().ok_or("no session")?;
    let token = token.as_str();
    until_back(cluster, token).await?;
    let mut say = |name: &str, seconds: f64| {
        table.figure(&format!("back after {name} ÷ 3 s"), Unit::Time, seconds, 3.0, Aim::AtMost(1.0));
    };
    cluster.nodes[1].kill()?;
    let start = Instant::now();
    cluster.again(1).await?;
    until_back(cluster, token).await?;
    say("kill -9 of a node and its start", start.elapsed().as_secs_f64());
    cluster.valkey.flush()?;
    say("FLUSHALL", until_back(cluster, token).await?);
    cluster.valkey.kill()?;
    say("the Valkey was killed (limits by part)", until_back(cluster, token).await?);
    cluster.valkey.again().await?;
    cluster.postgres.crash()?;
    cluster.postgres.again().await?;
    say("PostgreSQL's crash and start", until_back(cluster, token).await?);
    cluster.postgres.hang()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    cluster.postgres.go_on()?;
    say("PostgreSQL hung for 2 s", until_back(cluster, token).await?);
    Ok(())
}

/// Commits a second of many writers, each of which changes a record of its own again and again.
async fn commits<T: Entity>(
    store: &Arc<Store>,
    keys: &[T::Key],
    duration: Duration,
    change: fn(&mut T),
) -> Res<f64>
where
    T::Key: Clone + Send + 'static,
{
    let (start, sum) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for key in keys {
        let (store, key, sum) = (Arc::clone(store), key.clone(), Arc::clone(&sum));
        writers.spawn(async move {
            while start.elapsed() < duration {
                let seen: Seen<T> = store.get(key.clone()).await?.ok_or("it is gone")?;
                store.commit(vec![Change::update(&seen.with(change))]).await?;
                sum.fetch_add(1, Ordering::Relaxed);
            }
            Res::Ok(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    Ok(sum.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64())
}

/// What it costs that a commit tells: PostgreSQL lets those that do go one after the other.
async fn words(cluster: &Cluster, user: Uuid, extent: Extent, table: &mut Table) -> Res<()> {
    let store = Arc::new(cluster.store()?);
    cluster.sessions(user, WRITERS).await?;
    let query = Query::<Session>::along(Session::BY_USER).equal(user).descending().limit(WRITERS);
    let sessions: Vec<_> = store.find(query).await?.items.iter().map(|session| session.id).collect();
    let mut events = Vec::new();
    for _ in 0..WRITERS {
        let moment = Moment::new(Clock::System.now(), Random::System.seed());
        let event = note(What::SignedIn).user(user).at(&moment);
        store.commit(vec![Change::insert(&event)]).await?;
        events.push(event.id);
    }
    let quiet = || {
        commits::<vestibule::audit::Event>(&store, &events, extent.stretch, |event| {
            event.address = Some("192.0.2.1".to_owned());
        })
    };
    let mut turns = Turns::default();
    turns.limits.push(quiet().await?);
    for _ in 0..TURNS {
        let telling = commits::<Session>(&store, &sessions, extent.stretch, |session| {
            session.generation = session.generation.wrapping_add(1);
        });
        turns.measured.push(telling.await?);
        turns.limits.push(quiet().await?);
    }
    let (measured, limit) = (median(&turns.measured), median(&turns.limits));
    let name = format!("commits of {WRITERS} writers that tell ÷ that do not");
    table.figure_with_ratio(&name, Unit::Rate, measured, limit, turns.ratio(), Aim::Known);
    Ok(())
}
