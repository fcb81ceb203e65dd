//! How often something is sent to one number or address: exact, and as durable as what is sent.
//!
//! Always holds: in no stretch of time as long as a window does one number get more than its limit, by
//! messages and calls together, whoever asks, on however many nodes. A budget that fills up again while it
//! is used ([`crate::shared`]) would let nearly twice as much through.
//!
//! For each number there is a record of when something was sent to it, for as long as the longest window.
//! Whoever sends changes what was seen of it; of two at once, one looks again.

use serde::{Deserialize, Serialize};

use super::{Limit, Sender, Whence};
use crate::clock::Timestamp;
use crate::policy::{Budget, Limits};
use crate::spending::is_number;
use crate::store::{entity, json_field};

/// For whom something was sent, as far as shares of a number's limits go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// Whoever has shown the password, to a number that was shown to be theirs.
    User,
    /// Whoever has shown a password, and the number not.
    Newcomer,
    /// Whoever is signed in and calls a number that was not shown to be theirs.
    Caller,
    /// Anybody.
    Stranger,
    /// Whoever wants to get back in, from anywhere.
    Recovery,
    /// The same, from a place where the user has signed in.
    Place,
    /// The same, from a device on which the user has signed in.
    Device,
    /// The house itself.
    Notice,
}

impl Share {
    pub(super) fn of(sender: Sender) -> Self {
        match sender {
            Sender::User(_) | Sender::Device => Self::User,
            Sender::Newcomer => Self::Newcomer,
            Sender::Caller => Self::Caller,
            Sender::Stranger => Self::Stranger,
            Sender::Recovery(Whence::Anywhere) => Self::Recovery,
            Sender::Recovery(Whence::Place) => Self::Place,
            Sender::Recovery(Whence::Device) => Self::Device,
            Sender::Notice(_) | Sender::Once => Self::Notice,
        }
    }

    /// What whoever asks is told, past whichever limit it was. Another answer would tell strangers
    /// that somebody else had something sent to this number.
    pub(super) fn told(self, reached: Limit) -> Limit {
        match self {
            Self::User | Self::Device | Self::Caller | Self::Notice => reached,
            Self::Newcomer | Self::Stranger => Limit::SendStrangerShort,
            Self::Recovery | Self::Place => Limit::SendRecovery,
        }
    }
}

/// One thing that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sent {
    at: Timestamp,
    share: Share,
    /// A keyed hash of the network that asked for it, where that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<u32>,
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
    use Share::{Caller, Device, Newcomer, Notice, Place, Recovery, Stranger, User};
    const ALL: &[Share] = &[User, Newcomer, Caller, Stranger, Recovery, Place, Device, Notice];
    const OTHERS: &[Share] = &[Newcomer, Caller, Stranger, Recovery, Place];
    // A number is somebody's phone, which rings: all that goes there is counted together. Whoever has not
    // shown it to be theirs leaves some to whoever has; and what strangers may send does not depend on
    // what was recovered, which would tell whose number it is. What they and newcomers may send in a day
    // leaves some of that to whoever wants to get back in.
    const NUMBER: &[(Limit, &[Share])] = &[
        (Limit::SendNumberShort, ALL),
        (Limit::SendNumberDay, ALL),
        (Limit::SendOthersShort, OTHERS),
        (Limit::SendOthersDay, OTHERS),
        (Limit::SendStrangerShort, &[Stranger]),
        (Limit::SendStrangerDay, &[Stranger, Newcomer, Caller]),
        (Limit::SendRecoveryNumber, &[Recovery]),
        (Limit::SendRecoveryNumberDay, &[Recovery]),
        (Limit::SendRecoveryNumberNetwork, &[Recovery]),
        (Limit::SendRecoveryKnown, &[Place]),
        (Limit::SendRecoveryKnown, &[Device]),
    ];
    // Mails wait until they are read: each kind has a budget of its own, and notices are not among them.
    // Recoveries from a known device or place are not what others can use up, and none of the networks that
    // ask for one can use up all there are.
    const MAIL: &[(Limit, &[Share])] = &[
        (Limit::SendNumberShort, &[User, Newcomer, Stranger]),
        (Limit::SendNumberDay, &[User, Newcomer, Stranger]),
        (Limit::SendOthersShort, &[Newcomer, Stranger]),
        (Limit::SendOthersDay, &[Newcomer, Stranger]),
        (Limit::SendStrangerShort, &[Stranger]),
        (Limit::SendStrangerDay, &[Stranger]),
        (Limit::SendRecovery, &[Recovery]),
        (Limit::SendRecoveryNetwork, &[Recovery]),
        (Limit::SendRecoveryKnown, &[Place]),
        (Limit::SendRecoveryKnown, &[Device]),
    ];
    if is_number(to) { NUMBER } else { MAIL }
}

