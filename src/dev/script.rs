//! What a TwiML document says, as far as the phone understands it: `Say`, `Pause`, `Gather`.

/// What a call says, as text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Script {
    /// The words; a pause is an ellipsis.
    pub text: String,
    /// Where a key press goes, when somebody listens for one.
    pub gather: Option<String>,
}

/// Reads a document; none when it is no TwiML.
pub fn read(document: &str) -> Option<Script> {
    let mut rest = document.trim_start();
    let mut script = Script::default();
    let mut says = false;
    let mut is_twiml = false;
    while let Some((text, after)) = rest.split_once('<') {
        if says {
            script.text.push_str(&unescape(text));
        }
        let (tag, after) = after.split_once('>')?;
        let name = tag.split([' ', '/', '\n']).find(|part| !part.is_empty()).unwrap_or_default();
        match (name, tag.starts_with('/')) {
            ("Response", _) => is_twiml = true,
            ("Say", opens) => {
                says = !opens && !tag.ends_with('/');
                if says && !script.text.is_empty() && !script.text.ends_with(' ') {
                    script.text.push(' ');
                }
            }
            ("Pause", _) => script.text.push_str(" … "),
            ("Gather", false) => script.gather = attribute(tag, "action"),
            _ => {}
        }
        rest = after;
    }
    script.text = script.text.split_whitespace().collect::<Vec<_>>().join(" ");
    is_twiml.then_some(script)
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| unescape(value))
}

fn unescape(text: &str) -> String {
    let named =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&amp;", "&")];
    named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The code that is spoken: the first run of four to ten single digits, with nothing between them
/// that is said.
pub fn code_in(text: &str) -> Option<String> {
    let mut run = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_digit() {
            let mut is_alone = true;
            while letters.next_if(char::is_ascii_digit).is_some() {
                is_alone = false;
            }
            if is_alone { run.push(letter) } else { run.clear() }
        } else if letter.is_alphanumeric() {
            if run.len() >= 4 {
                break;
            }
            run.clear();
        }
    }
    // It may be said twice without a word between.
    let half = run.split_at_checked(run.len() / 2).filter(|(one, two)| one == two && one.len() >= 4);
    let code = half.map_or(run.as_str(), |(one, _)| one);
    (4..=10).contains(&code.len()).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::twiml;

    #[test]
    fn what_is_said_is_read_back() {
        let text = "Tom & \"Jerry\" <3 isn't &lt;";
        assert_eq!(read(&twiml::say(text, "en-US")).unwrap().text, text);
        let gather = r#"<?xml version="1.0"?><Response><Gather numDigits="1" action="https://a.example/x?a=1&amp;b=2"><Say>Your code is</Say><Pause length="1"/><Say>1</Say><Say>2</Say></Gather></Response>"#;
        let script = read(gather).unwrap();
        assert_eq!(script.text, "Your code is … 1 2");
        assert_eq!(script.gather.as_deref(), Some("https://a.example/x?a=1&b=2"));
        assert_eq!(read("hello"), None);
        assert_eq!(read("<Response"), None);
    }

    #[test]
    fn a_spoken_code_is_found() {
        assert_eq!(
            code_in("Your code is 1, 2, 3, 4, 5, 6. Again: 1, 2, 3, 4, 5, 6.").as_deref(),
            Some("123456")
        );
        assert_eq!(code_in("Ihr Code … 1 2 3 4 5 6 … 1 2 3 4 5 6").as_deref(), Some("123456"));
        assert_eq!(
            code_in("コードは1, 2, 3, 4, 5, 6です。もう一度、1, 2, 3, 4, 5, 6です。").as_deref(),
            Some("123456")
        );
        assert_eq!(code_in("Your 127.0.0.1 code is: 1, 2, 3, 4, 5, 6. Once more").as_deref(), Some("123456"));
        assert_eq!(code_in("Your table for 4 is ready at 7"), None);
    }
}
