//! The chain over what happened: nobody who can write to the database, and does not have the server's
//! keys, changes, removes or puts in an event unseen.
//!
//! A worker seals events in blocks. A block has a number, the digest of the block before, a digest over
//! its events, and a keyed hash over all of that by the server's keyring. So no request waits for the one
//! before it.
//!
//! Always holds: an event is sealed by being marked with its block in the commit that makes the block. So
//! one that is committed late is sealed late, and none is missed. Of two nodes that seal at once one
//! commits: both would write the same number.
//!
//! What may go, goes with a trace: of an account that was removed the events lose what tells of a person,
//! and keyed hashes of it stay; what was done by it to others loses only where that came from. Blocks that
//! are older than `audit.keep` lose their events together and say so under the key. What a chain in a
//! database cannot show by itself is that its *newest* blocks are missing: keep the head that `vestibule audit verify` prints somewhere else.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value as Json;
use uuid::Uuid;

use super::tallies::{self, Grain};
use super::{Event, What};
use crate::app::Ctx;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::secret::same;
use crate::store::{Change, Query, Seen, entity};
use crate::text::hex;

entity! {
    /// Some events that were sealed together.
    pub struct Block in "audit_blocks" {
        /// From 1, without a gap.
        number: i64,
        /// The digest of the block before; empty for the first.
        previous: Vec<u8>,
        /// The digest over its events.
        root: Vec<u8>,
        /// How many they are.
        events: u32,
        /// The oldest of them.
        first_at: Timestamp,
        /// The newest of them.
        last_at: Timestamp,
        /// When they were sealed.
        sealed_at: Timestamp,
        /// The keyed hash over all of the above.
        seal: Vec<u8>,
        /// The digest over all of the above: what the next block has in it.
        digest: Vec<u8>,
        /// When its events were removed since they had been kept long enough.
        purged_at: Option<Timestamp>,
        /// The keyed hash over that.
        purge: Option<Vec<u8>>,
    }
    index BY_NUMBER (number);
    index BY_PURGED (purged_at, number);
}

/// Most events of one block: few enough that nobody waits behind its commit.
pub const MOST: usize = 256;

/// How long an event waits at most for others to be sealed with.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The longest time that the events of one block are apart: they are removed together.
const SPAN: Duration = Duration::from_secs(60 * 60);

/// In the place of a block: the event is one of a few rows that are written over again and again, by
/// strangers' failures to sign in, and is never sealed.
pub const NEVER: i64 = -1;

/// The greatest id of such a row.
const SLOTS: u128 = 1_024;

const WHENCE: &str = "audit.whence";
const DETAIL: &str = "audit.detail";
const SEAL: &str = "audit.seal";
const PURGE: &str = "audit.purge";

/// Bytes of one keyed hash.
const TAG: usize = 32;

/// How far the chain reaches.
#[derive(Clone, Debug)]
pub struct Reach {
    /// How many blocks it has, and when the newest event in the last of them happened; none while nothing
    /// was sealed.
    pub sealed: Option<(i64, Timestamp)>,
    /// How many events wait for their seal, counted up to one block.
    pub waiting: usize,
}

/// How far the chain reaches now. Says nothing of whether it is whole: [`verify`] does.
///
/// # Errors
/// The store's.
pub async fn reach(ctx: &Ctx) -> Result<Reach> {
    let head = ctx.app.store.first(Query::<Block>::along(Block::BY_NUMBER).descending()).await?;
    Ok(Reach { sealed: head.map(|head| (head.number, head.last_at)), waiting: waiting(ctx).await?.len() })
}

/// Seals what waits, when it is a whole block or has waited long enough; returns how many events.
///
/// # Errors
/// The store's.
pub async fn seal(ctx: &Ctx) -> Result<usize> {
    let waiting = waiting(ctx).await?;
    // Also of what happened before the clock was set back, and seems to come yet.
    let longest = waiting.iter().map(|event| ctx.now.apart(event.at)).max();
    let is_due = |longest| waiting.len() >= MOST || longest >= PATIENCE;
    if longest.is_some_and(is_due) { seal_block(ctx, waiting).await } else { Ok(0) }
}

