//! The one catalogue of failures, and the error that carries a line of it through the house.
//!
//! Slugs are for programs and never change; sentences are for people. The cause of a failure is
//! logged once, at the door, and never sent. `/problems/{slug}` and the docs are printed from here.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

macro_rules! catalogue {
    ($($variant:ident = $slug:literal $status:literal $title:literal, $help:literal;)+) => {
        /// Everything that can go wrong, one line each.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Problem { $(#[doc = $title] $variant),+ }

        impl Problem {
            /// The whole catalogue, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name for programs; never changes.
            pub const fn slug(self) -> &'static str { match self { $(Self::$variant => $slug),+ } }
            /// The HTTP status that answers it.
            pub const fn status(self) -> u16 { match self { $(Self::$variant => $status),+ } }
            /// One honest sentence.
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title),+ } }
            /// What to do about it.
            pub const fn help(self) -> &'static str { match self { $(Self::$variant => $help),+ } }
        }
    };
}

catalogue! {
    MalformedBody = "malformed-body" 400 "The body is not the JSON or form that it should be.", "Send UTF-8 JSON with `Content-Type: application/json`; the detail says where reading stopped.";
    MalformedRequest = "malformed-request" 400 "The request cannot be read.", "Check the path, the query and the headers.";
    CredentialsWrong = "credentials-wrong" 401 "The identifier or the password is wrong.", "Try again, or recover the account. The answer is the same for unknown users, and, for a while after many wrong tries, for the right password.";
    Unauthenticated = "unauthenticated" 401 "You are not signed in, or the session has ended.", "Sign in and send the credential as `Authorization: Bearer …` or as the cookie.";
    CodeWrong = "code-wrong" 401 "The code is wrong.", "Check the newest message and type the code again.";
    CodeGone = "code-gone" 401 "This code is no longer valid.", "It was used, expired, or guessed too often. Start again.";
    RefreshRefused = "refresh-refused" 401 "This refresh token is not valid.", "Sign in again. A refresh token is good for one use.";
    ClientUnknown = "client-unknown" 401 "This needs a registered client.", "Send the client's id and secret by HTTP Basic; `vestibule clients add` registers one.";
    KeyUnknown = "key-unknown" 401 "This API key is not valid.", "It was revoked, has expired, or never was one. An administrator makes a new one.";
    ScopeMissing = "scope-missing" 403 "This API key may not do that.", "The detail names the scope that is needed; make a key that has it.";
    SignatureWrong = "signature-wrong" 403 "The signature does not match this request.", "Callbacks must be signed with the provider's token for the configured origin.";
    CrossSite = "cross-site" 403 "The request came from another site.", "Send it from the configured origin, or name the other origin in `server.allowed_origins`.";
    StepUpRequired = "step-up-required" 403 "This needs a fresh proof of who you are.", "`need` names the factors that would do and how fresh; begin at `start`, then send the request again.";
    FactorMissing = "factor-missing" 403 "This asks for a factor that you do not have or that is locked.", "Add one of the factors that `need` names, or ask for help.";
    OperationNever = "operation-never" 403 "This is switched off on this server.", "The policy of this server rules it out for everybody; ask an administrator.";
    FactorLocked = "factor-locked" 403 "Too many wrong codes: this factor is locked.", "Use another factor and set this one up again, or ask an administrator.";
    CallNotAllowed = "call-not-allowed" 403 "You may not call this number.", "The policy says whom users may call: by default the numbers that they have verified.";
    SignUpClosed = "sign-up-closed" 403 "Sign-up is not open.", "Ask an administrator for an invitation.";
    NotAllowed = "not-allowed" 403 "Your role does not allow this here.", "Nobody can change their own role, or anything of somebody whose role is the same or higher; ask an administrator.";
    ActingNever = "acting-never" 403 "This is not done on behalf of somebody else.", "Ask the user to do it. What may be done for them is named in the policy, and only where acting is not read-only.";
    NotFound = "not-found" 404 "There is nothing here for you.", "Check the address. What belongs to others looks the same as what does not exist.";
    MethodNotAllowed = "method-not-allowed" 405 "This address does not take that method.", "The `Allow` header names the methods that it takes.";
    RequestTimeout = "request-timeout" 408 "The request took too long to arrive.", "Send it again, without pauses.";
    IdentifierTaken = "identifier-taken" 409 "Somebody has this already.", "Choose another one.";
    LastAdministrator = "last-administrator" 409 "Nobody would be left to administer this.", "Give the role to somebody else first.";
    FactorRequired = "factor-required" 409 "This account would be left without a second factor that it needs.", "Add another second factor first.";
    BodyTooLarge = "body-too-large" 413 "The body is too large.", "Send less; the limit is `server.body_limit`.";
    UnsupportedMediaType = "unsupported-media-type" 415 "The body is of the wrong type.", "The detail says as what to send it.";
    Invalid = "invalid" 422 "Some of what was sent cannot be accepted.", "The list `errors` names each field and says why.";
    ImmutableField = "immutable-field" 422 "This cannot be changed here.", "The list `errors` names each field; the policy of this server keeps them as they are. Leave them out.";
    IdempotencyKeyReused = "idempotency-key-reused" 422 "This idempotency key belongs to another request.", "Use a fresh key for a different request.";
    LimitReached = "limit-reached" 429 "Too many tries.", "Wait as long as `Retry-After` says.";
    HeadersTooLarge = "headers-too-large" 431 "The headers are too large.", "Send fewer or shorter headers.";
    MessagesPaused = "messages-paused" 503 "No text messages or calls go there at the moment.", "What they may cost today is spent. Use another factor, such as an authenticator app or e-mail, or try again after the time in `Retry-After`.";
    NumberNotServed = "number-not-served" 422 "Nothing is sent to this number from here.", "Use a mobile number of a country that this server serves.";
    NotCarried = "not-carried" 422 "No such messages are sent from here.", "Use another way, or ask whoever runs this server to name a provider for them.";
    Internal = "internal" 500 "Something went wrong here.", "It has been logged under the request id. Trying again later may help.";
    Busy = "busy" 503 "The server is busy.", "Try again after the time in `Retry-After`.";
    Unavailable = "unavailable" 503 "Something that this needs is not available.", "Try again after the time in `Retry-After`.";
}

