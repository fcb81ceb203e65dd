//! Which sign-ups are accepted, and what they make.

use crate::accounts::{Metadata, Roles, Status, User};
use crate::app::Moment;
use crate::audit::{Noting, What, note};
use crate::challenges::Asked;
use crate::error::{Error, FieldError, Problem};
use crate::factors::Factor;
use crate::identifiers::{Identifier, Name};
use crate::messages::Message;
use crate::passwords::Password;
use crate::policy::{IdentifierKind, Policy, When};
use crate::store::{Decision, answer, refuse};

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
        let wants = self.wants_second_factor && policy.sign_in.second.when == When::WhenEnrolled;
        if missing.is_empty() && wants && !has(IdentifierKind::Mobile) {
            missing.push(FieldError::new("mobile", "missing", "A second factor needs a mobile number."));
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
pub(super) struct Made {
    pub user: User,
    pub identifiers: Vec<Identifier>,
    pub factor: Option<Factor>,
    pub mobile: Option<Identifier>,
}

/// Makes the records that `wanted` asks for.
pub(super) fn make(wanted: &Wanted, moment: &Moment) -> Made {
    let now = moment.now;
    let user = User {
        id: moment.uuid("user"),
        name: wanted.name.clone(),
        locale: wanted.locale.clone(),
        status: Status::Active,
        roles: Roles::default(),
        metadata: Metadata::default(),
        wants_second_factor: wanted.wants_second_factor,
        sessions_from: now,
        created_at: now,
        updated_at: now,
        purge_at: None,
    };
    let identifiers: Vec<Identifier> = wanted
        .names
        .iter()
        .map(|name| Identifier::new(moment.uuid(name.kind().as_str()), user.id, name, now))
        .collect();
    let mobile = identifiers.iter().find(|one| one.kind == IdentifierKind::Mobile).cloned();
    let factor = mobile.as_ref().map(|mobile| Factor::reaching(moment, mobile));
    Made { user, identifiers, factor, mobile }
}

/// Somebody has the username.
pub(super) fn taken() -> Error {
    let sentence = "Somebody has this username, or one that looks like it.";
    let fields = vec![FieldError::new("username", "taken", sentence)];
    Error { fields, ..Error::new(Problem::IdentifierTaken) }
}

/// Stores a new account, or refuses a taken username.
pub(super) fn sign_up(
    made: &Made,
    phc: String,
    verification: Option<(Asked, Option<Message>)>,
    username_taken: bool,
    moment: &Moment,
) -> Decision<Option<Asked>> {
    if username_taken {
        return refuse(taken());
    }
    let password = Password { user_id: made.user.id, phc, changed_at: moment.now };
    let (asked, message) = verification.unzip();
    let message = message.flatten();
    let mut decision = answer(()).insert(&made.user).insert(&password);
    for identifier in &made.identifiers {
        decision = decision.insert(identifier);
    }
    if let Some(factor) = &made.factor {
        decision = decision.insert(factor);
    }
    if let (Some(asked), Some(message)) = (&asked, &message) {
        let sent = note(What::CodeSent).user(made.user.id);
        decision = decision.insert(&asked.challenge).insert(message).note(moment, sent);
    }
    decision.note(moment, note(What::SignedUp).user(made.user.id)).map(|()| asked)
}
