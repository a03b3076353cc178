//! Everything one encoder says about a photo.

use super::classes::Classes;
use super::depth::Depth;
use super::flow::Flow;
use super::segmentation::Segmentation;
use super::standing::Standing;
use crate::api::Board;
use leptos::prelude::*;
use virboard_core::catalog::task::{Task, TaskRole};
use virboard_core::catalog::{TASKS, encoder, task};
use virboard_core::prediction::{ImageInfo, Output, Prediction, Predictions};

/// The outputs of an encoder, a card each.
#[component]
pub fn Outputs(
    /// Key of the encoder.
    key: String,
    /// The photo and the outputs.
    predictions: Predictions,
    /// All scores, to show where the encoder stands.
    board: Board,
) -> impl IntoView {
    let name = encoder(&key).map_or_else(|| key.clone(), |e| e.name.to_owned());
    let none = predictions.outputs.is_empty().then(|| {
        view! {
            <p class="note">
                "There are no heads for this encoder yet. Train them with "
                <code>{format!("virboard evaluate --encoders {key} --tasks all")}</code>"."
            </p>
        }
    });
    let Predictions { image, outputs, .. } = predictions;
    let cards = outputs
        .into_iter()
        .filter_map(|p| Some((task(&p.task)?, p)))
        .map(|(task, prediction)| card(task, prediction, image.clone(), board.clone()))
        .collect_view();
    view! {
        <section class="outputs" data-encoder=key.clone()>
            <h2><a href=format!("/encoders/{key}")>{name}</a></h2>
            {none}
            {cards}
        </section>
    }
}

fn card(task: &'static Task, prediction: Prediction, image: ImageInfo, board: Board) -> impl IntoView {
    let Prediction { encoder, milliseconds, output, .. } = prediction;
    let (what, body) = match output {
        Output::Classification { classes } => ("classification", view! { <Classes classes/> }.into_any()),
        Output::Segmentation { labels, mask } => {
            ("segmentation", view! { <Segmentation image labels mask/> }.into_any())
        }
        Output::Depth { minimum, maximum, unit, map } => {
            ("depth", view! { <Depth image minimum maximum unit map/> }.into_any())
        }
        Output::Flow { longest, map } => ("motion", view! { <Flow image longest map/> }.into_any()),
    };
    // Beside a second encoder's outputs, those of one task stand in one row.
    let row = TASKS.iter().position(|t| t.key == task.key).unwrap_or_default() + 3;
    let rendered = task.role == TaskRole::Sample && !task.caveat.is_empty() && task.key != "SamplePhotos";
    view! {
        <article class="card" data-task=task.key style=format!("--row: {row}")>
            <header>
                <h3>{task.name}" "<small>{what}</small></h3>
                <span class="time" title="Encoder and heads together, when it was computed">{format!("{milliseconds:.0} ms")}</span>
            </header>
            <div class="halves">
                <div>
                    {body}
                    {rendered.then(|| view! { <p class="note">{task.caveat}</p> })}
                </div>
                <Standing task board marked=encoder/>
            </div>
        </article>
    }
    .into_any()
}
