//! The rules, pure: after any first factor the same gate, and what an operation asks for.

use std::time::Duration;

use super::{FactorKind, Operation, Proofs, SecondFactor, SignIn, When};
use crate::clock::Timestamp;

/// What stands between a first factor and a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Nothing: a session may be opened.
    Open,
    /// One of these must be shown first, the preferred one first. Never empty.
    Ask(Vec<FactorKind>),
    /// A second factor is needed and there is none to show: nobody is let in.
    NoFactor,
}

/// What a user has to show.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// The kinds of factor that are bound to the account, locked or not, the password included.
    pub enrolled: &'a [FactorKind],
    /// Those among them that take guesses now.
    pub able: &'a [FactorKind],
    /// What the user may do beyond their own account.
    pub roles: &'a [String],
}

/// Whether `second` asks `holder` for a second factor at all.
///
/// With [`When::WhenEnrolled`], a user whose factors are locked or no longer on offer is asked all
/// the same: what was once protected by two must not fall back to one.
fn is_asked(second: &SecondFactor, holder: &Holder<'_>) -> bool {
    let enrolled = holder.enrolled.iter().any(|factor| *factor != FactorKind::Password);
    match second.when {
        When::Always => true,
        When::WhenEnrolled => enrolled,
        When::ByRole => enrolled || holder.roles.iter().any(|role| second.roles.contains(role)),
        When::Never => false,
    }
}

/// What follows any first factor.
pub fn after_first_factor(policy: &SignIn, holder: &Holder<'_>) -> Gate {
    let second = &policy.second;
    if !is_asked(second, holder) {
        return Gate::Open;
    }
    let mut ask: Vec<FactorKind> = Vec::new();
    for factor in &second.factors {
        let stands = holder.able.contains(factor) && *factor != FactorKind::Password;
        if stands && !ask.contains(factor) {
            ask.push(*factor);
        }
    }
    if ask.is_empty() { Gate::NoFactor } else { Gate::Ask(ask) }
}

/// What an operation asks for and has not been shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    /// One of these, all of which the user can show, the preferred one first. Never empty.
    pub factors: Vec<FactorKind>,
    /// How long ago at most; zero for any time in this session.
    pub max_age: Duration,
}

/// Whether an operation may be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may.
    Allow,
    /// Not before something is shown.
    Need(Need),
    /// It asks for what the user does not have, or for what is locked.
    Unable,
    /// It is never done.
    Never,
}

/// Whether the session that holds `proofs` may do the operation `name`, which asks for `rule`.
///
/// A proof counts for signing in and for whatever asks for it, or only for the operation that it was
/// shown for. What counts is its kind and its age, never that there is some proof.
pub fn decide(name: &str, rule: &Operation, proofs: &Proofs, holder: &Holder<'_>, now: Timestamp) -> Verdict {
    if rule.never {
        return Verdict::Never;
    }
    if !rule.proof.asks() {
        return Verdict::Allow;
    }
    let max_age = *rule.proof.max_age;
    let wanted = wanted(rule, holder);
    let counts = proofs.0.iter().any(|proof| {
        wanted.contains(&proof.factor)
            && proof.operation.as_deref().is_none_or(|operation| operation == name)
            && proof.is_fresh(max_age, now)
    });
    if counts {
        return Verdict::Allow;
    }
    let mut factors = wanted;
    factors.retain(|factor| holder.able.contains(factor));
    if factors.is_empty() { Verdict::Unable } else { Verdict::Need(Need { factors, max_age }) }
}

