//! Today's hashes as text: `$argon2id$v=19$m=19456,t=2,p=1$salt$tag`, with a pepper
//! `$argon2id$v=19$m=19456,t=2,p=1,keyid=…$salt$tag`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::engine::{Cost, TAG};

/// A hash, its salt and what it cost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Phc {
    pub cost: Cost,
    /// The name of the pepper that went in as Argon2's secret.
    pub pepper: Option<String>,
    pub salt: Vec<u8>,
    pub tag: Vec<u8>,
}

impl Phc {
    /// Reads a PHC string; none when it is another algorithm or version, malformed, or asks for more
    /// than the bounds.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$argon2id$v=19$")?.split('$');
        let (cost, salt, tag) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let mut numbers = cost.split(',');
        let mut number =
            |name: &str| numbers.next()?.strip_prefix(name)?.strip_prefix('=')?.parse::<u32>().ok();
        let cost = Cost { memory_kib: number("m")?, passes: number("t")?, lanes: number("p")? };
        let pepper = match numbers.next() {
            None => None,
            Some(id) => {
                let id = STANDARD_NO_PAD.decode(id.strip_prefix("keyid=")?).ok()?;
                Some(String::from_utf8(id).ok().filter(|id| (1..=16).contains(&id.len()))?)
            }
        };
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        let tag = STANDARD_NO_PAD.decode(tag).ok()?;
        (cost.is_bounded() && numbers.next().is_none() && (8..=64).contains(&salt.len()) && tag.len() == TAG)
            .then_some(Self { cost, pepper, salt, tag })
    }
}

impl fmt::Display for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let (salt, tag) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(&self.tag));
        write!(f, "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}")?;
        if let Some(pepper) = &self.pepper {
            write!(f, ",keyid={}", STANDARD_NO_PAD.encode(pepper))?;
        }
        write!(f, "${salt}${tag}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_absurd_costs_are_refused() {
        let cost = Cost { memory_kib: 19_456, passes: 2, lanes: 1 };
        let phc = Phc { cost, pepper: Some("2030-01-01".into()), salt: vec![7; 16], tag: vec![9; 32] };
        let text = phc.to_string();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1,keyid=MjAzMC0wMS0wMQ$"), "{text}");
        assert_eq!(Phc::parse(&text), Some(phc.clone()));
        let phc = Phc { pepper: None, ..phc };
        let text = phc.to_string();
        assert_eq!(Phc::parse(&text), Some(phc));
        for (from, to) in [
            ("m=19456", "m=4194304"),
            ("m=19456", "m=0"),
            ("m=19456", "m=-1"),
            ("t=2", "t=4000000"),
            ("t=2", "t=0"),
            ("p=1", "p=255"),
            ("p=1", "p=0"),
            ("p=1", "p=1,x=1"),
            ("p=1", "p=1,keyid="),
            ("p=1", "p=1,keyid=!"),
            ("p=1", "p=1,keyid=YQ,keyid=YQ"),
            ("m=19456,t=2", "m=262144,t=17"),
            ("v=19", "v=16"),
            ("argon2id", "argon2i"),
            ("$m", "$$m"),
            ("BwcH", "B!cH"),
        ] {
            assert_eq!(Phc::parse(&text.replacen(from, to, 1)), None, "{to}");
        }
        assert_eq!(Phc::parse(&format!("{text}$")), None);
        assert_eq!(Phc::parse(""), None);
    }
}
