//! One contract for every engine. PostgreSQL takes part when `VESTIBULE_TEST_POSTGRES` holds its URL.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;
use vestibule::clock::Timestamp;
use vestibule::random::Random;
use vestibule::store::migrations::{self, Migration, Migrations, Refusal};
use vestibule::store::{
    Change, Cursor, Engine, Entity, Faults, Memory, Query, Seen, Store, StoreError, schema,
};

use crate::nodes::beside::Postgres;

vestibule::entity! {
    /// One of everything.
    pub struct Specimen in "specimens" {
        id: Uuid,
        label: String,
        note: Option<String>,
        count: i64,
        rank: Option<i64>,
        small: u32,
        flag: bool,
        maybe_flag: Option<bool>,
        at: Timestamp,
        owner: Option<Uuid>,
        raw: Vec<u8>,
        maybe_raw: Option<Vec<u8>>,
        doc: Json,
        maybe_doc: Option<Json>,
        expires_at: Option<Timestamp>,
        due_at: Option<Timestamp>,
    }
    unique BY_NOTE (note);
    index BY_LABEL (label, count);
    index BY_RANK (label, rank);
    index BY_EXPIRY (expires_at);
    sparse BY_DUE (due_at);
    expires expires_at;
    due due_at;
}

vestibule::entity! {
    /// A counter with a word for its key; the columns' names are words of SQL.
    pub struct Tally in "tallies" {
        name: String,
        order: i64,
    }
}

vestibule::entity! {
    /// The same table as somebody misremembers it.
    pub struct Mistaken in "tallies" {
        name: String,
        order: String,
    }
}

const SQLITE: &str = r#"
    CREATE TABLE specimens (
        id TEXT NOT NULL PRIMARY KEY, label TEXT NOT NULL, note TEXT, count INTEGER NOT NULL, rank INTEGER,
        small INTEGER NOT NULL, flag INTEGER NOT NULL, maybe_flag INTEGER, at TEXT NOT NULL, owner TEXT,
        raw BLOB NOT NULL, maybe_raw BLOB, doc TEXT NOT NULL, maybe_doc TEXT, expires_at TEXT, due_at TEXT,
        revision INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX specimens_note ON specimens (note);
    CREATE INDEX specimens_label ON specimens (label, count);
    CREATE INDEX specimens_rank ON specimens (label, rank);
    CREATE INDEX specimens_due ON specimens (due_at) WHERE due_at IS NOT NULL;
    CREATE INDEX specimens_expiry ON specimens (expires_at);
    CREATE TABLE tallies (name TEXT NOT NULL PRIMARY KEY, "order" INTEGER NOT NULL, revision INTEGER NOT NULL) STRICT;
"#;

const POSTGRES: &str = r#"
    CREATE TABLE specimens (
        id uuid PRIMARY KEY, label text COLLATE "C" NOT NULL, note text COLLATE "C", count bigint NOT NULL,
        rank bigint, small bigint NOT NULL, flag boolean NOT NULL, maybe_flag boolean, at timestamptz NOT NULL,
        owner uuid, raw bytea NOT NULL, maybe_raw bytea, doc jsonb NOT NULL, maybe_doc jsonb,
        expires_at timestamptz, due_at timestamptz, revision bigint NOT NULL
    );
    CREATE UNIQUE INDEX specimens_note ON specimens (note);
    CREATE INDEX specimens_label ON specimens (label, count);
    CREATE INDEX specimens_rank ON specimens (label, rank);
    CREATE INDEX specimens_due ON specimens (due_at) WHERE due_at IS NOT NULL;
    CREATE INDEX specimens_expiry ON specimens (expires_at);
    CREATE TABLE tallies (name text COLLATE "C" PRIMARY KEY, "order" bigint NOT NULL, revision bigint NOT NULL);
"#;

// ---- the ground that a test stands on ----

/// A fresh database, gone when the test is over.
enum Place {
    Memory,
    File(PathBuf),
    Schema { server: String, name: String },
}

struct Ground {
    place: Place,
    store: Store,
}

impl std::ops::Deref for Ground {
    type Target = Store;
    fn deref(&self) -> &Store {
        &self.store
    }
}

fn fresh() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("vestibule_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn open(url: &str) -> Engine {
    Engine::open(url, 8).unwrap()
}

impl Place {
    fn file() -> Self {
        Self::File(std::env::temp_dir().join(fresh()).join("deep").join("records.db"))
    }

    async fn schema() -> Option<Self> {
        let server = std::env::var("VESTIBULE_TEST_POSTGRES").ok()?;
        let name = fresh();
        let place = Self::Schema { server, name: name.clone() };
        place.run(&format!("CREATE SCHEMA {name}")).await;
        Some(place)
    }

    fn url(&self) -> String {
        match self {
            Self::Memory => String::new(),
            Self::File(path) => format!("sqlite:{}", path.display()),
            Self::Schema { server, name } => {
                let joint = if server.contains('?') { '&' } else { '?' };
                format!("{server}{joint}options=-csearch_path%3D{name}")
            }
        }
    }

    fn engine(&self) -> Engine {
        match self {
            Self::Memory => Engine::Memory(Memory::new(Faults::default())),
            _ => open(&self.url()),
        }
    }

    /// Runs statements past the store.
    async fn run(&self, text: &str) {
        match self {
            Self::Memory => {}
            Self::File(path) => rusqlite::Connection::open(path).unwrap().execute_batch(text).unwrap(),
            Self::Schema { name, .. } => {
                let client = self.client().await;
                client.batch_execute(&format!("SET search_path = {name}; {text}")).await.unwrap();
            }
        }
    }

    async fn client(&self) -> tokio_postgres::Client {
        let Self::Schema { server, .. } = self else { panic!("not a server") };
        let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await.unwrap();
        // Ends when the client is dropped.
        tokio::runtime::Handle::current().spawn(connection);
        client
    }

    async fn end(self) {
        match &self {
            Self::Memory => {}
            Self::File(path) => {
                std::fs::remove_dir_all(path.parent().unwrap().parent().unwrap()).unwrap();
            }
            Self::Schema { name, .. } => self.run(&format!("DROP SCHEMA {name} CASCADE")).await,
        }
    }
}

impl Ground {
    async fn over(place: Place) -> Self {
        let store = Store::new(place.engine(), Random::System);
        place.run(if matches!(place, Place::File(_)) { SQLITE } else { POSTGRES }).await;
        Self { place, store }
    }

    async fn end(self) {
        drop(self.store);
        self.place.end().await;
    }
}

macro_rules! contract {
    ($($name:ident)+) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let ground = super::Ground::over(super::Place::file()).await;
                super::$name(&ground).await;
                ground.end().await;
            }
        )+}
        mod on_memory {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let ground = super::Ground::over(super::Place::Memory).await;
                super::$name(&ground).await;
                ground.end().await;
            }
        )+}
        mod on_postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let Some(place) = super::Place::schema().await else { return };
                let ground = super::Ground::over(place).await;
                super::$name(&ground).await;
                ground.end().await;
            }
        )+}
    };
}

