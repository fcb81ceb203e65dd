//! The spine: [`App`], built once from the configuration; [`Ctx`], one request; [`Moment`], what a rule is told of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::breached::Breached;
use crate::broker::Broker;
use crate::circuit::Circuits;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::error::{Error, Problem, Result};
use crate::hashing::{Hashing, Keys};
use crate::jwt;
use crate::mailer::Mailer;
use crate::metrics::Metrics;
use crate::money::{Purse, Rates};
use crate::outbound::Outbound;
use crate::policy::Policy;
use crate::random::{Random, Seed};
use crate::secret::{Keyring, Peppers};
use crate::shared::Shared;
use crate::store::{Change, Decision, Engine, Store, StoreError};
use crate::templates::Templates;

/// Everything that lives as long as the server.
pub struct App {
    /// The settings.
    pub config: Config,
    /// What each operation asks for; another one may take its place while the server runs.
    policy: watch::Sender<Arc<Policy>>,
    /// What is wrong with the newest policy, when it could not take its place.
    policy_faults: watch::Sender<Option<String>>,
    /// The public origin, without a slash at the end. The only source of links, cookies' scope and signed URLs.
    pub origin: Origin,
    /// The records.
    pub store: Store,
    /// What nodes share for a moment.
    pub shared: Shared,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub random: Random,
    /// The sealing keys.
    pub keyring: Keyring,
    /// The password-hashing pool.
    pub hashing: Hashing,
    /// The passwords that were stolen elsewhere, when there is a filter of them.
    pub breached: Option<Breached>,
    /// The one HTTP client.
    pub outbound: Outbound,
    /// The one SMTP client, when a server is configured.
    pub mailer: Option<Mailer>,
    /// The one client of a message broker, when one is configured.
    pub broker: Option<Broker>,
    /// What messages and calls cost.
    pub rates: Rates,
    /// What was drawn from the day's money and is not spent yet.
    pub purse: AsyncMutex<Purse>,
    /// Those who would do the same at once.
    pub turns: Turns,
    /// The breakers of providers.
    pub circuits: Circuits,
    /// The keys that sign access tokens, as they were last read.
    pub signing: jwt::Held,
    /// Those who follow a feed.
    pub followers: Followers,
    /// How the pages for people look.
    pub templates: Templates,
    /// The figures of `/metrics`.
    pub metrics: Metrics,
    /// Rung when a commit left work for the worker.
    pub bell: watch::Sender<u64>,
    /// Whether the workers shall begin nothing more.
    pub stopping: watch::Sender<bool>,
}

impl App {
    /// Builds the house over a store whose schema is in place.
    ///
    /// # Errors
    /// A sentence for the operator: which setting cannot be used, and why.
    pub fn build(
        config: Config,
        policy: Policy,
        engine: Engine,
        clock: Clock,
        random: Random,
    ) -> Result<Arc<Self>, String> {
        let origin = Origin::parse(&config.server.origin)?;
        let keyring = Keyring::parse(&config.secrets.keys)?;
        let hashing = &config.hashing;
        let secrets = &config.secrets;
        let keys = Keys { peppers: Peppers::parse(&secrets.peppers)?, firebase: secrets.firebase()? };
        let permits = match hashing.permits {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            permits => permits,
        };
        let hashing = Hashing::start(hashing.cost(), permits, *hashing.patience, hashing.portable, keys)?;
        let breached = Breached::configured(&config.password.breached)?;
        let outbound = Outbound::new(config.server.outbound_allow.clone(), *config.server.outbound_timeout)?;
        let rates = Rates::configured(&config.spending.rates)?;
        let broker = Broker::configured(config.events.amqp.expose(), &config.events.exchange)?;
        let mailer = Mailer::new(&config.smtp, origin.host())?;
        let followers = config.server.max_followers;
        let templates = Templates::configured(&config.pages, origin.host())?;
        Ok(Arc::new(Self {
            templates,
            origin,
            mailer,
            broker,
            rates,
            purse: AsyncMutex::default(),
            turns: Turns::default(),
            circuits: Circuits::default(),
            keyring,
            hashing,
            breached,
            outbound,
            store: Store::new(engine, random.clone()),
            shared: Shared::open(&config.shared)?,
            clock,
            random,
            signing: jwt::Held::default(),
            followers: Followers::new(followers),
            metrics: Metrics::default(),
            bell: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            config,
            policy: watch::Sender::new(Arc::new(policy)),
            policy_faults: watch::Sender::new(None),
        }))
    }

