//! The rules of sign-in, pure: after any first factor the same gate.

use super::{FactorKind, SignIn, When};

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

/// What follows any first factor, for a user who can show `enrolled`.
///
/// With [`When::Always`] it is never open. With [`When::WhenEnrolled`], a user whose factors are no
/// longer on offer is not let in either: what was once protected by two must not fall back to one.
pub fn after_first_factor(policy: &SignIn, enrolled: &[FactorKind]) -> Gate {
    let second = &policy.second;
    let needed = match second.when {
        When::Always => true,
        When::WhenEnrolled => !enrolled.is_empty(),
        When::Never => false,
    };
    let mut ask: Vec<FactorKind> = Vec::new();
    for factor in &second.factors {
        if enrolled.contains(factor) && !ask.contains(factor) {
            ask.push(*factor);
        }
    }
    match (needed, ask.is_empty()) {
        (false, _) => Gate::Open,
        (true, true) => Gate::NoFactor,
        (true, false) => Gate::Ask(ask),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::SecondFactor;

    fn factors() -> impl Strategy<Value = Vec<FactorKind>> {
        // With repetition, in any order: whatever a policy or a table may hold.
        proptest::collection::vec(proptest::sample::select(FactorKind::ALL), 0..4)
    }

    fn policy() -> impl Strategy<Value = SignIn> {
        let when = prop_oneof![Just(When::Always), Just(When::WhenEnrolled), Just(When::Never)];
        (when, factors()).prop_map(|(when, factors)| SignIn { second: SecondFactor { when, factors } })
    }

    proptest! {
        #[test]
        fn always_is_never_open(mut policy in policy(), enrolled in factors()) {
            policy.second.when = When::Always;
            prop_assert_ne!(after_first_factor(&policy, &enrolled), Gate::Open);
        }

        #[test]
        fn whoever_enrolled_is_asked_unless_the_policy_says_never(policy in policy(), enrolled in factors()) {
            let open = after_first_factor(&policy, &enrolled) == Gate::Open;
            let may = match policy.second.when {
                When::Always => false,
                When::WhenEnrolled => enrolled.is_empty(),
                When::Never => true,
            };
            prop_assert_eq!(open, may);
        }

        #[test]
        fn only_what_is_offered_and_enrolled_is_asked_for_once_each(policy in policy(), enrolled in factors()) {
            if let Gate::Ask(asked) = after_first_factor(&policy, &enrolled) {
                prop_assert!(!asked.is_empty());
                for (at, factor) in asked.iter().enumerate() {
                    prop_assert!(policy.second.factors.contains(factor) && enrolled.contains(factor));
                    prop_assert!(!asked[..at].contains(factor));
                }
            }
        }

        #[test]
        fn enrolling_never_opens_a_gate(policy in policy(), enrolled in factors(), more in factors()) {
            let before = after_first_factor(&policy, &enrolled);
            let after = after_first_factor(&policy, &[enrolled, more].concat());
            prop_assert!(after != Gate::Open || before == Gate::Open);
        }
    }
}
