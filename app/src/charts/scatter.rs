//! Points with their line and its 95 % band, and points of the published figure as rings.

use super::axis::Axis;
use super::{Drawing, at, number};
use maud::html;
use virboard_core::analysis::{Panel, Series};
use virboard_core::statistics::Line;

const WIDTH: f64 = 330.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 10.0;
const BOTTOM: f64 = 38.0;

pub fn draw(panel: &Panel, series: &[Series]) -> Drawing {
    let all = || {
        let own = series.iter().flat_map(|s| s.dots.iter().map(|d| (d.x, d.y)));
        own.chain(series.iter().flat_map(|s| s.reference.iter().copied()))
    };
    let level = series.iter().any(|s| s.level);
    let shared = |own: f64, other: f64| if level { [own, other] } else { [own, own] };
    let x = Axis::of(all().flat_map(|p| shared(p.0, p.1)), LEFT, WIDTH - RIGHT);
    let y = Axis::of(all().flat_map(|p| shared(p.1, p.0)), HEIGHT - BOTTOM, 8.0);
    let marks = html! {
        @for (v, text) in y.ticks(4) {
            line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(y.at(v))) y2=(at(y.at(v))) {}
            text.soft x=(LEFT - 6.0) y=(at(y.at(v) + 4.0)) text-anchor="end" { (text) }
        }
        @for (v, text) in x.ticks(4) {
            line.grid y1="8" y2=(HEIGHT - BOTTOM) x1=(at(x.at(v))) x2=(at(x.at(v))) {}
            text.soft x=(at(x.at(v))) y=(HEIGHT - BOTTOM + 16.0) text-anchor="middle" { (text) }
        }
        @if level {
            line.zero.level x1=(LEFT) x2=(WIDTH - RIGHT) y1=(HEIGHT - BOTTOM) y2="8" stroke-dasharray="5 4" { title { "both are equal" } }
        }
        text.soft x=(at((LEFT + WIDTH - RIGHT) / 2.0)) y=(HEIGHT - 4.0) text-anchor="middle" { (panel.x) }
        text.soft transform={ "translate(11 " (at((HEIGHT - BOTTOM) / 2.0)) ") rotate(-90)" } text-anchor="middle" { (panel.y) }
        @for one in series {
            @if let Some(line) = one.line.filter(|_| one.dots.len() > 2) {
                @let (band, fit) = paths(&line, &x, &y);
                path.band d=(band) {}
                path.fit d=(fit) { title { (one.name) } }
            }
            @for (px, py) in &one.reference {
                circle.ghost cx=(at(x.at(*px))) cy=(at(y.at(*py))) r="3.5" {
                    title { "published point: " (number(*px)) ", " (number(*py)) }
                }
            }
            @if let Some((px, py)) = one.supervised {
                circle.ghost.known cx=(at(x.at(px))) cy=(at(y.at(py))) r="5.5" {
                    title { "published Supervised: " (number(px)) ", " (number(py)) }
                }
            }
            @for dot in &one.dots {
                circle.dot cx=(at(x.at(dot.x))) cy=(at(y.at(dot.y))) r="4" data-key=[(!dot.key.is_empty()).then_some(&dot.key)] {
                    title { (dot.label) ": " (number(dot.x)) ", " (number(dot.y)) }
                }
            }
        }
    };
    Drawing { width: WIDTH, height: HEIGHT, marks }
}

/// The band and the line, cut off at the picture's edge.
fn paths(line: &Line, x: &Axis, y: &Axis) -> (String, String) {
    let inside = |v: f64| y.at(v).clamp(8.0, HEIGHT - BOTTOM);
    let steps: Vec<f64> = x.steps(24).collect();
    let upper = steps.iter().map(|v| (x.at(*v), inside(line.at(*v) + line.half_width(*v))));
    let lower = steps.iter().rev().map(|v| (x.at(*v), inside(line.at(*v) - line.half_width(*v))));
    let points: Vec<String> = upper.chain(lower).map(|(a, b)| format!("{} {}", at(a), at(b))).collect();
    let ends: Vec<String> = steps
        .iter()
        .filter(|v| (8.0..=HEIGHT - BOTTOM).contains(&y.at(line.at(**v))))
        .map(|v| format!("{} {}", at(x.at(*v)), at(y.at(line.at(*v)))))
        .collect();
    (format!("M{}Z", points.join("L")), format!("M{}", ends.join("L")))
}
