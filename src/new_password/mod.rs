//! A new password: changed by a signed-in user, or set by right of a recovery.
//!
//! Always holds: it ends every other session, every sign-in and every recovery that was begun, in the
//! same commit; it is never the password that was; the user is told.

pub mod actions;
pub mod api;
