//! Tasks against a task, and all against all.

use crate::analysis::Matrix;
use crate::analysis::caution::{self, POINTS};
use crate::analysis::options::Options;
use crate::analysis::report::{Analysis, Dot, Marks, Panel, Series, Table, exactly, probability};
use crate::catalogue::published::published;
use crate::catalogue::task::{Category, Task};
use crate::statistics::{Correlation, mean, pearson};
use crate::words::counted;

/// Encoders below this top-1 score on ImageNet are left out of ViRB's figure.
const LEAST_IMAGENET: f64 = 0.4;

/// The x axis: what was asked for, else ImageNet, else the first task that has scores.
fn axis(matrix: &Matrix, options: &Options) -> Option<usize> {
    let has = |t: &usize| matrix.covered(*t) >= 3;
    matrix
        .task(&options.x)
        .or_else(|| matrix.task("Imagenet").filter(has))
        .or_else(|| matrix.task("SamplePhotos").filter(has))
        .or_else(|| (0..matrix.tasks.len()).find(has))
}

/// Points of the published figure as (better x, better y).
fn reference(task: &Task) -> Vec<(f64, f64)> {
    let sign = task.metric.sign();
    published(&task.key).map_or_else(Vec::new, |p| p.points.iter().map(|(v, x)| (*x, sign * v)).collect())
}

/// Supervised's point among them.
fn supervised(task: &Task) -> Option<(f64, f64)> {
    let sign = task.metric.sign();
    published(&task.key)?.supervised_point().map(|(v, x)| (x, sign * v))
}

/// Every task against one.
pub fn against(matrix: &Matrix, options: &Options) -> Analysis {
    let Some(x) = axis(matrix, options) else {
        let paper = matrix.tasks.iter().any(|t| published(&t.key).is_some());
        return if options.reference && paper {
            published_only(matrix)
        } else {
            Analysis::not_enough(
                "No task has scores of three encoders yet. Evaluate at least three encoders on ImageNet and on another task, or switch the published points on.",
            )
        };
    };
    let imagenet = matrix.tasks[x].is("Imagenet");
    let mut table =
        Table::new(&["task", "category", "encoders", "slope", "Pearson r", "p", "Spearman r", "p (Spearman)"]);
    let (mut panels, mut strong, mut few) = (Vec::new(), Vec::new(), 0);
    for category in Category::ALL {
        let mut series = Vec::new();
        for t in matrix.of_category(category).filter(|t| *t != x) {
            let (rows, xs, ys) = matrix.pairs(x, t);
            let kept: Vec<usize> = (0..rows.len()).filter(|i| !imagenet || xs[*i] > LEAST_IMAGENET).collect();
            let pick = |v: &[f64]| kept.iter().map(|i| v[*i]).collect::<Vec<f64>>();
            let (xs, ys) = (pick(&xs), pick(&ys));
            let task = &matrix.tasks[t];
            let dots = kept.iter().zip(xs.iter().zip(&ys)).map(|(i, (x, y))| {
                let encoder = &matrix.encoders[rows[*i]];
                Dot { key: encoder.key.clone(), label: encoder.name.clone(), x: *x, y: *y }
            });
            let (p, s) = (caution::correlation(&xs, &ys, false), caution::correlation(&xs, &ys, true));
            let fitted = caution::fitted(&xs, &ys);
            few += usize::from(xs.len() < POINTS);
            let cell = |c: Option<f64>| c.map_or_else(String::new, |v| format!("{v:.4}"));
            table.row([
                task.name.clone(),
                category.name().to_owned(),
                xs.len().to_string(),
                cell(fitted.map(|l| l.slope)),
                cell(p.map(|c| c.r)),
                p.map_or_else(String::new, |c| exactly(c.p)),
                cell(s.map(|c| c.r)),
                s.map_or_else(String::new, |c| exactly(c.p)),
            ]);
            if let Some(c) = p {
                strong.push((category, &*task.name, c));
            }
            let name =
                p.map_or_else(|| task.name.clone(), |c| format!("{}: r = {:.2}, {}", task.name, c.r, probability(c.p)));
            let reference = if options.reference && imagenet { reference(task) } else { Vec::new() };
            let supervised = supervised(task).filter(|_| !reference.is_empty());
            series.push(Series { name, dots: dots.collect(), line: fitted, reference, supervised, level: false });
        }
        for one in series {
            panels.push(Panel::new(
                format!("{} · {}", category.name(), one.name),
                &*matrix.tasks[x].name,
                "better →",
                Marks::Scatter(vec![one]),
            ));
        }
    }
    if panels.is_empty() {
        return Analysis::not_enough(format!(
            "Only {} has scores; another task is needed to compare it with.",
            matrix.tasks[x].name
        ));
    }
    let mut findings: Vec<String> = Category::ALL
        .into_iter()
        .filter_map(|c| {
            let r: Vec<f64> = strong.iter().filter(|s| s.0 == c).map(|s| s.2.r).collect();
            Some(format!("{}: mean r = {:.2} over {}.", c.name(), mean(&r)?, counted(r.len(), "task")))
        })
        .collect();
    let negative: Vec<&str> = strong.iter().filter(|s| s.2.r < 0.0 && s.2.p < 0.05).map(|s| s.1).collect();
    if !negative.is_empty() {
        findings.push(format!("Falls with it (p < 0.05): {}.", negative.join(", ")));
    }
    let missing = caution::too_few(few, table.rows.len(), "tasks");
    Analysis { panels, findings, missing, table }
}