contract! {
    every_kind_reads_back_as_it_was_written
    what_no_engine_could_hold_is_refused_by_all
    inserting_what_exists_is_a_conflict
    what_has_changed_since_cannot_be_changed_deleted_or_required
    a_conflict_leaves_nothing_of_its_commit
    a_record_made_anew_is_not_the_one_that_was_seen
    a_unique_value_belongs_to_one_record_and_nothing_to_any_number
    one_commit_changes_a_record_once
    searches_that_make_no_sense_are_refused
    pages_follow_each_other_through_ties_and_nulls
    searches_agree_with_a_model
    of_many_deciders_one_wins
    many_increments_all_count
    crossing_commits_never_wait_in_a_circle
    sweeping_takes_what_expired_and_no_more_than_asked
    a_caller_that_goes_away_leaves_a_whole_commit_or_none
    what_was_required_stands_until_the_commit
}

// ---- helpers ----

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_893_456_000_000 + seconds * 1_000)
}

fn specimen(id: u128) -> Specimen {
    Specimen {
        id: Uuid::from_u128(id),
        label: "plain".into(),
        note: None,
        count: 0,
        rank: None,
        small: 0,
        flag: false,
        maybe_flag: None,
        at: at(0),
        owner: None,
        raw: Vec::new(),
        maybe_raw: None,
        doc: Json::Null,
        maybe_doc: None,
        expires_at: None,
        due_at: None,
    }
}

fn tally(name: &str) -> Tally {
    Tally { name: name.into(), order: 0 }
}

async fn put(store: &Store, record: &impl Entity) {
    store.commit(vec![Change::insert(record)]).await.unwrap();
}

async fn see<T: Entity>(store: &Store, key: T::Key) -> Seen<T> {
    store.get(key).await.unwrap().unwrap()
}

fn raised(seen: Seen<Tally>) -> Change {
    Change::update(&seen.with(|tally| tally.order += 1))
}

fn is_conflict(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}

fn is_misuse<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Misuse(_)))
}

// ---- the contract ----

/// Floats at the edges, as somebody sends them: the largest, as which "unlimited" is written, and the smallest.
const FLOATS: &str = "[1.7976931348623157e+308,-1.7976931348623157e+308,1e+300,5e-324,0.20771071430121502]";

async fn every_kind_reads_back_as_it_was_written(store: &Store) {
    let floats: Json = serde_json::from_str(FLOATS).unwrap();
    assert_eq!(floats.to_string(), FLOATS, "read as they are written");
    let full = Specimen {
        id: Uuid::from_u128(u128::MAX),
        label: "Grüße, 世界 🦀 \u{1} 'quoted' \"twice\" $1 \\ %".into(),
        note: Some(String::new()),
        count: i64::MAX,
        rank: Some(i64::MIN),
        small: u32::MAX,
        flag: true,
        maybe_flag: Some(false),
        at: Timestamp::from_millis(-1),
        owner: Some(Uuid::nil()),
        raw: (0..=255).collect(),
        maybe_raw: Some(Vec::new()),
        doc: json!({"ä": [1, -2.5, null, true, {"deep": "\u{7f}"}], "": {}, "big": i64::MAX}),
        maybe_doc: Some(floats),
        expires_at: Some("0000-01-01T00:00:00.000Z".parse().unwrap()),
        due_at: Some(Timestamp::from_millis(253_402_207_200_000)),
    };
    let empty = specimen(0);
    for record in [full, empty] {
        put(store, &record).await;
        let seen = see::<Specimen>(store, record.id).await;
        assert_eq!(seen.to_values(), record.to_values());

        let turned = seen.with(|record| {
            record.flag = !record.flag;
            record.owner = record.owner.is_none().then(Uuid::nil);
        });
        store.commit(vec![Change::update(&turned)]).await.unwrap();
        assert_eq!(see::<Specimen>(store, record.id).await.to_values(), turned.to_values());
    }
    assert!(store.get::<Specimen>(Uuid::from_u128(7)).await.unwrap().is_none());
    store.health().await.unwrap();
}

async fn what_no_engine_could_hold_is_refused_by_all(store: &Store) {
    let nul = Specimen { label: "a\0b".into(), ..specimen(1) };
    let nul_inside = Specimen { doc: json!([{"a": "\0"}]), ..specimen(1) };
    let far = Specimen { at: Timestamp::from_millis(i64::MAX), ..specimen(1) };
    for record in [nul, nul_inside, far] {
        assert!(is_misuse(&store.commit(vec![Change::insert(&record)]).await));
    }
    assert!(store.get::<Specimen>(Uuid::from_u128(1)).await.unwrap().is_none());

    // Asking for it is no mistake: it is not there.
    assert!(store.get::<Tally>("\0".into()).await.unwrap().is_none());
    assert!(
        store
            .first(Query::<Specimen>::along(Specimen::BY_LABEL).equal("\0".to_owned()))
            .await
            .unwrap()
            .is_none()
    );
    // A bound may lie beyond everything.
    put(store, &Specimen { due_at: Some(at(0)), ..specimen(1) }).await;
    let late = Query::<Specimen>::along(Specimen::BY_DUE).until(Timestamp::from_millis(i64::MAX));
    assert_eq!(store.find(late).await.unwrap().items.len(), 1);
}

async fn inserting_what_exists_is_a_conflict(store: &Store) {
    put(store, &tally("one")).await;
    assert!(is_conflict(&store.commit(vec![Change::insert(&tally("one"))]).await));
    store.commit(Vec::new()).await.unwrap();
}

