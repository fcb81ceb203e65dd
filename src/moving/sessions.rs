//! Sessions of another system, taken in so that nobody has to sign in anew on the day of the change-over.
//!
//! Always holds: a row makes a session of one user or none; what it says was shown there is no more than what that
//! user has here, and no less than what a sign-in here would ask for; what has ended here, by whatever, is not
//! opened again; and whoever may do more than their own account signs in here.

use std::collections::HashMap;

use serde_json::json;
use uuid::Uuid;

use super::Reading;
use super::import::Outcome;
use super::rows::Fields;
use super::rules::{Reader, old_id};
use crate::accounts::{self, User};
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::clock::Timestamp;
use crate::config::LONGEST_CHANGE_OVER;
use crate::error::{Error, FieldError, Result};
use crate::identifiers;
use crate::policy::{Carry, FactorKind, Gate, Proofs, Rank, after_first_factor};
use crate::sessions::Session;
use crate::sessions::moved::{LONGEST, MovedSession, OldDigest, Opened, is_weak};
use crate::store::{Query, Seen, answer};
use crate::text::from_hex;

/// What a row may say of a session.
pub const FIELDS: &[&str] =
    &["user", "identifier", "token", "token_sha256", "created_at", "expires_at", "carry", "amr"];

/// A session that moves in.
#[derive(Clone, Debug)]
pub struct Arriving {
    /// Whose, by the id there.
    user: Option<Uuid>,
    /// Whose, by what they are known by.
    identifier: Option<String>,
    opened: Opened,
}

/// What rows before made of which old token, and of how many for each user.
#[derive(Default, Debug)]
pub struct Tried {
    sessions: HashMap<Uuid, Uuid>,
    of_user: HashMap<Uuid, usize>,
}

/// How the settings say that old tokens travel, and until when: what is asked before the first row.
///
/// # Errors
/// A sentence for the operator, when old sessions are not honoured.
pub fn begin(ctx: &Ctx) -> Result<Carry, String> {
    let settings = &ctx.app.config.change_over;
    if !settings.is_on(ctx.now) {
        let days = LONGEST_CHANGE_OVER.as_secs() / 86_400;
        return Err(format!(
            "Sessions of another system are not honoured: set change_over.until to an instant within {days} days."
        ));
    }
    Ok(if settings.cookie.is_empty() { Carry::Bearer } else { Carry::Cookie })
}

/// Reads one row; without a word about it a token travels as `carry` says.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(row: &Fields, reading: &Reading, carry: Carry, ctx: &Ctx) -> Result<Arriving, Vec<FieldError>> {
    let mut reader = Reader { row, now: ctx.now, faults: Vec::new() };
    let arriving = reader.arriving(reading, carry, ctx);
    match arriving {
        Some(arriving) if reader.faults.is_empty() => Ok(arriving),
        _ => Err(reader.faults),
    }
}

