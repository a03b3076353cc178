//! A mask over the photo, with opacity, legend and the class under the pointer.

use super::layers::Layers;
use leptos::prelude::*;
use virboard_core::prediction::{ImageInfo, MaskLabel};

/// The segmentation of a photo.
#[component]
pub fn Segmentation(
    /// The photo.
    image: ImageInfo,
    /// All classes.
    labels: Vec<MaskLabel>,
    /// Address of the mask.
    mask: String,
) -> impl IntoView {
    let opacity = RwSignal::new(55);
    let folder = mask.rsplit_once('/').map_or_else(String::new, |(f, _)| f.to_owned());
    let names: Vec<String> = labels.iter().map(|l| l.name.clone()).collect();
    let read = move |value: u16| names.get(usize::from(value)).cloned();
    let colours = format!("{folder}/shown.png");
    let photo = format!("/api/v1/images/{}", image.sha256);
    let mut sorted = labels;
    sorted.sort_by(|a, b| b.share.total_cmp(&a.share));
    let legend = sorted
        .into_iter()
        .map(|l| {
            view! {
                <li class:absent=l.share < 0.0005>
                    <i style=format!("background: {}", l.colour) aria-hidden="true"></i>
                    {l.name}
                    <span class="score">{format!("{:.1}%", 100.0 * l.share)}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <Layers image exact=mask.clone() read>
            <img src=photo alt="The photo"/>
            <img class="mask" src=colours alt="Predicted classes as colours" style:opacity=move || format!("{}%", opacity.get())/>
        </Layers>
        <label class="slider">
            "Opacity"
            <input type="range" min="0" max="100" prop:value=move || opacity.get().to_string() value="55"
                on:input=move |e| opacity.set(event_target_value(&e).parse().unwrap_or(55))/>
        </label>
        <ul class="legend">{legend}</ul>
        <p class="downloads">
            <a href=mask download="mask.png" rel="external">"Mask (class indices)"</a>
            <a href=format!("{folder}/overlay.png") download="overlay.png" rel="external">"Overlay"</a>
        </p>
    }
}
