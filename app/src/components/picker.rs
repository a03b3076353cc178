//! Choosing an encoder.

use crate::api::EncoderState;
use leptos::prelude::*;

/// A list of encoders: those with heads, those with weights, and the rest for information.
#[component]
pub fn EncoderPicker(
    /// Name of the form's field.
    name: &'static str,
    /// What is here of each encoder.
    states: Vec<EncoderState>,
    /// Key of the chosen one; empty for none.
    chosen: Signal<String>,
    /// The first entry for "none", if there may be none.
    #[prop(optional)]
    none: Option<&'static str>,
    /// Called with the new key.
    change: Callback<String>,
) -> impl IntoView {
    let part = |wanted: fn(&EncoderState) -> bool| -> Vec<EncoderState> {
        states.iter().filter(|s| wanted(s)).cloned().collect()
    };
    let ready = part(|s| s.weights && !s.heads.is_empty());
    let bare = part(|s| s.weights && s.heads.is_empty());
    let absent = part(|s| !s.weights);
    let group = move |label: &'static str, encoders: Vec<EncoderState>, disabled: bool| {
        let options = encoders
            .into_iter()
            .map(|e| {
                let key = e.key.clone();
                view! { <option value=e.key disabled=disabled selected=move || chosen.get() == key>{e.name}</option> }
            })
            .collect_view();
        view! { <optgroup label=label>{options}</optgroup> }
    };
    view! {
        <select name=name on:change=move |e| change.run(event_target_value(&e)) prop:value=move || chosen.get()>
            {none.map(|label| view! { <option value="">{label}</option> })}
            {(!ready.is_empty()).then(|| group("Ready", ready, false))}
            {(!bare.is_empty()).then(|| group("Weights here, no heads yet", bare, false))}
            {(!absent.is_empty()).then(|| group("Weights missing", absent, true))}
        </select>
    }
}
