//! Challenges for whom nobody may learn whether there is somebody to answer.
//!
//! Whoever asks to get back into an account is asked for a code whether or not there is such an account.
//! Where there is none, a decoy stands in: a challenge that no code answers. It is counted, expires and
//! is sent again like any other, with the same reads and the same rows, and looks the same to whoever
//! asked.

use uuid::Uuid;
use zeroize::Zeroizing;

use super::actions::{find, sent_code};
use super::asking::seal;
use super::{Challenge, ChallengeView, Offered, Purpose, rules};
use crate::accounts::User;
use crate::app::{Ctx, Moment};
use crate::audit::{Noting, What, note};
use crate::clock::Timestamp;
use crate::devices;
use crate::error::{Error, Problem, Result};
use crate::factors::is_carried;
use crate::identifiers::Identifier;
use crate::limits::{self, Postage, Sender, Whence};
use crate::messages::{self, Channel, Fallback, Message};
use crate::policy::{FactorKind, IdentifierKind, Policy, Proofs};
use crate::secret::{Token, TokenKind, same};
use crate::sessions::Carry;
use crate::store::{Decision, Seen, answer, refuse};
use crate::words::Locale;

/// Digits of a recovery code at least. It may be all that stands before an account, and has only the
/// limits of its address to slow guessing down; what it is sent in is read at leisure.
const DIGITS: u32 = 8;

/// Who is asked: a user, where their code goes, and as which kind.
pub type Asked<'a> = (&'a User, &'a Identifier, FactorKind);

/// Postage for a recovery code to `to`, which is `user`'s if anybody's, asked for on their known `device` or
/// elsewhere. What others can use up is taken last.
///
/// # Errors
/// Those of [`limits::postage`].
pub async fn postage(ctx: &Ctx, to: &str, user: Option<&User>, device: Option<Uuid>) -> Result<Postage> {
    if device.is_some() {
        return limits::postage(ctx, to, Sender::Recovery(Whence::Device)).await;
    }
    if devices::is_known_place(ctx, user).await? {
        match limits::postage(ctx, to, Sender::Recovery(Whence::Place)).await {
            Err(error) if error.problem.is_no_postage() => {}
            other => return other,
        }
    }
    limits::postage(ctx, to, Sender::Recovery(Whence::Anywhere)).await
}

/// Makes the challenge and its message; for nobody, a decoy. `postage` is taken for both; who has none
/// left is nobody. `device` is the known one on which it is asked for.
pub fn ask(
    ctx: &Ctx,
    asked: Option<Asked<'_>>,
    device: Option<Uuid>,
    postage: Option<&Postage>,
    moment: &Moment,
) -> (Challenge, Token, Option<Message>) {
    let policy = &*ctx.policy;
    let asked = asked.filter(|_| postage.is_some());
    let id = moment.uuid("challenge");
    let token = Token::new(TokenKind::Challenge, id, &moment.seed);
    let code = Zeroizing::new(moment.seed.code("code", policy.code.digits.max(DIGITS)));
    let kind = asked.map_or_else(|| first(ctx), |(_, _, kind)| kind);
    let challenge = Challenge {
        id,
        digest: token.digest(),
        purpose: Purpose::Recover,
        user_id: asked.map_or_else(Uuid::nil, |(user, _, _)| user.id),
        factor_id: Uuid::nil(),
        factor: kind,
        offered: Offered(vec![kind]),
        identifier_id: Some(asked.map_or_else(Uuid::nil, |(_, target, _)| target.id)),
        sent_to: asked.map(|(_, target, _)| target.value.clone()),
        code: Some(seal(ctx, id, &code)),
        session_id: None,
        device_id: device,
        recovery_id: None,
        operation: None,
        proofs: Proofs::default(),
        carry: Carry::Bearer,
        attempts: 0,
        sends: 1,
        sent_at: moment.now,
        created_at: moment.now,
        counts_from: asked.map_or(moment.now, |(user, _, _)| user.sessions_from),
        expires_at: moment.now + *policy.code.lifetime,
    };
    let user = asked.map(|(user, _, _)| user);
    let message = postage.map(|postage| message(ctx, &challenge, user, &token, &code, postage, moment));
    (challenge, token, message)
}

