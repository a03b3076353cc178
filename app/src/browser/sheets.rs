//! The leaderboard's numbers, once the browser has them: from then on it writes the page itself.

use crate::api::{Content, load_overview};
use crate::leaderboard::{TITLE, page};
use std::cell::RefCell;
use virboard_core::leaderboard::{Sheet, View};
use web_sys::UrlSearchParams;

thread_local! {
    static SHEETS: RefCell<Vec<Sheet>> = const { RefCell::new(Vec::new()) };
}

/// Asks the server for the numbers. Without them it goes on writing the page.
pub async fn load() {
    if let Ok(overview) = load_overview().await {
        SHEETS.with(|s| *s.borrow_mut() = overview.sheets);
        // Tests can tell that the page reacts at once.
        if let Some(root) = leptos::prelude::document().document_element() {
            let _ = root.set_attribute("data-sheets", "");
        }
    }
}

/// Whether the numbers are here.
#[must_use]
pub fn ready() -> bool {
    SHEETS.with(|s| !s.borrow().is_empty())
}

/// The leaderboard's page at an address, if it can be written here.
#[must_use]
pub fn content(path: &str, query: &str) -> Option<Content> {
    let params = UrlSearchParams::new_with_str(query).ok().filter(|_| path == "/" && ready())?;
    let view = View::from_query(|key| params.get(key));
    let html = SHEETS.with(|s| page(&s.borrow(), &view)).into_string();
    Some(Content { title: TITLE.to_owned(), html, found: true })
}
