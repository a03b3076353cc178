//! How many runs each value of a column would leave, and what can be written into the filter.

use super::column::{KNOWN, Reading};
use super::filter::{Filter, Operator, quoted};
use super::row::RunRow;
use super::runs::Runs;
use std::collections::BTreeMap;

/// The columns whose values are counted, in the order in which they are offered.
pub const FACETS: [&str; 9] = ["state", "task", "encoder", "probe", "protocol", "source", "device", "worker", "tag"];

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Facet {
    /// The column.
    pub column: Reading,
    /// Each value, how many runs have it under what is asked of all other columns, and whether it
    /// is asked for; the most frequent first.
    pub values: Vec<(String, usize, bool)>,
}

/// The facets that have a choice to offer.
#[must_use]
pub fn facets(runs: &Runs, filter: &Filter) -> Vec<Facet> {
    let through = filter.through(runs);
    let mut all = Vec::new();
    for column in FACETS.iter().filter_map(|n| runs.reading(n)) {
        let asked: Vec<String> = filter.values(&column).into_iter().map(str::to_lowercase).collect();
        let others = filter.without(&column);
        let places = if others.terms.len() == filter.terms.len() { through.clone() } else { others.through(runs) };
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        // What is asked for can be taken back, also where nothing is left of it.
        let exact = filter.terms.iter().filter(|t| t.operator == Operator::Is && !t.negated);
        for term in exact.filter(|t| t.column.as_ref() == Some(&column)) {
            counts.extend(term.patterns.iter().map(|p| (p.written().to_owned(), 0)));
        }
        for row in places.iter().map(|at| &runs.rows()[*at]) {
            for value in values(&column, row) {
                *counts.entry(value).or_default() += 1;
            }
        }
        let chosen = |value: &str| asked.iter().any(|a| *a == value.to_lowercase());
        let mut values: Vec<(String, usize, bool)> =
            counts.into_iter().map(|(value, n)| (value.clone(), n, chosen(&value))).collect();
        values.sort_by_key(|(_, n, _)| std::cmp::Reverse(*n));
        if values.len() > 1 || !asked.is_empty() {
            all.push(Facet { column, values });
        }
    }
    all
}

fn values(column: &Reading, row: &RunRow) -> Vec<String> {
    if column.name() == "tag" {
        return row.tags.clone();
    }
    let value = column.read(row);
    if value.is_something() { vec![value.plain()] } else { Vec::new() }
}

/// What may stand in the filter, with a word on each: values of the facets, then names of columns.
#[must_use]
pub fn terms(runs: &Runs, facets: &[Facet]) -> Vec<(String, String)> {
    let value = |facet: &Facet| {
        let name = facet.column.name().to_owned();
        let each = facet.values.clone().into_iter();
        each.map(move |(value, n, _)| (format!("{name}:{}", quoted(&value)), format!("{n}")))
    };
    let known = KNOWN.iter().map(|c| {
        let sign = if c.kind.is_numeric() { ">" } else { ":" };
        (format!("{}{sign}", c.name), c.help.to_owned())
    });
    let settings = runs.settings().iter().map(|s| (format!("{s}="), "a setting".to_owned()));
    facets.iter().flat_map(value).chain(known).chain(settings).collect()
}
