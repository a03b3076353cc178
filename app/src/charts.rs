//! Pictures of numbers as SVG: readable before WebAssembly has loaded, coloured by the page's
//! theme, with a title on every mark. See docs/ARCHITECTURE.md for why no chart crate draws them.

mod axis;
mod bars;
mod curve;
mod dots;
mod heat;
mod scatter;
mod violins;

pub use curve::curve;

use maud::{Markup, PreEscaped, html};
use virboard_core::analysis::{Marks, Panel};

/// What a drawing needs beside its marks: size in units of about a pixel.
struct Drawing {
    width: f64,
    height: f64,
    marks: Markup,
}

/// A rounded coordinate.
fn at(v: f64) -> String {
    let mut text = format!("{v:.1}");
    if text.ends_with(".0") {
        text.truncate(text.len() - 2);
    }
    text
}

/// A number as it stands at axes and in titles.
fn number(v: f64) -> String {
    let digits = match v.abs() {
        a if a >= 100.0 => 0,
        a if a >= 10.0 => 1,
        a if a >= 1.0 || a == 0.0 => 2,
        _ => 3,
    };
    format!("{v:.digits$}")
}

fn draw(panel: &Panel) -> Drawing {
    match &panel.marks {
        Marks::Scatter(series) => scatter::draw(panel, series),
        Marks::Bars(bars) => bars::draw(panel, bars),
        Marks::Heat { rows, columns, values, low } => heat::draw(rows, columns, values, *low),
        Marks::Dots { rows, series } => dots::draw(panel, rows, series),
        Marks::Violins(samples) => violins::draw(panel, samples),
    }
}

/// The figure of a panel: title, picture, legend.
#[must_use]
pub fn figure(panel: &Panel) -> Markup {
    let kind = match panel.marks {
        Marks::Scatter(_) => "scatter",
        Marks::Bars(_) => "bars",
        Marks::Heat { .. } => "heat",
        Marks::Dots { .. } => "dots",
        Marks::Violins(_) => "violins",
    };
    let Drawing { width, height, marks } = draw(panel);
    let label = format!("{}. {}", panel.title, panel.marks.summary());
    html! {
        figure class={ "chart " (kind) } style={ "--width: " (width.round()) "px" } {
            figcaption { (panel.title) }
            div.scroller tabindex="0" role="region" aria-label=(panel.title) {
                svg viewBox={ "0 0 " (at(width)) " " (at(height)) } role="img" aria-label=(label) { (marks) }
            }
            @if !panel.legend.is_empty() {
                ul.legend {
                    @for (i, name) in panel.legend.iter().enumerate().filter(|(i, _)| panel.marks.has_colour(*i)) {
                        li { i class={ "c" (i) } {} (name) }
                    }
                }
            }
        }
    }
}

/// Colours and sizes of a picture that stands alone.
const STYLE: &str = "svg{background:#fff;color:#1d1b18;font:12px system-ui,sans-serif}\
text{fill:#1d1b18}.soft{fill:#5f5a52}.title{font-weight:600;font-size:13px}.grid{stroke:#e3dfd8}.zero{stroke:#5f5a52}\
.dot{fill:#1f5f99;fill-opacity:.75}.ghost{fill:none;stroke:#5f5a52}.known{stroke:#b25e00;stroke-width:2}.fit{stroke:#a3261d;stroke-width:1.5;fill:none}\
.band{fill:#a3261d;fill-opacity:.12}.whisker{stroke:#1d1b18}.violin{fill:#1f5f99;fill-opacity:.2;stroke:#1f5f99}\
.c0{fill:#4477aa}.c1{fill:#cc6677}.c2{fill:#228833}.c3{fill:#b8860b}.c4{fill:#3a9fbf}.c5{fill:#aa3377}.c6{fill:#777}.c7{fill:#aaa}";

