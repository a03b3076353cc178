//! The leaderboard's numbers, once the browser has them: from then on it changes the page
//! itself, and only those parts of it that differ.

use crate::api::load_overview;
use crate::choose::answer;
use crate::leaderboard::{Parts, chips, fields, linked};
use leptos::prelude::{document, request_idle_callback};
use std::cell::RefCell;
use std::collections::HashMap;
use virboard_core::leaderboard::{Sheet, View, Wish};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, HtmlInputElement, HtmlSelectElement, NodeList, UrlSearchParams};

thread_local! {
    static SHEETS: RefCell<Vec<Sheet>> = const { RefCell::new(Vec::new()) };
    /// What the tables show now, if that was made here.
    static LAST: RefCell<Option<View>> = const { RefCell::new(None) };
}

/// Asks the server for the numbers. Without them it goes on writing the page.
pub async fn load() {
    if let Ok(overview) = load_overview().await {
        SHEETS.with(|s| *s.borrow_mut() = overview.sheets);
        // The server has shown the same numbers: a first sorting only moves rows, too.
        if let Some(location) = web_sys::window().map(|w| w.location())
            && location.pathname().is_ok_and(|p| p == "/")
        {
            let view = location.search().ok().and_then(|q| view_of(&q));
            LAST.with(|l| *l.borrow_mut() = view);
        }
        request_idle_callback(warm);
        // Tests can tell that the page reacts at once.
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-sheets", "");
        }
    }
}

/// Writes what a first sorting will write, and throws it away: WebAssembly is compiled when it
/// first runs, and that is not to happen while somebody waits.
fn warm() {
    SHEETS.with(|sheets| {
        let sheets = sheets.borrow();
        for sheet in sheets.iter() {
            let Some(column) = sheet.columns.first() else { continue };
            let view = View::default().sorted_by(&column.key);
            let parts = Parts::new(sheet, &view);
            let written = [parts.head(), parts.after(), chips(&view), linked(&sheets, &view)].map(|m| m.into_string());
            std::hint::black_box((written, fields(&view), parts.keys().count()));
        }
    });
}

/// Whether the numbers are here.
#[must_use]
pub fn ready() -> bool {
    SHEETS.with(|s| !s.borrow().is_empty())
}

/// The page was written anew by somebody else.
pub fn forget() {
    LAST.with(|l| *l.borrow_mut() = None);
}

/// Brings the leaderboard, if that is the page and the numbers are here, to the view at an
/// address. `false` leaves it to the server.
#[must_use]
pub fn update(path: &str, query: &str) -> bool {
    ready()
        && match path {
            "/" => changed(query).is_some(),
            "/choose" => chosen(query).is_some(),
            _ => false,
        }
}

/// Whether a page is written here once the numbers are.
#[must_use]
pub fn used_by(path: &str) -> bool {
    matches!(path, "/" | "/choose")
}

/// The answer to a wish, and its sliders, which a preset may have moved.
fn chosen(query: &str) -> Option<()> {
    let params = UrlSearchParams::new_with_str(query).ok()?;
    let form = find("choose")?;
    SHEETS.with(|sheets| {
        let sheets = sheets.borrow();
        let asked = params.get("suite").unwrap_or_else(|| sheets.first().map_or("", |s| &s.suite.key).to_owned());
        let sheet = sheets.iter().find(|s| s.suite.key == asked)?;
        // Another suite has other sliders: then the server writes the page.
        form.query_selector(&format!("[name=\"task-{}\"]", sheet.columns.first()?.key)).ok()??;
        let wish = Wish::from_query(sheet, |key| params.get(key));
        find("answer")?.set_inner_html(&answer(sheet, &wish).into_string());
        let sliders = form.query_selector_all("input[type=range]").ok()?;
        for i in 0..sliders.length() {
            let Some(slider) = sliders.get(i).and_then(|n| n.dyn_into::<HtmlInputElement>().ok()) else { continue };
            slider.set_value(&params.get(&slider.name()).unwrap_or_else(|| "1".to_owned()));
        }
        Some(())
    })
}

fn view_of(query: &str) -> Option<View> {
    let params = UrlSearchParams::new_with_str(query).ok()?;
    Some(View::from_query(|key| params.get(key)))
}

fn links(head: &Element) -> Option<NodeList> {
    head.query_selector_all("a").ok()
}

/// Which link of a head has the focus, so that who sorts by the keyboard stays there.
fn focused(head: &Element) -> Option<u32> {
    let active = document().active_element().filter(|a| head.contains(Some(a)))?;
    let all = links(head)?;
    (0..all.length()).find(|i| all.get(*i).as_deref() == Some(&active))
}

fn find(id: &str) -> Option<Element> {
    document().get_element_by_id(id)
}

fn changed(query: &str) -> Option<()> {
    let view = view_of(query)?;
    let last = LAST.with(|l| l.borrow().clone());
    // Only the order differs: rows are moved.
    let order = last.is_some_and(|l| View { sort: view.sort.clone(), ..l } == view);
    SHEETS.with(|sheets| {
        let sheets = sheets.borrow();
        // Those without encoders have no table.
        for sheet in sheets.iter().filter(|sheet| !sheet.rows.is_empty()) {
            let parts = Parts::new(sheet, &view);
            let table = find(&format!("scores-{}", sheet.suite.key))?;
            let body = table.query_selector("tbody").ok()??;
            let head = table.query_selector("thead").ok()??;
            let focus = focused(&head);
            head.set_inner_html(&parts.head().into_string());
            if let Some(link) = focus.and_then(|i| links(&head)?.get(i)?.dyn_into::<HtmlElement>().ok()) {
                let _ = link.focus();
            }
            if !(order && moved(&body, &parts)) {
                body.set_inner_html(&parts.body().into_string());
            }
            find(&format!("after-{}", sheet.suite.key))?.set_inner_html(&parts.after().into_string());
        }
        find("linked")?.set_inner_html(&linked(&sheets, &view).into_string());
        Some(())
    })?;
    find("chips")?.set_inner_html(&chips(&view).into_string());
    for (name, value) in fields(&view) {
        let field = document().query_selector(&format!("form.filters [name=\"{name}\"]")).ok().flatten()?;
        if let Some(select) = field.dyn_ref::<HtmlSelectElement>() {
            select.set_value(&value);
        } else if let Some(input) = field.dyn_ref::<HtmlInputElement>().filter(|i| i.value().trim() != value.trim()) {
            input.set_value(&value);
        }
    }
    LAST.with(|l| *l.borrow_mut() = Some(view));
    Some(())
}

/// Puts the rows of a body in another order; `false`, and nothing done, if they are not the same rows.
fn moved(body: &Element, parts: &Parts<'_>) -> bool {
    let rows = body.children();
    let mut there: HashMap<String, Element> = HashMap::new();
    for i in 0..rows.length() {
        if let Some((row, key)) = rows.item(i).and_then(|r| r.get_attribute("data-row").map(|k| (r, k))) {
            there.insert(key, row);
        }
    }
    let wanted: Vec<&str> = parts.keys().collect();
    if wanted.len() != there.len() || wanted.iter().any(|k| !there.contains_key(*k)) {
        return false;
    }
    wanted.iter().all(|key| there.get(*key).is_some_and(|row| body.append_child(row).is_ok()))
}
