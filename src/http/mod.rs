//! The HTTP door: from a socket to a handler and back.
//!
//! What always holds: every request passes [`layers::enter`] first and its line of the router
//! second; a route is closed unless its line opens it; every failure leaves as a problem of the
//! catalogue; the address of the asker comes from [`client::client_ip`] and nowhere else.
//! What it must never do: decide anything about accounts, or log a path, a header or a body.
//!
//! In reading order: [`server`] takes connections, [`entrance`] puts [`layers`] before the map, [`route`] and
//! [`router`] are the map, [`extract`] reads what a handler asks for, [`problem`] answers failures.

pub mod access;
pub mod aliases;
pub mod client;
pub mod docs;
pub mod entrance;
pub mod extract;
pub mod health;
pub mod layers;
pub mod listing;
pub mod openapi;
pub mod origins;
pub mod page;
pub mod postman;
pub mod problem;
pub mod route;
pub mod router;
pub mod server;
pub mod visit;

pub use server::{Loops, make_room, serve};

#[cfg(test)]
pub(crate) mod testing;
