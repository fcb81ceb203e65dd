//! Choosing what to ask for, and asking for it: the challenge, and the message that carries its code.

use uuid::Uuid;

use super::{Ask, Asked, Challenge, Purpose};
use crate::app::{Ctx, Moment};
use crate::error::{Problem, Result};
use crate::factors::{Factor, Guess, is_carried};
use crate::identifiers::Identifier;
use crate::limits::{self, Postage, Sender};
use crate::messages::{self, Channel, Message};
use crate::money::Way;
use crate::policy::FactorKind;
use crate::secret::{Sealed, Token};
use crate::store::Seen;
use crate::words::Locale;

/// A factor that can be asked for now, and what asking for it takes.
pub struct Chosen<'a> {
    /// The factor.
    pub factor: &'a Seen<Factor>,
    /// As which kind.
    pub kind: FactorKind,
    /// Where its code goes, when one is sent.
    pub target: Option<Seen<Identifier>>,
    /// What sending it costs.
    pub postage: Option<Postage>,
}

/// Chooses among a user's `factors` the one to ask for: of the kind that is `wanted`, when it is among
/// `kinds`, otherwise the first of `kinds` that can be shown and that somebody carries. Counts what will be
/// sent. `guess` says by whom it will be guessed at.
///
/// # Errors
/// [`Problem::FactorMissing`] for a kind that would not do; [`Problem::FactorLocked`] when none takes
/// guesses; [`Problem::LimitReached`]; [`Problem::MessagesPaused`] and [`Problem::NumberNotServed`] when no
/// other factor would do.
pub async fn choose<'a>(
    ctx: &Ctx,
    factors: &'a [Seen<Factor>],
    kinds: &[FactorKind],
    wanted: Option<FactorKind>,
    guess: Guess,
    sender: Sender,
) -> Result<Chosen<'a>> {
    let kinds: Vec<FactorKind> = kinds.iter().copied().filter(|kind| is_carried(ctx, *kind)).collect();
    if wanted.is_some_and(|wanted| !kinds.contains(&wanted)) {
        return Err(Problem::FactorMissing.into());
    }
    let tried = kinds.iter().filter(|kind| wanted.is_none_or(|wanted| wanted == **kind));
    let mut held_back = None;
    let takes = |factor: &&Seen<Factor>| factor.takes(guess, &ctx.policy.limits);
    for kind in tried {
        for factor in factors.iter().filter(takes).filter(|factor| factor.kinds().contains(kind)) {
            let target = target(ctx, factor, *kind).await?;
            if kind.is_sent() && target.is_none() {
                continue;
            }
            let paid = match &target {
                Some(target) => pay(ctx, target, *kind, sender).await.map(Some),
                None => Ok(None),
            };
            match paid {
                Ok(postage) => return Ok(Chosen { factor, kind: *kind, target, postage }),
                // Another factor may do without what this one costs.
                Err(error) if error.problem.is_no_postage() && error.limit.is_none() => {
                    held_back = Some(error)
                }
                Err(error) => return Err(error),
            }
        }
    }
    Err(held_back.unwrap_or_else(|| Problem::FactorLocked.into()))
}

/// Postage for a code to `target`.
pub(super) async fn pay(ctx: &Ctx, target: &Identifier, kind: FactorKind, sender: Sender) -> Result<Postage> {
    let way = if kind == FactorKind::Call { Way::Call } else { Way::Text };
    limits::postage_by(ctx, &target.value, way, sender.to(target.verified_at.is_some())).await
}

/// Where the code of `factor` goes, when it is shown as `kind`.
pub(super) async fn target(ctx: &Ctx, factor: &Factor, kind: FactorKind) -> Result<Option<Seen<Identifier>>> {
    match factor.identifier_id.filter(|_| kind.is_sent()) {
        Some(id) => Ok(ctx.app.store.get::<Identifier>(id).await?),
        None => Ok(None),
    }
}

impl Chosen<'_> {
    /// Makes the challenge and, when a code is sent, the message that carries it.
    pub fn ask(&self, ctx: &Ctx, ask: Ask<'_>, moment: &Moment) -> (Asked, Option<Message>) {
        self::ask(ctx, ask, self.postage.as_ref(), moment)
    }
}

/// Makes a challenge and, when a code is sent, the message that carries it.
pub fn ask(ctx: &Ctx, ask: Ask<'_>, postage: Option<&Postage>, moment: &Moment) -> (Asked, Option<Message>) {
    let fixed = |to: &str| ctx.app.config.development.code_of(to).map(str::to_owned);
    let locale = ask.locale;
    let mut asked = ask.make(&ctx.policy, moment, fixed, |id, code| seal(ctx, id, code));
    asked.challenge.offered.0.retain(|kind| is_carried(ctx, *kind));
    let message = match (&asked.sending, postage) {
        (Some(sending), Some(postage)) => {
            Some(message(ctx, &asked.challenge, &asked.token, &sending.code, (postage, locale), moment))
        }
        _ => None,
    };
    (asked, message)
}

/// Seals the code of the challenge with this id.
pub(super) fn seal(ctx: &Ctx, id: Uuid, code: &str) -> Sealed {
    ctx.app.keyring.seal(&Challenge::context(id), code.as_bytes(), &ctx.app.random)
}

/// The message that carries the `code` of `challenge`.
pub(super) fn message(
    ctx: &Ctx,
    challenge: &Challenge,
    token: &Token,
    code: &str,
    (postage, locale): (&Postage, Locale),
    moment: &Moment,
) -> Message {
    let link = (challenge.purpose == Purpose::Verify && challenge.factor == FactorKind::Email)
        .then(|| format!("/verify?challenge={}&code={code}", token.reveal()));
    let code = messages::Code {
        channel: challenge.factor.channel().unwrap_or(Channel::Sms),
        to: challenge.sent_to.as_deref().unwrap_or_default(),
        user: challenge.user_id,
        challenge: challenge.id,
        purpose: match challenge.purpose {
            Purpose::SignIn => messages::CodePurpose::SignIn,
            Purpose::Verify => messages::CodePurpose::Verify,
            Purpose::StepUp => messages::CodePurpose::Confirm,
            Purpose::Recover => messages::CodePurpose::Recover,
        },
        code,
        link: link.as_deref(),
        locale,
        valid_until: challenge.expires_at,
    };
    let mut message = messages::code(ctx, postage, code, moment);
    // Another way only where what it proves would do as well.
    message.fallback.0.retain(|way| challenge.offered.0.iter().any(|kind| kind.channel() == Some(*way)));
    message
}
