//! What messages and calls may cost, and where they go at all.
//!
//! Always holds: nothing that costs money is recorded before it was paid for from the day's money, of
//! all nodes and restarts together; so a day never costs more than `spending.day`, by the prices of the
//! table. A share of it is kept for the home country, and one for users who are known, so that nobody
//! else can spend it. What has no price, no country, or a price that its owner makes is not sent to.
//!
//! Contention: one row a day says how much was drawn. A process draws in lots of a few messages and
//! spends from memory, so that the row is not written with every message. What it drew and had not
//! spent when it ended counts as spent.

mod rules;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberType};

use crate::app::Ctx;
use crate::audit::{Noting, What, note};
use crate::clock::Timestamp;
use crate::config::Spending;
use crate::error::{Error, Problem, Result};
use crate::money::{Micros, UNIT, Way};
use crate::store::{answer, entity, refuse};

pub use rules::{Bounds, Payer};

entity! {
    /// What was drawn from one day's money, in millionths.
    pub struct Day in "spending" {
        /// The day in UTC, such as `2030-01-01`.
        day: String,
        /// For known users at home.
        home_known: i64,
        /// For strangers at home.
        home_strangers: i64,
        /// For known users elsewhere.
        abroad_known: i64,
        /// For strangers elsewhere.
        abroad_strangers: i64,
        /// When the operator was warned.
        warned_at: Option<Timestamp>,
        /// When something was not sent for the first time because it could not be paid for.
        stopped_at: Option<Timestamp>,
        /// When it is forgotten.
        expires_at: Timestamp,
    }
    expires expires_at;
}

/// Where something goes, and what it costs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// The country, ISO 3166-1.
    pub country: String,
    /// The number's block of a thousand: all but its last three digits.
    pub block: String,
    /// Whether it is abroad.
    pub abroad: bool,
    cost: Micros,
}

impl Destination {
    /// Reads where `to` is; none when it costs nothing: a mail.
    ///
    /// # Errors
    /// [`Problem::NumberNotServed`] for a number of a country that is not served, of no country or no
    /// known kind, or one whose owner is paid for being called or written to.
    pub fn of(ctx: &Ctx, to: &str, way: Way) -> Result<Option<Self>> {
        if !is_number(to) {
            return Ok(None);
        }
        let settings = &ctx.app.config.spending;
        let country = country(to).filter(|country| settings.serves(country));
        let country = country.ok_or(Problem::NumberNotServed)?;
        let mut block = to.to_owned();
        block.truncate(to.len().saturating_sub(3));
        let cost = ctx.app.rates.of(&country, way);
        Ok(Some(Self { abroad: !settings.is_home(&country), country, block, cost }))
    }
}

