//! Signing up: an account, its identifiers, its password, its first factor, in one commit.
//!
//! Always holds: nothing is stored when anything is refused; an address that somebody else has
//! verified is not told apart from a free one; a username is.

pub mod actions;
pub mod api;
mod rules;

pub use rules::{Made, Wanted, make, taken};
