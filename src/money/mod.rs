//! Money: what a message or a call costs, and what a process may still spend of what it drew.
//!
//! Always holds: amounts are whole millionths of the table's unit of money, so that sums are exact; a
//! price is never below what the table says.

use std::collections::BTreeMap;

/// Millionths of a unit of money.
pub type Micros = i64;

/// Millionths in one unit of money.
pub const UNIT: Micros = 1_000_000;

/// How something goes to a phone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// A text message.
    Text,
    /// A call.
    Call,
}

/// What one text message and one call cost, by country.
#[derive(Clone, Debug)]
pub struct Rates {
    countries: BTreeMap<String, (Micros, Micros)>,
    others: (Micros, Micros),
}

impl Rates {
    /// The operator's table at `path`, or the built-in one when there is no path.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn configured(path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Self::parse(include_str!("rates.csv"));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("spending.rates: {path} cannot be read: {error}"))?;
        Self::parse(&text).map_err(|fault| format!("spending.rates: {path}: {fault}"))
    }

    /// Reads lines `country,text,call`; `*` stands for every country that has no line, and must be there:
    /// what has no price could be sent without end.
    fn parse(text: &str) -> Result<Self, String> {
        let mut countries = BTreeMap::new();
        let lines = text.lines().map(str::trim).enumerate();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let wrong = || format!("line {}: `{line}` is not like `DE,0.12,0.30`", at + 1);
            let mut words = line.split(',').map(str::trim);
            let (Some(country), Some(text), Some(call), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(wrong());
            };
            if country == "country" {
                continue;
            }
            let named =
                country == "*" || country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
            let (Some(text), Some(call), true) = (price(text), price(call), named) else {
                return Err(wrong());
            };
            if countries.insert(country.to_owned(), (text, call)).is_some() {
                return Err(format!("line {}: {country} has a line already", at + 1));
            }
        }
        match countries.remove("*") {
            Some(others) => Ok(Self { countries, others }),
            None => Err("has no line `*`, the price for every other country".to_owned()),
        }
    }

    /// What one costs to a number of this country.
    pub fn of(&self, country: &str, way: Way) -> Micros {
        let (text, call) = self.countries.get(country).copied().unwrap_or(self.others);
        match way {
            Way::Text => text,
            Way::Call => call,
        }
    }
}

/// A price such as `0.0079`, above zero and with at most six decimals: a thing without a price would
/// have no bound.
fn price(text: &str) -> Option<Micros> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 4 || part.len() > 6 || !digits(whole) || !digits(part) {
        return None;
    }
    let part: Micros = format!("{part:0<6}").parse().ok()?;
    Some(whole.parse::<Micros>().ok()? * UNIT + part).filter(|price| *price > 0)
}

/// How many lots are held: those of the two newest days, so that a request that began before midnight neither
/// takes from the new day nor throws away what was drawn for it.
const HELD: usize = 8;

/// What this process has drawn from the money of each day and not spent yet, in as many lots as that is
/// divided into. It is lost when the process ends: a restart spends less, never more.
#[derive(Debug, Default)]
pub struct Purse(BTreeMap<(String, &'static str), Micros>);

impl Purse {
    /// What is left of a day's lot.
    pub fn left(&self, day: &str, lot: &'static str) -> Micros {
        self.0.get(&(day.to_owned(), lot)).copied().unwrap_or(0)
    }

    /// Adds what was drawn and takes what is spent.
    pub fn change(&mut self, day: &str, lot: &'static str, drawn: Micros, spent: Micros) {
        let left = self.0.entry((day.to_owned(), lot)).or_default();
        *left = (*left + drawn - spent).max(0);
        // Days of a clock that was ahead go first: they are the last ones.
        while self.0.len() > HELD {
            match self.0.keys().next().is_some_and(|(oldest, _)| oldest == day) {
                true => self.0.pop_last(),
                false => self.0.pop_first(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_a_clock_that_was_ahead_take_nothing_from_today() {
        let mut purse = Purse::default();
        for day in 1..=8 {
            purse.change(&format!("2031-01-0{day}"), "home", 100, 10);
        }
        purse.change("2030-01-01", "home", 100, 10);
        purse.change("2030-01-01", "home", 0, 10);
        assert_eq!(purse.left("2030-01-01", "home"), 80);
        purse.change("2030-01-02", "home", 100, 10);
        assert_eq!((purse.left("2030-01-02", "home"), purse.0.len()), (90, HELD));
    }

    #[test]
    fn the_built_in_table_has_a_price_for_everywhere() {
        let rates = Rates::configured("").unwrap();
        assert_eq!(rates.of("US", Way::Text), 20_000);
        assert_eq!(rates.of("DE", Way::Call), 120_000);
        assert_eq!(rates.of("TV", Way::Text), rates.of("??", Way::Text));
        assert!(rates.countries.len() > 130 && rates.of("TV", Way::Call) >= UNIT);
        assert!(rates.countries.values().all(|(text, call)| *text <= rates.others.0.max(UNIT) && *call > 0));
    }

    #[test]
    fn a_table_is_read_or_refused_with_its_line() {
        let rates = Rates::parse("# mine\n\n*, 1, 2\nDE,0.079,0.000001").unwrap();
        assert_eq!((rates.of("DE", Way::Text), rates.of("DE", Way::Call)), (79_000, 1));
        assert_eq!(rates.of("FR", Way::Text), UNIT);
        for (text, told) in [
            ("DE,1,1", "no line `*`"),
            ("*,1,1\nDE,1", "line 2"),
            ("*,1,1\nde,1,1", "line 2"),
            ("*,1,1\nDE,0,1", "line 2"),
            ("*,1,1\nDE,-1,1", "line 2"),
            ("*,1,1\nDE,1.0000001,1", "line 2"),
            ("*,1,1\nDE,1,1\nDE,1,1", "already"),
            ("*,1,1,1", "line 1"),
        ] {
            assert!(Rates::parse(text).unwrap_err().contains(told), "{text}");
        }
        assert!(Rates::configured("/nowhere/rates.csv").unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_purse_holds_what_was_drawn_today() {
        let mut purse = Purse::default();
        purse.change("2030-01-01", "home", 100, 30);
        assert_eq!((purse.left("2030-01-01", "home"), purse.left("2030-01-01", "abroad")), (70, 0));
        assert_eq!(purse.left("2030-01-02", "home"), 0);
        purse.change("2030-01-02", "home", 100, 10);
        // One that began before midnight.
        purse.change("2030-01-01", "home", 0, 20);
        assert_eq!((purse.left("2030-01-01", "home"), purse.left("2030-01-02", "home")), (50, 90));
        for day in 3..30 {
            purse.change(&format!("2030-01-{day:02}"), "home", 1, 0);
        }
        assert_eq!((purse.0.len(), purse.left("2030-01-02", "home")), (HELD, 0));
    }
}
