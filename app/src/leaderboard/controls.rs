//! What a reader can change: a plain form and links, so that all of it works without WebAssembly.

use crate::form::{choice, each, offered};
use maud::{Markup, html};
use virboard_core::catalogue::task::Category;
use virboard_core::leaderboard::{Sheet, Show, View};

/// The form, what is hidden or folded, and the files.
pub fn controls(sheets: &[Sheet], view: &View) -> Markup {
    let mut epochs: Vec<u32> = sheets.iter().flat_map(|s| s.rows.iter().filter_map(|r| r.epochs)).collect();
    epochs.sort_unstable();
    epochs.dedup();
    let methods = each(sheets.iter().flat_map(|s| &s.rows).map(|r| &r.method));
    let methods: Vec<(String, &str)> = methods.into_iter().map(|m| (m.slug(), m.name())).collect();
    let data = each(sheets.iter().flat_map(|s| &s.rows).map(|r| &r.pretraining));
    let data: Vec<(String, &str)> = data.into_iter().map(|p| (p.slug(), p.name())).collect();
    let epochs: Vec<String> = epochs.iter().map(u32::to_string).collect();
    html! {
        form.filters.live method="get" action="/" role="search" aria-label="Filter encoders" {
            input type="search" name="q" value=(view.search) placeholder="Search encoders" aria-label="Search encoders" autocomplete="off";
            (choice("show", "Show", shown(view.show), Show::ALL.map(|s| (shown(s), s.name()))))
            (choice("method", "Method", view.method.as_deref().unwrap_or_default(), offered("all", &methods)))
            (choice("dataset", "Pretraining data", view.pretraining.as_deref().unwrap_or_default(), offered("all", &data)))
            (choice("epochs", "Epochs", &view.epochs.map_or_else(String::new, |e| e.to_string()), std::iter::once(("", "all")).chain(epochs.iter().map(|e| (e.as_str(), e.as_str())))))
            noscript { button { "Show" } }
            div #linked { (linked(sheets, view)) }
            button.compare form="compare" { "Compare ticked" }
        }
        form #compare method="get" action="/compare" {}
        p.chips #chips { (chips(view)) }
    }
}

/// The value in the form: nothing for the default.
fn shown(show: Show) -> &'static str {
    if show == Show::Score { "" } else { show.slug() }
}

/// Names and values of the form's fields.
#[cfg(feature = "hydrate")]
pub fn fields(view: &View) -> [(&'static str, String); 5] {
    [
        ("q", view.search.clone()),
        ("show", shown(view.show).to_owned()),
        ("method", view.method.clone().unwrap_or_default()),
        ("dataset", view.pretraining.clone().unwrap_or_default()),
        ("epochs", view.epochs.map_or_else(String::new, |e| e.to_string())),
    ]
}

/// What of the form depends on the address: what links have set stays as it is when a field
/// changes, and the files hold what is seen.
pub fn linked(sheets: &[Sheet], view: &View) -> Markup {
    let own = View {
        method: None,
        pretraining: None,
        epochs: None,
        search: String::new(),
        show: Show::Score,
        page: 0,
        ..view.clone()
    };
    html! {
            @for (name, value) in kept(&own) { input type="hidden" name=(name) value=(value); }
            a.reset.off[*view == View::default()] href="/" { "Reset" }
            details.files {
                summary { "Export" }
                p { "What is seen, as it is seen: " }
                @for sheet in sheets.iter().rev() {
                    @let query = view.query();
                    p {
                        (sheet.suite.short()) ": "
                        @for (format, name) in [("csv", "CSV"), ("json", "JSON"), ("parquet", "Parquet"), ("tex", "LaTeX"), ("md", "Markdown")] {
                            a href={ "/api/v1/leaderboard" (if query.is_empty() { "?" } else { &query }) (if query.is_empty() { "" } else { "&" }) "suite=" (sheet.suite.key) "&format=" (format) } rel="external" download={ "virboard-" (sheet.suite.key) "." (format) } { (name) } " "
                        }
                    }
                }
            }
    }
}

/// What is hidden or folded, to bring it back.
pub fn chips(view: &View) -> Markup {
    html! {
        @for key in &view.hidden {
            a href={ "/" (view.hiding(key).query()) } noscroll aria-label={ "Show " (key) } { (key) " ×" }
        }
        @for category in &view.folded {
            a href={ "/" (view.toggled(*category).query()) } noscroll aria-label={ "Unfold " (category.name()) } { (category.name()) " +" }
        }
    }
}

/// What the form itself does not hold.
fn kept(view: &View) -> Vec<(String, String)> {
    let query = view.query();
    let pairs = query.trim_start_matches('?').split('&').filter_map(|p| p.split_once('='));
    pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// Headers of a category: its name, and a link that folds it.
pub fn group(category: Category, columns: usize, view: &View) -> Markup {
    let folded = view.folded.contains(&category);
    html! {
        th scope="colgroup" colspan=(columns) class={ "group " (category.slug()) } {
            a href={ "/" (view.toggled(category).query()) } noscroll title=(if folded { "Show its tasks" } else { "Fold to its mean rank" }) {
                (category.name()) " " span aria-hidden="true" { (if folded { "+" } else { "−" }) }
            }
        }
    }
}
