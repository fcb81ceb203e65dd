//! Signing in with a password.

use std::convert::Infallible;
use std::time::Duration;

use uuid::Uuid;

use super::lane::{self, Lane};
use super::rules::{self, Opened, Opening, Standing};
use crate::accounts::{self, Status, User, UserView};
use crate::app::Ctx;
use crate::audit::Event;
use crate::challenges::{Ask, ChallengeView, Purpose, choose, verifying};
use crate::devices::{self, Brought, Device};
use crate::error::{Error, FieldError, Problem, Result};
use crate::factors::{Factor, Guess, Held};
use crate::identifiers::{self, Name};
use crate::limits::{self, Limit, Sender};
use crate::notices::Notices;
use crate::passwords::{self, GivenPassword, Password, Verdict};
use crate::policy::{FactorKind, Gate, IdentifierKind, Proofs, after_first_factor};
use crate::secret::Token;
use crate::sessions::{self, Carry, Session};
use crate::store::Seen;

/// What a sign-in came to, for the door to put into words.
pub enum SignedIn {
    /// A session was opened.
    Now {
        /// Whose.
        user: Box<UserView>,
        /// Which.
        session: Box<Session>,
        /// What the client shows from now on.
        token: Token,
        /// What it shows at its next sign-in, when the device was not known.
        device: Option<Token>,
    },
    /// A second factor is asked for.
    Asked(Box<ChallengeView>, Token),
    /// Nothing is opened before this is verified.
    Unverified(Box<ChallengeView>, Token),
}

/// Who wants to sign in.
pub enum Whom<'a> {
    /// Whoever is known by this name, of this kind where that was said.
    Named(&'a str, Option<IdentifierKind>),
    /// The owner of an account that was made a moment ago: what they gave for a name may be another's.
    New(Uuid),
}

