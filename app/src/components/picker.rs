//! Choosing an encoder.

use crate::api::EncoderState;
use leptos::prelude::*;
use virboard_core::catalog::{ENCODERS, encoder::Encoder};

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
    let state = move |e: &Encoder| states.iter().find(|s| s.key == e.key).cloned();
    let part = |wanted: fn(Option<EncoderState>) -> bool| -> Vec<&'static Encoder> {
        ENCODERS.iter().filter(|e| wanted(state(e))).collect()
    };
    let ready = part(|s| s.is_some_and(|s| s.weights && !s.heads.is_empty()));
    let bare = part(|s| s.is_some_and(|s| s.weights && s.heads.is_empty()));
    let absent = part(|s| s.is_none_or(|s| !s.weights));
    let group = move |label: &'static str, encoders: Vec<&'static Encoder>, disabled: bool| {
        let options = encoders
            .into_iter()
            .map(|e| view! { <option value=e.key disabled=disabled selected=move || chosen.get() == e.key>{e.name}</option> })
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
