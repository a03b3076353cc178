//! What the server writes of pages that are only read.

mod address;
mod analyses;
mod compare;
mod encoder;
mod examples;
mod fine_tuned;
mod miniature;
mod parts;
mod people;
mod published;
pub mod queue;
pub mod runs;
mod said;
mod task;
mod training;

pub use address::Address;
pub use people::{Personal, is_personal, personal};
pub use said::Said;

use crate::api::{Content, EncoderState, SamplePhoto};
use crate::{choose, leaderboard};
use maud::{Markup, html};
use std::sync::Arc;
use virboard_core::analysis::Alignment;
use virboard_core::catalogue::Catalogue;
use virboard_core::explorer::Runs;
use virboard_core::leaderboard::{Column, Sheet, Wish};
use virboard_core::prediction::Prediction;
use virboard_core::run::{Epoch, Run, Score};

/// Scores and what can be run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Board {
    /// What can be compared on what.
    pub catalogue: Arc<Catalogue>,
    /// The score by its head that counts of each encoder and task.
    pub results: Vec<Score>,
    /// The same by nearest neighbours and by logistic regression.
    pub opinions: Vec<Score>,
    /// The same with the encoder trained along: they stand beside the others, never for them.
    pub fine_tuned: Vec<Score>,
    /// What is here of each encoder.
    pub encoders: Vec<EncoderState>,
    /// What is measured of how alike layers are.
    pub alignments: Arc<Vec<Alignment>>,
}

impl Board {
    /// What is here of the encoder with this key.
    #[must_use]
    pub fn state(&self, key: &str) -> Option<&EncoderState> {
        self.encoders.iter().find(|e| e.key == key)
    }
}

/// What pages are made of.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Scores and availability.
    pub board: Arc<Board>,
    /// The leaderboard's numbers.
    pub sheets: Arc<Vec<Sheet>>,
    /// Runs behind the scores of the encoder that the page is about.
    pub runs: Vec<Run>,
    /// What is kept of the pre-training of the encoder that the page is about.
    pub training: Option<Training>,
    /// All runs; read for the pages about runs alone.
    pub explored: Arc<Runs>,
    /// The runs that the page tells more of.
    pub details: Vec<runs::Detail>,
    /// What encoders say of sample photographs about the task that the page is about.
    pub examples: Vec<Example>,
}

impl Facts {
    /// The column of a task and the row of an encoder in it.
    fn place(&self, encoder: &str, task: &str) -> Option<(&Column, usize)> {
        self.sheets.iter().find_map(|s| {
            let row = s.rows.iter().position(|r| r.key == encoder)?;
            Some((s.columns.iter().find(|c| c.key == task)?, row))
        })
    }
}

/// What is kept of the run of pre-training that an encoder came of.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// All its epochs. The metric is the share of test samples, from 0 to 1, for whose class their nearest neighbours
    /// vote, where they were asked.
    pub epochs: Vec<Epoch>,
    /// Key of the task whose neighbours were asked.
    pub neighbours: Option<String>,
    /// Seconds of all epochs.
    pub seconds: f64,
    /// Where it was computed.
    pub device: String,
}

/// A sample photograph, and what the best and the worst encoder say of it.
#[derive(Debug, Clone)]
pub struct Example {
    /// The photograph.
    pub photo: SamplePhoto,
    /// An encoder each, the best first.
    pub predictions: Vec<Prediction>,
}

/// What a page is about, beyond scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The encoder with this key: the page shows its runs.
    Encoder(&'a str),
    /// The task with this key: the page shows examples.
    Task(&'a str),
    /// Runs: the page shows all of them, or those of [`runs::wanted`].
    Runs,
    /// Nothing in particular.
    General,
}

/// A kind of page that is only read.
struct Route {
    /// Its address; the last part may be `:key`.
    path: &'static str,
    /// What the page with this key is about.
    subject: for<'a> fn(&'a str) -> Subject<'a>,
    /// Writes it, for the key in its address.
    write: fn(&str, &Address, &Facts) -> Option<Page>,
}

