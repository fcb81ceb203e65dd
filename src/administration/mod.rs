//! What is done for others: by administrators, by support, and by the operator on the command line.
//!
//! Always holds: a route here is there only for those whose role may do its operation, which the policy
//! decides in one place ([`crate::policy::Staff`]); every action begins with the right to it
//! ([`crate::step_up::By`]) and looks at that right again where it is decided; nothing is done to oneself,
//! nor to somebody of the same or a higher rank but by an administrator; there is always an administrator
//! left. Nobody here sees or sets a password, a code or a token; the user is told of what was done.

pub mod actions;
pub mod api;
pub mod data;
pub mod overview;
mod rules;
pub mod users;

pub use overview::tend;
