//! Moving in and out: users of other systems are taken in with their sessions, everything is handed out again, and a house
//! can be filled with people who never were.
//!
//! Always holds: who moves in goes through the rules that whoever signs up goes through; nobody is ever
//! merged with somebody who is there; each user is stored whole or not at all; and the same row makes the
//! same ids, so that an import that was cut short is simply done again: who is there already is left as
//! they are. Never: a hash or a key in what is told about a row.

pub mod columns;
pub mod export;
pub mod import;
pub mod native;
pub mod rows;
mod rules;
pub mod seed;
pub mod sessions;

pub use columns::Mapping;
pub use rules::{Newcomer, Reading, read, user_id};
