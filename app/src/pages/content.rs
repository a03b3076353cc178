//! Pages that are only read: the server writes their content, the browser shows it. Their
//! tables, charts and texts never become part of the WebAssembly.

use super::failed;
use crate::api::{Content, Missing, load_content};
use crate::browser::live::{self, Kept};
use crate::browser::runs;
#[cfg(feature = "hydrate")]
use crate::browser::sheets;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_location, use_navigate};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A content on its way to the browser. With the first page only its title travels: the rest
/// is in the document already.
#[derive(Debug, Clone, PartialEq)]
enum Shown {
    /// What is in the document, with this title.
    Document(String),
    /// What was loaded.
    Loaded(Arc<Content>),
    /// It could not be loaded; why.
    Failed(String),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document(title) => write!(f, "+{title}"),
            Self::Loaded(content) => write!(f, "+{}", content.title),
            Self::Failed(why) => write!(f, "-{why}"),
        }
    }
}

impl FromStr for Shown {
    type Err = std::convert::Infallible;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(match s.strip_prefix('-') {
            Some(why) => Self::Failed(why.to_owned()),
            None => Self::Document(s.strip_prefix('+').unwrap_or(s).to_owned()),
        })
    }
}

/// The page at the present address.
#[component]
pub fn ContentPage() -> impl IntoView {
    let location = use_location();
    let address = move || (location.pathname.get(), location.search.get());
    let kept = StoredValue::new(Kept::default());
    let last = StoredValue::new(None::<(String, Shown)>);
    let shown = Resource::new_str(address, move |(path, query)| async move {
        // What is shown already is changed where it is.
        #[cfg(feature = "hydrate")]
        if let Some((_, before)) = last.get_value().filter(|(p, _)| *p == path)
            && (sheets::update(&path, &query) || runs::update(&path, &query))
        {
            return before;
        }
        #[cfg(feature = "hydrate")]
        kept.set_value(Kept::now());
        match load_content(path, query).await {
            Ok(content) => Shown::Loaded(Arc::new(content)),
            Err(error) => Shown::Failed(crate::api::sentence(&error)),
        }
    });
    let navigate = use_navigate();
    let go = Callback::new(move |(to, replace): (String, bool)| {
        navigate(&to, NavigateOptions { scroll: false, replace, ..NavigateOptions::default() });
    });
    let hash = location.hash;
    #[cfg(feature = "hydrate")]
    Effect::new(move |_| {
        if sheets::used_by(&location.pathname.get()) && !sheets::ready() {
            leptos::task::spawn_local(sheets::load());
        }
    });
    #[cfg(feature = "hydrate")]
    {
        let keys = window_event_listener(leptos::ev::keydown, |event| {
            if runs::pressed(&event) {
                event.prevent_default();
            }
        });
        on_cleanup(move || keys.remove());
    }
    // Where something happens that the page tells of, it is loaded anew, and nothing moves.
    #[cfg(feature = "hydrate")]
    {
        let source = StoredValue::new_local(None::<web_sys::EventSource>);
        let end = move || {
            source.update_value(|source| {
                if let Some(source) = source.take() {
                    source.close();
                }
            });
        };
        Effect::new(move |_| {
            end();
            source.set_value(live::listen(&location.pathname.get(), move || shown.refetch()));
        });
        on_cleanup(end);
    }
    let typed = move |event: web_sys::Event| {
        runs::complete(&event);
        if let Some(to) = live::form_address(&event).filter(|_| live::typed(&event)) {
            go.run((to, true));
        }
    };
    Effect::new(move |_| {
        let Some(now) = shown.get() else { return };
        let now = (location.pathname.get_untracked(), now);
        if last.get_value().as_ref() == Some(&now) {
            return;
        }
        #[cfg(feature = "hydrate")]
        sheets::forget();
        let loaded = matches!(now.1, Shown::Loaded(_));
        last.set_value(Some(now));
        if loaded {
            let hash = hash.get_untracked();
            request_animation_frame(move || {
                kept.with_value(Kept::restore);
                let mark = hash.strip_prefix('#').filter(|h| !h.is_empty());
                if let Some(element) = mark.and_then(|id| document().get_element_by_id(id)) {
                    element.scroll_into_view();
                }
            });
        }
    });
    let changed = move |event: web_sys::Event| {
        if let Some(to) = live::form_address(&event) {
            go.run((to, false));
        } else if let Some(to) = runs::ticked(&event) {
            go.run((to, true));
        }
    };
    let submitted = move |event: web_sys::SubmitEvent| {
        if let Some(to) = live::form_address(&event) {
            event.prevent_default();
            go.run((to, false));
        }
    };
    let clicked = move |event: web_sys::MouseEvent| {
        runs::between(&event);
        if live::download(&event) {
            event.prevent_default();
        } else if let Some(to) = live::shifted(&event) {
            event.prevent_default();
            go.run((to, false));
        }
    };
    let pressed = move |event: web_sys::KeyboardEvent| {
        if live::walk(&event) {
            event.prevent_default();
        }
    };
    view! {
        <Transition fallback=|| view! { <p class="note" role="status">"Loading…"</p> }>
            {
                // Content that was changed where it is stays untouched.
                let shown = Memo::new(move |_| shown.get());
                move || shown.get().map(|shown| {
                let (title, html) = match shown {
                    Shown::Failed(why) => return failed(why).into_any(),
                    Shown::Document(title) => (title, String::new()),
                    Shown::Loaded(content) => {
                        if let (false, Some(Missing(tell))) = (content.found, use_context::<Missing>()) {
                            tell();
                        }
                        (content.title.clone(), content.html.clone())
                    }
                };
                view! {
                    <Title text=title/>
                    <div class="content" inner_html=html
                        on:input=typed on:change=changed on:submit=submitted on:click=clicked on:keydown=pressed
                        on:pointerover=|e| live::brush(&e)></div>
                }
                .into_any()
            })}
        </Transition>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_title_travels_with_the_document() {
        let content = Content { title: "-T\n+".into(), html: "<p>long</p>".into(), found: true };
        let text = Shown::Loaded(Arc::new(content)).to_string();
        assert_eq!(text.parse(), Ok(Shown::Document("-T\n+".into())));
        let failed = Shown::Failed("+ no".into());
        assert_eq!(failed.to_string().parse(), Ok(failed));
    }
}
