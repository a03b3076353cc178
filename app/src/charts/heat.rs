//! A matrix of correlations or similarities.

use super::{Drawing, at};
use maud::html;

/// Above so many rows or columns numbers are left out of cells.
const NUMBERS: usize = 26;

/// Blue for 1, white for 0, red for -1: told apart by the colour-blind too.
pub fn draw(rows: &[String], columns: &[String], values: &[Option<f64>], low: f64) -> Drawing {
    let most = rows.len().max(columns.len());
    let side = if most > NUMBERS { 16.0 } else { 30.0 };
    let longest = |names: &[String]| names.iter().map(|n| n.chars().count()).max().unwrap_or(0) as f64;
    let (left, top) = (16.0 + 6.6 * longest(rows), 16.0 + 5.2 * longest(columns));
    let width = left + side * columns.len() as f64 + 4.8 * longest(columns).min(14.0);
    let height = top + side * rows.len() as f64 + 6.0;
    let marks = html! {
        @for (c, name) in columns.iter().enumerate() {
            @let x = left + side * (c as f64 + 0.55);
            text.soft transform={ "translate(" (at(x)) " " (at(top - 7.0)) ") rotate(-50)" } { (name) }
        }
        @for (r, name) in rows.iter().enumerate() {
            @let y = top + side * r as f64;
            text.soft x=(at(left - 6.0)) y=(at(y + side / 2.0 + 4.0)) text-anchor="end" { (name) }
            @for (c, other) in columns.iter().enumerate() {
                @let x = left + side * c as f64;
                @if let Some(v) = values.get(r * columns.len() + c).copied().flatten() {
                    rect x=(at(x)) y=(at(y)) width=(at(side - 1.0)) height=(at(side - 1.0)) fill=(colour(v, low)) {
                        title { (name) ", " (other) ": " (format!("{v:.3}")) }
                    }
                    @if most <= NUMBERS {
                        text.cell x=(at(x + side / 2.0 - 0.5)) y=(at(y + side / 2.0 + 3.0)) text-anchor="middle" style={ "fill:" (ink(v)) ";font-size:9px" } { (brief(v)) }
                    }
                } @else {
                    rect.hole x=(at(x)) y=(at(y)) width=(at(side - 1.0)) height=(at(side - 1.0)) fill="none" stroke="#8888" {
                        title { (name) ", " (other) ": not enough data" }
                    }
                }
            }
        }
    };
    Drawing { width, height, marks }
}

/// `.52` for 0.52.
fn brief(v: f64) -> String {
    format!("{v:.2}").replacen("0.", ".", 1)
}

fn colour(v: f64, low: f64) -> String {
    let mix = |from: [f64; 3], to: [f64; 3], t: f64| {
        let part = |i: usize| (from[i] + (to[i] - from[i]) * t).round();
        format!("rgb({},{},{})", part(0), part(1), part(2))
    };
    let (white, blue, red) = ([247.0, 247.0, 247.0], [33.0, 102.0, 172.0], [178.0, 24.0, 43.0]);
    if v < 0.0 && low < 0.0 { mix(white, red, (-v).min(1.0)) } else { mix(white, blue, v.clamp(0.0, 1.0)) }
}

fn ink(v: f64) -> &'static str {
    if v.abs() > 0.55 { "#fff" } else { "#1d1b18" }
}
