//! Normalised scores by category and by training data.

use crate::analysis::Matrix;
use crate::analysis::effects::comparable;
use crate::analysis::options::Options;
use crate::analysis::report::{Analysis, Marks, Panel, Sample, Table};
use crate::catalogue::task::Category;
use crate::statistics::mean;

/// Normalised scores of the comparable encoders: row, column, value. Where the suite has none
/// of the paper's comparable encoders, all are taken, standardised by the mean instead.
fn values(matrix: &Matrix) -> (Vec<(usize, usize, f64)>, bool) {
    let all = |pass: &dyn Fn(usize) -> bool, value: &dyn Fn(usize, usize) -> Option<f64>| -> Vec<(usize, usize, f64)> {
        (0..matrix.encoders.len())
            .filter(|e| pass(*e))
            .flat_map(|e| (0..matrix.tasks.len()).map(move |t| (e, t)))
            .filter_map(|(e, t)| Some((e, t, value(e, t)?)))
            .collect()
    };
    let paper = all(&|e| comparable(&matrix.encoders[e]), &|e, t| matrix.normalised(e, t));
    if paper.is_empty() { (all(&|_| true, &|e, t| matrix.standardised(e, t)), false) } else { (paper, true) }
}

fn axis(supervised: bool) -> &'static str {
    if supervised {
        "standard deviations above Supervised"
    } else {
        "standard deviations above the mean of all encoders"
    }
}

const NOTHING: &str = "No task has two different scores yet.";

/// Violins by category.
pub fn by_category(matrix: &Matrix, _: &Options) -> Analysis {
    let (values, supervised) = values(matrix);
    if values.is_empty() {
        return Analysis::not_enough(NOTHING);
    }
    let mut table = Table::new(&["category", "values", "mean", "share above zero"]);
    let (mut samples, mut findings) = (Vec::new(), Vec::new());
    for category in Category::ALL {
        let own: Vec<_> = values.iter().filter(|(_, t, _)| matrix.tasks[*t].category == category).collect();
        let numbers: Vec<f64> = own.iter().map(|v| v.2).collect();
        let Some(m) = mean(&numbers) else { continue };
        let above = numbers.iter().filter(|v| **v > 0.0).count() as f64 / numbers.len() as f64;
        table.row([category.name().to_owned(), numbers.len().to_string(), format!("{m:.4}"), format!("{above:.4}")]);
        if supervised {
            findings.push(format!(
                "{}: {:.0} % of the scores are above Supervised’s, {m:+.2} standard deviations on average.",
                category.name(),
                100.0 * above
            ));
        }
        let dot =
            |v: &&(usize, usize, f64)| (format!("{} on {}", matrix.encoders[v.0].name, matrix.tasks[v.1].name), v.2);
        samples.push(Sample { label: category.name().to_owned(), dots: own.iter().map(dot).collect() });
    }
    let missing = (!supervised).then(|| "There are no scores of MoCo v2 or SwAV at 200 epochs beside Supervised’s: all encoders are shown, and zero is their mean.".to_owned());
    Analysis {
        panels: vec![Panel::new("Normalised scores by category", "", axis(supervised), Marks::Violins(samples))],
        findings,
        missing,
        table,
    }
}

/// Violins by training data, a panel a category.
pub fn by_dataset(matrix: &Matrix, _: &Options) -> Analysis {
    let (values, supervised) = values(matrix);
    if values.is_empty() {
        return Analysis::not_enough(NOTHING);
    }
    let data = matrix.data();
    let mut table = Table::new(&["category", "training data", "values", "mean"]);
    let (mut panels, mut findings) = (Vec::new(), Vec::new());
    for category in Category::ALL {
        let mut samples = Vec::new();
        let mut best: Option<(f64, &str)> = None;
        for p in &data {
            let own: Vec<_> = values
                .iter()
                .filter(|(e, t, _)| matrix.tasks[*t].category == category && matrix.encoders[*e].pretraining == *p)
                .collect();
            let Some(m) = mean(&own.iter().map(|v| v.2).collect::<Vec<_>>()) else { continue };
            table.row([category.name().to_owned(), p.name().to_owned(), own.len().to_string(), format!("{m:.4}")]);
            if best.is_none_or(|(b, _)| m > b) {
                best = Some((m, p.name()));
            }
            let dot = |v: &&(usize, usize, f64)| {
                (format!("{} on {}", matrix.encoders[v.0].name, matrix.tasks[v.1].name), v.2)
            };
            samples.push(Sample { label: p.name().to_owned(), dots: own.iter().map(dot).collect() });
        }
        if let Some((m, name)) = best.filter(|_| samples.len() > 1) {
            findings.push(format!("{}: {name} is best on average ({m:+.2}).", category.name()));
        }
        if !samples.is_empty() {
            panels.push(Panel::new(category.name(), "", axis(supervised), Marks::Violins(samples)));
        }
    }
    Analysis { panels, findings, missing: None, table }
}
