//! Resending, answering.

use zeroize::Zeroizing;

use super::asking::{message, pay, seal, target};
use super::rules::{self, App, Arriving, Case, Expected, Next, Outcome};
use super::telling::Told;
use super::{Challenge, ChallengeView, Purpose, verifying};
use crate::accounts::{self, User, UserView};
use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::devices::{self, Brought};
use crate::error::{Problem, Result};
use crate::factors::{self, Factor, recovery_codes};
use crate::hashing;
use crate::identifiers::{self, Identifier};
use crate::limits::{self, Limit, Sender};
use crate::messages;
use crate::policy::FactorKind;
use crate::recovery;
use crate::secret::Token;
use crate::sessions::{self, Caller, Carry, Session};
use crate::store::{Decision, Seen, answer, refuse};

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
        /// What it shows at its next sign-in, when the device was not known.
        device: Option<Token>,
    },
    /// An identifier was shown to be the user's own.
    Verified,
    /// A sign-in is complete, but nothing is opened before an address or a number is verified.
    Unverified {
        /// What is asked to verify it.
        challenge: Box<ChallengeView>,
        /// Names what is asked.
        token: Token,
        /// How the session would have travelled.
        carry: Carry,
    },
    /// The asking session has shown what an operation asks for.
    SteppedUp {
        /// Which operation.
        operation: String,
        /// What was shown.
        factor: FactorKind,
    },
}

/// Answers a challenge with a code. `caller` is who sends the answer, when they are signed in: what a
/// session asked for is answered by that session and no other. `brought` is what the client has kept
/// from before.
///
/// # Errors
/// [`Problem::CodeGone`] for a challenge that is not (or no longer, or never was) asked, the same
/// for all; [`Problem::CodeWrong`]; [`Problem::FactorLocked`]; [`Problem::IdentifierTaken`]; those of
/// [`limits::postage`] where what it shows is the user's first and cannot be told.
pub async fn answer_code(
    ctx: &Ctx,
    caller: Option<&Caller>,
    token: Option<&Token>,
    given: &str,
    brought: &Brought,
) -> Result<Answered> {
    answer_by(ctx, caller, token, given, brought, None).await
}

/// The same; the session that is opened travels by `carry`, when it is given, whatever was asked for when
/// the sign-in began.
///
/// # Errors
/// As [`answer_code`].
pub async fn answer_by(
    ctx: &Ctx,
    caller: Option<&Caller>,
    token: Option<&Token>,
    given: &str,
    brought: &Brought,
    carry: Option<Carry>,
) -> Result<Answered> {
    admit(ctx, token).await?;
    let token = token.ok_or(Problem::CodeGone)?;
    let plain = factors::typed(given);
    let plain = plain.as_str();
    // Of many answers at once only the one that counts takes what telling of it costs, and has it.
    let turn = ctx.app.turns.take(token.id).await;
    let judged = case(ctx, token).await?;
    let recovered = &recovered(ctx, &judged, given).await?;
    let told = &Told::prepare(ctx, &judged, recovered.is_some(), plain).await?;
    let paid = || told.postage();
    let answered = limits::decide(ctx, paid, move |moment| async move {
        let mut case = case(ctx, token).await?;
        if !case.challenge.is_for(caller) {
            return Ok(refuse(Problem::CodeGone));
        }
        if let Some(carry) = carry {
            case.challenge = case.challenge.with(|challenge| challenge.carry = carry);
        }
        if let Expected::Recovery(matched) = &mut case.secret {
            matched.clone_from(recovered);
        }
        let arriving = arriving(ctx, &case, brought).await?;
        let is_last = case.locks(plain, &ctx.policy, &moment);
        if is_last {
            told.locks(ctx, &case).await?;
        }
        let decision = rules::answer(case, plain, arriving, &ctx.policy, &moment);
        let told = told.changes(ctx, &decision.outcome, is_last, &moment);
        Ok(decision.and(told))
    });
    let outcome = answered.await?;
    drop(turn);
    let is_first = judged.identifier.as_ref().is_some_and(|one| one.verified_at.is_none());
    if let Some(to) = judged.challenge.sent_to.as_deref().filter(|_| is_first) {
        limits::came_back(ctx, to).await;
    }
    Ok(match outcome {
        Outcome::Verified { .. } => Answered::Verified,
        Outcome::Unverified { user, identifier, carry } => {
            let (challenge, token) = verifying::verify(ctx, user.id, identifier.id).await?;
            Answered::Unverified { challenge: Box::new(challenge), token, carry }
        }
        Outcome::SteppedUp { operation, factor } => Answered::SteppedUp { operation, factor },
        Outcome::SignedIn { user, session, token, device } => {
            Answered::SignedIn { user: Box::new(accounts::view(ctx, &user).await?), session, token, device }
        }
    })
}

