//! The table that is printed: figure, measured, limit, ratio, aim.

use std::fmt;
use std::time::Duration;

/// What the ratio should be.
#[derive(Clone, Copy)]
pub enum Aim {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// Printed to be known.
    Known,
}

impl Aim {
    fn is_met(self, ratio: Option<f64>) -> bool {
        match (self, ratio) {
            (Self::Known, _) => true,
            (Self::AtLeast(least), Some(ratio)) => ratio >= least,
            (Self::AtMost(most), Some(ratio)) => ratio <= most,
            (_, None) => false,
        }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::Known => f.write_str("–"),
        }
    }
}

/// What a number counts.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Things a second.
    Rate,
    /// Seconds.
    Time,
    /// MiB.
    Memory,
    /// Things.
    Count,
}

impl Unit {
    fn show(self, number: f64) -> String {
        match self {
            Self::Rate => format!("{number:.0} /s"),
            Self::Time if number < 0.001 => format!("{:.0} µs", number * 1e6),
            Self::Time => format!("{:.1} ms", number * 1e3),
            Self::Memory => format!("{number:.1} MiB"),
            Self::Count => format!("{number:.0}"),
        }
    }
}

/// The figures so far.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 6]>,
    notes: Vec<String>,
}

impl Table {
    /// A figure beside its limit.
    pub fn figure(&mut self, name: &str, unit: Unit, measured: f64, limit: f64, aim: Aim) {
        self.figure_with_ratio(name, unit, measured, limit, measured / limit, aim);
    }

    /// A figure beside its limit, whose ratio is the median of ratios rather than the ratio of medians.
    pub fn figure_with_ratio(
        &mut self,
        name: &str,
        unit: Unit,
        measured: f64,
        limit: f64,
        ratio: f64,
        aim: Aim,
    ) {
        let ratio = Some(ratio).filter(|ratio| ratio.is_finite());
        let verdict = if aim.is_met(ratio) { "" } else { "missed" };
        let shown = ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.3}"));
        let row = [
            name.to_owned(),
            unit.show(measured),
            unit.show(limit),
            shown,
            aim.to_string(),
            verdict.to_owned(),
        ];
        self.rows.push(row);
    }

    /// A sentence under the table.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["figure", "measured", "limit", "ratio", "aim", ""].map(str::to_owned);
        let lines: Vec<_> = std::iter::once(&head).chain(&self.rows).collect();
        let widths: [usize; 6] = std::array::from_fn(|column| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        });
        for line in lines {
            let mut text = String::new();
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                let shown = if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
                text.push_str(&shown);
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

/// The one in the middle; zero of none.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The one in the middle, in seconds.
pub fn median_time(times: &[Duration]) -> f64 {
    median(&times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>())
}

/// Figures and limits that were measured in turns: limit, measured, limit, …, limit.
///
/// Each figure is compared with the limits just before and just after it, so that a machine that
/// slows down for a while slows both.
#[derive(Default)]
pub struct Turns {
    /// The limits, one more than the figures.
    pub limits: Vec<f64>,
    /// The figures.
    pub measured: Vec<f64>,
}

impl Turns {
    /// The median of the ratios.
    pub fn ratio(&self) -> f64 {
        let around = self.limits.windows(2).map(|pair| pair.iter().sum::<f64>() / 2.0);
        let ratios: Vec<_> = self.measured.iter().zip(around).map(|(figure, limit)| figure / limit).collect();
        median(&ratios)
    }
}