async fn what_has_changed_since_cannot_be_changed_deleted_or_required(store: &Store) {
    put(store, &tally("one")).await;
    let old = see::<Tally>(store, "one".into()).await;
    store.commit(vec![Change::require(&old)]).await.unwrap();
    store.commit(vec![raised(old.clone())]).await.unwrap();

    for stale in [raised(old.clone()), Change::delete(&old), Change::require(&old)] {
        assert!(is_conflict(&store.commit(vec![stale]).await));
    }
    let new = see::<Tally>(store, "one".into()).await;
    assert_eq!(new.order, 1);
    store.commit(vec![Change::delete(&new)]).await.unwrap();
    for gone in [raised(new.clone()), Change::delete(&new), Change::require(&new)] {
        assert!(is_conflict(&store.commit(vec![gone]).await));
    }
    assert!(store.get::<Tally>("one".into()).await.unwrap().is_none());
}

async fn a_conflict_leaves_nothing_of_its_commit(store: &Store) {
    for name in ["a", "m", "z"] {
        put(store, &tally(name)).await;
    }
    let (a, m, z) = (
        see::<Tally>(store, "a".into()).await,
        see::<Tally>(store, "m".into()).await,
        see::<Tally>(store, "z".into()).await,
    );
    store.commit(vec![raised(m.clone())]).await.unwrap();

    for stale in [raised(m.clone()), Change::delete(&m), Change::require(&m), Change::insert(&tally("m"))] {
        let changes = vec![
            raised(a.clone()),
            Change::delete(&z),
            Change::insert(&tally("b")),
            Change::insert(&specimen(1)),
            stale,
        ];
        assert!(is_conflict(&store.commit(changes).await));
    }
    assert_eq!(see::<Tally>(store, "a".into()).await.order, 0);
    assert_eq!(see::<Tally>(store, "m".into()).await.order, 1);
    store.commit(vec![Change::require(&a), Change::require(&z)]).await.unwrap();
    assert!(store.get::<Tally>("b".into()).await.unwrap().is_none());
    assert!(store.get::<Specimen>(Uuid::from_u128(1)).await.unwrap().is_none());
}

async fn a_record_made_anew_is_not_the_one_that_was_seen(store: &Store) {
    put(store, &tally("one")).await;
    let first = see::<Tally>(store, "one".into()).await;
    store.commit(vec![Change::delete(&first)]).await.unwrap();
    put(store, &tally("one")).await;
    for stale in [raised(first.clone()), Change::delete(&first), Change::require(&first)] {
        assert!(is_conflict(&store.commit(vec![stale]).await));
    }

    // Nor is one that was changed back.
    let second = see::<Tally>(store, "one".into()).await;
    assert!(!second.is_unchanged_since(&first));
    assert!(see::<Tally>(store, "one".into()).await.is_unchanged_since(&second));
    store.commit(vec![raised(second.clone())]).await.unwrap();
    let back = see::<Tally>(store, "one".into()).await.with(|tally| tally.order = 0);
    store.commit(vec![Change::update(&back)]).await.unwrap();
    assert!(!see::<Tally>(store, "one".into()).await.is_unchanged_since(&second));
    assert!(is_conflict(&store.commit(vec![raised(second)]).await));
}

async fn a_unique_value_belongs_to_one_record_and_nothing_to_any_number(store: &Store) {
    let noted = |id, note: Option<&str>| Specimen { note: note.map(Into::into), ..specimen(id) };
    put(store, &noted(1, Some("mine"))).await;
    put(store, &noted(2, None)).await;
    put(store, &noted(3, None)).await;
    assert!(is_conflict(&store.commit(vec![Change::insert(&noted(4, Some("mine")))]).await));

    let two = see::<Specimen>(store, Uuid::from_u128(2)).await;
    let taking = two.clone().with(|record| record.note = Some("mine".into()));
    assert!(is_conflict(&store.commit(vec![Change::update(&taking), Change::insert(&tally("t"))]).await));
    assert!(store.get::<Tally>("t".into()).await.unwrap().is_none());
    let other = two.with(|record| record.note = Some("Mine".into()));
    store.commit(vec![Change::update(&other)]).await.unwrap();

    // Keeping one's own value is no collision, and a freed value can be taken.
    let one = see::<Specimen>(store, Uuid::from_u128(1)).await.with(|record| record.count = 5);
    store.commit(vec![Change::update(&one)]).await.unwrap();
    let one = see::<Specimen>(store, Uuid::from_u128(1)).await;
    store.commit(vec![Change::delete(&one)]).await.unwrap();
    put(store, &noted(4, Some("mine"))).await;
    let found =
        store.first(Query::<Specimen>::along(Specimen::BY_NOTE).equal("mine".to_owned())).await.unwrap();
    assert_eq!(found.unwrap().id, Uuid::from_u128(4));
}

async fn one_commit_changes_a_record_once(store: &Store) {
    put(store, &tally("one")).await;
    let one = see::<Tally>(store, "one".into()).await;
    let twice = vec![raised(one.clone()), Change::insert(&tally("two")), Change::require(&one)];
    assert!(is_misuse(&store.commit(twice).await));
    assert!(is_misuse(
        &store.commit(vec![Change::insert(&tally("two")), Change::insert(&tally("two"))]).await
    ));
    assert_eq!(see::<Tally>(store, "one".into()).await.order, 0);
    assert!(store.get::<Tally>("two".into()).await.unwrap().is_none());
}

async fn searches_that_make_no_sense_are_refused(store: &Store) {
    let label = || Query::<Specimen>::along(Specimen::BY_LABEL);
    let undeclared = vestibule::store::Index { columns: &["count"], unique: false, sparse: false };
    let senseless = [
        Query::along(undeclared),
        label().equal(1_i64),
        label().equal(String::new()).equal(1_i64).equal(Uuid::nil()),
        label().from(1_i64),
        label().from(None::<String>),
        label().equal(String::new()).equal(1_i64).until(Uuid::nil()),
        Query::along(Specimen::BY_DUE),
        Query::along(Specimen::BY_DUE).equal(None::<Timestamp>),
    ];
    for query in senseless {
        let said = format!("{query:?}");
        assert!(is_misuse(&store.find(query).await), "{said}");
    }
    for place in [json!([{"t": "a"}]), json!([{"i": 1}, {"i": 1}, {"id": Uuid::nil()}])] {
        let other = label().after(Some(Cursor::from_json(place).unwrap()));
        assert!(matches!(store.find(other).await, Err(StoreError::ForeignCursor)));
    }
}

