//! How often something is sent to one number or address: exact, and as durable as what is sent.
//!
//! Always holds: in no stretch of time as long as a window does one number get more than its limit, by
//! messages and calls together, whoever asks, on however many nodes. A budget that fills up again while it
//! is used ([`crate::shared`]) would let nearly twice as much through.
//!
//! For each number there is a record of when something was sent to it, for as long as the longest window.
//! Whoever sends changes what was seen of it; of two at once, one looks again.

use serde::{Deserialize, Serialize};

use super::{Limit, Sender};
use crate::clock::Timestamp;
use crate::policy::{Budget, Limits};
use crate::store::{entity, json_field};

/// For whom something was sent, as far as shares of a number's limits go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// Whoever has shown the password, to a number that was shown to be theirs.
    User,
    /// Whoever has shown a password, and the number not.
    Newcomer,
    /// Anybody.
    Stranger,
    /// Whoever wants to get back in.
    Recovery,
    /// The house itself.
    Notice,
}

impl Share {
    pub(super) fn of(sender: Sender) -> Self {
        match sender {
            Sender::User(_) => Self::User,
            Sender::Newcomer => Self::Newcomer,
            Sender::Stranger => Self::Stranger,
            Sender::Recovery => Self::Recovery,
            Sender::Notice(_) | Sender::Once => Self::Notice,
        }
    }

    /// What whoever asks is told, past whichever limit it was. Another answer would tell strangers
    /// that somebody else had something sent to this number; and an operation of which nobody can be told
    /// any more names what it lacks.
    pub(super) fn told(self, reached: Limit) -> Limit {
        match self {
            Self::User => reached,
            Self::Notice => Limit::SendNotice,
            Self::Newcomer | Self::Stranger => Limit::SendStrangerShort,
            Self::Recovery => Limit::SendRecovery,
        }
    }
}

/// One thing that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sent {
    at: Timestamp,
    share: Share,
}

/// What was sent, the oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Log(Vec<Sent>);
json_field!(Log);

entity! {
    /// What was sent to one number or address lately.
    pub struct Sends in "sends" {
        /// A keyed hash of the number or address, in hexadecimal digits.
        of: String,
        /// When, and for whom.
        log: Log,
        /// From here on none of it counts any more.
        expires_at: Timestamp,
    }
    expires expires_at;
}

/// A limit that is reached, and until when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Full {
    pub limit: Limit,
    pub until: Timestamp,
}

/// The limits of what is sent to `to`: each with the shares that it counts.
fn windows(to: &str) -> &'static [(Limit, &'static [Share])] {
    use Share::{Newcomer, Notice, Recovery, Stranger, User};
    const ALL: &[Share] = &[User, Newcomer, Stranger, Recovery, Notice];
    const OTHERS: &[Share] = &[Newcomer, Stranger, Recovery];
    // A number is somebody's phone, which rings: all that goes there is counted together. Whoever has not
    // shown it to be theirs leaves some to whoever has; and what strangers may send does not depend on
    // what was recovered, which would tell whose number it is.
    const NUMBER: &[(Limit, &[Share])] = &[
        (Limit::SendNumberShort, ALL),
        (Limit::SendNumberDay, ALL),
        (Limit::SendOthersShort, OTHERS),
        (Limit::SendOthersDay, OTHERS),
        (Limit::SendStrangerShort, &[Stranger]),
        (Limit::SendStrangerDay, &[Stranger]),
        (Limit::SendRecoveryNumber, &[Recovery]),
        (Limit::SendRecoveryNumberDay, &[Recovery]),
        (Limit::SendRecovery, &[Recovery]),
    ];
    // Mails wait until they are read: each kind has a budget of its own, and notices are not among them.
    const MAIL: &[(Limit, &[Share])] = &[
        (Limit::SendNumberShort, &[User, Newcomer, Stranger]),
        (Limit::SendNumberDay, &[User, Newcomer, Stranger]),
        (Limit::SendStrangerShort, &[Stranger]),
        (Limit::SendStrangerDay, &[Stranger]),
        (Limit::SendRecovery, &[Recovery]),
    ];
    if to.starts_with('+') { NUMBER } else { MAIL }
}

