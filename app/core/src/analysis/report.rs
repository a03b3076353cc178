//! What an analysis gives: panels to draw, sentences and a table.

use crate::statistics::{Interval, Line};
use crate::words::counted;

/// What the scores say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They agree.
    Supported,
    /// They disagree.
    Contradicted,
    /// There are too few of them.
    NotEnough,
}

impl Verdict {
    /// Short form for style classes.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Contradicted => "contradicted",
            Self::NotEnough => "not-enough-data",
        }
    }

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Contradicted => "contradicted",
            Self::NotEnough => "not enough data",
        }
    }
}

/// A table of text, as it is shown and exported.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Heads.
    pub columns: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
    /// Cells that are verdicts: row, column and which.
    verdicts: Vec<(usize, usize, Verdict)>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows: Vec::new(), verdicts: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Says that a cell of the last row is a verdict.
    pub fn judge(&mut self, column: usize, verdict: Verdict) {
        self.verdicts.push((self.rows.len().saturating_sub(1), column, verdict));
    }

    /// The verdict that a cell is, if it is one.
    #[must_use]
    pub fn verdict(&self, row: usize, column: usize) -> Option<Verdict> {
        self.verdicts.iter().find(|v| (v.0, v.1) == (row, column)).map(|v| v.2)
    }
}

/// A point.
#[derive(Debug, Clone, PartialEq)]
pub struct Dot {
    /// What it stands for: an encoder's key, or nothing.
    pub key: String,
    /// What it is called.
    pub label: String,
    /// Right.
    pub x: f64,
    /// Up.
    pub y: f64,
}

/// Points of one task, with their line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points.
    pub dots: Vec<Dot>,
    /// The line through them.
    pub line: Option<Line>,
    /// Points of the published figure, whose encoders are not known.
    pub reference: Vec<(f64, f64)>,
    /// The one of these that is known: Supervised's.
    pub supervised: Option<(f64, f64)>,
    /// Whether both directions are the same quantity: they get one scale, and a line where both are equal.
    pub level: bool,
}

/// Points that belong together in their order, joined by a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Number of its name in the legend, by which its look is chosen.
    pub look: usize,
    /// Its points, from left to right.
    pub dots: Vec<Dot>,
}

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it stands for, by key; empty for nothing that has a page.
    pub key: String,
    /// Its name.
    pub label: String,
    /// Its length.
    pub value: f64,
    /// Where the value lies with a confidence of 95 %.
    pub interval: Option<Interval>,
    /// What is written at its end.
    pub text: String,
    /// Number of its colour, 0 to 7.
    pub colour: usize,
}

/// Values of a group, for a violin.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The group's name.
    pub label: String,
    /// Its values.
    pub dots: Vec<(String, f64)>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Marks {
    /// Points with lines.
    Scatter(Vec<Series>),
    /// Lying bars from zero.
    Bars(Vec<Bar>),
    /// A matrix of values between -1 and 1, or 0 and 1.
    Heat {
        /// Names of the rows.
        rows: Vec<String>,
        /// Names of the columns.
        columns: Vec<String>,
        /// Values, a row after the other.
        values: Vec<Option<f64>>,
        /// The smallest possible value: -1 or 0.
        low: f64,
    },
    /// Dots of several series on one line a row.
    Dots {
        /// Names of the rows.
        rows: Vec<String>,
        /// Names of the series, in the order of colours, and a value a row.
        series: Vec<(String, Vec<Option<f64>>)>,
    },
    /// Violins side by side, with a line at zero.
    Violins(Vec<Sample>),
    /// Lines from point to point.
    Lines {
        /// A line each.
        traces: Vec<Trace>,
        /// Whether equal ratios to the right are equally far: each doubling is a step.
        doubling: bool,
    },
}

impl Marks {
    /// What is drawn, in a sentence, for who cannot see it.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Scatter(series) => {
                let dots: usize = series.iter().map(|s| s.dots.len()).sum();
                let reference: usize = series.iter().map(|s| s.reference.len()).sum();
                let rings = if reference > 0 { format!(" and {reference} published ones") } else { String::new() };
                format!("{dots} points{rings}.")
            }
            Self::Bars(bars) => {
                let named = |b: Option<&Bar>| b.map_or_else(String::new, |b| b.label.clone());
                let longest = named(bars.iter().max_by(|a, b| a.value.total_cmp(&b.value)));
                format!("{} bars; the longest to the right is {longest}.", bars.len())
            }
            Self::Heat { rows, columns, .. } => format!("{} rows and {} columns of values.", rows.len(), columns.len()),
            Self::Dots { rows, series } => format!(
                "{} rows with the values of {}.",
                rows.len(),
                series.iter().map(|s| s.0.as_str()).collect::<Vec<_>>().join(", ")
            ),
            Self::Violins(samples) => format!("{} groups of values.", samples.len()),
            Self::Lines { traces, .. } => {
                let dots: usize = traces.iter().map(|t| t.dots.len()).sum();
                format!("{} through {}.", counted(traces.len(), "line"), counted(dots, "point"))
            }
        }
    }

    /// Whether a mark has the colour, or a line the look, of this number.
    #[must_use]
    pub fn has_colour(&self, colour: usize) -> bool {
        match self {
            Self::Bars(bars) => bars.iter().any(|b| b.colour == colour),
            Self::Dots { series, .. } => colour < series.len(),
            Self::Lines { traces, .. } => traces.iter().any(|t| t.look == colour),
            Self::Scatter(_) | Self::Heat { .. } | Self::Violins(_) => false,
        }
    }
}

/// One picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// What is to the right.
    pub x: String,
    /// What is upwards.
    pub y: String,
    /// What is drawn.
    pub marks: Marks,
    /// What the colours of bars mean, in their order.
    pub legend: Vec<String>,
}

impl Panel {
    /// A picture without a legend.
    #[must_use]
    pub fn new(title: impl Into<String>, x: impl Into<String>, y: impl Into<String>, marks: Marks) -> Self {
        Self { title: title.into(), x: x.into(), y: y.into(), marks, legend: Vec::new() }
    }
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Analysis {
    /// Pictures.
    pub panels: Vec<Panel>,
    /// What follows, computed from the numbers.
    pub findings: Vec<String>,
    /// Why there is no answer, or what it lacks.
    pub missing: Option<String>,
    /// The numbers.
    pub table: Table,
}

impl Analysis {
    /// No answer, and why.
    #[must_use]
    pub fn not_enough(why: impl Into<String>) -> Self {
        Self { missing: Some(why.into()), ..Self::default() }
    }
}

/// `+3.1 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:+.1} %", 100.0 * share)
}

/// `0.0312`, or `< 0.0001`: never nothing at all.
pub(super) fn exactly(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { format!("{p:.4}") }
}

/// `p = 0.031` or `p < 0.001`.
pub(super) fn probability(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}
