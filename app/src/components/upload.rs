//! Handing in a photo: choose, drop or paste. Without WebAssembly it is a plain form.

use crate::browser::{TOO_LARGE, handed, send_photo};
use leptos::ev;
use leptos::prelude::*;
use leptos::task::spawn_local;
use virboard_core::prediction::Predictions;
use wasm_bindgen::JsCast;
use web_sys::{DataTransfer, File, FormData};

/// Said of a photo that comes while another one is looked at.
const BUSY: &str = "Another photo is being looked at. Wait until it is done, then hand this one in again.";

/// The drop zone. The form around it holds the encoder's field.
#[component]
pub fn Upload(
    /// Keys of the encoders to ask.
    encoders: Signal<Vec<String>>,
    /// Called with the answer.
    done: Callback<Predictions>,
    /// A sentence about the last failure.
    problem: RwSignal<Option<String>>,
) -> impl IntoView {
    let busy = RwSignal::new(false);
    let over = RwSignal::new(false);
    let send = move |file: File| {
        if busy.get_untracked() {
            problem.set(Some(BUSY.to_owned()));
            return;
        }
        busy.set(true);
        problem.set(None);
        spawn_local(async move {
            match ask(&file, &encoders.get_untracked()).await {
                Ok(predictions) => done.run(predictions),
                Err(sentence) => problem.set(Some(sentence)),
            }
            busy.set(false);
        });
    };
    let chosen = move |event: web_sys::Event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        if let Some(file) = input.files().and_then(|f| f.get(0)) {
            send(file);
            // The same file may be chosen again.
            input.set_value("");
        }
    };
    let take = move |data: Option<DataTransfer>| match handed::photo(data) {
        Ok(file) => send(file),
        Err(sentence) => problem.set(Some(sentence.to_owned())),
    };
    // Beside the zone, too: the browser would leave the page and show what was dropped.
    let drop = window_event_listener(ev::drop, move |event: web_sys::DragEvent| {
        event.prevent_default();
        over.set(false);
        take(event.data_transfer());
    });
    let drag = window_event_listener(ev::dragover, |event: web_sys::DragEvent| event.prevent_default());
    let paste = window_event_listener(ev::paste, move |event: web_sys::ClipboardEvent| {
        // Text that is pasted into a field is for the field.
        let field = event.target().is_some_and(|t| t.has_type::<web_sys::HtmlInputElement>());
        let data = event.clipboard_data();
        let files = data.as_ref().and_then(DataTransfer::files).map_or(0, |f| f.length());
        if files > 0 || !field {
            event.prevent_default();
            take(data);
        }
    });
    on_cleanup(move || {
        drop.remove();
        drag.remove();
        paste.remove();
    });
    view! {
        <div
            class="drop"
            class:over=move || over.get()
            class:busy=move || busy.get()
            on:dragover=move |_| over.set(true)
            on:dragleave=move |_| over.set(false)
        >
            <label class="choose">
                <input type="file" name="image" accept="image/jpeg,image/png,image/webp,image/gif,image/bmp,image/tiff" required on:change=chosen/>
                <strong>"Choose a photo"</strong>
                <span>", drop one here, or paste it"</span>
            </label>
            <p class="note">"JPEG, PNG, WebP, GIF, BMP or TIFF, up to 20 MB. Photos are stored on this server; whoever has the link sees them."</p>
            <noscript><button>"Upload"</button></noscript>
            <p class="working" role="status">{move || busy.get().then_some("Looking at your photo…")}</p>
        </div>
    }
}

/// Sends a photo to the encoders and gives their outputs, or a sentence.
pub(super) async fn ask(file: &File, encoders: &[String]) -> Result<Predictions, String> {
    if file.size() > 20e6 {
        return Err(TOO_LARGE.to_owned());
    }
    let refused = |_| "The browser could not read this file.".to_owned();
    let form = FormData::new().map_err(refused)?;
    form.append_with_blob("image", file).map_err(refused)?;
    for key in encoders {
        form.append_with_str("encoder", key).map_err(refused)?;
    }
    send_photo(form).await
}
