//! Signing in: the first factor, and the gate behind it.
//!
//! Always holds: after any first factor the same gate; until the second factor is shown there is no
//! session, only a challenge. An unknown user, a wrong password and a suspended user cost the same
//! work, write the same rows and get the same answer.

pub mod actions;
pub mod api;
pub mod begun;
mod lane;
mod rules;
