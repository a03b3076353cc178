//! A few encoders side by side: which wins where.

use super::report::{Analysis, Marks, Panel, Table, probability};
use super::{Matrix, contrast};
use crate::catalogue::task::Category;
use crate::statistics::sign_test;
use crate::words::counted;

/// Most encoders that can be told apart in a picture.
pub const MOST: usize = 5;

/// Compares the encoders with these keys, up to [`MOST`], on all tasks of which any of them has
/// a score.
#[must_use]
pub fn compare(matrix: &Matrix, keys: &[&str]) -> Analysis {
    let mut rows: Vec<usize> = Vec::new();
    for row in keys.iter().filter_map(|k| matrix.encoder(k)) {
        if !rows.contains(&row) && rows.len() < MOST {
            rows.push(row);
        }
    }
    if rows.len() < 2 {
        return Analysis::not_enough("Choose two to five encoders.");
    }
    let tasks: Vec<usize> =
        (0..matrix.tasks.len()).filter(|t| rows.iter().any(|e| matrix.score(*e, *t).is_some())).collect();
    if tasks.is_empty() {
        return Analysis::not_enough("None of these encoders has a score yet.");
    }
    let name = |e: usize| &*matrix.encoders[e].name;
    let mut heads = vec!["task", "category"];
    heads.extend(rows.iter().map(|e| name(*e)));
    heads.push("best");
    let mut table = Table::new(&heads);
    let mut wins = vec![[0usize; 4]; rows.len()];
    let mut full = [0usize; 4];
    for t in &tasks {
        let task = &matrix.tasks[*t];
        let good: Vec<Option<f64>> = rows.iter().map(|e| matrix.good(*e, *t)).collect();
        let best = good.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
        // Who lacks a score cannot lose.
        let all = good.iter().all(Option::is_some);
        let winners: Vec<usize> = (0..rows.len()).filter(|i| all && good[*i] == Some(best)).collect();
        for i in &winners {
            wins[*i][task.category as usize] += 1;
        }
        full[task.category as usize] += usize::from(all);
        let mut cells = vec![task.name.clone(), task.category.name().to_owned()];
        cells.extend(
            rows.iter().map(|e| matrix.score(*e, *t).map_or_else(|| "·".to_owned(), |s| task.metric.format(s))),
        );
        cells.push(winners.iter().map(|i| name(rows[*i])).collect::<Vec<_>>().join(", "));
        table.row(cells);
    }
    let common: usize = full.iter().sum();
    let mut findings = Vec::new();
    for (i, e) in rows.iter().enumerate().filter(|_| common > 0) {
        let parts: Vec<String> = Category::ALL
            .into_iter()
            .filter(|c| full[*c as usize] > 0)
            .map(|c| format!("{} of {} {}", wins[i][c as usize], full[c as usize], c.name().to_lowercase()))
            .collect();
        let total: usize = wins[i].iter().sum();
        findings.push(format!("{} is best on {total} of {}: {}.", name(*e), counted(common, "task"), parts.join(", ")));
    }
    if let [a, b] = rows[..] {
        let both = |t: &usize| Some(matrix.good(b, *t)? - matrix.good(a, *t)?);
        let differences: Vec<f64> = tasks.iter().filter_map(both).collect();
        if let Some(s) = sign_test(&differences) {
            let firm =
                if s.two_sided < 0.05 { "more than chance would give" } else { "no more than chance would give" };
            findings.push(format!(
                "{} is better on {} and worse on {} (sign test {}): {firm}.",
                name(b),
                s.wins,
                counted(s.losses, "task"),
                probability(s.two_sided)
            ));
        }
        if let Some(factor) = contrast::differ_in(&matrix.encoders[a], &matrix.encoders[b]) {
            findings.push(format!("The two differ in one thing only: {}.", factor.name().to_lowercase()));
        }
    }
    let marks = Marks::Dots {
        rows: tasks.iter().map(|t| matrix.tasks[*t].name.clone()).collect(),
        series: rows
            .iter()
            .map(|e| (name(*e).to_owned(), tasks.iter().map(|t| matrix.standardised(*e, *t)).collect()))
            .collect(),
    };
    let x = "standard deviations above the average encoder; right is better";
    let mut panel = Panel::new("Task by task", x, "", marks);
    panel.legend = rows.iter().map(|e| name(*e).to_owned()).collect();
    let missing = (common == 0).then(|| "There is no task on which all of them have a score.".to_owned());
    Analysis { panels: vec![panel], findings, missing, table }
}
