//! The published points of a task as a strip plot.

use leptos::prelude::*;
use virboard_core::catalog::published::Published;
use virboard_core::catalog::task::Task;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 34.0;

/// Score against ImageNet top-1 of every published point; anonymous but for the baseline.
#[component]
pub fn PublishedPlot(
    /// The task.
    task: &'static Task,
    /// Its points.
    published: &'static Published,
) -> impl IntoView {
    let (low, high) = published.range();
    let margin = ((high - low) * 0.08).max(1e-4);
    let (low, high) = (low - margin, high + margin);
    let x = move |top1: f64| LEFT + (top1 - 0.45) / (0.78 - 0.45) * (WIDTH - LEFT - 12.0);
    let y = move |score: f64| 12.0 + (high - score) / (high - low) * (HEIGHT - BOTTOM - 12.0);
    let dots = published
        .points
        .iter()
        .map(|(score, top1)| view! { <circle cx=format!("{:.1}", x(*top1)) cy=format!("{:.1}", y(*score)) r="4.5"/> })
        .collect_view();
    let line = published.supervised.map(|s| {
        let at = format!("{:.1}", y(s));
        view! {
            <line class="baseline" x1=LEFT.to_string() x2=(WIDTH - 12.0).to_string() y1=at.clone() y2=at.clone()/>
            <text class="baseline" x=(LEFT + 4.0).to_string() y=format!("{:.1}", y(s) - 5.0)>"supervised"</text>
        }
    });
    let ticks = (0..=4)
        .map(|i| {
            let value = low + (high - low) * f64::from(i) / 4.0;
            view! { <text x=(LEFT - 8.0).to_string() y=format!("{:.1}", y(value) + 4.0) text-anchor="end">{task.metric.format(value)}</text> }
        })
        .collect_view();
    let columns = [50, 60, 70]
        .map(|p| view! { <text x=format!("{:.1}", x(f64::from(p) / 100.0)) y=(HEIGHT - 14.0).to_string() text-anchor="middle">{p}"%"</text> })
        .collect_view();
    view! {
        <figure class="plot">
            <svg viewBox=format!("0 0 {WIDTH} {HEIGHT}") role="img" aria-label=format!("{} published points of {}", published.points.len(), task.name)>
                <line class="axis" x1=LEFT.to_string() x2=LEFT.to_string() y1="8" y2=(HEIGHT - BOTTOM).to_string()/>
                <line class="axis" x1=LEFT.to_string() x2=(WIDTH - 8.0).to_string() y1=(HEIGHT - BOTTOM).to_string() y2=(HEIGHT - BOTTOM).to_string()/>
                {ticks}{columns}{line}
                <g class="dots">{dots}</g>
            </svg>
            <figcaption>
                {published.points.len()}" points read off the paper’s figure: "{task.metric.name()}
                " against the same encoder’s ImageNet top-1. Which point is whose was not published, but for the supervised baseline."
            </figcaption>
        </figure>
    }
}