/// Every page that is only read. Routers and the cache know no others.
static ROUTES: &[Route] = &[
    Route { path: "/", subject: general, write: |_, address, facts| Some(front(address, facts)) },
    Route { path: "/analyses", subject: general, write: |_, address, facts| Some(analyses::index(address, facts)) },
    Route { path: "/analyses/:key", subject: general, write: analyses::page },
    Route { path: "/choose", subject: general, write: |_, address, facts| choose_page(address, facts) },
    Route { path: "/compare", subject: general, write: |_, address, facts| Some(compare::page(address, facts)) },
    Route { path: "/runs", subject: all_runs, write: |_, address, facts| Some(runs::all(address, facts)) },
    Route { path: "/runs/compare", subject: all_runs, write: |_, address, facts| Some(runs::compare(address, facts)) },
    Route { path: "/runs/:key", subject: all_runs, write: runs::page },
    Route { path: "/miniature", subject: general, write: |_, address, facts| miniature::page(address, facts) },
    Route {
        path: "/encoders/:key",
        subject: |key| Subject::Encoder(key),
        write: |key, _, facts| encoder::page(key, facts),
    },
    Route { path: "/tasks/:key", subject: |key| Subject::Task(key), write: |key, _, facts| task::page(key, facts) },
];

fn general(_: &str) -> Subject<'_> {
    Subject::General
}

fn all_runs(_: &str) -> Subject<'_> {
    Subject::Runs
}

/// The route of a path, and the key in it.
fn route(path: &str) -> Option<(&'static Route, &str)> {
    let path = path.strip_suffix('/').unwrap_or(path);
    ROUTES.iter().find_map(|route| match route.path.strip_suffix(":key") {
        Some(folder) => path.strip_prefix(folder).filter(|k| !k.is_empty() && !k.contains('/')).map(|key| (route, key)),
        None => (route.path.trim_end_matches('/') == path).then_some((route, "")),
    })
}

/// What the page at an address is about.
#[must_use]
pub fn subject(address: &Address) -> Subject<'_> {
    route(&address.path).map_or(Subject::General, |(route, key)| (route.subject)(key))
}

/// The page at an address. Computes what it shows, which can take a second.
#[must_use]
pub fn content(address: &Address, facts: &Facts) -> Content {
    let page = route(&address.path).and_then(|(route, key)| (route.write)(key, address, facts));
    let found = page.is_some();
    let (title, body) = page.unwrap_or_else(nothing);
    Content { title, html: body.into_string(), found }
}

/// Title and body of a page.
type Page = (String, Markup);

fn front(address: &Address, facts: &Facts) -> Page {
    (leaderboard::TITLE.to_owned(), leaderboard::page(&facts.sheets, &address.view()))
}

fn choose_page(address: &Address, facts: &Facts) -> Option<Page> {
    let asked = facts.sheets.iter().find(|s| Some(s.suite.key.as_str()) == address.get("suite"));
    let sheet = asked.or(facts.sheets.first())?;
    let wish = Wish::from_query(sheet, |key| address.get(key).map(str::to_owned));
    Some((choose::TITLE.to_owned(), choose::page(&facts.sheets, sheet, &wish)))
}

