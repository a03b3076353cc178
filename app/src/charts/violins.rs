//! Violins side by side, with their points and a line at zero.

use super::axis::Axis;
use super::{Drawing, at, number};
use maud::html;
use virboard_core::analysis::{Panel, Sample};
use virboard_core::statistics::density;

const HEIGHT: f64 = 320.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 46.0;
const STEPS: usize = 40;
/// Fewer values than these have no shape.
const LEAST: usize = 5;

pub fn draw(panel: &Panel, samples: &[Sample]) -> Drawing {
    let step = (560.0_f64 / samples.len().max(1) as f64).clamp(96.0, 150.0);
    let width = LEFT + step * samples.len().max(1) as f64 + 8.0;
    let values = samples.iter().flat_map(|s| s.dots.iter().map(|d| d.1));
    let y = Axis::of(values.chain([0.0]), HEIGHT - BOTTOM, 8.0);
    let marks = html! {
        @for (v, text) in y.ticks(6) {
            line.grid x1=(LEFT) x2=(at(width - 4.0)) y1=(at(y.at(v))) y2=(at(y.at(v))) {}
            text.soft x=(LEFT - 6.0) y=(at(y.at(v) + 4.0)) text-anchor="end" { (text) }
        }
        line.zero x1=(LEFT) x2=(at(width - 4.0)) y1=(at(y.at(0.0))) y2=(at(y.at(0.0))) stroke-dasharray="5 4" {}
        text.soft transform={ "translate(12 " (at((HEIGHT - BOTTOM) / 2.0)) ") rotate(-90)" } text-anchor="middle" { (panel.y) }
        @for (i, sample) in samples.iter().enumerate() {
            @let middle = LEFT + step * (i as f64 + 0.5);
            @if let Some(outline) = outline(sample, &y, middle, step * 0.42) { path.violin d=(outline) {} }
            @for (n, (label, value)) in sample.dots.iter().enumerate() {
                circle.dot cx=(at(middle + spread(n) * step * 0.2)) cy=(at(y.at(*value))) r="2.6" {
                    title { (label) ": " (number(*value)) }
                }
            }
            @for (n, line) in wrapped(&sample.label).iter().enumerate() {
                text.soft x=(at(middle)) y=(at(HEIGHT - BOTTOM + 17.0 + 14.0 * n as f64)) text-anchor="middle" { (line) }
            }
        }
    };
    Drawing { width, height: HEIGHT, marks }
}

/// The density on both sides of `middle`, cut at the smallest and largest value.
fn outline(sample: &Sample, y: &Axis, middle: f64, half: f64) -> Option<String> {
    let values: Vec<f64> = sample.dots.iter().map(|d| d.1).collect();
    let density = density(&values).filter(|_| values.len() >= LEAST)?;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let levels: Vec<f64> = (0..=STEPS).map(|i| low + (high - low) * i as f64 / STEPS as f64).collect();
    let widths: Vec<f64> = levels.iter().map(|v| density.at(*v)).collect();
    let widest = widths.iter().copied().fold(0.0, f64::max);
    (widest > 0.0).then(|| {
        let side =
            |sign: f64| levels.iter().zip(&widths).map(move |(v, w)| (middle + sign * half * w / widest, y.at(*v)));
        let right: Vec<(f64, f64)> = side(1.0).collect();
        let points = side(-1.0).chain(right.into_iter().rev());
        let points: Vec<String> = points.map(|(a, b)| format!("{} {}", at(a), at(b))).collect();
        format!("M{}Z", points.join("L"))
    })
}

/// Moves points apart sideways: the golden ratio's multiples, so that neighbours differ.
fn spread(n: usize) -> f64 {
    (n as f64 * 0.618_034).fract() - 0.5
}

/// The text in up to two lines.
fn wrapped(label: &str) -> Vec<&str> {
    let middle = label.len() / 2;
    let at = label.match_indices(' ').map(|(i, _)| i).min_by_key(|i| i.abs_diff(middle));
    match at {
        Some(i) if label.len() > 14 => vec![&label[..i], &label[i + 1..]],
        _ => vec![label],
    }
}
