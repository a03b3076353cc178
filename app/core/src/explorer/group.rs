//! Runs that are shown as one line.

use super::column::{Kind, Reading};
use super::filter::quoted;
use super::row::{RunRow, State};
use super::runs::Runs;
use super::value::Value;
use crate::statistics::{mean, sample_deviation};
use std::collections::HashMap;

/// The name of the grouping that folds what differs in the seed alone.
pub const SEEDS: &str = "seeds";

/// What runs have in common that differ in the seed alone.
const ALL_BUT_SEED: [&str; 8] = ["encoder", "task", "probe", "protocol", "source", "key", "weights", "data"];

/// What a line has in a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// The value of its only run, or that of all its runs.
    One(Value<'a>),
    /// The mean of those of its runs that have a number.
    Mean {
        /// The mean.
        mean: f64,
        /// Standard deviation of the sample; nothing of fewer than two.
        deviation: Option<f64>,
        /// How many runs have a number.
        n: usize,
    },
    /// So many different values.
    Several(usize),
}

impl Cell<'_> {
    /// What lines are sorted by.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::One(value) => value.clone(),
            Self::Mean { mean, .. } => Value::Number(*mean),
            Self::Several(_) => Value::Nothing,
        }
    }
}

/// A line of the table: one run, or a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Places of its runs, in the order of [`Runs::rows`].
    pub runs: Vec<usize>,
    /// What has to be asked beside the filter to see them alone; empty for a single run.
    pub members: String,
}

impl Line {
    /// The line of one run.
    #[must_use]
    pub fn single(at: usize) -> Self {
        Self { runs: vec![at], members: String::new() }
    }

    /// Its runs.
    pub fn rows<'a>(&'a self, runs: &'a Runs) -> impl ExactSizeIterator<Item = &'a RunRow> {
        self.runs.iter().map(|at| &runs.rows()[*at])
    }

    /// Its only run; nothing of a group.
    #[must_use]
    pub fn only<'a>(&self, runs: &'a Runs) -> Option<&'a RunRow> {
        if let ([at], true) = (&self.runs[..], self.members.is_empty()) { Some(&runs.rows()[*at]) } else { None }
    }

    /// How many of its runs are in each state, without those of which there are none.
    #[must_use]
    pub fn states(&self, runs: &Runs) -> Vec<(State, usize)> {
        let count = |s: State| (s, self.rows(runs).filter(|r| r.state == s).count());
        State::ALL.into_iter().map(count).filter(|(_, n)| *n > 0).collect()
    }

    /// What it has in a column.
    #[must_use]
    pub fn cell<'a>(&self, column: &Reading, runs: &'a Runs) -> Cell<'a> {
        let rows = || self.runs.iter().map(|at| &runs.rows()[*at]);
        let mut values: Vec<Value<'a>> = rows().map(|r| column.read(r)).collect();
        let Some(first) = values.first() else { return Cell::One(Value::Nothing) };
        if values.iter().all(|v| v == first) {
            return Cell::One(values.swap_remove(0));
        }
        let numbers: Vec<f64> =
            values.iter().filter_map(|v| if let Value::Number(n) = v { Some(*n) } else { None }).collect();
        // Scores of several tasks are of several metrics.
        let alike = column.kind() != Kind::Score || rows().all(|r| Some(&r.task) == rows().next().map(|f| &f.task));
        match column.kind() {
            Kind::Number | Kind::Seconds | Kind::Score if alike && !numbers.is_empty() => {
                let n = numbers.len();
                Cell::Mean { mean: mean(&numbers).unwrap_or_default(), deviation: sample_deviation(&numbers), n }
            }
            Kind::Moment => Cell::One(Value::number(numbers.into_iter().reduce(f64::max))),
            _ => {
                let mut texts: Vec<String> = values.iter().map(Value::plain).collect();
                texts.sort_unstable();
                texts.dedup();
                Cell::Several(texts.len())
            }
        }
    }
}

/// The columns whose values make the groups that are asked for. Moments make none.
pub(super) fn columns(group: &[String], runs: &Runs) -> Vec<Reading> {
    let mut all: Vec<Reading> = Vec::new();
    for name in group {
        let names: Vec<&str> = if name == SEEDS { ALL_BUT_SEED.to_vec() } else { vec![name] };
        for reading in names.into_iter().filter_map(|n| runs.reading(n)).filter(|r| r.kind() != Kind::Moment) {
            if !all.contains(&reading) {
                all.push(reading);
            }
        }
    }
    all
}

/// A line for each set of values in `columns`, in the order in which they first occur; a line for
/// each run where there are no columns.
pub(super) fn lines(places: Vec<usize>, columns: &[Reading], runs: &Runs) -> Vec<Line> {
    if columns.is_empty() {
        return places.into_iter().map(Line::single).collect();
    }
    let mut lines: Vec<Line> = Vec::new();
    let mut known: HashMap<Vec<String>, usize> = HashMap::new();
    for at in places {
        let row = &runs.rows()[at];
        let key: Vec<String> = columns.iter().map(|c| c.read(row).plain()).collect();
        let line = *known.entry(key).or_insert_with_key(|key| {
            let terms = columns.iter().zip(key).map(|(column, value)| match value.as_str() {
                "" => format!("-has:{}", column.name()),
                value => format!("{}={}", column.name(), quoted(value)),
            });
            lines.push(Line { runs: Vec::new(), members: terms.collect::<Vec<_>>().join(" ") });
            lines.len() - 1
        });
        lines[line].runs.push(at);
    }
    lines
}
