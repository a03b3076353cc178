//! Pages, a file each.

pub mod content;
pub mod leaderboard;
pub mod not_found;
pub mod try_photo;

use crate::api::{Board, load_board};
use leptos::prelude::*;

/// Scores and availability for a page.
fn board_resource() -> Resource<Result<Board, ServerFnError>> {
    Resource::new(|| (), |()| load_board())
}

/// What a page says when the server failed.
fn failed(error: &ServerFnError) -> impl IntoView + use<> {
    view! { <p class="problem" role="alert">{crate::api::sentence(error)}</p> }
}
