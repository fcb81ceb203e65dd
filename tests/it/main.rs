//! The whole suite in one binary; the files mirror the URLs. `world.rs` is the house under test.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test that meets what it does not expect should end there")]

mod architecture;
mod auth;
mod guards;
mod kill;
mod mails;
mod pages;
mod place;
mod profile;
mod providers;
mod recovery;
mod schema;
mod scripted;
mod secrets;
mod sessions;
mod step_up;
mod store;
mod users;
mod webhooks;
mod world;