/// Signs in with a password. `wanted` is the second factor that the user would like
/// to be asked for; `brought`, what the client has kept from before.
///
/// # Errors
/// [`Problem::CredentialsWrong`], the same for whatever is wrong; [`Problem::LimitReached`];
/// [`Problem::FactorLocked`] when no second factor takes codes any more; [`Problem::FactorMissing`] when one is asked
/// for and there is none, or not the `wanted` one;
/// [`Problem::Busy`] when more sign-ins wait than can be hashed in time.
pub async fn sign_in(
    ctx: &Ctx,
    whom: Whom<'_>,
    password: GivenPassword,
    wanted: Option<FactorKind>,
    carry: Carry,
    brought: &Brought,
) -> Result<SignedIn> {
    let (name, key) = match whom {
        Whom::Named(identifier, hint) => {
            let name = Name::guess(identifier, hint);
            let key = identifiers::key(name.as_ref(), identifier);
            (name, key)
        }
        Whom::New(user) => (None, format!("user:{user}")),
    };
    let shows_device = brought.device.is_some();
    if !shows_device {
        lane::admit(ctx, &key).await?;
    }
    let store = &ctx.app.store;
    let (mut user_id, is_claim) = match whom {
        Whom::Named(..) => {
            let known = identifiers::actions::find(ctx, name.as_ref()).await?;
            let is_claim = known.as_ref().is_some_and(|known| known.owned.is_none());
            (known.map(|identifier| identifier.user_id), is_claim)
        }
        Whom::New(user) => (Some(user), false),
    };
    // Nobody's id stands in for an unknown user's, so that both make the same look-ups.
    let mut user = store.get::<User>(user_id.unwrap_or_default()).await?;
    if let Some(name) = name.as_ref().filter(|_| is_claim)
        && user.as_ref().is_some_and(|user| user.status == Status::Deleted)
        && let Some(next) = accounts::first_living(ctx, name).await?
    {
        user_id = Some(next.id);
        user = Some(next);
    }
    let stored = store.get::<Password>(user_id.unwrap_or_default()).await?;
    let device = devices::known(ctx, brought.device.as_ref(), user.as_deref()).await?;
    if shows_device && device.is_none() {
        lane::admit(ctx, &key).await?;
    }
    let lane = Lane::of(key, user_id, device);
    let limits = &ctx.policy.limits;
    let takes = |stored: &Seen<Password>| stored.takes_guesses(limits, lane.device().is_some());
    let takes = &takes;
    let is_within = lane.take(ctx).await?;
    let is_judged = is_within && stored.as_ref().is_none_or(takes);

    // What is not judged costs what a wrong one costs.
    let compared = stored.as_ref().filter(|_| is_judged);
    let checked = passwords::check(ctx, compared, &password).await;
    if checked.as_ref().is_err_and(|error| error.problem == Problem::Busy) {
        lane.put_back(ctx, is_within).await;
    }
    let checked = checked?;
    let (Some(user), Some(stored), Verdict::Right { rehashed }) = (&user, compared, checked) else {
        // What goes on after that is no news of the user's, and is noted within the bounds of nobody's.
        let noted = user.as_deref().filter(|_| is_within);
        return refused(ctx, noted, is_judged, lane.device()).await;
    };
    if !user.is_active(ctx.now) {
        return refused(ctx, Some(user), false, None).await;
    }
    let (id, rehashed) = (user.id, rehashed.as_deref());
    let proofs = &Proofs::default().and(FactorKind::Password, ctx.now);
    let policy = &*ctx.policy;

    let (factors, held) = &accounts::held_with(ctx, user, true).await?;
    let device = lane.device();
    let is_trusted = device.is_some_and(|device| device.is_trusted(factors, &policy.devices, ctx.now));
    let gate = match after_first_factor(&policy.sign_in, &held.holder()) {
        Gate::Ask(_) if is_trusted => Gate::Open,
        gate => gate,
    };
    let signed_in = match gate {
        Gate::Open => {
            let known = identifiers::actions::of_user(ctx, id).await?;
            if let Some(lacking) = identifiers::lacking(&known, &policy.sign_up.verified) {
                let (challenge, token) = verifying::verify(ctx, id, lacking.id).await?;
                lane.clear(ctx).await;
                return Ok(SignedIn::Unverified(Box::new(challenge), token));
            }
            let news = match device {
                None => devices::news(ctx, user).await?,
                Some(_) => None,
            };
            let news = &news;
            let paid = || news.iter().flat_map(Notices::postage).collect();
            let opened = limits::decide(ctx, paid, move |moment| async move {
                let standing = standing(ctx, user, stored, rehashed, takes, moment.again).await?;
                // A factor that was bound meanwhile changed the user: what is seen here still stands
                // when the session is opened, or this is done again.
                let opens = |held: &Held| after_first_factor(&policy.sign_in, &held.holder()) == Gate::Open;
                let is_open = match standing.user.is_unchanged_since(user) {
                    true => opens(held),
                    false => opens(&accounts::held_with(ctx, &standing.user, true).await?.1),
                };
                if !is_trusted && !is_open {
                    return Err(Error::new(Problem::Busy).retry_after(Duration::from_secs(1)));
                }
                let device = devices::find(ctx, device.map(|device| device.id), &standing.user).await?;
                let trusted = |device: &Seen<Device>| device.is_trusted(factors, &policy.devices, moment.now);
                if is_trusted && !device.as_ref().is_some_and(trusted) {
                    return Err(Problem::CredentialsWrong.into());
                }
                let relied_on: &[Seen<Factor>] = if is_trusted { factors } else { &[] };
                let arrival = devices::arrive(device, &standing.user, None, &policy.devices, &moment);
                let leaving = sessions::making_room(ctx, id, carry, &brought.overwritten).await?;
                let opening = Opening { proofs: proofs.clone(), carry, arrival, leaving, relied_on };
                let told = news.as_ref().map(|news| news.changes(ctx, &moment)).unwrap_or_default();
                Ok(rules::open(&standing, opening, policy, &moment).and(told))
            });
            let Opened { user, session, token, device } = opened.await?;
            let user = UserView::new(&user, known.iter().map(|one| &**one));
            SignedIn::Now { user: Box::new(user), session: Box::new(session), token, device }
        }
        Gate::NoFactor if held.has_only_password() => return Err(none_to_show()),
        Gate::NoFactor => return Err(Problem::FactorLocked.into()),
        Gate::Ask(kinds) => {
            let sender = Sender::user(user.id, device.is_some());
            let chosen = &choose(ctx, factors, &kinds, wanted, Guess::Usual, sender).await?;
            let kinds = kinds.as_slice();
            let paid = || chosen.postage.iter().collect();
            let asked = limits::decide(ctx, paid, move |moment| async move {
                let standing = standing(ctx, user, stored, rehashed, takes, moment.again).await?;
                let ask = Ask {
                    purpose: Purpose::SignIn,
                    factor: chosen.factor,
                    kind: chosen.kind,
                    offered: kinds,
                    identifier: chosen.target.as_deref(),
                    step_up: None,
                    proofs: proofs.clone(),
                    carry,
                    counts_from: standing.user.sessions_from,
                    locale: standing.user.language(),
                };
                let (mut asked, message) = chosen.ask(ctx, ask, &moment);
                asked.challenge.device_id = device.map(|device| device.id);
                let outlived = device.filter(|device| device.outlives_trust(factors)).map(|device| device.id);
                let outlived = devices::find(ctx, outlived, &standing.user).await?.map(devices::distrust);
                Ok(rules::ask(&standing, asked, message.as_ref(), &moment).and(outlived))
            });
            let asked = asked.await?;
            SignedIn::Asked(Box::new(asked.challenge.view(&asked.token, &policy.code)), asked.token)
        }
    };
    lane.clear(ctx).await;
    Ok(signed_in)
}

