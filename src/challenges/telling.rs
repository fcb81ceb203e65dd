//! What users are told with an answer: addressed and paid for before it is decided, and given back where the
//! answer comes to something else.

use tokio::sync::OnceCell;

use super::rules::{self, Case, Outcome};
use super::{Purpose, verifying};
use crate::app::{Ctx, Moment};
use crate::devices;
use crate::error::{Error, Result};
use crate::factors::Guess;
use crate::limits::Postage;
use crate::notices::{self, About, Notice, Notices};
use crate::store::Change;

/// The notices of what an answer may come to.
pub(super) struct Told {
    /// That an address or a number was changed.
    changed: Option<Notices>,
    /// That somebody signed in on a device that is not known.
    news: Option<Notices>,
    /// That a factor takes no more codes.
    locked: OnceCell<Notices>,
}

impl Told {
    /// Prepares what the right answer tells; `recovered`: whether `given` is a recovery code that is right.
    ///
    /// # Errors
    /// Those of [`verifying::notices`].
    pub async fn prepare(ctx: &Ctx, case: &Case, recovered: bool, given: &str) -> Result<Self> {
        let changed = verifying::notices(ctx, case, given).await?;
        let finishes = case.challenge.purpose == Purpose::SignIn && case.challenge.device_id.is_none();
        let news = match finishes && (recovered || case.judge(given, &ctx.moment()).is_some()) {
            true => devices::news(ctx, &case.user).await?,
            false => None,
        };
        Ok(Self { changed, news, locked: OnceCell::new() })
    }

    /// Prepares telling that a factor of `case` takes no more codes: once, since a guess cannot know beforehand
    /// whether it will be the last.
    ///
    /// # Errors
    /// The store's.
    pub async fn locks(&self, ctx: &Ctx, case: &Case) -> Result<()> {
        let prepare = || async {
            let what = match rules::guess(case.challenge.purpose) {
                Guess::Usual => Notice::FactorLocked,
                Guess::Recovery => Notice::RecoveryLocked,
            };
            let about = About::event(what, ctx.policy.notices.factor_locked).plain().once().may_be_left_out();
            notices::prepare(ctx, &case.user, about.besides(case.factor.identifier_id)).await
        };
        self.locked.get_or_try_init(prepare).await.map(drop)
    }

    /// What was paid for all of them.
    pub fn postage(&self) -> Vec<&Postage> {
        let all = [self.changed.as_ref(), self.news.as_ref(), self.locked.get()];
        all.into_iter().flatten().flat_map(Notices::postage).collect()
    }

    /// The messages of what the answer came to; whether it is the last guess that a factor takes.
    pub fn changes(
        &self,
        ctx: &Ctx,
        outcome: &Result<Outcome, Error>,
        is_last: bool,
        moment: &Moment,
    ) -> Vec<Change> {
        let told = match outcome {
            Ok(Outcome::SignedIn { device: Some(_), .. }) => self.news.as_ref(),
            Ok(Outcome::Verified { is_new: true }) => self.changed.as_ref(),
            Err(_) if is_last => self.locked.get(),
            _ => None,
        };
        told.map(|notices| notices.changes(ctx, moment)).unwrap_or_default()
    }
}
