//! Lines from point to point, told apart by colour and by the shape of their points.

use super::axis::Axis;
use super::{Drawing, at, number};
use maud::{Markup, html};
use virboard_core::analysis::{Dot, Panel, Trace};

const WIDTH: f64 = 330.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 38.0;
/// The least room of a number below the axis.
const TICK: f64 = 28.0;
/// So many different values have a number each below a linear axis.
const EACH: usize = 10;
/// Lines with more points have small ones.
const DENSE: usize = 24;
/// Colours of lines. The last one of the palette stands for what does not count elsewhere.
const COLOURS: usize = 7;
/// Shapes of points: circle, square, triangle, diamond.
const SHAPES: usize = 4;

pub fn draw(panel: &Panel, traces: &[Trace], doubling: bool) -> Drawing {
    let dots = || traces.iter().flat_map(|t| &t.dots);
    let placed = |v: f64| if doubling { v.max(f64::MIN_POSITIVE).log2() } else { v };
    let x = Axis::of(dots().map(|d| placed(d.x)), LEFT, WIDTH - RIGHT);
    let y = Axis::of(dots().map(|d| d.y), HEIGHT - BOTTOM, 8.0);
    let across = |v: f64| x.at(placed(v));
    let marks = html! {
        @for (v, text) in y.ticks(4) {
            line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(y.at(v))) y2=(at(y.at(v))) {}
            text.soft x=(LEFT - 6.0) y=(at(y.at(v) + 4.0)) text-anchor="end" { (text) }
        }
        @for (v, text) in ticks(dots().map(|d| d.x), &x, doubling) {
            line.grid y1="8" y2=(HEIGHT - BOTTOM) x1=(at(v)) x2=(at(v)) {}
            text.soft x=(at(v)) y=(HEIGHT - BOTTOM + 16.0) text-anchor="middle" { (text) }
        }
        text.soft x=(at((LEFT + WIDTH - RIGHT) / 2.0)) y=(HEIGHT - 4.0) text-anchor="middle" { (panel.x) }
        text.soft transform={ "translate(11 " (at((HEIGHT - BOTTOM) / 2.0)) ") rotate(-90)" } text-anchor="middle" { (panel.y) }
        @for trace in traces {
            @let points: Vec<String> = trace.dots.iter().map(|d| format!("{} {}", at(across(d.x)), at(y.at(d.y)))).collect();
            path class={ "trace " (colour(trace.look)) } d={ "M" (points.join("L")) } {}
        }
        @for trace in traces {
            @let size = if trace.dots.len() > DENSE { 1.6 } else { 4.0 };
            @for dot in &trace.dots { (point(dot, trace.look, (across(dot.x), y.at(dot.y)), size)) }
        }
    };
    Drawing { width: WIDTH, height: HEIGHT, marks }
}

/// Coordinates and texts below the axis: the values themselves where these are few or steps are
/// doublings, as many as have room; else round ones.
fn ticks(values: impl Iterator<Item = f64>, x: &Axis, doubling: bool) -> Vec<(f64, String)> {
    let mut distinct: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    if !doubling && distinct.len() > EACH {
        return x.ticks(5).into_iter().map(|(v, text)| (x.at(v), text)).collect();
    }
    let mut out: Vec<(f64, String)> = Vec::new();
    for v in distinct {
        let here = x.at(if doubling { v.max(f64::MIN_POSITIVE).log2() } else { v });
        if out.last().is_none_or(|(last, _)| here - last >= TICK) {
            out.push((here, v.to_string()));
        }
    }
    out
}

fn point(dot: &Dot, look: usize, (x, y): (f64, f64), size: f64) -> Markup {
    html! {
        path class={ "mark " (colour(look)) } d=(shape(look, x, y, size)) data-key=[(!dot.key.is_empty()).then_some(&dot.key)] {
            title { (dot.label) ": " (number(dot.y)) }
        }
    }
}

/// The class of a look's colour.
pub fn colour(look: usize) -> String {
    format!("c{}", look % COLOURS)
}

/// Which shape the points of a look have. Looks of the same colour differ in it.
pub const fn form(look: usize) -> usize {
    (look % COLOURS + look / COLOURS) % SHAPES
}

/// The outline of a point.
pub fn shape(look: usize, x: f64, y: f64, size: f64) -> String {
    let corners = |all: &[(f64, f64)]| {
        let points: Vec<String> =
            all.iter().map(|(dx, dy)| format!("{} {}", at(x + size * dx), at(y + size * dy))).collect();
        format!("M{}Z", points.join("L"))
    };
    match form(look) {
        0 => {
            let r = at(size);
            format!("M{} {}a{r} {r} 0 1 0 {2} 0a{r} {r} 0 1 0 -{2} 0Z", at(x - size), at(y), at(2.0 * size))
        }
        1 => corners(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
        2 => corners(&[(0.0, -1.2), (1.15, 0.9), (-1.15, 0.9)]),
        _ => corners(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_core::analysis::Marks;

    fn picture(epochs: &[f64], doubling: bool) -> String {
        let dots = epochs.iter().map(|x| Dot { key: "k".into(), label: "SwAV".into(), x: *x, y: 1.0 / x });
        let traces = vec![Trace { look: 0, dots: dots.collect() }];
        let panel = Panel::new("t", "epochs", "score", Marks::Lines { traces: traces.clone(), doubling });
        draw(&panel, &traces, doubling).marks.into_string()
    }

    #[test]
    fn doublings_are_steps_and_epochs_their_numbers() {
        let text = picture(&[50.0, 100.0, 200.0, 800.0], true);
        let at: Vec<f64> = ["50", "100", "200", "800"]
            .iter()
            .map(|n| {
                let before = text.split(&format!("text-anchor=\"middle\">{n}<")).next().expect("text");
                let x = before.rsplit("x=\"").next().and_then(|x| x.split('"').next()).expect("a coordinate");
                x.parse().expect("a number")
            })
            .collect();
        let step = at[1] - at[0];
        assert!(
            step > 20.0 && (at[2] - at[1] - step).abs() < 0.2 && (at[3] - at[2] - 2.0 * step).abs() < 0.3,
            "{at:?}"
        );
        assert_eq!(text.matches("class=\"mark c0\"").count(), 4);
    }

    #[test]
    fn numbers_below_the_axis_have_room() {
        let many: Vec<f64> = (1..=200).map(f64::from).collect();
        let text = picture(&many, false);
        assert!(text.contains(">100<") && !text.contains(">101<"), "round ones");
        let close = picture(&[99.0, 100.0, 200.0], true);
        assert!(close.contains(">99<") && !close.contains(">100<") && close.contains(">200<"), "{close}");
        for text in [text, close, picture(&[5.0], true), picture(&[], false)] {
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }

    #[test]
    fn no_two_of_28_lines_look_alike() {
        let mut looks: Vec<(String, usize)> = (0..28).map(|i| (colour(i), form(i))).collect();
        looks.sort_unstable();
        looks.dedup();
        assert_eq!(looks.len(), 28);
        let mut shapes: Vec<String> = [0, 1, 2, 3].map(|i| shape(i, 0.0, 0.0, 4.0)).to_vec();
        shapes.sort_unstable();
        shapes.dedup();
        assert_eq!(shapes.len(), 4);
    }
}
