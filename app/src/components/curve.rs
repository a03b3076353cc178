//! The curve of a run: training loss and test metric per epoch.

use crate::api::EpochPoint;
use leptos::prelude::*;
use virboard_core::catalog::task::Metric;

const WIDTH: f64 = 220.0;
const HEIGHT: f64 = 56.0;

/// A small curve.
#[component]
pub fn Curve(
    /// The epochs.
    points: Vec<EpochPoint>,
    /// The test metric.
    metric: Metric,
) -> impl IntoView {
    let loss: Vec<f64> = points.iter().map(|p| p.train_loss).collect();
    let test: Vec<f64> = points.iter().filter_map(|p| p.test_metric).collect();
    let summary = match (loss.first(), loss.last()) {
        (Some(first), Some(last)) => format!("{} epochs, loss {first:.3} to {last:.3}", points.len()),
        _ => return view! { <span class="note">"no curve"</span> }.into_any(),
    };
    let label = summary.clone();
    view! {
        <svg class="curve" viewBox=format!("0 0 {WIDTH} {HEIGHT}") width=WIDTH.to_string() height=HEIGHT.to_string() role="img" aria-label=label>
            <title>{summary}": training loss (thin) and test "{metric.name()}" (thick)"</title>
            <path class="loss" d=path(&loss)/>
            <path class="test" d=path(&test)/>
        </svg>
    }
    .into_any()
}

fn path(values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let span = (values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low).max(1e-9);
    let step = (WIDTH - 6.0) / (values.len().max(2) - 1) as f64;
    let point = |(i, v): (usize, &f64)| {
        let command = if i == 0 { 'M' } else { 'L' };
        format!("{command}{:.1} {:.1}", 3.0 + step * i as f64, 3.0 + (HEIGHT - 6.0) * (1.0 - (v - low) / span))
    };
    values.iter().enumerate().map(point).collect()
}
