//! Which sign-ups are accepted, and what they make.

use std::iter::once;

use crate::accounts::User;
use crate::app::Moment;
use crate::audit::{Noting, What, note};
use crate::challenges::Asked;
use crate::error::{Error, FieldError, Problem};
use crate::factors::Factor;
use crate::identifiers::{Identifier, Name};
use crate::messages::Message;
use crate::passwords::Password;
use crate::policy::{FactorKind, IdentifierKind, Policy, When};
use crate::store::{Change, Decision, answer, refuse};

/// What somebody asks for, every field read and found good.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What they want to be known by: at most one of each kind.
    pub names: Vec<Name>,
    /// What they like to be called.
    pub name: Option<String>,
    /// The language they read.
    pub locale: Option<String>,
    /// Whether they want a second factor where the policy leaves it to them.
    pub wants_second_factor: bool,
    /// Whether they go on to sign in at once. What that asks for shows their number as well, so that
    /// nothing is asked about the number beforehand. Not with a number alone: an account that no code
    /// reached would be nobody's.
    pub signs_in: bool,
}

impl Wanted {
    /// The name of this kind.
    pub fn name(&self, kind: IdentifierKind) -> Option<&Name> {
        self.names.iter().find(|name| name.kind() == kind)
    }

    /// What the policy requires and is missing.
    pub fn missing(&self, policy: &Policy) -> Vec<FieldError> {
        let has = |kind| self.name(kind).is_some();
        let mut missing: Vec<FieldError> = policy
            .sign_up
            .required
            .iter()
            .filter(|kind| !has(**kind))
            .map(|kind| FieldError::new(kind.as_str(), "missing", "This is needed to sign up."))
            .collect();
        // A second factor that is asked for and could never be shown would be none.
        let is_chosen = matches!(policy.sign_in.second.when, When::WhenEnrolled | When::ByRole);
        let wants = self.wants_second_factor && is_chosen;
        let offered = &policy.sign_in.second.factors;
        let by_mail = offered.contains(&FactorKind::Email);
        let by_phone = offered.contains(&FactorKind::Sms) || offered.contains(&FactorKind::Call);
        let could = by_phone && has(IdentifierKind::Mobile) || by_mail && has(IdentifierKind::Email);
        if missing.is_empty() && wants && !could {
            let (field, sentence) = match by_phone {
                true => ("mobile", "A second factor needs a mobile number."),
                false => ("email", "A second factor needs an e-mail address."),
            };
            missing.push(FieldError::new(field, "missing", sentence));
        }
        let domains = &policy.sign_up.email_domains;
        if missing.is_empty() && !domains.is_empty() && !has(IdentifierKind::Email) {
            missing.push(FieldError::new("email", "missing", "This is needed to sign up."));
        }
        if missing.is_empty() && self.names.is_empty() {
            missing.push(FieldError::new(
                "identifier",
                "missing",
                "Give at least one way to recognise you: a username, an e-mail address or a mobile number.",
            ));
        }
        missing
    }
}

/// The records of a new account.
pub struct Made {
    /// The user.
    pub user: User,
    /// What they are known by.
    pub identifiers: Vec<Identifier>,
    /// One for whatever codes can be sent to.
    pub factors: Vec<Factor>,
}

impl Made {
    /// All of them, to be stored.
    pub fn changes(&self) -> impl Iterator<Item = Change> {
        let identifiers = self.identifiers.iter().map(Change::insert);
        once(Change::insert(&self.user)).chain(identifiers).chain(self.factors.iter().map(Change::insert))
    }
}

/// Makes the records that `wanted` asks for.
pub fn make(wanted: &Wanted, policy: &Policy, moment: &Moment) -> Made {
    let now = moment.now;
    let user = User {
        name: wanted.name.clone(),
        locale: wanted.locale.clone(),
        ..User::new(moment.uuid("user"), now)
    };
    let identifiers: Vec<Identifier> = wanted
        .names
        .iter()
        .map(|name| Identifier::new(moment.uuid(name.kind().as_str()), user.id, name, now))
        .collect();
    let reached = identifiers.iter().filter(|one| one.takes_codes());
    let offered = &policy.sign_in.second.factors;
    let factor = |one| {
        let factor = Factor::reaching(moment, one);
        // Asking for a second factor is asking for what is on offer.
        let chosen = wanted.wants_second_factor && factor.kinds().iter().any(|kind| offered.contains(kind));
        Factor { chosen, ..factor }
    };
    let factors = reached.map(factor).collect();
    Made { user, identifiers, factors }
}

/// Somebody has what is wanted of this kind.
pub fn taken(kind: IdentifierKind) -> Error {
    let sentence = match kind {
        IdentifierKind::Username => "Somebody has this username, or one that looks like it.",
        IdentifierKind::Email => "Somebody has this e-mail address.",
        IdentifierKind::Mobile => "Somebody has this number.",
    };
    let fields = vec![FieldError::new(kind.as_str(), "taken", sentence)];
    Error { fields, ..Error::new(Problem::IdentifierTaken) }
}

/// Stores a new account, or refuses what is taken and may be told to be.
pub(super) fn sign_up(
    made: &Made,
    phc: String,
    verifications: Vec<(Asked, Option<Message>)>,
    is_taken: Option<IdentifierKind>,
    moment: &Moment,
) -> Decision<Vec<Asked>> {
    if let Some(kind) = is_taken {
        return refuse(taken(kind));
    }
    let password = Password::chosen(made.user.id, phc, moment.now);
    let mut decision = answer(()).and(made.changes()).insert(&password);
    if !verifications.is_empty() {
        decision = decision.note(moment, note(What::CodeSent).user(made.user.id));
    }
    let mut all = Vec::new();
    for (asked, message) in verifications {
        decision = decision.insert(&asked.challenge).and(message.as_ref().map(Change::insert));
        all.push(asked);
    }
    decision.note(moment, note(What::SignedUp).user(made.user.id)).map(|()| all)
}