    /// What each operation asks for, as of now. A request reads it once, into [`Ctx::policy`].
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.borrow())
    }

    /// Puts another policy in place, for every request that begins from now on.
    pub fn replace_policy(&self, policy: Policy) {
        self.policy.send_replace(Arc::new(policy));
        self.policy_faults.send_replace(None);
    }

    /// Notes that a newer policy cannot take the place of this one, and why.
    pub fn refuse_policy(&self, faults: String) {
        self.policy_faults.send_replace(Some(faults));
    }

    /// What is wrong with the newest policy, when it could not take its place.
    pub fn policy_faults(&self) -> Option<String> {
        self.policy_faults.borrow().clone()
    }
}

/// Those who would do the same at once, on this node: one after the other, so that who comes too late finds that
/// out before it has cost anything. What is done once is done once by its commit, and not by this.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Uuid, Weak<AsyncMutex<()>>>>);

impl Turns {
    /// Waits for the turn of what `id` names. It lasts for as long as what is returned.
    pub async fn take(&self, id: Uuid) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let known = turns.get(&id).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let new = Arc::default();
                turns.insert(id, Arc::downgrade(&new));
                new
            })
        };
        turn.lock_owned().await
    }
}

/// Those who follow a feed: how many there may be, and what they share.
#[derive(Debug)]
pub struct Followers {
    /// A place for each.
    pub places: Arc<Semaphore>,
    /// Whether the server is stopping: then every feed ends.
    pub stopping: watch::Sender<bool>,
    /// How far the feed of revocations reaches, as it was last looked at.
    pub reach: AsyncMutex<Option<Reach>>,
}

/// How far a feed reaches.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// The cursor before the first entry.
    pub first: Uuid,
    /// The last entry's id.
    pub last: Uuid,
    /// The instant for which this holds: nothing that was committed before it is missing.
    pub now: Timestamp,
    /// When it was looked at, by a clock that nobody sets.
    pub looked: Instant,
    /// How often the bell had rung.
    pub rings: u64,
}

impl Followers {
    fn new(most: usize) -> Self {
        let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self { places, stopping: watch::Sender::new(false), reach: AsyncMutex::default() }
    }
}

/// `https://accounts.example.com`: where people and providers reach this server.
#[derive(Clone, Debug)]
pub struct Origin(String);

impl Origin {
    /// Reads `scheme://host[:port]` and nothing more.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(text).map_err(|error| error.to_string())?;
        let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !plain
            || !matches!(url.scheme(), "http" | "https")
            || url.host_str().is_none()
            || !url.username().is_empty()
        {
            return Err(format!("`{text}` is not an origin such as https://accounts.example.com"));
        }
        Ok(Self(url.origin().ascii_serialization()))
    }

    /// The origin itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one builder of links: `path` starts with a slash.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Whether people reach it over TLS.
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The host without a port, as the last line of a code message names it.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        match rest.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => rest.split(':').next().unwrap_or_default(),
        }
    }
}

/// Who is at the other end, as far as the connection tells.
#[derive(Clone, Debug)]
pub struct Client {
    /// The canonical address.
    pub address: std::net::IpAddr,
    /// What it calls itself, at most 256 characters.
    pub user_agent: Option<String>,
    /// The request's id.
    pub request_id: Uuid,
    /// Who acts for the user whose session it is, when somebody does.
    pub actor: Option<Uuid>,
}

/// One request, or one piece of a worker's work: the house, the instant, the asker's end of the line.
#[derive(Clone)]
pub struct Ctx {
    /// The house.
    pub app: Arc<App>,
    /// The instant of the request, read once.
    pub now: Timestamp,
    /// What each operation asks for, read once.
    pub policy: Arc<Policy>,
    /// The asker's end of the line; none for a worker.
    pub client: Option<Arc<Client>>,
}

