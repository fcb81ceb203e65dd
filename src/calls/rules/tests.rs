use proptest::prelude::*;
use uuid::Uuid;

use super::super::{Content, Wanted};
use super::*;
use crate::app::Moment;
use crate::limits::Postage;
use crate::policy::Policy;
use crate::random::Random;
use crate::secret::Keyring;

const START: Timestamp = Timestamp::from_millis(1_893_456_000_000);

fn later(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn call() -> Call {
    let random = Random::seeded(7);
    let keyring = Keyring::parse(&[Keyring::generate("test", &random)]).unwrap();
    let moment = Moment::new(START, random.seed());
    let wanted = Wanted {
        user: Uuid::from_u128(1),
        to: "+12025550143".into(),
        from: "+15005550006".into(),
        content: Content::Say("Hello".into()),
        language: "en-US",
    };
    Call::new(&moment, &Postage::of_a_test(), &keyring, &random, &wanted)
}

fn news(word: &str) -> News {
    News { reference: Some("CA1".into()), word: word.into(), ..News::default() }
}

/// A call that the provider has.
fn followed() -> Call {
    let mut call = call();
    assert_eq!(call.take(START), Taken::Place);
    assert!(call.placed(1, &Placed::Accepted(news("queued")), START, 0));
    call
}

#[test]
fn a_call_is_taken_once_and_followed() {
    let mut call = call();
    assert_eq!(call.take(START), Taken::Place);
    assert_eq!(call.take(START), Taken::Nothing, "somebody has it");
    assert!(call.placed(1, &Placed::Accepted(news("queued")), START, 0));
    assert_eq!((call.status, call.next, call.attempts), (Status::Queued, Next::Follow, 1));
    assert!(call.say.is_none() && call.callback_sealed.is_none(), "nothing will place it again");
    assert_eq!(call.take(later(59)), Taken::Nothing);
    assert_eq!(call.take(later(60)), Taken::Follow);
    assert!(call.fold(&News { duration: Some(9), ..news("completed") }, later(61)));
    assert_eq!((call.status, call.duration, call.due_at), (Status::Completed, Some(9), None));
    assert_eq!(call.finished_at, Some(later(61)));
}

#[test]
fn what_may_have_been_placed_is_never_placed_again() {
    let mut doubtful = call();
    doubtful.take(START);
    assert!(doubtful.placed(1, &Placed::Doubtful, START, 0));
    let mut died = call();
    died.take(START);
    assert_eq!(died.take(START + LEASE), Taken::Find);
    for mut call in [doubtful, died] {
        assert!(call.say.is_none());
        let mut now = START;
        let mut looks = 0;
        for _ in 0..100 {
            now = call.due_at.unwrap_or(now);
            match call.take(now) {
                Taken::Find => looks += 1,
                Taken::Settled => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((call.status, call.attempts), (Status::Failed, 1));
        assert!(looks >= 3 && call.error_reason.as_deref() == Some(UNKNOWN), "{looks}");
        assert!(call.fold(&news("completed"), now), "and it turned out well");
        assert_eq!((call.status, call.error_reason), (Status::Completed, None));
    }
}

#[test]
fn what_was_surely_not_processed_is_tried_again_until_it_is_too_late() {
    let mut call = call();
    let mut now = START;
    let mut attempts = 0;
    while call.take(now) == Taken::Place {
        attempts += 1;
        assert!(call.placed(attempts, &Placed::NotProcessed(Some(20429)), now, 0));
        now = call.due_at.unwrap();
        assert!(attempts < 100);
    }
    assert!(attempts > 10 && call.status == Status::Failed && call.error_code == Some(20429));
    assert_eq!(call.take(now + Duration::from_secs(3_600)), Taken::Nothing);
}

#[test]
fn a_refusal_says_why_in_our_words() {
    let mut call = call();
    call.take(START);
    assert!(call.placed(1, &Placed::Refused(Some(21217)), START, 0));
    assert_eq!(call.status, Status::Failed);
    assert_eq!(call.view().error.unwrap().message, "The number is not valid.");
}

#[test]
fn news_may_come_before_the_answer() {
    let mut call = call();
    call.take(START);
    assert!(call.fold(&news("ringing"), START));
    assert!(!call.placed(1, &Placed::Doubtful, START, 0), "the provider has it: no doubt");
    assert!(!call.placed(1, &Placed::Accepted(news("queued")), START, 0), "nothing new");
    assert_eq!((call.status, call.next), (Status::Ringing, Next::Follow));
}

#[test]
fn calling_back_is_at_once_before_the_provider_has_it_and_asked_of_it_after() {
    let mut waiting = call();
    assert!(waiting.cancel(START));
    assert_eq!((waiting.status, waiting.attempts), (Status::Canceled, 0));
    assert_eq!(waiting.take(START), Taken::Nothing);

    let mut placing = call();
    placing.take(START);
    assert!(placing.cancel(START));
    assert_eq!(placing.status, Status::Queued);
    let mut refused = placing.clone();
    assert!(refused.placed(1, &Placed::NotProcessed(None), START, 0));
    assert_eq!(refused.status, Status::Canceled, "and not tried again");
    assert!(placing.placed(1, &Placed::Accepted(news("queued")), START, 0));
    assert_eq!(placing.take(START), Taken::End);

    let mut talking = followed();
    talking.fold(&news("in-progress"), START);
    assert!(talking.cancel(START) && talking.view().canceling);
    assert!(!talking.cancel(START), "once is enough");
    assert_eq!(talking.take(START), Taken::End);
    assert_eq!(talking.take(START), Taken::Nothing);
    assert_eq!(talking.take(later(2)), Taken::End, "until it has ended");
    assert!(talking.fold(&news("completed"), later(3)));
    assert_eq!(talking.take(later(60)), Taken::Nothing);
    assert!(!talking.cancel(later(60)), "what has ended stays");
}

#[test]
fn a_silent_provider_is_asked_again_and_given_up_at_last() {
    let mut call = followed();
    let mut looks = 0;
    let now = loop {
        let now = call.due_at.unwrap();
        match call.take(now) {
            Taken::Follow => looks += 1,
            Taken::Settled => break now,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((looks, call.status), (FOLLOWS, Status::Failed));
    assert!(now.since(START) > Duration::from_secs(2 * 3_600), "longer than any call may last");
}

#[test]
fn a_call_is_found_when_only_one_can_be_it() {
    let mut call = call();
    call.take(START);
    call.placed(1, &Placed::Doubtful, START, 0);
    let listed = |name: &str, seconds: u64| Listed {
        news: News { reference: Some(name.into()), word: "ringing".into(), ..News::default() },
        created: later(seconds),
    };
    let name = |found: Option<&News>| found.and_then(|news| news.reference.clone());
    let none = |_: &str| false;
    assert_eq!(name(call.find(&[listed("CA1", 1)], none)).as_deref(), Some("CA1"));
    assert_eq!(name(call.find(&[listed("CA1", 300)], none)), None, "another time");
    assert_eq!(name(call.find(&[listed("CA1", 1), listed("CA2", 2)], none)), None, "either");
    let two = [listed("CA1", 1), listed("CA2", 2)];
    let found = call.find(&two, |name| name == "CA1");
    assert_eq!(name(found).as_deref(), Some("CA2"), "the other one is another's");
}

#[test]
fn who_may_call_whom() {
    let policy = Policy::default_policy().calls;
    let caller = ["caller".to_owned()];
    assert!(!may_call(&policy, &[], false) && may_call(&policy, &[], true));
    assert!(may_call(&policy, &caller, false));
    assert!(!may_call(&policy, &["calle".to_owned()], false));
    let nobody = Calls { users: Callers::Nobody, ..policy.clone() };
    assert!(!may_call(&nobody, &[], true) && may_call(&nobody, &caller, false));
    assert!(may_call(&Calls { users: Callers::Anybody, ..policy.clone() }, &[], false));
    assert!(is_country_allowed(&policy, Some("US")));
    assert!(!is_country_allowed(&policy, Some("GB")) && !is_country_allowed(&policy, None));
}

#[test]
fn a_text_is_some_words_on_one_line() {
    assert_eq!(text("  Your table is ready. ", "en-US").unwrap(), "Your table is ready.");
    let code = |given: &str| text(given, "en-US").unwrap_err().code.to_string();
    assert_eq!(code("  "), "too-short");
    assert_eq!(code(&"x".repeat(1_001)), "too-long");
    assert_eq!(code(&"&".repeat(1_000)), "too-long", "five characters each");
    for control in ["a\nb", "a\tb", "a\0b", "a\u{7f}b", "a\u{85}b", "a\u{fffe}b", "\u{1b}[31m"] {
        assert_eq!(code(control), "invalid", "{control:?}");
    }
    assert!(text("مرحبا 🎉 <b>", "arb").is_ok());
}

#[test]
fn twiml_comes_only_from_where_the_settings_allow() {
    let allowed = [
        Url::parse("https://voice.example.com/twiml/").unwrap(),
        Url::parse("https://other.example.com:8443/a").unwrap(),
    ];
    for right in [
        "https://voice.example.com/twiml/hello.xml",
        "https://voice.example.com/twiml/?x=1",
        "https://voice.example.com:443/twiml/a",
        "https://VOICE.example.com/twiml/a",
        "https://other.example.com:8443/a",
        "https://other.example.com:8443/a/b",
    ] {
        assert!(twiml_url(right, &allowed).is_ok(), "{right}");
    }
    for wrong in [
        "",
        "hello",
        "/twiml/a",
        "http://voice.example.com/twiml/a",
        "https://voice.example.com/",
        "https://voice.example.com/TWIML/a",
        "https://voice.example.com/twimlx/a",
        "https://voice.example.com.evil.example/twiml/a",
        "https://voice.example.com@evil.example/twiml/a",
        "https://user@voice.example.com/twiml/a",
        "https://evil.example/https://voice.example.com/twiml/",
        "https://evil.example\\@voice.example.com/twiml/a",
        "https://voice.example.com\\twiml\\a",
        "https://voice.example.com/twiml/../secret",
        "https://voice.example.com/twiml/%2e%2e/secret",
        "https://voice.example.com/twiml/..%2fsecret",
        "https://voice.example.com/twiml/a#b",
        "https://voice.example.com:444/twiml/a",
        "https://voice.example.com/twi\nml/a",
        " https://voice.example.com/twiml/a",
        "https://other.example.com:8443/ab",
        "https://127.0.0.1/twiml/a",
        "https://[::1]/twiml/a",
        "https://169.254.169.254/latest",
        "ftp://voice.example.com/twiml/a",
        "javascript:alert(1)",
    ] {
        assert!(twiml_url(wrong, &allowed).is_err(), "{wrong:?}");
    }
    assert!(twiml_url("https://voice.example.com/twiml/a", &[]).is_err(), "none unless allowed");
    let long = format!("https://voice.example.com/twiml/{}", "a".repeat(3_000));
    assert!(twiml_url(&long, &allowed).is_err());
}

const TOLD: [&str; 12] = [
    "queued",
    "initiated",
    "ringing",
    "answered",
    "in-progress",
    "completed",
    "busy",
    "no-answer",
    "failed",
    "canceled",
    "a-word-of-tomorrow",
    "",
];

#[test]
fn a_hundred_thousand_orders_of_news_come_to_the_same_and_never_step_back() {
    let random = Random::seeded(99);
    let fresh = followed();
    for round in 0..100_000_u32 {
        let bytes: [u8; 24] = random.bytes();
        let mut call = fresh.clone();
        let mut most = call.status;
        let mut longest = None;
        // Each byte is a piece of news or, sometimes, one that was lost; pieces repeat by themselves.
        for (at, byte) in bytes.iter().enumerate() {
            if byte % 7 == 0 {
                continue;
            }
            let word = TOLD[usize::from(*byte) % TOLD.len()];
            let duration = (word == "completed").then(|| u32::from(*byte));
            let before = call.status;
            call.fold(&News { duration, ..news(word) }, later(u64::try_from(at).unwrap()));
            assert!(call.status >= before, "round {round}: back from {before} to {}", call.status);
            most = most.max(status(word).unwrap_or(Status::Queued));
            longest = longest.max(duration);
            assert_eq!((call.status, call.duration), (most, longest), "round {round}");
        }
        let words: Vec<_> = call.history.0.iter().map(|step| &step.status).collect();
        let mut once = words.clone();
        once.sort();
        once.dedup();
        assert!(once.len() == words.len() && words.len() <= WORDS, "round {round}");
        assert_eq!(call.finished_at.is_some(), call.status.is_final(), "round {round}");
    }
}

proptest! {
    #[test]
    fn whatever_happens_a_status_never_falls_and_no_second_call_is_made_of_a_doubt(
        steps in proptest::collection::vec((0_u8..8, 0_usize..TOLD.len(), 0_u64..120), 0..60),
    ) {
        let mut call = call();
        let mut now = START;
        let mut doubted = false;
        for (what, word, seconds) in steps {
            now = now + Duration::from_secs(seconds);
            let before = call.status;
            match what {
                0 | 1 => {
                    let taken = call.take(now);
                    prop_assert!(!(doubted && taken == Taken::Place));
                    doubted |= taken == Taken::Find;
                }
                2 => { call.fold(&news(TOLD[word]), now); }
                3 => { call.cancel(now); }
                4 => { doubted |= call.placed(call.attempts, &Placed::Doubtful, now, 9); }
                5 => { call.placed(call.attempts, &Placed::NotProcessed(None), now, 9); }
                6 => { call.placed(call.attempts, &Placed::Refused(Some(21217)), now, 9); }
                _ => { call.placed(call.attempts, &Placed::Accepted(news("queued")), now, 9); }
            }
            prop_assert!(call.status >= before, "{before} to {}", call.status);
            prop_assert_eq!(call.status.is_final(), call.next == Next::Nothing);
            prop_assert_eq!(call.due_at.is_none(), call.next == Next::Nothing);
        }
    }
}
