//! The console's first page: what happened by day or by hour.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::response::Response;
use minijinja::{Value, context};
use serde::Deserialize;

use super::chart::{Axis, Part, bars};
use super::{Desk, grouped};
use crate::administration::api::views;
use crate::administration::overview::{Overview, Span};
use crate::audit::Grain;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::extract::Search;
use crate::messages::Status;
use crate::money::UNIT;

/// How the page is looked at.
#[derive(Default, Deserialize)]
pub struct Asked {
    /// `hour`, or by day.
    #[serde(default)]
    pub by: String,
}

/// One part of the bars: the words for it, its class, how much of it.
type Of<'a> = (&'static str, &'static str, &'a dyn Fn(&Span) -> i64);

/// What a chart shows besides its bars.
struct Figure<'a> {
    /// The words for it.
    key: &'static str,
    /// Its parts, the lowest first.
    parts: Vec<Of<'a>>,
    /// How a number is written.
    written: fn(i64) -> String,
}

impl<'a> Figure<'a> {
    /// A number of one kind.
    fn one(key: &'static str, class: &'static str, of: &'a dyn Fn(&Span) -> i64) -> Self {
        Self { key, parts: vec![(key, class, of)], written: grouped }
    }
}

/// `GET /console`
pub async fn overview(desk: Desk, Search(asked): Search<Asked>) -> Result<Response> {
    let by = if asked.by == "hour" { Grain::Hour } else { Grain::Day };
    let ask = views::Since { by: Some(by), from: None };
    let Json(seen) = views::overview(desk.ctx.clone(), desk.caller.clone(), Search(ask)).await?;
    let arrived = |span: &Span| ended(span, |status| status == Status::Delivered);
    let lost = |span: &Span| ended(span, is_lost);
    let on_way = |span: &Span| ended(span, |status| status != Status::Delivered && !is_lost(status));
    let spent = |span: &Span| span.spent.unwrap_or(0);
    let mut figures = vec![
        Figure::one("console-overview.sign-ups", "one", &|span| span.sign_ups),
        Figure::one("console-overview.sign-ins", "one", &|span| span.sign_ins),
        Figure::one("console-overview.failed", "lost", &|span| span.failed),
        Figure {
            key: "console-overview.messages",
            parts: vec![
                ("console-overview.arrived", "arrived", &arrived),
                ("console-overview.on-way", "way", &on_way),
                ("console-overview.lost", "lost", &lost),
            ],
            written: grouped,
        },
    ];
    if by == Grain::Day {
        figures.push(Figure { written: money, ..Figure::one("console-overview.spent", "one", &spent) });
    }
    let figures: Vec<Value> = figures.iter().map(|figure| drawn(&seen, figure)).collect();
    let given = context! { figures, by => by.as_str(), sent => statuses(&desk, &seen) };
    Ok(desk.shows("console-overview.html", &desk.visit.say("console-overview"), given))
}

/// A chart with its figures.
fn drawn(seen: &Overview, figure: &Figure<'_>) -> Value {
    let spans: BTreeMap<Timestamp, &Span> = seen.spans.iter().map(|span| (span.at, span)).collect();
    let axis = Axis::new(seen.by, seen.from, seen.until);
    let counts: Vec<_> = figure
        .parts
        .iter()
        .map(|(_, class, of)| (*class, |at: Timestamp| spans.get(&at).map_or(0, |span| of(span))))
        .collect();
    let parts: Vec<Part<'_>> = counts.iter().map(|(class, of)| Part { class, of }).collect();
    let chart = bars(&axis, &parts);
    let sum = |of: &dyn Fn(&Span) -> i64| seen.spans.iter().map(of).sum::<i64>();
    let total: i64 = figure.parts.iter().map(|(.., of)| sum(*of)).sum();
    let rows = seen.spans.iter().rev().filter_map(|span| {
        let figures: Vec<_> = figure.parts.iter().map(|(.., of)| of(span)).collect();
        let written = figures.iter().map(|many| (figure.written)(*many)).collect::<Vec<_>>();
        figures.iter().any(|many| *many != 0).then(|| context! { at => span.at.to_string(), written })
    });
    let keys = figure.parts.iter().map(|(key, class, of)| {
        context! { key => *key, class => *class, total => (figure.written)(sum(*of)) }
    });
    let top = chart.get_attr("top").ok().and_then(|top| i64::try_from(top).ok()).unwrap_or(0);
    context! {
        key => figure.key,
        name => figure.key.rsplit('.').next(),
        chart,
        top => (figure.written)(top),
        total => (figure.written)(total),
        parts => keys.collect::<Vec<_>>(),
        marks => axis.marks(),
        rows => rows.collect::<Vec<_>>(),
    }
}

/// Every message by its way and what became of it.
fn statuses(desk: &Desk, seen: &Overview) -> Vec<Value> {
    let names: BTreeSet<&String> = seen.spans.iter().flat_map(|span| span.messages.keys()).collect();
    let row = |name: &&String| {
        let (kind, status) = name.split_once('.').unwrap_or((name, ""));
        let many: i64 = seen.spans.iter().filter_map(|span| span.messages.get(*name)).sum();
        context! { kind, status => desk.word(status), many => grouped(many) }
    };
    names.iter().map(row).collect()
}

/// How many messages of a span came to a status of this kind.
fn ended(span: &Span, is_so: impl Fn(Status) -> bool) -> i64 {
    let of = |name: &str| {
        let (_, status) = name.split_once('.')?;
        Status::of_word(status)
    };
    let those = span.messages.iter().filter(|(name, _)| of(name).is_some_and(&is_so));
    those.map(|(_, many)| many).sum()
}

fn is_lost(status: Status) -> bool {
    matches!(status, Status::Expired | Status::Canceled | Status::Failed | Status::Undelivered)
}

/// Millionths as an amount with two places.
fn money(micros: i64) -> String {
    let cents = (micros + UNIT / 200) / (UNIT / 100);
    grouped(format!("{}.{:02}", cents / 100, cents % 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_places() {
        for (micros, text) in
            [(0, "0.00"), (75_000, "0.08"), (1_994_999, "1.99"), (12_345_600_000, "12\u{202f}345.60")]
        {
            assert_eq!(money(micros), text);
        }
    }
}
