//! Binding factors, giving them names, taking them away.

use qrcode::QrCode;
use qrcode::render::svg;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::PENDING;
use super::rules::{self, Case};
use crate::accounts;
use crate::app::{Ctx, Moment};
use crate::clock::Timestamp;
use crate::devices;
use crate::error::{Error, Problem, Result};
use crate::factors::{self, Factor, FactorView, recovery_codes, totp};
use crate::identifiers;
use crate::limits::{self, Limit};
use crate::notices::{self, About, Notice, Notices};
use crate::passwords::Password;
use crate::policy::{FactorKind, IdentifierKind, operation};
use crate::sessions::Caller;
use crate::sessions::actions::{Scope, end_scope};
use crate::step_up::{self, Permit};
use crate::store::{Change, Decision, refuse};

/// An authenticator app that is being bound. What is secret here is shown once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TotpBegun")]
pub struct Begun {
    /// Names it when it is confirmed.
    pub id: Uuid,
    /// The key, in base 32, for apps that cannot read a picture.
    pub secret: String,
    /// The address that an app reads (the Key URI format).
    pub uri: String,
    /// The same as a QR code, as SVG.
    pub qr: String,
    /// Until when it can be confirmed.
    pub expires_at: Timestamp,
}

/// Recovery codes, shown once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecoveryCodes")]
pub struct Codes {
    /// What stands for them among the factors.
    pub factor: FactorView,
    /// The codes; each is good once.
    pub codes: Vec<String>,
}

/// What `permit` is about, as it is now, with the permit judged again: what a session must show depends
/// on what its user has.
async fn case(ctx: &Ctx, permit: &Permit) -> Result<Case> {
    let (session, user) = permit.standing(ctx).await?;
    step_up::permit(ctx, permit.caller(), permit.operation()).await?;
    let factors = factors::of_user(ctx, user.id).await?;
    let demanded = accounts::demanded(&ctx.policy.sign_in.second, &user).to_vec();
    let has_password = ctx.app.store.get::<Password>(user.id).await?.is_some();
    let device = devices::find(ctx, session.device_id, &user).await?;
    Ok(Case { session, user, factors, demanded, has_password, device })
}

/// Begins to bind an authenticator app; what was begun before is forgotten.
///
/// # Errors
/// Those of [`step_up::permit`]; [`Problem::Invalid`] for one factor too many and for what the policy
/// does not offer.
pub async fn begin_totp(ctx: &Ctx, caller: &Caller, name: Option<String>) -> Result<Begun> {
    let permit = &step_up::permit(ctx, caller, operation::FACTOR_ADD).await?;
    let user = accounts::view(ctx, &caller.user).await?;
    let account = user.username.or(user.email).or(user.mobile).unwrap_or_default();
    let (account, name) = (account.as_str(), &name);
    ctx.decide(move |moment| async move {
        let case = case(ctx, permit).await?;
        let key = Zeroizing::new(moment.seed.bytes::<{ totp::KEY }>("authenticator key"));
        let mut factor = Factor::new(&moment, case.user.id, FactorKind::Totp);
        let context = Factor::context(factor.id);
        factor.secret = Some(ctx.app.keyring.seal(&context, &*key, &ctx.app.random));
        factor.name.clone_from(name);
        let uri = totp::uri(&*key, ctx.app.origin.host(), account);
        let begun = Begun {
            id: factor.id,
            secret: totp::base32(&*key),
            qr: picture(&uri)?,
            uri,
            expires_at: factor.created_at + PENDING,
        };
        Ok(rules::begin(&case, &factor, &ctx.policy).map(|()| begun))
    })
    .await
}

/// `text` as a QR code in SVG.
fn picture(text: &str) -> Result<String> {
    let code = QrCode::new(text).map_err(Error::internal)?;
    Ok(code.render::<svg::Color>().min_dimensions(240, 240).build())
}

/// Binds the authenticator app that was begun as `id` and shows `code`.
///
/// # Errors
/// Those of [`step_up::permit`]; [`Problem::NotFound`] for what was not begun or too long ago;
/// [`Problem::CodeWrong`].
pub async fn confirm_totp(ctx: &Ctx, caller: &Caller, id: Uuid, code: &str) -> Result<FactorView> {
    let permit = &step_up::permit(ctx, caller, operation::FACTOR_ADD).await?;
    limits::take_by_address(ctx, Limit::CodeTryAddress).await?;
    let plain = factors::typed(code);
    let plain = plain.as_str();
    let judged = |told: Vec<Change>, moment: Moment| async move {
        let case = case(ctx, permit).await?;
        let Some(pending) = rules::begun(&case, id, &moment) else {
            return Ok(refuse(Problem::NotFound));
        };
        let key = open(ctx, &pending)?;
        let step = totp::accepts(&key, plain, None, moment.now);
        Ok::<_, Error>(rules::confirm(&case, pending, step, told, &ctx.policy, &moment))
    };
    bind(ctx, permit, judged).await
}

/// The key of an authenticator app.
fn open(ctx: &Ctx, factor: &Factor) -> Result<Zeroizing<Vec<u8>>> {
    let sealed =
        factor.secret.as_ref().ok_or_else(|| Error::internal("an authenticator app without a key"))?;
    ctx.app.keyring.must_open(&Factor::context(factor.id), sealed)
}

