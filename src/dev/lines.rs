//! Lines: the calls that ring on the phone, in memory, and what each number does with what comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

use crate::clock::Timestamp;

/// How many calls it remembers; the oldest goes first.
const ROOM: usize = 200;

/// What somebody does with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Takes it.
    Answer,
    /// Turns it away.
    Decline,
    /// Is speaking already.
    Busy,
    /// Presses a key.
    Press(char),
    /// Puts the phone down.
    HangUp,
    /// Its caller ends it, as long as nobody has answered.
    Cancel,
    /// Its caller ends it.
    End,
}

/// What a number does by itself with everything that comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Habit {
    /// Messages arrive; calls ring until somebody does something.
    #[default]
    Normal,
    /// Messages never arrive, and nothing more is told of them; calls are never told of either.
    Lose,
    /// Messages and calls fail.
    Fail,
    /// Calls are answered.
    Answer,
    /// Calls are not answered.
    NoAnswer,
    /// Calls find the line busy.
    Busy,
}

impl Habit {
    /// Every habit, its word, and how the page tells it.
    pub const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Normal, "normal", "behave as usual"),
        (Self::Lose, "lose", "lose messages and calls"),
        (Self::Fail, "fail", "fail messages and calls"),
        (Self::Answer, "answer", "answer calls"),
        (Self::NoAnswer, "no-answer", "let calls ring out"),
        (Self::Busy, "busy", "be busy for calls"),
    ];

    /// The habit of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name, _)| *name == word).map(|(habit, ..)| *habit)
    }
}

/// What a number does, and how late.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rule {
    /// What it does.
    pub habit: Habit,
    /// How long everything takes to reach it.
    pub delay: Duration,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Line {
    /// The phone's own name for it.
    pub id: Uuid,
    /// Whom it goes to, E.164.
    pub to: String,
    /// Who calls.
    pub from: String,
    /// Twilio's word for how far it has come.
    pub status: &'static str,
    /// What was said so far; once answered.
    pub said: Option<String>,
    /// Where a key press goes, when somebody listens for one.
    pub gather: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    acts: UnboundedSender<Act>,
}

impl Line {
    /// Whether it rings or somebody speaks.
    pub fn is_live(&self) -> bool {
        matches!(self.status, "ringing" | "in-progress")
    }

    /// Seconds for which was spoken, once it has ended.
    pub fn seconds(&self) -> Option<u64> {
        let ended = self.ended_at?;
        Some(self.answered_at.map_or(0, |answered| ended.since(answered).as_secs()))
    }
}

/// All calls, newest first, and every number's habit.
#[derive(Default)]
pub struct Lines {
    // Plain locks: held for looking along at most ROOM calls, and never across an await.
    lines: Mutex<VecDeque<Line>>,
    rules: Mutex<BTreeMap<String, Rule>>,
}

impl Lines {
    /// A new call; what is done with it comes out at the other end.
    pub fn open(&self, id: Uuid, to: &str, from: &str, now: Timestamp) -> UnboundedReceiver<Act> {
        let (acts, done) = unbounded_channel();
        let line = Line {
            id,
            to: to.to_owned(),
            from: from.to_owned(),
            status: "queued",
            said: None,
            gather: None,
            created_at: now,
            answered_at: None,
            ended_at: None,
            acts,
        };
        let mut lines = self.lines();
        lines.push_front(line);
        lines.truncate(ROOM);
        done
    }

    /// All of them, newest first.
    pub fn all(&self) -> Vec<Line> {
        self.lines().iter().cloned().collect()
    }

    /// One of them.
    pub fn get(&self, id: Uuid) -> Option<Line> {
        self.lines().iter().find(|line| line.id == id).cloned()
    }

    /// Changes one of them; how it is afterwards.
    pub fn change(&self, id: Uuid, change: impl FnOnce(&mut Line)) -> Option<Line> {
        let mut lines = self.lines();
        let line = lines.iter_mut().find(|line| line.id == id)?;
        change(line);
        Some(line.clone())
    }

    /// Somebody does something with a call; whether it is still there to do it with.
    pub fn act(&self, id: Uuid, act: Act) -> bool {
        self.get(id).is_some_and(|line| line.ended_at.is_none() && line.acts.send(act).is_ok())
    }

    /// What `number` does with what comes.
    pub fn rule(&self, number: &str) -> Rule {
        self.habits().get(number).copied().unwrap_or_default()
    }

    /// Every number that does something of its own.
    pub fn rules(&self) -> Vec<(String, Rule)> {
        self.habits().iter().map(|(number, rule)| (number.clone(), *rule)).collect()
    }

    /// From now on, `number` does this.
    pub fn set_rule(&self, number: &str, rule: Rule) {
        if rule == Rule::default() {
            self.habits().remove(number);
        } else {
            self.habits().insert(number.to_owned(), rule);
        }
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn habits(&self) -> MutexGuard<'_, BTreeMap<String, Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
