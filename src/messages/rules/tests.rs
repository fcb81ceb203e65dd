use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::messages::letters::code_text;
use crate::messages::{Channel, Fallback, History, Tries};
use crate::secret::Sealed;
use crate::store::{Field, Value};
use crate::words::Locale;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_893_456_000_000 + millis)
}

const MINUTES: i64 = 60_000;

fn sealed() -> Sealed {
    Sealed::from_value(Value::Bytes(vec![1])).unwrap()
}

fn message() -> Message {
    Message {
        id: Uuid::nil(),
        kind: Channel::Sms,
        purpose: "sign_in".into(),
        to: "+15005550006".into(),
        body: Some(sealed()),
        user: None,
        challenge: None,
        status: Status::Queued,
        attempts: 0,
        doubts: 0,
        provider: "twilio".into(),
        provider_ref: None,
        error_code: None,
        error_reason: None,
        callback: vec![],
        callback_sealed: Some(sealed()),
        history: History::default(),
        tries: Tries::default(),
        fallback: Fallback::default(),
        polls: 0,
        look_at: None,
        created_at: at(0),
        valid_until: at(10 * MINUTES),
        due_at: Some(at(0)),
        finished_at: None,
        expires_at: at(20 * MINUTES),
    }
}

fn leased() -> Message {
    let mut message = message();
    assert_eq!(message.lease(at(0)), Lease::Taken);
    message
}

fn heard(status: Status, error: Option<i64>) -> Heard {
    Heard { reference: Some("SM1".into()), word: status.to_string(), status: Some(status), error }
}

fn is_wiped(message: &Message) -> bool {
    message.body.is_none() && message.callback_sealed.is_none() && message.due_at.is_none()
}

#[test]
fn a_due_message_is_taken_once() {
    let mut message = message();
    message.due_at = Some(at(1));
    assert_eq!(message.lease(at(0)), Lease::Nothing);
    assert_eq!(message.lease(at(1)), Lease::Taken);
    assert_eq!((message.status, message.attempts), (Status::Sending, 1));
    assert_eq!(message.due_at, Some(at(1) + LEASE));
    assert_eq!(message.lease(at(2)), Lease::Nothing);
}

#[test]
fn what_is_no_longer_valid_is_never_sent() {
    let mut message = message();
    assert_eq!(message.lease(at(10 * MINUTES - 999)), Lease::Settled);
    assert_eq!((message.status, message.attempts), (Status::Expired, 0));
    assert!(is_wiped(&message) && message.finished_at.is_some());
    let mut message = self::message();
    assert_eq!(message.lease(at(10 * MINUTES - 1000)), Lease::Taken);
}

#[test]
fn what_was_called_back_is_never_sent() {
    let mut message = message();
    message.status = Status::Canceled;
    assert_eq!(message.lease(at(0)), Lease::Settled);
    assert_eq!(message.status, Status::Canceled);
    assert!(is_wiped(&message));
}

#[test]
fn a_worker_that_died_costs_one_resend_and_no_more() {
    let mut message = leased();
    assert_eq!(message.lease(at(60_000)), Lease::Taken);
    assert_eq!((message.attempts, message.doubts), (2, 1));
    assert_eq!(message.lease(at(120_000)), Lease::Settled);
    assert_eq!((message.status, message.attempts), (Status::Unknown, 2));
    assert!(is_wiped(&message));
    // Only a callback can tell now.
    assert!(message.fold(&heard(Status::Delivered, None), at(130_000)));
    assert_eq!(message.status, Status::Delivered);
}

#[test]
fn a_doubtful_attempt_is_repeated_once() {
    let mut message = leased();
    assert!(message.sent(1, &Sent::Doubtful, at(10), 0));
    assert_eq!((message.status, message.due_at), (Status::Queued, Some(at(60))));
    assert!(message.body.is_some());
    assert_eq!(message.lease(at(60)), Lease::Taken);
    assert!(message.sent(2, &Sent::Doubtful, at(70), 0));
    assert_eq!((message.status, message.attempts), (Status::Unknown, 2));
    assert!(is_wiped(&message));
}

#[test]
fn a_doubtful_attempt_whose_time_is_over_is_not_called_expired() {
    let mut message = leased();
    message.sent(1, &Sent::Doubtful, at(10), 0);
    assert_eq!(message.lease(at(10 * MINUTES)), Lease::Settled);
    assert_eq!(message.status, Status::Unknown);
}