/// Seals everything that waits; returns how many events.
///
/// # Errors
/// The store's.
pub async fn seal_all(ctx: &Ctx) -> Result<usize> {
    let mut all = 0;
    loop {
        match seal_block(ctx, waiting(ctx).await?).await? {
            0 => return Ok(all),
            sealed => all += sealed,
        }
    }
}

async fn waiting(ctx: &Ctx) -> Result<Vec<Seen<Event>>> {
    Ok(ctx.app.store.find(Query::along(Event::BY_BLOCK).equal(0_i64).limit(MOST)).await?.items)
}

/// One block of those among `waiting` that happened within an hour of the one that is furthest from now: the oldest,
/// unless the clock was set back since.
async fn seal_block(ctx: &Ctx, mut waiting: Vec<Seen<Event>>) -> Result<usize> {
    let first = waiting.iter().map(|event| event.at).max_by_key(|at| ctx.now.apart(*at));
    let Some(first) = first else { return Ok(0) };
    waiting.retain(|event| event.at.since(first) < SPAN && first.since(event.at) < SPAN);
    let (store, keyring) = (&ctx.app.store, &ctx.app.keyring);
    let head = store.first(Query::<Block>::along(Block::BY_NUMBER).descending()).await?;
    let number = head.as_ref().map_or(1, |head| head.number.saturating_add(1));
    let events: Vec<Seen<Event>> = waiting
        .into_iter()
        .map(|event| {
            let whence = keyring.tags(WHENCE, &whence(&event)).next();
            let detail = keyring.tags(DETAIL, &detail(&event)).next();
            event.with(|event| {
                event.block = number;
                event.personal = whence.zip(detail).map(|(whence, detail)| [whence, detail].concat());
            })
        })
        .collect();
    let mut block = Block {
        number,
        previous: head.as_ref().map(|head| head.digest.clone()).unwrap_or_default(),
        root: root(events.iter().map(|event| &**event)),
        events: u32::try_from(events.len()).unwrap_or(u32::MAX),
        first_at: events.iter().map(|event| event.at).min().unwrap_or(first),
        last_at: events.iter().map(|event| event.at).max().unwrap_or(first),
        sealed_at: ctx.now,
        seal: Vec::new(),
        digest: Vec::new(),
        purged_at: None,
        purge: None,
    };
    block.seal = keyring.tags(SEAL, &block.content()).next().map(|tag| tag.to_vec()).unwrap_or_default();
    block.digest = block.hash();
    let mut changes: Vec<Change> = events.iter().map(Change::update).collect();
    changes.push(Change::insert(&block));
    changes.extend(head.as_ref().map(Change::require));
    changes.extend(tallies::add(ctx, &counted(&events)).await?);
    if !store.commit_unless_changed(changes).await? {
        // Another node has sealed them.
        return Ok(0);
    }
    tracing::info!(number, events = events.len(), digest = hex(&block.digest), "events were sealed");
    Ok(events.len())
}

fn counted(events: &[Seen<Event>]) -> BTreeMap<(String, Timestamp), i64> {
    let mut counts = BTreeMap::new();
    for event in events {
        *counts.entry((event.what.to_string(), Grain::Hour.begin(event.at))).or_default() += 1;
    }
    counts
}