fn nothing() -> Page {
    let body = html! {
        h1 { "There is nothing at this address" }
        p { "See the " a href="/" { "leaderboard" } ", the " a href="/analyses" { "analyses" } ", or " a href="/try" { "try a photo" } "." }
    };
    ("Not found".to_owned(), body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_core::analysis::kinds::KINDS;

    /// What a reader of a page is told where there is nothing to show.
    fn explanation(path: &str) -> String {
        let mut parts = path.split('/').skip(1);
        match (parts.next(), parts.next()) {
            (Some("analyses"), None) => "Analyses".to_owned(),
            (Some("analyses"), Some("claims")) | (Some("miniature"), _) => "14 without enough data".to_owned(),
            (Some("analyses" | "compare"), _) => "class=\"caveat\"".to_owned(),
            (Some("runs"), None) => "There are no runs yet".to_owned(),
            (Some("runs"), _) => "Tick two runs or more".to_owned(),
            (Some("choose"), _) => "There are no scores yet to choose by".to_owned(),
            (Some("encoders"), Some(key)) => format!("virboard evaluate --encoders {key} --tasks"),
            (Some("tasks"), _) => "No encoder has been measured on this task".to_owned(),
            _ => "No cell is filled on this server yet".to_owned(),
        }
    }

    fn nothing_stored() -> Facts {
        let catalogue = Catalogue::builtin();
        let sheets = catalogue.suites().iter().map(|s| Sheet::of(&catalogue, s, &[], &[], |_| false)).collect();
        let board = Board { catalogue, ..Board::default() };
        Facts { board: Arc::new(board), sheets: Arc::new(sheets), ..Facts::default() }
    }

    #[test]
    fn with_nothing_stored_every_page_explains_itself() {
        let facts = nothing_stored();
        let mut paths: Vec<String> = ["/", "/analyses", "/choose", "/compare", "/miniature", "/runs", "/runs/compare"]
            .map(str::to_owned)
            .to_vec();
        paths.extend(KINDS.iter().map(|k| format!("/analyses/{}", k.slug)));
        paths.extend(facts.board.catalogue.encoders().iter().map(|e| format!("/encoders/{}", e.key)));
        paths.extend(facts.board.catalogue.tasks().iter().map(|t| format!("/tasks/{}", t.key)));
        for path in paths {
            for query in
                ["", "suite=miniature", "suite=paper&reference=0&ranks=1&x=NYUDepth&show=rank&e=Random,SWAV_200"]
            {
                let made = content(&Address::new(&path, query), &facts);
                assert!(made.found && !made.title.is_empty(), "{path}?{query}");
                assert!(!made.html.contains("NaN") && !made.html.contains("inf "), "{path}?{query}");
                let wanted = explanation(&path);
                assert!(made.html.contains(&wanted), "{path}?{query} lacks `{wanted}`: {}", made.html);
            }
        }
        for path in [
            "/nowhere",
            "/encoders/nobody",
            "/tasks/none",
            "/analyses/none",
            "/runs/1",
            "/runs/none",
            "/encoders",
            "/encoders/a/b",
        ] {
            assert!(!content(&Address::new(path, ""), &facts).found, "{path}");
        }
    }

    #[test]
    fn a_page_says_what_it_is_about() {
        let of = |path| format!("{:?}", subject(&Address::new(path, "")));
        assert_eq!(of("/encoders/Random"), "Encoder(\"Random\")");
        assert_eq!(of("/tasks/Pets/"), "Task(\"Pets\")");
        assert_eq!((of("/runs"), of("/runs/12"), of("/runs/compare")), ("Runs".into(), "Runs".into(), "Runs".into()));
        for path in ["/", "/choose", "/analyses/imagenet", "/encoders", "/tasks/", "/nowhere"] {
            assert_eq!(of(path), "General", "{path}");
        }
    }

    #[test]
    fn what_a_reader_sends_is_never_markup() {
        let facts = nothing_stored();
        let attack = "%3Cscript%3E%22'onload=1";
        for path in ["/", "/analyses", "/analyses/imagenet", "/choose", "/compare", "/tasks/Pets"] {
            let query =
                ["q", "x", "e", "sort", "hide", "fold", "suite", "show", "method", "epochs", "page", "task-Pets"]
                    .map(|k| format!("{k}={attack}"))
                    .join("&");
            let made = content(&Address::new(path, &query), &facts);
            assert!(!made.html.contains("<script>") && !made.html.contains("\"'onload"), "{path}");
        }
    }
}