/// Whether `to` is a number (E.164), and no e-mail address, which may begin with `+` as well.
pub fn is_number(to: &str) -> bool {
    to.strip_prefix('+').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The country of a number whose price is its country's; none for all others.
fn country(number: &str) -> Option<String> {
    let util = &*PHONE_NUMBER_UTIL;
    let parsed = util.parse(number, None).ok()?;
    let has_own_price = matches!(
        util.get_number_type(&parsed),
        PhoneNumberType::PremiumRate
            | PhoneNumberType::SharedCost
            | PhoneNumberType::UAN
            | PhoneNumberType::Pager
            | PhoneNumberType::VoiceMail
            | PhoneNumberType::Unknown
    );
    // Those of calling code 1 cost what any number there costs.
    let is_personal =
        util.get_number_type(&parsed) == PhoneNumberType::PersonalNumber && !number.starts_with("+1");
    let region = util.get_region_for_number(&parsed)?.to_string();
    // Numbers of no country, such as satellite phones, are in 001, and are the dearest of all.
    (region.len() == 2 && !has_own_price && !is_personal).then_some(region)
}

/// How long a day's row is kept: to compare it with the provider's bill.
const KEPT: std::time::Duration = std::time::Duration::from_secs(400 * 24 * 60 * 60);

/// How many lots a day's money is drawn in: so many writes a day for each payer, and so much is lost
/// with a process that ends.
const LOTS: Micros = 500;

/// Pays for one message or call from the day's money. `known`: whether it is for a user who has shown a
/// password, and to a number that is known to be theirs.
///
/// # Errors
/// [`Problem::MessagesPaused`] when the day's money for such a payer is spent; the store's.
pub async fn pay(ctx: &Ctx, to: &Destination, known: bool) -> Result<()> {
    let (payer, cost) = (Payer::of(to.abroad, known), to.cost);
    let today = today(ctx);
    // One draw at a time: whoever waits here finds the lot that was drawn meanwhile.
    let mut purse = ctx.app.purse.lock().await;
    let left = purse.left(&today, payer.as_str());
    if left >= cost {
        purse.change(&today, payer.as_str(), 0, cost);
        return Ok(());
    }
    let drawn = draw(ctx, &today, payer, cost - left).await?;
    purse.change(&today, payer.as_str(), drawn, cost);
    Ok(())
}

/// Gives back what was paid for something that is not sent after all. Only to this process's lot: it was
/// drawn, and stays drawn.
pub async fn give_back(ctx: &Ctx, to: &Destination, known: bool) {
    let mut purse = ctx.app.purse.lock().await;
    purse.change(&today(ctx), Payer::of(to.abroad, known).as_str(), to.cost, 0);
}

/// Shows the figures how much of today's money is drawn, by all nodes together.
///
/// # Errors
/// The store's.
pub async fn show(ctx: &Ctx) -> Result<()> {
    let drawn = ctx.app.store.get::<Day>(today(ctx)).await?.map_or(0, |day| day.total());
    ctx.app.metrics.spent(drawn, Bounds::of(&ctx.app.config.spending).day);
    Ok(())
}

fn today(ctx: &Ctx) -> String {
    ctx.now.to_string().chars().take(10).collect()
}

async fn draw(ctx: &Ctx, today: &str, payer: Payer, least: Micros) -> Result<Micros> {
    let bounds = &Bounds::of(&ctx.app.config.spending);
    let wanted = least.max(bounds.day / LOTS);
    let drawn = ctx
        .decide(move |moment| async move {
            let seen = ctx.app.store.get::<Day>(today.to_owned()).await?;
            let mut day = match &seen {
                Some(seen) => Day::clone(seen),
                None => Day::begin(today, moment.now + KEPT),
            };
            let drawn = day.draw(payer, least, wanted, bounds);
            let detail = serde_json::json!({"day": today, "drawn": day.total(), "of": bounds.day});
            let Some(drawn) = drawn else {
                let refusal = refuse(paused(moment.now));
                if day.stopped_at.replace(moment.now).is_some() {
                    return Ok(refusal);
                }
                let stopped = note(What::SpendingStopped).detail(detail);
                return Ok(refusal.upsert(seen, day).note(&moment, stopped));
            };
            let warns = day.total() >= bounds.warn && day.warned_at.is_none();
            if warns {
                day.warned_at = Some(moment.now);
            }
            let total = day.total();
            let decision = answer((drawn, total, warns)).upsert(seen, day);
            Ok(match warns {
                true => decision.note(&moment, note(What::SpendingWarned).detail(detail)),
                false => decision,
            })
        })
        .await;
    let (drawn, total, warns) = match drawn {
        Ok(drawn) => drawn,
        Err(error) => {
            if error.problem == Problem::MessagesPaused {
                ctx.app.metrics.limit_reached("spending-day");
                tracing::warn!(payer = payer.as_str(), "the day's money for messages is spent");
            }
            return Err(error);
        }
    };
    ctx.app.metrics.spent(total, bounds.day);
    if warns {
        let percent = total.saturating_mul(100) / bounds.day.max(1);
        tracing::error!(percent, day = bounds.day / UNIT, "most of the day's money for messages is spent");
    }
    Ok(drawn)
}

/// The refusal of what cannot be paid for today.
fn paused(now: Timestamp) -> Error {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    let left = u64::try_from(DAY - now.as_millis().rem_euclid(DAY)).unwrap_or_default();
    Error::new(Problem::MessagesPaused).retry_after(std::time::Duration::from_millis(left))
}

impl Bounds {
    /// What the settings come to.
    pub fn of(settings: &Spending) -> Self {
        let day = Micros::from(settings.day) * UNIT;
        let share = |percent: u32| day * Micros::from(percent) / 100;
        Self {
            day,
            warn: share(settings.warn),
            home: share(settings.home_reserve),
            known: share(settings.known_reserve),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_a_price_of_its_country_or_is_not_served() {
        for (number, of) in [
            ("+12025550123", Some("US")),
            ("+18765550123", Some("JM")),
            ("+447400123456", Some("GB")),
            ("+4915123456789", Some("DE")),
            // Premium rate, shared cost, personal, satellite, nobody's.
            ("+19002345678", None),
            ("+449012345678", None),
            ("+448431234567", None),
            ("+447012345678", None),
            ("+881612345678", None),
            ("+882161234567", None),
            ("+12005550123", None),
            ("+999123456789", None),
            ("+", None),
        ] {
            assert_eq!(country(number).as_deref(), of, "{number}");
        }
    }
}
