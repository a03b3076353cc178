//! The best encoder, and one method, against another.

use crate::analysis::Matrix;
use crate::analysis::effects::{best_against_supervised, method_change};
use crate::analysis::options::Options;
use crate::analysis::report::{Analysis, Bar, Marks, Panel, Table, percent};
use crate::catalogue::encoder::Pretraining;
use crate::catalogue::published::published;
use crate::catalogue::task::{Category, Task};
use crate::statistics::mean;
use crate::words::counted;

/// Number of a data set's colour.
pub(super) const fn colour(p: &Pretraining) -> usize {
    match p {
        Pretraining::ImageNet
        | Pretraining::HalfImageNet
        | Pretraining::QuarterImageNet
        | Pretraining::LinearImageNet
        | Pretraining::LogImageNet => 0,
        Pretraining::Places => 1,
        Pretraining::Kinetics => 2,
        Pretraining::Taskonomy => 3,
        Pretraining::Combination => 4,
        Pretraining::Other(_) => 5,
        Pretraining::Proprietary | Pretraining::Nothing | Pretraining::Unknown => 7,
    }
}

/// Names of [`colour`]'s numbers.
pub(super) const DATASETS: [&str; 6] = ["ImageNet", "Places", "Kinetics", "Taskonomy", "Combination", "other data"];

/// The best encoder against Supervised.
pub fn against_supervised(matrix: &Matrix, options: &Options) -> Analysis {
    let found = best_against_supervised(matrix);
    if found.is_empty() && !options.reference {
        return Analysis::not_enough("No task has a score of Supervised and of a self-supervised encoder yet.");
    }
    let mut table = Table::new(&[
        "task",
        "best encoder",
        "training data",
        "best",
        "supervised",
        "improvement",
        "published: best point",
    ]);
    let mut bars = Vec::new();
    for (t, best, improvement) in &found {
        let (task, encoder) = (&matrix.tasks[*t], &matrix.encoders[*best]);
        let supervised = matrix.encoder("Supervised").and_then(|s| matrix.score(s, *t));
        table.row([
            task.name.clone(),
            encoder.name.clone(),
            encoder.pretraining.name().to_owned(),
            matrix.score(*best, *t).map_or_else(String::new, |s| task.metric.format(s)),
            supervised.map_or_else(String::new, |s| task.metric.format(s)),
            percent(*improvement),
            published_improvement(task).map_or_else(String::new, percent),
        ]);
        bars.push(Bar {
            key: task.key.clone(),
            label: task.name.clone(),
            value: 100.0 * improvement,
            interval: None,
            text: format!("{} {}", percent(*improvement), encoder.name),
            colour: colour(&encoder.pretraining),
        });
    }
    let better = found.iter().filter(|f| f.2 > 0.0).count();
    let mut findings = Vec::new();
    if !found.is_empty() {
        let lost: Vec<&str> = found.iter().filter(|f| f.2 <= 0.0).map(|f| &*matrix.tasks[f.0].name).collect();
        let lost = if lost.is_empty() { String::new() } else { format!(" Not on {}.", lost.join(", ")) };
        findings.push(format!(
            "The best self-supervised encoder beats Supervised on {better} of {}.{lost}",
            counted(found.len(), "task")
        ));
    }
    let mut panel =
        Panel::new("Improvement of the best encoder over Supervised", "% of Supervised’s score", "", Marks::Bars(bars));
    panel.legend = DATASETS.iter().map(|d| (*d).to_owned()).collect();
    let mut panels = if found.is_empty() { Vec::new() } else { vec![panel] };
    if options.reference {
        let bars: Vec<Bar> = matrix
            .tasks
            .iter()
            .filter_map(|task| {
                let value = published_improvement(task)?;
                Some(Bar {
                    key: task.key.clone(),
                    label: task.name.clone(),
                    value: 100.0 * value,
                    interval: None,
                    text: percent(value),
                    colour: 6,
                })
            })
            .collect();
        if !bars.is_empty() {
            panels.push(Panel::new(
                "Reference: the best published point over the published Supervised",
                "% of Supervised’s score",
                "",
                Marks::Bars(bars),
            ));
        }
    }
    let missing = found.is_empty().then(|| {
        "No task has scores of Supervised and of another encoder here. What is drawn, if anything, are the published points.".to_owned()
    });
    Analysis { panels, findings, missing, table }
}

/// Of the published points, in which all encoders but Supervised are anonymous.
fn published_improvement(task: &Task) -> Option<f64> {
    let sign = task.metric.sign();
    let p = published(&task.key)?;
    let supervised = p.supervised?;
    // Supervised's own point is one of them.
    let others = p.points.iter().map(|(v, _)| *v).filter(|v| *v != supervised);
    let best = others.max_by(|a, b| (sign * a).total_cmp(&(sign * b)))?;
    Some(sign * (best - supervised) / supervised).filter(|gain| gain.is_finite())
}

