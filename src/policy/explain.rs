//! Saying why: what an operation asks for in words, and what would become of a request.

use std::time::Duration;

use super::{FactorKind, Holder, Notify, Operation, Policy, Proofs, Verdict, When, decide};
use crate::clock::Timestamp;
use crate::config::Period;

/// What `rule` asks for, in a sentence without a full stop.
pub fn asks(rule: &Operation) -> String {
    if rule.never {
        return "never".to_owned();
    }
    let names = |factors: &[FactorKind]| {
        let names: Vec<&str> = factors.iter().map(|factor| factor.as_str()).collect();
        names.join(", ")
    };
    let proof = &rule.proof;
    let what = match (proof.any.is_empty(), proof.highest) {
        (true, false) => return "a sign-in".to_owned(),
        (true, true) => "the strongest factor of the account".to_owned(),
        (false, false) => names(&proof.any),
        (false, true) => format!("{}; without any of these the strongest of the account", names(&proof.any)),
    };
    if proof.max_age.is_zero() {
        format!("{what}, at any time in this session")
    } else {
        format!("{what}, within {}", proof.max_age)
    }
}

/// Who is told, in words; empty for nobody.
pub fn tells(rule: &Operation) -> String {
    let word = |notify: &Notify| match notify {
        Notify::User => "the user",
        Notify::Old => "the old address",
        Notify::New => "the new address",
    };
    rule.notify.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// What follows a right password, in a sentence without a full stop.
pub fn second(policy: &Policy) -> String {
    let second = &policy.sign_in.second;
    let factors: Vec<&str> = second.factors.iter().map(|factor| factor.as_str()).collect();
    let factors = factors.join(", ");
    match second.when {
        When::Always => format!("always a second factor: {factors}"),
        When::WhenEnrolled => format!("a second factor from users who have one: {factors}"),
        When::ByRole => format!(
            "a second factor from users who have one, and always from the roles {}: {factors}",
            second.roles.join(", ")
        ),
        When::Never => "nothing more".to_owned(),
    }
}

/// Why `name` would be decided as it would, a sentence each.
pub fn why(
    name: &str,
    rule: &Operation,
    proofs: &Proofs,
    holder: &Holder<'_>,
    now: Timestamp,
) -> (Verdict, Vec<String>) {
    let verdict = decide(name, rule, proofs, holder, now);
    let mut told = vec![format!("{name} asks for: {}.", asks(rule))];
    for proof in &proofs.0 {
        let age = now.apart(proof.at);
        let whole = Period(Duration::from_secs(age.as_secs()));
        let max_age = *rule.proof.max_age;
        let sentence = if let Some(other) = proof.operation.as_deref().filter(|other| *other != name) {
            format!("was shown for {other} and counts for nothing else")
        } else if !proof.is_fresh(max_age, now) {
            format!("is older than {}", rule.proof.max_age)
        } else if verdict == Verdict::Allow && !rule.never && rule.proof.asks() {
            "is fresh enough".to_owned()
        } else {
            "would be fresh enough, and is not what is asked for".to_owned()
        };
        told.push(format!("{}, shown {whole} ago, {sentence}.", proof.factor));
    }
    told.push(match &verdict {
        Verdict::Allow => "So it is allowed.".to_owned(),
        Verdict::Never => "So it is refused to everybody.".to_owned(),
        Verdict::Unable => "So it is refused: the account has no such factor, or it is locked.".to_owned(),
        Verdict::Need(need) => {
            let factors: Vec<&str> = need.factors.iter().map(|factor| factor.as_str()).collect();
            format!("So one of these is asked for first: {}.", factors.join(", "))
        }
    });
    (verdict, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::operation;

    #[test]
    fn it_says_what_is_asked_and_why() {
        let policy = Policy::default_policy();
        let rule = |name| policy.operation.get(name).unwrap();
        assert_eq!(asks(rule(operation::MOBILE_CHANGE)), "never");
        assert_eq!(asks(rule(operation::NAME_CHANGE)), "a sign-in");
        assert_eq!(asks(rule(operation::USERNAME_CHANGE)), "the strongest factor of the account, within 1h");
        assert_eq!(tells(rule(operation::EMAIL_CHANGE)), "the old address, the new address");

        let (now, old) = (Timestamp::from_millis(1_000_000), Timestamp::from_millis(0));
        let proofs = Proofs::default().and(FactorKind::Sms, old).and_for(
            Some(operation::EXPORT),
            FactorKind::Totp,
            now,
        );
        let kinds = [FactorKind::Sms, FactorKind::Totp];
        let holder = Holder { enrolled: &kinds, able: &kinds, roles: &[] };
        let name = operation::PASSWORD_CHANGE;
        let (verdict, told) = why(name, rule(name), &proofs, &holder, now);
        assert!(matches!(verdict, Verdict::Need(_)));
        assert_eq!(
            told.join("\n"),
            "password.change asks for: sms, call, totp; without any of these the strongest of the account, within 5m.\n\
             sms, shown 1000s ago, is older than 5m.\n\
             totp, shown 0s ago, was shown for user.export and counts for nothing else.\n\
             So one of these is asked for first: sms, totp."
        );
    }
}
