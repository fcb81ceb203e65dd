//! Vestibule: an accounts backend.
//!
//! The map, in reading order; `docs/architecture.md` says why.

// the spine: the house, one request, what a rule is told of it
pub mod app;
pub mod config;
pub mod error;
pub mod policy;

// ground: knows nothing about accounts
pub mod breached;
pub mod broker;
pub mod circuit;
pub mod clock;
pub mod hashing;
pub mod jwt;
pub mod log;
pub mod mailer;
pub mod metrics;
pub mod money;
pub mod outbound;
pub mod random;
pub mod secret;
pub mod shared;
pub mod store;
pub mod templates;
pub mod text;
pub mod tls;
pub mod twilio;
pub mod verify;
pub mod words;
pub mod worker;

// rooms: the domain; who may use whom: docs/architecture.md
pub mod accounts;
pub mod acting;
pub mod administration;
pub mod audit;
pub mod calls;
pub mod challenges;
pub mod clients;
pub mod devices;
pub mod enrolment;
pub mod events;
pub mod factors;
pub mod idempotency;
pub mod identifiers;
pub mod keys;
pub mod limits;
pub mod messages;
pub mod moving;
pub mod new_password;
pub mod notices;
pub mod organizations;
pub mod passwords;
pub mod profile;
pub mod recovery;
pub mod revocations;
pub mod schema;
pub mod sealing;
pub mod service_accounts;
pub mod sessions;
pub mod sign_in;
pub mod sign_up;
pub mod spending;
pub mod step_up;
pub mod tasks;
pub mod undo;

// doors: ways in, thin
pub mod cli;
pub mod console;
pub mod dev;
pub mod http;
pub mod pages;
