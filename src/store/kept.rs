//! What was read and still is so: answers kept in memory for as long as nothing that they were made
//! from has changed.
//!
//! Every record has a *mark*, a number that each commit which touches the record moves on, before
//! the commit is answered. Whoever wants to keep something notes the marks of what it is made from
//! *before* reading it ([`Tracked`]), and what is kept counts only while they are unmoved. So there
//! is no moment at which an old answer can slip in behind a commit, and nothing to remember to
//! clear: it hangs on the commit itself. Records share marks; that costs a look too many, never one
//! too few.
//!
//! Only expiry moves no mark ([`super::Store::sweep`]): whoever keeps a record judges its times anew
//! at every use.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::entity::{Entity, Field, Table, Value};
use super::{Change, Seen, Store, StoreError};

/// Marks. More make it rarer that two records share one: 256 KiB of them.
const MARKS: usize = 1 << 15;

/// The column by which a record belongs to a user. What belongs to a user never goes to another.
const OWNER: &str = "user_id";

/// How often it is looked whether another process has written to the same database.
const LOOK: Duration = Duration::from_millis(100);

/// How long such a look counts. So long at most does what another process has ended go on here.
const TRUST: Duration = Duration::from_millis(500);

/// The place of a mark: the same for the same record on every node, so that nodes can tell each other.
pub type Place = u16;

/// What is known of changes by others than this process.
#[derive(Debug)]
pub(super) enum Others {
    /// There are none.
    None,
    /// They can be noticed: when that was last looked for, and asked for, in milliseconds.
    Noticed {
        /// When the last look began.
        looked: AtomicU64,
        /// When the last one was asked for.
        asked: AtomicU64,
    },
}

impl Others {
    pub(super) fn noticed() -> Self {
        Self::Noticed { looked: AtomicU64::new(0), asked: AtomicU64::new(0) }
    }
}

/// The marks of all records of one database, as far as this process knows.
pub struct Marks {
    marks: Box<[AtomicU64]>,
    all: AtomicU64,
    others: Others,
    began: Instant,
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Marks").field("others", &self.others).finish_non_exhaustive()
    }
}

/// What some records' marks were.
#[derive(Debug)]
struct Noted {
    all: u64,
    marks: Vec<(Place, u64)>,
}

