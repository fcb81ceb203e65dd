//! The phone: the last messages that arrived, in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::Timestamp;

/// How many messages it remembers; the oldest goes first.
const ROOM: usize = 200;

/// A message that arrived, or would have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Text {
    /// The phone's own name for it.
    pub id: Uuid,
    /// `sms`, `call` or `email`.
    pub kind: &'static str,
    /// The number, E.164, or the address.
    pub to: String,
    /// The text.
    pub body: String,
    /// What a mail has besides.
    #[serde(flatten)]
    pub mail: Option<Mail>,
    /// The code in it, when it carries one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the provider says of it.
    pub status: &'static str,
    /// When it came.
    pub at: Timestamp,
}

/// What a mail has besides its text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mail {
    /// What it is about.
    pub subject: String,
    /// The same as HTML.
    pub html: String,
    /// All of it as it came, with its headers.
    pub source: String,
}

/// Which messages are looked for.
#[derive(Clone, Default, Debug)]
pub struct Wanted {
    /// To this address, or this number, only. Numbers are compared by their digits: a `+` in a query
    /// arrives as a space.
    pub to: Option<String>,
    /// Of this kind only.
    pub kind: Option<String>,
    /// Newer than this one.
    pub after: Option<Uuid>,
}

/// The messages and calls, newest first.
#[derive(Default)]
pub struct Phone {
    // A plain lock: it is held for looking along at most ROOM messages, and never across an await.
    texts: Mutex<VecDeque<Text>>,
    /// Messages as the provider tells of them.
    answers: Mutex<VecDeque<(Uuid, Value)>>,
    rings: watch::Sender<()>,
}

impl Phone {
    /// A message arrives, and whoever waits hears it.
    pub fn receive(&self, text: Text) {
        let mut texts = self.texts();
        texts.push_front(text);
        texts.truncate(ROOM);
        drop(texts);
        self.rings.send_replace(());
    }

    /// The provider says something new of a message.
    pub fn mark(&self, id: Uuid, status: &'static str) {
        if let Some(text) = self.texts().iter_mut().find(|text| text.id == id) {
            text.status = status;
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = answers.iter_mut().find(|(kept, _)| *kept == id)
            && let Some(told) = answer.get_mut("status")
        {
            *told = status.into();
        }
    }

    /// What was said in a call.
    pub fn hear(&self, id: Uuid, said: &str, code: Option<String>) {
        if let Some(text) = self.texts().iter_mut().find(|text| text.id == id) {
            said.clone_into(&mut text.body);
            text.code = code;
        }
    }

    /// Keeps what the provider tells of a message.
    pub fn keep(&self, id: Uuid, answer: Value) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push_front((id, answer));
        answers.truncate(ROOM);
    }

    /// What the provider tells of a message.
    pub fn kept(&self, id: Uuid) -> Option<Value> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().find(|(kept, _)| *kept == id).map(|(_, answer)| answer.clone())
    }

    /// What is there, newest first.
    pub fn find(&self, wanted: &Wanted) -> Vec<Text> {
        let digits = |to: &str| match to.contains('@') {
            true => to.to_lowercase(),
            false => to.chars().filter(char::is_ascii_digit).collect(),
        };
        let to = wanted.to.as_deref().map(digits).filter(|to| !to.is_empty());
        let kind = wanted.kind.as_deref().filter(|kind| !kind.is_empty());
        self.texts()
            .iter()
            .take_while(|text| Some(text.id) != wanted.after)
            .filter(|text| to.as_ref().is_none_or(|to| *to == digits(&text.to)))
            .filter(|text| kind.is_none_or(|kind| kind == text.kind))
            .cloned()
            .collect()
    }

    /// What is there; when nothing is, the first that comes within `wait`.
    pub async fn wait(&self, wanted: &Wanted, wait: Duration) -> Vec<Text> {
        let mut rings = self.rings.subscribe();
        let first = async {
            loop {
                // Marked before looking, so that what comes in between is not missed.
                rings.borrow_and_update();
                let found = self.find(wanted);
                if !found.is_empty() || rings.changed().await.is_err() {
                    return found;
                }
            }
        };
        tokio::time::timeout(wait, first).await.unwrap_or_default()
    }

    fn texts(&self) -> MutexGuard<'_, VecDeque<Text>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The code that a text carries: what its last line says (`@host #code`), or else the first word of
