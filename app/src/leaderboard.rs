//! The leaderboard's page. The server writes it for readers without WebAssembly and for the
//! first look; the browser writes it itself once it has the numbers, so that sorting and
//! filtering wait for nobody.

mod cell;
mod controls;
mod table;

#[cfg(feature = "hydrate")]
pub use controls::{chips, fields, linked};
use maud::{Markup, html};
use std::collections::BTreeSet;
pub use table::Parts;
use virboard_core::leaderboard::{Column, Sheet, View};

/// The page's title.
pub const TITLE: &str = "Leaderboard";

/// Sheets with fewer columns have room for wider ones.
const FEW: usize = 12;

/// The page of all suites under a view.
#[must_use]
pub fn page(sheets: &[Sheet], view: &View) -> Markup {
    let encoders: BTreeSet<&str> = sheets.iter().flat_map(|s| &s.rows).map(|r| r.key.as_str()).collect();
    let (encoders, tasks) = (encoders.len(), sheets.iter().map(|s| s.columns.len()).sum::<usize>());
    html! {
        div.intro {
            h1 { "Which frozen image encoder should you use?" }
            p {
                (encoders) " encoders on " (tasks) " end tasks, those of the ViRB benchmark among them, in four categories: what the answer covers (image or pixels) and what it is about (things or space). "
                a.call href="/choose" { "Find the one for your tasks" } ", " a.call href="/try" { "see what one makes of your photo" } "."
            }
        }
        (controls::controls(sheets, view))
        @for sheet in sheets { (section(sheet, view)) }
        (legend(sheets.iter().any(|s| s.filled() < s.rows.len() * s.columns.len())))
    }
}

fn section(sheet: &Sheet, view: &View) -> Markup {
    let filled = sheet.filled();
    let cells = sheet.rows.len() * sheet.columns.len();
    let suite = &sheet.suite;
    html! {
        section #(suite.key) .few[sheet.columns.len() < FEW] {
            h2 { (suite.name) }
            p.note {
                @if !suite.note.is_empty() { (suite.note) " " }
                @if !suite.page.is_empty() { a href=(suite.page) { "How it differs, and what becomes of the paper’s claims" } ". " }
                @if sheet.rows.is_empty() {
                    "No encoder has been measured yet on its tasks: "
                    @for (i, c) in sheet.columns.iter().enumerate() { @if i > 0 { ", " } a href={ "/tasks/" (c.key) } { (c.name) } }
                    "."
                } @else if filled == 0 {
                    "No cell is filled on this server yet. A cell fills when the encoder’s weights and the task’s data are here and "
                    code { "virboard evaluate --encoders KEY --tasks KEY" }
                    " has run; click a dot to see what is missing. Nothing is ever shown as measured that was not."
                } @else {
                    (filled) " of " (cells) " cells are filled on this server" (origin(sheet)) ". " (sheet.coverage)
                }
            }
            @if !sheet.rows.is_empty() { (Parts::new(sheet, view).table(&format!("{}: encoders by tasks", suite.short()))) }
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

/// `holes`: whether a cell is empty.
fn legend(holes: bool) -> Markup {
    html! {
        ul.key-line {
            li { i.swatch.low {} "worst of its task" }
            li { i.swatch.high {} "best of its task" }
            li { i.swatch.imported {} "imported, not measured here" }
            li { sup { "v" } " by ViRB’s own protocol, not to be compared with the others" }
            li { sup { "s" } " images of the task’s data set were in the pretraining data" }
            @if holes { li { "· not measured yet" } }
            li { "small numbers: where 95 % of draws of other test samples lie; ± deviation over seeds" }
            li { "↑ higher is better, ↓ lower is better" }
            li { "shift-click sorts by one more column; arrow keys walk through a table" }
        }
    }
}
