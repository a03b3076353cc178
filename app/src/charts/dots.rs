//! A line a row, a dot an encoder: who is where on which task.

use super::axis::Axis;
use super::{Drawing, at, number};
use maud::html;
use virboard_core::analysis::Panel;

const PLOT: f64 = 420.0;
const STEP: f64 = 21.0;
const LETTER: f64 = 6.7;

pub fn draw(panel: &Panel, rows: &[String], series: &[(String, Vec<Option<f64>>)]) -> Drawing {
    let left = 16.0 + LETTER * rows.iter().map(|r| r.chars().count()).max().unwrap_or(0) as f64;
    let width = left + PLOT + 12.0;
    let bottom = 6.0 + STEP * rows.len() as f64;
    let values = series.iter().flat_map(|s| s.1.iter().flatten().copied());
    let x = Axis::of(values.chain([0.0]), left, left + PLOT);
    let marks = html! {
        @for (v, text) in x.ticks(6) {
            line.grid y1="2" y2=(at(bottom)) x1=(at(x.at(v))) x2=(at(x.at(v))) {}
            text.soft x=(at(x.at(v))) y=(at(bottom + 16.0)) text-anchor="middle" { (text) }
        }
        line.zero x1=(at(x.at(0.0))) x2=(at(x.at(0.0))) y1="2" y2=(at(bottom)) {}
        @for (r, name) in rows.iter().enumerate() {
            @let y = 6.0 + STEP * (r as f64 + 0.5);
            @let there: Vec<f64> = series.iter().filter_map(|s| s.1[r]).collect();
            text x=(at(left - 8.0)) y=(at(y + 4.0)) text-anchor="end" { (name) }
            @if there.len() > 1 {
                @let (low, high) = there.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
                line.zero x1=(at(x.at(low))) x2=(at(x.at(high))) y1=(at(y)) y2=(at(y)) {}
            }
            @for (i, (label, values)) in series.iter().enumerate() {
                @if let Some(v) = values[r] {
                    circle class={ "c" (i) } cx=(at(x.at(v))) cy=(at(y)) r="5.5" { title { (label) " on " (name) ": " (number(v)) } }
                }
            }
        }
        text.soft x=(at(left + PLOT / 2.0)) y=(at(bottom + 32.0)) text-anchor="middle" { (panel.x) }
    };
    Drawing { width, height: bottom + 38.0, marks }
}
