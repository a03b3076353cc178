//! Virboard's frontend: rendered on the server, hydrated in the browser. It knows the
//! benchmark ([`virboard_core`]) and what to ask the server for ([`api`]), nothing else.

pub mod api;
#[cfg(feature = "ssr")]
pub mod assets;
pub mod browser;
#[cfg(feature = "ssr")]
pub mod charts;
pub mod choose;
pub mod components;
#[cfg(feature = "ssr")]
pub mod content;
mod form;
pub mod leaderboard;
pub mod pages;
pub mod theme;

use components::header::{Footer, Header};
use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::SsrMode;
use leptos_router::components::{FlatRoutes, Route, Router};
use leptos_router::path;
use pages::content::ContentPage;
use pages::try_photo::TryPage;

/// The document around the app.
#[cfg(feature = "ssr")]
pub fn shell(assets: &assets::Assets) -> impl IntoView + use<> {
    use leptos_meta::MetaTags;
    let theme = use_context::<theme::Theme>().unwrap_or_default();
    let script = assets
        .script()
        .map(|code| view! { <script type="module" nonce=leptos::nonce::use_nonce() inner_html=code></script> });
    let preload = assets.js.clone().map(|js| view! { <link rel="modulepreload" href=js/> });
    let style = assets.css.clone().map(|css| view! { <link rel="stylesheet" href=css/> });
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme.name()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="description" content="Which frozen image encoder should you use? Encoders compared on many end tasks, and on your own photos."/>
                <link rel="icon" href="/icons/virboard.svg" type="image/svg+xml"/>
                {style}
                {preload}
                {script}
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The app: header, pages, footer.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title formatter=|title: String| if title.is_empty() { "Virboard".to_owned() } else { format!("{title} · Virboard") }/>
        <Router>
            <a class="skip" href="#main">"Skip to content"</a>
            <Header/>
            <main id="main">
                // What is only read is one component: `content` knows its addresses.
                <FlatRoutes fallback=ContentPage>
                    <Route path=path!("/") view=ContentPage ssr=SsrMode::Async/>
                    <Route path=path!("/try") view=TryPage ssr=SsrMode::Async/>
                    <Route path=path!("/*page") view=ContentPage ssr=SsrMode::Async/>
                </FlatRoutes>
            </main>
            <Footer/>
        </Router>
    }
}

/// Takes over the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(App);
    // Tests and styles can tell that the page is alive.
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-hydrated", "");
    }
}
