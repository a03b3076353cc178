//! Epochs, size of the data set, and the two test sets of ImageNet.

use crate::analysis::Matrix;
use crate::analysis::caution::{self, POINTS};
use crate::analysis::options::Options;
use crate::analysis::report::{Analysis, Bar, Dot, Marks, Panel, Series, Table, exactly, percent, probability};
use crate::catalogue::encoder::{Encoder, Method, Pretraining};
use crate::catalogue::published::{Published, published};
use crate::catalogue::task::Category;
use crate::statistics::{Correlation, mean, pearson};
use crate::words::counted;

fn method(e: &Encoder) -> bool {
    matches!(e.method, Method::SwAv | Method::MoCoV2)
}

/// Updates of SwAV and MoCo v2 on the whole of ImageNet.
fn epochs(e: &Encoder) -> Option<f64> {
    (method(e) && e.pretraining == Pretraining::ImageNet).then_some(())?;
    e.epochs.map(f64::from)
}

/// Images of balanced parts of ImageNet, 200 epochs.
fn images(e: &Encoder) -> Option<f64> {
    let balanced =
        matches!(e.pretraining, Pretraining::ImageNet | Pretraining::HalfImageNet | Pretraining::QuarterImageNet);
    (method(e) && e.epochs == Some(200) && balanced).then_some(())?;
    e.images.map(|n| n as f64)
}

/// Correlation of each task with epochs and with size.
pub fn training(matrix: &Matrix, options: &Options) -> Analysis {
    let mut table = Table::new(&["factor", "task", "encoders", "r", "p"]);
    let (mut panels, mut findings, mut few) = (Vec::new(), Vec::new(), Vec::new());
    for (name, of) in [("Epochs", epochs as fn(&Encoder) -> Option<f64>), ("Size of the data set", images)] {
        let correlated = |t: usize| -> Option<(usize, Correlation)> {
            let (x, y): (Vec<f64>, Vec<f64>) = points(matrix, t, of).into_iter().map(|(_, x, y)| (x, y)).unzip();
            Some((t, caution::correlation(&x, &y, options.ranks)?))
        };
        let all: Vec<_> = (0..matrix.tasks.len()).filter_map(correlated).collect();
        let tried = (0..matrix.tasks.len()).filter(|t| points(matrix, *t, of).len() > 1).count();
        if all.len() < tried {
            few.extend(caution::too_few(tried - all.len(), tried, &format!("tasks ({})", name.to_lowercase())));
            panels.extend(scatter(matrix, name, of));
        }
        if all.is_empty() {
            continue;
        }
        let bars = all.iter().map(|(t, c)| {
            let task = &matrix.tasks[*t];
            table.row([name.to_owned(), task.name.clone(), c.n.to_string(), format!("{:.4}", c.r), exactly(c.p)]);
            Bar {
                key: task.key.clone(),
                label: task.name.clone(),
                value: c.r,
                interval: None,
                text: format!("{:+.2}, {}", c.r, probability(c.p)),
                colour: if c.p < 0.05 { 0 } else { 7 },
            }
        });
        panels.push(Panel::new(
            name,
            "correlation with the score; right: more is better",
            "",
            Marks::Bars(bars.collect()),
        ));
        let clear = |sign: f64| all.iter().filter(|(_, c)| c.p < 0.05 && c.r * sign > 0.0).count();
        findings.push(format!(
            "{name}: scores rise on {} and fall on {} of {} (p < 0.05, each by itself).",
            clear(1.0),
            clear(-1.0),
            counted(all.len(), "task")
        ));
    }
    if panels.is_empty() {
        return Analysis::not_enough(
            "Three encoders of SwAV and MoCo v2 that differ in epochs or in the share of ImageNet are needed on one task.",
        );
    }
    Analysis { panels, findings, missing: (!few.is_empty()).then(|| few.join(" ")), table }
}

/// Encoders with a score on a task, what is asked about them, and the score.
fn points(matrix: &Matrix, task: usize, of: fn(&Encoder) -> Option<f64>) -> Vec<(usize, f64, f64)> {
    let one = |e: usize| Some((e, of(&matrix.encoders[e])?, matrix.good(e, task)?));
    (0..matrix.encoders.len()).filter_map(one).collect()
}

