//! Random lives of accounts beside a model that knows only what was shown.
//!
//! What is held to: no session has more assurance than was proved in it; no operation is done with less
//! proof than the policy asks for; a code, a step of an app, a recovery code counts once. The house is the
//! real one over the engine in memory. `VESTIBULE_TEST_CASES` is how many steps are taken.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use uuid::Uuid;
use vestibule::app::{App, Ctx};
use vestibule::challenges::actions::{Answered, answer_code, resend};
use vestibule::challenges::{Challenge, ChallengeView};
use vestibule::clock::{Clock, Timestamp};
use vestibule::config::Config;
use vestibule::devices::Brought;
use vestibule::enrolment::{self, MOST};
use vestibule::error::{Error, Problem};
use vestibule::factors::Factor;
use vestibule::passwords::GivenPassword;
use vestibule::policy::{FactorKind, IdentifierKind, Policy, When, operation};
use vestibule::random::Random;
use vestibule::secret::{Keyring, Secret, Token, TokenKind};
use vestibule::sessions::actions::{Scope, end_scope};
use vestibule::sessions::{Caller, Carry, Session, authenticate};
use vestibule::sign_in::actions::{SignedIn, Whom, sign_in};
use vestibule::step_up::actions::{Begun, begin};
use vestibule::store::{Engine, Faults, Memory, Query};

use crate::factors::{patient, shows};
use crate::world::PASSWORD;

const OPERATIONS: [&str; 4] =
    [operation::FACTOR_ADD, operation::FACTOR_REMOVE, operation::RECOVERY_CODES_MAKE, operation::EXPORT];
const FRESH: i64 = 5 * 60_000;
const CODE: i64 = 5 * 60_000;
/// Few, so that factors are locked within one short life.
const FAILURES: u32 = 4;

/// A small generator of its own (xorshift64*), so that a seed names one life.
pub struct Dice(pub u64);
impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound.max(1)
    }
    fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { Some(items[self.below(items.len())].clone()) }
    }
}

#[derive(Clone, PartialEq, Debug)]
enum Means {
    Phone,
    App { secret: String, last: i64 },
    Codes(Vec<String>),
}

#[derive(Clone, Debug)]
struct Bound {
    id: Uuid,
    means: Means,
    chosen: bool,
    failures: u32,
    locked: bool,
}

