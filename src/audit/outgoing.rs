//! What is still to be told to the application: one row an event, in the commit of the event.

use std::time::Duration;

use uuid::Uuid;

use super::Event;
use crate::clock::Timestamp;
use crate::store::{entity, text_enum};

text_enum! {
    /// Where telling stands.
    pub enum State {
        /// It is being told, or will be.
        Waiting = "waiting",
        /// It was tried too often; an operator may have it told again.
        Dead = "dead",
    }
}

entity! {
    /// An event that the application was not told of yet. It is deleted when it was.
    pub struct Outgoing in "outgoing" {
        /// The event's id.
        id: Uuid,
        /// Where telling stands.
        state: State,
        /// How often it was tried.
        attempts: u32,
        /// Whether the application's address has taken it.
        posted: bool,
        /// Whether the message broker has taken it.
        published: bool,
        /// What came of the last try.
        trouble: Option<String>,
        /// When the event happened.
        at: Timestamp,
        /// When to try.
        due_at: Option<Timestamp>,
        /// When it is forgotten although nobody was told.
        expires_at: Timestamp,
    }
    index BY_STATE (state, at);
    sparse BY_DUE (due_at);
    expires expires_at;
    due due_at;
}

/// How long what could not be told is kept: a month, in which somebody will notice.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Outgoing {
    /// Due at once.
    pub fn of(event: &Event) -> Self {
        Self {
            id: event.id,
            state: State::Waiting,
            attempts: 0,
            posted: false,
            published: false,
            trouble: None,
            at: event.at,
            due_at: Some(event.at),
            expires_at: event.at + KEPT,
        }
    }
}