#[test]
fn what_was_not_processed_is_tried_until_its_time_is_over_with_growing_pauses() {
    let mut message = message();
    let (mut now, mut pauses) = (at(0), Vec::new());
    while message.lease(now) == Lease::Taken {
        assert!(message.sent(message.attempts, &Sent::NotProcessed(Some(20429)), now, 255));
        let due = message.due_at.unwrap();
        pauses.push(due.since(now).as_millis());
        assert!(pauses.len() < 100, "it is never over");
        now = due;
    }
    assert_eq!(pauses[..5], [100, 200, 400, 800, 1600]);
    assert_eq!(pauses.iter().max(), Some(&30_000));
    assert_eq!((message.status, message.error_code), (Status::Expired, Some(20429)));
    assert!(message.history.0.len() <= 3, "retries do not fill the history");
}

#[test]
fn what_is_worth_sending_for_days_is_tried_more_rarely() {
    let mut message = Message { kind: Channel::Email, valid_until: at(3 * 24 * 60 * MINUTES), ..message() };
    let (mut now, mut tries) = (at(0), 0);
    while message.lease(now) == Lease::Taken {
        assert!(message.sent(message.attempts, &Sent::NotProcessed(None), now, 255));
        now = message.due_at.unwrap();
        tries += 1;
    }
    assert_eq!(message.status, Status::Expired);
    assert!((200..1_500).contains(&tries), "{tries} tries in three days");
}

#[test]
fn no_other_way_is_taken_while_a_copy_may_still_arrive() {
    let with_a_way = || Message { fallback: Fallback(vec![Channel::Call]), ..leased() };
    let mut once = with_a_way();
    once.sent(1, &Sent::Accepted(heard(Status::Accepted, None)), at(1), 0);
    assert!(once.fold(&heard(Status::Undelivered, Some(30_003)), at(2)) && once.wants_another_way(at(2)));

    let mut twice = with_a_way();
    twice.sent(1, &Sent::Doubtful, at(1), 0);
    assert_eq!(twice.lease(twice.due_at.unwrap()), Lease::Taken);
    twice.sent(2, &Sent::Accepted(heard(Status::Accepted, None)), at(1_000), 0);
    assert!(twice.fold(&heard(Status::Undelivered, Some(30_003)), at(1_001)));
    assert!(!twice.wants_another_way(at(1_001)), "the first copy may be the one that arrives");
}

#[test]
fn a_permanent_refusal_ends_it_and_an_unknown_one_gets_one_more_try() {
    let mut message = leased();
    assert!(message.sent(1, &Sent::Refused(Some(21614)), at(1), 0));
    assert_eq!((message.status, message.failure()), (Status::Failed, Some(Class::Number)));
    assert!(is_wiped(&message));

    let mut message = leased();
    message.sent(1, &Sent::Refused(Some(99_999)), at(1), 0);
    assert_eq!(message.status, Status::Queued);
    assert_eq!(message.lease(message.due_at.unwrap()), Lease::Taken);
    message.sent(2, &Sent::Refused(None), at(1000), 0);
    assert_eq!(message.status, Status::Failed);
}

#[test]
fn a_refusal_after_a_doubtful_attempt_does_not_say_failed() {
    let mut message = leased();
    message.sent(1, &Sent::Doubtful, at(1), 0);
    message.lease(at(1000));
    message.sent(2, &Sent::Refused(Some(20003)), at(1001), 0);
    assert_eq!((message.status, message.error_code), (Status::Unknown, Some(20003)));
}

#[test]
fn a_callback_that_is_quicker_than_the_answer_stands() {
    let mut message = leased();
    message.fold(&heard(Status::Sent, None), at(1));
    for late in [Sent::Doubtful, Sent::NotProcessed(None), Sent::Refused(Some(21211))] {
        assert!(!message.sent(1, &late, at(2), 0));
    }
    assert!(
        message.sent(1, &Sent::Accepted(heard(Status::Accepted, None)), at(2), 0),
        "the history notes it"
    );
    assert_eq!((message.status, message.error_code, message.doubts), (Status::Sent, None, 0));
    assert!(is_wiped(&message));
}

#[test]
fn bad_news_of_a_lost_lease_is_nobodys_and_good_news_counts() {
    let mut message = leased();
    assert_eq!(message.lease(at(60_000)), Lease::Taken);
    assert!(!message.sent(1, &Sent::Doubtful, at(60_001), 0));
    assert!(!message.sent(1, &Sent::Refused(Some(21211)), at(60_001), 0));
    assert_eq!((message.status, message.doubts), (Status::Sending, 1));
    assert!(message.sent(1, &Sent::Accepted(heard(Status::Accepted, None)), at(60_002), 0));
    assert_eq!(message.status, Status::Accepted);
}

