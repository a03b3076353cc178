//! Encoders x tasks with heat colours: the leaderboard's table.

use crate::api::Board;
use leptos::prelude::*;
use virboard_core::catalog::encoder::Encoder;
use virboard_core::catalog::published::published;
use virboard_core::catalog::task::Task;
use virboard_core::leaderboard::{Cell, Table, View};

/// The table of one part of the leaderboard.
#[component]
pub fn ScoreTable(
    /// Caption for screen readers.
    #[prop(into)]
    caption: String,
    /// Scores and availability.
    board: Board,
    /// The asked view.
    view: View,
    /// Picks rows and columns: the paper's or the samples'.
    part: for<'a> fn(&'a [virboard_core::results::ResultCell], &View) -> Table<'a>,
) -> impl IntoView {
    let table = part(&board.results, &view);
    let groups = table
        .groups()
        .into_iter()
        .map(|(category, n)| view! { <th scope="colgroup" colspan=n.to_string() class=format!("group {}", category.slug())>{category.name()}</th> })
        .collect_view();
    let heads = table.tasks.iter().map(|task| task_head(task, &view)).collect_view();
    let any_published = table.tasks.iter().any(|t| published(t.key).is_some());
    let reference = any_published.then(|| reference_row(&table));
    let rows = table.encoders.iter().map(|encoder| row(encoder, &table, &board)).collect_view();
    let empty = table
        .encoders
        .is_empty()
        .then(|| view! { <p class="note">"No encoder passes these filters. "<a href="/">"Show all"</a></p> });
    let label = caption.clone();
    view! {
        <div class="scroller" tabindex="0" role="region" aria-label=label>
            <table class="scores">
                <caption class="hidden">{caption}</caption>
                <thead>
                    <tr>
                        <th class="corner" rowspan="2" scope="col" aria-sort=sorting("name", &view)>
                            <a href=format!("/{}", view.sorted_by("name").query())>"Encoder"{arrow("name", &view)}</a>
                        </th>
                        {groups}
                    </tr>
                    <tr class="tasks">{heads}</tr>
                </thead>
                <tbody>{reference}{rows}</tbody>
            </table>
        </div>
        {empty}
    }
    .into_any()
}

fn sorting(column: &str, view: &View) -> Option<&'static str> {
    (view.sort.as_deref() == Some(column)).then_some(if view.reverse { "ascending" } else { "descending" })
}

fn arrow(column: &str, view: &View) -> Option<&'static str> {
    (view.sort.as_deref() == Some(column)).then_some(if view.reverse { " ▴" } else { " ▾" })
}

fn task_head(task: &'static Task, view: &View) -> impl IntoView + use<> {
    let direction = if task.metric.higher_is_better() { "↑" } else { "↓" };
    let unit = if task.metric.is_share() { "%" } else { task.unit };
    view! {
        <th scope="col" class=task.category.slug() aria-sort=sorting(task.key, view)>
            <a class="name" href=format!("/tasks/{}", task.key) title=task.description>{task.name}</a>
            <a class="metric" href=format!("/{}", view.sorted_by(task.key).query()) title=format!("{} Sort by it.", task.metric.help())>
                {task.metric.name()}" "{unit}" "{direction}{arrow(task.key, view)}
            </a>
        </th>
    }
}

/// The range of the published points: whose they are is not known, but for the baseline.
fn reference_row(table: &Table<'_>) -> impl IntoView + use<> {
    let cells = table
        .tasks
        .iter()
        .map(|task| {
            let shown = published(task.key).map(|p| {
                let (low, high) = p.range();
                let (low, high) = (task.metric.format(low), task.metric.format(high));
                let title = format!("{} anonymous points of the published figure", p.points.len());
                view! { <span title=title>{low}<br/>{high}</span> }
            });
            view! { <td class=task.category.slug()>{shown}</td> }
        })
        .collect_view();
    view! {
        <tr class="reference">
            <th scope="row"><span class="key">"Published range"</span><span class="about">"of the paper’s figure, not of one encoder"</span></th>
            {cells}
        </tr>
    }
}

fn row(encoder: &'static Encoder, table: &Table<'_>, board: &Board) -> impl IntoView + use<> {
    let here = board.state(encoder.key).is_some_and(|s| s.weights);
    let epochs = encoder.epochs.map_or_else(String::new, |e| format!(" · {e} epochs"));
    let cells = table.tasks.iter().map(|task| cell(encoder, task, table.cell(encoder.key, task.key))).collect_view();
    view! {
        <tr>
            <th scope="row">
                <a class="key" href=format!("/encoders/{}", encoder.key)>{encoder.name}</a>
                <span class="about">
                    {encoder.method.name()}" · "{encoder.pretraining.name()}{epochs}
                    {here.then(|| view! { <span class="here" title="Its weights are here">" · ready"</span> })}
                </span>
            </th>
            {cells}
        </tr>
    }
    .into_any()
}

fn cell(encoder: &'static Encoder, task: &'static Task, cell: Option<&Cell<'_>>) -> impl IntoView + use<> {
    let address = format!("/encoders/{}#{}", encoder.key, task.key);
    match cell {
        Some(cell) => {
            let p = &cell.result.provenance;
            let title = format!(
                "{} on {}: rank {} of {}, {}, {} protocol, {} test samples, seed {}",
                encoder.name,
                task.name,
                cell.rank,
                cell.of,
                p.source.name(),
                p.protocol.name(),
                p.test_samples,
                p.seed
            );
            let class = format!("{} {} {} filled", task.category.slug(), p.source.name(), p.protocol.name());
            let style = format!("--share: {:.0}%", 6.0 + 52.0 * cell.heat);
            view! {
                <td class=class style=style>
                    <a href=address title=title>{task.metric.format(cell.result.score)}</a>
                </td>
            }
            .into_any()
        }
        None => view! {
            <td class=format!("{} empty", task.category.slug())>
                <a href=address tabindex="-1" title="Not measured here yet. How to fill this cell" aria-label="not measured">"·"</a>
            </td>
        }
        .into_any(),
    }
}
