//! One cell: a score, a rank or a difference, with where it comes from, or what others published.

use maud::{Markup, html};
use virboard_core::leaderboard::{Column, Quote, Row, Show};

/// The cell of a column and a row.
pub fn cell(column: &Column, row: usize, encoder: &Row, base: Option<usize>, show: Show) -> Markup {
    let address = format!("/encoders/{}#{}", encoder.key, column.key);
    let Some(score) = column.scores[row] else {
        let quote = quote(column, row, show);
        return quote.map_or_else(|| empty(column, &address), |q| quoted(column, &encoder.key, q));
    };
    let (imported, virb, seen) = (column.imported(row), column.virb(row), column.seen(row));
    let spread = column.spreads.get(row).copied().flatten();
    let text = column.text(row, base, show);
    let format = |score| column.metric.format(score);
    // What can be said of how firm it is: over test samples, which says more than over a few seeds.
    let firm = column.interval(row);
    let about = match (show, spread, firm) {
        (Show::Score, _, Some(i)) => Some(format!("{}–{}", format(i.low), format(i.high))),
        (Show::Score, Some(s), None) => Some(format!("± {}", format(s))),
        // It looks at the whole column.
        (Show::Rank, ..) => column.rank_between(row).filter(|(l, h)| l < h).map(|(l, h)| format!("{l}–{h}")),
        _ => None,
    };
    let share = if column.reference(row) { 0.0 } else { 6.0 + 52.0 * column.heat(row) };
    let share = format!("--share: {share:.0}%");
    let rank = match column.rank(row) {
        0 => "a reference without a rank".to_owned(),
        rank => format!("rank {rank} of {}", column.of(row)),
    };
    let title = format!(
        "{} on {}: {}{}{}, {rank}, {}, {} protocol{}",
        encoder.name,
        column.name,
        format(score),
        firm.map_or_else(String::new, |i| format!(
            " (95 % of draws of test samples: {} to {})",
            format(i.low),
            format(i.high)
        )),
        spread.map_or_else(String::new, |s| format!(" (± {} over seeds)", format(s))),
        if imported { "imported" } else { "measured" },
        if virb { "ViRB’s own" } else { "standard" },
        if seen { "; trained on images of this data set" } else { "" },
    );
    html! {
        td class={ (column.category.slug()) " filled" (if imported { " imported" } else { "" }) (if virb { " virb" } else { "" }) (if about.is_some() { " spread" } else { "" }) } style=(share) {
            a href=(address) title=(title) {
                (text)
                @if seen { sup { "s" } }
                @if let Some(about) = about { span.about { (about) } }
            }
        }
    }
}

/// A cell with nothing to show: it leads to how it can be filled.
fn empty(column: &Column, address: &str) -> Markup {
    html! {
        td class={ (column.category.slug()) " empty" } {
            a href=(address) tabindex="-1" title="Not measured here yet. How to fill this cell" aria-label="not measured" { "·" }
        }
    }
}

/// The published number that a cell without a score shows: only where scores are shown, since ranks and differences are
/// made of scores alone.
pub fn quote(column: &Column, row: usize, show: Show) -> Option<&Quote> {
    column.quote(row).filter(|_| show == Show::Score)
}

/// A cell with a published number: in a style of its own, without a colour among the scores.
fn quoted(column: &Column, encoder: &str, quote: &Quote) -> Markup {
    let text = format!("“{}”", column.metric.format(quote.value));
    html! {
        td class={ (column.category.slug()) " quoted" } {
            a href={ "/encoders/" (encoder) "#published" } title=(quote.about) aria-label={ (text) ", quoted" } { (text) }
        }
    }
}
