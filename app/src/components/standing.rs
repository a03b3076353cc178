//! How encoders stand on one task, with one of them marked.

use crate::api::Board;
use leptos::prelude::*;
use virboard_core::catalog::task::Task;
use virboard_core::catalog::{encoder, published::published};
use virboard_core::protocol::Protocol;
use virboard_core::results::{heat, ranks};

/// The encoders with a score on `task`, the best first.
#[component]
pub fn Standing(
    /// The task.
    task: &'static Task,
    /// All scores.
    board: Board,
    /// Key of the encoder to mark.
    #[prop(optional, into)]
    marked: String,
) -> impl IntoView {
    let results: Vec<_> = board.results.iter().filter(|r| r.task == task.key).collect();
    let scores: Vec<f64> = results.iter().map(|r| r.score).collect();
    let (ranks, heat) = (ranks(&scores, task.metric), heat(&scores, task.metric));
    let mut order: Vec<usize> = (0..results.len()).collect();
    order.sort_by_key(|i| ranks[*i]);
    let unit = if task.metric.is_share() { "%".to_owned() } else { format!(" {}", task.unit) };
    let there = results.iter().any(|r| r.encoder == marked);
    let constant = results.iter().find_map(|r| r.constant).map(|c| {
        view! { <p class="note">"A constant answer reaches "{task.metric.format(c)}{unit.clone()}"."</p> }
    });
    let rows = order
        .into_iter()
        .map(|i| {
            let name = encoder(&results[i].encoder).map_or_else(|| results[i].encoder.clone(), |e| e.name.to_owned());
            let current = results[i].encoder == marked;
            let p = &results[i].provenance;
            let other = (p.protocol != Protocol::Standard).then(|| view! { <sup title="ViRB’s own protocol">"v"</sup> });
            view! {
                <li class:marked=current aria-current=current.then_some("true")>
                    <span class="rank">{ranks[i]}</span>
                    <a href=format!("/encoders/{}", results[i].encoder)>{name}</a>
                    <span class="bar" aria-hidden="true"><i style=format!("width: {:.0}%", 6.0 + 94.0 * heat[i])></i></span>
                    <span class="score">{task.metric.format(results[i].score)}{unit.clone()}{other}</span>
                </li>
            }
        })
        .collect_view();
    let missing = (!marked.is_empty() && !there).then(|| {
        let range = published(task.key).map(|p| {
            let (low, high) = p.range();
            format!(" Published scores on it lie between {} and {}{unit}.", task.metric.format(low), task.metric.format(high))
        });
        view! { <p class="note">"This encoder has no score on "<a href=format!("/tasks/{}", task.key)>{task.name}</a>" yet."{range}</p> }
    });
    view! {
        <div class="standing">
            <h4>"On the leaderboard: "<a href=format!("/tasks/{}", task.key)>{task.name}</a>", "{task.metric.name()}</h4>
            <ol>{rows}</ol>
            {missing}
            {constant}
        </div>
    }
}
