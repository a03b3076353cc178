//! Curves of runs, each in the colour and shape that its number gives it on every page.

use super::Detail;
use super::cell::factor;
use crate::charts::figure;
use maud::{Markup, html};
use std::collections::BTreeMap;
use virboard_core::analysis::{Dot, Marks, Panel, Trace};
use virboard_core::explorer::{RunRow, Runs};
use virboard_core::run::Epoch;

/// Lines that are told apart.
const LOOKS: usize = 28;
/// Points of all lines of a picture, about.
const POINTS: usize = 3000;
/// Fewest and most points of a line.
const LINE: (usize, usize) = (12, 100);

/// The look of each run: that of its number, or the next that is free.
pub fn looks(ids: &[i64]) -> BTreeMap<i64, usize> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut taken = [false; LOOKS];
    let mut looks = BTreeMap::new();
    for id in sorted {
        let wished = id.rem_euclid(LOOKS as i64) as usize;
        let look = (0..LOOKS).map(|i| (wished + i) % LOOKS).find(|l| !taken[*l]).unwrap_or(wished);
        taken[look] = true;
        looks.insert(id, look);
    }
    looks
}

/// Pictures of the loss, and of the metric for each task, of these runs; nothing where no run has a curve.
pub fn curves(details: &[Detail], runs: &Runs, logarithm: bool) -> Markup {
    let ids: Vec<i64> = details.iter().map(|d| d.id).collect();
    let looks = looks(&ids);
    let known: Vec<(&Detail, &RunRow)> = details.iter().filter_map(|d| Some((d, runs.get(d.id)?))).collect();
    let loss = |e: &Epoch| {
        let loss = Some(e.train_loss);
        if logarithm { loss.filter(|l| *l > 0.0).map(f64::log10) } else { loss }
    };
    let title = if logarithm { "Training loss, logarithm to base 10" } else { "Training loss" };
    let mut panels = vec![panel(title, "mean of the epoch", &known, &looks, loss)];
    let mut tasks: Vec<&str> = known.iter().map(|(_, r)| r.task.as_str()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    for task in tasks {
        let of: Vec<(&Detail, &RunRow)> = known.iter().copied().filter(|(_, r)| r.task == task).collect();
        let metric = of.iter().find_map(|(_, r)| r.metric);
        let factor = factor(metric);
        let name = metric.map_or("metric", |m| m.name());
        let unit = if factor > 1.0 { format!("{name}, %") } else { name.to_owned() };
        panels.push(panel(&format!("{name} on {task}"), &unit, &of, &looks, |e| Some(factor * e.test_metric?)));
    }
    let drawn: Vec<Panel> = panels.into_iter().flatten().collect();
    html! { @if !drawn.is_empty() { div.charts { @for panel in &drawn { (figure(panel)) } } } }
}

fn panel(
    title: &str,
    unit: &str,
    runs: &[(&Detail, &RunRow)],
    looks: &BTreeMap<i64, usize>,
    value: impl Fn(&Epoch) -> Option<f64>,
) -> Option<Panel> {
    let most = (POINTS / runs.len().max(1)).clamp(LINE.0, LINE.1);
    let mut legend = vec![Vec::<String>::new(); LOOKS];
    let mut traces = Vec::new();
    for (detail, run) in runs {
        let name = format!("#{} {} {}", run.id, run.encoder, run.task);
        let dot = |e: &Epoch| {
            let y = value(e).filter(|y| y.is_finite())?;
            let label = format!("{name}, epoch {}", e.epoch);
            Some(Dot { key: format!("run-{}", run.id), label, x: f64::from(e.epoch), y })
        };
        let dots = thinned(detail.epochs.iter().filter_map(dot).collect(), most);
        if !dots.is_empty() {
            let look = looks.get(&run.id).copied().unwrap_or_default();
            legend[look].push(name);
            traces.push(Trace { look, dots });
        }
    }
    if traces.is_empty() {
        return None;
    }
    let mut panel = Panel::new(title, "epoch", unit, Marks::Lines { traces, doubling: false });
    if runs.len() > 1 {
        panel.legend = legend.into_iter().map(|names| names.join(", ")).collect();
    }
    Some(panel)
}

/// At most so many points, the first and the last among them.
fn thinned(dots: Vec<Dot>, most: usize) -> Vec<Dot> {
    let all = dots.len();
    if all <= most {
        return dots;
    }
    let kept = |i: usize| i * (most - 1) / (all - 1) != (i.max(1) - 1) * (most - 1) / (all - 1) || i == 0;
    dots.into_iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, d)| d).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_keeps_its_colour_whoever_is_beside_it() {
        let alone = looks(&[31]);
        let beside = looks(&[2, 31, 40]);
        assert_eq!((alone[&31], beside[&31], beside[&40]), (3, 3, 12));
        // 3 and 31 wish for the same: the smaller number has it.
        assert_eq!(looks(&[31, 3]).values().copied().collect::<Vec<_>>(), [3, 4]);
        let many: Vec<i64> = (0..100).collect();
        assert_eq!(looks(&many).len(), 100);
    }

    #[test]
    fn long_curves_are_thinned_and_keep_their_ends() {
        let dots: Vec<Dot> =
            (0..997).map(|i| Dot { key: String::new(), label: String::new(), x: f64::from(i), y: 0.0 }).collect();
        let thin = thinned(dots.clone(), 50);
        assert_eq!((thin.len(), thin[0].x, thin[49].x), (50, 0.0, 996.0));
        assert_eq!(thinned(dots[..50].to_vec(), 50).len(), 50);
    }
}