/// Counts a try by the known device on which what is asked began, or by the asker's address.
///
/// # Errors
/// [`Problem::LimitReached`].
pub async fn admit(ctx: &Ctx, token: Option<&Token>) -> Result<()> {
    let challenge = match token {
        Some(token) => ctx.app.store.get::<Challenge>(token.id).await?,
        None => None,
    };
    let challenge = challenge.filter(|challenge| token.is_some_and(|token| token.matches(&challenge.digest)));
    match challenge.and_then(|challenge| challenge.device_id) {
        Some(device) => limits::take(ctx, Limit::CodeTryDevice, &device.to_string()).await,
        None => limits::take_by_address(ctx, Limit::CodeTryAddress).await,
    }
}

/// What a finished sign-in leaves behind, should this answer finish one.
async fn arriving(ctx: &Ctx, case: &Case, brought: &Brought) -> Result<Arriving> {
    let challenge = &case.challenge;
    if challenge.purpose != Purpose::SignIn {
        return Ok(Arriving::default());
    }
    let cookies = &brought.overwritten;
    let leaving = sessions::making_room(ctx, challenge.user_id, challenge.carry, cookies).await?;
    let trust = match brought.trust && ctx.policy.devices.trust {
        true => Some(accounts::held(ctx, &case.user).await?.0),
        false => None,
    };
    let device = devices::find(ctx, challenge.device_id, &case.user).await?;
    Ok(Arriving { device, trust, leaving })
}

/// Where a recovery code is asked for: the slot that `given` names and its hash, when it is right.
/// Judged before the decision, which counts it, because it costs a hash.
async fn recovered(ctx: &Ctx, case: &Case, given: &str) -> Result<Option<(usize, String)>> {
    let gone = case.challenge.is_over(&ctx.policy.code, ctx.now);
    if case.challenge.factor != FactorKind::RecoveryCode || gone || !case.factor.is_able() {
        return Ok(None);
    }
    let Some((slot, code)) = recovery_codes::read(given) else { return Ok(None) };
    let phc = case.factor.codes.get(slot).map(str::to_owned);
    let verdict = ctx.app.hashing.verify(code, phc.clone()).await?;
    Ok(phc.filter(|_| verdict != hashing::Verdict::Wrong).map(|phc| (slot, phc)))
}

/// What an answer to the challenge that `token` names is for.
///
/// # Errors
/// [`Problem::CodeGone`] when it names none.
pub async fn purpose(ctx: &Ctx, token: &Token) -> Result<Purpose> {
    Ok(find(ctx, token).await?.purpose)
}

/// What is asked, for whoever shows the token of it: `caller`, where a session asked.
///
/// # Errors
/// [`Problem::CodeGone`] when nothing is asked any more, and for what may not be told.
pub async fn look(ctx: &Ctx, caller: Option<&Caller>, token: Option<&Token>) -> Result<ChallengeView> {
    let token = token.ok_or(Problem::CodeGone)?;
    let challenge = find(ctx, token).await?;
    let is_over = challenge.is_over(&ctx.policy.code, ctx.now);
    if challenge.purpose == Purpose::Recover || !challenge.is_for(caller) || is_over {
        return Err(Problem::CodeGone.into());
    }
    Ok(challenge.view(token, &ctx.policy.code))
}