impl Problem {
    /// Whether it stands between a message and where it goes, whoever asks for it.
    pub fn is_no_postage(self) -> bool {
        matches!(self, Self::LimitReached | Self::MessagesPaused | Self::NumberNotServed | Self::NotCarried)
    }
}

/// What is wrong with one field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct FieldError {
    /// The field's path, such as `mobile`.
    pub field: Cow<'static, str>,
    /// For programs.
    pub code: Cow<'static, str>,
    /// For people.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// What is wrong with `field`.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), code: code.into(), message: message.into() }
    }
}

/// What an operation asks for and has not been shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Needed {
    /// The operation.
    pub operation: String,
    /// The factors that would do, the preferred one first.
    pub factors: Vec<&'static str>,
    /// How many seconds ago at most; zero for any time in this session.
    pub max_age: u64,
}

/// A failure on its way to the door: a line of the catalogue and what may be told with it.
#[derive(Debug)]
pub struct Error {
    /// The line of the catalogue.
    pub problem: Problem,
    /// A sentence about this very case, safe to show.
    pub detail: Option<Cow<'static, str>>,
    /// What is wrong field by field.
    pub fields: Vec<FieldError>,
    /// Whole seconds after which trying again makes sense.
    pub retry_after: Option<u64>,
    /// The name of the limit that was reached.
    pub limit: Option<&'static str>,
    /// What must be shown first.
    pub need: Option<Box<Needed>>,
    /// What that limit holds, and the whole seconds over which it fills up.
    pub quota: Option<Box<(u32, u64)>>,
    /// What lies behind it: logged, never sent.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of most things in the house.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this kind. What passes by itself says when to try again, even where nobody knows better.
    pub fn new(problem: Problem) -> Self {
        let passes = matches!(problem.status(), 429 | 503);
        Self {
            problem,
            detail: None,
            fields: Vec::new(),
            retry_after: passes.then_some(1),
            limit: None,
            need: None,
            quota: None,
            cause: None,
        }
    }

    /// With a sentence about this case.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// With the time to wait, in whole seconds rounded up, at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: std::time::Duration) -> Self {
        self.retry_after = Some(u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1));
        self
    }

    /// With the cause, for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Fields that cannot be accepted.
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::new(Problem::Invalid) }
    }

    /// Nobody's fault but ours.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Problem::Internal).because(cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problem.title())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<FieldError> for Error {
    fn from(wrong: FieldError) -> Self {
        Self::invalid(vec![wrong])
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::new(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_every_status_is_an_error() {
        let mut slugs: Vec<_> = Problem::ALL.iter().map(|problem| problem.slug()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Problem::ALL.len());
        assert!(Problem::ALL.iter().all(|problem| (400..600).contains(&problem.status())));
    }
}
