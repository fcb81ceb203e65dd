//! People who never were, for trying things out: the same ones for the same number.
//!
//! They are made of the records that the rooms would make, with instants before now, and nothing of it is
//! due: no worker sends or dials for them.

mod organizations;

use std::time::Duration;

use uuid::Uuid;

use organizations::Candidate;

use crate::accounts::{Metadata, Roles, Status, User};
use crate::app::{Client, Ctx, Moment};
use crate::audit::{What, note};
use crate::calls::{self, Call};
use crate::clock::Timestamp;
use crate::devices::{Device, Under};
use crate::error::Result;
use crate::factors::{Factor, recovery_codes::Slots, totp};
use crate::identifiers::{Identifier, Name};
use crate::messages::{self, Fallback, History, Message, Step, Tries};
use crate::passwords::Password;
use crate::policy::{FactorKind, IdentifierKind, Proofs};
use crate::random::{Random, Seed};
use crate::secret::Secret;
use crate::sessions::{Carry, Session};
use crate::store::{Change, Entity, Query};

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// The key of every authenticator app, in base 32.
pub const TOTP_KEY: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

const DAY: u64 = 24 * 60 * 60;

/// Users who found organisations with each other.
const NEIGHBOURS: usize = 50;

/// Users in one commit.
const BATCH: u64 = 500;

/// For how many days there have been people.
const DAYS: u64 = 700;

const FIRST: &[&str] = &[
    "Ada", "Amara", "Ana", "Björn", "Chen", "Dalia", "Diego", "Elif", "Emeka", "Fatima", "Grace", "Hana",
    "Ines", "Ivan", "Jorge", "Kofi", "Lars", "Leila", "Mateo", "Mei", "Nadia", "Noor", "Olga", "Omar",
    "Priya", "Rosa", "Sakura", "Tariq", "Uma", "Yusuf",
];
const LAST: &[&str] = &[
    "Almeida",
    "Andersen",
    "Bauer",
    "Costa",
    "Diallo",
    "Eriksson",
    "Fernández",
    "García",
    "Haddad",
    "Ito",
    "Jensen",
    "Kaya",
    "Kim",
    "Kowalska",
    "Lindqvist",
    "Mbeki",
    "Müller",
    "Nakamura",
    "Okafor",
    "Patel",
    "Quispe",
    "Rossi",
    "Sato",
    "Silva",
    "Tanaka",
    "Novák",
    "Usman",
    "Weber",
    "Yılmaz",
    "Zhang",
];
const LOCALES: &[&str] = &["en", "en", "en-GB", "es", "fr", "de", "pt-BR", "ar", "ja"];
const CITIES: &[&str] = &["Lisbon", "Lagos", "Osaka", "Lima", "Oslo", "Amman", "Kraków", "Denver"];
const BROWSERS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    "ExampleApp/3.2 (Android 15)",
];

/// How many records were made.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Made {
    /// Users.
    pub users: u64,
    /// Sessions that stand.
    pub sessions: u64,
    /// Calls.
    pub calls: u64,
    /// Messages.
    pub messages: u64,
    /// Organisations.
    pub organizations: u64,
    /// Invitations to them that can be accepted.
    pub invitations: u64,
}

/// How much is told of people who never were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lives {
    /// What they did as well: sessions, messages, calls, organisations.
    Whole,
    /// Who they are and how they prove it.
    Bare,
}

/// Whether anybody lives in this house.
///
/// # Errors
/// The store's.
pub async fn is_empty(ctx: &Ctx) -> Result<bool> {
    Ok(ctx.app.store.first(Query::<User>::along(User::BY_CREATED)).await?.is_none())
}

/// The username of the first of the people of `seed`, who is an administrator.
pub fn admin(seed: u64) -> String {
    format!("admin{seed}")
}

/// Area codes of numbers: each holds those of [`BLOCKS`] seeds.
const AREAS: &[u64] = &[202, 212, 213, 305, 312, 404, 415, 503, 512, 602, 617, 702, 713, 808, 818, 917];