/// The kind that whoever asks is told of, whichever way the code goes: the first that somebody carries.
fn first(ctx: &Ctx) -> FactorKind {
    let mut channels = ctx.policy.recovery.channels.iter().copied();
    channels.find(|kind| is_carried(ctx, *kind)).unwrap_or(FactorKind::Email)
}

/// What whoever asked is told: the same for everybody.
pub fn view(ctx: &Ctx, challenge: &Challenge, token: &Token) -> ChallengeView {
    let view = challenge.view(token, &ctx.policy.code);
    ChallengeView { factor: first(ctx), sent_to: None, alternatives: Vec::new(), ..view }
}

/// What a recovery asks, for whoever shows the token of it; of its first code no more than everybody is told.
///
/// # Errors
/// [`Problem::CodeGone`] when nothing is asked any more, or not by a recovery.
pub async fn look(ctx: &Ctx, token: &Token) -> Result<ChallengeView> {
    let (challenge, policy) = (find(ctx, token).await?, &*ctx.policy);
    if challenge.purpose != Purpose::Recover || challenge.is_over(&policy.code, ctx.now) {
        return Err(Problem::CodeGone.into());
    }
    Ok(match challenge.is_blind() {
        true => view(ctx, &challenge, token),
        false => challenge.view(token, &policy.code),
    })
}

/// The message with the code; that of a decoy is recorded and never sent.
fn message(
    ctx: &Ctx,
    challenge: &Challenge,
    user: Option<&User>,
    token: &Token,
    code: &str,
    postage: &Postage,
    moment: &Moment,
) -> Message {
    let link = format!("/recover?challenge={}&code={code}", token.reveal());
    let code = messages::Code {
        channel: if challenge.factor == FactorKind::Email { Channel::Email } else { Channel::Sms },
        to: challenge.sent_to.as_deref().unwrap_or_default(),
        user: challenge.user_id,
        challenge: challenge.id,
        purpose: messages::CodePurpose::Recover,
        code,
        link: Some(&link),
        locale: user.map_or(Locale::En, User::language),
        valid_until: challenge.expires_at,
    };
    let mut message = messages::code(ctx, postage, code, moment);
    // By another way it would show something else than what is written down.
    message.fallback = Fallback::default();
    if user.is_none() {
        message.user = None;
        message.cancel(moment.now);
        message.expires_at = challenge.expires_at;
    }
    message
}

/// A blind challenge with everything that judging an answer looks at.
pub struct Case {
    /// The challenge.
    pub challenge: Seen<Challenge>,
    /// Who is asked; nobody, of a decoy.
    pub user: Option<Seen<User>>,
    /// Where the code went.
    pub target: Option<Seen<Identifier>>,
    code: Zeroizing<String>,
    now: Timestamp,
}

/// Finds the blind challenge that `token` names.
///
/// # Errors
/// [`Problem::CodeGone`] for any other.
pub async fn case(ctx: &Ctx, token: &Token) -> Result<Case> {
    let challenge = find(ctx, token).await?;
    if !challenge.is_blind() {
        return Err(Problem::CodeGone.into());
    }
    let user = ctx.app.store.get::<User>(challenge.user_id).await?;
    let target = ctx.app.store.get::<Identifier>(challenge.identifier_id.unwrap_or_default()).await?;
    let code = sent_code(ctx, &challenge)?.ok_or(Problem::CodeGone)?;
    Ok(Case { challenge, user, target, code, now: ctx.now })
}

impl Case {
    /// Whether nothing is asked any more. Only what is the same for a decoy is looked at.
    fn is_gone(&self, policy: &Policy, moment: &Moment) -> bool {
        self.challenge.is_over(&policy.code, moment.now)
    }