/// The points of tasks with too few for a correlation, in standard deviations, a panel a category.
fn scatter(matrix: &Matrix, name: &str, of: fn(&Encoder) -> Option<f64>) -> Vec<Panel> {
    let mut panels = Vec::new();
    for category in Category::ALL {
        let mut dots = Vec::new();
        for t in matrix.of_category(category) {
            let own = points(matrix, t, of);
            if own.len() >= POINTS {
                continue;
            }
            dots.extend(own.into_iter().filter_map(|(e, x, _)| {
                let (encoder, task) = (&matrix.encoders[e], &matrix.tasks[t]);
                let label = format!("{} on {}", encoder.name, task.name);
                Some(Dot { key: encoder.key.clone(), label, x, y: matrix.standardised(e, t)? })
            }));
        }
        if !dots.is_empty() {
            let one = Series { name: name.to_owned(), dots, ..Series::default() };
            let title = format!("{name} · {}", category.name());
            panels.push(Panel::new(title, name, "better →", Marks::Scatter(vec![one])));
        }
    }
    panels
}

/// The first ImageNet test set against the second.
pub fn versions(matrix: &Matrix, options: &Options) -> Analysis {
    let (rows, x, y) = match (matrix.task("Imagenet"), matrix.task("Imagenetv2")) {
        (Some(a), Some(b)) => matrix.pairs(a, b),
        _ => (Vec::new(), Vec::new(), Vec::new()),
    };
    // Without scores the published points are all there is to see.
    let reference: Vec<(f64, f64)> = if options.reference || rows.is_empty() {
        published("Imagenetv2").map_or_else(Vec::new, |p| p.points.iter().map(|(v, x)| (*x, *v)).collect())
    } else {
        Vec::new()
    };
    if rows.is_empty() && reference.is_empty() {
        return Analysis::not_enough("No encoder has a score on both ImageNet test sets yet.");
    }
    let mut table = Table::new(&["encoder", "ImageNet", "ImageNet v2", "change in points"]);
    let dots = rows.iter().zip(x.iter().zip(&y)).map(|(e, (x, y))| {
        let encoder = &matrix.encoders[*e];
        table.row([encoder.name.clone(), format!("{x:.4}"), format!("{y:.4}"), format!("{:+.2}", 100.0 * (y - x))]);
        Dot { key: encoder.key.clone(), label: encoder.name.clone(), x: *x, y: *y }
    });
    let dots: Vec<Dot> = dots.collect();
    let drop: Vec<f64> = x.iter().zip(&y).map(|(a, b)| b - a).collect();
    let mut findings: Vec<String> = mean(&drop)
        .map(|d| format!("Scores change by {} points on average.", percent(d).replace(" %", "")))
        .into_iter()
        .collect();
    findings.extend(caution::correlation(&x, &y, false).map(|c| format!("r = {:.3}, {}.", c.r, probability(c.p))));
    let (px, py): (Vec<f64>, Vec<f64>) = reference.iter().copied().unzip();
    findings.extend(pearson(&px, &py).map(|c| format!("Reference: r = {:.3} of {} published points.", c.r, c.n)));
    let fitted = caution::fitted(&x, &y);
    let supervised = published("Imagenetv2")
        .and_then(Published::supervised_point)
        .map(|(v, x)| (x, v))
        .filter(|_| !reference.is_empty());
    let one = Series { name: "encoders".to_owned(), dots, line: fitted, reference, supervised, level: false };
    let missing = if rows.is_empty() {
        Some("No encoder has both scores here: these are the anonymous published points.".to_owned())
    } else {
        caution::too_few(usize::from(rows.len() < POINTS), 1, "pair of test sets")
    };
    Analysis {
        panels: vec![Panel::new(
            "ImageNet v2 against v1",
            "ImageNet top-1",
            "ImageNet v2 top-1",
            Marks::Scatter(vec![one]),
        )],
        findings,
        missing,
        table,
    }
}