/// All pages of a search, by way of the cursors' JSON.
async fn walk(store: &Store, query: impl Fn() -> Query<Specimen>, limit: usize) -> Vec<Specimen> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.find(query().limit(limit).after(cursor)).await.unwrap();
        assert!(page.items.len() <= limit);
        assert!(page.next.is_none() || page.items.len() == limit);
        all.extend(page.items.into_iter().map(Seen::into_inner));
        assert!(all.len() < 1_000, "the pages never end");
        let Some(next) = page.next else { return all };
        cursor = Some(Cursor::from_json(next.to_json()).unwrap());
    }
}

async fn pages_follow_each_other_through_ties_and_nulls(store: &Store) {
    for id in 1..=9 {
        let rank = (id % 3 != 0).then_some(i64::try_from(id % 3).unwrap());
        put(store, &Specimen { rank, ..specimen(id) }).await;
    }
    let ids = |found: Vec<Specimen>| found.iter().map(|one| one.id.as_u128()).collect::<Vec<_>>();
    let along = || Query::along(Specimen::BY_RANK).equal("plain".to_owned());
    for limit in 1..=10 {
        assert_eq!(ids(walk(store, along, limit).await), [1, 4, 7, 2, 5, 8, 3, 6, 9]);
        assert_eq!(ids(walk(store, || along().descending(), limit).await), [9, 6, 3, 8, 5, 2, 7, 4, 1]);
        assert_eq!(ids(walk(store, || along().from(2_i64), limit).await), [2, 5, 8]);
        assert_eq!(ids(walk(store, || along().until(1_i64).descending(), limit).await), [7, 4, 1]);
        assert_eq!(ids(walk(store, || along().equal(None::<i64>), limit).await), [3, 6, 9]);
    }
    for skip in 0..=10 {
        let beyond = |query: Query<Specimen>| async move {
            let page = store.find(query.skip(skip).limit(2)).await.unwrap();
            let more = page.next.is_some();
            (ids(page.items.into_iter().map(Seen::into_inner).collect()), more)
        };
        let is = |whole: [u128; 9]| -> (Vec<u128>, bool) {
            (whole.into_iter().skip(skip).take(2).collect(), skip < 7)
        };
        assert_eq!(beyond(along()).await, is([1, 4, 7, 2, 5, 8, 3, 6, 9]));
        assert_eq!(beyond(along().descending()).await, is([9, 6, 3, 8, 5, 2, 7, 4, 1]));
    }
    let none = store.find(along().from(2_i64).until(1_i64)).await.unwrap();
    assert!(none.items.is_empty() && none.next.is_none());
    assert!(store.find(along().limit(0)).await.unwrap().items.is_empty());
}

/// A value of a search's order; Null, the last, is greatest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Cell {
    Int(i64),
    Text(String),
    Null,
}

async fn searches_agree_with_a_model(store: &Store) {
    let random = Random::seeded(42);
    let below = |bound: i64| random.number() % bound;
    let labels = ["", "a", "A", "ab", "ä", "z"];
    let label = |at: i64| labels[usize::try_from(at).unwrap()].to_owned();
    let maybe = |low: i64, span: i64| (below(3) > 0).then(|| low + below(span));

    let mut model = Vec::new();
    for id in 0..80_u128 {
        let record = Specimen {
            label: label(below(6)),
            note: (id % 4 > 0).then(|| format!("{}{id}", label(below(6)))),
            count: below(5) - 2,
            rank: maybe(-1, 4),
            due_at: maybe(0, 6).map(at),
            ..specimen(u128::from(random.number().unsigned_abs()) << 64 | id)
        };
        put(store, &record).await;
        model.push(record);
    }

    for round in 0..400 {
        let (kind, descending, limit) = (below(6), below(2) == 1, usize::try_from(1 + below(7)).unwrap());
        let (low, high) = (maybe(-2, 5), maybe(-1, 5));
        // A sparse index is only ever gone along with something in its first column.
        let low = low.or((kind == 3 && high.is_none()).then_some(-2));
        let (label, rank) = (label(below(6)), maybe(-1, 4));
        let text = |at: i64| labels[usize::try_from(at.rem_euclid(6)).unwrap()].to_owned();
        let query = || {
            let ranged = |mut query: Query<Specimen>| {
                query = if let Some(low) = low { query.from(low) } else { query };
                if let Some(high) = high { query.until(high) } else { query }
            };
            let query = match kind {
                0 => ranged(Query::along(Specimen::BY_LABEL).equal(label.clone())),
                1 => ranged(Query::along(Specimen::BY_RANK).equal(label.clone())),
                2 => Query::along(Specimen::BY_RANK).equal(label.clone()).equal(rank),
                3 => {
                    let mut query = Query::along(Specimen::BY_DUE);
                    query = if let Some(low) = low { query.from(at(low)) } else { query };
                    if let Some(high) = high { query.until(at(high)) } else { query }
                }
                4 => {
                    let mut query = Query::along(Specimen::BY_RANK);
                    query = if let Some(low) = low { query.from(text(low)) } else { query };
                    if let Some(high) = high { query.until(text(high)) } else { query }
                }
                _ => Query::along(Specimen::BY_NOTE),
            };
            if descending { query.descending() } else { query }
        };

        let int = |value: Option<i64>| value.map_or(Cell::Null, Cell::Int);
        let due = |one: &Specimen| one.due_at.map(|due| due.since(at(0)).as_secs().cast_signed());
        let word = |value: &Option<String>| value.clone().map_or(Cell::Null, Cell::Text);
        let key = |one: &Specimen| -> Vec<Cell> {
            match kind {
                0 => vec![Cell::Int(one.count)],
                1 => vec![int(one.rank)],
                2 => vec![],
                3 => vec![int(due(one))],
                4 => vec![Cell::Text(one.label.clone()), int(one.rank)],
                _ => vec![word(&one.note)],
            }
        };
        let (least, greatest) = match kind {
            2 | 5 => (None, None),
            4 => (low.map(|low| Cell::Text(text(low))), high.map(|high| Cell::Text(text(high)))),
            _ => (low.map(Cell::Int), high.map(Cell::Int)),
        };
        let bounded = least.is_some() || greatest.is_some();
        let mut expected: Vec<_> = model
            .iter()
            .filter(|one| !matches!(kind, 0..=2) || one.label == label)
            .filter(|one| kind != 2 || one.rank == rank)
            .filter(|one| {
                let Some(first) = key(one).into_iter().next() else { return true };
                !(bounded && first == Cell::Null)
                    && least.as_ref().is_none_or(|low| first >= *low)
                    && greatest.as_ref().is_none_or(|high| first <= *high)
            })
            .map(|one| (key(one), one.id))
            .collect();
        expected.sort();
        if descending {
            expected.reverse();
        }
        let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
        let found: Vec<_> = walk(store, query, limit).await.iter().map(|one| one.id).collect();
        assert_eq!(found, expected, "round {round}: {:?}", query());
    }
}

