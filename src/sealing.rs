//! Changing the sealing keys: what an old one still holds, and what lasts sealed anew under the first. Of peppers,
//! what each went into.
//!
//! Always holds: a record is changed only from what was seen, so whatever servers do meanwhile counts, and it
//! may be done again, or beside itself. What does not open stays as it is. What is short-lived is left to run
//! out.

use uuid::Uuid;

use crate::app::Ctx;
use crate::error::Result;
use crate::factors::Factor;
use crate::keys::SigningKey;
use crate::passwords::Password;
use crate::schema;
use crate::secret::Sealed;
use crate::store::sealed::{self, Holding, holdings};
use crate::store::{Change, Engine, Entity, Field, StoreError, answer};

/// How many records are read, and at most changed, at once: few enough that nobody waits behind them.
const PAGE: usize = 100;

/// How much of what each key holds, whether it is configured or not.
///
/// # Errors
/// The engine's.
pub async fn held(engine: &Engine) -> std::result::Result<Vec<Holding>, StoreError> {
    holdings(engine, &schema::tables()).await
}

/// How many passwords and sets of recovery codes each pepper went into, whether it is configured or not.
///
/// # Errors
/// The engine's.
pub async fn peppered(engine: &Engine) -> std::result::Result<Vec<Holding>, StoreError> {
    sealed::peppered(engine, &[(Password::table(), "phc"), (Factor::table(), "codes")]).await
}

/// Seals anew under the first key what lasts: the keys of authenticator apps, and those that sign access
/// tokens. Returns how many there were.
///
/// # Errors
/// The store's.
pub async fn reseal(ctx: &Ctx) -> Result<usize> {
    let apps =
        anew::<Factor>(ctx, |factor| Some((Factor::context(factor.id), factor.secret.as_mut()?))).await?;
    let signing =
        anew::<SigningKey>(ctx, |key| Some((SigningKey::context(key.id), &mut key.private))).await?;
    Ok(apps + signing)
}

/// What a record has sealed, and for what.
type Place<T> = fn(&mut T) -> Option<([String; 2], &mut Sealed)>;

async fn anew<T: Entity<Key = Uuid>>(ctx: &Ctx, place: Place<T>) -> Result<usize> {
    let (store, keyring) = (&ctx.app.store, &ctx.app.keyring);
    let newest = keyring.ids().next().unwrap_or_default();
    let (mut count, mut after) = (0, None);
    loop {
        let page = store.all(T::table(), after, PAGE).await?;
        let mut stale = Vec::new();
        for values in page.items {
            let mut record = T::from_values(values).map_err(StoreError::from)?;
            if place(&mut record).is_some_and(|(_, sealed)| sealed.key() != newest) {
                stale.push(Uuid::from_value(record.key()).map_err(StoreError::from)?);
            }
        }
        let stale = &stale;
        count += ctx
            .decide(move |_| async move {
                let mut changes = Vec::new();
                for id in stale.iter().copied() {
                    let Some(seen) = store.get::<T>(id).await? else { continue };
                    let mut is_anew = false;
                    let seen = seen.with(|record| {
                        let Some((context, sealed)) = place(record) else { return };
                        if let Some(fresh) = keyring.reseal(&context, sealed, &ctx.app.random) {
                            *sealed = fresh;
                            is_anew = true;
                        }
                    });
                    changes.extend(is_anew.then(|| Change::update(&seen)));
                }
                Ok(answer(changes.len()).and(changes))
            })
            .await?;
        match page.next {
            None => return Ok(count),
            next => after = next,
        }
    }
}
