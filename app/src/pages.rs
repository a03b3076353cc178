//! Pages, a file each.

pub mod content;
pub mod try_photo;

use crate::api::{Carried, Overview, load_overview};
use leptos::prelude::*;
use leptos::server::codee::string::FromToStringCodec;

/// The leaderboard's numbers and availability for a page.
fn overview_resource() -> Resource<Carried<Overview>, FromToStringCodec> {
    Resource::new_str(|| (), |()| async { carried(load_overview().await) })
}

/// The answer, or the sentence about why there is none.
fn carried<T>(answer: Result<T, ServerFnError>) -> Carried<T> {
    Carried(answer.map_err(|e| crate::api::sentence(&e)))
}

/// What a page says when the server failed.
fn failed(sentence: String) -> impl IntoView + use<> {
    view! { <p class="problem" role="alert">{sentence}</p> }
}