/// The kinds that would do for `holder`: none that was taken away since it was shown. Which are the strongest is
/// judged on all that are bound: a factor that somebody locked by guessing does not make a weaker one good enough.
fn wanted(rule: &Operation, holder: &Holder<'_>) -> Vec<FactorKind> {
    let any = rule.proof.any.iter().filter(|factor| holder.enrolled.contains(factor));
    let any: Vec<FactorKind> = any.copied().collect();
    if !rule.proof.highest || !any.is_empty() {
        return any;
    }
    let highest = holder.enrolled.iter().map(|factor| factor.strength()).max();
    let strongest = holder.enrolled.iter().filter(|factor| Some(factor.strength()) == highest);
    strongest.copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Period;
    use crate::policy::ProofRule;

    fn factors() -> impl Strategy<Value = Vec<FactorKind>> {
        // With repetition, in any order: whatever a policy or a table may hold.
        proptest::collection::vec(proptest::sample::select(FactorKind::ALL), 0..6)
    }

    fn when() -> impl Strategy<Value = When> {
        prop_oneof![Just(When::Always), Just(When::WhenEnrolled), Just(When::ByRole), Just(When::Never)]
    }

    fn policy() -> impl Strategy<Value = SignIn> {
        (when(), factors()).prop_map(|(when, factors)| SignIn {
            first: vec![FactorKind::Password],
            second: SecondFactor { when, roles: vec!["admin".to_owned()], factors },
        })
    }

    /// What is bound, and which of it is not locked.
    fn held() -> impl Strategy<Value = (Vec<FactorKind>, Vec<FactorKind>, Vec<String>)> {
        let roles = proptest::sample::subsequence(vec!["admin".to_owned(), "support".to_owned()], 0..=2);
        (factors(), proptest::collection::vec(any::<bool>(), 6), roles).prop_map(|(enrolled, open, roles)| {
            let able = enrolled.iter().zip(open).filter(|(_, open)| *open).map(|(factor, _)| *factor);
            (enrolled.clone(), able.collect(), roles)
        })
    }

    fn holder<'a>(
        (enrolled, able, roles): &'a (Vec<FactorKind>, Vec<FactorKind>, Vec<String>),
    ) -> Holder<'a> {
        Holder { enrolled, able, roles }
    }

    fn rule() -> impl Strategy<Value = Operation> {
        (any::<bool>(), factors(), any::<bool>(), 0_u64..120).prop_map(|(never, any, highest, age)| {
            Operation {
                never,
                notify: vec![],
                proof: ProofRule { any, highest, max_age: Period(Duration::from_secs(age)) },
            }
        })
    }

    fn proofs() -> impl Strategy<Value = Proofs> {
        let operation = prop_oneof![Just(None), Just(Some("own.act")), Just(Some("own.other"))];
        let one = (proptest::sample::select(FactorKind::ALL), 0_i64..200, operation);
        proptest::collection::vec(one, 0..8).prop_map(|shown| {
            shown.into_iter().fold(Proofs::default(), |proofs, (factor, at, operation)| {
                proofs.and_for(operation, factor, Timestamp::from_millis(at * 1_000))
            })
        })
    }

    const NOW: Timestamp = Timestamp::from_millis(200_000);

    proptest! {
        #[test]
        fn always_is_never_open(mut policy in policy(), held in held()) {
            policy.second.when = When::Always;
            prop_assert_ne!(after_first_factor(&policy, &holder(&held)), Gate::Open);
        }

        #[test]
        fn whoever_has_a_second_factor_is_asked_unless_the_policy_says_never(policy in policy(), held in held()) {
            let open = after_first_factor(&policy, &holder(&held)) == Gate::Open;
            let (enrolled, _, roles) = &held;
            let none = enrolled.iter().all(|factor| *factor == FactorKind::Password);
            let may = match policy.second.when {
                When::Always => false,
                When::WhenEnrolled => none,
                When::ByRole => none && !roles.contains(&"admin".to_owned()),
                When::Never => true,
            };
            prop_assert_eq!(open, may);
        }

        #[test]
        fn only_what_is_offered_and_can_be_shown_is_asked_for_once_each(policy in policy(), held in held()) {
            if let Gate::Ask(asked) = after_first_factor(&policy, &holder(&held)) {
                prop_assert!(!asked.is_empty());
                for (at, factor) in asked.iter().enumerate() {
                    prop_assert!(policy.second.factors.contains(factor) && held.1.contains(factor));
                    prop_assert!(*factor != FactorKind::Password && !asked[..at].contains(factor));
                }
            }
        }

        #[test]
        fn binding_or_locking_a_factor_never_opens_a_gate(policy in policy(), held in held(), more in factors()) {
            let before = after_first_factor(&policy, &holder(&held));
            let bound = [held.0.clone(), more].concat();
            for able in [held.1.clone(), bound.clone(), vec![]] {
                let after = after_first_factor(&policy, &Holder { enrolled: &bound, able: &able, roles: &held.2 });
                prop_assert!(after != Gate::Open || before == Gate::Open);
            }
        }

        #[test]
        fn nothing_is_allowed_with_less_than_the_rule_asks(rule in rule(), proofs in proofs(), held in held()) {
            if decide("own.act", &rule, &proofs, &holder(&held), NOW) == Verdict::Allow {
                prop_assert!(!rule.never);
                let strongest = held.0.iter().map(|factor| factor.strength()).max();
                let has_one = rule.proof.any.iter().any(|factor| held.0.contains(factor));
                let shown = proofs.0.iter().any(|proof| {
                    let kind = held.0.contains(&proof.factor)
                        && (rule.proof.any.contains(&proof.factor)
                            || rule.proof.highest && !has_one && Some(proof.factor.strength()) == strongest);
                    let fresh = rule.proof.max_age.is_zero()
                        || proof.at.as_millis() + i64::try_from(rule.proof.max_age.as_millis()).unwrap() >= NOW.as_millis();
                    kind && fresh && proof.operation.as_deref() != Some("own.other")
                });
                prop_assert!(shown || !rule.proof.asks());
            }
        }

        #[test]
        fn what_is_needed_can_be_shown_and_then_suffices(rule in rule(), proofs in proofs(), held in held()) {
            if let Verdict::Need(need) = decide("own.act", &rule, &proofs, &holder(&held), NOW) {
                prop_assert!(!need.factors.is_empty());
                for factor in need.factors {
                    prop_assert!(held.1.contains(&factor));
                    let shown = proofs.clone().and_for(Some("own.act"), factor, NOW);
                    prop_assert_eq!(decide("own.act", &rule, &shown, &holder(&held), NOW), Verdict::Allow);
                    let other = proofs.clone().and_for(Some("own.other"), factor, NOW);
                    prop_assert_ne!(decide("own.act", &rule, &other, &holder(&held), NOW), Verdict::Allow);
                }
            }
        }

        #[test]
        fn a_locked_factor_makes_no_weaker_one_good_enough(rule in rule(), proofs in proofs(), held in held()) {
            let all = Holder { able: &held.0, ..holder(&held) };
            let some = decide("own.act", &rule, &proofs, &holder(&held), NOW);
            match decide("own.act", &rule, &proofs, &all, NOW) {
                Verdict::Need(whole) => match some {
                    Verdict::Need(part) => {
                        prop_assert!(part.factors.iter().all(|factor| whole.factors.contains(factor)));
                    }
                    other => prop_assert_eq!(other, Verdict::Unable),
                },
                other => prop_assert_eq!(some, other),
            }
        }

        #[test]
        fn what_was_shown_before_a_clock_was_set_back_is_no_fresher_than_the_step(rule in rule(), step in 0_u64..240) {
            let shown = Proofs::default().and(FactorKind::Password, NOW + Duration::from_secs(step));
            let enrolled = [FactorKind::Password];
            let holder = Holder { enrolled: &enrolled, able: &enrolled, roles: &[] };
            if rule.proof.asks() && decide("own.act", &rule, &shown, &holder, NOW) == Verdict::Allow {
                let max_age = *rule.proof.max_age;
                prop_assert!(max_age.is_zero() || Duration::from_secs(step) <= max_age);
            }
        }

        #[test]
        fn waiting_never_helps(rule in rule(), proofs in proofs(), held in held(), seconds in 0_u64..1_000) {
            let later = NOW + Duration::from_secs(seconds);
            if decide("own.act", &rule, &proofs, &holder(&held), NOW) != Verdict::Allow {
                prop_assert_ne!(decide("own.act", &rule, &proofs, &holder(&held), later), Verdict::Allow);
            }
        }
    }
}