/// All panels of an analysis, one below the other, as a file that needs nothing else.
#[must_use]
pub fn document(title: &str, panels: &[Panel]) -> String {
    const COLUMNS: usize = 3;
    let drawings: Vec<(&Panel, Drawing)> = panels.iter().map(|p| (p, draw(p))).collect();
    let small = drawings.len() > 1 && drawings.iter().all(|(_, d)| d.width < 400.0);
    let columns = if small { COLUMNS } else { 1 };
    let (mut y, mut width, mut body) = (34.0, 0.0f64, String::new());
    for row in drawings.chunks(columns) {
        let (mut x, mut tallest) = (10.0, 0.0f64);
        for (panel, d) in row {
            let part = html! {
                g transform={ "translate(" (at(x)) " " (at(y)) ")" } {
                    text.title x="4" y="14" { (panel.title) }
                    g transform="translate(0 22)" { (d.marks) }
                    @for (n, (i, name)) in panel.legend.iter().enumerate().filter(|(i, _)| panel.marks.has_colour(*i)).enumerate() {
                        rect class={ "c" (i) } x=(at(6.0 + 110.0 * n as f64)) y=(at(d.height + 26.0)) width="10" height="10" {}
                        text x=(at(20.0 + 110.0 * n as f64)) y=(at(d.height + 35.0)) { (name) }
                    }
                }
            };
            body.push_str(&part.into_string());
            let wide = d.width.max(panel.legend.len() as f64 * 110.0).max(6.6 * panel.title.chars().count() as f64);
            x += wide + 16.0;
            tallest = tallest.max(d.height + if panel.legend.is_empty() { 34.0 } else { 54.0 });
        }
        width = width.max(x);
        y += tallest;
    }
    let all = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (at(width)) " " (at(y)) } width=(at(width)) height=(at(y)) {
            title { (title) }
            style { (PreEscaped(STYLE)) }
            rect x="0" y="0" width=(at(width)) height=(at(y)) fill="#fff" {}
            text.title x="14" y="22" { (title) }
            (PreEscaped(body))
        }
    };
    all.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_core::analysis::{Bar, Dot, Sample, Series};

    fn panels() -> Vec<Panel> {
        let dots = (0..5).map(|i| Dot { key: "SWAV_200".into(), label: "A <b>".into(), x: f64::from(i), y: 1.0 });
        let series = Series {
            name: "s".into(),
            dots: dots.collect(),
            line: None,
            reference: vec![(2.0, 3.0)],
            supervised: Some((2.0, 3.0)),
        };
        let bar = |value| Bar {
            key: String::new(),
            label: "b".into(),
            value,
            interval: None,
            text: "+1 %".into(),
            colour: 0,
        };
        let heat = Marks::Heat {
            rows: vec!["r".into()],
            columns: vec!["c".into(), "d".into()],
            values: vec![Some(0.5), None],
            low: -1.0,
        };
        let dots = Marks::Dots {
            rows: vec!["r".into()],
            series: vec![("s".into(), vec![Some(1.0)]), ("t".into(), vec![None])],
        };
        let sample = Sample { label: "g".into(), dots: (0..6).map(|i| (format!("e{i}"), f64::from(i))).collect() };
        [Marks::Scatter(vec![series]), Marks::Bars(vec![bar(-3.0), bar(0.0)]), heat, dots, Marks::Violins(vec![sample])]
            .into_iter()
            .map(|marks| Panel::new("T & t", "x", "y", marks))
            .collect()
    }

    #[test]
    fn every_kind_is_drawn_escaped_and_finite() {
        for panel in panels() {
            let text = figure(&panel).into_string();
            assert!(text.contains("<svg") && text.contains("T &amp; t"), "{text}");
            assert!(!text.contains("NaN") && !text.contains("inf") && !text.contains("<b>"), "{text}");
        }
    }

    #[test]
    fn a_file_has_all_panels_and_is_well_formed() {
        let text = document("All", &panels());
        assert_eq!(text.matches("T &amp; t").count(), 5);
        for name in ["g", "svg", "text", "title", "rect", "circle", "path", "line"] {
            let opened = text.matches(&format!("<{name} ")).count() + text.matches(&format!("<{name}>")).count();
            assert_eq!(opened, text.matches(&format!("</{name}>")).count(), "{name}");
        }
    }

    #[test]
    fn an_empty_panel_is_drawn_too() {
        for marks in [Marks::Scatter(Vec::new()), Marks::Bars(Vec::new()), Marks::Violins(Vec::new())] {
            let text = figure(&Panel::new("none", "", "", marks)).into_string();
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}
