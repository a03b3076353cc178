//! The leaderboard's page. The server writes it for readers without WebAssembly and for the
//! first look; the browser writes it itself once it has the numbers, so that sorting and
//! filtering wait for nobody.

mod cell;
mod controls;
mod table;

#[cfg(feature = "hydrate")]
pub use controls::{chips, fields, linked};
use maud::{Markup, html};
pub use table::Parts;
use virboard_core::analysis::Suite;
use virboard_core::leaderboard::{Column, Sheet, View};

/// The page's title.
pub const TITLE: &str = "Leaderboard";

/// The page of all suites under a view.
#[must_use]
pub fn page(sheets: &[Sheet], view: &View) -> Markup {
    html! {
        div.intro {
            h1 { "Which frozen image encoder should you use?" }
            p {
                "33 encoders on the 20 end tasks of the ViRB benchmark, in four categories: what the answer covers (image or pixels) and what it is about (things or space). "
                a.call href="/choose" { "Find the one for your tasks" } ", " a.call href="/try" { "see what one makes of your photo" } "."
            }
        }
        (controls::controls(sheets, view))
        @for sheet in sheets { (section(sheet, view)) }
        (legend())
    }
}

fn section(sheet: &Sheet, view: &View) -> Markup {
    let filled = sheet.filled();
    let cells = sheet.rows.len() * sheet.columns.len();
    html! {
        @match sheet.suite {
            Suite::Sample => section #samples {
                h2 { "Sample suite " span.tag { "ships with Virboard" } }
                p.note { "Small encoders and data that run with nothing downloaded. Measured for real, but no replacement for the tasks below. " (sheet.coverage) }
                (Parts::new(sheet, view).table("Sample suite: encoders by sample tasks"))
            },
            Suite::Paper => section #paper {
                h2 { "ViRB: 30 encoders, baselines and 20 tasks" }
                p.note {
                    @if filled == 0 {
                        "No cell is filled on this server yet. A cell fills when the encoder’s weights and the task’s data are here and "
                        code { "virboard evaluate --encoders KEY --tasks KEY" }
                        " has run; click a dot to see what is missing. Nothing is ever shown as measured that was not."
                    } @else {
                        (filled) " of " (cells) " cells are filled on this server" (origin(sheet)) ". " (sheet.coverage)
                    }
                }
                (Parts::new(sheet, view).table("ViRB: encoders by tasks"))
            },
        }
    }
}

/// What is true of all scores alike.
fn origin(sheet: &Sheet) -> &'static str {
    let every = |mark: &dyn Fn(&Column, usize) -> bool| {
        sheet.columns.iter().all(|c| (0..c.scores.len()).all(|r| c.scores[r].is_none() || mark(c, r)))
    };
    match (every(&Column::imported), every(&Column::virb)) {
        (true, true) => ", all imported, by ViRB’s own protocol",
        (true, false) => ", all imported",
        (false, true) => ", all by ViRB’s own protocol",
        (false, false) => "",
    }
}

fn legend() -> Markup {
    html! {
        ul.key-line {
            li { i.swatch.low {} "worst of its task" }
            li { i.swatch.high {} "best of its task" }
            li { i.swatch.imported {} "imported, not measured here" }
            li { sup { "v" } " by ViRB’s own protocol, not to be compared with the others" }
            li { sup { "s" } " images of the task’s data set were in the pretraining data" }
            li { "· not measured yet" }
            li { "small numbers: where 95 % of draws of other test samples lie; ± deviation over seeds" }
            li { "↑ higher is better, ↓ lower is better" }
            li { "shift-click sorts by one more column; arrow keys walk through a table" }
        }
    }
}