/// With no scores at all: the published points alone.
fn published_only(matrix: &Matrix) -> Analysis {
    let mut table = Table::new(&["task", "category", "published points", "reading quality", "Pearson r", "p"]);
    let mut panels = Vec::new();
    for task in &matrix.tasks {
        let points = reference(task);
        let (x, y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        let Some(c) = pearson(&x, &y).filter(|_| !task.is("Imagenet")) else { continue };
        table.row([
            task.name.clone(),
            task.category.name().to_owned(),
            points.len().to_string(),
            published(&task.key).map_or_else(String::new, |p| p.quality.to_string()),
            format!("{:.4}", c.r),
            exactly(c.p),
        ]);
        let title = format!("{} · {}: r = {:.2} of published points", task.category.name(), task.name, c.r);
        let one =
            Series { name: task.name.clone(), reference: points, supervised: supervised(task), ..Series::default() };
        panels.push(Panel::new(title, "ImageNet Cls.", "better →", Marks::Scatter(vec![one])));
    }
    let missing =
        "No scores on this server yet: these are the anonymous points of the published figure, as a reference.";
    Analysis { panels, findings: Vec::new(), missing: Some(missing.to_owned()), table }
}

/// Correlations of all tasks that have enough encoders, `None` where too few have both; and the
/// columns of those tasks.
#[must_use]
pub fn matrix(matrix: &Matrix, ranks: bool) -> (Vec<usize>, Vec<Vec<Option<Correlation>>>) {
    let tasks: Vec<usize> = (0..matrix.tasks.len()).filter(|t| matrix.covered(*t) >= POINTS).collect();
    let one = |a: usize, b: usize| {
        let (_, x, y) = matrix.pairs(a, b);
        caution::correlation(&x, &y, ranks)
    };
    let values = tasks.iter().map(|a| tasks.iter().map(|b| one(*a, *b)).collect()).collect();
    (tasks, values)
}

/// Task by task.
pub fn heat(scores: &Matrix, options: &Options) -> Analysis {
    let (tasks, values) = matrix(scores, options.ranks);
    if tasks.len() < 2 {
        return points(scores);
    }
    let r = |a: usize, b: usize| values[a][b].map(|c| c.r);
    let order = clustered(tasks.len(), |a, b| 1.0 - r(a, b).unwrap_or(0.0));
    let names: Vec<String> = order.iter().map(|i| scores.tasks[tasks[*i]].name.clone()).collect();
    let cells = order.iter().flat_map(|a| order.iter().map(move |b| (*a, *b))).map(|(a, b)| r(a, b)).collect();
    let mut table = Table::new(&["task", "task", "encoders", "r", "p"]);
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (i, a) in order.iter().enumerate() {
        for b in &order[i + 1..] {
            let (x, y) = (&scores.tasks[tasks[*a]].name, &scores.tasks[tasks[*b]].name);
            if let Some(c) = values[*a][*b] {
                table.row([x.to_owned(), y.to_owned(), c.n.to_string(), format!("{:.4}", c.r), exactly(c.p)]);
                pairs.push((c.r, *a, *b));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let say = |what: &str, p: Option<&(f64, usize, usize)>| {
        p.map(|(r, a, b)| {
            format!("{what}: {} and {}, r = {r:.2}.", scores.tasks[tasks[*a]].name, scores.tasks[tasks[*b]].name)
        })
    };
    let findings = say("Most alike", pairs.first()).into_iter().chain(say("Least alike", pairs.last())).collect();
    let title = if options.ranks { "Spearman’s correlation of tasks" } else { "Pearson’s correlation of tasks" };
    let marks = Marks::Heat { rows: names.clone(), columns: names, values: cells, low: -1.0 };
    Analysis { panels: vec![Panel::new(title, "", "", marks)], findings, missing: None, table }
}

/// Where there are too few encoders: what the tasks say of each, to be looked at.
fn points(scores: &Matrix) -> Analysis {
    let mut answer = Analysis::not_enough(format!(
        "Two tasks with scores of {POINTS} encoders each are needed: the correlation of fewer is what chance makes it. What is there is shown as points."
    ));
    let scored = |e: &usize| (0..scores.tasks.len()).any(|t| scores.standardised(*e, t).is_some());
    let encoders: Vec<usize> = (0..scores.encoders.len()).filter(scored).take(POINTS - 1).collect();
    let tasks: Vec<usize> = (0..scores.tasks.len()).filter(|t| scores.deviation(*t).is_some()).collect();
    if encoders.is_empty() || tasks.is_empty() {
        return answer;
    }
    let values = |e: usize| tasks.iter().map(|t| scores.standardised(e, *t)).collect();
    let marks = Marks::Dots {
        rows: tasks.iter().map(|t| scores.tasks[*t].name.clone()).collect(),
        series: encoders.iter().map(|e| (scores.encoders[*e].name.clone(), values(*e))).collect(),
    };
    let x = "standard deviations above the average encoder; right is better";
    let mut panel = Panel::new("Scores of the few encoders there are", x, "", marks);
    panel.legend = encoders.iter().map(|e| scores.encoders[*e].name.clone()).collect();
    answer.panels.push(panel);
    answer
}

/// The order of leaves when the two nearest groups are joined again and again (average linkage).
fn clustered(n: usize, distance: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let mut groups: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    while groups.len() > 1 {
        let mut nearest = (f64::INFINITY, 0, 1);
        for a in 0..groups.len() {
            for b in a + 1..groups.len() {
                let all: Vec<f64> = groups[a].iter().flat_map(|i| groups[b].iter().map(|j| distance(*i, *j))).collect();
                let d = mean(&all).unwrap_or(f64::INFINITY);
                if d < nearest.0 {
                    nearest = (d, a, b);
                }
            }
        }
        let (_, a, b) = nearest;
        let joined = groups.remove(b);
        groups[a].extend(joined);
    }
    groups.pop().unwrap_or_default()
}
