//! The table of runs: a line each, or a group.

use super::cell::cell;
use maud::{Markup, html};
use std::collections::HashSet;
use virboard_core::explorer::{Line, Listing, PAGE, Reading, RunRow, Runs, View};
use virboard_core::words::counted;

/// The table, its pages, and what is done with ticked runs.
pub fn table(view: &View, listing: &Listing, runs: &Runs) -> Markup {
    let baseline = view.baseline.and_then(|id| runs.get(id));
    let number = runs.reading("run").filter(|_| listing.group.is_empty());
    let columns: Vec<&Reading> = listing.columns.iter().filter(|c| c.name() != "run").collect();
    html! {
        (tray(view, listing, runs))
        @if listing.lines.is_empty() && listing.error.is_none() { (nothing(view)) }
        @if !listing.lines.is_empty() {
            div.scroller.tall.runs-scroller tabindex="0" role="region" aria-label="Runs" {
                table.runs {
                    thead { tr {
                        th.corner scope="col" { (head(view, number.as_ref())) }
                        @for column in &columns {
                            th scope="col" class=[column.kind().is_numeric().then_some("number")] aria-sort=[direction(view, column)] title=(column.help()) {
                                (head(view, Some(column)))
                            }
                        }
                    } }
                    tbody { @for line in listing.page() { (row(line, &columns, view, listing, runs, baseline)) } }
                }
            }
            @if !listing.common.is_empty() && listing.matched.len() > 1 {
                p.common { "The same in all of these: "
                    @for (i, (column, value)) in listing.common.iter().enumerate() { @if i > 0 { ", " } (column.title().to_lowercase()) " " b { (value) } }
                    "."
                }
            }
            (pages(view, listing))
        }
    }
}

/// What stands in the place of runs where there are none.
pub fn nothing(view: &View) -> Markup {
    html! { p.caveat { "No run is as the filter asks. " a href=(view.filtered("").address()) noscroll { "Show all" } } }
}

fn direction(view: &View, column: &Reading) -> Option<&'static str> {
    view.sorting(column.name()).map(|(_, reverse)| if reverse { "descending" } else { "ascending" })
}

/// The head of a column, a link that sorts by it.
fn head(view: &View, column: Option<&Reading>) -> Markup {
    let Some(column) = column else { return html! { "Runs" } };
    let sorting = view.sorting(column.name());
    html! {
        a href=(view.sorted_by(column.name()).address()) data-shift=(view.then_by(column.name()).address()) noscroll {
            (column.title())
            @if let Some((place, reverse)) = sorting {
                span aria-hidden="true" { (if reverse { " ↓" } else { " ↑" }) @if view.sort.len() > 1 { (place) } }
            }
        }
    }
}

fn row(
    line: &Line,
    columns: &[&Reading],
    view: &View,
    listing: &Listing,
    runs: &Runs,
    baseline: Option<&RunRow>,
) -> Markup {
    let ids: Vec<i64> = line.rows(runs).map(|r| r.id).collect();
    let ticked = ids.iter().all(|id| view.ticked.contains(id));
    let value = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let only = line.only(runs);
    html! {
        tr {
            th scope="row" {
                input.pick type="checkbox" name="ids" form="pick" value=(value) checked[ticked] aria-label={ "Tick " @match only { Some(run) => { "run " (run.id) }, None => (counted(ids.len(), "run")) } };
                @match only {
                    Some(run) => a.open href={ "/runs/" (run.id) } { "#" (run.id) },
                    None => {
                        @let members = View { group: Vec::new(), ..view.filtered(listing.members(line)) };
                        a.open href=(members.address()) { (counted(ids.len(), "run")) }
                    },
                }
            }
            @for column in columns { td class=[column.kind().is_numeric().then_some("number")] { (cell(line, column, runs, baseline)) } }
        }
    }
}

/// What is done with ticked runs. Its numbers are in the address; without WebAssembly the form
/// sends those that are ticked.
fn tray(view: &View, listing: &Listing, runs: &Runs) -> Markup {
    let n = view.ticked.len();
    let here: HashSet<i64> = listing.page().iter().flat_map(|line| line.rows(runs)).map(|r| r.id).collect();
    let elsewhere: Vec<String> = view.ticked.iter().filter(|id| !here.contains(id)).map(i64::to_string).collect();
    html! {
        form.tray.live id="pick" method="get" action="/runs/compare" data-query=(View { ticked: Vec::new(), ..view.clone() }.query()) {
            span.ticks role="status" { b data-ticked { (n) } " ticked" }
            button.compare { "Compare" }
            a.clear href=(View { ticked: Vec::new(), ..view.clone() }.address()) noscroll class=[(n == 0).then_some("off")] { "Clear" }
            input type="hidden" name="ids" data-elsewhere value=(elsewhere.join(","));
        }
    }
}

fn pages(view: &View, listing: &Listing) -> Markup {
    let to = |page: usize, whole: bool| View { page, whole, ..view.clone() }.address();
    let here = listing.from.checked_div(PAGE).unwrap_or_default();
    let (all, end) = (listing.lines.len(), listing.from + listing.count);
    html! {
        @if all > listing.count {
            nav.pages aria-label="Pages of the table" {
                span { (listing.from + 1) "–" (end) " of " (all) }
                @if listing.from > 0 { a href=(to(here.saturating_sub(1), false)) rel="prev" { "Back" } }
                @if end < all { a href=(to(here + 1, false)) rel="next" { "Next" } a href=(to(0, true)) noscroll { "Show all " (all) } }
            }
        } @else if view.whole && all > PAGE {
            nav.pages aria-label="Pages of the table" { a href=(to(0, false)) noscroll { "Show " (PAGE) " a page" } }
        }
    }
}
