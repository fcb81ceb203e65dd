//! The access token of a session that is carried as JWT (RFC 9068): what it says, and what of that counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Session;
use crate::app::{App, Ctx};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::jwt::Purpose;
use crate::keys;
use crate::policy::{self, LONGEST_ACCESS};

/// The client of everything that people sign in to here by themselves (`client_id`, RFC 9068 §2.2).
pub const FIRST_PARTY: &str = "vestibule";

/// How far the clocks of two nodes may differ.
const SKEW: Duration = Duration::from_secs(60);

/// What an access token says. Anything missing, anything more, and it is none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Who issued it: the origin.
    pub iss: String,
    /// The user.
    pub sub: Uuid,
    /// For whom it is.
    pub aud: String,
    /// By way of which client it was given out.
    pub client_id: String,
    /// The session.
    pub sid: Uuid,
    /// From when on the session counts, in milliseconds since 1970: what the feed of revocations is compared with.
    pub session_from: i64,
    /// Its own name.
    pub jti: Uuid,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it expires.
    pub exp: i64,
    /// When the user last showed a factor to sign in.
    pub auth_time: i64,
    /// The authenticator assurance level that was reached.
    pub aal: u32,
    /// The methods that were shown to sign in (RFC 8176).
    pub amr: Vec<String>,
}

/// For whom access tokens are.
fn audience(app: &App) -> &str {
    match app.config.tokens.audience.as_str() {
        "" => app.origin.as_str(),
        set => set,
    }
}

impl Claims {
    /// What the access token of `session` says at `now`.
    fn of(session: &Session, app: &App, policy: &policy::Session, now: Timestamp) -> Self {
        let ends = [now + *policy.access, session.ends_at(policy)];
        Self {
            iss: app.origin.as_str().to_owned(),
            sub: session.user_id,
            aud: audience(app).to_owned(),
            client_id: FIRST_PARTY.to_owned(),
            sid: session.id,
            session_from: session.counts_from.as_millis(),
            jti: app.random.seed().uuid("jti", now),
            iat: now.as_seconds(),
            exp: ends.into_iter().map(Timestamp::as_seconds).min().unwrap_or_default(),
            auth_time: session.proved_at().as_seconds(),
            aal: session.proofs.level(),
            amr: session.proofs.of_sign_in().map(|proof| proof.factor.amr().to_owned()).collect(),
        }
    }

    /// Whether it is one of ours, for here and now (RFC 9068 §4). Whether its session counts is another
    /// question.
    pub fn counts(&self, issuer: &str, audience: &str, now: Timestamp) -> bool {
        let (now, longest) = (now.as_seconds(), i64::try_from(LONGEST_ACCESS.as_secs()).unwrap_or(0));
        self.iss == issuer
            && self.aud == audience
            && self.client_id == FIRST_PARTY
            && now < self.exp
            && self.iat <= now.saturating_add(i64::try_from(SKEW.as_secs()).unwrap_or(0))
            && self.exp.saturating_sub(self.iat) <= longest
    }
}

/// An access token for `session`, and the seconds for which it lasts.
///
/// # Errors
/// The store's; an internal one when there is no key to sign with.
pub(super) async fn issue(ctx: &Ctx, session: &Session) -> Result<(String, u64)> {
    let claims = Claims::of(session, &ctx.app, &ctx.policy.session, ctx.now);
    let payload = serde_json::to_vec(&claims).map_err(Error::internal)?;
    let lasts = u64::try_from(claims.exp.saturating_sub(claims.iat)).unwrap_or(0);
    Ok((keys::sign(ctx, Purpose::Access, &payload).await?, lasts))
}

/// What `token` says, when it is an access token of ours for here and now.
///
/// # Errors
/// The store's.
pub(super) async fn read(ctx: &Ctx, token: &str) -> Result<Option<Claims>> {
    let Some(payload) = keys::open(ctx, token).await? else { return Ok(None) };
    let claims = serde_json::from_slice::<Claims>(&payload).ok();
    Ok(claims.filter(|claims| claims.counts(ctx.app.origin.as_str(), audience(&ctx.app), ctx.now)))
}