async fn of_many_deciders_one_wins(store: &Store) {
    for round in 0..100 {
        let name = format!("round {round}");
        put(store, &tally(&name)).await;
        let seen = see::<Tally>(store, name.clone()).await;
        let mut deciders = JoinSet::new();
        for decider in 0..64_u128 {
            let (store, seen) = (store.clone(), seen.clone());
            deciders.spawn(async move {
                let own = specimen(round << 64 | decider);
                let change = if decider % 2 == 0 { raised(seen) } else { Change::delete(&seen) };
                store.commit(vec![change, Change::insert(&own)]).await
            });
        }
        let outcomes = deciders.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| is_conflict(outcome)).count(), 63, "{outcomes:?}");
    }
    let winners = store.find(Query::<Specimen>::along(Specimen::BY_LABEL).limit(1_000)).await.unwrap();
    assert_eq!(winners.items.len(), 100, "losers leave nothing");
}

async fn many_increments_all_count(store: &Store) {
    put(store, &tally("one")).await;
    let mut adders = JoinSet::new();
    for _ in 0..64 {
        let store = store.clone();
        adders.spawn(async move {
            while is_conflict(&store.commit(vec![raised(see(&store, "one".into()).await)]).await) {}
        });
    }
    adders.join_all().await;
    assert_eq!(see::<Tally>(store, "one".into()).await.order, 64);
}

async fn crossing_commits_never_wait_in_a_circle(store: &Store) {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    for name in NAMES {
        put(store, &tally(name)).await;
    }
    let rounds = async {
        for _ in 0..100 {
            let mut seen = Vec::new();
            for name in NAMES {
                seen.push(see::<Tally>(store, name.into()).await);
            }
            let mut movers = JoinSet::new();
            for mover in 0..6 {
                let mut changes: Vec<_> = seen.iter().cloned().map(raised).collect();
                changes.rotate_left(mover);
                let store = store.clone();
                movers.spawn(async move { store.commit(changes).await });
            }
            let outcomes = movers.join_all().await;
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
            assert_eq!(outcomes.iter().filter(|outcome| is_conflict(outcome)).count(), 5, "{outcomes:?}");
        }
    };
    // PostgreSQL notices a circle after a second: a few of them are enough to be late.
    tokio::time::timeout(Duration::from_secs(20), rounds).await.unwrap();
    assert_eq!(see::<Tally>(store, "a".into()).await.order, 100);
}

async fn sweeping_takes_what_expired_and_no_more_than_asked(store: &Store) {
    for id in 0..10 {
        let expires_at = (id < 8).then(|| at(i64::try_from(id).unwrap()));
        put(store, &Specimen { expires_at, ..specimen(id) }).await;
    }
    let table = Specimen::table();
    assert_eq!(store.sweep(table, at(0), 100).await.unwrap(), 0, "its instant is the last that it has");
    assert_eq!(store.sweep(table, at(5), 2).await.unwrap(), 2);
    assert!(store.get::<Specimen>(Uuid::from_u128(1)).await.unwrap().is_none(), "the oldest go first");
    assert_eq!(store.sweep(table, at(5), 100).await.unwrap(), 3);
    assert_eq!(store.sweep(table, Timestamp::from_millis(i64::MAX), 100).await.unwrap(), 3);
    let rest = store.find(Query::<Specimen>::along(Specimen::BY_EXPIRY)).await.unwrap();
    assert_eq!(rest.items.len(), 2);
    assert_eq!(store.sweep(Tally::table(), at(5), 100).await.unwrap(), 0);
}

async fn a_caller_that_goes_away_leaves_a_whole_commit_or_none(store: &Store) {
    let random = Random::seeded(7);
    put(store, &tally("base")).await;
    for round in 0..20_u128 {
        let mut callers = JoinSet::new();
        for caller in 0..16_u128 {
            let store = store.clone();
            let pause = Duration::from_micros(random.number().unsigned_abs() % 3_000);
            callers.spawn(async move {
                let id = round << 64 | caller;
                let pair = vec![Change::insert(&specimen(id)), Change::insert(&tally(&id.to_string()))];
                let _ = tokio::time::timeout(pause, store.commit(pair)).await;
                assert!(caller != 3, "a caller that panics");
            });
        }
        while callers.join_next().await.is_some() {}
    }
    // Whatever was under way is over when this is.
    for _ in 0..16 {
        store.commit(vec![raised(see(store, "base".into()).await)]).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    for round in 0..20_u128 {
        for caller in 0..16_u128 {
            let id = round << 64 | caller;
            let one = store.get::<Specimen>(Uuid::from_u128(id)).await.unwrap().is_some();
            let other = store.get::<Tally>(id.to_string()).await.unwrap().is_some();
            assert_eq!(one, other);
        }
    }
}

async fn what_was_required_stands_until_the_commit(store: &Store) {
    // Two commits each require what the other changes: both may not win.
    for round in 0..50 {
        let (left, right) = (format!("left {round}"), format!("right {round}"));
        put(store, &tally(&left)).await;
        put(store, &tally(&right)).await;
        let (left, right) = (see::<Tally>(store, left).await, see::<Tally>(store, right).await);
        let mut both = JoinSet::new();
        for (mine, other) in [(left.clone(), right.clone()), (right, left)] {
            let store = store.clone();
            both.spawn(async move { store.commit(vec![raised(mine), Change::require(&other)]).await });
        }
        let outcomes = both.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| is_conflict(outcome)).count(), 1, "{outcomes:?}");
    }
}

