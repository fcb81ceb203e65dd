//! Who may draw how much: pure.

use super::Day;
use crate::clock::Timestamp;
use crate::money::Micros;
use crate::store::text_enum;

text_enum! {
    /// For whom money is spent.
    pub enum Payer {
        /// A known user at home.
        HomeKnown = "home_known",
        /// A stranger at home.
        HomeStranger = "home_stranger",
        /// A known user elsewhere.
        AbroadKnown = "abroad_known",
        /// A stranger elsewhere.
        AbroadStranger = "abroad_stranger",
    }
}

impl Payer {
    /// For a number there, of a known user or not.
    pub fn of(abroad: bool, known: bool) -> Self {
        match (abroad, known) {
            (false, true) => Self::HomeKnown,
            (false, false) => Self::HomeStranger,
            (true, true) => Self::AbroadKnown,
            (true, false) => Self::AbroadStranger,
        }
    }
}

/// How the day's money is divided, in millionths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// All of it.
    pub day: Micros,
    /// From where on the operator is warned.
    pub warn: Micros,
    /// What is kept for the home country.
    pub home: Micros,
    /// What is kept for known users; of what is for elsewhere, the same part.
    pub known: Micros,
}

impl Day {
    /// A day on which nothing was drawn yet.
    pub(super) fn begin(day: &str, expires_at: Timestamp) -> Self {
        Self {
            day: day.to_owned(),
            home_known: 0,
            home_strangers: 0,
            abroad_known: 0,
            abroad_strangers: 0,
            warned_at: None,
            stopped_at: None,
            expires_at,
        }
    }

    /// All that was drawn.
    pub fn total(&self) -> Micros {
        self.home_known + self.home_strangers + self.abroad_known + self.abroad_strangers
    }

    /// How much this payer may still draw.
    fn room(&self, payer: Payer, bounds: &Bounds) -> Micros {
        let Bounds { day, home, known, .. } = *bounds;
        let all = day - self.total();
        let abroad = (day - home) - (self.abroad_known + self.abroad_strangers);
        let strangers = (day - known) - (self.home_strangers + self.abroad_strangers);
        let part = i128::from(day - home) * i128::from(day - known) / i128::from(day.max(1));
        let strangers_abroad = Micros::try_from(part).unwrap_or(0) - self.abroad_strangers;
        match payer {
            Payer::HomeKnown => all,
            Payer::HomeStranger => all.min(strangers),
            Payer::AbroadKnown => all.min(abroad),
            Payer::AbroadStranger => all.min(strangers_abroad).min(abroad).min(strangers),
        }
    }

    /// Draws what is `wanted`, or what there is when that is at least the `least`; none when it is not.
    pub(super) fn draw(
        &mut self,
        payer: Payer,
        least: Micros,
        wanted: Micros,
        bounds: &Bounds,
    ) -> Option<Micros> {
        let drawn = Some(self.room(payer, bounds).min(wanted)).filter(|drawn| *drawn >= least)?;
        *match payer {
            Payer::HomeKnown => &mut self.home_known,
            Payer::HomeStranger => &mut self.home_strangers,
            Payer::AbroadKnown => &mut self.abroad_known,
            Payer::AbroadStranger => &mut self.abroad_strangers,
        } += drawn;
        Some(drawn)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begun() -> Day {
        Day::begin("2030-01-01", Timestamp::from_millis(0))
    }

    const BOUNDS: Bounds = Bounds { day: 1_000, warn: 800, home: 500, known: 300 };

    fn drain(day: &mut Day, payer: Payer) -> Micros {
        std::iter::from_fn(|| day.draw(payer, 1, 7, &BOUNDS)).sum()
    }

    #[test]
    fn who_is_elsewhere_or_unknown_leaves_what_is_kept_for_others() {
        let mut day = begun();
        assert_eq!(drain(&mut day, Payer::AbroadStranger), 350);
        assert_eq!(
            drain(&mut day, Payer::AbroadKnown),
            150,
            "what is kept for the known, of what is for elsewhere"
        );
        assert_eq!(drain(&mut day, Payer::HomeStranger), 350);
        assert_eq!(drain(&mut day, Payer::HomeKnown), 150);
        assert_eq!(day.total(), 1_000);

        let mut day = begun();
        assert_eq!(drain(&mut day, Payer::HomeStranger), 700);
        assert_eq!(drain(&mut day, Payer::AbroadStranger), 0);
        assert_eq!(drain(&mut day, Payer::HomeKnown), 300);
    }

    #[test]
    fn less_than_needed_is_not_drawn() {
        let mut day = begun();
        assert_eq!(day.draw(Payer::HomeKnown, 995, 995, &BOUNDS), Some(995));
        assert_eq!(day.draw(Payer::HomeKnown, 6, 10, &BOUNDS), None);
        assert_eq!(day.draw(Payer::HomeKnown, 5, 10, &BOUNDS), Some(5));
        let none = Bounds { day: 0, warn: 0, home: 0, known: 0 };
        assert_eq!(begun().draw(Payer::HomeKnown, 1, 1, &none), None);
    }

    proptest! {
        #[test]
        fn no_order_of_draws_overspends(draws in prop::collection::vec((0_usize..4, 1_i64..90), 0..200)) {
            let mut day = begun();
            for (payer, least) in draws {
                day.draw(Payer::ALL[payer], least, least + 10, &BOUNDS);
            }
            prop_assert!(day.total() <= BOUNDS.day);
            prop_assert!(day.abroad_known + day.abroad_strangers <= BOUNDS.day - BOUNDS.home);
            prop_assert!(day.home_strangers + day.abroad_strangers <= BOUNDS.day - BOUNDS.known);
        }
    }
}
