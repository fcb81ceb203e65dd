//! Pages for people whose link or forgotten password brings them here: server-made, without scripts.
//!
//! Always holds: reading a page changes nothing, whoever reads it – programs that look into mails open
//! every link; what changes something is a form that a person sends from one of these pages. A block
//! holds plain text, and only `Page::html` makes HTML of it, escaping all of it.

pub mod invitation;
pub mod links;
pub mod recovery;

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::{Error, Problem};
use crate::words::{Locale, say};

/// A page, from top to bottom.
pub struct Page {
    locale: Locale,
    title: String,
    blocks: Vec<Block>,
}

/// A part of a page.
enum Block {
    /// Some sentences.
    Text(String),
    /// Why what was sent did not work.
    Alert(String),
    /// A form of this server.
    Form(Form),
    /// A link to another page of this server: its path, and what it says.
    Link(&'static str, String),
}

/// A form that is sent to `action`.
pub struct Form {
    action: &'static str,
    hidden: Vec<(&'static str, String)>,
    fields: Vec<Field>,
    button: String,
}

/// A line to fill in.
struct Field {
    name: &'static str,
    label: String,
    /// What it is, in the words of HTML: `type`, and `autocomplete` (which also lets phones fill codes in).
    kind: [&'static str; 2],
}

impl Page {
    /// An empty page; `title` names its words.
    pub fn new(locale: Locale, title: &str) -> Self {
        Self { locale, title: say(locale, title, &[]), blocks: Vec::new() }
    }

    /// Says the words of `key`.
    #[must_use]
    pub fn says(mut self, key: &str) -> Self {
        self.blocks.push(Block::Text(say(self.locale, key, &[])));
        self
    }

    /// Says why what was sent did not work, when it did not.
    #[must_use]
    pub fn fails(mut self, error: Option<&Error>) -> Self {
        let sentence = |error: &Error| match (error.fields.first(), &error.detail) {
            (Some(field), _) => field.message.clone().into_owned(),
            (None, Some(detail)) => detail.clone().into_owned(),
            (None, None) => error.problem.title().to_owned(),
        };
        self.blocks.extend(error.map(|error| Block::Alert(sentence(error))));
        self
    }

    /// Holds a form.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.blocks.push(Block::Form(form));
        self
    }

    /// Leads to another page.
    #[must_use]
    pub fn link(mut self, path: &'static str, key: &str) -> Self {
        self.blocks.push(Block::Link(path, say(self.locale, key, &[])));
        self
    }

    fn html(&self) -> String {
        let (locale, title) = (self.locale, escape(&self.title));
        let mut html = format!(
            r#"<!doctype html>
<html lang="{locale}" dir="{}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/page.css">
</head>
<body class="narrow">
<main>
<h1>{title}</h1>
"#,
            locale.direction()
        );
        for block in &self.blocks {
            // Writing to a string cannot fail.
            let _ = match block {
                Block::Text(text) => writeln!(html, "<p>{}</p>", escape(text)),
                Block::Alert(text) => writeln!(html, r#"<p class="alert" role="alert">{}</p>"#, escape(text)),
                Block::Link(path, text) => {
                    writeln!(html, r#"<p><a href="{}">{}</a></p>"#, escape(path), escape(text))
                }
                Block::Form(form) => writeln!(html, "{}", form.html()),
            };
        }
        html.push_str("</main>\n</body>\n</html>\n");
        html
    }

    /// The page as an answer; with the status of `error`, when there was one.
    pub fn answer(self, error: Option<&Error>) -> Response {
        let status = error.map_or(200, |error| error.problem.status());
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Html(self.html())).into_response()
    }
}

impl Form {
    /// A form for `action`, sent by the button that says the words of `button`.
    pub fn new(locale: Locale, action: &'static str, button: &str) -> Self {
        Self { action, hidden: Vec::new(), fields: Vec::new(), button: say(locale, button, &[]) }
    }

    /// Carries a value along.
    #[must_use]
    pub fn carries(mut self, name: &'static str, value: &str) -> Self {
        self.hidden.push((name, value.to_owned()));
        self
    }

    /// Asks for a line; `kind` is HTML's `type` and `autocomplete`.
    #[must_use]
    pub fn asks(mut self, locale: Locale, name: &'static str, label: &str, kind: [&'static str; 2]) -> Self {
        self.fields.push(Field { name, label: say(locale, label, &[]), kind });
        self
    }

    fn html(&self) -> String {
        let mut html = format!("<form method=\"post\" action=\"{}\">\n", escape(self.action));
        for (name, value) in &self.hidden {
            let _ = writeln!(html, r#"<input type="hidden" name="{name}" value="{}">"#, escape(value));
        }
        for Field { name, label, kind: [kind, fills] } in &self.fields {
            let _ = writeln!(
                html,
                r#"<label for="{name}">{}</label><input id="{name}" name="{name}" type="{kind}" autocomplete="{fills}" required>"#,
                escape(label)
            );
        }
        let _ = writeln!(html, "<button type=\"submit\">{}</button>\n</form>", escape(&self.button));
        html
    }
}

/// Makes text harmless between tags and in quoted attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
        out
    })
}

/// The language of a page: what the browser asks for.
fn locale(headers: &HeaderMap) -> Locale {
    Locale::choose(None, headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}

/// What a form sent.
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Sent<T> {
    type Rejection = Error;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Error> {
        // The reader's own words may repeat what was typed.
        match axum::Form::from_request(request, app).await {
            Ok(axum::Form(sent)) => Ok(Self(sent)),
            Err(_) => Err(Problem::MalformedBody.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_page_is_given_is_text() {
        let evil = "\"><script>alert(1)</script>'&";
        let form = Form::new(Locale::En, "/x", "code-link-label").carries("token", evil);
        let error = Error::new(Problem::Invalid).detail(evil);
        let html = Page::new(Locale::Ar, "code-link-label").fails(Some(&error)).form(form).html();
        assert!(!html.contains("<script") && !html.contains("\">'") && html.contains("&quot;&gt;&lt;script"));
        assert!(html.contains(r#"lang="ar" dir="rtl""#), "{html}");
    }
}
