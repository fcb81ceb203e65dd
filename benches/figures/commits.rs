//! Durable commits a second with many writers on SQLite, beside one at a time with an fsync each.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use vestibule::clock::Clock;
use vestibule::random::Random;
use vestibule::store::{
    Change, Column, Corrupt, Engine, Entity, Field, Kind, Store, Table as Records, Value,
};

use crate::server::{Res, Scratch};
use crate::table::{Aim, Table, Turns, Unit, median};
use crate::{Extent, TURNS, bare};

/// Writers at once.
const WRITERS: usize = 64;

/// About the size of a session or a message; the key grows with time as the house's keys do.
#[derive(Clone)]
struct Specimen {
    id: String,
    content: String,
    number: i64,
}

/// What the migrations would say, were it a record of the house.
const CREATE: &str = "CREATE TABLE specimens (
    id TEXT NOT NULL PRIMARY KEY, content TEXT NOT NULL, number INTEGER NOT NULL, revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID";

impl Entity for Specimen {
    type Key = String;

    fn table() -> &'static Records {
        const fn column(name: &'static str, kind: Kind) -> Column {
            Column { name, kind, nullable: false, sealed: false }
        }
        const TABLE: &Records = &Records {
            name: "specimens",
            columns: &[column("id", Kind::Text), column("content", Kind::Text), column("number", Kind::Int)],
            indexes: &[],
            expires: None,
            due: None,
            kept: None,
            follows: None,
        };
        TABLE
    }

    fn key(&self) -> Value {
        self.id.to_value()
    }

    fn to_values(&self) -> Vec<Value> {
        vec![self.id.to_value(), self.content.to_value(), self.number.to_value()]
    }

    fn from_values(values: Vec<Value>) -> Result<Self, Corrupt> {
        let Ok([id, content, number]) = <[Value; 3]>::try_from(values) else {
            return Err(Corrupt("specimens: three columns are expected".into()));
        };
        let (id, content) = (Field::from_value(id)?, Field::from_value(content)?);
        Ok(Self { id, content, number: Field::from_value(number)? })
    }
}

/// A store over a new file in `folder`.
pub fn open(folder: &Path) -> Res<Store> {
    let file = folder.join("commits.db");
    rusqlite::Connection::open(&file)?.execute_batch(CREATE)?;
    let engine = Engine::open(&format!("sqlite:{}", file.display()), 1)?;
    Ok(Store::new(engine, Random::System))
}

/// Commits a second by `writers` that each wait for their own.
pub async fn rate(store: &Store, writers: usize, duration: Duration) -> Res<f64> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            let mut count = 0_u64;
            while start.elapsed() < duration {
                let id = Random::System.seed().uuid("specimen", Clock::System.now()).to_string();
                let specimen = Specimen { id, content: "x".repeat(200), number: 1 };
                store.commit(vec![Change::insert(&specimen)]).await?;
                count += 1;
            }
            Res::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Measures.
pub async fn measure(extent: Extent, table: &mut Table) -> Res<()> {
    let home = Scratch::new()?;
    let store = open(home.path())?;
    let stretch = extent.stretch / 2;
    let mut turns = Turns::default();
    turns.limits.push(rate(&store, 1, stretch).await?);
    for _ in 0..TURNS {
        turns.measured.push(rate(&store, WRITERS, stretch).await?);
        turns.limits.push(rate(&store, 1, stretch).await?);
    }
    let (many, one) = (median(&turns.measured), median(&turns.limits));
    let name = format!("commits of {WRITERS} writers ÷ one at a time");
    table.figure_with_ratio(&name, Unit::Rate, many, one, turns.ratio(), Aim::AtLeast(20.0));
    let fsyncs = tokio::task::block_in_place(|| bare::fsyncs(home.path(), stretch))?;
    table.figure("  one at a time ÷ bare fsyncs", Unit::Rate, one, fsyncs, Aim::Known);
    Ok(())
}
