//! Some runs side by side: what differs in them first, then scores and curves.

use super::super::parts::crumbs;
use super::super::{Address, Facts, Page};
use super::curves::{curves, looks};
use super::{Detail, cell, strangers, view};
use crate::charts::figure;
use maud::{Markup, html};
use std::collections::BTreeMap;
use virboard_core::analysis::{Bar, Marks, Panel};
use virboard_core::explorer::{KNOWN, Reading, RunRow, Runs, Value, View};
use virboard_core::statistics::Interval;
use virboard_core::words::counted;

/// Colours of bars.
const COLOURS: usize = 7;

/// The page.
pub fn page(address: &Address, facts: &Facts) -> Page {
    let (runs, view) = (&*facts.explored, view(address));
    let chosen: Vec<&RunRow> = view.ticked.iter().filter_map(|id| runs.get(*id)).collect();
    let logarithm = address.get("scale") == Some("log");
    let back = View { ticked: view.ticked.clone(), ..View::default() }.address();
    let body = html! {
        (crumbs(&[("/", "Leaderboard"), ("/runs", "runs")], "compare"))
        h1 { @if chosen.len() > 1 { (chosen.len()) " runs side by side" } @else { "Compare runs" } }
        (strangers(&view.ticked, runs))
        @if chosen.len() < 2 {
            p.caveat { "Tick two runs or more in the " a href=(back) { "table" } ", then choose Compare." }
        } @else {
            (settings(&chosen, runs, &view))
            section { h2 { "Scores" } (scores(&chosen)) }
            section {
                h2 { "Curves" }
                @let drawn = curves(&facts.details, runs, logarithm);
                @if facts.details.iter().all(|d: &Detail| d.epochs.is_empty()) { p.caveat { "None of these runs has a curve." } }
                @else { p.note { a href={ "/runs/compare" (address.query_with("scale", if logarithm { "" } else { "log" })) } noscroll { (if logarithm { "Loss as it is" } else { "Logarithm of the loss" }) } } }
                (drawn)
            }
            p.others { a href=(back) { "Back to all runs, with these ticked" } }
        }
    };
    ("Compare runs".to_owned(), body)
}

/// What runs have in their columns: those that differ first, the others folded.
fn settings(chosen: &[&RunRow], runs: &Runs, view: &View) -> Markup {
    let all = runs.settings().iter().cloned().map(Reading::Setting).chain(KNOWN.iter().map(Reading::Known));
    let filled = all.filter(|c| c.name() != "run" && chosen.iter().any(|r| c.read(r).is_something()));
    let alike = |c: &Reading| chosen.iter().all(|r| c.read(r) == c.read(chosen[0]));
    let (same, different): (Vec<Reading>, Vec<Reading>) = filled.partition(alike);
    html! {
        section {
            h2 { "What differs" }
            div.scroller.runs-scroller tabindex="0" role="region" aria-label="What differs" {
                table.runs.sides {
                    thead { tr {
                        th.corner scope="col" { (counted(different.len(), "difference")) }
                        @for run in chosen { th scope="col" {
                            a href={ "/runs/" (run.id) } { "#" (run.id) } " "
                            @let without = View { ticked: view.ticked.iter().copied().filter(|id| *id != run.id).collect(), ..View::default() };
                            a.leave href={ "/runs/compare" (without.query()) } noscroll aria-label={ "Leave out run " (run.id) } { "×" }
                        } }
                    } }
                    tbody { @for column in &different { (row(column, chosen)) } }
                }
            }
            @if !same.is_empty() {
                details {
                    summary { "The same in all: " (counted(same.len(), "value")) }
                    dl.facts { @for column in &same { div { dt { (column.title()) } dd { (cell::of_run(chosen[0], column, None)) } } } }
                }
            }
        }
    }
}

fn row(column: &Reading, chosen: &[&RunRow]) -> Markup {
    let values: Vec<Value<'_>> = chosen.iter().map(|r| column.read(r)).collect();
    // What most have is plain, what few have stands out.
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in &values {
        *counts.entry(value.plain()).or_default() += 1;
    }
    let common = counts.iter().max_by_key(|(_, n)| **n).filter(|(_, n)| 2 * **n > values.len()).map(|(v, _)| v.clone());
    html! {
        tr {
            th scope="row" title=(column.help()) { (column.title()) }
            @for (run, value) in chosen.iter().zip(&values) {
                td class=[(common.is_some() && common.as_deref() != Some(value.plain().as_str())).then_some("odd")] {
                    (cell::of_run(run, column, None))
                }
            }
        }
    }
}

/// Scores with their intervals, a picture a task.
fn scores(chosen: &[&RunRow]) -> Markup {
    let ids: Vec<i64> = chosen.iter().map(|r| r.id).collect();
    let looks = looks(&ids);
    let mut tasks: Vec<&str> = Vec::new();
    for run in chosen {
        if run.score.is_some() && !tasks.contains(&run.task.as_str()) {
            tasks.push(&run.task);
        }
    }
    let panel = |task: &str| {
        let of: Vec<&&RunRow> = chosen.iter().filter(|r| r.task == task && r.score.is_some()).collect();
        let metric = of.iter().find_map(|r| r.metric);
        let factor = cell::factor(metric);
        let bar = |run: &&&RunRow| {
            let value = run.score?;
            let interval = run.interval.map(|i| Interval { low: factor * i.low, high: factor * i.high });
            let text = format!("{}{}", run.written(value), cell::unit(run));
            let colour = looks.get(&run.id).copied().unwrap_or_default() % COLOURS;
            let label = format!("#{} {}", run.id, run.encoder);
            Some(Bar { key: format!("run-{}", run.id), label, value: factor * value, interval, text, colour })
        };
        let better = if metric.is_some_and(|m| !m.higher_is_better()) { "less is better" } else { "more is better" };
        let name = metric.map_or("score", |m| m.name());
        let unit = if factor > 1.0 { ", %" } else { "" };
        Panel::new(
            format!("{name} on {task}"),
            format!("{name}{unit}; {better}"),
            "",
            Marks::Bars(of.iter().filter_map(bar).collect()),
        )
    };
    html! {
        @if tasks.is_empty() { p.caveat { "None of these runs has a score." } }
        @else { div.charts { @for task in tasks { (figure(&panel(task))) } } }
    }
}