/// Removes the events of blocks that are all older than `before`, the oldest first; returns how many.
///
/// # Errors
/// The store's.
pub async fn purge(ctx: &Ctx, before: Timestamp) -> Result<usize> {
    let store = &ctx.app.store;
    let mut gone = 0;
    // What is written over is not sealed, and goes by itself.
    let slots = store.find(Query::<Event>::along(Event::BY_BLOCK).equal(NEVER).limit(2_000)).await?.items;
    let old: Vec<_> = slots.iter().filter(|event| event.at < before).map(Change::delete).collect();
    let count = old.len();
    if store.commit_unless_changed(old).await? {
        gone += count;
    }
    loop {
        let oldest = Query::<Block>::along(Block::BY_PURGED).equal(None::<Timestamp>);
        let Some(block) = store.first(oldest).await?.filter(|block| block.last_at < before) else {
            return Ok(gone);
        };
        let sealed = events_of(ctx, block.number).await?;
        let mut changes: Vec<Change> = sealed.iter().map(Change::delete).collect();
        let count = changes.len();
        let stamp = block.purge_content(ctx.now);
        let tag = ctx.app.keyring.tags(PURGE, &stamp).next();
        changes.push(Change::update(&block.with(|block| {
            block.purged_at = Some(ctx.now);
            block.purge = tag.map(|tag| tag.to_vec());
        })));
        if !store.commit_unless_changed(changes).await? {
            return Ok(gone);
        }
        gone += count;
    }
}

/// The events that say they are in this block.
async fn events_of(ctx: &Ctx, number: i64) -> Result<Vec<Seen<Event>>> {
    Ok(ctx.app.store.find_all(Query::along(Event::BY_BLOCK).equal(number).limit(MOST)).await?)
}

/// Something that is not as it was sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// In which block.
    pub block: i64,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// What looking at the whole chain came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// How many blocks there are.
    pub blocks: u64,
    /// How many events are sealed and there.
    pub events: u64,
    /// How many blocks have lost their events since they were kept long enough.
    pub purged: u64,
    /// How many events are not sealed yet.
    pub waiting: u64,
    /// How many events say that they happened long before they were sealed, while others were: put in
    /// later, or by a node that stood still.
    pub late: u64,
    /// How many blocks each key has sealed.
    pub keys: BTreeMap<String, u64>,
    /// Number and digest of the newest block.
    pub head: Option<(i64, String)>,
    /// What is wrong; nothing when all is as it was sealed.
    pub faults: Vec<Fault>,
}

/// An event that is this much older than the block before its own is told of.
const LATE: Duration = Duration::from_secs(60 * 60);

/// Looks at every block and every event, also while servers go on sealing and removing. `head`: number and
/// digest of a block, as they were printed before; it must still be there. `is_gone`: whether an account was
/// removed, or is being.
///
/// # Errors
/// The store's.
pub async fn verify(
    ctx: &Ctx,
    head: Option<(i64, &str)>,
    is_gone: impl AsyncFn(Uuid) -> Result<bool>,
) -> Result<Report> {
    let mut report = Report::default();
    let mut before: Option<Seen<Block>> = None;
    let mut after = None;
    let mut is_found = head.is_none();
    loop {
        let query = Query::<Block>::along(Block::BY_NUMBER).after(after).limit(100);
        let page = ctx.app.store.find(query).await?;
        for block in page.items {
            let digest = hex(&block.digest);
            let is_known = |known: &str| same(known.as_bytes(), digest.as_bytes());
            is_found |= head.is_some_and(|(number, known)| number == block.number && is_known(known));
            look_at(ctx, before.as_deref(), &block, &is_gone, &mut report).await?;
            report.head = Some((block.number, digest));
            before = Some(block);
        }
        match page.next {
            None => break,
            next => after = next,
        }
    }
    if let (Some((number, _)), false) = (head, is_found) {
        report.fault(number, "is not the one whose digest was given, or is missing");
    }
    let last = before.map_or(0, |block| block.number);
    strays(ctx, last, &mut report).await?;
    Ok(report)
}

impl Report {
    fn fault(&mut self, block: i64, what: impl Into<String>) {
        self.faults.push(Fault { block, what: what.into() });
    }
}

