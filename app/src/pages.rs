//! Pages, a file each.

pub mod content;
pub mod not_found;
pub mod try_photo;

use crate::api::{Overview, load_overview};
use leptos::prelude::*;

/// The leaderboard's numbers and availability for a page.
fn overview_resource() -> Resource<Result<Overview, ServerFnError>> {
    Resource::new(|| (), |()| load_overview())
}

/// What a page says when the server failed.
fn failed(error: &ServerFnError) -> impl IntoView + use<> {
    view! { <p class="problem" role="alert">{crate::api::sentence(error)}</p> }
}
