//! Lying bars from zero, with intervals.

use super::axis::Axis;
use super::{Drawing, at, number};
use maud::html;
use virboard_core::analysis::{Bar, Panel};

/// Width of the bars' part.
const BARS: f64 = 320.0;
/// Width of a letter.
const LETTER: f64 = 6.7;
const STEP: f64 = 22.0;
/// Letters of a label, and of the text at a bar's end.
const LABEL: usize = 40;
const TEXT: usize = 44;

pub fn draw(panel: &Panel, bars: &[Bar]) -> Drawing {
    let longest = |text: fn(&Bar) -> &String, most: usize| {
        LETTER * bars.iter().map(|b| text(b).chars().count().min(most)).max().unwrap_or(0) as f64
    };
    let left = 16.0 + longest(|b| &b.label, LABEL);
    let right = left + BARS;
    let below = LETTER * panel.x.chars().count() as f64;
    // What the axis means may be longer than all that stands above it.
    let width = (right + 16.0 + longest(|b| &b.text, TEXT)).max(below + 16.0);
    let bottom = 6.0 + STEP * bars.len() as f64;
    let ends = bars.iter().flat_map(|b| {
        let i = b.interval;
        [b.value, i.map_or(b.value, |i| i.low), i.map_or(b.value, |i| i.high)]
    });
    let x = Axis::of(ends.chain([0.0]), left, right);
    let zero = x.at(0.0);
    let marks = html! {
        @for (v, text) in x.ticks(5) {
            line.grid y1="2" y2=(at(bottom)) x1=(at(x.at(v))) x2=(at(x.at(v))) {}
            text.soft x=(at(x.at(v))) y=(at(bottom + 16.0)) text-anchor="middle" { (text) }
        }
        @for (i, bar) in bars.iter().enumerate() {
            @let top = 6.0 + STEP * i as f64;
            @let end = x.at(bar.value);
            g.bar data-key=[(!bar.key.is_empty()).then_some(bar.key.as_str())] {
                title {
                    (bar.label) ": " (if bar.text.is_empty() { number(bar.value) } else { bar.text.clone() })
                    @if let Some(i) = bar.interval { ", 95 % between " (number(i.low)) " and " (number(i.high)) }
                }
                text x=(at(left - 8.0)) y=(at(top + 13.5)) text-anchor="end" { (short(&bar.label, LABEL)) }
                rect class={ "c" (bar.colour.min(7)) } x=(at(zero.min(end))) width=(at((zero - end).abs().max(1.0))) y=(at(top + 2.0)) height="15" rx="2" {}
                @if let Some(i) = bar.interval {
                    line.whisker x1=(at(x.at(i.low))) x2=(at(x.at(i.high))) y1=(at(top + 9.5)) y2=(at(top + 9.5)) {}
                    line.whisker x1=(at(x.at(i.low))) x2=(at(x.at(i.low))) y1=(at(top + 6.0)) y2=(at(top + 13.0)) {}
                    line.whisker x1=(at(x.at(i.high))) x2=(at(x.at(i.high))) y1=(at(top + 6.0)) y2=(at(top + 13.0)) {}
                }
                text.soft x=(at(right + 8.0)) y=(at(top + 13.5)) { (short(&bar.text, TEXT)) }
            }
        }
        line.zero x1=(at(zero)) x2=(at(zero)) y1="2" y2=(at(bottom)) {}
        text.soft x=(at(inside(left.midpoint(right), below, width))) y=(at(bottom + 32.0)) text-anchor="middle" { (panel.x) }
    };
    Drawing { width, height: bottom + 38.0, marks }
}

/// The middle of a text that is `length` wide: `wanted`, or as near to it as leaves all of the text inside a picture.
fn inside(wanted: f64, length: f64, width: f64) -> f64 {
    let half = length / 2.0 + 8.0;
    wanted.min(width - half).max(half)
}

/// The text, cut after so many characters.
fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_core::analysis::Marks;

    /// Where the label below the axis ends to both sides, and the width of the picture.
    fn label(x: &str, text: &str) -> (f64, f64, f64) {
        let colour = 0;
        let bar =
            Bar { key: String::new(), label: "Pets".into(), value: 1.0, interval: None, text: text.into(), colour };
        let panel = Panel::new("Title", x, "", Marks::Bars(vec![bar.clone()]));
        let drawing = draw(&panel, &[bar]);
        let drawn = drawing.marks.into_string();
        let end = drawn.find(&format!(">{x}<")).expect("the label is drawn");
        let start = drawn[..end].rfind("<text").expect("a text");
        let (_, rest) = drawn[start..end].split_once(" x=\"").expect("a place");
        let middle: f64 = rest.split('"').next().and_then(|n| n.parse().ok()).expect("a number");
        let half = LETTER * x.chars().count() as f64 / 2.0;
        (middle - half, middle + half, drawing.width)
    }

    #[test]
    fn the_label_of_the_axis_is_inside_the_picture() {
        let long = "standard deviations of the task; 0 is the average encoder, right is better";
        for (x, text) in [("score", "+1.00"), (long, "+1.00"), (long, "+1.00, better on 12 of 20 tasks"), (long, "")] {
            let (left, right, width) = label(x, text);
            assert!(left >= 0.0 && right <= width, "{x:?} from {left} to {right} in {width}");
        }
        let (left, right, _) = label("score", "");
        let middle = 16.0 + LETTER * 4.0 + BARS / 2.0;
        assert!((left.midpoint(right) - middle).abs() < 0.1, "a short one is in the middle of the bars");
    }
}
