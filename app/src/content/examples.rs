//! What the best and the worst encoder of a task say of sample photographs, side by side.

use super::{Example, Facts};
use maud::{Markup, html};
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::Task;
use virboard_core::prediction::{Output, Prediction};

/// Classes that are shown.
const CLASSES: usize = 3;

/// The section; nothing where fewer than two encoders have a head here.
pub fn section(t: &Task, facts: &Facts) -> Markup {
    let shown: Vec<&Example> = facts.examples.iter().filter(|e| e.predictions.len() > 1).collect();
    if shown.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "The best and the worst encoder here, side by side" }
            p.note { "Of the encoders that have a head for it on this server, on photographs that ship with Virboard." }
            @for example in shown { (row(t, example, &facts.board.catalogue)) }
        }
    }
}

fn row(t: &Task, example: &Example, catalogue: &Catalogue) -> Markup {
    let photo = &example.photo;
    let with = example.predictions.get(1).map_or("", |p| p.encoder.as_str());
    let second = photo.second.as_ref().filter(|_| t.images > 1).map_or_else(String::new, |s| format!("&second={s}"));
    let first = &example.predictions[0].encoder;
    html! {
        div.example {
            figure {
                img src=(photo.thumbnail) alt=(photo.title) width="132" height="99" loading="lazy";
                figcaption { (photo.title) " " a href={ "/try?image=" (photo.sha256) (second) "&encoder=" (first) "&with=" (with) } { "look closer" } }
            }
            @for p in &example.predictions { (prediction(p, catalogue)) }
        }
    }
}

fn prediction(p: &Prediction, catalogue: &Catalogue) -> Markup {
    let name = catalogue.encoder(&p.encoder).map_or(p.encoder.as_str(), |e| &e.name);
    let beside = |picture: &str, file: &str| format!("{}/{file}", picture.rsplit_once('/').map_or("", |f| f.0));
    let picture = |address: String| html! { img src=(address) alt={ "Output of " (name) } width="132" height="99" loading="lazy"; };
    html! {
        figure {
            @match &p.output {
                Output::Classification { classes } => ol.guesses {
                    @for c in classes.iter().take(CLASSES) { li { span { (c.label) } " " (format!("{:.0} %", 100.0 * c.probability)) } }
                },
                Output::Segmentation { mask, .. } => (picture(beside(mask, "overlay.png"))),
                Output::Depth { map, .. } | Output::Flow { map, .. } => (picture(beside(map, "shown.png"))),
            }
            figcaption { a href={ "/encoders/" (p.encoder) } { (name) } }
        }
    }
}
