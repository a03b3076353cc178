//! How firm an order is: what would swap neighbours, and how few tasks give the same ranking.

use super::Matrix;
use super::report::{Analysis, Bar, Dot, Marks, Panel, Series, Table};
use super::standing::{Standings, common, standings, task_ranks};
use crate::statistics::spearman;

/// The least that swaps two neighbours of the ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Swap {
    /// Keys of the better and the worse encoder.
    pub pair: (String, String),
    /// Column of the task on which the worse one would have to improve least, and by how many
    /// of the task's standard deviations. `None` if no single task suffices.
    pub change: Option<(usize, f64)>,
    /// Columns of tasks without which the worse one would be ahead.
    pub removals: Vec<usize>,
}

/// For every two neighbours of the ranking.
#[must_use]
pub fn swaps(matrix: &Matrix, standings: &Standings) -> Vec<Swap> {
    let (rows, tasks) = common(matrix);
    let ranks: Vec<Vec<f64>> = tasks.iter().map(|t| task_ranks(matrix, &rows, *t)).collect();
    let row_of = |key: &str| rows.iter().position(|e| matrix.encoders[*e].key == key);
    let pair = |w: &[super::standing::Standing]| {
        let (a, b) = (row_of(&w[0].encoder)?, row_of(&w[1].encoder)?);
        let gap: f64 = ranks.iter().map(|r| r[b] - r[a]).sum();
        let removals =
            (0..tasks.len()).filter(|t| gap - (ranks[*t][b] - ranks[*t][a]) < -1e-9).map(|t| tasks[t]).collect();
        let least = (0..tasks.len()).filter_map(|t| Some((tasks[t], needed(matrix, &rows, tasks[t], (a, b), gap)?)));
        let change = least.min_by(|x, y| x.1.total_cmp(&y.1));
        Some(Swap { pair: (w[0].encoder.clone(), w[1].encoder.clone()), change, removals })
    };
    standings.places.windows(2).filter_map(pair).collect()
}

/// By how many standard deviations row `b` would have to be better on a task to overtake row
/// `a`, which is `gap` ranks ahead over all tasks.
fn needed(matrix: &Matrix, rows: &[usize], task: usize, (a, b): (usize, usize), gap: f64) -> Option<f64> {
    let own = matrix.good(rows[b], task)?;
    let deviation = matrix.deviation(task)?;
    let mut above: Vec<(f64, usize)> = (0..rows.len())
        .filter_map(|i| Some((matrix.good(rows[i], task)?, i)))
        .filter(|(s, i)| *i != b && *s >= own)
        .collect();
    above.sort_by(|x, y| x.0.total_cmp(&y.0));
    let mut left = gap;
    for (score, i) in above {
        // Passing one gains a rank (half of one if they were level); passing the other of the
        // pair costs that one as much.
        let gained = if score > own { 1.0 } else { 0.5 };
        left -= if i == a { 2.0 * gained } else { gained };
        if left < -1e-9 {
            return Some((score - own) / deviation);
        }
    }
    None
}

/// A set of tasks whose ranking comes close to that of the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Subset {
    /// Columns, in the order in which they were chosen.
    pub tasks: Vec<usize>,
    /// Spearman's correlation of its mean ranks with those of the tasks outside of it.
    pub agreement: f64,
    /// Mean difference of the places by the set and by the others.
    pub error: f64,
}

/// The best set of one, two, three... tasks, each a task larger than the one before.
#[must_use]
pub fn subsets(matrix: &Matrix, most: usize) -> Vec<Subset> {
    let (rows, tasks) = common(matrix);
    let ranks: Vec<Vec<f64>> = tasks.iter().map(|t| task_ranks(matrix, &rows, *t)).collect();
    let sums =
        |chosen: &[usize]| -> Vec<f64> { (0..rows.len()).map(|e| chosen.iter().map(|t| ranks[*t][e]).sum()).collect() };
    let measure = |chosen: &[usize]| {
        let rest: Vec<usize> = (0..tasks.len()).filter(|t| !chosen.contains(t)).collect();
        let (own, others) = (sums(chosen), sums(&rest));
        let agreement = spearman(&own, &others)?.r;
        let (x, y) = (crate::statistics::mean_ranks(&own), crate::statistics::mean_ranks(&others));
        let error = x.iter().zip(&y).map(|(a, b)| (a - b).abs()).sum::<f64>() / x.len() as f64;
        Some((agreement, error))
    };
    let mut chosen: Vec<usize> = Vec::new();
    let mut out = Vec::new();
    while out.len() < most && chosen.len() + 1 < tasks.len() {
        let tried = (0..tasks.len()).filter(|t| !chosen.contains(t)).filter_map(|t| {
            let set = [&chosen[..], &[t]].concat();
            Some((measure(&set)?, t))
        });
        let Some(((agreement, error), t)) = tried.max_by(|a, b| a.0.0.total_cmp(&b.0.0)) else { break };
        chosen.push(t);
        out.push(Subset { tasks: chosen.iter().map(|t| tasks[*t]).collect(), agreement, error });
    }
    out
}

