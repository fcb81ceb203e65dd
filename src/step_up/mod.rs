//! Proof on demand: what a signed-in user must show before an operation is done.
//!
//! Always holds: an operation of the house begins with a [`Permit`] for it, and a permit is only had
//! from [`actions::permit`], which asks the policy. What was shown is kept on the session that asked,
//! with its time and for the operation that it was asked for; it counts in no other session.

pub mod actions;
pub mod api;
mod authority;

pub use actions::{Permit, permit};
pub use authority::{By, Standing, staff};
