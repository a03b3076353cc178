//! The answer to a view: lines in their order, and the columns that tell them apart.

use super::column::{KNOWN, Reading};
use super::filter::{Filter, FilterError};
use super::group::{self, Line};
use super::runs::Runs;
use super::value::Value;
use super::view::View;
use std::cmp::Ordering;

/// Lines of a page.
pub const PAGE: usize = 200;
/// Most lines of a page with all of them.
const WHOLE: usize = 5000;
/// Columns that are always there, unless others are asked for.
const LEADING: [&str; 5] = ["run", "state", "encoder", "task", "score"];

/// The answer to a view.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// What was asked of runs.
    pub filter: Filter,
    /// Why that was not understood; then there are no lines.
    pub error: Option<FilterError>,
    /// How many runs there are.
    pub total: usize,
    /// Places of the runs that the filter lets through, the newest first.
    pub matched: Vec<usize>,
    /// All lines, in their order.
    pub lines: Vec<Line>,
    /// The columns that make groups; none where each line is a run.
    pub group: Vec<Reading>,
    /// The columns that are shown.
    pub columns: Vec<Reading>,
    /// The other columns, whether runs have something there or not.
    pub hidden: Vec<Reading>,
    /// What all these runs have in common and has no column for that reason, as text.
    pub common: Vec<(Reading, String)>,
    /// Names that were asked for and that no run has.
    pub strangers: Vec<String>,
    /// The first line of the page.
    pub from: usize,
    /// How many lines the page has.
    pub count: usize,
}

impl Listing {
    /// The answer.
    #[must_use]
    pub fn of(runs: &Runs, view: &View) -> Self {
        let total = runs.rows().len();
        let (filter, error) = match Filter::parse(&view.filter, runs) {
            Ok(filter) => (filter, None),
            Err(error) => (Filter::default(), Some(error)),
        };
        let matched = if error.is_some() { Vec::new() } else { filter.through(runs) };
        let group = group::columns(&view.group, runs);
        let lines = sorted(group::lines(matched.clone(), &group, runs), view, runs);
        let (columns, common) = columns(&matched, &group, view, runs);
        let hidden = everything(runs).filter(|c| !columns.contains(c)).collect();
        let asked = view.columns.iter().chain(&view.group).chain(view.sort.iter().map(|s| &s.0));
        let known = |n: &&String| !(["all", "auto", group::SEEDS].contains(&n.as_str()) || runs.reading(n).is_some());
        let strangers = asked.filter(known).cloned().collect();
        let size = if view.whole { WHOLE } else { PAGE };
        let last = lines.len().saturating_sub(1) / size;
        let from = view.page.min(last) * size;
        let count = size.min(lines.len() - from);
        Self { filter, error, total, matched, lines, group, columns, hidden, common, strangers, from, count }
    }

    /// The lines of the page.
    #[must_use]
    pub fn page(&self) -> &[Line] {
        &self.lines[self.from..self.from + self.count]
    }

    /// The filter that shows the members of a group alone.
    #[must_use]
    pub fn members(&self, line: &Line) -> String {
        format!("{} {}", self.filter, line.members).trim().to_owned()
    }
}

/// Lines by the columns that a view names; what is level stays as it was.
fn sorted(lines: Vec<Line>, view: &View, runs: &Runs) -> Vec<Line> {
    let by: Vec<(Reading, bool)> =
        view.sort.iter().filter_map(|(name, reverse)| Some((runs.reading(name)?, *reverse))).collect();
    if by.is_empty() {
        return lines;
    }
    let values = |line: &Line| {
        let value = |column: &Reading| match line.runs[..] {
            [at] => column.read(&runs.rows()[at]),
            _ => line.cell(column, runs).value().owned(),
        };
        by.iter().map(|(column, _)| value(column)).collect::<Vec<_>>()
    };
    let keys: Vec<Vec<Value<'_>>> = lines.iter().map(values).collect();
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by(|a, b| {
        let each = by.iter().enumerate().map(|(i, (_, reverse))| keys[*a][i].order(&keys[*b][i], *reverse));
        each.fold(Ordering::Equal, Ordering::then)
    });
    drop(keys);
    let mut lines: Vec<Option<Line>> = lines.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| lines[at].take()).collect()
}

/// All columns.
fn everything(runs: &Runs) -> impl Iterator<Item = Reading> + '_ {
    KNOWN.iter().map(Reading::Known).chain(runs.settings().iter().cloned().map(Reading::Setting))
}

/// The columns to show, and what all runs have in common.
fn columns(matched: &[usize], group: &[Reading], view: &View, runs: &Runs) -> (Vec<Reading>, Vec<(Reading, String)>) {
    match &view.columns[..] {
        [] => {}
        [auto] if auto == "auto" => {}
        [all] if all == "all" => return (everything(runs).collect(), Vec::new()),
        names => {
            let mut shown: Vec<Reading> = Vec::new();
            for reading in names.iter().filter_map(|n| runs.reading(n)) {
                if !shown.contains(&reading) {
                    shown.push(reading);
                }
            }
            if !shown.is_empty() {
                return (shown, Vec::new());
            }
        }
    }
    let leading = LEADING.iter().filter_map(|n| runs.reading(n));
    // Columns that make groups come first; hashes that do are too long to be read.
    let mut shown: Vec<Reading> = group.iter().filter(|c| is_read(c)).cloned().collect();
    for reading in leading {
        if !(shown.contains(&reading) || !group.is_empty() && reading.name() == "run") {
            shown.push(reading);
        }
    }
    let mut common = Vec::new();
    for reading in everything(runs).filter(is_offered) {
        if shown.contains(&reading) {
            continue;
        }
        match alike(&reading, matched, runs) {
            Some(Value::Nothing) => {}
            Some(value) => common.push((reading, value.plain())),
            None => shown.push(reading),
        }
    }
    (shown, common)
}

fn is_read(column: &Reading) -> bool {
    !matches!(column.name(), "key" | "weights" | "data")
}

fn is_offered(column: &Reading) -> bool {
    match column {
        Reading::Known(known) => known.offered,
        Reading::Setting(_) => true,
    }
}

/// The value that all runs have; `None` if they differ.
fn alike(column: &Reading, places: &[usize], runs: &Runs) -> Option<Value<'static>> {
    let mut rows = places.iter().map(|at| &runs.rows()[*at]);
    let Some(first) = rows.next() else { return Some(Value::Nothing) };
    let value = column.read(first);
    rows.all(|r| column.read(r) == value).then(|| value.owned())
}