/// The analysis of what would change the order.
#[must_use]
pub fn what_would_change(matrix: &Matrix) -> Analysis {
    let standings = standings(matrix);
    let swaps = swaps(matrix, &standings);
    if swaps.is_empty() {
        return Analysis::not_enough("An order needs two encoders with a task in common.");
    }
    let name = |key: &str| matrix.name(key).to_owned();
    let mut table = Table::new(&[
        "ahead",
        "behind",
        "task",
        "smallest change (sd)",
        "in the task's unit",
        "tasks whose removal swaps them",
    ]);
    let mut bars = Vec::new();
    for swap in &swaps {
        let removed: Vec<&str> = swap.removals.iter().map(|t| &*matrix.tasks[*t].name).collect();
        let (task, change, unit) = swap.change.map_or(("none alone", String::new(), String::new()), |(t, c)| {
            let raw = c * matrix.deviation(t).unwrap_or_default();
            (&*matrix.tasks[t].name, format!("{c:.3}"), format!("{raw:.4}"))
        });
        table.row([name(&swap.pair.0), name(&swap.pair.1), task.to_owned(), change, unit, removed.join("; ")]);
        if let Some((t, change)) = swap.change {
            bars.push(Bar {
                key: swap.pair.1.clone(),
                label: format!("{} past {}", name(&swap.pair.1), name(&swap.pair.0)),
                value: change,
                interval: None,
                text: format!("{change:.2} on {}", matrix.tasks[t].name),
                colour: 0,
            });
        }
    }
    let fragile = swaps.iter().filter(|s| !s.removals.is_empty() || s.change.is_some_and(|(_, c)| c < 0.5)).count();
    let mut findings = vec![format!(
        "{fragile} of {} neighbouring places would swap if one score moved by less than half a standard deviation of its task, or if one task were left out.",
        swaps.len()
    )];
    if let Some(first) = swaps.first() {
        let how = first.change.map_or_else(
            || "no change on a single task would".to_owned(),
            |(t, c)| format!("{c:.2} standard deviations more on {} would", matrix.tasks[t].name),
        );
        let removal = if first.removals.is_empty() {
            "leaving out any one task would not"
        } else {
            "so would leaving out one of the tasks in the table"
        };
        findings.push(format!("To put {} before {}, {how}; {removal}.", name(&first.pair.1), name(&first.pair.0)));
    }
    let x = "smallest improvement on one task, in its standard deviations";
    let panel = Panel::new("What would swap neighbours", x, "", Marks::Bars(bars));
    Analysis { panels: vec![panel], findings, missing: None, table }
}

/// The analysis of how few tasks suffice.
#[must_use]
pub fn few_tasks(matrix: &Matrix) -> Analysis {
    let found = subsets(matrix, 8);
    if found.is_empty() {
        return Analysis::not_enough("At least three encoders with two tasks in common are needed.");
    }
    let mut table =
        Table::new(&["tasks", "added", "Spearman with the ranking by all other tasks", "mean error in places"]);
    let mut dots = Vec::new();
    for s in &found {
        let added = s.tasks.last().map_or("", |t| &*matrix.tasks[*t].name);
        table.row([
            s.tasks.len().to_string(),
            added.to_owned(),
            format!("{:.4}", s.agreement),
            format!("{:.2}", s.error),
        ]);
        dots.push(Dot { key: String::new(), label: added.to_owned(), x: s.tasks.len() as f64, y: s.agreement });
    }
    let enough = found
        .iter()
        .find(|s| s.agreement >= 0.9)
        .or_else(|| found.iter().max_by(|a, b| a.agreement.total_cmp(&b.agreement)));
    let findings = enough.map(|s| {
        let names: Vec<&str> = s.tasks.iter().map(|t| &*matrix.tasks[*t].name).collect();
        format!(
            "{} rank the encoders like all other tasks do with a Spearman correlation of {:.2}; a place is off by {:.1} on average. They were chosen for it, so expect less on new encoders.",
            names.join(", "), s.agreement, s.error
        )
    });
    let series = Series { name: "agreement".to_owned(), dots, ..Series::default() };
    let panel = Panel::new(
        "Agreement of a few tasks with all others",
        "number of tasks",
        "Spearman",
        Marks::Scatter(vec![series]),
    );
    Analysis { panels: vec![panel], findings: findings.into_iter().collect(), missing: None, table }
}