/// A second factor is asked of somebody who has none: a role was given, or the policy changed.
fn none_to_show() -> Error {
    let sentence = "A second factor is asked of this account, and it has none: ask whoever looks after it.";
    let fields = vec![FieldError::new("factor", "none", sentence)];
    Error { fields, ..Error::new(Problem::FactorMissing).detail(sentence) }
}

/// The user and the password as they were seen or, when that was in vain, as they are now: with the password
/// that was checked. What was hashed anew meanwhile, by another sign-in, is the same password. One that `takes` no
/// guesses any more has not been guessed: of those that are looked at at once, no more count than are left.
async fn standing(
    ctx: &Ctx,
    user: &Seen<User>,
    verified: &Seen<Password>,
    rehashed: Option<&str>,
    takes: impl Fn(&Seen<Password>) -> bool,
    again: bool,
) -> Result<Standing> {
    let (user, password) = match again {
        // Nothing is opened unless they are still the same.
        false => (Some(user.clone()), Some(verified.clone())),
        true => {
            let user = ctx.app.store.get::<User>(user.id).await?;
            let password = ctx.app.store.get::<Password>(verified.user_id).await?;
            let is_same = |password: &Seen<Password>| password.changed_at == verified.changed_at;
            let password = password.filter(is_same).filter(takes);
            (user.filter(|user| user.is_active(ctx.now)), password)
        }
    };
    let (Some(user), Some(password)) = (user, password) else {
        return Err(Problem::CredentialsWrong.into());
    };
    let renewed = rehashed.filter(|_| password.phc == verified.phc);
    let is_changed = renewed.is_some() || password.failures > 0;
    let password = password.with(|password| {
        password.failures = 0;
        if let Some(phc) = renewed {
            phc.clone_into(&mut password.phc);
        }
    });
    Ok(Standing { user, password, is_changed })
}

/// Refuses, and remembers it: for a `user`, a judged guess with their password and on the `device`; for
/// nobody, and for whose guesses are used up, within bounds.
async fn refused(
    ctx: &Ctx,
    user: Option<&User>,
    is_judged: bool,
    device: Option<&Seen<Device>>,
) -> Result<SignedIn> {
    ctx.app.metrics.sign_in("failed");
    let turn = match user {
        None => limits::take(ctx, Limit::NoteUnknown, "").await.is_err(),
        Some(_) => false,
    };
    let refused: Result<Infallible> = ctx
        .decide(move |moment| async move {
            let store = &ctx.app.store;
            let Some(user) = user else {
                let slot = turn.then(|| rules::slot(&moment));
                let before = match slot {
                    Some(slot) => store.get::<Event>(slot).await?,
                    None => None,
                };
                return Ok(rules::failed_unknown(slot, before, &moment));
            };
            let password = match is_judged {
                true => store.get::<Password>(user.id).await?,
                false => None,
            };
            let device = devices::find(ctx, device.map(|device| device.id), user).await?;
            let limit = ctx.policy.limits.device_failures;
            let device = device.filter(|_| is_judged).map(|device| devices::failed(device, limit));
            Ok(rules::failed(user, password, device, &moment))
        })
        .await;
    // A failed sign-in has no other outcome than its refusal.
    match refused? {}
}
