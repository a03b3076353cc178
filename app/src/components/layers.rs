//! Pictures on top of each other that tell the value under the pointer.

use crate::browser::{Grid, position};
use leptos::prelude::*;
use leptos::task::spawn_local;
use virboard_core::prediction::ImageInfo;

/// The frame of the photo's shape around the pictures inside. The values lie beside the
/// picture at `exact` and are loaded when the pointer first enters.
#[component]
pub fn Layers(
    /// The photo, for its shape.
    image: ImageInfo,
    /// Address of the exact picture.
    exact: String,
    /// What a value of the grid means.
    read: impl Fn(u16) -> Option<String> + Send + Sync + 'static,
    /// The pictures.
    children: Children,
) -> impl IntoView {
    let grid = RwSignal::new(None::<Grid>);
    let under = RwSignal::new(None::<String>);
    let enter = move |_| {
        let exact = exact.clone();
        if grid.with_untracked(Option::is_none) {
            spawn_local(async move { grid.set(Grid::load(&exact).await) });
        }
    };
    let moved = move |event: web_sys::PointerEvent| {
        let at = position(&event);
        let value = grid.with_untracked(|g| g.as_ref().zip(at).map(|(grid, (x, y))| grid.at(x, y)));
        under.set(value.and_then(&read));
    };
    view! {
        <figure class="picture">
            <div
                class="layers"
                style=format!("aspect-ratio: {} / {}", image.width, image.height)
                on:pointerenter=enter
                on:pointermove=moved
                on:pointerleave=move |_| under.set(None)
            >
                {children()}
                <output class="under" class:off=move || under.get().is_none()>{move || under.get()}</output>
            </div>
        </figure>
    }
}
