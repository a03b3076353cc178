//! Makes served content react: forms that show their result at once, links that add to a
//! sorting, arrow keys in tables, points that light up together, pictures as PNG.

use super::picture;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, FormData, HtmlElement, HtmlFormElement, UrlSearchParams};

fn target(event: &Event) -> Option<Element> {
    event.target()?.dyn_into().ok()
}

/// The address that a changed form of the class `live` leads to.
#[must_use]
pub fn form_address(event: &Event) -> Option<String> {
    let form: HtmlFormElement = target(event)?.closest("form.live").ok()??.dyn_into().ok()?;
    let data = FormData::new_with_form(&form).ok()?;
    let all = String::from(UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?.to_string());
    // Sliders at rest say nothing.
    let rests = |pair: &str| {
        let Some((name, value)) = pair.split_once('=') else { return true };
        let field = form.query_selector(&format!("[name=\"{name}\"][data-default=\"{value}\"]"));
        value.is_empty() || field.is_ok_and(|f| f.is_some())
    };
    let filled: Vec<&str> = all.split('&').filter(|p| !rests(p)).collect();
    let path = form.get_attribute("action")?;
    Some(if filled.is_empty() { path } else { format!("{path}?{}", filled.join("&")) })
}

/// Whether the event comes from a field in which one types, and the page reacts at once.
#[must_use]
pub fn typed(event: &Event) -> bool {
    #[cfg(feature = "hydrate")]
    return super::sheets::ready()
        && target(event).is_some_and(|t| t.matches("input[type=search], input[type=range]").unwrap_or(false));
    #[cfg(not(feature = "hydrate"))]
    return target(event).is_none();
}

/// With shift held, the address that a link has for that.
#[must_use]
pub fn shifted(event: &web_sys::MouseEvent) -> Option<String> {
    let link = target(event)?.closest("a[data-shift]").ok()??;
    link.get_attribute("data-shift").filter(|_| event.shift_key())
}

/// Starts the download of a picture as PNG; whether the event asked for one.
#[must_use]
pub fn download(event: &Event) -> bool {
    let Some(link) = target(event).and_then(|t| t.closest("a[data-png]").ok()?) else { return false };
    if let (Some(svg), Some(name)) = (link.get_attribute("href"), link.get_attribute("data-png")) {
        wasm_bindgen_futures::spawn_local(async move {
            // The link itself still leads to the SVG.
            let _ = picture::download_png(&svg, &name).await;
        });
    }
    true
}

/// Marks everything that stands for the same encoder or task as what the pointer is over.
pub fn brush(event: &Event) {
    let Some(root) = event.current_target().and_then(|t| t.dyn_into::<Element>().ok()) else { return };
    let key = target(event).and_then(|t| t.closest("[data-key]").ok()?).and_then(|e| e.get_attribute("data-key"));
    let each = |selector: &str, lit: bool| {
        let Ok(found) = root.query_selector_all(selector) else { return };
        for i in 0..found.length() {
            if let Some(element) = found.get(i).and_then(|n| n.dyn_into::<Element>().ok()) {
                let _ = element.class_list().toggle_with_force("lit", lit);
            }
        }
    };
    each(".lit", false);
    if let Some(key) = key.filter(|k| !k.contains(['"', '\\'])) {
        each(&format!("[data-key=\"{key}\"]"), true);
    }
}

/// Moves the focus within a table of scores by the arrow keys, Home and End; whether it moved.
#[must_use]
pub fn walk(event: &web_sys::KeyboardEvent) -> bool {
    moved(event).is_some()
}

fn moved(event: &web_sys::KeyboardEvent) -> Option<()> {
    let cell = target(event)?.closest("table.scores th, table.scores td").ok()??;
    let row = cell.parent_element()?;
    let cells = row.children();
    let column = (0..cells.length()).find(|i| cells.item(*i).as_ref() == Some(&cell))?;
    let last = cells.length() - 1;
    let to = match event.key().as_str() {
        "ArrowLeft" => cells.item(column.checked_sub(1)?)?,
        "ArrowRight" => cells.item(column + 1)?,
        "Home" => cells.item(0)?,
        "End" => cells.item(last)?,
        "ArrowUp" => row.previous_element_sibling()?.children().item(column)?,
        "ArrowDown" => row.next_element_sibling()?.children().item(column)?,
        _ => return None,
    };
    let link: HtmlElement = to.query_selector("a").ok()??.dyn_into().ok()?;
    link.focus().ok()
}

/// What a reader did in served content that new content must not undo.
#[derive(Default)]
pub struct Kept {
    field: Option<String>,
    scrolled: Vec<(String, i32)>,
}

impl Kept {
    /// Notes the field with the focus and how far tables are scrolled.
    #[must_use]
    pub fn now() -> Self {
        let Some(document) = web_sys::window().and_then(|w| w.document()) else { return Self::default() };
        let field = document.active_element().and_then(|e| e.get_attribute("name"));
        let mut scrolled = Vec::new();
        if let Ok(found) = document.query_selector_all(".content .scroller") {
            for i in 0..found.length() {
                if let Some(element) = found.get(i).and_then(|n| n.dyn_into::<Element>().ok())
                    && element.scroll_left() > 0
                {
                    scrolled.push((element.get_attribute("aria-label").unwrap_or_default(), element.scroll_left()));
                }
            }
        }
        Self { field, scrolled }
    }

    /// Brings both back.
    pub fn restore(&self) {
        let Some(document) = web_sys::window().and_then(|w| w.document()) else { return };
        let find = |selector: String| document.query_selector(&selector).ok().flatten();
        let lost = document.active_element().is_none_or(|e| e.tag_name() == "BODY");
        if let (Some(name), true) = (&self.field, lost)
            && let Some(element) = find(format!(".content [name=\"{name}\"]"))
        {
            if let Some(element) = element.dyn_ref::<HtmlElement>() {
                let _ = element.focus();
            }
            if let Some(input) = element.dyn_ref::<web_sys::HtmlInputElement>() {
                let end = input.value().encode_utf16().count() as u32;
                let _ = input.set_selection_range(end, end);
            }
        }
        for (label, left) in &self.scrolled {
            if let Some(element) = find(format!(".content .scroller[aria-label=\"{label}\"]")) {
                element.set_scroll_left(*left);
            }
        }
    }
}

/// Listens to what happens to jobs, on the page that tells of it, and calls `changed` each time. A browser connects again by
/// itself and goes on after the last event that it has heard.
#[cfg(feature = "hydrate")]
pub fn listen(path: &str, changed: impl Fn() + 'static) -> Option<web_sys::EventSource> {
    let source = (path == "/queue").then(|| web_sys::EventSource::new("/api/v1/events?newest=true").ok())??;
    let heard = wasm_bindgen::closure::Closure::<dyn FnMut()>::new(changed).into_js_value();
    source.set_onmessage(Some(heard.unchecked_ref()));
    Some(source)
}
