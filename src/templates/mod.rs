//! How the pages for people look: templates, one stylesheet, one script, and what an operator changes in them.
//!
//! Always holds: what a template is given is text and is escaped; nothing is loaded from another host,
//! and nothing is written into a page that its content policy would have to make an exception for. A
//! template of the operator's own is read at start, and what does not compile is refused there; one
//! that fails later gives way to the one built in, so that nobody stands before a closed door.

mod assets;

pub use assets::Asset;

use std::path::Path;

use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, context, escape_formatter};

use self::assets::Assets;
use crate::config::Pages;
use crate::text::escape_into;
use crate::words::{self, Locale, say};

/// The templates that are built in, by name.
const BUILT_IN: &[(&str, &str)] = &[
    ("layout.html", include_str!("html/layout.html")),
    ("card.html", include_str!("html/card.html")),
    ("account.html", include_str!("html/account.html")),
    ("form.html", include_str!("html/form.html")),
    ("say.html", include_str!("html/say.html")),
    ("error.html", include_str!("html/error.html")),
    ("sign-in.html", include_str!("html/sign-in.html")),
    ("sign-up.html", include_str!("html/sign-up.html")),
    ("code.html", include_str!("html/code.html")),
    ("step-up.html", include_str!("html/step-up.html")),
    ("recover.html", include_str!("html/recover.html")),
    ("profile.html", include_str!("html/profile.html")),
    ("change.html", include_str!("html/change.html")),
    ("security.html", include_str!("html/security.html")),
    ("password.html", include_str!("html/password.html")),
    ("totp.html", include_str!("html/totp.html")),
    ("recovery-codes.html", include_str!("html/recovery-codes.html")),
    ("devices.html", include_str!("html/devices.html")),
    ("activity.html", include_str!("html/activity.html")),
    ("data.html", include_str!("html/data.html")),
    ("console.html", include_str!("html/console.html")),
    ("console-parts.html", include_str!("html/console-parts.html")),
    ("console-overview.html", include_str!("html/console-overview.html")),
    ("console-messages.html", include_str!("html/console-messages.html")),
    ("console-message.html", include_str!("html/console-message.html")),
    ("console-calls.html", include_str!("html/console-calls.html")),
    ("console-call.html", include_str!("html/console-call.html")),
    ("console-events.html", include_str!("html/console-events.html")),
    ("console-policy.html", include_str!("html/console-policy.html")),
    ("console-limits.html", include_str!("html/console-limits.html")),
    ("console-keys.html", include_str!("html/console-keys.html")),
    ("console-users.html", include_str!("html/console-users.html")),
    ("console-user.html", include_str!("html/console-user.html")),
    ("console-user-new.html", include_str!("html/console-user-new.html")),
    ("deed.html", include_str!("html/deed.html")),
    ("organizations.html", include_str!("html/organizations.html")),
    ("organization.html", include_str!("html/organization.html")),
    ("console-audit.html", include_str!("html/console-audit.html")),
    ("console-data.html", include_str!("html/console-data.html")),
    ("console-rows.html", include_str!("html/console-rows.html")),
];