pub(super) async fn find(ctx: &Ctx, token: &Token) -> Result<Seen<Challenge>> {
    let found = ctx.app.store.get::<Challenge>(token.id).await?;
    let found = found.filter(|challenge| token.matches(&challenge.digest));
    found.ok_or_else(|| Problem::CodeGone.into())
}

async fn case(ctx: &Ctx, token: &Token) -> Result<Case> {
    let store = &ctx.app.store;
    let challenge = find(ctx, token).await?;
    let user = store.get::<User>(challenge.user_id).await?.ok_or(Problem::CodeGone)?;
    let factor = store.get::<Factor>(challenge.factor_id).await?.ok_or(Problem::CodeGone)?;
    let identifier = match challenge.identifier_id {
        Some(id) => store.get::<Identifier>(id).await?,
        None => None,
    };
    let owner = match &identifier {
        Some(identifier) => identifiers::actions::owner_of(ctx, identifier).await?,
        None => None,
    };
    let gated = challenge.purpose == Purpose::SignIn && !ctx.policy.sign_up.verified.is_empty();
    let (identifiers, factors) = if gated || challenge.purpose == Purpose::Verify {
        let identifiers = identifiers::actions::of_user(ctx, user.id).await?;
        (identifiers, crate::factors::of_user(ctx, user.id).await?)
    } else {
        (Vec::new(), Vec::new())
    };
    let session = match challenge.session_id {
        Some(id) => store.get::<Session>(id).await?,
        None => None,
    };
    let recovery = match challenge.recovery_id {
        Some(id) => recovery::find(ctx, id).await?.map(|(recovery, _)| recovery),
        None => None,
    };
    let falls_back = !ctx.app.config.delivery.fallback.is_empty();
    let sent = match challenge.factor {
        FactorKind::Sms | FactorKind::Call if falls_back => {
            messages::actions::carrying(ctx, challenge.id).await?
        }
        _ => Vec::new(),
    };
    let secret = expected(ctx, &challenge).await?;
    Ok(Case {
        challenge,
        user,
        factor,
        identifier,
        owner,
        identifiers,
        factors,
        session,
        recovery,
        sent,
        secret,
    })
}

/// What the right answer is.
async fn expected(ctx: &Ctx, challenge: &Challenge) -> Result<Expected> {
    match challenge.factor {
        FactorKind::RecoveryCode => Ok(Expected::Recovery(None)),
        FactorKind::Totp => {
            let mut apps = Vec::new();
            for factor in factors::of_user(ctx, challenge.user_id).await? {
                let takes = factor.takes(rules::guess(challenge.purpose), &ctx.policy.limits);
                if let Some(secret) = factor.secret.as_ref().filter(|_| takes) {
                    let key = ctx.app.keyring.must_open(&Factor::context(factor.id), secret)?;
                    apps.push(App { factor, key });
                }
            }
            Ok(Expected::Totp(apps))
        }
        _ => {
            let code = sent_code(ctx, challenge)?.ok_or(Problem::CodeGone)?;
            Ok(Expected::Code(Zeroizing::new(code.as_bytes().to_vec())))
        }
    }
}

/// The code that was sent for `challenge`, when one was.
pub(super) fn sent_code(ctx: &Ctx, challenge: &Challenge) -> Result<Option<Zeroizing<String>>> {
    let Some(sealed) = &challenge.code else { return Ok(None) };
    let code = ctx.app.keyring.must_open(&Challenge::context(challenge.id), sealed)?;
    Ok(Some(Zeroizing::new(String::from_utf8_lossy(&code).into_owned())))
}

