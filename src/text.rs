//! Text as people write it and as others read it. Knows nothing of what it says.

use std::fmt::{self, Write};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::error::FieldError;

/// One line for people: 1 to `most` characters, none of them a control character, without space around.
///
/// # Errors
/// What is wrong with the `field`.
pub fn line(field: &'static str, text: &str, most: usize) -> Result<String, FieldError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(FieldError::new(field, "too-short", "This is empty."));
    }
    if text.chars().count() > most {
        return Err(FieldError::new(field, "too-long", format!("This may have {most} characters at most.")));
    }
    if text.chars().any(char::is_control) {
        return Err(FieldError::new(field, "invalid", "Control characters are not allowed here."));
    }
    Ok(text.to_owned())
}

/// The beginning of what another program has said, `most` characters of it, to be kept and shown: without control
/// characters, of which PostgreSQL does not take U+0000.
pub fn short(text: &str, most: usize) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(most).collect()
}

/// The longest name of what people make: an organisation, a service account, a client.
const LONGEST_NAME: usize = 100;

/// What people call something that they made: a [`line()`] of at most 100 characters.
///
/// # Errors
/// What is wrong with the field `name`.
pub fn name(text: &str) -> Result<String, FieldError> {
    line("name", text, LONGEST_NAME)
}

/// What somebody is called: a [`line()`] of at most 200 characters.
///
/// # Errors
/// What is wrong with the field `name`.
pub fn called(text: &str) -> Result<String, FieldError> {
    line("name", text, 200)
}

/// A language tag by the shape of RFC 5646: letters and digits in groups of up to eight.
///
/// # Errors
/// What is wrong with the field `locale`.
pub fn locale(text: &str) -> Result<String, FieldError> {
    let shaped = text.len() <= 35
        && text.split('-').enumerate().all(|(at, group)| {
            (1..=8).contains(&group.len())
                && group.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && (at > 0 || (group.len() >= 2 && group.bytes().all(|byte| byte.is_ascii_alphabetic())))
        });
    if shaped {
        Ok(text.to_owned())
    } else {
        Err(FieldError::new("locale", "invalid", "This is not a language tag such as en or pt-BR."))
    }
}

/// Bytes as hexadecimal digits, in lower case.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

/// What [`hex`] wrote, in either case; none for anything else.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

/// Text that is harmless between tags and in quoted attributes, of HTML and of XML.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Writing to a string cannot fail.
    let _ = escape_into(&mut out, text);
    out
}

/// Writes what [`escape`] makes of `text`.
///
/// # Errors
/// Those of `out`.
pub fn escape_into(out: &mut impl Write, text: &str) -> fmt::Result {
    for piece in text.split_inclusive(['&', '<', '>', '"', '\'']) {
        let (plain, mark) = match piece.char_indices().next_back() {
            Some((at, '&')) => (piece.get(..at), "&amp;"),
            Some((at, '<')) => (piece.get(..at), "&lt;"),
            Some((at, '>')) => (piece.get(..at), "&gt;"),
            Some((at, '"')) => (piece.get(..at), "&quot;"),
            Some((at, '\'')) => (piece.get(..at), "&#39;"),
            _ => (Some(piece), ""),
        };
        out.write_str(plain.unwrap_or_default())?;
        out.write_str(mark)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_one_line_of_a_hundred_characters() {
        assert_eq!(name("  Ömer & Co.  ").unwrap(), "Ömer & Co.");
        assert_eq!(name(&"ö".repeat(100)).unwrap().chars().count(), 100);
        for (wrong, code) in
            [("", "too-short"), (" \t ", "too-short"), ("a\nb", "invalid"), ("a\0b", "invalid")]
        {
            assert_eq!(name(wrong).unwrap_err().code, code, "{wrong:?}");
        }
        assert_eq!(name(&"ö".repeat(101)).unwrap_err().code, "too-long");
    }

    proptest! {
        #[test]
        fn what_is_escaped_holds_no_mark_and_can_be_read_back(text in "\\PC*[&<>\"']*\\PC*") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
            let read = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            prop_assert_eq!(read.replace("&#39;", "'").replace("&amp;", "&"), text);
        }
    }
}
