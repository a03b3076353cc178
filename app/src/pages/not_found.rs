//! For addresses that lead nowhere.

use leptos::prelude::*;
use leptos_meta::Title;

/// The page.
#[component]
pub fn NotFound() -> impl IntoView {
    view! {
        <Title text="Not found"/>
        <h1>"There is nothing at this address"</h1>
        <p>"See the "<a href="/">"leaderboard"</a>", or "<a href="/try">"try a photo"</a>"."</p>
    }
}
