//! How the house runs: its policy, its limits and what waits, its keys.

use axum::Json;
use axum::response::Response;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Deserialize;
use uuid::Uuid;

use super::{Desk, grouped, typed};
use crate::administration::api::{self, Shown, Simulate, Simulated, views};
use crate::error::{Problem, Result};
use crate::http::extract::{Body, Search};
use crate::policy::FactorKind;

/// `GET /console/keys`
pub async fn keys(desk: Desk) -> Result<Response> {
    let Json(keys) = views::keys(desk.ctx.clone(), desk.caller.clone()).await?;
    let title = desk.visit.say("console-keys");
    Ok(desk.shows("console-keys.html", &title, context! { ..Value::from(Serde(&keys)) }))
}

/// `GET /console/limits`
pub async fn limits(desk: Desk) -> Result<Response> {
    let (ctx, caller) = (&desk.ctx, &desk.caller);
    let Json(limits) = views::limits(ctx.clone(), caller.clone()).await?;
    let Json(queues) = views::queues(ctx.clone(), caller.clone()).await?;
    let limits = limits.items.iter().map(|one| {
        context! {
            name => one.name.as_str(), limit => grouped(one.limit), window => span(one.window),
            refused => grouped(one.refused), refuses => one.refused > 0,
        }
    });
    let queues = queues.items.iter().map(|one| {
        let waiting = format!("{}{}", grouped(one.waiting), if one.more { "+" } else { "" });
        let is_bad = one.name == "dead-events" && one.waiting > 0;
        context! { name => one.name, waiting, since => one.since.map(|at| at.to_string()), is_bad }
    });
    let given = context! { limits => limits.collect::<Vec<_>>(), queues => queues.collect::<Vec<_>>() };
    Ok(desk.shows("console-limits.html", &desk.visit.say("console-limits"), given))
}

/// A span of time by the signs that every language reads.
fn span(seconds: u64) -> String {
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "min"), (1, "s")];
    let found = units.iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, sign) = found.copied().unwrap_or((1, "s"));
    format!("{}\u{a0}{sign}", seconds / unit)
}

/// What is tried out: each factor has fields of its own.
#[derive(Clone, Default, Deserialize)]
pub struct Try {
    /// The operation to explain.
    #[serde(default)]
    pub explain: String,
    /// The operation to try out. Not called `operation`: pages carry that along.
    #[serde(default, rename = "try")]
    pub operation: String,
    /// Whose factors and roles count.
    #[serde(default)]
    pub user: String,
    /// Roles, when nobody is named.
    #[serde(default)]
    pub roles: String,
    /// What else was typed: `has-sms`, `locked-sms`, and `shown-sms`, the seconds since it was shown.
    #[serde(flatten)]
    pub more: std::collections::BTreeMap<String, String>,
}

impl Try {
    fn of(&self, what: &str, kind: FactorKind) -> &str {
        self.more.get(&format!("{what}-{kind}")).map_or("", |text| text.trim())
    }

    fn factors(&self, what: &str) -> Vec<FactorKind> {
        FactorKind::ALL.iter().copied().filter(|kind| !self.of(what, *kind).is_empty()).collect()
    }

    fn read(&self) -> Result<Simulate> {
        let shown = self.factors("shown").into_iter().map(|factor| {
            let seconds_ago = typed(&format!("shown-{factor}"), self.of("shown", factor))?;
            Ok(Shown { factor, seconds_ago: seconds_ago.unwrap_or(0), operation: None })
        });
        Ok(Simulate {
            operation: self.operation.clone(),
            user: typed::<Uuid>("user", &self.user)?,
            has: self.factors("has"),
            locked: self.factors("locked"),
            roles: self.roles.split_whitespace().map(str::to_owned).collect(),
            shown: shown.collect::<Result<_>>()?,
        })
    }
}

/// `GET /console/policy`
pub async fn policy(desk: Desk, Search(asked): Search<Try>) -> Result<Response> {
    let (ctx, caller) = (&desk.ctx, &desk.caller);
    let Json(policy) = api::policy(ctx.clone(), caller.clone()).await?;
    let tried: Result<Option<Simulated>> = async {
        if asked.operation.is_empty() {
            return Ok(None);
        }
        Ok(Some(api::simulate(ctx.clone(), caller.clone(), Body(asked.read()?)).await?.0))
    }
    .await;
    let (tried, error) = match tried {
        Ok(tried) => (tried, None),
        Err(error) => (None, Some(error)),
    };
    let operations: Vec<Value> = policy
        .operations
        .iter()
        .map(|one| context! { age => span(one.max_age), ..Value::from(Serde(one)) })
        .collect();
    let told = policy.operations.iter().find(|one| one.name == asked.explain);
    let told = told.map(|one| context! { age => span(one.max_age), ..Value::from(Serde(one)) });
    let factors: Vec<Value> = FactorKind::ALL
        .iter()
        .map(|kind| {
            let of = |what| asked.of(what, *kind);
            context! { kind => kind.as_str(), has => of("has"), locked => of("locked"), shown => of("shown") }
        })
        .collect();
    let given = context! {
        operations, told, factors, tried => tried.as_ref().map(Serde), sign_in => policy.sign_in,
        faults => policy.faults, explain => asked.explain, operation => asked.operation, user => asked.user,
        roles => asked.roles,
    };
    let title = desk.visit.say("console-policy");
    match error {
        // Somebody was named who is not there.
        Some(error) if error.problem == Problem::NotFound => {
            desk.shows_why(error, "console-policy.html", &title, given)
        }
        error => desk.searched(error, "console-policy.html", &title, given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_by_signs() {
        for (seconds, text) in [
            (30, "30\u{a0}s"),
            (90, "90\u{a0}s"),
            (300, "5\u{a0}min"),
            (3_600, "1\u{a0}h"),
            (172_800, "2\u{a0}d"),
            (0, "0\u{a0}s"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
