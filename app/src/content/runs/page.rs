//! The page of one run.

use super::super::parts::{crumbs, evidence, firm, unit};
use super::super::{Address, Facts, Page};
use super::Detail;
use super::cell;
use super::curves::curves;
use maud::{Markup, html};
use virboard_core::catalogue::task::Task;
use virboard_core::explorer::{KNOWN, Reading, RunRow, Runs, View};
use virboard_core::words::counted;

/// Runs that are listed beside it.
const BESIDE: usize = 60;
/// Facts that stand above everything else.
const FIRST: [&str; 13] = [
    "attempt", "worker", "device", "started", "finished", "seconds", "seed", "probe", "protocol", "epoch", "loss",
    "job", "tag",
];

/// The page.
pub fn page(id: &str, address: &Address, facts: &Facts) -> Option<Page> {
    let runs = &*facts.explored;
    let run = runs.get(id.parse().ok()?)?;
    let none = Detail::default();
    let detail = facts.details.iter().find(|d| d.id == run.id).unwrap_or(&none);
    let task = facts.board.catalogue.task(&run.task);
    let title = format!("Run {}", run.id);
    let logarithm = address.get("scale") == Some("log");
    let body = html! {
        (crumbs(&[("/", "Leaderboard"), ("/runs", "runs")], &title))
        h1 { (title) ": " a href={ "/encoders/" (run.encoder) } { (run.encoder) } " on " a href={ "/tasks/" (run.task) } { (run.task) } }
        (standing(run, runs))
        (scores(detail, task.map(|t| &**t)))
        section {
            h2 { "Curve" }
            @if detail.epochs.is_empty() { p.caveat { "It has no curve: nothing was trained, or its epochs are not known." } }
            @else {
                p.note {
                    (counted(detail.epochs.len(), "epoch")) " · "
                    a href={ "/runs/" (run.id) (address.query_with("scale", if logarithm { "" } else { "log" })) } noscroll { (if logarithm { "loss as it is" } else { "logarithm of the loss" }) } " · as "
                    a href={ "/api/v1/runs/" (run.id) "/epochs?format=csv" } rel="external" download={ "run-" (run.id) ".csv" } { "CSV" } " "
                    a href={ "/api/v1/runs/" (run.id) "/epochs" } rel="external" { "JSON" }
                }
                (curves(std::slice::from_ref(detail), runs, logarithm))
            }
        }
        (settings(run))
        @if let Some(log) = &detail.log { section { h2 { "Log" } pre.log tabindex="0" { (log) } } }
        (beside(run, runs))
    };
    Some((title, body))
}

fn standing(run: &RunRow, runs: &Runs) -> Markup {
    let fact = |name: &&str| {
        let column = runs.reading(name)?;
        column.read(run).is_something().then(|| {
            html! { div { dt { (column.title()) } dd { (cell::of_run(run, &column, None)) } } }
        })
    };
    html! {
        p.run-state { (cell::state(run.state, None)) @if run.replaced { " " span.tag { "replaced by a later score" } } @if run.selected && run.score.is_some() { " " span.tag { "the answer of its job" } } }
        @if let Some(reason) = &run.reason { pre.problem.reason tabindex="0" { (reason) } }
        dl.facts {
            div { dt { "Number" } dd { code { (run.id) } } }
            @for made in FIRST.iter().filter_map(fact) { (made) }
        }
    }
}

fn scores(detail: &Detail, task: Option<&Task>) -> Markup {
    html! {
        section {
            h2 { "Score" }
            @if detail.scores.is_empty() { p.caveat { "It has no score." } }
            @else {
                div.scroller tabindex="0" role="region" aria-label="Scores" {
                    table.list {
                        thead { tr { @for head in ["Score", "Constant", "Test samples", "Evidence"] { th scope="col" { (head) } } } }
                        tbody { @for (score, replaced) in &detail.scores {
                            tr {
                                @match task {
                                    Some(t) => {
                                        td { strong { (t.metric.format(score.value)) (unit(t)) } (firm(t, score)) span.about title=(t.metric.help()) { (t.metric.name()) } @if *replaced { span.about { "replaced" } } }
                                        td { @if let Some(c) = score.constant { (t.metric.format(c)) (unit(t)) } }
                                    },
                                    None => { td { strong { (score.value) } } td { @if let Some(c) = score.constant { (c) } } },
                                }
                                td.number { (score.evidence.test_samples) }
                                (evidence(score))
                            }
                        } }
                    }
                }
            }
        }
    }
}

fn settings(run: &RunRow) -> Markup {
    html! {
        @if !run.settings.is_empty() {
            section {
                h2 { "Settings" }
                dl.facts { @for (name, value) in &run.settings { div { dt { (name) } dd { (value) } } } }
                @if !run.key.is_empty() { p.note { "Their key, but for the seed: " code { (run.key) } } }
            }
        }
    }
}

/// Runs that differ from it in one thing, and ways to see them beside it.
fn beside(run: &RunRow, runs: &Runs) -> Markup {
    let seeds: Vec<&RunRow> = runs
        .rows()
        .iter()
        .filter(|r| r.key == run.key && r.encoder == run.encoder && r.task == run.task && r.probe == run.probe)
        .collect();
    let cell: Vec<&RunRow> = runs.rows().iter().filter(|r| r.encoder == run.encoder && r.task == run.task).collect();
    let job: Vec<&RunRow> = runs.rows().iter().filter(|r| !run.job.is_empty() && r.job == run.job).collect();
    let group = |title: &str, others: &[&RunRow]| {
        let ids: Vec<i64> = others.iter().map(|r| r.id).take(BESIDE).collect();
        let all = View { ticked: ids, ..View::default() };
        html! {
            @if others.len() > 1 {
                p { (title) ": "
                    @for other in others.iter().take(BESIDE) {
                        @if other.id == run.id { strong { "#" (other.id) } } @else { a href={ "/runs/" (other.id) } { "#" (other.id) } }
                        @if let Some(score) = other.score { " (" (other.written(score)) (cell::unit(other)) ")" } " "
                    }
                    @if others.len() > BESIDE { "and " (others.len() - BESIDE) " more " }
                    a.call href={ "/runs/compare" (all.query()) } { "Compare" }
                }
            }
        }
    };
    let task = format!("task={}", run.task);
    let pinned = View { filter: task, baseline: Some(run.id), ..View::default() };
    html! {
        section {
            h2 { "Beside it" }
            (group("Other seeds of the same settings", &seeds))
            (group("All of this encoder on this task", &cell))
            (group("All of its job", &job))
            @if run.score.is_some() { p { a href=(pinned.address()) { "All runs on this task, with their distance from this one" } } }
        }
        details { summary { "All columns" } dl.facts { @for column in KNOWN { @let reading = Reading::Known(column);
            @if reading.read(run).is_something() { div { dt { (column.name) } dd { (reading.read(run).plain()) } } }
        } } }
    }
}
