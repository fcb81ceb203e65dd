//! For services beside this one: checking access tokens offline, and hearing within a second that one of them
//! no longer counts. The format is in `docs/revocations.md`; `clients/typescript` does the same.
//!
//! ```no_run
//! # async fn example() -> Result<(), String> {
//! use vestibule::verify::{Settings, Verifier, VerifyLayer, WhenStale};
//!
//! let settings = Settings::new("https://accounts.example.com", "vk_…", WhenStale::Refuse);
//! let verifier = Verifier::new(settings, reqwest::Client::new())?;
//! tokio::spawn({
//!     let verifier = verifier.clone();
//!     async move { verifier.follow().await }
//! });
//! let service = axum::Router::<()>::new().layer(VerifyLayer::new(verifier));
//! # Ok(()) }
//! ```
//!
//! Always holds: nothing is read of a token or a batch before its signature is right; a batch that does not
//! follow on what was read before is not taken; how current the feed is is said by the signature and by
//! nobody in between. Knows nothing of accounts, and nothing of the house but its clock and its keys.

mod claims;
mod feed;
mod follow;
mod layer;

pub use claims::Claims;
pub use feed::Refused;
pub use layer::{Verify, VerifyLayer};

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::clock::{Clock, Timestamp};
use crate::jwt::{Held, Key, Purpose, Refusal, Ring};
use crate::secret::Secret;
use feed::Known;

/// What to do with a good token while the feed is older than [`Settings::patience`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenStale {
    /// Refuse it. Nobody whose session has ended gets in; while the accounts are away, nobody does.
    Refuse,
    /// Accept it until it expires. The service goes on without the accounts; so does whoever was signed out.
    Accept,
}

/// What a verifier is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who must have issued the token, such as `https://accounts.example.com`.
    pub issuer: String,
    /// For whom it must be: `tokens.audience` of the accounts, or the issuer.
    pub audience: String,
    /// Where the accounts are reached from here; the issuer unless it is another address.
    pub server: String,
    /// What the feed is asked for with: an API key with the scope `revocations.read`.
    pub key: Secret,
    /// What to do while the feed is not current.
    pub when_stale: WhenStale,
    /// How old the feed may be. Its heart beats every 5 seconds, and clocks differ.
    pub patience: Duration,
}

impl Settings {
    /// The usual: tokens are for their issuer, which is reached where it says, and the feed may be 15 seconds old.
    pub fn new(issuer: &str, key: &str, when_stale: WhenStale) -> Self {
        Self {
            issuer: issuer.to_owned(),
            audience: issuer.to_owned(),
            server: issuer.to_owned(),
            key: Secret::new(key),
            when_stale,
            patience: Duration::from_secs(15),
        }
    }
}

/// How long the published keys are used before they are read again (`Cache-Control` of the set).
const FRESH: Duration = Duration::from_secs(300);
/// Least time between two readings of the keys: anybody can make up a `kid`.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a reading may take.
const PATIENCE: Duration = Duration::from_secs(5);

struct Inner {
    settings: Settings,
    http: reqwest::Client,
    clock: Clock,
    keys: Held,
    /// When the keys were last asked for. Held while they are: of many who miss a key one asks.
    asked: tokio::sync::Mutex<Option<Timestamp>>,
    known: Mutex<Known>,
}

/// Checks access tokens. Clones share what they know.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

impl Verifier {
    /// A verifier that knows nothing yet: [`Verifier::follow`] has to run beside it.
    ///
    /// # Errors
    /// A sentence about a setting that cannot be used.
    pub fn new(settings: Settings, http: reqwest::Client) -> Result<Self, String> {
        Self::with_clock(settings, http, Clock::System)
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`Verifier::new`].
    pub fn with_clock(mut settings: Settings, http: reqwest::Client, clock: Clock) -> Result<Self, String> {
        settings.server.truncate(settings.server.trim_end_matches('/').len());
        reqwest::Url::parse(&settings.server)
            .map_err(|error| format!("`{}` is no address: {error}", settings.server))?;
        Ok(Self(Arc::new(Inner {
            settings,
            http,
            clock,
            keys: Held::default(),
            asked: tokio::sync::Mutex::default(),
            known: Mutex::default(),
        })))
    }

    /// What the access token says, when it counts.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn check(&self, token: &str) -> Result<Claims, Refused> {
        let now = self.0.clock.now();
        if token.len() > crate::jwt::LONGEST {
            return Err(Refused::Invalid);
        }
        let payload = self.open(Purpose::Access, token, now).await?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| Refused::Invalid)?;
        let settings = &self.0.settings;
        if !claims.count(&settings.issuer, &settings.audience, now) {
            return Err(Refused::Invalid);
        }
        let known = self.known();
        if known.has_ended(&claims) {
            return Err(Refused::Ended);
        }
        let is_current = known.is_current(now, settings.patience);
        if is_current || settings.when_stale == WhenStale::Accept { Ok(claims) } else { Err(Refused::Stale) }
    }

    /// The instant up to which every ending is known; none before the feed was read for the first time.
    pub fn as_of(&self) -> Option<Timestamp> {
        self.known().as_of()
    }

    /// The entry of the feed that was read last.
    pub fn cursor(&self) -> Option<Uuid> {
        self.known().cursor()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the published keys again when they are old. Left to whoever follows the feed: a check of a token
    /// whose key is known waits for nobody.
    async fn refresh_keys(&self) {
        let (old, now) = (self.0.keys.get(), self.0.clock.now());
        if !old.is_empty() && now.apart(old.read_at) > FRESH {
            self.read_keys(&old, now).await;
        }
    }

    /// The content of what one of the published keys has signed.
    async fn open(&self, purpose: Purpose, token: &str, now: Timestamp) -> Result<Vec<u8>, Refused> {
        let ring = self.0.keys.get();
        match ring.open_for(purpose, token, now) {
            Ok(payload) => Ok(payload),
            Err(Refusal::Wrong) => Err(Refused::Invalid),
            Err(Refusal::UnknownKey) => {
                self.read_keys(&ring, now).await;
                let ring = self.0.keys.get();
                if ring.is_empty() {
                    return Err(Refused::Stale);
                }
                ring.open_for(purpose, token, now).map_err(|_| Refused::Invalid)
            }
        }
    }

    /// Reads the published keys, unless somebody else has done so since `old` was seen, or asked a moment ago.
    /// Those that are known go on counting when they cannot be read.
    async fn read_keys(&self, old: &Arc<Ring>, now: Timestamp) {
        let mut asked = self.0.asked.lock().await;
        if !Arc::ptr_eq(old, &self.0.keys.get()) || asked.is_some_and(|asked| now.apart(asked) < PAUSE) {
            return;
        }
        *asked = Some(now);
        let address = format!("{}/.well-known/jwks.json", self.0.settings.server);
        let read = async {
            let answer = self.0.http.get(address).timeout(PATIENCE).send().await?.error_for_status()?;
            answer.bytes().await
        };
        let keys = match read.await {
            Ok(bytes) => published(&bytes),
            Err(error) => {
                // A reading may take as long as the pause, which begins at its end.
                *asked = Some(self.0.clock.now());
                tracing::warn!(%error, "the keys of access tokens cannot be read");
                return;
            }
        };
        if !keys.is_empty() {
            self.0.keys.set(Ring::new(keys, now));
        }
    }
}

/// The keys of a JWK set (RFC 7517 §5). One of another kind is left out.
fn published(bytes: &[u8]) -> Vec<Key> {
    let set: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let keys = set.get("keys").and_then(serde_json::Value::as_array);
    keys.into_iter().flatten().filter_map(Key::published).collect()
}