impl Log {
    /// One more at `now`, when every limit that it counts for has room; nothing changes when one has none.
    pub(super) fn take(
        &mut self,
        to: &str,
        share: Share,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), Full> {
        let mut full: Option<Full> = None;
        for (limit, shares) in windows(to).iter().filter(|(_, shares)| shares.contains(&share)) {
            let Budget { limit: most, window } = limit.budget(limits);
            let counted: Vec<_> = self.0.iter().filter(|sent| shares.contains(&sent.share)).collect();
            // The one that must have left the window before another may be sent.
            let last = counted.len().checked_sub(most as usize).map(|at| counted.get(at).map(|sent| sent.at));
            let until = match last {
                None => continue,
                Some(sent) => sent.unwrap_or(now) + *window,
            };
            if until > now && full.is_none_or(|full| full.until < until) {
                full = Some(Full { limit: *limit, until });
            }
        }
        if let Some(full) = full {
            return Err(full);
        }
        let kept = longest(to, limits);
        self.0.retain(|sent| sent.at + kept > now);
        // After a clock was set back, what was sent later still counts, and stays behind.
        let at = self.0.partition_point(|sent| sent.at <= now);
        self.0.insert(at, Sent { at: now, share });
        Ok(())
    }
}

/// For how long anything that was sent to `to` counts.
pub(super) fn longest(to: &str, limits: &Limits) -> std::time::Duration {
    windows(to).iter().map(|(limit, _)| *limit.budget(limits).window).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::policy::Policy;

    const NUMBER: &str = "+12025550100";
    const MINUTE: i64 = 60_000;
    const SENDERS: [Sender; 5] = [
        Sender::User(Uuid::nil()),
        Sender::Newcomer,
        Sender::Stranger,
        Sender::Recovery,
        Sender::Notice("x"),
    ];

    fn limits() -> Limits {
        Policy::from_toml("").unwrap().limits
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_900_000_000_000 + millis)
    }

    /// How many go through at one instant.
    fn burst(log: &mut Log, to: &str, sender: Sender, now: i64) -> usize {
        (0..20).take_while(|_| log.take(to, Share::of(sender), &limits(), at(now)).is_ok()).count()
    }

    #[test]
    fn a_known_user_gets_five_and_the_next_when_the_first_is_ten_minutes_old() {
        let mut log = Log::default();
        for n in 0..5 {
            log.take(NUMBER, Share::User, &limits(), at(n * MINUTE)).unwrap();
        }
        for now in [4 * MINUTE, 5 * MINUTE, 10 * MINUTE - 1] {
            let full = log.take(NUMBER, Share::User, &limits(), at(now)).unwrap_err();
            assert_eq!(full, Full { limit: Limit::SendNumberShort, until: at(10 * MINUTE) });
        }
        log.take(NUMBER, Share::User, &limits(), at(10 * MINUTE)).unwrap();
        assert!(log.take(NUMBER, Share::User, &limits(), at(11 * MINUTE - 1)).is_err());
        for n in 11..15 {
            log.take(NUMBER, Share::User, &limits(), at(n * MINUTE)).unwrap();
        }
        let full = log.take(NUMBER, Share::User, &limits(), at(60 * MINUTE)).unwrap_err();
        assert_eq!(full, Full { limit: Limit::SendNumberDay, until: at(24 * 60 * MINUTE) });
    }

    #[test]
    fn those_who_show_nothing_leave_some_to_the_owner_and_do_not_show_in_each_other() {
        let mut log = Log::default();
        assert_eq!(burst(&mut log, NUMBER, Sender::Recovery, 0), 1);
        assert_eq!(burst(&mut log, NUMBER, Sender::Stranger, 0), 3, "as if nobody had recovered");
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 0), 1);
        let mut log = Log::default();
        assert_eq!(burst(&mut log, NUMBER, Sender::Stranger, 0), 3);
        assert_eq!(burst(&mut log, NUMBER, Sender::Newcomer, 0), 1, "who is new has one left to sign in");
        assert_eq!(burst(&mut log, NUMBER, Sender::Recovery, 0), 0);
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 0), 1);
        // All day long.
        for others in [[Sender::Stranger, Sender::Recovery], [Sender::Recovery, Sender::Newcomer]] {
            let mut log = Log::default();
            for now in (0..24 * 60).map(|minute| minute * MINUTE) {
                for sender in others {
                    burst(&mut log, NUMBER, sender, now);
                }
            }
            assert!(burst(&mut log, NUMBER, SENDERS[0], 24 * 60 * MINUTE - 1) >= 3, "{others:?}");
        }
    }

    #[test]
    fn strangers_hear_the_same_whatever_stopped_them() {
        for reached in [Limit::SendNumberShort, Limit::SendNumberDay, Limit::SendStrangerDay] {
            assert_eq!(Share::Stranger.told(reached), Limit::SendStrangerShort);
            assert_eq!(Share::of(Sender::Newcomer).told(reached), Limit::SendStrangerShort);
            assert_eq!(Share::User.told(reached), reached);
        }
    }

    #[test]
    fn mails_of_one_kind_leave_those_of_another_alone() {
        let mut log = Log::default();
        let to = "alice@example.com";
        assert_eq!(burst(&mut log, to, Sender::Recovery, 0), 10);
        assert_eq!(burst(&mut log, to, Sender::Stranger, 0), 3);
        assert_eq!(burst(&mut log, to, SENDERS[0], 0), 2);
    }

    #[test]
    fn a_clock_set_back_makes_nobody_rich() {
        let mut log = Log::default();
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 60 * MINUTE), 5);
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 0), 0);
    }

    proptest! {
        /// Whoever asks, whenever, as somebody does who knows the rules: at once, as early as allowed,
        /// just before and just after.
        #[test]
        fn no_number_gets_more_than_five_in_ten_minutes_or_ten_in_a_day(
            tries in prop::collection::vec((0_usize..5, 0_u8..6, 0_i64..400 * MINUTE), 1..300)
        ) {
            let (limits, mut log, mut now) = (limits(), Log::default(), 0);
            let mut passed: Vec<(Share, i64)> = Vec::new();
            let mut wait = 0;
            for (who, how, pause) in tries {
                now += match how {
                    0 => 0,
                    1 => wait,
                    2 => (wait - 1).max(0),
                    3 => 10 * MINUTE,
                    4 => pause % MINUTE,
                    _ => pause,
                };
                let share = Share::of(SENDERS[who]);
                match log.take(NUMBER, share, &limits, at(now)) {
                    Ok(()) => { passed.push((share, now)); wait = 0 }
                    Err(full) => wait = full.until.as_millis() - at(now).as_millis(),
                }
                prop_assert!(log.0.len() <= 10, "the record is bounded by the day's limit");
            }
            let most = |window: i64, of: &dyn Fn(Share) -> bool| {
                let times: Vec<_> = passed.iter().filter(|(share, _)| of(*share)).map(|(_, at)| *at).collect();
                let within = |start: &i64| times.iter().filter(|at| (*start..*start + window).contains(*at)).count();
                times.iter().map(within).max().unwrap_or(0)
            };
            let day = i64::try_from(Duration::from_secs(86_400).as_millis()).unwrap();
            prop_assert!(most(10 * MINUTE, &|_| true) <= 5);
            prop_assert!(most(day, &|_| true) <= 10);
            prop_assert!(most(10 * MINUTE, &|share| share == Share::Stranger) <= 3);
            prop_assert!(most(day, &|share| share == Share::Stranger) <= 5);
            let others = |share| matches!(share, Share::Stranger | Share::Newcomer | Share::Recovery);
            prop_assert!(most(10 * MINUTE, &others) <= 4);
            prop_assert!(most(day, &others) <= 7);
            prop_assert!(most(10 * MINUTE, &|share| share == Share::Recovery) <= 1);
            prop_assert!(most(day, &|share| share == Share::Recovery) <= 2);
        }

        /// Whoever waits as long as told passes.
        #[test]
        fn waiting_as_long_as_told_is_enough(pauses in prop::collection::vec(0_i64..30 * MINUTE, 1..60)) {
            let (limits, mut log, mut now) = (limits(), Log::default(), 0);
            for pause in pauses {
                now += pause;
                if let Err(full) = log.take(NUMBER, Share::User, &limits, at(now)) {
                    now = full.until.as_millis() - at(0).as_millis();
                    prop_assert!(log.take(NUMBER, Share::User, &limits, at(now)).is_ok());
                }
            }
        }
    }
}
