//! Everything one encoder says about a photo.

use super::classes::Classes;
use super::depth::Depth;
use super::flow::Flow;
use super::segmentation::Segmentation;
use super::standing::standing;
use crate::api::Overview;
use leptos::prelude::*;
use virboard_core::leaderboard::Sheet;
use virboard_core::prediction::{ImageInfo, Output, Prediction, Predictions};

/// The outputs of an encoder, a card each.
#[component]
pub fn Outputs(
    /// Key of the encoder.
    key: String,
    /// The photo and the outputs.
    predictions: Predictions,
    /// All scores, to show where the encoder stands.
    board: Overview,
) -> impl IntoView {
    let name = board.name(&key);
    let none = predictions.outputs.is_empty().then(|| {
        view! {
            <p class="note">
                "There are no heads for this encoder yet. Train them with "
                <code>{format!("virboard evaluate --encoders {key} --tasks all")}</code>"."
            </p>
        }
    });
    let Predictions { image, outputs, .. } = predictions;
    let place = |p: &Prediction| {
        let of = |s: &Sheet| s.columns.iter().position(|c| c.key == p.task);
        board.sheets.iter().enumerate().find_map(|(i, s)| Some((i, of(s)?)))
    };
    let cards = outputs
        .into_iter()
        .filter_map(|p| Some((place(&p)?, p)))
        .map(|((sheet, column), p)| card(&board.sheets[sheet], sheet, column, p, image.clone()))
        .collect_view();
    view! {
        <section class="outputs" data-encoder=key.clone()>
            <h2><a href=format!("/encoders/{key}")>{name}</a></h2>
            {none}
            {cards}
        </section>
    }
}

fn card(
    sheet: &Sheet,
    number: usize,
    column: usize,
    prediction: Prediction,
    image: ImageInfo,
) -> impl IntoView + use<> {
    let task = &sheet.columns[column];
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
    let row = 50 * number + column + 3;
    let rendered = task.rendered && !task.caveat.is_empty();
    let (key, name, caveat) = (task.key.clone(), task.name.clone(), task.caveat.clone());
    view! {
        <article class="card" data-task=key style=format!("--row: {row}")>
            <header>
                <h3>{name}" "<small>{what}</small></h3>
                <span class="time" title="Encoder and heads together, when it was computed">{format!("{milliseconds:.0} ms")}</span>
            </header>
            <div class="halves">
                <div>
                    {body}
                    {rendered.then(|| view! { <p class="note">{caveat.clone()}</p> })}
                </div>
                {standing(sheet, column, &encoder)}
            </div>
        </article>
    }
    .into_any()
}
