//! Encoders beside tasks: what has run, how it stands, and where nothing has.

use super::super::Facts;
use super::table;
use maud::{Markup, html};
use virboard_core::catalogue::task::Metric;
use virboard_core::explorer::{Grid, GridCell, Listing, Shade, Shape, State, View};
use virboard_core::words::counted;

/// The grid of the runs that the filter lets through.
pub fn grid(view: &View, listing: &Listing, facts: &Facts) -> Markup {
    let catalogue = &facts.board.catalogue;
    let encoders: Vec<&str> = catalogue.encoders().iter().map(|e| e.key.as_str()).collect();
    let tasks: Vec<&str> = catalogue.tasks().iter().map(|t| t.key.as_str()).collect();
    let grid = Grid::of(&facts.explored, &listing.matched, &encoders, &tasks);
    if grid.cells.is_empty() {
        return table::nothing(view);
    }
    let pair = |encoder: &str, task: &str| {
        let by = ["encoder", "task"].map(|n| facts.explored.reading(n));
        let values = by.into_iter().flatten().zip([encoder, task]);
        let filter = values.fold(listing.filter.clone(), |filter, (column, value)| filter.only(&column, value));
        (format!("{encoder} on {task}"), filter.to_string())
    };
    let metric = |key: &str| catalogue.task(key).map(|t| t.metric);
    html! {
        p.note {
            (counted(grid.encoders.len(), "encoder")) " on " (counted(grid.tasks.len(), "task")) ": "
            @match grid.holes() { 0 => "every pair has a run.", 1 => "1 pair has no such run.", n => { (n) " pairs have no such run." } }
        }
        (legend(view.shade))
        div.scroller.tall.runs-scroller tabindex="0" role="region" aria-label="Encoders and tasks" {
            table.runs.grid-of-runs {
                thead { tr {
                    th.corner scope="col" { "Encoder" }
                    @for task in &grid.tasks { th scope="col" { a href={ "/tasks/" (task) } { (task) } } }
                } }
                tbody {
                    @for (row, encoder) in grid.encoders.iter().enumerate() {
                        tr {
                            th scope="row" { a.open href={ "/encoders/" (encoder) } { (encoder) } }
                            @for (column, task) in grid.tasks.iter().enumerate() {
                                @match grid.cell(row, column) {
                                    Some(cell) => (filled(view, &pair(encoder, task), cell, metric(task))),
                                    None => td.hole { a href={ "/encoders/" (encoder) "#" (task) } title={ "No such run of " (encoder) " on " (task) "; how to make one" } aria-label="none" { "·" } },
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn filled(view: &View, (pair, filter): &(String, String), cell: &GridCell, metric: Option<Metric>) -> Markup {
    let to = View { shape: Shape::Table, shade: Shade::State, ..view.filtered(filter.as_str()) };
    let best = cell.best.map(|s| metric.map_or_else(|| format!("{s:.3}"), |m| m.format(s)));
    let counts: Vec<String> = State::ALL
        .into_iter()
        .filter(|s| cell.states[*s as usize] > 0)
        .map(|s| format!("{} {}", cell.states[s as usize], s.name()))
        .collect();
    let title = format!("{pair}: {}", counts.join(", "));
    match (view.shade, best) {
        (Shade::Score, Some(best)) => html! {
            td.shaded style={ "--share:" (format!("{:.0}", 6.0 + 52.0 * cell.share.unwrap_or_default())) "%" } {
                a href=(to.address()) title=(title) { (best) }
            }
        },
        (shade, _) => {
            let state = cell.state();
            html! {
                td class={ "state " (state.name()) } {
                    a href=(to.address()) title=(title) {
                        span aria-hidden="true" { (state.sign()) } span.hidden { (state.name()) }
                        @if shade == Shade::State && cell.count() > 1 { " " (cell.count()) }
                    }
                }
            }
        }
    }
}

fn legend(shade: Shade) -> Markup {
    html! {
        ul.key-line {
            @match shade {
                Shade::State => { @for state in State::ALL { li { span class={ "state " (state.name()) } { (state.sign()) } " " (state.name()) } } },
                Shade::Score => { li { span.swatch.low {} "worst of its task" } li { span.swatch.high {} "best of its task" } },
            }
            li { "· no such run" }
        }
    }
}
