//! Acting for a user: a session that is theirs and says who acts (RFC 8693 §4.1).
//!
//! Always holds: it is begun with a reason and ends by itself; the user is told, and sees it among their
//! sessions and in what happened; everything that is done in it names both. It is read-only unless asked
//! otherwise, and then does what the policy's `acting.operations` name and nothing else.
//! [`crate::sessions`] ends it with whatever it rests on.

mod api;

pub use api::{ActingFor, handed};

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use crate::accounts::User;
use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::error::{Error, FieldError, Problem, Result};
use crate::limits;
use crate::notices::{self, About, Notice};
use crate::organizations::Member;
use crate::policy::{Proofs, Rank};
use crate::secret::Token;
use crate::sessions::actions::{Scope, end_scope};
use crate::sessions::{self, Act, Caller, Carry, Session};
use crate::step_up::By;
use crate::store::{Seen, answer};

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ActFor", example = serde_json::json!({"reason": "Ticket 4711: cannot see her calls", "minutes": 15}))]
pub struct Ask {
    /// What for; the user reads it. 3 to 200 characters.
    pub reason: String,
    /// For how long; at most the policy's `acting.longest`.
    #[schemars(range(min = 1, max = 480))]
    pub minutes: u32,
    /// Whether nothing may be changed; true when left out.
    pub read_only: Option<bool>,
    /// How the session is carried; `bearer` when left out.
    pub session: Option<Carried>,
}

/// How a session by which somebody acts may be carried: as what is recognised here alone. It rests on more
/// than its own record, and whoever checks a JWT by itself would not hear of the end of that.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ActingCarry")]
pub enum Carried {
    /// As an opaque token in `Authorization: Bearer`.
    Bearer,
    /// In the `__Host-vestibule` cookie.
    Cookie,
}

impl From<Carried> for Carry {
    fn from(carried: Carried) -> Self {
        match carried {
            Carried::Bearer => Self::Bearer,
            Carried::Cookie => Self::Cookie,
        }
    }
}

/// Why something is done to somebody or in their place, in the words of whoever does it.
///
/// # Errors
/// `invalid`.
pub fn reason(text: &str) -> Result<String, FieldError> {
    let text = text.trim();
    if (3..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(FieldError::new("reason", "invalid", "Say what for, in one line of 3 to 200 characters."))
}

/// What acting for somebody asks of the reason and the minutes.
fn read(ctx: &Ctx, ask: &Ask) -> Result<(String, Duration)> {
    let mut errors = Vec::new();
    let reason = reason(&ask.reason).map_err(|error| errors.push(error));
    let lasts = Duration::from_secs(u64::from(ask.minutes) * 60);
    let longest = *ctx.policy.acting.longest;
    if lasts.is_zero() || lasts > longest {
        let sentence = format!("This may be 1 to {} minutes.", longest.as_secs() / 60);
        errors.push(FieldError::new("minutes", "wrong-value", sentence));
    }
    match reason {
        Ok(reason) if errors.is_empty() => Ok((reason, lasts)),
        _ => Err(Error::invalid(errors)),
    }
}

/// The memberships by which an administrator of an organisation acts for a member: theirs, and the user's.
pub type Members = [Seen<Member>; 2];

/// Begins to act for `user` by the right of `by`, in an organisation by `members`.
///
/// # Errors
/// [`Problem::Invalid`]; [`Problem::NotFound`] when there is no such user who could sign in;
/// [`Problem::NotAllowed`] for oneself and for those who have a role; [`Problem::LimitReached`] when the
/// user cannot be told.
pub async fn begin(
    ctx: &Ctx,
    by: &By,
    operation: &str,
    user: Uuid,
    ask: &Ask,
    members: Option<&Members>,
) -> Result<(Seen<Session>, Token)> {
    let (reason, lasts) = &read(ctx, ask)?;
    let found = ctx.app.store.get::<User>(user).await?.ok_or(Problem::NotFound)?;
    let told =
        &notices::prepare(ctx, &found, About::operation(operation, Notice::ActedOnBehalf).plain()).await?;
    let (read_only, carry): (_, Carry) =
        (ask.read_only.unwrap_or(true), ask.session.unwrap_or(Carried::Bearer).into());
    let paid = || told.postage();
    let opened = limits::decide(ctx, paid, move |moment| async move {
        let standing = by.standing(ctx).await?;
        let (Some(actor), Some(own)) = (standing.actor(), standing.session()) else {
            // The command line has no session that this one could end with.
            return Err(Problem::NotAllowed.into());
        };
        let user = ctx.app.store.get::<User>(user).await?.ok_or(Problem::NotFound)?;
        if !user.is_active(moment.now) {
            return Err(Problem::NotFound.into());
        }
        // Nobody's role is lent.
        if actor == user.id || user.rank() != Rank::User {
            return Err(Problem::NotAllowed.into());
        }
        let (session, token) = Session::open(&user, Proofs::default(), carry, &ctx.policy.session, &moment);
        let session = Session {
            expires_at: (moment.now + *lasts).min(own.expires_at).min(session.expires_at),
            act: Some(Act {
                actor,
                session: own.id,
                reason: reason.clone(),
                read_only,
                members: members.map(|both| both.each_ref().map(Into::into)),
            }),
            ..session
        };
        let detail = serde_json::json!({
            "reason": reason, "read_only": read_only, "until": session.expires_at,
        });
        let event = note(What::ActingBegan).user(user.id).actor(Some(actor)).session(session.id);
        let mut decision = answer((session.id, token))
            .insert(&session)
            .require(&user)
            .and(standing.unchanged())
            .and(told.changes(ctx, &moment))
            .note(&moment, event.detail(detail));
        for member in members.into_iter().flatten() {
            decision = decision.require(member);
        }
        Ok(decision)
    })
    .await?;
    let (id, token) = opened;
    let session = ctx.app.store.get::<Session>(id).await?.ok_or(Problem::NotFound)?;
    Ok((session, token))
}

/// What a browser has after it has stopped acting.
pub struct Stopped {
    /// What it was, when it still counted.
    pub acted: Option<Caller>,
    /// Whose browser it is again; nobody's, when their own session has ended meanwhile.
    pub own: Option<Caller>,
    /// What takes the place of its cookies.
    pub cookies: Vec<HeaderValue>,
}

/// Ends the session in which somebody acts, and takes up their own again. Whoever does not act keeps what
/// they have.
///
/// # Errors
/// The store's.
pub async fn stop(ctx: &Ctx, headers: &HeaderMap) -> Result<Stopped> {
    let origin = &ctx.app.origin;
    let shown = sessions::authenticate(ctx, headers).await?;
    if let Some(own) = shown.clone().filter(|caller| caller.session.act.is_none()) {
        return Ok(Stopped { acted: None, own: Some(own), cookies: vec![sessions::clear_aside(origin)] });
    }
    // First the one and then the other: at no time do both count here.
    if let Some(acting) = &shown {
        end_scope(ctx, acting, Scope::This).await?;
    }
    let rests_on = shown.as_ref().and_then(|caller| caller.session.act.as_ref()).map(|act| act.session);
    let own = sessions::laid_aside(ctx, headers).await?;
    let own = own.filter(|(own, _)| rests_on.is_none_or(|session| session == own.session.id));
    let cookies = match &own {
        Some((own, token)) => vec![
            sessions::session_cookie(origin, token, ctx.now, own.session.expires_at),
            sessions::clear_aside(origin),
        ],
        None => sessions::clear_cookie(origin).into(),
    };
    Ok(Stopped { acted: shown, own: own.map(|(own, _)| own), cookies })
}