/// Sends the code of a challenge again – the same code, so that a message that comes late is not a
/// wrong one – or asks for another of the factors that would do.
///
/// # Errors
/// [`Problem::CodeGone`], [`Problem::FactorMissing`], [`Problem::FactorLocked`], [`Problem::LimitReached`].
pub async fn resend(
    ctx: &Ctx,
    caller: Option<&Caller>,
    token: Option<&Token>,
    wanted: Option<FactorKind>,
) -> Result<ChallengeView> {
    admit(ctx, token).await?;
    let token = token.ok_or(Problem::CodeGone)?;
    let policy = &*ctx.policy;
    if find(ctx, token).await?.is_blind() {
        return super::blind::resend(ctx, token, wanted).await;
    }
    let judged = case(ctx, token).await?;
    if !judged.challenge.is_for(caller) {
        return Err(Problem::CodeGone.into());
    }
    let next = &next(ctx, &judged, wanted).await?;
    // Judged once before postage is taken, so that impatience does not use up a number's budget.
    rules::resend(&judged, next, policy, &ctx.moment())?;
    let is_known = judged.challenge.device_id.is_some() || judged.challenge.session_id.is_some();
    let sender = match judged.challenge.purpose {
        Purpose::SignIn | Purpose::StepUp | Purpose::Recover => Sender::user(judged.user.id, is_known),
        Purpose::Verify => Sender::Stranger,
    };
    let postage = match &next.target {
        Some(target) => Some(pay(ctx, target, next.kind, sender).await?),
        None => None,
    };
    let postage = postage.as_ref();
    let paid = || postage.into_iter().collect();
    limits::decide(ctx, paid, move |moment| async move {
        let case = case(ctx, token).await?;
        let challenge = match rules::resend(&case, next, policy, &moment) {
            Err(refusal) => return Ok(refuse(refusal)),
            Ok(challenge) => challenge,
        };
        let replaced = match case.challenge.factor == next.kind {
            true => Vec::new(),
            false => messages::actions::carrying(ctx, challenge.id).await?,
        };
        let replaced = messages::rules::withdrawn(replaced, moment.now);
        let Some(postage) = postage else {
            let view = challenge.view(token, &policy.code);
            return Ok(answer(view).update(&challenge).and(replaced));
        };
        // The same code as before; a new one where none was sent by this way yet.
        let (code, challenge) = match sent_code(ctx, &challenge)? {
            Some(code) => (code, challenge),
            None => {
                let code = Zeroizing::new(moment.seed.code("code", policy.code.digits));
                let sealed = seal(ctx, challenge.id, &code);
                (code, challenge.with(|challenge| challenge.code = Some(sealed)))
            }
        };
        let decision: Decision<ChallengeView> = answer(challenge.view(token, &policy.code))
            .update(&challenge)
            .and(replaced)
            .insert(&match verifying::owner_instead(&case) {
                Some(owner) => verifying::attempt(ctx, owner, postage, &moment),
                None => message(ctx, &challenge, token, &code, (postage, case.user.language()), &moment),
            })
            .note(&moment, note(What::CodeSent).user(challenge.user_id));
        Ok(decision)
    })
    .await
}

/// The factor to ask for next: the same, or the `wanted` one, which must be among those that would do.
async fn next(ctx: &Ctx, case: &Case, wanted: Option<FactorKind>) -> Result<Next> {
    let kind = wanted.unwrap_or(case.challenge.factor);
    let is_offered = case.challenge.offered.0.contains(&kind);
    // What is being verified is one claim, whichever way its code goes: not another number of the user's.
    if kind == case.challenge.factor || is_offered && case.challenge.purpose == Purpose::Verify {
        let target = case.identifier.as_deref().cloned();
        return Ok(Next { factor: (*case.factor).clone(), kind, target });
    }
    if !is_offered {
        return Err(Problem::FactorMissing.into());
    }
    let factors = match case.challenge.purpose {
        // A recovery may need an address that is no second factor.
        Purpose::Verify | Purpose::Recover => factors::of_user(ctx, case.user.id).await?,
        Purpose::SignIn | Purpose::StepUp => accounts::held(ctx, &case.user).await?.0,
    };
    let guess = rules::guess(case.challenge.purpose);
    for factor in factors {
        if factor.takes(guess, &ctx.policy.limits) && factor.kinds().contains(&kind) {
            let target = target(ctx, &factor, kind).await?.map(Seen::into_inner);
            if target.is_some() || !kind.is_sent() {
                return Ok(Next { factor: factor.into_inner(), kind, target });
            }
        }
    }
    Err(Problem::FactorLocked.into())
}
