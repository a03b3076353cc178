//! Which tasks tell encoders apart: how far scores lie from each other against what test samples leave open.

use crate::analysis::Matrix;
use crate::analysis::report::{Analysis, Bar, Marks, Panel, Table};
use crate::catalogue::task::Category;
use crate::statistics::population_deviation;
use crate::words::counted;

/// Standard errors on either side of a value that hold 95 % of draws.
const SIDES: f64 = 1.96;
/// Encoders without which a spread says nothing.
const FEWEST: usize = 3;

/// What a task does.
struct Task {
    column: usize,
    /// Row of the best encoder.
    best: usize,
    /// Standard deviation of scores over encoders.
    deviation: f64,
    /// Root of the mean squared standard error of a score over test samples.
    error: f64,
    /// Share of all pairs of encoders whose difference is more than test samples leave open.
    told: f64,
    /// Whether the best encoder's interval and that of random weights do not meet, where both are known.
    learned: Option<bool>,
}

/// Tasks by how many pairs of encoders they tell apart.
pub fn apart(matrix: &Matrix) -> Analysis {
    let mut tasks: Vec<Task> = (0..matrix.tasks.len()).filter_map(|t| one(matrix, t)).collect();
    if tasks.is_empty() {
        return Analysis::not_enough(
            "No task has scores of three encoders with the interval that test samples leave open. Scores that are measured here have one.",
        );
    }
    tasks.sort_by(|a, b| b.told.total_cmp(&a.told));
    let mut table = Table::new(&[
        "task",
        "pairs told apart",
        "deviation over encoders",
        "standard error over test samples",
        "best encoder",
        "best",
        "Random",
        "beyond both intervals",
    ]);
    let random = matrix.encoder("Random");
    for task in &tasks {
        let row = &matrix.tasks[task.column];
        let shown = |encoder| matrix.score(encoder, task.column).map_or_else(String::new, |s| row.metric.format(s));
        table.row([
            row.name.clone(),
            format!("{:.0} %", 100.0 * task.told),
            row.metric.format(task.deviation),
            row.metric.format(task.error),
            matrix.encoders[task.best].name.clone(),
            shown(task.best),
            random.map_or_else(String::new, shown),
            task.learned.map_or("–", |learned| if learned { "yes" } else { "no" }).to_owned(),
        ]);
    }
    let bars = tasks.iter().map(|task| {
        let row = &matrix.tasks[task.column];
        Bar {
            key: row.key.clone(),
            label: row.name.clone(),
            value: 100.0 * task.told,
            interval: None,
            text: format!("{:.0} %", 100.0 * task.told),
            colour: row.category as usize,
        }
    });
    let mut panel =
        Panel::new("Pairs of encoders that a task tells apart", "% of all pairs", "", Marks::Bars(bars.collect()));
    panel.legend = Category::ALL.iter().map(|c| c.name().to_owned()).collect();
    Analysis { panels: vec![panel], findings: findings(matrix, &tasks), missing: None, table }
}

fn one(matrix: &Matrix, column: usize) -> Option<Task> {
    let rows: Vec<(usize, f64, f64)> = (0..matrix.encoders.len())
        .filter_map(|e| matrix.measured(e, column).map(|m| (e, m.good, m.error)))
        .filter(|row| row.2 > 0.0)
        .collect();
    if rows.len() < FEWEST {
        return None;
    }
    let best = rows.iter().max_by(|a, b| a.1.total_cmp(&b.1))?.0;
    let deviation = population_deviation(&rows.iter().map(|r| r.1).collect::<Vec<_>>())?;
    let error = (rows.iter().map(|r| r.2 * r.2).sum::<f64>() / rows.len() as f64).sqrt();
    let pairs = rows.iter().enumerate().flat_map(|(i, a)| rows[..i].iter().map(move |b| (a, b)));
    let told = pairs.clone().filter(|(a, b)| (a.1 - b.1).abs() > SIDES * a.2.hypot(b.2)).count();
    let of = |row: usize| rows.iter().find(|r| r.0 == row);
    let learned = matrix.encoder("Random").filter(|random| *random != best).and_then(|random| {
        let (best, random) = (of(best)?, of(random)?);
        Some(best.1 - SIDES * best.2 > random.1 + SIDES * random.2)
    });
    Some(Task { column, best, deviation, error, told: told as f64 / pairs.count() as f64, learned })
}

fn findings(matrix: &Matrix, tasks: &[Task]) -> Vec<String> {
    let name = |task: &Task| matrix.tasks[task.column].name.clone();
    let mut said = Vec::new();
    let compared: Vec<&Task> = tasks.iter().filter(|task| task.learned.is_some()).collect();
    if !compared.is_empty() {
        let not: Vec<String> = compared.iter().filter(|t| t.learned == Some(false)).map(|t| name(t)).collect();
        let not_on = if not.is_empty() { String::new() } else { format!(" Not on {}.", not.join(", ")) };
        said.push(format!(
            "The best encoder beats random weights beyond both intervals on {} of {}.{not_on}",
            compared.len() - not.len(),
            counted(compared.len(), "task")
        ));
    }
    if let (Some(most), Some(least)) = (tasks.first(), tasks.last()) {
        said.push(format!(
            "{} tells most pairs apart, {:.0} %; {} fewest, {:.0} %.",
            name(most),
            100.0 * most.told,
            name(least),
            100.0 * least.told
        ));
    }
    said
}
