//! One's own account: what one is known by and likes to be called, what was done, what is kept, and
//! the end of it.
//!
//! Always holds: nothing changes before every operation that a request comes to has been permitted,
//! and then all of it in one commit. A new address or number is only asked for: it takes the old one's
//! place by the code that was sent to it. A deleted account is as unknown as one that never was, and
//! keeps what it owned until it is removed.

pub mod actions;
pub mod api;
pub mod export;
mod purge;
mod rules;

pub use purge::{is_gone, purge_due};
pub use rules::{Wanted, metadata_refused, operation_of};