    /// Whose code `given` is, and where it went, when it is right.
    pub fn judge(&self, given: &str) -> Option<(&Seen<User>, &Seen<Identifier>)> {
        let right = same(given.as_bytes(), self.code.as_bytes());
        self.asked().filter(|_| right)
    }

    /// Who is still asked, and where the code went.
    fn asked(&self) -> Option<(&Seen<User>, &Seen<Identifier>)> {
        let (user, target) = (self.user.as_ref()?, self.target.as_ref()?);
        let stands = user.is_active(self.now)
            && self.challenge.counts_from >= user.sessions_from
            && target.user_id == user.id
            && target.verified_at.is_some();
        stands.then_some((user, target))
    }

    /// The refusal of `given`, counted; none when it is the right answer.
    pub fn refusal<T>(&self, given: &str, policy: &Policy, moment: &Moment) -> Option<Decision<T>> {
        if self.is_gone(policy, moment) {
            return Some(refuse(Problem::CodeGone));
        }
        if self.judge(given).is_some() {
            return None;
        }
        let challenge = self.challenge.clone().with(|challenge| challenge.attempts += 1);
        let event = note(What::CodeWrong);
        let event = self.user.iter().fold(event, |event, user| event.user(user.id));
        let refusal = refuse(rules::wrong_code(&challenge, policy)).update(&challenge);
        Some(refusal.note(moment, event))
    }
}

/// Sends the code again, or does as if.
pub(super) async fn resend(ctx: &Ctx, token: &Token, wanted: Option<FactorKind>) -> Result<ChallengeView> {
    let policy = &*ctx.policy;
    if wanted.is_some_and(|wanted| wanted != first(ctx)) {
        return Err(Problem::FactorMissing.into());
    }
    let judged = case(ctx, token).await?;
    sent_again(&judged, policy, &ctx.moment())?;
    let to = judged.challenge.sent_to.clone().unwrap_or_else(|| judged.challenge.id.to_string());
    let user = judged.asked().map(|(user, _)| &**user);
    let postage = &postage(ctx, &to, user, judged.challenge.device_id).await;
    if let Err(error) = postage
        && !error.problem.is_no_postage()
    {
        return Err(Error::new(error.problem));
    }
    let paid = || postage.iter().collect();
    limits::decide(ctx, paid, move |moment| async move {
        let case = case(ctx, token).await?;
        let challenge = match sent_again(&case, policy, &moment) {
            Err(refusal) => return Ok(refuse(refusal)),
            Ok(challenge) => challenge,
        };
        let decision = answer(view(ctx, &challenge, token)).update(&challenge);
        // What a budget holds back is not told: only somebody's budget can be used up.
        let Ok(postage) = postage else { return Ok(decision) };
        let user = case.asked().map(|(user, _)| &**user);
        let message = message(ctx, &challenge, user, token, &case.code, postage, &moment);
        let event = note(What::CodeSent);
        let event = user.into_iter().fold(event, |event, user| event.user(user.id));
        Ok(decision.insert(&message).note(&moment, event))
    })
    .await
}

fn sent_again(case: &Case, policy: &Policy, moment: &Moment) -> Result<Seen<Challenge>> {
    if case.is_gone(policy, moment) {
        return Err(Problem::CodeGone.into());
    }
    rules::may_send(&case.challenge, policy, moment)?;
    Ok(case.challenge.clone().with(|challenge| {
        challenge.sends += 1;
        challenge.sent_at = moment.now;
    }))
}

/// The way by which a code reaches an identifier of this kind.
pub fn way(kind: IdentifierKind) -> Option<FactorKind> {
    match kind {
        IdentifierKind::Email => Some(FactorKind::Email),
        IdentifierKind::Mobile => Some(FactorKind::Sms),
        IdentifierKind::Username => None,
    }
}
