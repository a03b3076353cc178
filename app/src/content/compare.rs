//! Two to five encoders side by side.

use super::analyses::{coverage, selection};
use super::parts::{crumbs, suites, table};
use super::{Address, Facts, Page};
use crate::charts::figure;
use crate::form::choice;
use maud::html;
use virboard_core::analysis::Selection;
use virboard_core::analysis::compare::{MOST, compare};

/// The page.
pub fn page(address: &Address, facts: &Facts) -> Page {
    let Selection { suite, matrix, .. } = selection(address, &facts.board);
    let keys: Vec<&str> = address.get("e").unwrap_or_default().split(',').filter(|k| !k.is_empty()).collect();
    let known: Vec<&str> = keys.iter().copied().filter(|k| matrix.encoder(k).is_some()).take(MOST).collect();
    let strangers: Vec<&str> = keys.iter().copied().filter(|k| matrix.encoder(k).is_none()).collect();
    let answer = compare(&matrix, &known);
    let fields = (known.len() + 1).clamp(2, MOST);
    let options: Vec<(&str, &str)> =
        std::iter::once(("", "–")).chain(matrix.encoders.iter().map(|e| (e.key.as_str(), e.name.as_str()))).collect();
    let body = html! {
        (crumbs(&[("/", "Leaderboard")], "compare"))
        h1 { "Compare encoders" }
        form.filters.live method="get" action="/compare" aria-label="Encoders to compare" {
            (choice("suite", "Scores", &suite.key, suites(&facts.board.catalogue)))
            @for i in 0..fields { (choice("e", &format!("{}.", i + 1), known.get(i).copied().unwrap_or_default(), options.iter().copied())) }
            noscript { button { "Show" } }
        }
        p.note { (coverage(&suite, &matrix)) }
        @if !strangers.is_empty() { p.caveat { "Not in these scores: " (strangers.join(", ")) "." } }
        @if keys.len() > MOST { p.caveat { "Only the first five are compared." } }
        @if let Some(missing) = &answer.missing { p.caveat { (missing) } }
        @if !answer.findings.is_empty() { ul.findings { @for f in &answer.findings { li { (f) } } } }
        @if !answer.panels.is_empty() { div.charts { @for panel in &answer.panels { (figure(panel)) } } }
        @if !answer.table.rows.is_empty() { section { h2 { "Numbers" } (table(&answer.table, "Numbers")) } }
    };
    ("Compare encoders".to_owned(), body)
}
