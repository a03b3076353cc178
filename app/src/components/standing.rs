//! How encoders stand on one task, with one of them marked.

use leptos::prelude::*;
use virboard_core::leaderboard::Sheet;

/// The encoders with a score in a column, the best first, with the encoder `marked` marked.
pub fn standing(sheet: &Sheet, column: usize, marked: &str) -> impl IntoView + use<> {
    let task = &sheet.columns[column];
    let order = task.order();
    let unit = if task.metric.is_share() { "%".to_owned() } else { format!(" {}", task.unit) };
    let there = order.iter().any(|r| sheet.rows[*r].key == marked);
    let constant = task.constant.map(|c| {
        view! { <p class="note">"A constant answer reaches "{task.metric.format(c)}{unit.clone()}"."</p> }
    });
    let rows = order
        .into_iter()
        .filter_map(|r| Some((r, task.scores[r]?)))
        .map(|(r, score)| {
            let encoder = &sheet.rows[r];
            let current = encoder.key == marked;
            let other = task.virb(r).then(|| view! { <sup title="ViRB’s own protocol">"v"</sup> });
            view! {
                <li class:marked=current aria-current=current.then_some("true")>
                    <span class="rank">{task.rank_text(r)}</span>
                    <a href=format!("/encoders/{}", encoder.key)>{encoder.name.clone()}</a>
                    <span class="bar" aria-hidden="true"><i style=format!("width: {:.0}%", 6.0 + 94.0 * task.heat(r))></i></span>
                    <span class="score">{task.metric.format(score)}{unit.clone()}{other}</span>
                </li>
            }
        })
        .collect_view();
    let address = format!("/tasks/{}", task.key);
    let missing = (!there).then(|| {
        let range = task.published.map(|(low, high, _)| {
            format!(" Published scores on it lie between {} and {}{unit}.", task.metric.format(low), task.metric.format(high))
        });
        view! { <p class="note">"This encoder has no score on "<a href=address.clone()>{task.name.clone()}</a>" yet."{range}</p> }
    });
    view! {
        <div class="standing">
            <h4>"On the leaderboard: "<a href=address.clone()>{task.name.clone()}</a>", "{task.metric.name()}</h4>
            <ol>{rows}</ol>
            {missing}
            {constant}
        </div>
    }
}