/// So many times a [`MOST`] of people have numbers with one area code.
const BLOCKS: u64 = 7;

/// Most people of one seed.
pub const MOST: u64 = 1_000_000;

/// The number of one of the people of `seed`: no two of 112 seeds in a row share one. Numbers that are kept for fiction
/// (+1 202 555 01xx) are too few: these are of a plan, and nothing is sent.
fn mobile(seed: u64, number: u64) -> String {
    let block = seed.wrapping_sub(1) % (BLOCKS * AREAS.len() as u64);
    let area = usize::try_from(block / BLOCKS).ok().and_then(|at| AREAS.get(at)).unwrap_or(&202);
    format!("+1{area}{:07}", 2_000_000 + block % BLOCKS * MOST + number % MOST)
}

/// Makes `users` people of whom `seed` says what they are like: the first is [`admin`], an administrator. None when they, or
/// others who have their names or numbers, are there already; then those before them may have been made.
///
/// # Errors
/// The store's.
pub async fn fill(ctx: &Ctx, users: u64, seed: u64, lives: Lives) -> Result<Option<Made>> {
    let (which, random) = (seed, Random::seeded(seed));
    // One hash for all: a thousand would take seconds, and the password is told to everybody anyway.
    let phc = ctx.app.hashing.hash(Secret::new(PASSWORD), random.bytes()).await?;
    let mut made = Made::default();
    let mut changes = Vec::new();
    let mut neighbours = Vec::with_capacity(NEIGHBOURS);
    for number in 0..users {
        let seed = random.seed();
        let mut person =
            Person { ctx, which, number, of: users, seed, changes: &mut changes, made: &mut made };
        neighbours.push(person.make(&phc, lives));
        let is_last = number + 1 == users;
        if is_last || neighbours.len() == NEIGHBOURS {
            // Drawn either way: the same people come, with and without their lives.
            let (seed, neighbours) = (random.seed(), std::mem::take(&mut neighbours));
            if lives == Lives::Whole {
                changes.extend(organizations::found(ctx, &neighbours, &seed, &mut made));
            }
        }
        if is_last || (number + 1) % BATCH == 0 {
            // Names and numbers are of the seed, so nothing but these people themselves, or somebody with their names,
            // can be in the way.
            if !ctx.app.store.commit_unless_changed(std::mem::take(&mut changes)).await? {
                return Ok(None);
            }
        }
    }
    Ok(Some(made))
}

struct Person<'a> {
    ctx: &'a Ctx,
    /// Of which seed all of them are.
    which: u64,
    number: u64,
    /// How many there are.
    of: u64,
    seed: Seed,
    changes: &'a mut Vec<Change>,
    made: &'a mut Made,
}

