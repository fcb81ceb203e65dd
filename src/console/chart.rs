//! Bars over time. The axis is time itself: a span in which nothing happened has its place and is empty.

use minijinja::{Value, context};

use crate::audit::Grain;
use crate::clock::Timestamp;

/// How wide a span is drawn, and how high the chart, in units of the picture's own.
const WIDTH: i64 = 100;
const HEIGHT: i64 = 1_000;
/// How much of its span a bar takes.
const BAR: i64 = 68;
/// How high the smallest bar is, so that it can be seen.
const LEAST: i64 = 14;

/// The spans from one to another, with none left out.
pub struct Axis {
    spans: Vec<Timestamp>,
}

impl Axis {
    /// The spans of `grain` from that of `from` to that of `until`.
    pub fn new(grain: Grain, from: Timestamp, until: Timestamp) -> Self {
        let mut spans = Vec::new();
        let (mut at, last) = (grain.begin(from), grain.begin(until));
        while at <= last {
            spans.push(at);
            at = at + grain.length();
        }
        Self { spans }
    }

    /// Where the first, the middle and the last span begin.
    pub fn marks(&self) -> Vec<String> {
        let last = self.spans.len().saturating_sub(1);
        [0, last / 2, last].iter().filter_map(|at| self.spans.get(*at)).map(Timestamp::to_string).collect()
    }
}

/// What one part of the bars shows: its class in the stylesheet, and how much of it in which span.
pub struct Part<'a> {
    /// Its class.
    pub class: &'a str,
    /// How much, by when the span begins.
    pub of: &'a dyn Fn(Timestamp) -> i64,
}

/// The bars, each a rectangle with a class, and the number at which the chart ends.
pub fn bars(axis: &Axis, parts: &[Part<'_>]) -> Value {
    let sum = |at: &Timestamp| parts.iter().map(|part| (part.of)(*at)).sum::<i64>();
    let top = round(axis.spans.iter().map(sum).max().unwrap_or(0));
    let mut bars = Vec::new();
    for (place, at) in (0_i64..).zip(&axis.spans) {
        let mut floor = HEIGHT;
        for part in parts {
            let many = (part.of)(*at);
            if many <= 0 {
                continue;
            }
            let height = (many.saturating_mul(HEIGHT) / top).max(LEAST);
            floor -= height;
            let x = place * WIDTH + (WIDTH - BAR) / 2;
            bars.push(context! { x, y => floor, height, class => part.class, at => at.to_string(), many });
        }
    }
    let width = i64::try_from(axis.spans.len()).unwrap_or(1) * WIDTH;
    context! { bars, top, width, bar => BAR, height => HEIGHT }
}

/// The next number that is 1, 2 or 5 with noughts after it.
fn round(most: i64) -> i64 {
    let mut unit = 1_i64;
    loop {
        if let Some(found) = [1, 2, 5].iter().map(|step| unit.saturating_mul(*step)).find(|top| *top >= most)
        {
            return found;
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_in_which_nothing_happened_has_its_place_and_no_bar() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let axis = Axis::new(Grain::Day, at("2030-01-01T05:00:00Z"), at("2030-01-04T01:00:00Z"));
        let of = |day: Timestamp| match &day.to_string()[..10] {
            "2030-01-01" => 3,
            "2030-01-04" => 12,
            _ => 0,
        };
        let chart = bars(&axis, &[Part { class: "first", of: &of }]);
        let bars: Vec<Value> = chart.get_attr("bars").unwrap().try_iter().unwrap().collect();
        let places: Vec<_> = bars.iter().map(|bar| bar.get_attr("x").unwrap().to_string()).collect();
        assert_eq!(places, ["16", "316"]);
        assert_eq!(bars[1].get_attr("height").unwrap().to_string(), "600");
        assert_eq!(chart.get_attr("top").unwrap().to_string(), "20");
        assert_eq!(chart.get_attr("width").unwrap().to_string(), "400");
        assert_eq!(axis.marks().len(), 3);
    }

    #[test]
    fn the_end_of_the_chart_is_a_round_number() {
        for (most, top) in [(0, 1), (1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (501, 1_000)] {
            assert_eq!(round(most), top, "{most}");
        }
        assert_eq!(round(i64::MAX), i64::MAX);
    }
}
