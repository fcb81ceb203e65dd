//! Recognising, listing and forgetting devices.

use uuid::Uuid;

use super::Device;
use crate::accounts::User;
use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::error::{Problem, Result};
use crate::limits;
use crate::notices::{self, About, Notice, Notices};
use crate::secret::Token;
use crate::sessions::Caller;
use crate::store::{Cursor, Page, Query, Seen, answer};

/// The device that `token` names, when `user` is known on it. Nobody's device for nobody.
///
/// # Errors
/// The store's.
pub async fn known(ctx: &Ctx, token: Option<&Token>, user: Option<&User>) -> Result<Option<Seen<Device>>> {
    let Some(token) = token else { return Ok(None) };
    let device = ctx.app.store.get::<Device>(token.id).await?;
    let device = device.filter(|device| token.matches(&device.digest));
    Ok(device.filter(|device| user.is_some_and(|user| device.stands(user, ctx.now))))
}

/// The device `id`, when `user` is known on it.
///
/// # Errors
/// The store's.
pub async fn find(ctx: &Ctx, id: Option<Uuid>, user: &User) -> Result<Option<Seen<Device>>> {
    let Some(id) = id else { return Ok(None) };
    let device = ctx.app.store.get::<Device>(id).await?;
    Ok(device.filter(|device| device.stands(user, ctx.now)))
}

/// Whether `user` has signed in from the asker's address, on a device that is still known. Nobody has.
///
/// # Errors
/// The store's.
pub async fn is_known_place(ctx: &Ctx, user: Option<&User>) -> Result<bool> {
    // Nobody's id stands in for an unknown user's, so that both make the same look-up.
    let id = user.map(|user| user.id).unwrap_or_default();
    let newest = Query::<Device>::along(Device::BY_USER).equal(id).descending().limit(100);
    let devices = ctx.app.store.find(newest).await?.items;
    let is_here = |device: &Seen<Device>| {
        user.is_some_and(|user| device.stands(user, ctx.now))
            && device.address.as_deref().is_some_and(|address| limits::is_here(ctx, address))
    };
    Ok(devices.iter().any(is_here))
}

/// The notice of a sign-in from here, for the commit that opens the session on a device that is not
/// known: none at the first sign-in of all, none
/// when the policy wants none, and none where the same client has signed in from the same
/// address before and merely did not keep its token.
///
/// # Errors
/// The store's.
pub async fn news(ctx: &Ctx, user: &User) -> Result<Option<Notices>> {
    let store = &ctx.app.store;
    let address = ctx.client.as_ref().map(|client| client.address.to_string());
    let agent = ctx.client.as_ref().and_then(|client| client.user_agent.clone());
    let here = Query::<Device>::along(Device::BY_PLACE).equal(user.id).equal(address).equal(agent);
    let anywhere = Query::<Device>::along(Device::BY_USER).equal(user.id);
    // Devices are forgotten after a while, and all at once when all sessions end: who has none has signed
    // in before, unless the account is younger than that.
    let is_young =
        user.sessions_from <= user.created_at && ctx.now.apart(user.created_at) < *ctx.policy.devices.known;
    if store.first(here).await?.is_some() || is_young && store.first(anywhere).await?.is_none() {
        return Ok(None);
    }
    let about = About::event(Notice::NewDevice, ctx.policy.notices.new_device).may_be_left_out();
    notices::prepare(ctx, user, about).await.map(Some)
}

/// One's own devices, newest first.
///
/// # Errors
/// The store's.
pub async fn list(
    ctx: &Ctx,
    caller: &Caller,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<Seen<Device>>> {
    let query = Query::along(Device::BY_USER).equal(caller.user.id).descending().after(after).limit(limit);
    let mut page = ctx.app.store.find::<Device>(query).await?;
    page.items.retain(|device| device.stands(&caller.user, ctx.now));
    Ok(page)
}

/// Forgets one of one's own devices, and that it was trusted. Its sessions are ended as sessions.
///
/// # Errors
/// [`Problem::NotFound`] when there is none with that id among one's own.
pub async fn forget(ctx: &Ctx, caller: &Caller, id: Uuid) -> Result<()> {
    ctx.decide(move |moment| async move {
        let device = ctx.app.store.get::<Device>(id).await?;
        let Some(device) = device.filter(|device| device.user_id == caller.user.id) else {
            return Err(Problem::NotFound.into());
        };
        let forgotten = note(What::DeviceForgotten).user(caller.user.id).session(caller.session.id);
        Ok(answer(()).delete(&device).note(&moment, forgotten))
    })
    .await
}
