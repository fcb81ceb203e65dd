//! Asking the policy, and asking the user.

use std::time::Duration;

use crate::accounts::{self, User};
use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::challenges::{Ask, ChallengeView, Purpose, choose};
use crate::error::{Error, FieldError, Needed, Problem, Result};
use crate::factors::{Factor, Guess};
use crate::limits::{self, Sender};
use crate::passwords::{self, GivenPassword, Password, Verdict as Checked};
use crate::policy::{self, FactorKind, Need, Operation, Proof, Verdict};
use crate::sessions::{Caller, Session};
use crate::store::{Change, Seen, answer, refuse};

/// The right to do one operation, in one session, now.
#[derive(Clone, Debug)]
pub struct Permit {
    operation: String,
    caller: Caller,
}

impl Permit {
    /// What it is for.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Who asked.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// As [`Caller::standing`].
    ///
    /// # Errors
    /// [`Problem::Unauthenticated`] when the session no longer stands.
    pub async fn standing(&self, ctx: &Ctx) -> Result<(Seen<Session>, Seen<User>)> {
        self.caller.standing(ctx).await
    }
}

/// Permits `caller` the operation, when the policy does.
///
/// # Errors
/// [`Problem::StepUpRequired`] with what must be shown first; [`Problem::FactorMissing`];
/// [`Problem::OperationNever`].
pub async fn permit(ctx: &Ctx, caller: &Caller, operation: &str) -> Result<Permit> {
    let rule = rule(ctx, operation)?;
    if let Some(act) = &caller.session.act
        && (act.read_only || !ctx.policy.acting.may(operation))
    {
        return Err(Problem::ActingNever.into());
    }
    let (_, held) = accounts::held(ctx, &caller.user).await?;
    match policy::decide(operation, rule, &caller.session.proofs, &held.holder(), ctx.now) {
        Verdict::Allow => Ok(Permit { operation: operation.to_owned(), caller: caller.clone() }),
        Verdict::Never => Err(Problem::OperationNever.into()),
        Verdict::Unable => Err(unable(operation, rule)),
        Verdict::Need(need) => Err(needed(Problem::StepUpRequired, operation, &need.factors, need.max_age)),
    }
}

fn rule<'a>(ctx: &'a Ctx, operation: &str) -> Result<&'a Operation> {
    ctx.policy.operation.get(operation).ok_or_else(|| {
        let sentence = "The policy of this server names no such operation.";
        Error::from(FieldError::new("operation", "unknown", sentence))
    })
}

fn unable(operation: &str, rule: &Operation) -> Error {
    needed(Problem::FactorMissing, operation, &rule.proof.any, *rule.proof.max_age)
}

fn needed(problem: Problem, operation: &str, factors: &[FactorKind], max_age: Duration) -> Error {
    let need = Needed {
        operation: operation.to_owned(),
        factors: factors.iter().map(|factor| factor.as_str()).collect(),
        max_age: max_age.as_secs(),
    };
    Error { need: Some(Box::new(need)), ..Error::new(problem) }
}

/// What the session has shown that counts for `operation`.
pub fn shown(ctx: &Ctx, caller: &Caller, operation: &str) -> Vec<Proof> {
    let max_age = ctx.policy.operation.get(operation).map_or(Duration::ZERO, |rule| *rule.proof.max_age);
    let counts = |proof: &&Proof| {
        proof.operation.as_deref().is_none_or(|name| name == operation) && proof.is_fresh(max_age, ctx.now)
    };
    caller.session.proofs.0.iter().filter(counts).cloned().collect()
}

/// What beginning a step-up came to.
pub enum Begun {
    /// Nothing more is needed: the operation can be called.
    Done,
    /// A factor is asked for.
    Asked(Box<ChallengeView>),
}

/// Begins to show what `operation` asks for: with a `password` at once, otherwise by a challenge for
/// the `wanted` factor or the first that would do.
///
/// # Errors
/// As [`permit`], but for the one that asks to begin; [`Problem::CredentialsWrong`] for a wrong
/// password; [`Problem::LimitReached`].
pub async fn begin(
    ctx: &Ctx,
    caller: &Caller,
    operation: &str,
    wanted: Option<FactorKind>,
    password: Option<GivenPassword>,
) -> Result<Begun> {
    let rule = rule(ctx, operation)?;
    if caller.session.act.is_some() {
        // What is shown is shown by the user, who is not there.
        return Err(Problem::ActingNever.into());
    }
    let (factors, held) = accounts::held(ctx, &caller.user).await?;
    let need = match policy::decide(operation, rule, &caller.session.proofs, &held.holder(), ctx.now) {
        Verdict::Allow => return Ok(Begun::Done),
        Verdict::Never => return Err(Problem::OperationNever.into()),
        Verdict::Unable => return Err(unable(operation, rule)),
        Verdict::Need(need) => need,
    };
    match password {
        Some(password) => by_password(ctx, caller, operation, &need, password).await,
        None => by_challenge(ctx, caller, operation, &need, &factors, wanted).await,
    }
}

