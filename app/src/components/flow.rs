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
    /// Start and displacement of arrows, as shares of width and height.
    arrows: Vec<[f32; 4]>,
    /// Address of the map.
    map: String,
) -> impl IntoView {
    let folder = map.rsplit_once('/').map_or_else(String::new, |(f, _)| f.to_owned());
    let coloured = format!("{folder}/shown.png");
    let (width, height) = (image.width as f32, image.height as f32);
    // The longest arrow is as long as three of their 16 columns.
    let stretch = 3.0 / 16.0 * width / longest.max(1e-3);
    let path = arrows
        .iter()
        .map(|[x, y, u, v]| {
            let (dx, dy) = (u * width * stretch, v * height * stretch);
            let (x, y) = (x * width, y * height);
            // Two strokes at the tip, a quarter as long and turned by 30 degrees.
            let tip = |s: f32| ((-0.87 * dx + s * 0.5 * dy) * 0.25, (-0.87 * dy - s * 0.5 * dx) * 0.25);
            let ((ax, ay), (bx, by)) = (tip(1.0), tip(-1.0));
            format!("M{x:.0} {y:.0}l{dx:.0} {dy:.0}l{ax:.0} {ay:.0}m{:.0} {:.0}l{bx:.0} {by:.0}", -ax, -ay)
        })
        .collect::<String>();
    let picture = coloured.clone();
    let photo = format!("/api/v1/images/{}", image.sha256);
    let read = |value: u16| Some(format!("{:.1} px", f32::from(value) / 64.0));
    view! {
        <Layers image exact=map.clone() read>
            <img src=photo alt="The first photo"/>
            <img class="mask flow" src=picture alt="Predicted motion as colours: the hue tells the direction"/>
            <svg class="arrows" viewBox=format!("0 0 {width} {height}") preserveAspectRatio="none" aria-hidden="true">
                <path d=path stroke-width=format!("{:.1}", width / 250.0)></path>
            </svg>
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
