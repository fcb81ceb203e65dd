//! Enrolment: binding factors, giving them names, taking them away.
//!
//! Always holds: each of these begins with a permit for its operation, and what the permit was given
//! for is judged again on what the commit sees; every change to somebody's factors also writes the
//! user, so that a sign-in that has not seen it cannot be finished with less; the secret of an app and
//! the recovery codes are shown once; no user is left without a second factor that the policy demands.

pub mod actions;
pub mod api;
mod rules;

use std::time::Duration;

/// Factors that one user may have. More would only be more to guess at.
pub const MOST: usize = 10;

/// How long an authenticator app may take to be bound.
pub const PENDING: Duration = Duration::from_secs(10 * 60);