async fn look_at(
    ctx: &Ctx,
    before: Option<&Block>,
    block: &Block,
    is_gone: &impl AsyncFn(Uuid) -> Result<bool>,
    report: &mut Report,
) -> Result<()> {
    let keyring = &ctx.app.keyring;
    let number = block.number;
    report.blocks += 1;
    let expected = before.map_or(1, |before| before.number.saturating_add(1));
    if number != expected {
        report.fault(expected, format!("is missing: block {number} follows"));
    } else if !same(before.map(|before| before.digest.as_slice()).unwrap_or_default(), &block.previous) {
        report.fault(number, "does not follow from the block before it");
    }
    let content = block.content();
    let mut tags = keyring.ids().zip(keyring.tags(SEAL, &content));
    match tags.find(|(_, tag)| same(tag, &block.seal)) {
        Some((key, _)) if same(&block.digest, &block.hash()) => {
            *report.keys.entry(key.to_owned()).or_default() += 1;
        }
        _ => report.fault(number, "was altered, or was sealed under a key that is not configured"),
    }
    let events = events_of(ctx, number).await?;
    let (held, sealed) = (events.len(), usize::try_from(block.events).unwrap_or(0));
    // Whose events were removed since it was read, says so by now.
    let again = if held < sealed { ctx.app.store.get::<Block>(number).await? } else { None };
    let purged = again.as_deref().unwrap_or(block);
    if let Some(at) = purged.purged_at {
        let stamp = purged.purge_content(at);
        let tag = purged.purge.as_deref().unwrap_or_default();
        if !keyring.tags(PURGE, &stamp).any(|known| same(&known, tag)) {
            report.fault(number, "has lost its events, and the server did not remove them");
        } else if !events.is_empty() {
            report.fault(number, "holds events that were put in after its own had been removed");
        }
        report.purged += 1;
        return Ok(());
    }
    report.events += u64::try_from(held).unwrap_or(0);
    if held != sealed {
        report.fault(number, format!("was sealed with {sealed} events and holds {held}"));
    } else if root(events.iter().map(|event| &**event)) != block.root {
        report.fault(number, "holds an event that was altered, or put in the place of another");
    }
    for event in &events {
        report.late += u64::from(before.is_some_and(|before| event.at + LATE < before.sealed_at));
        if !is_as_sealed(ctx, event, is_gone).await? {
            report.fault(number, format!("holds an event that was altered: {}", event.id));
        }
    }
    Ok(())
}

/// Whether it tells of persons what it told when it was sealed. Where it came from may be missing once the user, or
/// whoever did it, was removed; its detail once the user was.
async fn is_as_sealed(
    ctx: &Ctx,
    event: &Event,
    is_gone: &impl AsyncFn(Uuid) -> Result<bool>,
) -> Result<bool> {
    let keyring = &ctx.app.keyring;
    let known = event.personal.as_deref().unwrap_or_default();
    let (known_whence, known_detail) = known.split_at_checked(TAG).unwrap_or_default();
    let (whence, detail) = (whence(event), detail(event));
    let is_nowhere = event.address.is_none() && event.user_agent.is_none();
    Ok((keyring.tags(WHENCE, &whence).any(|tag| same(&tag, known_whence))
        || is_nowhere && is_any_gone([event.user_id, event.actor_id], is_gone).await?)
        && (keyring.tags(DETAIL, &detail).any(|tag| same(&tag, known_detail))
            || event.detail == Json::Null && is_any_gone([event.user_id, None], is_gone).await?))
}