/// Who is told of what `permit` is for. Asked for when nothing else stands in the way: what is not
/// done uses up nobody's budget.
async fn told(ctx: &Ctx, permit: &Permit, what: Notice) -> Result<Notices> {
    notices::prepare(ctx, &permit.caller().user, About::operation(permit.operation(), what)).await
}

/// Makes a second factor of the caller's own number or address.
///
/// # Errors
/// Those of [`step_up::permit`]; [`Problem::Invalid`] when there is none that was shown to be the
/// user's own, or when the policy does not offer it.
pub async fn reach(ctx: &Ctx, caller: &Caller, kind: IdentifierKind) -> Result<FactorView> {
    let permit = &step_up::permit(ctx, caller, operation::FACTOR_ADD).await?;
    let judged = |told: Vec<Change>, moment: Moment| async move {
        let case = case(ctx, permit).await?;
        let known = identifiers::actions::of_user(ctx, case.user.id).await?;
        let mut verified = known.into_iter().filter(|one| one.verified_at.is_some());
        let Some(target) = verified.find(|one| one.kind == kind) else {
            return Ok(refuse(rules::unverified(kind)));
        };
        Ok::<_, Error>(rules::reach(&case, &target, told, &ctx.policy, &moment))
    };
    bind(ctx, permit, judged).await
}

/// Binds the factor that `judged` decides on, which is given the messages that tell of it.
async fn bind<F>(ctx: &Ctx, permit: &Permit, judged: impl Fn(Vec<Change>, Moment) -> F) -> Result<FactorView>
where
    F: Future<Output = Result<Decision<FactorView>>>,
{
    judged(Vec::new(), ctx.moment()).await?.outcome?;
    let told = &told(ctx, permit, Notice::FactorAdded).await?;
    let had_second = accounts::held(ctx, &permit.caller().user).await?.1.has_second();
    let paid = || told.postage();
    let bound = limits::decide(ctx, paid, |moment| judged(told.changes(ctx, &moment), moment)).await?;
    // The records of sessions that ended with the first second factor, also those that were opened in the same
    // instant.
    if !had_second {
        end_scope(ctx, permit.caller(), Scope::Others).await?;
    }
    Ok(bound)
}

/// Makes ten recovery codes, which end those before.
///
/// # Errors
/// Those of [`step_up::permit`]; [`Problem::FactorRequired`] for users who have no second factor;
/// [`Problem::LimitReached`]; [`Problem::Busy`].
pub async fn make_codes(ctx: &Ctx, caller: &Caller) -> Result<Codes> {
    let permit = &step_up::permit(ctx, caller, operation::RECOVERY_CODES_MAKE).await?;
    let moment = ctx.moment();
    let blank = Factor::new(&moment, caller.user.id, FactorKind::RecoveryCode);
    case(ctx, permit).await?.may_bind(&blank, &ctx.policy)?;
    // Ten hashes a time: as dear as ten sign-ins, and one after another, so that they wait like one.
    limits::take_by_device(ctx, caller.session.id).await?;
    let codes = recovery_codes::make(&moment);
    let mut hashed = Vec::with_capacity(codes.len());
    for code in &codes {
        let (_, plain) =
            recovery_codes::read(code.expose()).ok_or_else(|| Error::internal("a code is unreadable"))?;
        let one = ctx.app.hashing.hash(plain, ctx.app.random.bytes()).await;
        hashed.push(limits::looked_at(ctx, caller.session.id, one).await?);
    }
    let (hashed, told) = (&hashed, &told(ctx, permit, Notice::RecoveryCodesMade).await?);
    let paid = || told.postage();
    let factor = limits::decide(ctx, paid, move |moment| async move {
        let case = case(ctx, permit).await?;
        let told = told.changes(ctx, &moment);
        Ok(rules::make_codes(&case, hashed.clone(), told, &ctx.policy, &moment))
    })
    .await?;
    Ok(Codes { factor, codes: codes.iter().map(|code| code.expose().to_owned()).collect() })
}

/// Gives a factor another name.
///
/// # Errors
/// Those of [`step_up::permit`]; [`Problem::NotFound`].
pub async fn rename(ctx: &Ctx, caller: &Caller, id: Uuid, name: String) -> Result<FactorView> {
    let permit = &step_up::permit(ctx, caller, operation::FACTOR_RENAME).await?;
    let name = &name;
    ctx.decide(move |moment| async move {
        Ok(rules::rename(&case(ctx, permit).await?, id, name.clone(), &moment))
    })
    .await
}

/// Takes a factor away.
///
/// # Errors
/// Those of [`step_up::permit`]; [`Problem::NotFound`]; [`Problem::FactorRequired`] for the last one
/// where the policy demands one.
pub async fn remove(ctx: &Ctx, caller: &Caller, id: Uuid) -> Result<()> {
    let permit = &step_up::permit(ctx, caller, operation::FACTOR_REMOVE).await?;
    let judged = |told: Vec<Change>, moment: Moment| async move {
        Ok::<_, Error>(rules::remove(&case(ctx, permit).await?, id, told, &ctx.policy, &moment))
    };
    judged(Vec::new(), ctx.moment()).await?.outcome?;
    let told = &told(ctx, permit, Notice::FactorRemoved).await?;
    limits::decide(ctx, || told.postage(), |moment| judged(told.changes(ctx, &moment), moment)).await
}
