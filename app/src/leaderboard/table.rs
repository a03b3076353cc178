//! The table of a sheet: encoders x tasks with heat colours.

use super::cell::{cell, quote};
use super::controls::group;
use maud::{Markup, html};
use virboard_core::catalogue::task::Category;
use virboard_core::leaderboard::{Column, Page, Sheet, View};
use virboard_core::words::counted;

/// What stands in a column beside the encoder.
enum Shown<'a> {
    Task(&'a Column),
    /// The mean rank within a folded category.
    Folded(Category),
}

/// The parts of a sheet's table under a view. The browser replaces what changes.
pub struct Parts<'a> {
    sheet: &'a Sheet,
    view: &'a View,
    page: Page,
    groups: Vec<(Category, Vec<Shown<'a>>)>,
    placed: bool,
}

impl<'a> Parts<'a> {
    /// The rows and columns of `sheet` that `view` asks for.
    pub fn new(sheet: &'a Sheet, view: &'a View) -> Self {
        let groups = Category::ALL.into_iter().map(|category| {
            let tasks = sheet.columns.iter().filter(|c| c.category == category);
            let shown: Vec<Shown<'_>> = if view.folded.contains(&category) {
                tasks.take(1).map(|_| Shown::Folded(category)).collect()
            } else {
                tasks.filter(|c| !view.hidden.contains(&c.key)).map(Shown::Task).collect()
            };
            (category, shown)
        });
        let groups = groups.filter(|(_, shown)| !shown.is_empty()).collect();
        let placed = sheet.rows.iter().any(|r| r.place.is_some());
        Self { sheet, view, page: sheet.page(view), groups, placed }
    }

    fn shown(&self) -> impl Iterator<Item = &Shown<'a>> {
        self.groups.iter().flat_map(|g| &g.1)
    }

    /// Keys of the rows, in order.
    #[cfg(feature = "hydrate")]
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.page.rows.iter().map(|r| self.sheet.rows[*r].key.as_str())
    }

    /// The whole.
    pub fn table(&self, caption: &str) -> Markup {
        let suite = &self.sheet.suite.key;
        html! {
            div.scroller.tall tabindex="0" role="region" aria-label=(caption) {
                table.scores.mixed[mixed(self.sheet)] #{ "scores-" (suite) } {
                    caption.hidden { (caption) }
                    thead { (self.head()) }
                    tbody { (self.body()) }
                }
            }
            div #{ "after-" (suite) } { (self.after()) }
        }
    }

    /// Rows of the head.
    pub fn head(&self) -> Markup {
        let view = self.view;
        html! {
            tr {
                th.corner rowspan="2" scope="col" aria-sort=[direction("name", view)] { (sort_link("name", "Encoder", "Sort by name", view)) }
                @if self.placed {
                    th.place rowspan="2" scope="col" aria-sort=[direction("place", view)] {
                        (sort_link("place", "Mean rank", "Mean over the common tasks of the rank on each. The small numbers are the places taken in 95 % of draws of tasks, and of test samples where the result of each is kept.", view))
                    }
                }
                @for (category, shown) in &self.groups { (group(*category, shown.len(), view)) }
            }
            tr.tasks { @for shown in self.shown() { (head(shown, view)) } }
        }
    }

    /// Rows of the body.
    pub fn body(&self) -> Markup {
        let base = self.sheet.base();
        let published = self.sheet.columns.iter().any(|c| c.published.is_some()) && self.page.page == 0;
        html! {
            @if published {
                tr.reference {
                    th scope="row" { span.key { "Published range" } span.about { "of the paper’s figure, not of one encoder" } }
                    @if self.placed { td.place {} }
                    @for shown in self.shown() { (range(shown)) }
                }
            }
            @for row in &self.page.rows {
                @let r = &self.sheet.rows[*row];
                tr data-row=(r.key) {
                    th scope="row" {
                        input type="checkbox" form="compare" name="e" value=(r.key) aria-label={ "Compare " (r.name) } tabindex="-1";
                        a.key href={ "/encoders/" (r.key) } { (r.name) }
                        span.about {
                            (r.method.name()) " · " (r.pretraining.name())
                            @if let Some(e) = r.epochs { " · " (counted(e, "epoch")) }
                            @if r.ready { span.here title="Its weights are here" { " · ready" } }
                        }
                    }
                    @if self.placed {
                        td.place {
                            @if let Some(p) = &r.place {
                                a href={ "/encoders/" (r.key) } title={ "Place " (p.place) ", group " (p.group) ": encoders of a group cannot be told apart" } {
                                    (format!("{:.1}", p.mean_rank))
                                    @if let Some((low, high)) = p.between { span.about { (format!("{low:.0}–{high:.0}")) } }
                                }
                            }
                        }
                    }
                    @for shown in self.shown() {
                        @match shown {
                            Shown::Task(column) => (cell(column, *row, r, base, self.view.show)),
                            Shown::Folded(category) => td class=(category.slug()) {
                                @if let Some(m) = r.place.as_ref().and_then(|p| p.categories[*category as usize]) { a href={ "/encoders/" (r.key) } { (format!("{m:.1}")) } }
                            },
                        }
                    }
                }
            }
        }
    }

    /// Whether a published number stands in a cell that is shown.
    fn quotes(&self) -> bool {
        let rows = &self.page.rows;
        let quotes = |c: &Column| rows.iter().any(|r| quote(c, *r, self.view.show).is_some());
        self.shown().any(|shown| matches!(shown, Shown::Task(c) if quotes(c)))
    }

    /// What stands below the table.
    pub fn after(&self) -> Markup {
        let page = &self.page;
        html! {
            @if self.quotes() {
                p.quotes {
                    i { "“75.3”" } " quoted: published elsewhere for this encoder, under another protocol, and not measured here. It stands only where there is no score, and counts in no rank, mean, order, choice, analysis or export. Pointing at it shows its source; it leads to what differs."
                }
            }
            @if page.rows.is_empty() { p.note { "No encoder passes these filters. " a href="/" { "Show all" } } }
            @if page.pages > 1 {
                nav.pages aria-label="Pages" {
                    @let to = |p: usize| format!("/{}", View { page: p, ..self.view.clone() }.query());
                    @if page.page > 0 { a href=(to(page.page - 1)) noscroll { "← before" } }
                    span { "page " (page.page + 1) " of " (page.pages) ", " (page.found) " encoders" }
                    @if page.page + 1 < page.pages { a href=(to(page.page + 1)) noscroll { "after →" } }
                }
            }
        }
    }
}

