//! What stands above the runs: views, the line of filters, what can be chosen, and how many there are.

use crate::form::choice;
use maud::{Markup, html};
use virboard_core::explorer::{Facet, Listing, NAMED, Reading, Runs, SEEDS, Shade, Shape, View, terms};
use virboard_core::words::counted;

/// Groupings that are offered, beside any that stands in the address.
const GROUPINGS: [(&str, &str); 8] = [
    ("", "nothing"),
    (SEEDS, "all but the seed"),
    ("encoder", "encoder"),
    ("task", "task"),
    ("encoder,task", "encoder and task"),
    ("state", "state"),
    ("probe", "probe"),
    ("job", "job"),
];

/// Table or grid, and views with names.
pub fn tabs(view: &View) -> Markup {
    let shape = |shape: Shape, name: &str| {
        let to = View { shape, page: 0, ..view.clone() };
        html! { a href=(to.address()) aria-current=[(view.shape == shape).then_some("page")] { (name) } }
    };
    let query = view.query();
    html! {
        nav.tabs aria-label="Layout" { (shape(Shape::Table, "Table")) (shape(Shape::Grid, "Grid")) }
        nav.chips.views aria-label="Views" {
            @for named in NAMED { a href={ "/runs" (named.query) } aria-current=[(query.replace("%3D", "=") == named.query).then_some("true")] { (named.name) } }
        }
    }
}

/// The line of filters with what may stand in it, and how runs are grouped.
pub fn filters(view: &View, runs: &Runs, facets: &[Facet]) -> Markup {
    let held =
        view.fields().into_iter().filter(|(key, _)| !matches!(*key, "q" | "group" | "page" | "all" | "shade" | "ids"));
    let ids = view.ticked.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let group = view.group.join(",");
    let known = GROUPINGS.iter().any(|(value, _)| *value == group);
    let more = (!known).then_some((group.as_str(), group.as_str()));
    let start = if view.filter.is_empty() { String::new() } else { format!("{} ", view.filter) };
    html! {
        form.filters.live.runs-filter method="get" action="/runs" role="search" aria-label="Runs" {
            @for (key, value) in held { input type="hidden" name=(key) value=(value); }
            input type="hidden" name="ids" value=(ids);
            label.line { "Filter "
                input type="text" enterkeyhint="search" name="q" value=(view.filter) list="terms" size="60" autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="task:Pets state:failed lr<0.01 -encoder:/mini/";
            }
            datalist id="terms" { @for (term, about) in terms(runs, facets) { option value={ (start) (term) } data-term=(term) label=(about) {} } }
            @match view.shape {
                Shape::Table => (choice("group", "Group by", &group, GROUPINGS.iter().copied().chain(more))),
                Shape::Grid => (choice("shade", "Colour by", if view.shade == Shade::Score { "score" } else { "" }, [("", "state"), ("score", "best score")])),
            }
            button { "Show" }
        }
    }
}

/// The values of some columns, each with how many runs it would leave.
pub fn facets(view: &View, listing: &Listing, facets: &[Facet]) -> Markup {
    let to = |column: &Reading, value: &str| view.filtered(listing.filter.toggled(column, value).to_string()).address();
    let values = |facet: &Facet| {
        html! {
            @for (value, n, chosen) in &facet.values {
                a href=(to(&facet.column, value)) noscroll aria-current=[chosen.then_some("true")] { (value) " " span.n { (n) } } " "
            }
        }
    };
    // States are few and asked for most.
    let (first, others): (Vec<&Facet>, Vec<&Facet>) = facets.iter().partition(|f| f.column.name() == "state");
    html! {
        div.facets {
            @for facet in first { div.chips role="group" aria-label=(facet.column.title()) { (values(facet)) } }
            @for facet in others {
                details {
                    summary { (facet.column.title()) @let chosen = facet.values.iter().filter(|v| v.2).count(); @if chosen > 0 { " · " (chosen) } }
                    div.chips role="group" aria-label=(facet.column.title()) { (values(facet)) }
                }
            }
            (chooser(view, listing))
        }
    }
}

