//! The whole suite in one binary; the files mirror the URLs. `world.rs` is the house under test.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test that meets what it does not expect should end there")]

mod administration;
mod api_tools;
mod architecture;
mod auth;
mod broker;
mod browser;
mod browser_attacks;
mod browser_console;
mod browser_harness;
mod browser_journeys;
mod browser_look;
mod calls;
mod deploying;
mod dev;
mod developing;
mod events;
mod examples;
mod factors;
mod guards;
mod incidents;
mod kept;
mod kill;
mod lockout;
mod mails;
mod matrix;
mod model;
mod moving;
mod nodes;
mod organizations;
mod pages;
mod passwords;
mod phone;
mod place;
mod profile;
mod providers;
mod recovery;
mod replaces;
mod revocations;
mod schema;
mod scripted;
mod secrets;
mod service_accounts;
mod sessions;
mod spending;
mod spoken;
mod step_up;
mod store;
mod tokens;
mod twilio_library;
mod users;
mod verify;
mod webhooks;
mod world;
