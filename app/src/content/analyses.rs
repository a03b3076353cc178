//! The list of analyses, and each of them.

use super::parts::{crumbs, suites, table};
use super::{Address, Board, Facts, Page};
use crate::charts::figure;
use crate::form::choice;
use maud::{Markup, html};
use virboard_core::analysis::kinds::{KINDS, Kind, kind};
use virboard_core::analysis::{Matrix, Options, Selection};
use virboard_core::catalogue::{Catalogue, Suite};

/// The scores that an address asks for, and how to look at them.
pub fn selection(address: &Address, board: &Board) -> Selection {
    Selection::from_query(
        |key| address.get(key),
        &board.catalogue,
        &board.results,
        &board.fine_tuned,
        &board.alignments,
    )
}

pub fn coverage(suite: &Suite, matrix: &Matrix) -> String {
    let cells = matrix.encoders.len() * matrix.tasks.len();
    let other = match matrix.left_out {
        0 => String::new(),
        n => format!(" {n} scores by the other protocol are left out: the two cannot be compared."),
    };
    let protocol = matrix.protocol.name();
    match matrix.filled() {
        0 => format!("{}: none of {cells} scores is here yet.", suite.name),
        n => format!("{}: {n} of {cells} scores, all by the {protocol} protocol.{other}", suite.name),
    }
}

/// Which scores to take: the suite, and the protocol where there are both.
fn scores_of(suite: &Suite, matrix: &Matrix, catalogue: &Catalogue) -> Markup {
    html! {
        (choice("suite", "Scores", &suite.key, suites(catalogue)))
        @if matrix.left_out > 0 {
            (choice("protocol", "Protocol", matrix.protocol.name(), [("standard", "standard"), ("virb", "ViRB’s own")]))
        }
    }
}

/// The list.
pub fn index(address: &Address, facts: &Facts) -> Page {
    let Selection { suite, matrix, .. } = selection(address, &facts.board);
    let query = address.query_with("", "");
    let body = html! {
        h1 { "Analyses" }
        p { "Every figure and table of the paper, computed anew from the scores on this server, and some questions that it left open. Each has its definition, its numbers and its files." }
        form.filters.live method="get" action="/analyses" aria-label="Scores to analyse" {
            (scores_of(&suite, &matrix, &facts.board.catalogue))
            noscript { button { "Show" } }
        }
        p.note { (coverage(&suite, &matrix)) }
        ol.cards {
            @for k in KINDS {
                li {
                    a href={ "/analyses/" (k.slug) (query) } { (k.title) }
                    p { (k.question) }
                    @if !k.source.is_empty() { span.tag { (k.source) } }
                }
            }
        }
    };
    ("Analyses".to_owned(), body)
}

/// One of them.
pub fn page(slug: &str, address: &Address, facts: &Facts) -> Option<Page> {
    let k = kind(slug)?;
    let Selection { suite, matrix, options } = selection(address, &facts.board);
    let answer = (k.compute)(&matrix, &options);
    let file = |format: &str| format!("/api/v1/analyses/{slug}{}", address.query_with("format", format));
    let body = html! {
        (crumbs(&[("/analyses", "Analyses")], "analysis"))
        h1 { (k.title) }
        p.lead { (k.question) }
        (controls(k, &suite, &matrix, &options))
        p.note { (coverage(&suite, &matrix)) }
        @if let Some(missing) = &answer.missing {
            p.caveat { (missing) " " @if let Some(other) = other_suite(&suite, facts).filter(|_| matrix.filled() == 0) { a href={ "/analyses/" (slug) "?suite=" (other.key) } { "See it on: " (other.name) } } }
        }
        @if !answer.findings.is_empty() {
            section {
                h2 { "What the numbers say" }
                ul.findings { @for f in &answer.findings { li { (f) } } }
            }
        }
        @if !answer.panels.is_empty() {
            section {
                h2.hidden { "Pictures" }
                @if options.reference { p.note { i.ring {} " published points: read off the paper’s figure, anonymous, a reference and no scores of this server; " i.ring.known {} " the one that is known, Supervised" } }
                div.charts { @for panel in &answer.panels { (figure(panel)) } }
            }
        }
        @if !answer.table.rows.is_empty() {
            section { h2 { "Numbers" } (table(&answer.table, "Numbers")) }
        }
        section {
            h2 { "How it is computed" }
            p { (k.definition) @if !k.source.is_empty() { " In the paper: " (k.source) "." } }
            p.files {
                @if !answer.panels.is_empty() {
                    a href=(file("svg")) download={ (slug) ".svg" } { "SVG" }
                    a.alive href=(file("svg")) data-png={ (slug) ".png" } { "PNG" }
                }
                a href=(file("csv")) download={ (slug) ".csv" } { "CSV" }
                a href=(file("json")) rel="external" { "JSON" }
                a href={ "/analyses/" (slug) (address.query_with("suite", &suite.key)) } { "Link to this view" }
            }
        }
        nav.others aria-label="Other analyses" {
            @for (name, k) in neighbours(slug) { a href={ "/analyses/" (k.slug) (address.query_with("x", "")) } { (name) " " (k.title) } }
        }
    };
    Some((k.title.to_owned(), body))
}

/// Another suite that has scores.
fn other_suite<'a>(suite: &Suite, facts: &'a Facts) -> Option<&'a Suite> {
    facts.sheets.iter().find(|s| s.suite != *suite && s.filled() > 0).map(|s| &s.suite)
}

fn neighbours(slug: &str) -> Vec<(&'static str, &'static Kind)> {
    let at = KINDS.iter().position(|k| k.slug == slug).unwrap_or(0);
    let before = at.checked_sub(1).map(|i| ("←", &KINDS[i]));
    before.into_iter().chain(KINDS.get(at + 1).map(|k| ("→", k))).collect()
}

fn controls(k: &Kind, suite: &Suite, matrix: &Matrix, options: &Options) -> Markup {
    let mut tasks: Vec<(&str, &str)> = vec![("", "as in the paper")];
    tasks.extend(
        matrix
            .tasks
            .iter()
            .filter(|t| matrix.task(&t.key).is_some_and(|i| matrix.covered(i) > 0))
            .map(|t| (t.key.as_str(), t.name.as_str())),
    );
    html! {
        form.filters.live method="get" action={ "/analyses/" (k.slug) } aria-label="What to analyse" {
            (scores_of(suite, matrix, &options.catalogue))
            @if k.options.contains(&"x") { (choice("x", "Against", &options.x, tasks)) }
            @if k.options.contains(&"ranks") {
                (choice("ranks", "Correlation", if options.ranks { "1" } else { "" }, [("", "Pearson"), ("1", "Spearman")]))
            }
            @if k.options.contains(&"reference") {
                (choice("reference", "Published points", if options.reference { "1" } else { "0" }, [("0", "off"), ("1", "on")]))
            }
            noscript { button { "Show" } }
        }
    }
}
