//! Recovery codes: ten for a bad day, each good once.
//!
//! A code has 80 bits of chance (NIST SP 800-63B-4 §4.2.1.1 asks for 64). Below 112 bits a stored one
//! is hashed like a password (§3.1.2.2), which costs a hash a guess; so its first letter says which of
//! the ten it is, and only that one is looked at.

use serde::{Deserialize, Serialize};

use super::typed;
use crate::app::Moment;
use crate::secret::Secret;
use crate::store::json_field;

/// How many there are.
pub const COUNT: usize = 10;

/// Crockford's base 32: no I, L, O, U, so that nobody takes one letter for another.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters behind the first; five bits each.
const BODY: usize = 16;

/// The hashes of a user's codes, in order; none where one was used.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slots(pub Vec<Option<String>>);
json_field!(Slots);

impl Slots {
    /// How many are left.
    pub fn left(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// The hash in one slot.
    pub fn get(&self, slot: usize) -> Option<&str> {
        self.0.get(slot).and_then(|phc| phc.as_deref())
    }

    /// Empties a slot.
    pub fn spend(&mut self, slot: usize) {
        if let Some(phc) = self.0.get_mut(slot) {
            *phc = None;
        }
    }
}

fn letter(value: u8) -> char {
    LETTERS.get(usize::from(value & 31)).map_or('0', |letter| char::from(*letter))
}

/// Ten new codes, as they are shown: `7-BCDE-FGHJ-KMNP-QRST`.
pub fn make(moment: &Moment) -> Vec<Secret> {
    (0..COUNT)
        .map(|slot| {
            let chance = moment.seed.bytes::<BODY>(&format!("recovery code {slot}"));
            let mut code = letter(u8::try_from(slot).unwrap_or(0)).to_string();
            for (at, byte) in chance.into_iter().enumerate() {
                if at % 4 == 0 {
                    code.push('-');
                }
                code.push(letter(byte));
            }
            Secret::new(code)
        })
        .collect()
}

/// What somebody meant who typed a letter that is not there.
fn as_meant(typed: char) -> char {
    match typed.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    }
}

/// Reads a code as somebody typed it: which slot, and what is hashed.
pub fn read(given: &str) -> Option<(usize, Secret)> {
    let plain: String = typed(given).chars().map(as_meant).collect();
    let slot = LETTERS.iter().position(|letter| plain.starts_with(char::from(*letter)))?;
    let known = plain.bytes().all(|byte| LETTERS.contains(&byte));
    (known && slot < COUNT && plain.len() == BODY + 1).then(|| (slot, Secret::new(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::random::Random;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let moment = Moment::new(Timestamp::from_millis(0), Random::seeded(1).seed());
        let codes = make(&moment);
        assert_eq!(codes.len(), COUNT);
        for (at, code) in codes.iter().enumerate() {
            let shown = code.expose();
            let (slot, text) = read(shown).unwrap();
            assert_eq!(slot, at);
            let (_, again) = read(&format!(" {} ", shown.to_lowercase().replace('-', " "))).unwrap();
            assert_eq!(text.expose(), again.expose());
            assert_eq!(shown.len(), 1 + 4 * 5);
        }
        let first = codes[0].expose();
        for wrong in [
            "",
            "A",
            &first[1..],
            &format!("{first}2"),
            &first.replace(&first[2..3], "é"),
            "Z-2222-2222-2222-2222",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
