//! Pairs of encoders that differ in one factor only: the paper's own question.

use super::Matrix;
use super::report::{Analysis, Bar, Marks, Panel, Table, exactly, percent, probability};
use crate::catalogue::encoder::{Encoder, Method, Pretraining};
use crate::catalogue::task::Category;
use crate::statistics::{Interval, Resampler, SignTest, mean, sign_test};
use crate::words::counted;
use std::sync::Arc;

/// What a pair differs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Factor {
    /// SwAV, MoCo v2...
    Method,
    /// ImageNet, Places...
    Dataset,
    /// The whole, a half or a quarter of ImageNet.
    Size,
    /// Balanced classes, or classes whose size falls.
    Balance,
    /// 50, 100, 200 or 800.
    Epochs,
}

impl Factor {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Method, Self::Dataset, Self::Size, Self::Balance, Self::Epochs];

    /// Display name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Method => "Training method",
            Self::Dataset => "Data set",
            Self::Size => "Size of the data set",
            Self::Balance => "Balance of the classes",
            Self::Epochs => "Epochs",
        }
    }
}

/// Images, size in quarters of ImageNet and balance of training data.
fn parts(p: &Pretraining) -> Option<(&str, u32, &'static str)> {
    Some(match p {
        Pretraining::ImageNet => ("ImageNet", 4, "balanced"),
        Pretraining::HalfImageNet => ("ImageNet", 2, "balanced"),
        Pretraining::QuarterImageNet => ("ImageNet", 1, "balanced"),
        Pretraining::LinearImageNet => ("ImageNet", 2, "linear"),
        Pretraining::LogImageNet => ("ImageNet", 1, "log"),
        Pretraining::Places => ("Places", 4, "balanced"),
        Pretraining::Kinetics => ("Kinetics", 4, "balanced"),
        Pretraining::Taskonomy => ("Taskonomy", 4, "balanced"),
        Pretraining::Combination => ("Combination", 4, "balanced"),
        Pretraining::Other(name) => (name, 4, "balanced"),
        Pretraining::Proprietary | Pretraining::Nothing | Pretraining::Unknown => return None,
    })
}

/// The one factor in which two self-supervised encoders differ, if there is exactly one.
#[must_use]
pub fn differ_in(a: &Encoder, b: &Encoder) -> Option<Factor> {
    let trained = |e: &Encoder| !matches!(e.method, Method::Supervised | Method::Random | Method::Unknown);
    if !(trained(a) && trained(b) && a.architecture.is_some() && a.architecture == b.architecture) {
        return None;
    }
    let ((source_a, size_a, balance_a), (source_b, size_b, balance_b)) =
        (parts(&a.pretraining)?, parts(&b.pretraining)?);
    let differences = [
        (Factor::Method, a.method != b.method),
        (Factor::Dataset, source_a != source_b),
        (Factor::Size, size_a != size_b),
        (Factor::Balance, balance_a != balance_b),
        (Factor::Epochs, a.epochs != b.epochs),
    ];
    let mut found = differences.into_iter().filter(|(_, d)| *d);
    found.next().filter(|_| found.next().is_none()).map(|(f, _)| f)
}

/// A pair and what changing the factor changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Contrast {
    /// The factor.
    pub factor: Factor,
    /// The encoder that is changed from, and the one that is changed to.
    pub pair: (Arc<Encoder>, Arc<Encoder>),
    /// Tasks that both have.
    pub tasks: usize,
    /// Mean over tasks of the change in standard deviations of the task's scores.
    pub change: f64,
    /// Where that mean lies when tasks are drawn anew.
    pub interval: Option<Interval>,
    /// Wins of the second over the first.
    pub signs: Option<SignTest>,
    /// Mean over tasks of the change relative to the first's score.
    pub relative: f64,
    /// The mean change of each category.
    pub categories: [Option<f64>; 4],
}

/// Two encoders over the tasks that both have. `None` without any.
#[must_use]
pub fn contrast(matrix: &Matrix, factor: Factor, from: usize, to: usize) -> Option<Contrast> {
    let change = |t: usize| {
        let (a, b) = (matrix.good(from, t)?, matrix.good(to, t)?);
        Some((t, (b - a) / matrix.deviation(t)?, (b - a) / a.abs().max(f64::MIN_POSITIVE)))
    };
    let changes: Vec<(usize, f64, f64)> = (0..matrix.tasks.len()).filter_map(change).collect();
    let standardised: Vec<f64> = changes.iter().map(|c| c.1).collect();
    let of = |c: Category| {
        mean(&changes.iter().filter(|x| matrix.tasks[x.0].category == c).map(|x| x.1).collect::<Vec<_>>())
    };
    Some(Contrast {
        factor,
        pair: (matrix.encoders[from].clone(), matrix.encoders[to].clone()),
        tasks: changes.len(),
        change: mean(&standardised)?,
        interval: Resampler::default().mean(&standardised, 2000),
        signs: sign_test(&standardised),
        relative: mean(&changes.iter().map(|c| c.2).collect::<Vec<_>>())?,
        categories: Category::ALL.map(of),
    })
}