/// The columns, each to be shown or hidden.
fn chooser(view: &View, listing: &Listing) -> Markup {
    if view.shape == Shape::Grid {
        return html! {};
    }
    let shown: Vec<&str> = listing.columns.iter().map(Reading::name).collect();
    let with = |columns: Vec<String>| View { columns, ..view.clone() }.address();
    let toggled = |name: &str| {
        let mut names: Vec<String> = shown.iter().filter(|n| **n != name).map(|n| (*n).to_owned()).collect();
        if names.len() == shown.len() {
            names.push(name.to_owned());
        }
        with(names)
    };
    let hidden = listing.hidden.iter().map(Reading::name);
    html! {
        details {
            summary { "Columns" }
            div.chips role="group" aria-label="Columns" {
                a href=(with(Vec::new())) noscroll aria-current=[view.columns.is_empty().then_some("true")] { "only those that differ" } " "
                a href=(with(vec!["all".to_owned()])) noscroll aria-current=[(view.columns == ["all"]).then_some("true")] { "all" } " "
                @for name in shown.iter().copied().filter(|n| *n != "run") { a href=(toggled(name)) noscroll aria-current="true" aria-label={ "Hide " (name) } { (name) " ×" } " " }
                @for name in hidden { a href=(toggled(name)) noscroll aria-label={ "Show " (name) } { (name) " +" } " " }
            }
        }
    }
}

/// How many runs are shown, the baseline, and the files of what is seen.
pub fn count(view: &View, listing: &Listing) -> Markup {
    let (matched, total, lines) = (listing.matched.len(), listing.total, listing.lines.len());
    let seen = View {
        columns: listing.columns.iter().map(|c| c.name().to_owned()).collect(),
        page: 0,
        whole: false,
        ticked: Vec::new(),
        shape: Shape::Table,
        shade: Shade::State,
        baseline: None,
        ..view.clone()
    };
    let file = |format: &str| format!("/api/v1/runs{}&format={format}", seen.query());
    html! {
        p.count role="status" {
            @if matched == total { (counted(total, "run")) } @else { (matched) " of " (counted(total, "run")) }
            @if !listing.group.is_empty() { " in " (counted(lines, "group")) }
            @if !view.filter.is_empty() { " · " a href=(view.filtered("").address()) noscroll { "no filter" } }
            @if let Some(id) = view.baseline { " · beside run " a href={ "/runs/" (id) } { "#" (id) } " " a href=(View { baseline: None, ..view.clone() }.address()) noscroll aria-label="Take off the baseline" { "×" } }
            @if listing.error.is_none() { " · as " a href=(file("csv")) rel="external" download="virboard-runs.csv" { "CSV" } " " a href=(file("json")) rel="external" download="virboard-runs.json" { "JSON" } }
        }
    }
}

/// What keys do and what filters can say.
pub fn help() -> Markup {
    let key = |key: &str, what: &str| html! { div { dt { kbd { (key) } } dd { (what) } } };
    let term = |term: &str, what: &str| html! { div { dt { code { (term) } } dd { (what) } } };
    html! {
        details.keys id="keys" {
            summary { "Filters and keys" }
            dl {
                (term("task:Pets state:failed", "both hold; : asks whether a text contains the value"))
                (term("encoder=SWAV_800,Random", "= asks whether it is one of the values"))
                (term("lr<0.01 score>=80% seconds>2h", "numbers, shares, lengths of time"))
                (term("started>=2026-11-01", "days and moments, UTC"))
                (term("-has:score -probe:knn", "a minus turns a term round; has: asks for any value"))
                (term("/swav_\\d+/ \"two words\"", "a regular expression, in whatever case; a text as it is"))
                (key("/", "to the filter"))
                (key("j k", "one line down, up"))
                (key("x", "tick the line; shift and a click tick all between"))
                (key("c", "compare what is ticked"))
                (key("?", "this list"))
            }
        }
    }
}
