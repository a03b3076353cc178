//! What the table of runs does in the browser beside its links and forms: ticks that change the
//! address and nothing else, keys, and suggestions for the word that is being written.

use std::cell::Cell;
use wasm_bindgen::JsCast;
use web_sys::{Document, Element, Event, HtmlElement, HtmlInputElement, UrlSearchParams};

thread_local! {
    /// Place of the box that was ticked last.
    static LAST: Cell<Option<usize>> = const { Cell::new(None) };
}

fn document() -> Option<Document> {
    web_sys::window()?.document()
}

fn all<T: JsCast>(selector: &str) -> Vec<T> {
    let Some(found) = document().and_then(|d| d.query_selector_all(selector).ok()) else { return Vec::new() };
    (0..found.length()).filter_map(|i| found.get(i)?.dyn_into().ok()).collect()
}

fn first<T: JsCast>(selector: &str) -> Option<T> {
    document()?.query_selector(selector).ok()??.dyn_into().ok()
}

fn target<T: JsCast>(event: &Event) -> Option<T> {
    event.target()?.dyn_into().ok()
}

fn boxes() -> Vec<HtmlInputElement> {
    all("input.pick")
}

/// An address with other numbers of ticked runs.
fn with_ids(address: &str, ids: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let mut parts: Vec<&str> = query.split('&').filter(|p| !p.is_empty() && !p.starts_with("ids=")).collect();
    let own = format!("ids={ids}");
    if !ids.is_empty() {
        parts.push(&own);
    }
    if parts.is_empty() { path.to_owned() } else { format!("{path}?{}", parts.join("&")) }
}

/// A query without the ticked runs, in one spelling.
fn rest(query: &str) -> Option<String> {
    let params = UrlSearchParams::new_with_str(query).ok()?;
    params.delete("ids");
    params.sort().ok()?;
    Some(String::from(params.to_string()))
}

/// With a box of the table changed, the address in which its runs are ticked or not.
#[must_use]
pub fn ticked(event: &Event) -> Option<String> {
    target::<HtmlInputElement>(event).filter(|t| t.class_list().contains("pick"))?;
    let elsewhere = first::<HtmlInputElement>("#pick input[data-elsewhere]").map(|e| e.value());
    let here = boxes().into_iter().filter(HtmlInputElement::checked).map(|b| b.value());
    let ids: Vec<String> = elsewhere.into_iter().chain(here).filter(|ids| !ids.is_empty()).collect();
    let search = web_sys::window()?.location().search().ok()?;
    Some(with_ids(&format!("/runs{search}"), &ids.join(",")))
}

/// With shift held, ticks all boxes between the last one and this, as this is.
pub fn between(event: &web_sys::MouseEvent) {
    let Some(this) = target::<HtmlInputElement>(event).filter(|t| t.class_list().contains("pick")) else { return };
    let boxes = boxes();
    let Some(at) = boxes.iter().position(|b| *b == this) else { return };
    let last = LAST.replace(Some(at));
    if let Some(last) = last.filter(|last| event.shift_key() && *last < boxes.len()) {
        for one in &boxes[last.min(at)..=last.max(at)] {
            one.set_checked(this.checked());
        }
    }
}

/// Brings the table, if that is the page and no more than ticks have changed, to the query of an
/// address. `false` leaves it to the server.
#[must_use]
pub fn update(path: &str, query: &str) -> bool {
    path == "/runs" && retick(query).is_some()
}