#[test]
fn a_word_that_nobody_knows_is_kept_and_means_that_the_provider_has_it() {
    let mut message = leased();
    let news = Heard { reference: Some("SM1".into()), word: "teleported".into(), status: None, error: None };
    assert!(message.fold(&news, at(1)));
    assert_eq!(message.status, Status::Accepted);
    assert!(message.history.0.iter().any(|step| step.status == "teleported"));
    assert!(!message.fold(&news, at(2)), "a replay changes nothing");
    for number in 0..100 {
        message.fold(&Heard { word: format!("word {number}"), ..news.clone() }, at(3));
    }
    assert_eq!(message.history.0.len(), WORDS);
    message.fold(&heard(Status::Delivered, None), at(4));
    assert_eq!(message.status, Status::Delivered, "a full history hides nothing");
}

#[test]
fn the_time_that_is_told_to_the_provider_is_rounded_down() {
    let message = message();
    assert_eq!(message.life(at(0)), 600);
    assert_eq!(message.life(at(1)), 599);
    assert_eq!(message.life(at(11 * MINUTES)), 1);
}

/// One real course of events: what Twilio would tell, in its order, and how it ends.
fn course() -> impl Strategy<Value = (Vec<Heard>, Status, Option<i64>)> {
    let end = prop_oneof![
        Just((vec![Status::Sent, Status::Delivered], None)),
        Just((vec![Status::Sent, Status::Undelivered], Some(30003))),
        Just((vec![Status::Failed], Some(30007))),
        Just((vec![Status::Canceled], None)),
    ];
    end.prop_map(|(mut rest, error)| {
        let last = rest.pop().unwrap();
        let mut news = vec![heard(Status::Accepted, None)];
        news.extend(rest.into_iter().map(|status| heard(status, None)));
        news.push(heard(last, error));
        (news, last, error)
    })
}

/// A course, and what of it is heard: shuffled, some of it lost, some of it often, the end at least once.
fn heard_somehow() -> impl Strategy<Value = (Vec<Heard>, Status, Option<i64>)> {
    (course(), prop::collection::vec((any::<prop::sample::Index>(), 1..4_usize), 0..8)).prop_flat_map(
        |((course, last, error), picks)| {
            let mut news = vec![course.last().unwrap().clone()];
            for (pick, times) in picks {
                news.extend(std::iter::repeat_n(course[pick.index(course.len())].clone(), times));
            }
            (Just(news).prop_shuffle(), Just(last), Just(error))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_order_it_ends_the_same_and_never_steps_back(
        (news, last, error) in heard_somehow(), answer_at in any::<prop::sample::Index>(),
        answer in prop_oneof![
            Just(Sent::Accepted(heard(Status::Accepted, None))), Just(Sent::Doubtful),
            Just(Sent::NotProcessed(Some(20429))), Just(Sent::Refused(Some(21211))),
        ],
    ) {
        let mut message = leased();
        // The answer to the request comes at any time; a bad one that comes first is bad luck only
        // when it says that nothing was processed, which news then disproves.
        let answer_at = answer_at.index(news.len() + 1);
        let (mut before, mut finished) = (message.status, None);
        for turn in 0..=news.len() {
            if turn == answer_at {
                let told = message.status > Status::Sending;
                message.sent(1, &answer, at(turn as i64), 7);
                prop_assert!(!told || message.status >= before);
            } else {
                let news = &news[if turn > answer_at { turn - 1 } else { turn }];
                message.fold(news, at(turn as i64));
                prop_assert!(message.status >= before);
                prop_assert!(!message.fold(news, at(turn as i64)), "twice is once");
            }
            if message.status.is_final() {
                prop_assert!(is_wiped(&message));
                prop_assert!(message.finished_at.is_some());
                prop_assert!(finished.is_none() || finished == message.finished_at);
                finished = message.finished_at;
                prop_assert_eq!(message.clone().lease(at(600_000)), Lease::Nothing);
            }
            before = message.status;
        }
        // A refusal that came first outranks being called back: both say that nothing went out.
        let refused_first = message.error_code == Some(21211);
        if !refused_first {
            prop_assert_eq!((message.status, message.error_code), (last, error));
        } else {
            prop_assert_eq!((message.status, last <= Status::Failed), (Status::Failed, true));
        }
    }

    #[test]
    fn two_copies_end_the_same_in_any_order(
        (one, _, _) in heard_somehow(), (two, _, _) in heard_somehow(), shuffle in any::<u64>(),
    ) {
        let all: Vec<_> = one.into_iter().chain(two).collect();
        let mut other = all.clone();
        let by = usize::try_from(shuffle % all.len() as u64).unwrap();
        other.rotate_left(by);
        other.reverse();
        let (mut first, mut second) = (leased(), leased());
        for (turn, (a, b)) in all.iter().zip(&other).enumerate() {
            first.fold(a, at(turn as i64));
            second.fold(b, at(turn as i64));
        }
        prop_assert_eq!((first.status, first.error_code), (second.status, second.error_code));
    }

    #[test]
    fn a_code_text_is_one_segment_and_its_last_line_is_for_phones(
        host in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,12}){0,3}", code in "[0-9]{4,8}", minutes in 1..1440_u64,
    ) {
        let text = code_text(Locale::En, &host, &code, minutes);
        let length = septets(&text);
        prop_assert!(length.is_some_and(|length| length <= SEGMENT), "{length:?} {text}");
        let last = format!("@{host} #{code}");
        prop_assert_eq!(text.lines().last(), Some(last.as_str()));
        let first = text.lines().next().unwrap();
        prop_assert!(first.contains(&code) && !first.contains('#') && !first.starts_with('@'));
    }
}

