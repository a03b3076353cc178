//! A depth map with its colour scale and the value under the pointer.

use super::layers::Layers;
use leptos::prelude::*;
use virboard_core::prediction::ImageInfo;

/// The depth of a photo.
#[component]
pub fn Depth(
    /// The photo.
    image: ImageInfo,
    /// Smallest value.
    minimum: f32,
    /// Largest value.
    maximum: f32,
    /// Unit of the values.
    unit: String,
    /// Address of the map.
    map: String,
) -> impl IntoView {
    let folder = map.rsplit_once('/').map_or_else(String::new, |(f, _)| f.to_owned());
    let coloured = format!("{folder}/shown.png");
    let shown_unit = unit.clone();
    let read = move |value: u16| {
        let distance = minimum + (maximum - minimum) * f32::from(value) / 65535.0;
        Some(format!("{distance:.2} {shown_unit}"))
    };
    let picture = coloured.clone();
    view! {
        <Layers image exact=map.clone() read>
            <img src=picture alt="Predicted depth as colours: bright is near"/>
        </Layers>
        <div class="scale" aria-hidden="true"></div>
        <p class="ends">
            <span>{format!("near {minimum:.1} {unit}")}</span>
            <span>{format!("far {maximum:.1} {unit}")}</span>
        </p>
        <p class="downloads">
            <a href=map download="depth.png" rel="external">
                "Depth (16-bit)"
            </a>
            <a href=coloured download="depth-coloured.png" rel="external">
                "Coloured"
            </a>
        </p>
    }
}