/// What a rule may know besides records: the instant, chance drawn beforehand, the asker's end of the line.
#[derive(Clone)]
pub struct Moment {
    /// The instant.
    pub now: Timestamp,
    /// Chance, expanded by label.
    pub seed: Seed,
    /// The asker's end of the line.
    pub client: Option<Arc<Client>>,
    /// Whether events are told to the application.
    pub publishes: bool,
    /// Whether it was decided before, in vain: something that was seen has changed meanwhile.
    pub again: bool,
}

impl Moment {
    /// A moment that nobody asked for, decided for the first time and told to nobody.
    pub fn new(now: Timestamp, seed: Seed) -> Self {
        Self { now, seed, client: None, publishes: false, again: false }
    }

    /// A new id for `label`.
    pub fn uuid(&self, label: &str) -> Uuid {
        self.seed.uuid(label, self.now)
    }
}

/// How often a decision is taken anew when others were quicker. With the growing pauses between,
/// about two seconds at most; past it the asker is told to come back.
const ATTEMPTS: u32 = 40;

/// What is left alone for a while when the store takes nothing.
const NOTES: &str = "notes of use";

impl Ctx {
    /// A context at this instant.
    pub fn new(app: Arc<App>, client: Option<Client>) -> Self {
        let (now, policy) = (app.clock.now(), app.policy());
        Self { app, now, policy, client: client.map(Arc::new) }
    }

    /// A fresh moment: the same instant, new chance.
    pub fn moment(&self) -> Moment {
        let publishes = self.app.config.events.is_configured();
        Moment { client: self.client.clone(), publishes, ..Moment::new(self.now, self.app.random.seed()) }
    }

    /// Notes a use, such as when a session was last seen; whether that was done. What was changed meanwhile
    /// stays as it is.
    ///
    /// Nobody is kept from reading because nothing can be written, nor waits for it again and again.
    ///
    /// # Errors
    /// The store's, but that it cannot write.
    pub async fn note_use(&self, change: Change) -> Result<bool> {
        let circuits = &self.app.circuits;
        if !circuits.admits(NOTES, self.now) {
            return Ok(false);
        }
        match self.app.store.commit_unless_changed(vec![change]).await {
            Err(StoreError::Unavailable(error)) => {
                if circuits.open(NOTES, self.now) {
                    tracing::warn!(%error, "nothing can be written: what is used is not noted");
                }
                Ok(false)
            }
            other => {
                other?;
                circuits.report(NOTES, true, self.now);
                Ok(true)
            }
        }
    }

    /// The one way to write: reads and decides in `attempt`, commits what it decided, and, when what
    /// it had seen has changed meanwhile, does it again.
    ///
    /// A refusal's changes are durable before the refusal is returned.
    ///
    /// # Errors
    /// The refusal; or [`Problem::Busy`] when it conflicts again and again; or the store's failure.
    pub async fn decide<T, F>(&self, attempt: impl Fn(Moment) -> F) -> Result<T>
    where
        F: Future<Output = Result<Decision<T>>>,
    {
        let moment = self.moment();
        for round in 0..ATTEMPTS {
            let decision = attempt(Moment { again: round > 0, ..moment.clone() }).await?;
            let is_due = |change: &Change| change.table().due.is_some() || change.follows().is_some();
            let rings = decision.changes.iter().any(is_due);
            match self.app.store.commit(decision.changes).await {
                Ok(()) => {
                    if rings {
                        self.app.bell.send_modify(|rings| *rings = rings.wrapping_add(1));
                    }
                    return decision.outcome;
                }
                Err(StoreError::Conflict) => {
                    self.app.metrics.conflicts.inc();
                    // Those who lost together must not come back together.
                    let [chance] = self.app.random.bytes::<1>();
                    let pause = u64::from(round.min(15)) * (1 + u64::from(chance) % 8);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                Err(other) => return Err(other.into()),
            }
        }
        Err(Error::new(Problem::Busy).retry_after(Duration::from_secs(1)))
    }
}
