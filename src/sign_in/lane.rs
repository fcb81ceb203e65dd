//! By whose budget a password is counted.
//!
//! A stranger is counted by the address, for minutes by the identifier as it was typed, known here or not, and
//! for as long as a month by the account that it names. The first two are told (429), since they are the same
//! for everybody. The third is not: past it, a password is not looked at and is simply wrong, since whoever is
//! told that two names share a budget has learnt that they are one user. An unknown name has no third count:
//! nothing of it can be guessed, and what invented names leave behind must be gone before it fills the table.

use uuid::Uuid;

use crate::app::Ctx;
use crate::devices::Device;
use crate::error::{Problem, Result};
use crate::limits::{self, Limit};
use crate::store::Seen;

/// By whose budget a password is counted.
pub(super) enum Lane {
    /// By that of a device on which the user is known, and no other.
    Device(Box<Seen<Device>>),
    /// By that of the name and of what it names.
    Stranger { name: String, user: Option<Uuid> },
}

/// Counts a stranger's try by the address and by the name.
pub(super) async fn admit(ctx: &Ctx, name: &str) -> Result<()> {
    let by_name = [(Limit::SignInIdentifier, name)];
    limits::take_by_address_and(ctx, Limit::SignInAddress, &by_name).await
}

impl Lane {
    /// The lane of a try at `name`, which is `user`'s, from a known `device` or elsewhere.
    pub(super) fn of(name: String, user: Option<Uuid>, device: Option<Seen<Device>>) -> Self {
        match device {
            Some(device) => Self::Device(Box::new(device)),
            None => Self::Stranger { name, user },
        }
    }

    /// Counts a try; whether the password may be looked at.
    ///
    /// # Errors
    /// [`Problem::LimitReached`] on a known device.
    pub(super) async fn take(&self, ctx: &Ctx) -> Result<bool> {
        match self {
            Self::Device(device) => limits::take_by_device(ctx, device.id).await?,
            // Nobody has no password that could be guessed.
            Self::Stranger { user: None, .. } => {}
            Self::Stranger { user: Some(user), .. } => match limits::take_by_account(ctx, *user).await {
                Err(error) if error.problem == Problem::LimitReached => return Ok(false),
                other => other?,
            },
        }
        Ok(true)
    }

    /// The password was right. What wrong ones had used up of this lane is whole again, but for what
    /// others can see: of the name only this one try is put back. The address is not cleared at all.
    pub(super) async fn clear(&self, ctx: &Ctx) {
        match self {
            Self::Device(device) => limits::forgive_device(ctx, device.id).await,
            Self::Stranger { name, user } => {
                limits::put_back(ctx, Limit::SignInIdentifier, name).await;
                if let Some(user) = user {
                    limits::forgive(ctx, *user).await;
                }
            }
        }
    }

    /// Puts a try back at which nobody looked, since there was no room to hash: of the account too where it was
    /// `within` its budget. The address has asked all the same.
    pub(super) async fn put_back(&self, ctx: &Ctx, within: bool) {
        match self {
            Self::Device(device) => limits::put_back_by_device(ctx, device.id).await,
            Self::Stranger { name, user } => {
                limits::put_back(ctx, Limit::SignInIdentifier, name).await;
                if let Some(user) = user.filter(|_| within) {
                    limits::put_back_by_account(ctx, user).await;
                }
            }
        }
    }

    /// The device, when it is one.
    pub(super) fn device(&self) -> Option<&Seen<Device>> {
        match self {
            Self::Device(device) => Some(device),
            Self::Stranger { .. } => None,
        }
    }
}