impl Reader<'_> {
    fn arriving(&mut self, reading: &Reading, carry: Carry, ctx: &Ctx) -> Option<Arriving> {
        let user = self.text("user").and_then(|old| {
            let id = old_id(reading, old.trim());
            if id.is_none() {
                self.fault("user", "invalid", "This is not a UUID, and ids are to be kept.");
            }
            id
        });
        let identifier = self.text("identifier").map(|text| text.trim().to_owned());
        if user.is_none() && identifier.is_none() && self.faults.is_empty() {
            self.fault("user", "missing", "Neither the user's id there nor what they are known by is given.");
        }
        let digest = self.digest();
        let at = self.instant("created_at");
        if !self.row.contains_key("created_at") {
            self.fault("created_at", "missing", "When it was opened says how long it may last.");
        }
        let expires_at = self.row.get("expires_at").map(super::rules::instant);
        if expires_at.is_some_and(|at| at.is_none()) {
            self.fault("expires_at", "invalid", "This is not an instant such as 2024-05-01T12:00:00Z.");
        }
        let carry = self.carry(carry, ctx);
        let at = at?;
        let proofs = self.proofs(at);
        let opened = Opened { digest: digest?, carry: carry?, proofs, at, expires_at: expires_at.flatten() };
        Some(Arriving { user, identifier, opened })
    }

    fn digest(&mut self) -> Option<OldDigest> {
        match (self.text("token"), self.text("token_sha256")) {
            (Some(text), None) if text.len() > LONGEST => {
                self.fault("token", "too-long", format!("This token has more than {LONGEST} bytes."));
            }
            (Some(text), None) if is_weak(&text) => {
                let why =
                    "This token cannot hold 128 bits of chance: it could be guessed. Its user signs in anew.";
                self.fault("token", "weak", why);
            }
            (Some(text), None) => return Some(OldDigest::of(&text)),
            (None, Some(hex)) => {
                let digest = from_hex(hex.trim()).and_then(|bytes| bytes.try_into().ok()).map(OldDigest);
                if digest.is_none() {
                    self.fault("token_sha256", "invalid", "This is not a SHA-256 in hex, of 64 digits.");
                }
                return digest;
            }
            (None, None) => self.fault("token", "missing", "There is neither a token nor its SHA-256."),
            (Some(_), Some(_)) => {
                self.fault("token", "duplicate", "Give the token or its SHA-256, not both.")
            }
        }
        None
    }

    fn carry(&mut self, carry: Carry, ctx: &Ctx) -> Option<Carry> {
        let carry = match self.text("carry").as_deref().map(str::trim) {
            None => carry,
            Some("cookie") => Carry::Cookie,
            Some("bearer") => Carry::Bearer,
            Some(_) => {
                self.fault("carry", "invalid", "This is neither `cookie` nor `bearer`.");
                return None;
            }
        };
        if carry == Carry::Cookie && ctx.app.config.change_over.cookie.is_empty() {
            self.fault("carry", "cookie", "The settings name no cookie (change_over.cookie).");
        }
        Some(carry)
    }

    /// A password, and what else the row says was shown.
    fn proofs(&mut self, at: Timestamp) -> Proofs {
        let proofs = Proofs::default().and(FactorKind::Password, at);
        let words: Vec<String> = match self.row.get("amr") {
            None => return proofs,
            Some(serde_json::Value::Array(words)) => {
                words.iter().map(|word| word.as_str().unwrap_or_default().to_owned()).collect()
            }
            Some(value) => {
                let text = super::columns::plain(value).unwrap_or_default();
                text.split([',', ' ', ';']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
            }
        };
        let kind = |word: &String| FactorKind::ALL.iter().copied().find(|kind| kind.amr() == word.as_str());
        let Some(kinds) = words.iter().map(kind).collect::<Option<Vec<FactorKind>>>() else {
            let known: Vec<_> = FactorKind::ALL.iter().map(|kind| kind.amr()).collect();
            self.fault(
                "amr",
                "invalid",
                format!("These are not methods, of which there are {}.", known.join(", ")),
            );
            return proofs;
        };
        kinds.into_iter().fold(proofs, |proofs, kind| proofs.and(kind, at))
    }
}

/// Takes in what can be taken of `rows`, in their order, and says what came of each. With `tried` nothing is
/// stored.
///
/// # Errors
/// The store's; then nothing of `rows` was stored, or all of it that could be.
pub async fn take(
    ctx: &Ctx,
    rows: &[Arriving],
    source: &str,
    tried: Option<&mut Tried>,
) -> Result<Vec<Outcome>> {
    if let Some(tried) = tried {
        let judged = judge_all(ctx, rows, tried).await?;
        return Ok(judged.into_iter().map(|verdict| verdict.0).collect());
    }
    ctx.decide(move |moment: Moment| async move {
        let mut decision = answer(());
        let mut required: Vec<Uuid> = Vec::new();
        let mut outcomes = Vec::new();
        let mut count = 0;
        for (outcome, made) in judge_all(ctx, rows, &mut Tried::default()).await? {
            outcomes.push(outcome);
            let Some((user, session)) = made else { continue };
            count += 1;
            decision = decision.insert(&session).insert(&MovedSession::of(&session, &ctx.policy.session));
            // Suspended, or with a new password, in the meantime: then it is looked at anew.
            if !required.contains(&user.id) {
                required.push(user.id);
                decision = decision.require(&user);
            }
        }
        if count > 0 {
            let event = note(What::SessionsImported).detail(json!({"source": source, "count": count}));
            decision = decision.note(&moment, event);
        }
        Ok(decision.map(|()| outcomes))
    })
    .await
}

type Verdict = (Outcome, Option<(Seen<User>, Session)>);

async fn judge_all(ctx: &Ctx, rows: &[Arriving], tried: &mut Tried) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::with_capacity(rows.len());
    for row in rows {
        verdicts.push(match judge(ctx, row, tried).await? {
            Err(Some(fault)) => (Outcome::Refused(vec![fault]), None),
            Err(None) => (Outcome::Already, None),
            Ok((user, session)) => {
                tried.sessions.insert(session.id, user.id);
                *tried.of_user.entry(user.id).or_default() += 1;
                (Outcome::Stored, Some((user, session)))
            }
        });
    }
    Ok(verdicts)
}