/// The templates and what goes with them.
pub struct Templates {
    /// With what the operator has changed, one for each language.
    changed: Vec<(Locale, Environment<'static>)>,
    /// As they are built in; none when nothing was changed.
    built_in: Vec<(Locale, Environment<'static>)>,
    assets: Assets,
}

impl Templates {
    /// Reads what the settings say. `host` stands in for a name.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn configured(pages: &Pages, host: &str) -> Result<Self, String> {
        let assets = Assets::configured(pages)?;
        let name = if pages.name.is_empty() { host } else { &pages.name };
        let mut base = Environment::new();
        // What a page is not given is nothing, however deep a template looks into it.
        base.set_undefined_behavior(UndefinedBehavior::Chainable);
        // As the default does, but for two things: nothing is written for nothing, and slashes stay as
        // they are, which makes addresses shorter and is harmless in quoted attributes.
        base.set_formatter(|out, state, value| match value.as_str() {
            Some(text) if !value.is_safe() && *state.auto_escape() == AutoEscape::Html => {
                Ok(escape_into(out, text)?)
            }
            _ if value.is_none() => Ok(()),
            _ => escape_formatter(out, state, value),
        });
        // Without scripts a time is read as it is written.
        base.add_filter("when", |time: Option<String>| time.map(|time| words::when(&time)));
        base.add_filter("known_as", |agent: Option<String>| words::known_as(agent.as_deref()));
        for (file, source) in BUILT_IN {
            base.add_template(file, source).map_err(|error| wrong(file, &error))?;
        }
        base.add_global("brand", context! { name, logo => assets.logo() });
        base.add_global("style", assets.style());
        base.add_global("console_style", assets.console());
        base.add_global("script", assets.script());
        base.add_global("console_script", assets.live());
        let own = read(&pages.templates)?;
        let is_changed = !own.is_empty();
        let built_in = if is_changed { spoken(&base) } else { Vec::new() };
        for (file, source) in own {
            base.add_template_owned(file.clone(), source).map_err(|error| wrong(&file, &error))?;
        }
        Ok(Self { changed: spoken(&base), built_in, assets })
    }

    /// The page that the template `file` makes of `given`.
    pub fn render(&self, locale: Locale, file: &str, given: Value) -> String {
        let render = |set: &[(Locale, Environment<'static>)]| {
            let (_, environment) = set.iter().find(|(known, _)| *known == locale)?;
            match environment.get_template(file).and_then(|template| template.render(given.clone())) {
                Ok(html) => Some(html),
                Err(error) => {
                    let line = error.line();
                    tracing::error!(file, line, %error, "a template failed");
                    None
                }
            }
        };
        render(&self.changed).or_else(|| render(&self.built_in)).unwrap_or_default()
    }

    /// A part of the pages by the name in its address.
    pub fn asset(&self, file: &str) -> Option<&Asset> {
        self.assets.get(file)
    }
}

/// The same templates in every language.
fn spoken(base: &Environment<'static>) -> Vec<(Locale, Environment<'static>)> {
    let speak = |locale: Locale| {
        let mut environment = base.clone();
        environment.add_global("lang", locale.as_str());
        environment.add_global("dir", locale.direction());
        // The console's pages are given one that carries the language along.
        environment.add_function("link", |path: String, _: Kwargs| path);
        environment.add_function("t", move |key: &str, places: Kwargs| translated(locale, key, &places));
        (locale, environment)
    };
    Locale::ALL.iter().copied().map(speak).collect()
}

/// `t("key", place=…)`
fn translated(locale: Locale, key: &str, places: &Kwargs) -> Result<String, minijinja::Error> {
    let mut given: Vec<(&str, words::Value<'_>)> = Vec::new();
    for name in places.args() {
        let value: Value = places.get(name)?;
        given.push((
            name,
            match i64::try_from(value.clone()) {
                Ok(number) if value.is_number() => number.into(),
                _ => value.to_string().into(),
            },
        ));
    }
    Ok(say(locale, key, &given))
}

/// The templates in a directory, by name.
fn read(directory: &str) -> Result<Vec<(String, String)>, String> {
    if directory.is_empty() {
        return Ok(Vec::new());
    }
    let unreadable =
        |error: std::io::Error| format!("pages.templates: `{directory}` cannot be read: {error}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(Path::new(directory)).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.starts_with('.') {
            continue;
        }
        if !BUILT_IN.iter().any(|(known, _)| *known == file) {
            return Err(format!("pages.templates: there is no template `{file}`{}", nearest(&file)));
        }
        found.push((file, std::fs::read_to_string(entry.path()).map_err(unreadable)?));
    }
    found.sort();
    Ok(found)
}

/// What was probably meant.
fn nearest(file: &str) -> String {
    let distance = |known: &str| strsim::damerau_levenshtein(known, file);
    let known = BUILT_IN.iter().map(|(known, _)| *known).min_by_key(|known| distance(known));
    match known.filter(|known| distance(known) <= 4) {
        Some(known) => format!("; did you mean `{known}`?"),
        None => {
            let all: Vec<_> = BUILT_IN.iter().map(|(known, _)| *known).collect();
            format!("; there are {}", all.join(", "))
        }
    }
}

fn wrong(file: &str, error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::SyntaxError, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    format!("pages.templates: `{file}`{line}: {what}")
}

#[cfg(test)]
mod tests;
