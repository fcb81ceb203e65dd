//! What an access token says, and whether it is for here and now.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;

/// How far clocks may differ, in seconds.
const SKEW: i64 = 60;
/// The longest that an access token may last: for so long the feed tells of an ending.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What an access token says (RFC 9068). What else may be in it is left alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// The user.
    pub sub: Uuid,
    /// For whom it is.
    pub aud: String,
    /// By way of which client it was given out.
    pub client_id: String,
    /// The session.
    pub sid: Uuid,
    /// From when on the session counts, in milliseconds since 1970.
    pub session_from: i64,
    /// Its own name.
    pub jti: Uuid,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
    /// When the user last showed a factor to sign in, in seconds since 1970.
    pub auth_time: i64,
    /// The authenticator assurance level that was reached.
    pub aal: u32,
    /// The methods that were shown to sign in (RFC 8176).
    pub amr: Vec<String>,
}

impl Claims {
    pub(super) fn count(&self, issuer: &str, audience: &str, now: Timestamp) -> bool {
        let (now, longest) = (now.as_seconds(), i64::try_from(LONGEST.as_secs()).unwrap_or(0));
        self.iss == issuer
            && self.aud == audience
            && now < self.exp
            && self.iat <= now.saturating_add(SKEW)
            && self.exp.saturating_sub(self.iat) <= longest
    }
}