#[test]
fn the_text_of_a_code_reads_like_this() {
    assert_eq!(
        code_text(Locale::En, "accounts.example.com", "123456", 10),
        "123456 is your accounts.example.com code. It works for 10 minutes. Never share it.\n\n\
         @accounts.example.com #123456"
    );
    assert!(code_text(Locale::En, "a.example", "123456", 1).contains("for 1 minute."));
}

#[test]
fn a_code_text_is_one_segment_in_every_language() {
    for locale in Locale::ALL.iter().copied() {
        // Latin letters fit 160 of any host; the others 70, of a host that is not long.
        let unicode = matches!(locale, Locale::Ar | Locale::Ja);
        let hosts = if unicode {
            vec!["a.example", "id.example.com"]
        } else {
            vec!["a.example", "accounts.a-longer-name.example.com"]
        };
        for host in hosts {
            for minutes in [1, 2, 5, 10, 11] {
                let text = code_text(locale, host, "123456", minutes);
                assert_eq!(segments(&text), 1, "{locale} {} {text}", text.chars().count());
                assert_eq!(septets(&text).is_none(), unicode, "{locale}: {text}");
                assert!(
                    text.ends_with(&format!("\n@{host} #123456"))
                        && text.lines().next().unwrap().contains("123456")
                );
            }
        }
        let long = code_text(locale, &"x".repeat(60), "12345678", 10);
        assert!(segments(&long) <= 2, "{locale}: {long}");
    }
}

#[test]
fn a_long_host_is_named_once_and_still_fits() {
    for length in 1..=70 {
        let host = "x".repeat(length);
        let text = code_text(Locale::En, &host, "12345678", 1440);
        assert!(septets(&text).unwrap() <= SEGMENT, "{length}");
        assert!(text.ends_with(&format!("\n@{host} #12345678")));
    }
}

#[test]
fn lengths_are_counted_in_the_alphabet_of_text_messages() {
    assert_eq!(septets("@_#\n àΩ"), Some(7));
    assert_eq!(septets("[€]"), Some(6));
    assert_eq!(septets("ç"), None);
    assert_eq!(septets("•"), None);
}

#[test]
fn a_hundred_thousand_orders_of_news_come_to_the_same_and_never_step_back() {
    let random = crate::random::Random::seeded(98);
    let told: Vec<Status> =
        Status::ALL.iter().copied().filter(|status| *status >= Status::Accepted).collect();
    let fresh = leased();
    for round in 0..100_000_u32 {
        let bytes: [u8; 24] = random.bytes();
        let mut message = fresh.clone();
        let mut most = message.status;
        // Each byte is a piece of news or, sometimes, one that was lost; pieces repeat by themselves.
        for (after, byte) in (0..).zip(bytes) {
            if byte % 7 == 0 {
                continue;
            }
            let status = told[usize::from(byte) % told.len()];
            let before = message.status;
            message.fold(&heard(status, None), at(after));
            assert!(message.status >= before, "round {round}: back from {before} to {}", message.status);
            most = most.max(status);
            assert_eq!(message.status, most, "round {round}");
        }
        assert!(message.history.0.len() <= WORDS, "round {round}");
        assert_eq!(message.finished_at.is_some(), message.status.is_final(), "round {round}");
    }
}