async fn is_any_gone(ids: [Option<Uuid>; 2], is_gone: &impl AsyncFn(Uuid) -> Result<bool>) -> Result<bool> {
    for id in ids.into_iter().flatten() {
        if is_gone(id).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Events that are in no block that there is, and those that wait.
async fn strays(ctx: &Ctx, mut last: i64, report: &mut Report) -> Result<()> {
    let store = &ctx.app.store;
    let mut after = None;
    loop {
        let query = Query::<Event>::along(Event::BY_BLOCK).until(0_i64).after(after).limit(MOST);
        let page = store.find(query).await?;
        for event in page.items {
            let is_slot = event.block == NEVER && event.id.as_u128() <= SLOTS;
            let is_strangers = event.what == What::SignInFailed && event.user_id.is_none();
            if event.block == 0 {
                report.waiting += 1;
            } else if !(is_slot && is_strangers) {
                report
                    .fault(event.block, format!("holds an event, and there is no such block: {}", event.id));
            }
        }
        match page.next {
            None => break,
            next => after = next,
        }
    }
    // What was sealed since the last block was read is in a block by now, and is looked at the next time.
    while let Some(next) = last.checked_add(1) {
        let Some(event) = store.first(Query::<Event>::along(Event::BY_BLOCK).from(next)).await? else {
            break;
        };
        last = event.block;
        if store.get::<Block>(last).await?.is_none() {
            report.fault(last, format!("holds an event, and there is no such block: {}", event.id));
            break;
        }
    }
    Ok(())
}

impl Block {
    /// What the seal is over.
    fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        put(&mut content, &self.number.to_be_bytes());
        put(&mut content, &self.previous);
        put(&mut content, &self.root);
        put(&mut content, &self.events.to_be_bytes());
        for at in [self.first_at, self.last_at, self.sealed_at] {
            put(&mut content, &at.as_millis().to_be_bytes());
        }
        content
    }

    fn hash(&self) -> Vec<u8> {
        let mut content = self.content();
        put(&mut content, &self.seal);
        sha256(&content)
    }

    fn purge_content(&self, at: Timestamp) -> Vec<u8> {
        let mut content = Vec::new();
        put(&mut content, &self.hash());
        put(&mut content, &at.as_millis().to_be_bytes());
        content
    }
}

/// The digest over events, by their ids: in whatever order they are read.
fn root<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<u8> {
    let mut leaves: Vec<_> = events.map(|event| (event.id, sha256(&lasting(event)))).collect();
    leaves.sort_unstable();
    let mut all = Vec::new();
    for (_, leaf) in leaves {
        put(&mut all, &leaf);
    }
    sha256(&all)
}

/// What of an event lasts as long as itself.
fn lasting(event: &Event) -> Vec<u8> {
    let mut row = Vec::new();
    put(&mut row, event.id.as_bytes());
    put(&mut row, &event.at.as_millis().to_be_bytes());
    put(&mut row, event.what.as_str().as_bytes());
    for id in [event.user_id, event.actor_id, event.session_id, event.request_id] {
        put(&mut row, id.as_ref().map(|id| id.as_bytes().as_slice()).unwrap_or_default());
    }
    put(&mut row, event.personal.as_deref().unwrap_or_default());
    row
}

/// From where an event came: it may be forgotten before the event.
fn whence(event: &Event) -> Vec<u8> {
    let mut row = Vec::new();
    put(&mut row, event.id.as_bytes());
    for text in [&event.address, &event.user_agent] {
        put(&mut row, &[u8::from(text.is_some())]);
        put(&mut row, text.as_deref().unwrap_or_default().as_bytes());
    }
    row
}

/// The detail of an event: it may be forgotten before the event.
fn detail(event: &Event) -> Vec<u8> {
    let mut row = Vec::new();
    put(&mut row, event.id.as_bytes());
    let mut detail = String::new();
    write_sorted(&event.detail, &mut detail);
    put(&mut row, detail.as_bytes());
    row
}

/// JSON with the names of each object sorted: engines keep them in orders of their own.
fn write_sorted(json: &Json, text: &mut String) {
    match json {
        Json::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            text.push('{');
            for (name, value) in sorted {
                text.push_str(&Json::from(name.as_str()).to_string());
                text.push(':');
                write_sorted(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Json::Array(items) => {
            text.push('[');
            for item in items {
                write_sorted(item, text);
                text.push(',');
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// Its length first, so that no two lists of parts read the same.
fn put(into: &mut Vec<u8>, part: &[u8]) {
    into.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    into.extend(part);
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let mut hash = Context::new(&SHA256);
    hash.update(bytes);
    hash.finish().as_ref().to_vec()
}
