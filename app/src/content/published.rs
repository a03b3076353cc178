//! What others published of an encoder by name, on its page: beside the scores, and none of them.

use maud::{Markup, html};
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::published::quoted::{Quoted, of_encoder as published};
use virboard_core::catalogue::task::Metric;

/// All published numbers of an encoder, in the order of the tasks, last those of tasks that the catalogue lacks; nothing
/// without any.
pub fn of_encoder(e: &Encoder, catalogue: &Catalogue) -> Markup {
    let mut numbers: Vec<Quoted<'_>> = published(&e.key).collect();
    if numbers.is_empty() {
        return html! {};
    }
    let place = |q: &Quoted<'_>| {
        let found = catalogue.tasks().iter().position(|t| t.key == q.number.task);
        found.unwrap_or(catalogue.tasks().len())
    };
    numbers.sort_by_key(place);
    html! {
        section #published {
            h2 { "Published elsewhere" }
            p.note {
                "Numbers that others published of this encoder, none of them measured here: they count in no rank, mean, choice, analysis or export. "
                "Those in quotation marks came about nearly as ViRB’s scores; the first of each task stands on the leaderboard where a score is missing."
            }
            div.scroller tabindex="0" role="region" aria-label="Published elsewhere" {
                table.list {
                    thead { tr { @for head in ["Task", "Value", "Protocol", "Source", "What differs"] { th scope="col" { (head) } } } }
                    tbody { @for q in &numbers { (row(*q, catalogue)) } }
                }
            }
        }
    }
}

fn row(q: Quoted<'_>, catalogue: &Catalogue) -> Markup {
    let (n, source) = (q.number, q.source);
    // All of them are shares.
    let value = Metric::Top1.format(n.value);
    html! {
        tr {
            th scope="row" {
                @match catalogue.task(&n.task) {
                    Some(t) => { a href={ "/tasks/" (t.key) } { (t.name) } span.about { (n.dataset) } },
                    None => (n.dataset),
                }
            }
            td { @if n.comparable { i { "“" (value) "”" } } @else { (value) } " %" span.about { (n.metric) } }
            td.long { (source.protocol) }
            td.long { a href=(source.url) rel="external noreferrer" { (source.title) } }
            td.long { (n.differs) }
        }
    }
}
