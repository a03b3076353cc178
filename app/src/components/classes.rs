//! Class probabilities as bars.

use leptos::prelude::*;
use virboard_core::prediction::ClassProbability;

/// Bars that are shown at first.
const SHOWN: usize = 6;

/// The most probable classes.
#[component]
pub fn Classes(
    /// All classes, the most probable first.
    classes: Vec<ClassProbability>,
) -> impl IntoView {
    let rest = classes.len().saturating_sub(SHOWN);
    let bars = classes
        .into_iter()
        .take(SHOWN)
        .map(|c| {
            view! {
                <li>
                    <span class="label">{c.label}</span>
                    <span class="bar" aria-hidden="true"><i style=format!("width: {:.1}%", 100.0 * c.probability)></i></span>
                    <span class="score">{format!("{:.1}%", 100.0 * c.probability)}</span>
                </li>
            }
        })
        .collect_view();
    view! {
        <ol class="classes">{bars}</ol>
        {(rest > 0).then(|| view! { <p class="note">{format!("and {rest} less probable classes")}</p> })}
    }
}