/// Whose session it is.
async fn owner(ctx: &Ctx, row: &Arriving) -> Result<Result<Seen<User>, FieldError>> {
    let known = match &row.identifier {
        None => None,
        Some(text) => match identifiers::actions::find_owner(ctx, text).await? {
            Some(claim) => Some(claim.user_id),
            None => {
                let sentence = "Nobody is known by this, or has shown that it is theirs.";
                return Ok(Err(FieldError::new("identifier", "unknown", sentence)));
            }
        },
    };
    if let (Some(id), Some(known)) = (row.user, known)
        && id != known
    {
        return Ok(Err(FieldError::new("identifier", "conflict", "This is somebody else than `user` says.")));
    }
    let user = match row.user.or(known) {
        Some(id) => ctx.app.store.get::<User>(id).await?,
        None => None,
    };
    Ok(user.ok_or_else(|| {
        FieldError::new(
            "user",
            "unknown",
            "No user of this id has moved in: is the source (--source) the same?",
        )
    }))
}

/// The session that a row makes; or why it makes none; or nothing, when it has made one before.
async fn judge(
    ctx: &Ctx,
    row: &Arriving,
    tried: &Tried,
) -> Result<Result<(Seen<User>, Session), Option<FieldError>>> {
    let refused = |field: &'static str, code: &'static str, why: &'static str| {
        Ok(Err(Some(FieldError::new(field, code, why))))
    };
    let (store, policy, now) = (&ctx.app.store, &ctx.policy, ctx.now);
    let user = match owner(ctx, row).await? {
        Ok(user) => user,
        Err(fault) => return Ok(Err(Some(fault))),
    };
    let id = row.opened.digest.id();
    let before = tried.sessions.get(&id).copied();
    let there = store.get::<Session>(id).await?.map(|session| session.user_id);
    if before.or(there).is_some_and(|whose| whose != user.id) {
        return refused("token", "taken", "This token is another user's as well.");
    }
    if before.is_some() || there.is_some() || store.get::<MovedSession>(id).await?.is_some() {
        return Ok(Err(None));
    }
    if !user.is_active(now) {
        return refused("user", "suspended", "This user is suspended or deleted.");
    }
    if user.rank() != Rank::User {
        return refused("user", "rank", "Whoever may do more than their own account signs in here.");
    }
    let known = identifiers::actions::of_user(ctx, user.id).await?;
    if identifiers::lacking(&known, &policy.sign_up.verified).is_some() {
        return refused(
            "user",
            "unverified",
            "The policy opens nothing for this user before more is verified.",
        );
    }
    let (_, held) = accounts::held(ctx, &user).await?;
    let shown = || row.opened.proofs.of_sign_in().map(|proof| proof.factor);
    if shown().any(|kind| !held.enrolled.contains(&kind)) {
        return refused(
            "amr",
            "factor",
            "A method that is said to have been shown is none of this user's here.",
        );
    }
    let is_enough = match after_first_factor(&policy.sign_in, &held.holder()) {
        Gate::Open => true,
        Gate::Ask(kinds) => shown().any(|kind| kinds.contains(&kind)),
        Gate::NoFactor => false,
    };
    if !is_enough {
        return refused(
            "amr",
            "missing",
            "A sign-in here asks this user for a second factor; none was shown.",
        );
    }
    let until = ctx.app.config.change_over.until.unwrap_or(now);
    let session = Session::moved(&user, &row.opened, &policy.session, &ctx.app.keyring, until, now);
    let session = session.ok_or_else(|| Error::internal("there is no sealing key"))?;
    if row.opened.at < user.sessions_from {
        return refused(
            "created_at",
            "ended",
            "This user's sessions of that time have ended, or are older than the user.",
        );
    }
    if !session.stands(&user, &policy.session, now) {
        return refused(
            "expires_at",
            "expired",
            "It has ended, or has lasted as long as the policy lets one last.",
        );
    }
    let at_most = usize::try_from(policy.session.at_most).unwrap_or(usize::MAX);
    let open = store.find(Query::<Session>::along(Session::BY_USER).equal(user.id).limit(at_most)).await?;
    if open.items.len() + tried.of_user.get(&user.id).copied().unwrap_or(0) >= at_most {
        return refused("user", "too-many", "This user has as many sessions as the policy allows.");
    }
    Ok(Ok((user, session)))
}