type Shown = (Option<&'static str>, FactorKind, i64);

#[derive(Clone, Debug)]
struct Open {
    token: String,
    id: Uuid,
    proofs: Vec<Shown>,
    opened: i64,
    seen: i64,
    ended: bool,
}

#[derive(Clone, Debug)]
struct Asked {
    token: String,
    kind: FactorKind,
    factor: Uuid,
    /// Which session asked, and what for; none to sign in.
    by: Option<(usize, &'static str)>,
    password_at: i64,
    at: i64,
    /// How often all sessions had been ended.
    ends: u32,
    attempts: u32,
    over: bool,
}

/// What the model knows of one account.
struct Life {
    app: Arc<App>,
    dice: Dice,
    when: When,
    name: String,
    factors: Vec<Bound>,
    verified: bool,
    pending: Option<(Uuid, String, i64)>,
    sessions: Vec<Open>,
    asked: Vec<Asked>,
    /// How often all sessions were ended. Sign-ins that were begun before are over.
    ends: u32,
    log: Vec<String>,
}

fn slug<T>(result: &Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.problem.slug(),
    }
}

impl Life {
    fn now(&self) -> i64 {
        self.app.clock.now().as_millis()
    }

    fn ctx(&self) -> Ctx {
        Ctx::new(Arc::clone(&self.app), None)
    }

    fn counted(&self) -> Vec<Bound> {
        let sent = self.when == When::Always;
        self.factors.iter().filter(|one| one.means != Means::Phone || one.chosen || sent).cloned().collect()
    }

    fn able(&self, one: &Bound) -> bool {
        !one.locked && !matches!(&one.means, Means::Codes(codes) if codes.is_empty())
    }

    fn has_second(&self) -> bool {
        self.counted().iter().any(|one| !matches!(one.means, Means::Codes(_)))
    }

    /// The kinds that would do for an operation that asks for the highest.
    fn wanted(&self) -> BTreeSet<&'static str> {
        let mut kinds = BTreeSet::new();
        for one in self.counted() {
            match one.means {
                Means::Phone => kinds.extend(["sms", "call"]),
                Means::App { .. } => kinds.extend(["totp"]),
                Means::Codes(_) => kinds.extend(["recovery_code"]),
            }
        }
        if kinds.is_empty() { BTreeSet::from(["password"]) } else { kinds }
    }

    fn may(&self, session: usize, name: &str) -> bool {
        let (wanted, now) = (self.wanted(), self.now());
        self.sessions[session].proofs.iter().any(|(what, kind, at)| {
            wanted.contains(kind.as_str()) && what.is_none_or(|what| what == name) && now - at <= FRESH
        })
    }

    fn stands(&self, session: usize) -> bool {
        let open = &self.sessions[session];
        let now = self.now();
        !open.ended && now < open.opened + 86_400_000 && now - open.seen < 3_600_000
    }

    /// Recognises a session, and holds the house to what the model says of it.
    async fn caller(&mut self, session: usize) -> Option<Caller> {
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", self.sessions[session].token);
        headers.insert(header::AUTHORIZATION, bearer.parse().unwrap());
        let caller = authenticate(&self.ctx(), &headers).await.unwrap();
        assert_eq!(caller.is_some(), self.stands(session), "{:#?}", self.log);
        let now = self.now();
        if caller.is_some() && now - self.sessions[session].seen >= 60_000 {
            self.sessions[session].seen = now;
        }
        caller
    }

    /// No session has other proofs than were shown in it.
    async fn holds(&self) {
        for open in self.sessions.iter().filter(|open| !open.ended) {
            let stored = self.app.store.get::<Session>(open.id).await.unwrap().unwrap();
            let mut has: Vec<_> = stored
                .proofs
                .0
                .iter()
                .map(|proof| (proof.operation.clone(), proof.factor.as_str(), proof.at.as_millis()))
                .collect();
            let mut should: Vec<_> = open
                .proofs
                .iter()
                .map(|(what, kind, at)| (what.map(str::to_owned), kind.as_str(), *at))
                .collect();
            has.sort();
            should.sort();
            assert_eq!(has, should, "{:#?}", self.log);
            let knows = should.iter().any(|one| one.0.is_none() && one.1 == "password");
            let owns = should.iter().any(|one| one.0.is_none() && one.1 != "password");
            assert_eq!(stored.proofs.level(), if knows && owns { 2 } else { 1 });
        }
    }

    fn shown(&mut self, session: usize, what: Option<&'static str>, kind: FactorKind) {
        let now = self.now();
        let proofs = &mut self.sessions[session].proofs;
        proofs.retain(|one| one.0 != what || one.1 != kind);
        proofs.push((what, kind, now));
    }

    fn opens(&mut self, id: Uuid, token: String, proofs: Vec<Shown>) {
        let now = self.now();
        self.sessions.push(Open { token, id, proofs, opened: now, seen: now, ended: false });
    }

    async fn record(&self, token: &str) -> Challenge {
        let id = Token::parse(TokenKind::Challenge, token).unwrap().id;
        self.app.store.get::<Challenge>(id).await.unwrap().unwrap().into_inner()
    }

    async fn is_asked(&mut self, view: &ChallengeView, by: Option<(usize, &'static str)>) {
        let record = self.record(&view.id).await;
        let at = self.now();
        let known = self.counted().iter().any(|one| one.id == record.factor_id && self.able(one));
        assert!(known, "asked for what is not there or locked: {:#?}", self.log);
        self.asked.push(Asked {
            token: view.id.clone(),
            kind: view.factor,
            factor: record.factor_id,
            by,
            password_at: at,
            at,
            ends: self.ends,
            attempts: 0,
            over: false,
        });
    }

    async fn signs_in(&mut self) {
        let kinds =
            [None, None, Some(FactorKind::Totp), Some(FactorKind::Sms), Some(FactorKind::RecoveryCode)];
        let wanted = self.dice.pick(&kinds).unwrap();
        let right = self.dice.below(8) > 0;
        let password = Secret::new(if right { PASSWORD } else { "not the one" });
        let given = GivenPassword::new(&password);
        let result = sign_in(
            &self.ctx(),
            Whom::Named(&self.name, None),
            given,
            wanted,
            Carry::Bearer,
            &Brought::default(),
        )
        .await;
        self.log.push(format!("{} signs in {wanted:?} {right} {}", self.now(), slug(&result)));
        let needs = match self.when {
            When::Always => true,
            When::Never => false,
            _ => !self.counted().is_empty(),
        };
        match result {
            Ok(SignedIn::Now { session, token, .. }) => {
                assert!(right && !needs, "{:#?}", self.log);
                let now = self.now();
                self.opens(session.id, token.reveal(), vec![(None, FactorKind::Password, now)]);
            }
            Ok(SignedIn::Asked(view, _)) => {
                assert!(right && needs, "{:#?}", self.log);
                self.is_asked(&view, None).await;
            }
            Ok(SignedIn::Unverified(..)) => panic!("nothing has to be verified: {:#?}", self.log),
            Err(error) => {
                assert!(!right || needs, "{:#?}", self.log);
                assert!(
                    !right || matches!(error.problem, Problem::FactorLocked | Problem::FactorMissing),
                    "{:#?}",
                    self.log
                );
            }
        }
    }

    /// A code that somebody might give, right or not.
    async fn guess(&mut self, asked: &Asked) -> String {
        let step = self.now() / 30_000;
        match self.dice.below(8) {
            0 => "000000".to_owned(),
            1 => "nonsense".to_owned(),
            _ if matches!(asked.kind, FactorKind::Sms | FactorKind::Call) && !asked.over => {
                let record = self.record(&asked.token).await;
                let context = Challenge::context(record.id);
                let code = self.app.keyring.open(&context, record.code.as_ref().unwrap()).unwrap();
                String::from_utf8(code.to_vec()).unwrap()
            }
            _ if asked.kind == FactorKind::RecoveryCode => {
                let codes = self.factors.iter().find_map(|one| match &one.means {
                    Means::Codes(codes) => Some(codes.clone()),
                    _ => None,
                });
                self.dice
                    .pick(&codes.unwrap_or_default())
                    .unwrap_or_else(|| "0-0000-0000-0000-0000".to_owned())
            }
            _ => {
                let off = i64::try_from(self.dice.below(5)).unwrap() - 2;
                let off = if self.dice.below(3) > 0 { 0 } else { off };
                let apps: Vec<_> = self
                    .factors
                    .iter()
                    .filter_map(|one| match &one.means {
                        Means::App { secret, .. } => Some(secret.clone()),
                        _ => None,
                    })
                    .collect();
                self.dice.pick(&apps).map_or_else(|| "111111".to_owned(), |secret| shows(&secret, step + off))
            }
        }
    }

    /// What a guess proves: the factor as it is afterwards.
    async fn judge(&self, asked: &Asked, given: &str) -> Option<Bound> {
        let step = self.now() / 30_000;
        for one in self.factors.iter().filter(|one| !one.locked) {
            match (&one.means, asked.kind) {
                (Means::Phone, FactorKind::Sms | FactorKind::Call) if one.id == asked.factor => {
                    let record = self.record(&asked.token).await;
                    let context = Challenge::context(record.id);
                    let code = self.app.keyring.open(&context, record.code.as_ref()?).unwrap();
                    if given.as_bytes() == code.as_slice() {
                        return Some(one.clone());
                    }
                }
                (Means::App { secret, last }, FactorKind::Totp) => {
                    let fits = |step: &i64| step > last && shows(secret, *step) == given;
                    if let Some(step) = (step - 1..=step + 1).find(fits) {
                        return Some(Bound {
                            means: Means::App { secret: secret.clone(), last: step },
                            ..one.clone()
                        });
                    }
                }
                (Means::Codes(codes), FactorKind::RecoveryCode) if codes.iter().any(|code| code == given) => {
                    let left = codes.iter().filter(|code| *code != given).cloned().collect();
                    return Some(Bound { means: Means::Codes(left), ..one.clone() });
                }
                _ => {}
            }
        }
        None
    }

    async fn answers(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        // Mostly the newest; sometimes one that is long over.
        let last = self.asked.len() - 1;
        let at = if self.dice.below(4) > 0 { last } else { self.dice.below(last + 1) };
        let asked = self.asked[at].clone();
        let given = self.guess(&asked).await;
        // Mostly by the session that asked; sometimes by another, or by nobody.
        let by = match asked.by {
            Some((session, _)) if self.dice.below(6) > 0 => Some(session),
            _ if self.sessions.is_empty() || self.dice.below(2) == 0 => None,
            _ => Some(self.dice.below(self.sessions.len())),
        };
        let caller = match by {
            Some(session) => self.caller(session).await,
            None => None,
        };
        let now = self.now();
        let gone = asked.over
            || now >= asked.at + CODE
            || asked.attempts >= 5
            || !self.factors.iter().any(|one| one.id == asked.factor)
            || match asked.by {
                None => asked.ends < self.ends,
                Some((session, _)) => caller.is_none() || by != Some(session),
            };
        let tried = |one: &Bound| match asked.kind {
            FactorKind::Totp => matches!(one.means, Means::App { .. }) && !one.locked,
            _ => one.id == asked.factor,
        };
        let locked = self.factors.iter().filter(|one| tried(one)).all(|one| one.locked);
        let proved = if gone || locked { None } else { self.judge(&asked, &given).await };
        let token = Token::parse(TokenKind::Challenge, &asked.token).unwrap();
        let result =
            answer_code(&self.ctx(), caller.as_ref(), Some(&token), &given, &Brought::default()).await;
        self.log.push(format!(
            "{now} answers {:?} for {:?} with {given}: {}",
            asked.kind,
            asked.by,
            slug(&result)
        ));
        assert_eq!(result.is_ok(), proved.is_some(), "{:#?}", self.log);
        let expected = match (gone, locked) {
            (true, _) => Problem::CodeGone,
            (false, true) => Problem::FactorLocked,
            (false, false) => Problem::CodeWrong,
        };
        match result {
            Err(error) => {
                assert_eq!(error.problem, expected, "{:#?}", self.log);
                if expected == Problem::CodeWrong {
                    self.asked[at].attempts += 1;
                    for one in self.factors.iter_mut().filter(|one| tried(one)) {
                        one.failures += 1;
                        one.locked |= one.failures >= FAILURES;
                    }
                }
            }
            Ok(answered) => {
                let proved = Bound { failures: 0, ..proved.unwrap() };
                self.verified |= proved.means == Means::Phone;
                let id = proved.id;
                *self.factors.iter_mut().find(|one| one.id == id).unwrap() = proved;
                self.asked[at].over = true;
                match (answered, asked.by) {
                    (Answered::SignedIn { session, token, .. }, None) => {
                        let proofs =
                            vec![(None, FactorKind::Password, asked.password_at), (None, asked.kind, now)];
                        self.opens(session.id, token.reveal(), proofs);
                    }
                    (Answered::SteppedUp { operation, factor }, Some((session, name))) => {
                        assert_eq!((operation.as_str(), factor), (name, asked.kind));
                        self.shown(session, Some(name), asked.kind);
                    }
                    _ => panic!("{:#?}", self.log),
                }
            }
        }
        for asked in &self.asked {
            for one in self.factors.iter().filter(|one| one.id == asked.factor) {
                let stored = self.app.store.get::<Factor>(one.id).await.unwrap().unwrap();
                assert_eq!(
                    (stored.failures, stored.locked_at.is_some()),
                    (one.failures, one.locked),
                    "{:#?}",
                    self.log
                );
            }
        }
    }

    async fn switches(&mut self) {
        let Some(at) = self.asked.len().checked_sub(1) else { return };
        let asked = self.asked[at].clone();
        let kinds = [
            FactorKind::Sms,
            FactorKind::Call,
            FactorKind::Totp,
            FactorKind::RecoveryCode,
            FactorKind::Email,
        ];
        let kind = self.dice.pick(&kinds).unwrap();
        let caller = match asked.by {
            Some((session, _)) => self.caller(session).await,
            None => None,
        };
        let token = Token::parse(TokenKind::Challenge, &asked.token).unwrap();
        let result = resend(&self.ctx(), caller.as_ref(), Some(&token), Some(kind)).await;
        self.log.push(format!("{} switches to {kind:?}: {}", self.now(), slug(&result)));
        if result.is_ok() {
            assert!(!asked.over && self.now() < asked.at + CODE, "{:#?}", self.log);
            let record = self.record(&asked.token).await;
            self.asked[at].kind = kind;
            self.asked[at].factor = record.factor_id;
        }
    }

    async fn steps_up(&mut self, session: usize, caller: &Caller) {
        let name = self.dice.pick(&OPERATIONS).unwrap();
        let by_password = self.dice.below(3) == 0;
        let may = self.may(session, name);
        let secret = Secret::new(PASSWORD);
        let password = by_password.then(|| GivenPassword::new(&secret));
        let result = begin(&self.ctx(), caller, name, None, password).await;
        self.log.push(format!(
            "{} steps up {session} for {name} {by_password}: {}",
            self.now(),
            slug(&result)
        ));
        match result {
            Ok(Begun::Done) if may => {}
            Ok(Begun::Done) => {
                assert!(by_password && self.wanted().contains("password"), "{:#?}", self.log);
                self.shown(session, Some(name), FactorKind::Password);
            }
            Ok(Begun::Asked(view)) => {
                assert!(!may && self.wanted().contains(view.factor.as_str()), "{:#?}", self.log);
                self.is_asked(&view, Some((session, name))).await;
            }
            Err(_) => assert!(!may, "{:#?}", self.log),
        }
    }

    /// The first second factor ends what was opened without it.
    fn binds(&mut self, session: usize, bound: Bound) {
        if !self.has_second() {
            self.ends += 1;
            for (at, open) in self.sessions.iter_mut().enumerate() {
                open.ended |= at != session;
            }
        }
        self.factors.push(bound);
    }

    async fn adds(&mut self, session: usize, caller: &Caller) {
        let may = self.may(session, operation::FACTOR_ADD);
        let full = self.counted().len() >= MOST;
        let now = self.now();
        match self.dice.below(4) {
            0 => {
                let result = enrolment::actions::begin_totp(&self.ctx(), caller, None).await;
                self.log.push(format!("{now} begins {session}: {}", slug(&result)));
                assert_eq!(result.is_ok(), may && !full, "{:#?}", self.log);
                if let Ok(begun) = result {
                    self.pending = Some((begun.id, begun.secret, now));
                }
            }
            1 | 2 => {
                let Some((id, secret, at)) = self.pending.clone() else { return };
                let off = i64::try_from(self.dice.below(4)).unwrap();
                let step = now / 30_000 + off;
                let code = shows(&secret, step);
                let fits = (now / 30_000 - 1..=now / 30_000 + 1).find(|step| shows(&secret, *step) == code);
                let result = enrolment::actions::confirm_totp(&self.ctx(), caller, id, &code).await;
                self.log.push(format!("{now} confirms {session} {off}: {}", slug(&result)));
                let in_time = now < at + 600_000;
                assert_eq!(result.is_ok(), may && !full && in_time && fits.is_some(), "{:#?}", self.log);
                if result.is_ok() {
                    self.pending = None;
                    let means = Means::App { secret, last: fits.unwrap() };
                    self.binds(session, Bound { id, means, chosen: true, failures: 0, locked: false });
                }
            }
            _ => {
                let known = self.factors.iter().position(|one| one.means == Means::Phone);
                let there = known.is_some_and(|at| {
                    let one = &self.factors[at];
                    !one.locked && self.counted().iter().any(|other| other.id == one.id)
                });
                let result = enrolment::actions::reach(&self.ctx(), caller, IdentifierKind::Mobile).await;
                self.log.push(format!("{now} adds the phone {session}: {}", slug(&result)));
                assert_eq!(result.is_ok(), may && self.verified && (there || !full), "{:#?}", self.log);
                if let Ok(view) = result {
                    match known {
                        Some(at) if there => self.factors[at].chosen = true,
                        known => {
                            let failures = known.map_or(0, |at| self.factors[at].failures);
                            let again = known.is_some_and(|at| !self.factors[at].locked);
                            let bound = Bound {
                                id: view.id,
                                means: Means::Phone,
                                chosen: true,
                                failures: if again { failures } else { 0 },
                                locked: false,
                            };
                            // Judged before the old one goes, as the house does.
                            let had = self.has_second();
                            if let Some(at) = known {
                                self.factors.remove(at);
                            }
                            if had {
                                self.factors.push(bound);
                            } else {
                                self.binds(session, bound);
                            }
                        }
                    }
                }
            }
        }
    }

    async fn makes_codes(&mut self, session: usize, caller: &Caller) {
        let may = self.may(session, operation::RECOVERY_CODES_MAKE) && self.has_second();
        let result = enrolment::actions::make_codes(&self.ctx(), caller).await;
        self.log.push(format!("{} makes codes {session}: {}", self.now(), slug(&result)));
        assert_eq!(result.is_ok(), may, "{:#?}", self.log);
        if let Ok(made) = result {
            self.factors.retain(|one| !matches!(one.means, Means::Codes(_)));
            let means = Means::Codes(made.codes);
            self.factors.push(Bound { id: made.factor.id, means, chosen: true, failures: 0, locked: false });
        }
    }

    async fn removes(&mut self, session: usize, caller: &Caller) {
        let Some(one) = self.dice.pick(&self.factors) else { return };
        let counts = self.counted().iter().any(|other| other.id == one.id);
        let is_code = matches!(one.means, Means::Codes(_));
        let left: Vec<_> = self
            .counted()
            .into_iter()
            .filter(|other| other.id != one.id && !matches!(other.means, Means::Codes(_)))
            .collect();
        let enough = is_code
            || match self.when {
                When::Never => true,
                When::Always => left.iter().any(|other| !other.locked),
                _ => left.is_empty() || left.iter().any(|other| !other.locked),
            };
        let may = self.may(session, operation::FACTOR_REMOVE);
        let result = enrolment::actions::remove(&self.ctx(), caller, one.id).await;
        self.log.push(format!("{} removes {:?} {session}: {}", self.now(), one.means, slug(&result)));
        assert_eq!(result.is_ok(), may && counts && enough, "{:#?}", self.log);
        if result.is_ok() {
            let codes_go = !is_code && left.is_empty();
            self.factors
                .retain(|other| other.id != one.id && !(codes_go && matches!(other.means, Means::Codes(_))));
        }
    }

    async fn step(&mut self) {
        let what = self.dice.below(100);
        match what {
            0..22 => return self.signs_in().await,
            22..50 => return self.answers().await,
            50..55 => return self.switches().await,
            55..65 => {
                let by = self.dice.pick(&[1, 1, 31, 31, 31, 120, 301, 700, 4_000]).unwrap();
                self.app.clock.advance(Duration::from_secs(by));
                return self.log.push(format!("{by} s later"));
            }
            _ => {}
        }
        if self.sessions.is_empty() {
            return;
        }
        let newest = self.sessions.len() - 1;
        let session = if self.dice.below(3) > 0 { newest } else { self.dice.below(newest + 1) };
        let Some(caller) = self.caller(session).await else { return };
        match what {
            65..77 => self.steps_up(session, &caller).await,
            77..90 => self.adds(session, &caller).await,
            90..92 => self.makes_codes(session, &caller).await,
            92..97 => self.removes(session, &caller).await,
            _ => {
                let scope = self.dice.pick(&[Scope::This, Scope::This, Scope::Others, Scope::All]).unwrap();
                end_scope(&self.ctx(), &caller, scope).await.unwrap();
                self.log.push(format!("{} ends {scope:?} {session}", self.now()));
                for (at, open) in self.sessions.iter_mut().enumerate() {
                    open.ended |= match scope {
                        Scope::This => at == session,
                        Scope::Others => at != session,
                        Scope::All => true,
                    };
                }
                if scope == Scope::All {
                    self.ends += 1;
                }
            }
        }
    }
}

fn house(seed: u64) -> Arc<App> {
    vestibule::tls::install_crypto();
    let mut config = Config::from_toml("").unwrap();
    config.develop_at("127.0.0.1:9".parse().unwrap(), &Random::seeded(2));
    config.hashing.memory_kib = 8;
    config.hashing.passes = 1;
    config.hashing.permits = 1;
    config.secrets.keys = vec![Keyring::generate("test", &Random::seeded(1))];
    let clock = Clock::manual("2030-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
    let engine = Engine::Memory(Memory::new(Faults::default()));
    App::build(config, Policy::default_policy(), engine, clock, Random::seeded(seed)).unwrap()
}

async fn born(app: &Arc<App>, seed: u64) -> Life {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        dice.below(1);
    }
    let when = dice.pick(&[When::Always, When::WhenEnrolled, When::WhenEnrolled, When::Never]).unwrap();
    let chosen = dice.below(3) == 0;
    let mut policy = Policy::default_policy();
    patient(&mut policy);
    policy.sign_in.second.when = when;
    policy.limits.factor_failures = FAILURES;
    app.replace_policy(policy);
    let name = format!("person{seed}");
    let ctx = Ctx::new(Arc::clone(app), None);
    let mobile = format!("+1202555{:04}", 100 + seed % 100);
    let parse = |kind, text: &str| vestibule::identifiers::Name::parse(kind, text).unwrap();
    let wanted = vestibule::sign_up::Wanted {
        names: vec![parse(IdentifierKind::Username, &name), parse(IdentifierKind::Mobile, &mobile)],
        name: None,
        locale: None,
        wants_second_factor: chosen,
        signs_in: false,
    };
    let secret = Secret::new(PASSWORD);
    let password = vestibule::passwords::actions::choose(&ctx, "password", &secret, &[]).unwrap();
    let mut lax = (*ctx.policy).clone();
    lax.sign_up.required = vec![];
    let ctx = Ctx { policy: Arc::new(lax), ..ctx };
    let made = vestibule::sign_up::actions::sign_up(&ctx, wanted, password, None, None).await.unwrap();
    let all = Query::<Factor>::along(Factor::BY_USER).equal(made.user.id);
    let phone = app.store.first(all).await.unwrap().unwrap();
    let bound = Bound { id: phone.id, means: Means::Phone, chosen, failures: 0, locked: false };
    Life {
        app: Arc::clone(app),
        dice,
        when,
        name,
        factors: vec![bound],
        verified: false,
        pending: None,
        sessions: vec![],
        asked: vec![],
        ends: 0,
        log: vec![format!("{when:?}, chosen: {chosen}")],
    }
}

#[tokio::test]
async fn no_session_has_more_than_was_proved_and_nothing_is_done_for_less() {
    let steps: usize = std::env::var("VESTIBULE_TEST_CASES").map_or(20_000, |text| text.parse().unwrap());
    let first: u64 = std::env::var("VESTIBULE_TEST_SEED").map_or(1, |text| text.parse().unwrap());
    let (mut taken, mut seed) = (0, first);
    let mut seen = BTreeSet::new();
    while taken < steps {
        let app = house(seed);
        for _ in 0..100 {
            let mut life = born(&app, seed).await;
            life.log.push(format!("seed {seed}"));
            for _ in 0..100 {
                life.step().await;
                life.holds().await;
                taken += 1;
            }
            seen.extend(life.log.iter().filter_map(|line| {
                let (what, came) = (line.split(' ').nth(1)?, line.rsplit(' ').next()?);
                Some(format!("{what} {came}"))
            }));
            seed += 1;
        }
    }
    for reached in [
        "answers ok",
        "answers code-wrong",
        "answers code-gone",
        "answers factor-locked",
        "signs factor-locked",
        "switches ok",
        "steps ok",
        "adds ok",
        "confirms ok",
        "confirms code-wrong",
        "makes ok",
        "removes ok",
        "removes factor-required",
        "removes step-up-required",
    ] {
        assert!(steps < 20_000 || seen.contains(reached), "{reached} was never reached: {seen:?}");
    }
}
