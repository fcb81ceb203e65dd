//! The whole suite in one binary; the files mirror the URLs. `world.rs` is the house under test.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test that meets what it does not expect should end there")]

mod architecture;
mod auth;
mod factors;
mod guards;
mod kept;
mod kill;
mod model;
mod passwords;
mod place;
mod schema;
mod secrets;
mod sessions;
mod step_up;
mod store;
mod users;
mod webhooks;
mod world;