async fn by_password(
    ctx: &Ctx,
    caller: &Caller,
    operation: &str,
    need: &Need,
    password: GivenPassword,
) -> Result<Begun> {
    if !need.factors.contains(&FactorKind::Password) {
        return Err(needed(Problem::StepUpRequired, operation, &need.factors, need.max_age));
    }
    limits::take_by_device(ctx, caller.session.id).await?;
    let stored = ctx.app.store.get::<Password>(caller.user.id).await?;
    // A session is at least as good as a known device.
    let takes = &|stored: &Seen<Password>| stored.takes_guesses(&ctx.policy.limits, true);
    let is_judged = stored.as_ref().is_some_and(takes);
    let stored = stored.filter(|_| is_judged);
    let checked = passwords::check(ctx, stored.as_ref(), &password).await;
    let checked = limits::looked_at(ctx, caller.session.id, checked).await?;
    let permit = &Permit { operation: operation.to_owned(), caller: caller.clone() };
    let chosen_at = stored.filter(|_| checked != Checked::Wrong).map(|stored| stored.changed_at);
    let begun = ctx.decide(move |moment| async move {
        let (session, user) = permit.standing(ctx).await?;
        let event = |what| note(what).user(user.id).session(session.id);
        let password = ctx.app.store.get::<Password>(user.id).await?;
        // Of many that are looked at at once, none counts past the last that is left.
        let right = password.clone().filter(takes);
        let right = right.filter(|password| Some(password.changed_at) == chosen_at);
        let Some(right) = right else {
            let counted = password.filter(|_| is_judged).map(|seen| seen.with(Password::failed));
            let refusal = refuse(Problem::CredentialsWrong).and(counted.as_ref().map(Change::update));
            return Ok(refusal.note(&moment, event(What::PasswordWrong)));
        };
        let told = serde_json::json!({"operation": permit.operation, "factor": FactorKind::Password});
        let noted = event(What::SteppedUp).detail(told);
        let session = session.with(|session| {
            let proofs = session.proofs.clone();
            session.proofs = proofs.and_for(Some(&permit.operation), FactorKind::Password, moment.now);
        });
        let done = answer(Begun::Done).update(&session).require(&user).note(&moment, noted);
        Ok(match right.failures {
            0 => done.require(&right),
            _ => done.update(&right.with(|password| password.failures = 0)),
        })
    });
    let begun = begun.await?;
    limits::forgive_device(ctx, caller.session.id).await;
    Ok(begun)
}

async fn by_challenge(
    ctx: &Ctx,
    caller: &Caller,
    operation: &str,
    need: &Need,
    factors: &[Seen<Factor>],
    wanted: Option<FactorKind>,
) -> Result<Begun> {
    let kinds: Vec<FactorKind> =
        need.factors.iter().copied().filter(|kind| *kind != FactorKind::Password).collect();
    let may = !kinds.is_empty() && wanted.is_none_or(|wanted| kinds.contains(&wanted));
    if !may {
        // Only a password would do, or another factor than the wanted one.
        return Err(needed(Problem::StepUpRequired, operation, &need.factors, need.max_age));
    }
    let chosen = &choose(ctx, factors, &kinds, wanted, Guess::Usual, Sender::Device).await?;
    let permit = &Permit { operation: operation.to_owned(), caller: caller.clone() };
    let kinds = kinds.as_slice();
    let paid = || chosen.postage.iter().collect();
    limits::decide(ctx, paid, move |moment| async move {
        let (session, user) = permit.standing(ctx).await?;
        let ask = Ask {
            purpose: Purpose::StepUp,
            factor: chosen.factor,
            kind: chosen.kind,
            offered: kinds,
            identifier: chosen.target.as_deref(),
            step_up: Some((session.id, permit.operation())),
            proofs: policy::Proofs::default(),
            carry: session.carry,
            counts_from: user.sessions_from,
            locale: user.language(),
        };
        let (asked, message) = chosen.ask(ctx, ask, &moment);
        let view = asked.challenge.view(&asked.token, &ctx.policy.code);
        let decision =
            answer(Begun::Asked(Box::new(view))).insert(&asked.challenge).require(&session).require(&user);
        Ok(match &message {
            Some(message) => decision.insert(message).note(&moment, note(What::CodeSent).user(user.id)),
            None => decision,
        })
    })
    .await
}