impl Marks {
    pub(super) fn new(others: Others) -> Arc<Self> {
        let marks = (0..MARKS).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { marks, all: AtomicU64::new(0), others, began: Instant::now() })
    }

    /// Forgets whatever was made from the records with these marks. Every engine calls it between a
    /// commit and its answer, whatever the outcome, which may be unknown; word from another node ends
    /// here too.
    pub fn forget(&self, places: &[Place]) {
        places.iter().for_each(|place| self.move_on(*place));
    }

    /// Forgets everything: for when others have changed nobody knows what.
    pub fn forget_all(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    fn move_on(&self, place: Place) {
        if let Some(mark) = self.marks.get(usize::from(place)) {
            mark.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn at(&self, place: Place) -> u64 {
        self.marks.get(usize::from(place)).map_or(0, |mark| mark.load(Ordering::SeqCst))
    }

    fn are_as(&self, noted: &Noted) -> bool {
        self.all.load(Ordering::SeqCst) == noted.all
            && noted.marks.iter().all(|(place, mark)| self.at(*place) == *mark)
    }

    /// Milliseconds, never zero, since this was made.
    pub(super) fn clock(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// A look that began at `clock` has noticed whatever others wrote before.
    pub(super) fn looked(&self, clock: u64) {
        if let Others::Noticed { looked, .. } = &self.others {
            looked.fetch_max(clock, Ordering::SeqCst);
        }
    }

    /// Whatever was looked at before counts no longer: nobody is told of changes any more.
    pub(super) fn distrust(&self) {
        if let Others::Noticed { looked, .. } = &self.others {
            looked.store(0, Ordering::SeqCst);
        }
    }

    /// The mark of everything, and those of `places`.
    #[cfg(test)]
    pub(super) fn snapshot(&self, places: &[Place]) -> (u64, Vec<u64>) {
        (self.all.load(Ordering::SeqCst), places.iter().map(|place| self.at(*place)).collect())
    }

    /// Whether what is kept may be used now; calls `ask` when it is time to look what others wrote.
    pub(super) fn are_trusted(&self, ask: impl FnOnce()) -> bool {
        match &self.others {
            Others::None => true,
            Others::Noticed { looked, asked } => {
                let now = self.clock();
                let is_due = |then: u64| then == 0 || now.saturating_sub(then) >= millis(LOOK);
                let (last, before) = (looked.load(Ordering::SeqCst), asked.load(Ordering::Relaxed));
                let ours =
                    || asked.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
                if is_due(last) && is_due(before) && ours() {
                    ask();
                }
                Self::counts(last, now)
            }
        }
    }

    /// The same, without asking for a look.
    pub(super) fn are_trusted_now(&self) -> bool {
        match &self.others {
            Others::None => true,
            Others::Noticed { looked, .. } => Self::counts(looked.load(Ordering::SeqCst), self.clock()),
        }
    }

    fn counts(last: u64, now: u64) -> bool {
        last != 0 && now.saturating_sub(last) < millis(TRUST)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where the marks of everything are that `changes` touch: the records, and whose they are.
pub(super) fn places(changes: &[Change]) -> Vec<Place> {
    let mut places = Vec::with_capacity(2 * changes.len());
    for change in changes {
        let (table, values) = match change {
            Change::Require { .. } => continue,
            Change::Insert { table, values }
            | Change::Update { table, values, .. }
            | Change::Delete { table, values, .. } => (table, values),
        };
        places.push(place(table, table.key().name, change.key()));
        let owner = table.position(OWNER).and_then(|at| values.get(at));
        places.extend(owner.map(|owner| place(table, OWNER, owner)));
    }
    places
}

/// Where the marks are of what other nodes may keep and `changes` touch. What is inserted was not there
/// before, and nobody keeps that something is not there.
pub(super) fn told(changes: &[Change]) -> Vec<Place> {
    let mut places = Vec::new();
    for change in changes {
        let table = change.table();
        let Some(column) = table.kept else { continue };
        let is_key = column == table.key().name;
        let (values, key) = match change {
            Change::Require { .. } => continue,
            Change::Insert { .. } if is_key => continue,
            Change::Insert { values, .. } | Change::Update { values, .. } | Change::Delete { values, .. } => {
                (values, change.key())
            }
        };
        let value = if is_key { Some(key) } else { table.position(column).and_then(|at| values.get(at)) };
        places.extend(value.map(|value| place(table, column, value)));
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// Where the mark of the records of `table` with `value` in `column` is: FNV-1a, folded.
fn place(table: &Table, column: &str, value: &Value) -> Place {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    take(table.name.as_bytes());
    take(column.as_bytes());
    match value {
        Value::Uuid(id) => take(id.as_bytes()),
        Value::Text(text) => take(text.as_bytes()),
        Value::Bytes(bytes) => take(bytes),
        other => take(format!("{other:?}").as_bytes()),
    }
    let folded = (hash ^ (hash >> 32) ^ (hash >> 16)) & (MARKS as u64 - 1);
    Place::try_from(folded).unwrap_or(0)
}

/// Reads that note what they read before they read it, so that what is made of them can be kept.
pub struct Tracked<'s> {
    store: &'s Store,
    noted: Noted,
    /// Whether others tell of everything that this is made from.
    whole: bool,
}

impl<'s> Tracked<'s> {
    pub(super) fn new(store: &'s Store) -> Self {
        let all = store.marks().all.load(Ordering::SeqCst);
        Self { store, noted: Noted { all, marks: Vec::with_capacity(3) }, whole: true }
    }

    fn note(&mut self, table: &Table, column: &str, value: &Value) {
        let place = place(table, column, value);
        debug_assert_eq!(table.kept, Some(column), "`entity!` says what is kept of {}", table.name);
        self.whole &= table.kept == Some(column);
        self.noted.marks.push((place, self.store.marks().at(place)));
    }

    /// As [`Store::get`].
    ///
    /// # Errors
    /// The engine's.
    pub async fn get<T: Entity>(&mut self, key: T::Key) -> Result<Option<Seen<T>>, StoreError> {
        let table = T::table();
        self.note(table, table.key().name, &key.to_value());
        let found = self.store.get::<T>(key).await?;
        self.whole &= found.is_some();
        Ok(found)
    }

    /// Says that what is made here also depends on which `T`s belong to `owner`, and how they are:
    /// to be said before they are read.
    pub fn depends_on<T: Entity>(&mut self, owner: Uuid) {
        self.note(T::table(), OWNER, &Value::Uuid(owner));
    }

    /// Keeps `made` under `id`, for [`Store::recall`]. `more`: about how many bytes it holds beyond what is
    /// the same for all.
    pub fn keep<V: Any + Send + Sync>(self, id: Uuid, made: V, more: usize) -> Arc<V> {
        let made = Arc::new(made);
        if self.whole {
            let weight = ENTRY.saturating_add(more);
            self.store.kept.put(id, Arc::new(Entry { noted: self.noted, weight, made: made.clone() }));
        }
        made
    }
}

struct Entry {
    noted: Noted,
    weight: usize,
    made: Arc<dyn Any + Send + Sync>,
}

const SHARDS: usize = 64;

/// About how many bytes an entry takes at least.
const ENTRY: usize = 1_500;

/// Bytes of a generation of a shard at most: about 50 MB in all, which are some 32,000 entries, or fewer
/// when they hold much.
const GENERATION: usize = 256 * ENTRY;

/// What is heavier is read anew each time. Users choose how much their own entries hold: two of nearly a
/// whole generation, used in turn, would drive out everybody else's each time.
const HEAVIEST: usize = GENERATION / 16;

#[derive(Default)]
struct Generation {
    entries: HashMap<Uuid, Arc<Entry>>,
    weight: usize,
}

impl Generation {
    fn remove(&mut self, id: Uuid) {
        if let Some(entry) = self.entries.remove(&id) {
            self.weight -= entry.weight;
        }
    }

    fn insert(&mut self, id: Uuid, entry: Arc<Entry>) {
        self.weight += entry.weight;
        self.entries.insert(id, entry);
    }
}

/// What is kept: in each shard those used lately, and those used before them. When the first are
/// many, the second go.
#[derive(Clone)]
pub(super) struct Kept(Arc<[Mutex<[Generation; 2]>]>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(…)")
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }
}

impl Kept {
    /// Works on the shard of `id`. The last bits of an id are chance.
    fn at<T>(&self, id: Uuid, work: impl FnOnce(&mut [Generation; 2]) -> T) -> Option<T> {
        let [.., last] = id.into_bytes();
        let shard = self.0.get(usize::from(last) % SHARDS)?;
        Some(work(&mut shard.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn put(&self, id: Uuid, entry: Arc<Entry>) {
        self.at(id, |[new, old]| {
            old.remove(id);
            new.remove(id);
            if entry.weight > HEAVIEST {
                return;
            }
            if new.weight + entry.weight > GENERATION {
                *old = std::mem::take(new);
            }
            new.insert(id, entry);
        });
    }

    fn get(&self, id: Uuid) -> Option<Arc<Entry>> {
        let (entry, is_old) = self.at(id, |[new, old]| match new.entries.get(&id) {
            Some(entry) => Some((entry.clone(), false)),
            None => old.entries.get(&id).map(|entry| (entry.clone(), true)),
        })??;
        if is_old {
            self.put(id, entry.clone());
        }
        Some(entry)
    }

    /// What `id` stands for, when its marks are unmoved.
    pub(super) fn recall<V: Any + Send + Sync>(&self, id: Uuid, marks: &Marks) -> Option<Arc<V>> {
        let entry = self.get(id)?;
        // Looked at last: what is unmoved now was true a moment ago, after the asker had asked.
        marks.are_as(&entry.noted).then(|| entry.made.clone().downcast().ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(weight: usize) -> Arc<Entry> {
        let noted = Noted { all: 0, marks: Vec::new() };
        Arc::new(Entry { noted, weight, made: Arc::new(()) })
    }

    /// How many bytes of `count` entries of this weight are still kept.
    fn kept(weight: usize, count: u128) -> usize {
        let kept = Kept::default();
        // Twice: what takes its own place weighs once.
        for id in (0..count).flat_map(|id| [id, id]).map(Uuid::from_u128) {
            kept.put(id, entry(weight));
        }
        let of = |shard: &Mutex<[Generation; 2]>| {
            shard.lock().unwrap().iter().map(|one| one.entries.len() * weight).sum::<usize>()
        };
        kept.0.iter().map(of).sum()
    }

    #[test]
    fn what_is_kept_is_bounded_by_bytes_however_heavy_each_entry_is() {
        const MOST: usize = 2 * SHARDS * GENERATION;
        assert_eq!(kept(ENTRY, 32_768), MOST, "all of so many that are small");
        const { assert!(MOST < 50_000_000) };
        for weight in [ENTRY, ENTRY + 1, 7_000, HEAVIEST / 2 + 1, HEAVIEST] {
            let kept = kept(weight, 40_000);
            assert!(kept > MOST / 4 && kept <= MOST, "{kept} bytes of entries of {weight}");
        }
        assert_eq!(kept(HEAVIEST + 1, 1_000), 0);
    }

    #[test]
    fn what_is_heavy_drives_out_nothing_that_is_light() {
        let kept = Kept::default();
        // All of one shard.
        let id = |nth: usize| Uuid::from_u128((SHARDS * nth) as u128);
        (0..100).for_each(|nth| kept.put(id(nth), entry(ENTRY)));
        for _ in 0..3 {
            (100..102).for_each(|nth| kept.put(id(nth), entry(GENERATION - 1)));
        }
        assert!((0..100).all(|nth| kept.get(id(nth)).is_some()));
    }
}
