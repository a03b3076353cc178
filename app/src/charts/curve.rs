//! The curve of a run: training loss and test metric per epoch.

use super::at;
use maud::{Markup, html};
use virboard_core::catalogue::task::Metric;
use virboard_core::run::Epoch;
use virboard_core::words::counted;

const WIDTH: f64 = 220.0;
const HEIGHT: f64 = 56.0;

/// A small curve of a run's epochs.
#[must_use]
pub fn curve(points: &[Epoch], metric: Metric) -> Markup {
    let loss: Vec<f64> = points.iter().map(|p| p.train_loss).collect();
    let test: Vec<f64> = points.iter().filter_map(|p| p.test_metric).collect();
    let (Some(first), Some(last)) = (loss.first(), loss.last()) else {
        return html! { span.note { "no curve" } };
    };
    let summary = format!("{}, loss {first:.3} to {last:.3}", counted(points.len(), "epoch"));
    html! {
        svg.curve viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) role="img" aria-label=(summary) {
            title { (summary) ": training loss (thin) and test " (metric.name()) " (thick)" }
            path.loss d=(path(&loss)) {}
            path.test d=(path(&test)) {}
        }
    }
}

fn path(values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let span = (values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low).max(1e-9);
    let step = (WIDTH - 6.0) / (values.len().max(2) - 1) as f64;
    let point = |(i, v): (usize, &f64)| {
        let command = if i == 0 { 'M' } else { 'L' };
        format!("{command}{} {}", at(3.0 + step * i as f64), at(3.0 + (HEIGHT - 6.0) * (1.0 - (v - low) / span)))
    };
    values.iter().enumerate().map(point).collect()
}
