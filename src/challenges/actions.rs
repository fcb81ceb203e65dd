//! Asking, resending, answering.

use super::rules::{self, Case, Outcome};
use super::{Ask, Asked, Challenge, ChallengeView, Purpose};
use crate::accounts::{User, UserView};
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::error::{Error, Problem, Result};
use crate::factors::Factor;
use crate::identifiers::{self, Identifier};
use crate::limits::{self, Limit, Postage, Sender};
use crate::messages::{self, Message};
use crate::secret::Token;
use crate::sessions::Session;
use crate::store::{Decision, Seen, answer};
use crate::words::Locale;

/// Makes a challenge and the message that carries its code.
pub fn ask(ctx: &Ctx, ask: Ask<'_>, postage: &Postage, moment: &Moment) -> (Asked, Message) {
    let app = &ctx.app;
    let asked = ask.make(&app.policy, moment, |id, code| {
        let context = Challenge::context(id);
        let context: Vec<&str> = context.iter().map(String::as_str).collect();
        app.keyring.seal(&context, code.as_bytes(), &app.random)
    });
    let message = message(ctx, &asked.challenge, &asked.code, postage, moment);
    (asked, message)
}

fn message(ctx: &Ctx, challenge: &Challenge, code: &str, postage: &Postage, moment: &Moment) -> Message {
    messages::code(
        ctx,
        postage,
        messages::Code {
            channel: messages::Kind::Sms,
            to: &challenge.sent_to,
            user: challenge.user_id,
            challenge: challenge.id,
            purpose: match challenge.purpose {
                Purpose::SignIn => messages::CodePurpose::SignIn,
                Purpose::Verify => messages::CodePurpose::Verify,
            },
            code,
            link: None,
            locale: Locale::En,
            valid_until: challenge.expires_at,
        },
        moment,
    )
}

/// What an answer came to, for the door to put into words.
pub enum Answered {
    /// A session was opened.
    SignedIn {
        /// Whose.
        user: Box<UserView>,
        /// Which.
        session: Box<Session>,
        /// What the client shows from now on.
        token: Token,
    },
    /// An identifier was shown to be the user's own.
    Verified,
}

/// Answers a challenge with a code.
///
/// # Errors
/// [`Problem::CodeGone`] for a challenge that is not (or no longer, or never was) asked, the same
/// for all; [`Problem::CodeWrong`]; [`Problem::FactorLocked`]; [`Problem::IdentifierTaken`].
pub async fn answer_code(ctx: &Ctx, token: Option<&Token>, given: &str) -> Result<Answered> {
    limits::take_by_address(ctx, Limit::CodeTryAddress).await?;
    let token = token.ok_or(Problem::CodeGone)?;
    let given: String = given.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let given = given.as_str();
    let outcome = ctx
        .decide(move |moment| async move {
            let case = case(ctx, token).await?;
            Ok(rules::answer(case, given, &ctx.app.policy, &moment))
        })
        .await?;
    Ok(match outcome {
        Outcome::Verified => Answered::Verified,
        Outcome::SignedIn { user, session, token } => {
            Answered::SignedIn { user: Box::new(crate::accounts::view(ctx, &user).await?), session, token }
        }
    })
}

async fn find(ctx: &Ctx, token: &Token) -> Result<Seen<Challenge>> {
    let found = ctx.app.store.get::<Challenge>(token.id).await?;
    let found = found.filter(|challenge| token.matches(&challenge.digest));
    found.ok_or_else(|| Problem::CodeGone.into())
}

fn open(ctx: &Ctx, challenge: &Challenge) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    let context = Challenge::context(challenge.id);
    let context: Vec<&str> = context.iter().map(String::as_str).collect();
    ctx.app
        .keyring
        .open(&context, &challenge.code)
        .ok_or_else(|| Error::internal("a challenge's code does not open with the configured keys"))
}

async fn case(ctx: &Ctx, token: &Token) -> Result<Case> {
    let store = &ctx.app.store;
    let challenge = find(ctx, token).await?;
    let user = store.get::<User>(challenge.user_id).await?.ok_or(Problem::CodeGone)?;
    let factor = store.get::<Factor>(challenge.factor_id).await?.ok_or(Problem::CodeGone)?;
    let identifier = store.get::<Identifier>(challenge.identifier_id).await?.ok_or(Problem::CodeGone)?;
    let owner = identifiers::actions::owner_of(ctx, &identifier).await?;
    let code = open(ctx, &challenge)?;
    Ok(Case { challenge, user, factor, identifier, owner, code })
}

/// Sends the code of a challenge again: the same code, so that a message that comes late is not a
/// wrong one.
///
/// # Errors
/// [`Problem::CodeGone`], [`Problem::FactorLocked`], [`Problem::LimitReached`].
pub async fn resend(ctx: &Ctx, token: Option<&Token>) -> Result<ChallengeView> {
    limits::take_by_address(ctx, Limit::CodeTryAddress).await?;
    let token = token.ok_or(Problem::CodeGone)?;
    let policy = &ctx.app.policy;
    // Judged once before postage is taken, so that impatience does not use up a number's budget.
    let judged = case(ctx, token).await?;
    rules::resend(judged.challenge.clone(), &judged.user, &judged.factor, policy, &ctx.moment())?;
    let sender = match judged.challenge.purpose {
        Purpose::SignIn => Sender::User(judged.user.id),
        Purpose::Verify => Sender::Stranger,
    };
    let postage = limits::postage(ctx, &judged.challenge.sent_to, sender).await?;
    let postage = &postage;
    ctx.decide(move |moment| async move {
        let case = case(ctx, token).await?;
        let code = String::from_utf8_lossy(&case.code).into_owned();
        let decision: Decision<ChallengeView> =
            match rules::resend(case.challenge, &case.user, &case.factor, policy, &moment) {
                Err(refusal) => crate::store::refuse(refusal),
                Ok(challenge) => answer(challenge.view(token, &policy.code))
                    .update(&challenge)
                    .insert(&message(ctx, &challenge, &code, postage, &moment))
                    .note(&moment, note(What::CodeSent).user(challenge.user_id)),
            };
        Ok(decision)
    })
    .await
}
