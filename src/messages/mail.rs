//! What a mail looks like: a few kinds of blocks, once as text and once as HTML.
//!
//! Always holds: a block holds plain text, and only [`Page::html`] makes HTML of it, escaping all of
//! it. So nothing that a person chose – a name, what a browser calls itself – can be markup.

use std::fmt::Write as _;

use crate::text;
use crate::words::Locale;

/// A mail, from top to bottom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// A part of a mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Block {
    /// Some sentences.
    Text(String),
    /// Less important sentences.
    Small(String),
    /// A code, to be read and typed.
    Code(String),
    /// Names and what stands beside them.
    Facts(Vec<(String, String)>),
    /// Something to press.
    Link {
        /// What it says.
        label: String,
        /// Where it leads: built from the origin, and nothing else.
        url: String,
    },
}

impl Page {
    /// The mail as text.
    pub fn text(&self) -> String {
        let blocks: Vec<String> = self
            .blocks
            .iter()
            .map(|block| match block {
                Block::Text(text) | Block::Small(text) => one_line(text),
                Block::Code(code) => format!("    {}", one_line(code)),
                Block::Facts(facts) => {
                    let lines: Vec<String> =
                        facts.iter().map(|(name, value)| one_line(&format!("{name}: {value}"))).collect();
                    lines.join("\n")
                }
                Block::Link { label, url } => format!("{}: {}", one_line(label), one_line(url)),
            })
            .collect();
        blocks.join("\n\n") + "\n"
    }

    /// The mail as HTML, without anything that is fetched from elsewhere.
    pub fn html(&self, locale: Locale) -> String {
        let mut html = format!(
            "<!doctype html>\n<html lang=\"{locale}\" dir=\"{}\">\n<head><meta charset=\"utf-8\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title></head>\n\
             <body style=\"font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:0 auto;padding:1.5em\">\n",
            locale.direction(),
            escape(&self.subject)
        );
        for block in &self.blocks {
            // Writing to a string cannot fail.
            let _ = match block {
                Block::Text(text) => writeln!(html, "<p>{}</p>", escape(text)),
                Block::Small(text) => {
                    writeln!(html, "<p style=\"font-size:14px;opacity:.75\">{}</p>", escape(text))
                }
                Block::Code(code) => writeln!(
                    html,
                    "<p style=\"font:bold 28px/1.2 ui-monospace,monospace;letter-spacing:.15em\"><bdi>{}</bdi></p>",
                    escape(code)
                ),
                Block::Facts(facts) => {
                    let rows: String = facts
                        .iter()
                        .map(|(name, value)| {
                            let cell = "style=\"text-align:start;vertical-align:top;padding:2px 12px 2px 0\"";
                            let (name, value) = (escape(name), escape(value));
                            format!("<tr><th scope=\"row\" {cell}>{name}</th><td {cell}><bdi>{value}</bdi></td></tr>\n")
                        })
                        .collect();
                    writeln!(html, "<table style=\"border-collapse:collapse\">\n{rows}</table>")
                }
                Block::Link { label, url } => writeln!(
                    html,
                    "<p><a href=\"{0}\" style=\"display:inline-block;padding:10px 18px;border-radius:6px;\
                     background:#1a4fd0;color:#fff;text-decoration:none\">{1}</a></p>\n\
                     <p style=\"font-size:14px;opacity:.75;overflow-wrap:anywhere\"><bdi>{0}</bdi></p>",
                    escape(url),
                    escape(label)
                ),
            };
        }
        html.push_str("</body>\n</html>\n");
        html
    }
}

/// What cannot be seen, or would begin a line of its own, becomes a space.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// One line that is harmless between tags and in quoted attributes.
fn escape(text: &str) -> String {
    text::escape(&one_line(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(text: &str) -> Page {
        let text = text.to_owned();
        Page {
            subject: text.clone(),
            blocks: vec![
                Block::Text(text.clone()),
                Block::Small(text.clone()),
                Block::Code(text.clone()),
                Block::Facts(vec![(text.clone(), text.clone())]),
                Block::Link { label: text.clone(), url: text },
            ],
        }
    }

    proptest! {
        #[test]
        fn nothing_in_a_block_is_ever_markup_or_a_new_line(text in "[ -~\\r\\n\\u{85}\\u{2028}é<>&\"']{0,40}") {
            let (empty, full) = (page(""), page(&text));
            let signs = |html: &str, sign: char| html.chars().filter(|letter| *letter == sign).count();
            for sign in ['<', '>', '"', '\'', '\n'] {
                prop_assert_eq!(signs(&empty.html(Locale::En), sign), signs(&full.html(Locale::En), sign));
            }
            prop_assert_eq!(empty.text().lines().count(), full.text().lines().count());
        }
    }
}