fn retick(query: &str) -> Option<()> {
    let shown = first::<Element>("#pick")?.get_attribute("data-query")?;
    if rest(query)? != rest(&shown)? {
        return None;
    }
    let ids = UrlSearchParams::new_with_str(query).ok()?.get("ids").unwrap_or_default();
    let mut open: Vec<&str> = ids.split(',').filter(|id| !id.is_empty()).collect();
    let count = open.len();
    for one in boxes() {
        let value = one.value();
        let own: Vec<&str> = value.split(',').collect();
        one.set_checked(own.iter().all(|id| ids.split(',').any(|i| i == *id)));
        open.retain(|id| !own.contains(id));
    }
    first::<HtmlInputElement>("#pick input[data-elsewhere]")?.set_value(&open.join(","));
    first::<HtmlInputElement>(".runs-filter input[name=ids]")?.set_value(&ids);
    first::<Element>("#pick [data-ticked]")?.set_text_content(Some(&count.to_string()));
    first::<Element>("#pick .clear")?.class_list().toggle_with_force("off", count == 0).ok()?;
    for link in all::<Element>(".runs-page a:not(.clear)") {
        for name in ["href", "data-shift"] {
            let address = link.get_attribute(name).filter(|a| a == "/runs" || a.starts_with("/runs?"));
            if let Some(address) = address {
                link.set_attribute(name, &with_ids(&address, &ids)).ok()?;
            }
        }
    }
    Some(())
}

/// Suggests what may follow behind the words that are written already.
pub fn complete(event: &Event) {
    let Some(field) = target::<HtmlInputElement>(event).filter(|f| f.get_attribute("list").is_some()) else { return };
    let typed = field.value();
    let start = &typed[..typed.rfind(' ').map_or(0, |at| at + 1)];
    let Some(list) = first::<Element>("#terms") else { return };
    if list.get_attribute("data-start").as_deref() == Some(start) || list.set_attribute("data-start", start).is_err() {
        return;
    }
    for option in all::<Element>("#terms option") {
        let term = option.get_attribute("data-term").unwrap_or_default();
        let _ = option.set_attribute("value", &format!("{start}{term}"));
    }
}

/// Does what a key stands for on the page of all runs; whether it did.
#[must_use]
pub fn pressed(event: &web_sys::KeyboardEvent) -> bool {
    let written =
        target::<Element>(event).is_some_and(|t| t.matches("input:not(.pick), select, textarea").unwrap_or(true));
    if written || event.ctrl_key() || event.meta_key() || event.alt_key() || first::<Element>(".runs-page").is_none() {
        return false;
    }
    done(&event.key()).is_some()
}

fn done(key: &str) -> Option<()> {
    match key {
        "/" => first::<HtmlElement>(".runs-filter input[name=q]")?.focus().ok(),
        "j" => moved(1),
        "k" => moved(-1),
        "x" => {
            let row = document()?.active_element()?.closest("table.runs tbody tr").ok()??;
            row.query_selector("input.pick").ok()??.dyn_into::<HtmlElement>().ok()?.click();
            Some(())
        }
        "c" => {
            first::<HtmlElement>("#pick button")?.click();
            Some(())
        }
        "?" => {
            let keys = first::<HtmlElement>("#keys")?;
            keys.toggle_attribute("open").ok()?;
            first::<HtmlElement>("#keys summary")?.focus().ok()
        }
        _ => None,
    }
}

/// Moves the focus so many lines down.
fn moved(by: isize) -> Option<()> {
    let lines = all::<HtmlElement>("table.runs tbody a.open");
    let row = document()?.active_element().and_then(|e| e.closest("tr").ok()?);
    let here = row.and_then(|row| lines.iter().position(|l| row.contains(Some(l))));
    let to = here.map_or(Some(0), |at| at.checked_add_signed(by))?;
    lines.get(to)?.focus().ok()
}

#[cfg(test)]
mod tests {
    use super::with_ids;

    #[test]
    fn ticks_stand_at_the_end_of_an_address() {
        assert_eq!(with_ids("/runs", "3,4"), "/runs?ids=3,4");
        assert_eq!(with_ids("/runs?ids=1&q=a%26ids%3D2&page=2", "3"), "/runs?q=a%26ids%3D2&page=2&ids=3");
        assert_eq!(with_ids("/runs?ids=1", ""), "/runs");
    }
}
