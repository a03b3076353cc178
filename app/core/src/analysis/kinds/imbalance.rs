//! Similar training data; balanced and unbalanced classes.

use super::pairs::{DATASETS, colour};
use crate::analysis::Matrix;
use crate::analysis::caution;
use crate::analysis::effects::{SIMILAR, changes, comparable};
use crate::analysis::options::Options;
use crate::analysis::report::{Analysis, Bar, Marks, Panel, Table, percent, probability};
use crate::catalogue::encoder::Pretraining;
use crate::statistics::mean;
use crate::words::counted;

/// Same or similar data sets.
pub fn similar(matrix: &Matrix, _: &Options) -> Analysis {
    let mut table = Table::new(&["task", "encoder", "training data", "score", "place", "similar"]);
    let (mut panels, mut findings) = (Vec::new(), Vec::new());
    for (key, own) in SIMILAR {
        let Some(t) = matrix.task(key) else { continue };
        let mut rows: Vec<(usize, f64)> = (0..matrix.encoders.len())
            .filter(|e| comparable(&matrix.encoders[*e]))
            .filter_map(|e| Some((e, matrix.good(e, t)?)))
            .collect();
        if rows.len() < 2 {
            continue;
        }
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        let task = &matrix.tasks[t];
        let bars = rows.iter().enumerate().map(|(place, (e, good))| {
            let encoder = &matrix.encoders[*e];
            let score = matrix.score(*e, t).map_or_else(String::new, |s| task.metric.format(s));
            let same = encoder.pretraining == own;
            table.row([
                task.name.clone(),
                encoder.name.clone(),
                encoder.pretraining.name().to_owned(),
                score.clone(),
                (place + 1).to_string(),
                if same { "yes" } else { "" }.to_owned(),
            ]);
            Bar {
                key: encoder.key.clone(),
                label: encoder.name.clone(),
                value: good.abs(),
                interval: None,
                text: score,
                colour: colour(&encoder.pretraining),
            }
        });
        let unit = if task.metric.is_share() { "share" } else { &task.unit };
        let mut panel = Panel::new(
            format!("{}: like {}", task.name, own.name()),
            format!("{}, {unit}", task.metric.name()),
            "",
            Marks::Bars(bars.collect()),
        );
        panel.legend = DATASETS.iter().map(|d| (*d).to_owned()).collect();
        panels.push(panel);
        let best = &matrix.encoders[rows[0].0];
        findings.push(format!(
            "{}: the best is {}, {} on {}.",
            task.name,
            best.name,
            if best.pretraining == own { "as expected trained" } else { "not trained" },
            own.name()
        ));
    }
    if panels.is_empty() {
        return Analysis::not_enough(
            "None of CalTech, Kinetics, SUN397 and Taskonomy Depth has scores of two encoders trained for 200 epochs at full size yet.",
        );
    }
    Analysis { panels, findings, missing: None, table }
}

/// Balanced and unbalanced training sets of one size.
const BALANCE: [(&str, Pretraining, Pretraining); 2] = [
    ("logarithmic", Pretraining::QuarterImageNet, Pretraining::LogImageNet),
    ("linear", Pretraining::HalfImageNet, Pretraining::LinearImageNet),
];

/// Balanced against unbalanced.
pub fn balance(matrix: &Matrix, _: &Options) -> Analysis {
    let mut table = Table::new(&["imbalance", "task", "change"]);
    let (mut panels, mut findings) = (Vec::new(), Vec::new());
    for (name, balanced, unbalanced) in BALANCE {
        let (all, before, after) = changes(matrix, &balanced, &unbalanced);
        if all.is_empty() {
            continue;
        }
        let bars = all.iter().map(|(t, c)| {
            let task = &matrix.tasks[*t];
            table.row([name.to_owned(), task.name.clone(), percent(*c)]);
            Bar {
                key: task.key.clone(),
                label: task.name.clone(),
                value: 100.0 * c,
                interval: None,
                text: percent(*c),
                colour: usize::from(*c < 0.0),
            }
        });
        panels.push(Panel::new(
            format!("{} against {}", unbalanced.name(), balanced.name()),
            "% of the balanced score; right: unbalanced is better",
            "",
            Marks::Bars(bars.collect()),
        ));
        let average = mean(&all.iter().map(|c| c.1).collect::<Vec<_>>()).unwrap_or_default();
        let groups = [&before[..], &after[..]];
        let tests = caution::groups(&groups).map_or_else(String::new, |(a, k)| {
            format!(" ANOVA {}, Kruskal-Wallis {}.", probability(a.p), probability(k.p))
        });
        findings.push(format!(
            "A {name} imbalance changes scores by {} on average over {}.{tests}",
            percent(average),
            counted(all.len(), "task")
        ));
    }
    if panels.is_empty() {
        return Analysis::not_enough(
            "No task has scores of a balanced and an unbalanced encoder of one method and size at 200 epochs yet.",
        );
    }
    Analysis { panels, findings, missing: None, table }
}