/// four to ten digits; the digits of an address are none.
pub fn code_in(body: &str) -> Option<String> {
    let last = body.lines().last().filter(|line| line.starts_with('@'));
    let bound = last.and_then(|line| line.split(" #").nth(1)).and_then(|rest| rest.split(' ').next());
    let is_code = |word: &&str| (4..=10).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    let words = || body.split_whitespace().filter(|word| !word.contains('/'));
    bound
        .or_else(|| words().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())).find(is_code))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u128, to: &str) -> Text {
        Text {
            id: Uuid::from_u128(number),
            kind: "sms",
            to: to.into(),
            body: String::new(),
            mail: None,
            code: None,
            status: "queued",
            at: Timestamp::from_millis(0),
        }
    }

    fn ids(found: &[Text]) -> Vec<u128> {
        found.iter().map(|text| text.id.as_u128()).collect()
    }

    #[test]
    fn the_newest_comes_first_and_can_be_asked_for_alone() {
        let phone = Phone::default();
        for (number, to) in [(1, "+15005550006"), (2, "+15005550007"), (3, "+15005550006")] {
            phone.receive(text(number, to));
        }
        let find = |to: Option<&str>, after: Option<u128>| {
            ids(&phone.find(&Wanted {
                to: to.map(Into::into),
                kind: None,
                after: after.map(Uuid::from_u128),
            }))
        };
        assert_eq!(find(None, None), [3, 2, 1]);
        assert_eq!(find(Some("+15005550006"), None), [3, 1]);
        assert_eq!(find(Some(" 15005550006"), None), [3, 1], "a plus that was not encoded");
        assert_eq!(find(Some("+15005550006"), Some(1)), [3]);
        assert_eq!(find(Some("+15005550007"), Some(2)), []);
        assert_eq!(find(Some("+1500555000"), None), []);
        let call = Wanted { kind: Some("call".into()), ..Wanted::default() };
        assert_eq!(phone.find(&call), []);
    }

    #[test]
    fn it_forgets_the_oldest() {
        let phone = Phone::default();
        (0..1000).for_each(|number| phone.receive(text(number, "+15005550006")));
        let all = phone.find(&Wanted::default());
        assert_eq!((all.len(), all[0].id.as_u128()), (ROOM, 999));
    }

    #[tokio::test]
    async fn waiting_ends_with_the_first_that_fits() {
        let phone = std::sync::Arc::new(Phone::default());
        let wanted = Wanted { to: Some("+15005550006".into()), ..Wanted::default() };
        assert_eq!(phone.wait(&wanted, Duration::ZERO).await, []);
        let mut tasks = tokio::task::JoinSet::new();
        let (other, asked) = (phone.clone(), wanted.clone());
        tasks.spawn(async move { other.wait(&asked, Duration::from_secs(60)).await });
        tokio::task::yield_now().await;
        phone.receive(text(1, "+15005550007"));
        tokio::task::yield_now().await;
        phone.receive(text(2, "+15005550006"));
        assert_eq!(ids(&tasks.join_next().await.unwrap().unwrap()), [2]);
        assert_eq!(ids(&phone.wait(&wanted, Duration::ZERO).await), [2], "what is there is there at once");
    }

    #[test]
    fn codes_are_found() {
        assert_eq!(code_in("123456 is your code.\n\n@a.example #987654").as_deref(), Some("987654"));
        assert_eq!(code_in("a 12 b 12345678901 c 4321").as_deref(), Some("4321"));
        assert_eq!(code_in("@a.example #1234 @b.example").as_deref(), Some("1234"));
        assert_eq!(code_in("Your password was changed."), None);
    }
}
