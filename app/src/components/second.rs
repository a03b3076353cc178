//! The second photo, for the motion between two.

use super::upload::ask;
use leptos::prelude::*;
use leptos::task::spawn_local;

/// The second photo, or a way to hand one in.
#[component]
pub fn SecondPhoto(
    /// Hash of the second photo; empty without one.
    second: Memo<String>,
    /// Key of the encoder that looks at it first.
    chosen: Memo<String>,
    /// Called with the new hash, or with nothing to remove it.
    change: Callback<String>,
    /// A sentence about the last failure.
    problem: RwSignal<Option<String>>,
) -> impl IntoView {
    let busy = RwSignal::new(false);
    let handed = move |event: web_sys::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        let Some(file) = input.files().and_then(|f| f.get(0)) else { return };
        input.set_value("");
        busy.set(true);
        spawn_local(async move {
            match ask(&file, &[chosen.get_untracked()]).await {
                Ok(predictions) => change.run(predictions.image.sha256),
                Err(sentence) => problem.set(Some(sentence)),
            }
            busy.set(false);
        });
    };
    view! {
        <div class="second">
            <Show when=move || !second.get().is_empty()>
                <img src=move || format!("/api/v1/images/{}", second.get()) alt="The second photo"/>
                <button type="button" on:click=move |_| change.run(String::new())>"Remove the second photo"</button>
            </Show>
            <label class="choose">
                <input type="file" accept="image/*" on:change=handed/>
                {move || match (busy.get(), second.get().is_empty()) {
                    (true, _) => "Looking at it…",
                    (_, true) => "Add a second photo to see the motion between both",
                    _ => "Choose another second photo",
                }}
            </label>
        </div>
    }
}