/// All controlled pairs with a common task: from less to more training, from the first named
/// data set or method to the later.
#[must_use]
pub fn contrasts(matrix: &Matrix) -> Vec<Contrast> {
    let order = |e: &Encoder| {
        let (_, size, balance) = parts(&e.pretraining).unwrap_or(("", 0, ""));
        (e.method.clone(), size, balance != "balanced", e.epochs, e.pretraining.clone())
    };
    let mut out = Vec::new();
    for a in 0..matrix.encoders.len() {
        for b in a + 1..matrix.encoders.len() {
            let (x, y) = (&matrix.encoders[a], &matrix.encoders[b]);
            let Some(factor) = differ_in(x, y) else { continue };
            let (from, to) = if order(x) <= order(y) { (a, b) } else { (b, a) };
            out.extend(contrast(matrix, factor, from, to));
        }
    }
    out.sort_by(|a, b| a.factor.cmp(&b.factor).then(b.change.total_cmp(&a.change)));
    out
}

/// The analysis: a panel a factor.
#[must_use]
pub fn analysis(matrix: &Matrix) -> Analysis {
    let all = contrasts(matrix);
    if all.is_empty() {
        return Analysis::not_enough(
            "No two encoders with scores differ in one factor only. Score two checkpoints of a family on the same tasks, for example SwAV ImageNet 200 and MoCo v2 ImageNet 200.",
        );
    }
    let mut table = Table::new(&[
        "factor",
        "from",
        "to",
        "tasks",
        "change (sd)",
        "low",
        "high",
        "relative",
        "wins",
        "losses",
        "p (sign test)",
    ]);
    let (mut panels, mut findings) = (Vec::new(), Vec::new());
    for factor in Factor::ALL {
        let own: Vec<&Contrast> = all.iter().filter(|c| c.factor == factor).collect();
        if own.is_empty() {
            continue;
        }
        let bars = own.iter().map(|c| Bar {
            key: String::new(),
            label: format!("{} → {}", c.pair.0.name, c.pair.1.name),
            value: c.change,
            interval: c.interval,
            text: c.signs.map_or_else(
                || format!("{:+.2}", c.change),
                |s| format!("{:+.2}, {} of {}", c.change, s.wins, counted(c.tasks, "task")),
            ),
            colour: usize::from(!c.interval.is_some_and(|i| i.excludes_zero())) * 7,
        });
        let x = "mean change in standard deviations of each task";
        panels.push(Panel::new(factor.name(), x, "", Marks::Bars(bars.collect())));
        let clear = own.iter().filter(|c| c.interval.is_some_and(|i| i.excludes_zero())).count();
        let largest = own.iter().max_by(|a, b| a.change.abs().total_cmp(&b.change.abs()));
        if let Some(c) = largest {
            let p = c.signs.map_or_else(String::new, |s| format!(", sign test {}", probability(s.two_sided)));
            findings.push(format!(
                "{}: {clear} of {} pairs differ beyond the spread of tasks. The largest change is {:+.2} standard deviations, {} on average, from {} to {}{p}.",
                factor.name(), own.len(), c.change, percent(c.relative), c.pair.0.name, c.pair.1.name
            ));
        }
        for c in own {
            let bound =
                |f: fn(&Interval) -> f64| c.interval.as_ref().map_or_else(String::new, |i| format!("{:.4}", f(i)));
            table.row([
                factor.name().to_owned(),
                c.pair.0.key.clone(),
                c.pair.1.key.clone(),
                c.tasks.to_string(),
                format!("{:.4}", c.change),
                bound(|i| i.low),
                bound(|i| i.high),
                format!("{:.4}", c.relative),
                c.signs.map_or_else(String::new, |s| s.wins.to_string()),
                c.signs.map_or_else(String::new, |s| s.losses.to_string()),
                c.signs.map_or_else(String::new, |s| exactly(s.two_sided)),
            ]);
        }
    }
    Analysis { panels, findings, missing: None, table }
}
