//! Pages that tell of what happens: an element with `data-live` names where to listen.

use leptos::prelude::set_timeout;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Event, EventSource};

/// Time after the first of several events in which the others are waited for.
const TOGETHER: Duration = Duration::from_millis(700);

/// Listens until it is dropped. A browser connects again by itself and goes on after the last event that it has heard.
pub struct Listener {
    source: EventSource,
    _heard: Closure<dyn FnMut(Event)>,
}

impl Listener {
    /// Listens where the present page asks for it, and calls `changed` after events.
    pub fn of_page(changed: impl Fn() + Clone + 'static) -> Option<Self> {
        let page = web_sys::window()?.document()?;
        let address = page.query_selector("[data-live]").ok()??.get_attribute("data-live")?;
        let source = EventSource::new(&address).ok()?;
        let waiting = Rc::new(Cell::new(false));
        let heard = Closure::<dyn FnMut(Event)>::new(move |_| {
            if !waiting.replace(true) {
                let (waiting, changed) = (waiting.clone(), changed.clone());
                set_timeout(
                    move || {
                        waiting.set(false);
                        changed();
                    },
                    TOGETHER,
                );
            }
        });
        source.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        Some(Self { source, _heard: heard })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.source.set_onmessage(None);
        self.source.close();
    }
}