/// Whether `limit` counts only what the same network has asked for.
fn is_by_network(limit: Limit) -> bool {
    matches!(limit, Limit::SendRecoveryNetwork | Limit::SendRecoveryNumberNetwork)
}

impl Log {
    /// One more at `now` that the network `by` asks for, when every limit that it counts for has room;
    /// nothing changes when one has none.
    pub(super) fn take(
        &mut self,
        to: &str,
        share: Share,
        by: Option<u32>,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Sent, Full> {
        let mut full: Option<Full> = None;
        for (limit, shares) in windows(to).iter().filter(|(_, shares)| shares.contains(&share)) {
            let Budget { limit: most, window } = limit.budget(limits);
            let counts =
                |sent: &&Sent| shares.contains(&sent.share) && (!is_by_network(*limit) || sent.by == by);
            let counted: Vec<_> = self.0.iter().filter(counts).collect();
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
        let by = by.filter(|_| share == Share::Recovery);
        let sent = Sent { at: now, share, by };
        self.0.insert(at, sent);
        Ok(sent)
    }

    /// Takes out what was not sent after all.
    pub(super) fn put_back(&mut self, sent: &Sent) {
        if let Some(at) = self.0.iter().position(|one| one == sent) {
            self.0.remove(at);
        }
    }
}

/// For how long anything that was sent to `to` counts.
pub(super) fn longest(to: &str, limits: &Limits) -> std::time::Duration {
    windows(to).iter().map(|(limit, _)| *limit.budget(limits).window).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::policy::Policy;

    const NUMBER: &str = "+12025550100";
    const MINUTE: i64 = 60_000;
    const RECOVERY: Sender = Sender::Recovery(Whence::Anywhere);
    const SENDERS: [Sender; 5] = [
        Sender::User(Uuid::nil()),
        Sender::Newcomer,
        Sender::Stranger,
        Sender::Recovery(Whence::Anywhere),
        Sender::Notice("x"),
    ];

    /// Read once: reading takes longer than what is tested.
    fn limits() -> &'static Limits {
        static LIMITS: LazyLock<Limits> = LazyLock::new(|| Policy::from_toml("").unwrap().limits);
        &LIMITS
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_900_000_000_000 + millis)
    }

    /// How many go through at one instant.
    fn burst(log: &mut Log, to: &str, sender: Sender, now: i64) -> usize {
        (0..20).take_while(|_| log.take(to, Share::of(sender), None, limits(), at(now)).is_ok()).count()
    }

    #[test]
    fn a_known_user_gets_five_and_the_next_when_the_first_is_ten_minutes_old() {
        let mut log = Log::default();
        for n in 0..5 {
            log.take(NUMBER, Share::User, None, limits(), at(n * MINUTE)).unwrap();
        }
        for now in [4 * MINUTE, 5 * MINUTE, 10 * MINUTE - 1] {
            let full = log.take(NUMBER, Share::User, None, limits(), at(now)).unwrap_err();
            assert_eq!(full, Full { limit: Limit::SendNumberShort, until: at(10 * MINUTE) });
        }
        log.take(NUMBER, Share::User, None, limits(), at(10 * MINUTE)).unwrap();
        assert!(log.take(NUMBER, Share::User, None, limits(), at(11 * MINUTE - 1)).is_err());
        for n in 11..15 {
            log.take(NUMBER, Share::User, None, limits(), at(n * MINUTE)).unwrap();
        }
        let full = log.take(NUMBER, Share::User, None, limits(), at(60 * MINUTE)).unwrap_err();
        assert_eq!(full, Full { limit: Limit::SendNumberDay, until: at(24 * 60 * MINUTE) });
    }

