//! Passwords that are merely what the user or the service is known by (NIST SP 800-63B-4 §3.1.1.2: blocklists
//! hold "context-specific words, such as the name of the service, the username, and derivatives thereof").
//! Pure.
//!
//! The rule is about the whole: a password is refused when hardly anything remains of it without those
//! words. A passphrase that merely has one of them in it is as good as any other.

use unicode_normalization::UnicodeNormalization;

/// How many letters and digits must remain of a password without the words that stand close to it, such as
/// a year or a counter: with so few it is a derivative of those words.
const REMAINDER: usize = 4;

/// Shortest word that is looked for: shorter ones are in everything.
const SHORTEST: usize = 3;

/// Shortest end of a phone number that is looked for.
const DIGITS: usize = 6;

/// Most digits of a phone number (ITU-T E.164).
const E164: usize = 15;

/// How much is looked at of what somebody is known by: an e-mail address has no more characters, a name
/// hardly ever more parts.
const LOOKED_AT: usize = 254;
const PARTS: usize = 12;

/// The product's own name, which everybody tries first.
const PRODUCT: &str = "vestibule";

/// Whether hardly anything remains of the password when the service's name and host, and what the user is
/// known by, are taken out of it: in any capitals, whatever stands between, backwards, and with digits and
/// marks in place of letters.
pub(super) fn is_derived(text: &str, host: &str, own: &[&str]) -> bool {
    let words = words(host, own);
    [plain as fn(&str) -> String, unmasked].into_iter().any(|view| {
        let mut words: Vec<String> = words
            .iter()
            .flat_map(|word| [view(word), view(word).chars().rev().collect()])
            .filter(|word: &String| word.chars().count() >= SHORTEST)
            .collect();
        // Longest first, so that an address goes as a whole before its parts do.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.dedup();
        let whole = view(text);
        let rest = words.iter().fold(whole.clone(), |rest, word| rest.replace(word, " "));
        rest != whole && rest.chars().filter(|c| *c != ' ').count() <= REMAINDER
    })
}

/// The words that stand close to somebody, and those that zxcvbn should know of.
pub(super) fn words(host: &str, own: &[&str]) -> Vec<String> {
    let mut words = vec![PRODUCT.to_owned()];
    words.extend(name_of_host(host));
    for text in own {
        let text: String = text.chars().take(LOOKED_AT).collect();
        match text.rsplit_once('@') {
            Some((local, domain)) => {
                words.extend(parts(local));
                words.extend(name_of_host(domain));
            }
            None => words.extend(parts(&text)),
        }
        let digits: String = text.chars().filter(char::is_ascii_digit).take(E164).collect();
        if text.starts_with('+') {
            // With and without the country's code, the trunk's or the area's.
            words.extend(
                (0..digits.len().saturating_sub(DIGITS)).filter_map(|at| Some(digits.get(at..)?.into())),
            );
        }
        words.push(text);
    }
    words
}

/// The whole, and its parts between marks and spaces. Short numbers are in everything.
fn parts(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| {
        part.chars().count() >= SHORTEST && (part.len() >= DIGITS || !part.chars().all(char::is_numeric))
    });
    std::iter::once(text.to_owned()).chain(parts.take(PARTS).map(str::to_owned).collect::<Vec<_>>())
}

/// The whole, and its labels but for the last one, which says nothing.
fn name_of_host(host: &str) -> impl Iterator<Item = String> {
    parts(host.rsplit_once('.').map_or(host, |(name, _)| name)).chain([host.to_owned()])
}

/// Letters and digits alone, in NFC and small.
fn plain(text: &str) -> String {
    text.nfc().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

/// The same with every digit and mark as the letter that it may stand for; those that may stand for two
/// make the two one.
fn unmasked(text: &str) -> String {
    let letter = |c: char| match c {
        '0' => 'o',
        '1' | '!' | '|' | 'i' => 'l',
        '2' => 'z',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '6' | '9' => 'g',
        '7' | '+' => 't',
        '8' => 'b',
        c => c,
    };
    text.nfc().flat_map(char::to_lowercase).map(letter).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 4] =
        ["Alice.Liddell", "alice+shop@wonderland.example", "+12025550123", "Alice Pleasance Liddell"];

    fn derived(text: &str) -> bool {
        is_derived(text, "accounts.tea-party.example", &OWN)
    }

    #[test]
    fn what_is_merely_known_with_a_little_decoration_is_derived() {
        for text in [
            "alice.liddell",
            "Alice Liddell!",
            "a_l_i_c_e-liddell99",
            "AliceLiddell2030",
            "al1c3l1dd3ll",
            "@l!ce-L!ddell-99",
            "lleddilecila",
            "liddell, alice",
            "pleasance1",
            "alice@wonderland.example",
            "alice+shop@wonderland.example",
            "wonderland!!",
            "w0nd3rl4nd2030",
            "+1 (202) 555-0123",
            "202-555-0123",
            "5550123!!",
            "alice5550123",
            "vestibule-2030!",
            "V3stibul3",
            "accounts.tea-party.example",
            "teaparty2030",
            "tea party!",
            "AccountsVestibule",
        ] {
            assert!(derived(text), "{text}");
        }
    }

    #[test]
    fn what_merely_contains_it_is_not() {
        for text in [
            "alice through the looking glass",
            "gravel moss 12025550123",
            "my tea party has no cake",
            "wonderful examples of mine",
            "correct horse battery staple",
            "liddell-kq8#vL2x",
            "the vestibule is cold at night",
            "party of five",
            "comexample",
            "kq8#vL2xnW5z",
            "",
        ] {
            assert!(!derived(text), "{text}");
        }
    }

    #[test]
    fn nothing_that_somebody_is_known_by_makes_it_long_or_refuses_everybody() {
        let long = "ab cde ".repeat(20_000);
        let digits = format!("+{}", "1234567890".repeat(9_000));
        let marks = ["", "@", "+", "..@..", "a", "1.2.3.4", "\u{301}", long.as_str(), digits.as_str()];
        let start = std::time::Instant::now();
        for host in ["", ".", "localhost", "127.0.0.1", "accounts.example.com"] {
            for _ in 0..20 {
                assert!(!is_derived("kq8#vL2xnW5z moss lantern", host, &marks));
            }
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }
}
