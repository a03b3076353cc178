//! Pictures of numbers as SVG: readable before WebAssembly has loaded, coloured by the page's
//! theme, with a title on every mark. See docs/ARCHITECTURE.md for why no chart crate draws them.

mod axis;
mod bars;
mod curve;
mod dots;
mod heat;
mod lines;
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
        Marks::Lines { traces, doubling } => lines::draw(panel, traces, *doubling),
    }
}

/// What the legend names: those of its entries that are drawn, with their numbers.
fn named(panel: &Panel) -> impl Iterator<Item = (usize, &String)> {
    panel.legend.iter().enumerate().filter(|(i, _)| panel.marks.has_colour(*i))
}

/// The classes of an entry's sign.
fn sign(panel: &Panel, entry: usize) -> String {
    match panel.marks {
        Marks::Lines { .. } => format!("{} s{}", lines::colour(entry), lines::form(entry)),
        _ => format!("c{entry}"),
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
        Marks::Lines { .. } => "lines",
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
                    @for (i, name) in named(panel) { li { i class=(sign(panel, i)) {} (name) } }
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
.trace{fill:none;stroke-width:2}.mark{stroke:#fff}.c0{fill:#4477aa}.c1{fill:#cc6677}.c2{fill:#228833}.c3{fill:#b8860b}.c4{fill:#3a9fbf}.c5{fill:#aa3377}.c6{fill:#777}.c7{fill:#aaa}\
.trace.c0{fill:none;stroke:#4477aa}.trace.c1{fill:none;stroke:#cc6677}.trace.c2{fill:none;stroke:#228833}.trace.c3{fill:none;stroke:#b8860b}\
.trace.c4{fill:none;stroke:#3a9fbf}.trace.c5{fill:none;stroke:#aa3377}.trace.c6{fill:none;stroke:#777}";

/// The legend of a panel in a file: as many entries beside each other as its width has room for.
/// Gives its height too.
fn legend(panel: &Panel, width: f64, top: f64) -> (Markup, f64) {
    const LINE: f64 = 16.0;
    let (mut x, mut y) = (6.0, top);
    let mut placed = Vec::new();
    for (i, name) in named(panel) {
        let wide = 26.0 + 6.6 * name.chars().count() as f64;
        if x > 6.0 && x + wide > width {
            (x, y) = (6.0, y + LINE);
        }
        placed.push((i, name, x, y));
        x += wide;
    }
    let height = if placed.is_empty() { 0.0 } else { y + LINE - top };
    let entries = html! {
        @for (i, name, x, y) in placed {
            @if let Marks::Lines { .. } = panel.marks {
                path class=(lines::colour(i)) d=(lines::shape(i, x + 5.0, y + 5.0, 5.0)) {}
            } @else {
                rect class=(sign(panel, i)) x=(at(x)) y=(at(y)) width="10" height="10" {}
            }
            text x=(at(x + 14.0)) y=(at(y + 9.0)) { (name) }
        }
    };
    (entries, height)
}

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
            let wide = d.width.max(6.6 * panel.title.chars().count() as f64);
            let (entries, high) = legend(panel, wide, d.height + 26.0);
            let part = html! {
                g transform={ "translate(" (at(x)) " " (at(y)) ")" } {
                    text.title x="4" y="14" { (panel.title) }
                    g transform="translate(0 22)" { (d.marks) }
                    (entries)
                }
            };
            body.push_str(&part.into_string());
            x += wide + 16.0;
            tallest = tallest.max(d.height + 34.0 + high);
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
            reference: vec![(2.0, 3.0)],
            supervised: Some((2.0, 3.0)),
            level: true,
            ..Series::default()
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
        let trace = |look| {
            let dot = |i: u32| Dot { key: "SWAV_200".into(), label: "A <b>".into(), x: f64::from(i), y: 1.0 };
            virboard_core::analysis::Trace { look, dots: (1..5).map(dot).collect() }
        };
        let lines = |doubling| Marks::Lines { traces: vec![trace(0), trace(9)], doubling };
        let all = [Marks::Scatter(vec![series]), Marks::Bars(vec![bar(-3.0), bar(0.0)]), heat, dots];
        let legend: Vec<String> = (0..10).map(|i| format!("a name of some length {i}")).collect();
        all.into_iter()
            .chain([Marks::Violins(vec![sample]), lines(true), lines(false)])
            .map(|marks| Panel { legend: legend.clone(), ..Panel::new("T & t", "x", "y", marks) })
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
        assert_eq!(text.matches("T &amp; t").count(), 7);
        // Names of the legends stand below each other where they have no room beside each other.
        assert_eq!(text.matches("a name of some length 9").count(), 2);
        for name in ["g", "svg", "text", "title", "rect", "circle", "path", "line"] {
            let opened = text.matches(&format!("<{name} ")).count() + text.matches(&format!("<{name}>")).count();
            assert_eq!(opened, text.matches(&format!("</{name}>")).count(), "{name}");
        }
    }

    #[test]
    fn the_line_of_equal_scores_leads_from_corner_to_corner() {
        let dot = |x: f64, y: f64| Dot { key: String::new(), label: "A".into(), x, y };
        let picture = |level| {
            let one = Series { dots: vec![dot(0.2, 0.8), dot(0.3, 0.9)], level, ..Series::default() };
            figure(&Panel::new("t", "", "", Marks::Scatter(vec![one]))).into_string()
        };
        assert!(picture(true).contains("<line class=\"zero level\""), "{}", picture(true));
        assert!(!picture(false).contains("level"));
        // Both axes have the same numbers.
        assert_eq!(picture(true).matches(">0.4<").count(), 2, "{}", picture(true));
    }

    #[test]
    fn an_empty_panel_is_drawn_too() {
        let lines = Marks::Lines { traces: Vec::new(), doubling: true };
        for marks in [Marks::Scatter(Vec::new()), Marks::Bars(Vec::new()), Marks::Violins(Vec::new()), lines] {
            let text = figure(&Panel::new("none", "", "", marks)).into_string();
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}