// ---- one engine's own ----

#[tokio::test]
async fn a_file_opened_again_holds_everything() {
    let ground = Ground::over(Place::file()).await;
    let Place::File(path) = &ground.place else { unreachable!() };
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    put(&ground, &tally("one")).await;
    let Ground { place, store } = ground;
    drop(store);
    let ground = Ground { store: Store::new(place.engine(), Random::System), place };
    store_holds(&ground, "one").await;
    ground.end().await;
}

async fn store_holds(store: &Store, name: &str) {
    assert_eq!(see::<Tally>(store, name.into()).await.name, name);
}

#[tokio::test]
async fn an_answer_means_that_the_files_have_it() {
    let ground = Ground::over(Place::file()).await;
    let Place::File(path) = &ground.place else { unreachable!() };
    for round in 0..5 {
        let name = format!("round {round}");
        put(&ground, &tally(&name)).await;
        // What a crash at this instant would leave: the file and its log, without shared memory.
        let copy = path.with_file_name(format!("copy-{round}.db"));
        let log = |of: &std::path::Path| PathBuf::from(format!("{}-wal", of.display()));
        std::fs::copy(path, &copy).unwrap();
        std::fs::copy(log(path), log(&copy)).unwrap();
        let after = Store::new(open(&format!("sqlite:{}", copy.display())), Random::System);
        store_holds(&after, &name).await;
    }
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_refused_at_the_very_end_does_not_take_others_with_it() {
    vestibule::entity! {
        /// A record with a reference that is checked at the end of the transaction.
        pub struct Branch in "branches" { id: Uuid, tree: String, }
    }
    let ground = Ground::over(Place::file()).await;
    ground
        .place
        .run(
            "CREATE TABLE branches (id TEXT NOT NULL PRIMARY KEY, tree TEXT NOT NULL \
             REFERENCES tallies (name) DEFERRABLE INITIALLY DEFERRED, revision INTEGER NOT NULL) STRICT",
        )
        .await;
    put(&ground, &tally("oak")).await;
    let mut growers = JoinSet::new();
    for id in 0..64_u128 {
        let store = ground.store.clone();
        growers.spawn(async move {
            let tree = if id % 8 == 0 { "nowhere" } else { "oak" };
            let outcome =
                store.commit(vec![Change::insert(&Branch { id: Uuid::from_u128(id), tree: tree.into() })]);
            let outcome = outcome.await;
            assert!(if id % 8 == 0 { is_misuse(&outcome) } else { outcome.is_ok() }, "{id}: {outcome:?}");
            assert_eq!(store.get::<Branch>(Uuid::from_u128(id)).await.unwrap().is_some(), id % 8 > 0);
        });
    }
    growers.join_all().await;
    ground.end().await;
}

async fn a_value_of_the_wrong_kind(ground: &Ground) {
    let mistaken = Mistaken { name: "b".into(), order: "text".into() };
    let changes = vec![Change::insert(&tally("a")), Change::insert(&mistaken), Change::insert(&tally("c"))];
    assert!(is_misuse(&ground.commit(changes).await));
    for name in ["a", "b", "c"] {
        assert!(ground.get::<Tally>(name.into()).await.unwrap().is_none(), "{name}");
    }
    put(ground, &tally("a")).await;
    assert!(matches!(ground.get::<Mistaken>("a".into()).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_value_of_the_wrong_kind_stops_its_commit() {
    let ground = Ground::over(Place::file()).await;
    a_value_of_the_wrong_kind(&ground).await;
    ground.end().await;
    if let Some(place) = Place::schema().await {
        let ground = Ground::over(place).await;
        a_value_of_the_wrong_kind(&ground).await;
        ground.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_connection_goes_back_with_an_open_transaction() {
    let Some(place) = Place::schema().await else { return };
    let ground = Ground::over(place).await;
    put(&ground, &tally("one")).await;
    let seen = see::<Tally>(&ground, "one".into()).await;
    let mut callers = JoinSet::new();
    for caller in 0..200_u64 {
        let (store, seen) = (ground.store.clone(), seen.clone());
        callers.spawn(async move {
            let changes = vec![raised(seen), Change::insert(&specimen(u128::from(caller)))];
            let _ = tokio::time::timeout(Duration::from_micros(caller * 50), store.commit(changes)).await;
        });
    }
    callers.join_all().await;
    // Every connection of the pool, at once.
    let mut healthy = JoinSet::new();
    for _ in 0..64 {
        let store = ground.store.clone();
        healthy.spawn(async move { store.health().await.unwrap() });
    }
    healthy.join_all().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let Place::Schema { name, .. } = &ground.place else { unreachable!() };
    let open = "SELECT count(*) FROM pg_stat_activity a JOIN pg_locks l USING (pid) JOIN pg_class c ON c.oid = l.relation \
        WHERE c.relnamespace = to_regnamespace($1)";
    let open: i64 = ground.place.client().await.query_one(open, &[name]).await.unwrap().get(0);
    assert_eq!(open, 0, "locks that a finished commit still holds");
    assert!(see::<Tally>(&ground, "one".into()).await.order <= 1);
    ground.end().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    // Port 9 (discard) of the loopback address: nothing listens there.
    let store = Store::new(open("postgres://nobody@127.0.0.1:9/none?sslmode=verify-full"), Random::System);
    assert!(matches!(store.get::<Tally>("one".into()).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(
        store.commit(vec![Change::insert(&tally("one"))]).await,
        Err(StoreError::Unavailable(_))
    ));
    assert!(is_misuse(&Engine::open("mysql://", 1)));
    assert!(is_misuse(&Engine::open("postgres://host/?sslmode=perhaps", 1)));
}

/// An address that leads to one server or another.
struct Leading {
    url: String,
    /// Where it leads, and how often what was open has been cut.
    to: watch::Sender<(SocketAddr, u32)>,
}

impl Leading {
    async fn start(to: &Postgres) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://postgres@{}/postgres", listener.local_addr().unwrap());
        let (to, leads) = watch::channel((Self::address(to), 0));
        // Ends with the runtime of the test.
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut leads = leads.clone();
                tokio::spawn(async move {
                    let (to, cut) = *leads.borrow_and_update();
                    let Ok(mut far) = TcpStream::connect(to).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = leads.wait_for(|now| now.1 != cut) => {}
                    }
                });
            }
        });
        Self { url, to }
    }

    fn address(server: &Postgres) -> SocketAddr {
        let url = server.url();
        url.split(['@', '/']).nth(3).unwrap().parse().unwrap()
    }

    /// Leads elsewhere from now on; what was open stays, or is cut.
    fn turn(&self, to: &Postgres, cuts: bool) {
        self.to.send_modify(|now| *now = (Self::address(to), now.1 + u32::from(cuts)));
    }
}

async fn one_of(server: &Postgres, text: &str) -> String {
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.query_one(text, &[]).await.unwrap().get(0)
}

/// A server, and a copy of it that follows.
async fn followed() -> (Postgres, Postgres) {
    let (primary, mut standby) = tokio::try_join!(Postgres::start(), Postgres::start()).unwrap();
    let (client, connection) = tokio_postgres::connect(&primary.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(POSTGRES).await.unwrap();
    let data = PathBuf::from(one_of(&standby, "SHOW data_directory").await);
    let programs = one_of(&primary, "SELECT setting FROM pg_config WHERE name = 'BINDIR'").await;
    standby.crash().unwrap();
    // It refuses to run as root, as the server does.
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&data).unwrap());
    std::fs::remove_dir_all(&data).unwrap();
    let mut copy = std::process::Command::new(PathBuf::from(programs).join("pg_basebackup"));
    copy.args(["--no-sync", "-c", "fast", "-R", "-d", &primary.url(), "-D"]).arg(&data);
    copy.current_dir(data.parent().unwrap());
    if rustix::process::geteuid().is_root() {
        std::os::unix::process::CommandExt::uid(&mut copy, owner);
    }
    assert!(copy.status().unwrap().success());
    standby.again().await.unwrap();
    (primary, standby)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_only_follows_is_not_asked_and_the_one_that_writes_is_found_again() {
    // Both engines' runs would do the same.
    if std::env::var("VESTIBULE_TEST_STORE").as_deref() != Ok("postgres") {
        return;
    }
    let (primary, standby) = followed().await;
    let leading = Leading::start(&primary).await;
    let store = Store::new(open(&leading.url), Random::System);
    put(&store, &tally("before")).await;
    leading.turn(&standby, true);
    for _ in 0..3 {
        let written = store.commit(vec![Change::insert(&tally("meanwhile"))]).await;
        assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
        // It may not know yet what was ended a moment ago.
        let read = store.get::<Tally>("before".into()).await;
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    }
    leading.turn(&primary, false);
    put(&store, &tally("after")).await;
    assert!(store.get::<Tally>("meanwhile".into()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_connection_that_cannot_do_what_others_can_is_given_up() {
    let Some(place) = Place::schema().await else { return };
    let ground = Ground::over(place).await;
    put(&ground, &tally("one")).await;
    see::<Tally>(&ground, "one".into()).await;
    // The server does not run what was prepared for a column of another type.
    ground.place.run("ALTER TABLE tallies ALTER COLUMN name TYPE varchar COLLATE \"C\"").await;
    let told = ground.get::<Tally>("one".into()).await;
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    see::<Tally>(&ground, "one".into()).await;
    ground.end().await;
}

#[tokio::test]
async fn memory_fails_as_it_is_told_to_and_the_same_way_again() {
    let store = |faults| Store::new(Engine::Memory(Memory::new(faults)), Random::seeded(1));
    let refusing = store(Faults { refuse: 1.0, ..Faults::default() });
    assert!(matches!(
        refusing.commit(vec![Change::insert(&tally("one"))]).await,
        Err(StoreError::Unavailable(_))
    ));

    let losing = store(Faults { lose: 1.0, ..Faults::default() });
    assert!(matches!(
        losing.commit(vec![Change::insert(&tally("one"))]).await,
        Err(StoreError::Unavailable(_))
    ));
    store_holds(&losing, "one").await;

    let disputing = store(Faults { conflict: 1.0, ..Faults::default() });
    assert!(is_conflict(&disputing.commit(vec![Change::insert(&tally("one"))]).await));
    assert!(disputing.get::<Tally>("one".into()).await.unwrap().is_none());

    let mut runs = BTreeSet::new();
    for _ in 0..2 {
        let store = store(Faults { seed: 9, refuse: 0.2, lose: 0.2, conflict: 0.2 });
        let mut run = Vec::new();
        for name in 0..200 {
            run.push(format!("{:?}", store.commit(vec![Change::insert(&tally(&name.to_string()))]).await));
        }
        let fine = run.iter().filter(|outcome| *outcome == "Ok(())").count();
        assert!((60..140).contains(&fine), "{fine}");
        runs.insert(run);
    }
    assert_eq!(runs.len(), 1);
}

// ---- schema and migrations ----

async fn the_schema_is_compared(ground: &Ground, texts: &[(&str, &str)]) {
    let tables = [Specimen::table(), Tally::table()];
    let none: Vec<String> = Vec::new();
    assert_eq!(schema::differences(ground.engine(), &tables).await.unwrap(), none);
    for (change, sentence) in texts {
        ground.place.run(change).await;
        let found = schema::differences(ground.engine(), &tables).await.unwrap();
        assert!(found.iter().any(|one| one == sentence), "{change}: {found:?}");
    }
}

const DAMAGE: &[(&str, &str)] = &[
    ("DROP INDEX specimens_label", "table specimens has no index over (label, count)"),
    (
        "DROP INDEX specimens_note; CREATE INDEX specimens_note ON specimens (note)",
        "table specimens has no unique index over (note)",
    ),
    (
        "DROP INDEX specimens_rank; CREATE INDEX specimens_rank ON specimens (label, rank) WHERE flag",
        "table specimens has no index over (label, rank)",
    ),
    (
        "DROP INDEX specimens_due; CREATE INDEX specimens_due ON specimens (due_at) WHERE at IS NOT NULL",
        "table specimens has no index over (due_at) WHERE due_at IS NOT NULL",
    ),
    (
        "DROP INDEX specimens_expiry",
        "table specimens has no index that begins with expires_at, which sweeping needs",
    ),
    (
        "CREATE UNIQUE INDEX specimens_small ON specimens (small)",
        "table specimens has a unique index over (small), which no record declares",
    ),
    ("ALTER TABLE specimens DROP COLUMN doc", "table specimens has no column doc"),
    (
        "ALTER TABLE specimens RENAME COLUMN raw TO raw_old",
        "table specimens has column raw_old, which no record knows",
    ),
    ("ALTER TABLE specimens ADD COLUMN doc text", "table specimens has column doc, which must not be NULL"),
    ("ALTER TABLE tallies DROP COLUMN revision", "table tallies has no column revision"),
    ("DROP TABLE tallies", "table tallies is missing"),
];

/// Where no encoding has room for a name, it would be refused with a failure of ours.
#[tokio::test]
async fn a_database_that_cannot_hold_every_name_is_refused_with_a_sentence() {
    let Some(place) = Place::schema().await else { return };
    let Place::Schema { server, name } = &place else { unreachable!() };
    let mut other = reqwest::Url::parse(server).unwrap();
    other.set_path(name);
    let client = place.client().await;
    let make = format!("CREATE DATABASE {name} ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'");
    client.batch_execute(&make).await.unwrap();
    let refused = Store::new(open(other.as_str()), Random::System).health().await;
    client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    place.end().await;
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("encoded as LATIN1"), "{told}");
}

#[tokio::test]
async fn what_differs_from_the_records_is_said_in_sentences() {
    let ground = Ground::over(Place::file()).await;
    the_schema_is_compared(&ground, DAMAGE).await;
    ground.place.run("ALTER TABLE specimens ADD COLUMN raw TEXT").await;
    let found = schema::differences(ground.engine(), &[Specimen::table()]).await.unwrap();
    assert!(found.iter().any(|one| one == "table specimens has column raw as TEXT, not BLOB"), "{found:?}");
    ground.end().await;

    let Some(place) = Place::schema().await else { return };
    let ground = Ground::over(place).await;
    the_schema_is_compared(&ground, DAMAGE).await;
    let found = schema::differences(ground.engine(), &[Specimen::table()]).await.unwrap();
    assert!(found.iter().any(|one| one == "table specimens has column doc as text, not jsonb"), "{found:?}");
    ground.place.run("ALTER TABLE specimens ALTER COLUMN label TYPE text COLLATE \"en-x-icu\"").await;
    let found = schema::differences(ground.engine(), &[Specimen::table()]).await.unwrap();
    let sentence = "table specimens has column label in the order of en-x-icu, not COLLATE \"C\"";
    assert!(found.iter().any(|one| one == sentence), "{found:?}");
    ground.end().await;
}

macro_rules! steps {
    ($($version:literal $name:literal needs $needs:literal $text:expr;)+) => {{
        const STEPS: &[Migration] =
            &[$(Migration { version: $version, name: $name, needs: $needs, text: $text }),+];
        Migrations { sqlite: STEPS, postgres: STEPS }
    }};
}

async fn migrations_run_once(place: &Place) {
    const FIRST: &str = "CREATE TABLE marks (step bigint NOT NULL); INSERT INTO marks VALUES (1);";
    // Slow enough for the other nodes to come in between.
    const SECOND: &str = "INSERT INTO marks WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
        SELECT 2 FROM n WHERE i = 100000; INSERT INTO marks VALUES (3);";
    const THIRD: &str = "INSERT INTO marks VALUES (4); INSERT INTO nowhere VALUES (1);";
    const ALL: Migrations = steps! { 1 "0001_first" needs 1 FIRST; 2 "0002_second" needs 2 SECOND; };
    let names = |list: Vec<&'static Migration>| list.iter().map(|one| one.name).collect::<Vec<_>>();
    assert_eq!(names(ALL.plan(&place.engine()).await.unwrap()), ["0001_first", "0002_second"]);

    // A fresh database, then one that is upgraded.
    const OLD: Migrations = steps! { 1 "0001_first" needs 1 FIRST; };
    for set in [OLD, ALL] {
        let mut nodes = JoinSet::new();
        for _ in 0..10 {
            let url = place.url();
            nodes.spawn(async move { set.apply(&open(&url)).await.unwrap().len() });
        }
        assert_eq!(nodes.join_all().await.into_iter().sum::<usize>(), 1);
    }
    let engine = place.engine();
    assert!(ALL.plan(&engine).await.unwrap().is_empty());

    // One that fails leaves nothing, and says which it was.
    let broken = steps! { 1 "0001_first" needs 1 FIRST; 2 "0002_second" needs 2 SECOND; 3 "0003_third" needs 3 THIRD; };
    assert!(matches!(broken.apply(&engine).await, Err(Refusal::Failed("0003_third", _))));
    assert_eq!(names(broken.plan(&engine).await.unwrap()), ["0003_third"]);
    place.run("CREATE UNIQUE INDEX once ON marks (step); INSERT INTO marks VALUES (4)").await;

    let changed = steps! { 1 "0001_first" needs 1 "SELECT 1"; 2 "0002_second" needs 2 SECOND; };
    for refusal in [changed.plan(&engine).await, changed.apply(&engine).await] {
        assert!(matches!(&refusal, Err(Refusal::Changed(name)) if name == "0001_first"), "{refusal:?}");
    }
    for refusal in [OLD.plan(&engine).await, OLD.apply(&engine).await] {
        assert!(
            matches!(&refusal, Err(Refusal::Newer { name, needs: 2, knows: 1 }) if name == "0002_second"),
            "{refusal:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_nodes_that_start_together_migrate_once() {
    let place = Place::file();
    migrations_run_once(&place).await;
    place.end().await;
    if let Some(place) = Place::schema().await {
        migrations_run_once(&place).await;
        place.end().await;
    }
}

#[tokio::test]
async fn the_program_brings_its_own_migrations() {
    let mut places = vec![Place::file()];
    places.extend(Place::schema().await);
    for place in places {
        let engine = place.engine();
        assert_eq!(migrations::plan(&engine).await.unwrap().len(), migrations::EMBEDDED.sqlite.len());
        migrations::apply(&engine).await.unwrap();
        assert!(migrations::apply(&engine).await.unwrap().is_empty());
        drop(engine);
        place.end().await;
    }
}