    #[test]
    fn those_who_show_nothing_leave_some_to_the_owner_and_do_not_show_in_each_other() {
        let mut log = Log::default();
        assert_eq!(burst(&mut log, NUMBER, RECOVERY, 0), 1);
        assert_eq!(burst(&mut log, NUMBER, Sender::Stranger, 0), 3, "as if nobody had recovered");
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 0), 1);
        let mut log = Log::default();
        assert_eq!(burst(&mut log, NUMBER, Sender::Stranger, 0), 3);
        assert_eq!(burst(&mut log, NUMBER, Sender::Newcomer, 0), 1, "who is new has one left to sign in");
        assert_eq!(burst(&mut log, NUMBER, RECOVERY, 0), 0);
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 0), 1);
        // All day long.
        for others in [[Sender::Stranger, RECOVERY], [RECOVERY, Sender::Newcomer]] {
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
        assert_eq!(burst(&mut log, to, RECOVERY, 0), 5);
        assert_eq!(burst(&mut log, to, Sender::Stranger, 0), 3);
        assert_eq!(burst(&mut log, to, SENDERS[0], 0), 2);
    }

    /// How many of each network's tries go through at one instant.
    fn recoveries(log: &mut Log, to: &str, networks: std::ops::Range<u32>, now: i64) -> Vec<usize> {
        let one = |by| {
            (0..20).take_while(|_| log.take(to, Share::Recovery, Some(by), limits(), at(now)).is_ok()).count()
        };
        networks.map(one).collect()
    }

    #[test]
    fn a_few_networks_leave_recoveries_to_others_and_none_of_them_those_of_known_devices_and_places() {
        let (to, mut log) = ("alice@example.com", Log::default());
        assert_eq!(recoveries(&mut log, to, 0..5, 0), [5; 5]);
        assert_eq!(recoveries(&mut log, to, 0..5, 24 * 60 * MINUTE - 1), [0; 5], "not in this day");
        assert_eq!(recoveries(&mut log, to, 5..7, 24 * 60 * MINUTE - 1), [5, 0], "thirty in all");
        for whence in [Whence::Place, Whence::Device] {
            assert_eq!(burst(&mut log, to, Sender::Recovery(whence), 24 * 60 * MINUTE - 1), 5, "{whence:?}");
        }
        assert_eq!(recoveries(&mut log, to, 0..1, 24 * 60 * MINUTE), [5], "a day later");

        let mut log = Log::default();
        assert_eq!(recoveries(&mut log, NUMBER, 0..2, 0), [1, 0], "a phone rings");
        assert_eq!(recoveries(&mut log, NUMBER, 0..3, 10 * MINUTE), [0, 1, 0]);
        assert_eq!(recoveries(&mut log, NUMBER, 2..4, 24 * 60 * MINUTE - 1), [0, 0], "twice in a day");
    }

    #[test]
    fn nobody_else_uses_up_what_the_owner_of_an_address_or_a_number_needs() {
        let day = 24 * 60;
        for to in ["alice@example.com", NUMBER] {
            let mut log = Log::default();
            for now in (0..day).map(|minute| minute * MINUTE) {
                for sender in [Sender::Newcomer, Sender::Stranger] {
                    burst(&mut log, to, sender, now);
                }
            }
            let now = (day - 1) * MINUTE;
            assert!(burst(&mut log, to, RECOVERY, now) >= 1, "{to}: who wants to get back in");
            assert!(burst(&mut log, to, SENDERS[0], now) >= 2, "{to}: who shows the password");
        }
    }

    #[test]
    fn what_was_not_sent_after_all_counts_for_nobody() {
        let mut log = Log::default();
        let all: Vec<_> =
            (0..5).map(|n| log.take(NUMBER, Share::User, None, limits(), at(n * MINUTE)).unwrap()).collect();
        assert!(log.take(NUMBER, Share::User, None, limits(), at(5 * MINUTE)).is_err());
        log.put_back(&all[3]);
        log.put_back(&all[3]);
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 5 * MINUTE), 1, "one and no more");
        assert!(log.take(NUMBER, Share::User, None, limits(), at(10 * MINUTE)).is_ok(), "the first has left");
    }

    #[test]
    fn a_clock_set_back_makes_nobody_rich() {
        let mut log = Log::default();
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 60 * MINUTE), 5);
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 0), 0);
        // Nor does it keep anybody waiting for longer than the window.
        let mut log = Log::default();
        for now in [60, 60, 60, 0, 0] {
            log.take(NUMBER, Share::User, None, limits(), at(now * MINUTE)).unwrap();
        }
        assert_eq!(burst(&mut log, NUMBER, SENDERS[0], 61 * MINUTE), 2);
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
                match log.take(NUMBER, share, Some(u32::from(how)), limits, at(now)) {
                    Ok(_) => { passed.push((share, now)); wait = 0 }
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
            prop_assert!(most(day, &|share| share == Share::Stranger) <= 6);
            let others = |share| matches!(share, Share::Stranger | Share::Newcomer | Share::Recovery);
            prop_assert!(most(10 * MINUTE, &others) <= 4);
            prop_assert!(most(day, &others) <= 8);
            prop_assert!(most(10 * MINUTE, &|share| share == Share::Recovery) <= 1);
            prop_assert!(most(day, &|share| share == Share::Recovery) <= 2);
        }

        /// Whoever waits as long as told passes.
        #[test]
        fn waiting_as_long_as_told_is_enough(pauses in prop::collection::vec(0_i64..30 * MINUTE, 1..60)) {
            let (limits, mut log, mut now) = (limits(), Log::default(), 0);
            for pause in pauses {
                now += pause;
                if let Err(full) = log.take(NUMBER, Share::User, None, limits, at(now)) {
                    now = full.until.as_millis() - at(0).as_millis();
                    prop_assert!(log.take(NUMBER, Share::User, None, limits, at(now)).is_ok());
                }
            }
        }
    }
}