impl Person<'_> {
    /// A number below `below` that `label` stands for.
    fn below(&self, label: &str, below: u64) -> u64 {
        u64::from_le_bytes(self.seed.bytes(label)) % below.max(1)
    }

    fn pick(&self, label: &str, list: &[&'static str]) -> &'static str {
        let at = self.below(label, list.len() as u64);
        usize::try_from(at).ok().and_then(|at| list.get(at)).copied().unwrap_or_default()
    }

    /// Whether it is so for `percent` of everybody.
    fn chance(&self, label: &str, percent: u64) -> bool {
        self.below(label, 100) < percent
    }

    /// Up to `days` before `end`.
    fn before(&self, label: &str, end: Timestamp, days: u64) -> Timestamp {
        end - Duration::from_secs(self.below(label, days * DAY))
    }

    fn put<T: Entity>(&mut self, record: &T) {
        self.changes.push(Change::insert(record));
    }

    /// One moment of this person's life.
    fn moment(&self, label: &str, now: Timestamp) -> Moment {
        let address = [203, 0, 113, u8::try_from(1 + self.below("address", 250)).unwrap_or(1)];
        let client = Client {
            address: std::net::IpAddr::from(address),
            user_agent: Some(self.pick("browser", BROWSERS).to_owned()),
            request_id: self.seed.uuid(&format!("request:{label}"), now),
            actor: None,
        };
        Moment { client: Some(client.into()), ..Moment::new(now, self.seed.clone()) }
    }

    fn note(&mut self, what: What, user: Uuid, at: Timestamp) {
        let event = note(what).user(user).at(&self.moment(what.as_str(), at));
        self.put(&event);
    }

    fn make(&mut self, phc: &str, lives: Lives) -> Candidate {
        let now = self.ctx.now;
        let is_admin = self.number == 0;
        // One after the other, as people come. A database takes them much faster so, too.
        let age = (self.of - self.number) * DAYS * DAY / self.of.max(1);
        let created = self.before("created", now - Duration::from_secs(DAY + age), 1);
        let moment = self.moment("sign up", created);
        let (first, last) = (self.pick("first", FIRST), self.pick("last", LAST));
        let username = match self.which {
            _ if is_admin => admin(self.which),
            1 => format!("{}{}", plain(first), self.number),
            // So that those of several seeds can live in one house.
            which => format!("{}{}-{which}", plain(first), self.number),
        };
        let suspended = !is_admin && self.chance("suspended", 3);
        let mut metadata = Metadata::default();
        metadata.0.insert("city".to_owned(), self.pick("city", CITIES).into());
        metadata.0.insert("newsletter".to_owned(), self.chance("newsletter", 40).into());
        let mut user = User {
            name: Some(format!("{first} {last}")),
            locale: Some(self.pick("locale", LOCALES).to_owned()),
            status: if suspended { Status::Suspended } else { Status::Active },
            metadata,
            ..User::new(moment.uuid("user"), created)
        };
        user.set_roles(Roles(if is_admin { vec!["admin".to_owned()] } else { Vec::new() }));
        self.made.users += 1;
        self.put(&user);
        self.put(&Password::chosen(user.id, phc.to_owned(), created));
        self.note(What::SignedUp, user.id, created);
        let email = format!("{username}@example.com");
        let mobile = mobile(self.which, self.number);
        let reached = self.known(&user, &username, &email, &mobile);
        self.factors(&user, reached.as_ref());
        if lives == Lives::Whole {
            self.lives(&user, &mobile);
        }
        let User { id, created_at, sessions_from, .. } = user;
        Candidate { user: id, created_at, sessions_from, is_active: !suspended }
    }

    /// What they did.
    fn lives(&mut self, user: &User, mobile: &str) {
        if user.status == Status::Active {
            self.signed_in(user);
        }
        for at in 0..self.below("messages", 4) {
            self.message(user, mobile, at);
        }
        if self.chance("calls", 40) {
            for at in 0..1 + self.below("how many calls", 4) {
                self.call(user, at);
            }
        }
    }

    /// What they are known by; the claim to a number when it is theirs.
    fn known(&mut self, user: &User, username: &str, email: &str, mobile: &str) -> Option<Identifier> {
        let mut reached = None;
        for (kind, text) in [
            (IdentifierKind::Username, username),
            (IdentifierKind::Email, email),
            (IdentifierKind::Mobile, mobile),
        ] {
            let Ok(name) = Name::parse(kind, text) else { continue };
            let id = self.seed.uuid(kind.as_str(), user.created_at);
            let mut claim = Identifier::new(id, user.id, &name, user.created_at);
            // Whoever has an account has verified the number; the mail was not everybody's first thought.
            let verified = match kind {
                IdentifierKind::Username => false,
                IdentifierKind::Email => self.chance("verified email", 80),
                IdentifierKind::Mobile => self.chance("verified mobile", 95),
            };
            if verified {
                claim.verified_at = Some(user.created_at + Duration::from_secs(90));
                claim.owned = Some(name.owned_key());
            }
            self.put(&claim);
            if kind == IdentifierKind::Mobile {
                reached = Some(claim);
            } else if kind == IdentifierKind::Email {
                self.reaching(user, &claim, FactorKind::Email, false);
            }
        }
        reached
    }

    fn reaching(&mut self, user: &User, claim: &Identifier, kind: FactorKind, chosen: bool) {
        let id = self.seed.uuid(&format!("factor:{kind}"), user.created_at);
        let factor = Factor::known(id, user.id, kind, user.created_at);
        self.put(&Factor { identifier_id: Some(claim.id), chosen, ..factor });
    }

    /// A third has chosen no second factor, a third their number, and a third an app, some with
    /// recovery codes.
    fn factors(&mut self, user: &User, mobile: Option<&Identifier>) {
        let third = self.number % 3;
        if let Some(mobile) = mobile {
            self.reaching(user, mobile, FactorKind::Sms, third == 1);
        }
        if third != 2 {
            return;
        }
        let bound = user.created_at + Duration::from_secs(600);
        let id = self.seed.uuid("factor:totp", bound);
        let key = totp::given_key(TOTP_KEY).unwrap_or_default();
        let secret = self.ctx.app.keyring.seal(&Factor::context(id), &key, &self.ctx.app.random);
        let factor = Factor::known(id, user.id, FactorKind::Totp, bound);
        self.put(&Factor { secret: Some(secret), name: Some("Phone".to_owned()), ..factor });
        self.note(What::FactorAdded, user.id, bound);
        if self.chance("recovery codes", 50) {
            let id = self.seed.uuid("factor:recovery", bound);
            let factor = Factor::known(id, user.id, FactorKind::RecoveryCode, bound);
            // Codes of which nobody has the text; only how many are left is to be seen.
            let left = usize::try_from(self.below("codes left", 10)).unwrap_or(0);
            let code = |at: usize| {
                (at <= left).then(|| "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned())
            };
            self.put(&Factor { codes: Slots((0..10).map(code).collect()), ..factor });
        }
    }

    fn signed_in(&mut self, user: &User) {
        let policy = &self.ctx.policy.session;
        let lifetime = (*policy.lifetime).min(*policy.idle).as_secs() / DAY;
        for at in 0..self.below("sessions", 4) {
            let opened = self.before(&format!("session:{at}"), self.ctx.now, lifetime.clamp(1, 20));
            let opened = opened.latest(user.created_at);
            let mut moment = self.moment(&format!("session:{at}"), opened);
            // A seed of its own: a session's id and token are made of it.
            moment.seed = Random::seeded(self.below(&format!("session seed:{at}"), u64::MAX)).seed();
            let proofs = Proofs::default().and(FactorKind::Password, opened).and(FactorKind::Sms, opened);
            let carry = *Carry::ALL
                .get(usize::try_from(at).unwrap_or(0) % Carry::ALL.len())
                .unwrap_or(&Carry::Bearer);
            let (mut session, _) = Session::open(user, proofs, carry, policy, &moment);
            let client = moment.client.as_ref();
            let device = Device {
                id: moment.uuid("device"),
                user_id: user.id,
                digest: moment.seed.bytes::<32>("device token").to_vec(),
                address: session.address.clone(),
                user_agent: client.and_then(|client| client.user_agent.clone()),
                failures: 0,
                trusted_under: Under::default(),
                counts_from: opened,
                created_at: opened,
                used_at: opened,
                known_until: opened + *self.ctx.policy.devices.known,
                trusted_until: None,
            };
            session.device_id = Some(device.id);
            self.put(&device);
            self.put(&session);
            let event = note(What::SignedIn).user(user.id).session(session.id).at(&moment);
            self.put(&event);
            self.made.sessions += 1;
        }
    }

    fn message(&mut self, user: &User, mobile: &str, at: u64) {
        let statuses = messages::Status::ALL;
        // Most arrive; the others show every way in which one can end.
        let rare = statuses.get(usize::try_from((self.number + at) % statuses.len() as u64).unwrap_or(0));
        let status = rare.filter(|_| self.chance(&format!("message rare:{at}"), 50));
        let status = status.copied().unwrap_or(messages::Status::Delivered);
        let created = self.before(&format!("message:{at}"), self.ctx.now, 25).latest(user.created_at);
        let failed = matches!(status, messages::Status::Failed | messages::Status::Undelivered);
        let id = self.seed.uuid(&format!("message:{at}"), created);
        let message = Message {
            id,
            kind: messages::Channel::Sms,
            purpose: "code".to_owned(),
            to: mobile.to_owned(),
            body: None,
            user: Some(user.id),
            challenge: None,
            status,
            attempts: 1,
            doubts: 0,
            provider: "twilio".to_owned(),
            provider_ref: Some(format!("SM{}", id.simple())),
            error_code: failed.then_some(30_003),
            error_reason: failed.then(|| "The phone was not reachable.".to_owned()),
            callback: self.seed.bytes::<32>(&format!("message callback:{at}")).to_vec(),
            callback_sealed: None,
            history: history(created, status.as_str()),
            tries: Tries::default(),
            fallback: Fallback::default(),
            polls: 0,
            look_at: None,
            created_at: created,
            valid_until: created + Duration::from_secs(600),
            due_at: None,
            finished_at: status.is_final().then(|| created + Duration::from_secs(3)),
            expires_at: created + Duration::from_secs(30 * DAY),
        };
        self.put(&message);
        self.made.messages += 1;
    }

    fn call(&mut self, user: &User, at: u64) {
        // Each status comes up in turn, so that a small house has all of them.
        let statuses = calls::Status::ALL;
        let turn = usize::try_from(self.made.calls % statuses.len() as u64).unwrap_or(0);
        let status = statuses.get(turn).copied().unwrap_or(calls::Status::Completed);
        let created = self.before(&format!("call:{at}"), self.ctx.now, 25).latest(user.created_at);
        let id = self.seed.uuid(&format!("call:{at}"), created);
        let ended = status.is_final();
        let failed = status == calls::Status::Failed;
        let call = Call {
            id,
            user_id: user.id,
            to: format!("+1212{:07}", 2_000_000 + self.below(&format!("call to:{at}"), 7_999_999)),
            from: "+15005550006".to_owned(),
            say: None,
            twiml_url: None,
            language: "en-US".to_owned(),
            status,
            next: calls::Next::Nothing,
            attempts: 1,
            looks: 0,
            canceled_at: (status == calls::Status::Canceled).then_some(created),
            provider: "twilio".to_owned(),
            provider_ref: (status != calls::Status::Queued).then(|| format!("CA{}", id.simple())),
            error_code: failed.then_some(21_217),
            error_reason: failed.then(|| "The number is not one.".to_owned()),
            duration: (status == calls::Status::Completed)
                .then(|| u32::try_from(5 + self.below(&format!("call length:{at}"), 300)).unwrap_or(60)),
            callback: self.seed.bytes::<32>(&format!("call callback:{at}")).to_vec(),
            callback_sealed: None,
            history: history(created, status.as_str()),
            created_at: created,
            valid_until: created + Duration::from_secs(600),
            tried_at: Some(created),
            due_at: None,
            finished_at: ended.then(|| created + Duration::from_secs(30)),
            expires_at: created + Duration::from_secs(30 * DAY),
        };
        self.put(&call);
        self.made.calls += 1;
    }
}

/// From `queued` to how it is.
fn history(created: Timestamp, last: &str) -> History {
    let step =
        |after, status: &str| Step { at: created + Duration::from_secs(after), status: status.to_owned() };
    let mut steps = vec![step(0, "queued")];
    if last != "queued" {
        steps.push(step(3, last));
    }
    History(steps)
}

/// A name in the letters of a username.
fn plain(name: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    name.nfd().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_people_of_many_seeds_have_names_and_numbers_of_their_own() {
        let mut numbers = std::collections::HashSet::new();
        for seed in 1..=BLOCKS * AREAS.len() as u64 {
            for number in [0, MOST - 1] {
                let mobile = mobile(seed, number);
                assert!(Name::parse(IdentifierKind::Mobile, &mobile).is_ok(), "{mobile}");
                assert!(numbers.insert(mobile));
            }
        }
        let longest = format!("fatima{}-{}", MOST - 1, u32::MAX);
        assert!(Name::parse(IdentifierKind::Username, &longest).is_ok());
    }
}
