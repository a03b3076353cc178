//! All runs: a table or a grid of them, a page for each, and some side by side.

mod bar;
mod cell;
mod compare;
mod curves;
mod grid;
mod page;
mod table;

pub use cell::duration;
pub use compare::page as compare;
pub use page::page;

use super::parts::crumbs;
use super::{Address, Facts, Page};
use maud::{Markup, html};
use virboard_core::explorer::{Listing, Runs, Shape, View, facets};
use virboard_core::run::{Epoch, Score};

/// What is read of a run only for the pages about it.
#[derive(Debug, Clone, Default)]
pub struct Detail {
    /// Its number.
    pub id: i64,
    /// Its scores, the chosen one first, and whether another run took their place.
    pub scores: Vec<(Score, bool)>,
    /// Its curve.
    pub epochs: Vec<Epoch>,
    /// The end of what it logged, where that is kept.
    pub log: Option<String>,
}

/// Numbers of the runs about which the page at an address tells more than a line.
#[must_use]
pub fn wanted(address: &Address) -> Vec<i64> {
    match address.path.trim_end_matches('/').strip_prefix("/runs/") {
        Some("compare") => view(address).ticked,
        Some(id) => id.parse().into_iter().collect(),
        None => Vec::new(),
    }
}

/// What the query of an address says of runs.
#[must_use]
pub fn view(address: &Address) -> View {
    View::from_query(|key| address.get(key).map(str::to_owned))
}

/// The page of all runs.
pub fn all(address: &Address, facts: &Facts) -> Page {
    let (runs, view) = (&*facts.explored, view(address));
    let listing = Listing::of(runs, &view);
    let facets = facets(runs, &listing.filter);
    let body = html! {
        (crumbs(&[("/", "Leaderboard")], "runs"))
        h1 { "Runs" }
        p.note { a href="/queue" { "Queue and workers" } " · " a href="/launch" { "New evaluations" } }
        @if runs.rows().is_empty() {
            p.caveat { "There are no runs yet. " code { "virboard evaluate --encoders EfficientNetLite0 --tasks SamplePhotos" } " makes some." }
        } @else {
            div.runs-page {
                (bar::tabs(&view))
                (bar::filters(&view, runs, &facets))
                (bar::facets(&view, &listing, &facets))
                @if let Some(error) = &listing.error { p.problem role="alert" { (error) } }
                @if !listing.strangers.is_empty() { p.caveat { "No run has a column called " (listing.strangers.join(", ")) "." } }
                (bar::count(&view, &listing))
                @match view.shape {
                    Shape::Grid => (grid::grid(&view, &listing, facts)),
                    Shape::Table => (table::table(&view, &listing, runs)),
                }
            }
            (bar::help())
        }
    };
    ("Runs".to_owned(), body)
}

/// The sentence about runs that are asked for and not there.
fn strangers(ids: &[i64], runs: &Runs) -> Markup {
    let missing: Vec<String> = ids.iter().filter(|id| runs.get(**id).is_none()).map(i64::to_string).collect();
    html! { @if !missing.is_empty() { p.caveat { "There is no run with the number " (missing.join(", ")) "." } } }
}

#[cfg(test)]
mod tests;
