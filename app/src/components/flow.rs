//! The motion between two photos: colours for direction and strength, arrows, and the length
//! under the pointer.

use super::layers::Layers;
use leptos::prelude::*;
use virboard_core::prediction::ImageInfo;

/// The flow from a photo to a second one.
#[component]
pub fn Flow(
    /// The first photo.
    image: ImageInfo,
    /// Pixels of the longest displacement.
    longest: f32,
    /// Address of the map.
    map: String,
) -> impl IntoView {
    let folder = map.rsplit_once('/').map_or_else(String::new, |(f, _)| f.to_owned());
    let coloured = format!("{folder}/shown.png");
    let picture = coloured.clone();
    let photo = format!("/api/v1/images/{}", image.sha256);
    let read = |value: u16| Some(format!("{:.1} px", f32::from(value) / 64.0));
    view! {
        <Layers image exact=map.clone() read>
            <img src=photo alt="The first photo"/>
            <img class="mask flow" src=picture alt="Predicted motion as colours: the hue tells the direction"/>
            <img src=format!("{folder}/arrows.svg") alt=""/>
        </Layers>
        <p class="ends">
            <span>"arrows point to where things are in the second photo"</span>
            <span>{format!("longest {longest:.1} px")}</span>
        </p>
        <p class="downloads">
            <a href=map download="flow.png" rel="external">"Motion (KITTI, 16-bit)"</a>
            <a href=coloured download="flow-coloured.png" rel="external">"Coloured"</a>
        </p>
    }
}
