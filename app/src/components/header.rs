//! What stands above and below every page.

use crate::api::Version;
use leptos::prelude::*;
use leptos_router::components::A;
use leptos_router::hooks::use_location;
use virboard_core::people::Person;

/// Name, navigation and theme.
#[component]
pub fn Header() -> impl IntoView {
    let location = use_location();
    let back = move || format!("{}{}", location.pathname.get(), with_mark(&location.search.get()));
    view! {
        <header class="header">
            <a class="brand" href="/">
                <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
                    <rect x="3" y="17" width="6" height="12" rx="1.5"/>
                    <rect x="13" y="10" width="6" height="19" rx="1.5"/>
                    <rect x="23" y="3" width="6" height="26" rx="1.5"/>
                </svg>
                "Virboard"
            </a>
            <nav aria-label="Main">
                <A href="/" exact=true>"Leaderboard"</A>
                <A href="/choose">"Choose"</A>
                <A href="/analyses">"Analyses"</A>
                <A href="/runs">"Runs"</A>
                <A href="/try">"Try a photo"</A>
            </nav>
            <Who/>
            <form class="theme" method="post" action="/theme" aria-label="Theme">
                <input type="hidden" name="back" value=back/>
                <button name="to" value="light" title="Light" on:click=|e| choose(&e, "light")>"☀"<span class="hidden">"Light"</span></button>
                <button name="to" value="dark" title="Dark" on:click=|e| choose(&e, "dark")>"☾"<span class="hidden">"Dark"</span></button>
                <button name="to" value="system" title="As the system" on:click=|e| choose(&e, "system")>"◐"<span class="hidden">"As the system"</span></button>
            </form>
        </header>
    }
}

/// What stands for a name where there are no users; no name has a blank.
const NO_USERS: &str = " ";

/// The name of a user, nothing for whoever has not signed in, and [`NO_USERS`].
fn shown_name(person: Person) -> String {
    if person.user || person.role.is_none() { person.name } else { NO_USERS.to_owned() }
}

/// The way to one's account, or to sign in. Where there are no users there is neither.
#[component]
fn Who() -> impl IntoView {
    let path = use_location().pathname;
    // The server knows; the browser is told.
    let name =
        SharedValue::new(|| use_context::<Person>().map_or_else(|| NO_USERS.to_owned(), shown_name)).into_inner();
    (name != NO_USERS).then(|| {
        if name.is_empty() {
            let to = move || format!("/sign-in?back={}", path.get());
            view! { <a class="who" href=to>"Sign in"</a> }.into_any()
        } else {
            view! { <a class="who" href="/account" title="Your account">{name}</a> }.into_any()
        }
    })
}

fn with_mark(search: &str) -> String {
    if search.is_empty() || search.starts_with('?') { search.to_owned() } else { format!("?{search}") }
}

/// Switches without a round trip; without WebAssembly the form does it.
fn choose(event: &web_sys::MouseEvent, theme: &str) {
    event.prevent_default();
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute("data-theme", theme);
    }
    let cookie = format!("theme={theme}; Path=/; Max-Age=31536000; SameSite=Lax");
    let _ = js_sys::Reflect::set(&document(), &"cookie".into(), &cookie.into());
}

/// Where the numbers come from.
#[component]
pub fn Footer() -> impl IntoView {
    // The server knows; the browser is told.
    let version =
        SharedValue::new(|| use_context::<Version>().map_or_else(String::new, |v| v.0.to_owned())).into_inner();
    view! {
        <footer class="footer">
            <p>
                "Benchmark: ViRB, Kotar et al., ICCV 2021 (arXiv 2103.14005). Every score is measured or imported and says how. "
                <a href="/api/openapi.json" rel="external">"REST interface"</a>
                <span class="version">" Virboard " {version}</span>
            </p>
        </footer>
    }
}