/// MoCo v2 against SwAV.
pub fn methods(matrix: &Matrix, _: &Options) -> Analysis {
    let changes: Vec<(usize, f64)> = (0..matrix.tasks.len())
        .filter(|t| matrix.tasks[*t].key != "Imagenetv2")
        .filter_map(|t| Some((t, method_change(matrix, t)?)))
        .collect();
    if changes.is_empty() {
        return Analysis::not_enough(
            "No task has scores of MoCo v2 and of SwAV with the same training data at 200 epochs yet.",
        );
    }
    let mut table = Table::new(&["task", "category", "MoCo v2 over SwAV"]);
    let bars = changes.iter().map(|(t, c)| {
        let task = &matrix.tasks[*t];
        table.row([task.name.clone(), task.category.name().to_owned(), percent(*c)]);
        Bar {
            key: task.key.clone(),
            label: task.name.clone(),
            value: 100.0 * c,
            interval: None,
            text: percent(*c),
            colour: task.category as usize,
        }
    });
    let mut panel =
        Panel::new("MoCo v2 over SwAV", "% of SwAV’s score; right: MoCo v2 is better", "", Marks::Bars(bars.collect()));
    panel.legend = Category::ALL.iter().map(|c| c.name().to_owned()).collect();
    let wins = changes.iter().filter(|c| c.1 > 0.0).count();
    let mut findings = vec![format!("MoCo v2 is better on {wins} of {}.", counted(changes.len(), "task"))];
    for category in Category::ALL {
        let own: Vec<f64> = changes.iter().filter(|c| matrix.tasks[c.0].category == category).map(|c| c.1).collect();
        if let Some(m) = mean(&own) {
            findings.push(format!(
                "{}: {} on average, better on {} of {}.",
                category.name(),
                percent(m),
                own.iter().filter(|c| **c > 0.0).count(),
                own.len()
            ));
        }
    }
    Analysis { panels: vec![panel], findings, missing: None, table }
}

/// Who comes first, and how often.
pub fn first(matrix: &Matrix, _: &Options) -> Analysis {
    let mut counts = vec![Vec::new(); matrix.encoders.len()];
    let contested: Vec<usize> = (0..matrix.tasks.len()).filter(|t| matrix.covered(*t) >= 2).collect();
    for t in &contested {
        let best = (0..matrix.encoders.len()).filter_map(|e| matrix.good(e, *t)).fold(f64::NEG_INFINITY, f64::max);
        for (e, won) in counts.iter_mut().enumerate() {
            if matrix.good(e, *t) == Some(best) {
                won.push(&*matrix.tasks[*t].name);
            }
        }
    }
    if contested.is_empty() {
        return Analysis::not_enough("No task has scores of two encoders yet.");
    }
    let mut winners: Vec<usize> = (0..matrix.encoders.len()).filter(|e| !counts[*e].is_empty()).collect();
    winners.sort_by_key(|e| std::cmp::Reverse(counts[*e].len()));
    let mut table = Table::new(&["encoder", "training data", "first places", "tasks"]);
    let bars = winners.iter().map(|e| {
        let encoder = &matrix.encoders[*e];
        table.row([
            encoder.name.clone(),
            encoder.pretraining.name().to_owned(),
            counts[*e].len().to_string(),
            counts[*e].join("; "),
        ]);
        Bar {
            key: encoder.key.clone(),
            label: encoder.name.clone(),
            value: counts[*e].len() as f64,
            interval: None,
            text: format!("{}: {}", counts[*e].len(), counts[*e].join(", ")),
            colour: colour(&encoder.pretraining),
        }
    });
    let mut panel = Panel::new("First places", "tasks", "", Marks::Bars(bars.collect()));
    panel.legend = DATASETS.iter().map(|d| (*d).to_owned()).collect();
    let mut findings = Vec::new();
    if let Some(e) = winners.first() {
        findings.push(format!(
            "{} comes first on {} of {}.",
            matrix.encoders[*e].name,
            counts[*e].len(),
            counted(contested.len(), "task")
        ));
    }
    if let (Some(places), Some(supervised)) = (matrix.encoder("SWAVPlaces"), matrix.encoder("Supervised")) {
        let both: Vec<_> =
            contested.iter().filter_map(|t| Some(matrix.good(places, *t)? > matrix.good(supervised, *t)?)).collect();
        if !both.is_empty() {
            findings.push(format!(
                "SwAV Places beats Supervised on {} of {}.",
                both.iter().filter(|b| **b).count(),
                counted(both.len(), "task")
            ));
        }
    }
    Analysis { panels: vec![panel], findings, missing: None, table }
}
