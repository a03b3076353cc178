//! What several pages have in common.

use maud::{Markup, html};
use virboard_core::analysis::Table;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::Task;
use virboard_core::run::Score;

/// Where the page is, above its title.
pub fn crumbs(way: &[(&str, &str)], here: &str) -> Markup {
    html! {
        nav.crumbs aria-label="Where you are" {
            @for (address, name) in way { a href=(address) { (name) } " / " }
            (here)
        }
    }
}

/// A longer table is folded.
const LONG: usize = 40;

/// A table of text, with numbers to the right.
pub fn table(table: &Table, label: &str) -> Markup {
    let numeric = |column: usize| {
        let cells = || table.rows.iter().filter_map(|r| r.get(column)).filter(|c| !c.is_empty());
        let number = |c: &String| c.trim_start_matches(['+', '-', '<', ' ']).starts_with(|c: char| c.is_ascii_digit());
        cells().next().is_some() && cells().all(number)
    };
    let long = table.rows.len() > LONG;
    let right: Vec<bool> = (0..table.columns.len()).map(numeric).collect();
    let body = html! {
        div.scroller tabindex="0" role="region" aria-label=(label) {
            table.list {
                thead { tr { @for (name, right) in table.columns.iter().zip(&right) { th scope="col" class=[right.then_some("number")] { (name) } } } }
                tbody {
                    @for (r, row) in table.rows.iter().enumerate() {
                        tr { @for (c, (cell, right)) in row.iter().zip(&right).enumerate() {
                            td class=[right.then_some("number")] {
                                @match table.verdict(r, c) {
                                    Some(verdict) => span class={ "verdict " (verdict.slug()) } { (cell) },
                                    None => (cell),
                                }
                            }
                        } }
                    }
                }
            }
        }
    };
    html! { @if long { details { summary { (table.rows.len()) " rows" } (body) } } @else { (body) } }
}

/// Keys and names of all suites, for a choice.
pub fn suites(catalogue: &Catalogue) -> impl Iterator<Item = (&str, &str)> {
    catalogue.suites().iter().map(|s| (s.key.as_str(), s.name.as_str()))
}

/// Where a score lies when test samples are drawn anew.
pub fn firm(t: &Task, r: &Score) -> Markup {
    html! {
        @if let Some(i) = r.interval {
            span.about title={ "95 % of draws of the " (r.evidence.test_samples) " test samples" } { (t.metric.format(i.low)) " to " (t.metric.format(i.high)) }
        }
    }
}

/// A score with its unit and its interval.
pub fn score(t: &Task, r: &Score) -> Markup {
    html! { strong { (t.metric.format(r.value)) (unit(t)) } (firm(t, r)) }
}

/// The cell that says how a score came about.
pub fn evidence(r: &Score) -> Markup {
    let p = &r.evidence;
    let short = |hash: &str| match hash {
        "" => "not known".to_owned(),
        hash => hash.chars().take(12).collect::<String>(),
    };
    html! {
        td.evidence {
            span.tag { (p.source.name()) } " " span.tag { (p.protocol.name()) " protocol" } " "
            "weights " (short(&p.encoder_sha256)) ", data " (short(&p.dataset_sha256)) ", seed " (p.seed) ", " (p.device)
            ", version " (p.version) ", " (format!("{:.0} s", p.seconds))
            details { summary { "configuration" } code { (p.configuration) } }
        }
    }
}

/// The unit after a task's scores, with its space.
pub fn unit(task: &Task) -> String {
    match (task.metric.is_share(), task.unit.as_str()) {
        (true, _) => " %".to_owned(),
        (false, "") => String::new(),
        (false, unit) => format!(" {unit}"),
    }
}