/// Whether scores differ in where they come from, or in their protocol.
fn mixed(sheet: &Sheet) -> bool {
    let mut marks = sheet
        .columns
        .iter()
        .flat_map(|c| (0..c.scores.len()).filter(|r| c.scores[*r].is_some()).map(|r| (c.imported(r), c.virb(r))));
    marks.next().is_some_and(|first| marks.any(|m| m != first))
}

fn direction(column: &str, view: &View) -> Option<&'static str> {
    view.sorting(column).map(|(_, reverse)| if reverse { "ascending" } else { "descending" })
}

/// ` ▾`, with its number among several.
fn arrow(column: &str, view: &View) -> String {
    let Some((place, reverse)) = view.sorting(column) else { return String::new() };
    let arrow = if reverse { "▴" } else { "▾" };
    if view.sort.len() > 1 { format!(" {arrow}{place}") } else { format!(" {arrow}") }
}

fn sort_link(column: &str, text: &str, title: &str, view: &View) -> Markup {
    html! {
        a href={ "/" (view.sorted_by(column).query()) } data-shift={ "/" (view.then_by(column).query()) } noscroll title=(title) {
            (text) (arrow(column, view))
        }
    }
}

fn head(shown: &Shown<'_>, view: &View) -> Markup {
    match shown {
        Shown::Folded(category) => html! {
            th scope="col" class=(category.slug()) aria-sort=[direction(category.slug(), view)] {
                (sort_link(category.slug(), "mean rank", "Mean rank within the category", view))
            }
        },
        Shown::Task(c) => {
            let direction_mark = if c.metric.higher_is_better() { "↑" } else { "↓" };
            let unit = if c.metric.is_share() { "%" } else { &c.unit };
            html! {
                th scope="col" class=(c.category.slug()) aria-sort=[direction(&c.key, view)] {
                    a.name href={ "/tasks/" (c.key) } title=(c.description) { (c.name) }
                    a.metric href={ "/" (view.sorted_by(&c.key).query()) } data-shift={ "/" (view.then_by(&c.key).query()) } noscroll title={ (c.metric.help()) " Sort by it." } {
                        (c.metric.name()) " " (unit) " " (direction_mark) (arrow(&c.key, view))
                    }
                    a.hide href={ "/" (view.hiding(&c.key).query()) } noscroll tabindex="-1" aria-label={ "Hide " (c.name) } title="Hide this column" { "×" }
                }
            }
        }
    }
}

/// The range of the published points: whose they are is not known, but for the baseline.
fn range(shown: &Shown<'_>) -> Markup {
    match shown {
        Shown::Folded(category) => html! { td class=(category.slug()) {} },
        Shown::Task(c) => html! {
            td class=(c.category.slug()) {
                @if let Some((low, high, n)) = c.published {
                    span title={ (n) " anonymous points of the published figure" } { (c.metric.format(low)) br; (c.metric.format(high)) }
                }
            }
        },
    }
}
