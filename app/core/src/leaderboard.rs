//! The leaderboard: which rows and columns a reader asked for, and their order.

use crate::catalog::encoder::{Encoder, EncoderRole, Method, Pretraining};
use crate::catalog::task::{Category, Task, TaskRole};
use crate::catalog::{ENCODERS, TASKS};
use crate::results::{ResultCell, heat, ranks};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Columns beside the tasks' by which one can sort.
const COLUMNS: [&str; 4] = ["name", "method", "dataset", "epochs"];

/// Which encoders to show and in which order; the query of the page's address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Only this training method.
    pub method: Option<Method>,
    /// Only this training data.
    pub pretraining: Option<Pretraining>,
    /// Only this number of epochs.
    pub epochs: Option<u32>,
    /// Column by which rows are sorted: a task's key, `name`, `method`, `dataset` or `epochs`.
    pub sort: Option<String>,
    /// Reverse the order.
    pub reverse: bool,
}

impl View {
    /// Reads the query of an address; what it does not know is ignored.
    #[must_use]
    pub fn from_query(get: impl Fn(&str) -> Option<String>) -> Self {
        let method = get("method").and_then(|v| Method::ALL.into_iter().find(|m| m.slug() == v));
        let pretraining = get("dataset").and_then(|v| Pretraining::ALL.into_iter().find(|p| p.slug() == v));
        let epochs = get("epochs").and_then(|v| v.parse().ok());
        let known = |s: &String| COLUMNS.contains(&s.as_str()) || TASKS.iter().any(|t| t.key == s);
        Self {
            method,
            pretraining,
            epochs,
            sort: get("sort").filter(known),
            reverse: get("reverse").is_some_and(|v| v == "1"),
        }
    }

    /// The query that [`Self::from_query`] reads back, with its question mark; empty for the default.
    #[must_use]
    pub fn query(&self) -> String {
        let mut parts = Vec::new();
        if let Some(m) = self.method {
            parts.push(format!("method={}", m.slug()));
        }
        if let Some(p) = self.pretraining {
            parts.push(format!("dataset={}", p.slug()));
        }
        if let Some(e) = self.epochs {
            parts.push(format!("epochs={e}"));
        }
        if let Some(s) = &self.sort {
            parts.push(format!("sort={s}"));
        }
        if self.reverse {
            parts.push("reverse=1".to_owned());
        }
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    /// This view sorted by `column`; sorted by it already, the other way round.
    #[must_use]
    pub fn sorted_by(&self, column: &str) -> Self {
        let same = self.sort.as_deref() == Some(column);
        Self { sort: Some(column.to_owned()), reverse: same && !self.reverse, ..self.clone() }
    }

    /// Whether `encoder` passes the filters.
    #[must_use]
    pub fn shows(&self, encoder: &Encoder) -> bool {
        self.method.is_none_or(|m| m == encoder.method)
            && self.pretraining.is_none_or(|p| p == encoder.pretraining)
            && self.epochs.is_none_or(|e| Some(e) == encoder.epochs)
    }
}

/// One filled cell of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell<'a> {
    /// The score and where it comes from.
    pub result: &'a ResultCell,
    /// 1 for the best of the task, over all encoders, not only the shown ones.
    pub rank: usize,
    /// How many encoders have a score on the task.
    pub of: usize,
    /// 0 for the worst of the task, 1 for the best.
    pub heat: f64,
}

/// A part of the leaderboard: the paper's, or the sample suite.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<'a> {
    /// Columns, grouped by category.
    pub tasks: Vec<&'static Task>,
    /// Rows in the asked order.
    pub encoders: Vec<&'static Encoder>,
    cells: HashMap<&'a str, HashMap<&'a str, Cell<'a>>>,
}

impl<'a> Table<'a> {
    /// The cell of an encoder and a task, where there is a score.
    #[must_use]
    pub fn cell(&self, encoder: &str, task: &str) -> Option<&Cell<'a>> {
        self.cells.get(encoder)?.get(task)
    }

    /// Categories that occur, with their number of columns.
    #[must_use]
    pub fn groups(&self) -> Vec<(Category, usize)> {
        Category::ALL
            .into_iter()
            .map(|c| (c, self.tasks.iter().filter(|t| t.category == c).count()))
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    /// Number of filled cells in the shown rows and columns.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.encoders.iter().map(|e| self.tasks.iter().filter(|t| self.cell(e.key, t.key).is_some()).count()).sum()
    }
}

/// The paper's encoders and 20 tasks (with ImageNet v2), under `view`.
#[must_use]
pub fn paper<'a>(results: &'a [ResultCell], view: &View) -> Table<'a> {
    table(results, view, |e| e.role != EncoderRole::Sample, |t| t.role != TaskRole::Sample)
}

/// The sample suite: everything that runs with nothing fetched, under `view`.
/// An encoder outside the suite appears as soon as it has a score on a sample task.
#[must_use]
pub fn samples<'a>(results: &'a [ResultCell], view: &View) -> Table<'a> {
    let scored = |e: &Encoder| {
        results
            .iter()
            .any(|r| r.encoder == e.key && TASKS.iter().any(|t| t.key == r.task && t.role == TaskRole::Sample))
    };
    table(
        results,
        view,
        |e| e.role == EncoderRole::Sample || e.method == Method::Random || scored(e),
        |t| t.role == TaskRole::Sample,
    )
}

fn table<'a>(
    results: &'a [ResultCell],
    view: &View,
    row: impl Fn(&Encoder) -> bool,
    column: impl Fn(&Task) -> bool,
) -> Table<'a> {
    let mut tasks: Vec<&'static Task> = TASKS.iter().filter(|t| column(t)).collect();
    tasks.sort_by_key(|t| t.category);
    let mut encoders: Vec<&'static Encoder> = ENCODERS.iter().filter(|e| row(e) && view.shows(e)).collect();
    let mut cells: HashMap<&'a str, HashMap<&'a str, Cell<'a>>> = HashMap::new();
    for task in &tasks {
        let of_task: Vec<&ResultCell> = results.iter().filter(|r| r.task == task.key).collect();
        let scores: Vec<f64> = of_task.iter().map(|r| r.score).collect();
        let ranks = ranks(&scores, task.metric);
        let heat = heat(&scores, task.metric);
        for (i, result) in of_task.into_iter().enumerate() {
            let cell = Cell { result, rank: ranks[i], of: scores.len(), heat: heat[i] };
            cells.entry(&result.encoder).or_default().insert(&result.task, cell);
        }
    }
    let mut built = Table { tasks, encoders: Vec::new(), cells };
    sort(&mut encoders, &built, view);
    built.encoders = encoders;
    built
}

/// Sorts rows; encoders without a score always come last, whatever the direction.
fn sort(encoders: &mut [&'static Encoder], table: &Table<'_>, view: &View) {
    let Some(column) = view.sort.as_deref() else { return };
    let flip = |o: std::cmp::Ordering| if view.reverse { o.reverse() } else { o };
    match column {
        "name" => encoders.sort_by(|a, b| flip(a.name.cmp(b.name))),
        "method" => encoders.sort_by(|a, b| flip(a.method.name().cmp(b.method.name()))),
        "dataset" => encoders.sort_by(|a, b| flip(a.pretraining.name().cmp(b.pretraining.name()))),
        "epochs" => encoders.sort_by(|a, b| match (a.epochs, b.epochs) {
            (Some(x), Some(y)) => flip(y.cmp(&x)),
            (x, y) => y.is_some().cmp(&x.is_some()),
        }),
        task => encoders.sort_by(|a, b| {
            match (table.cell(a.key, task).map(|c| c.rank), table.cell(b.key, task).map(|c| c.rank)) {
                (Some(x), Some(y)) => flip(x.cmp(&y)),
                (x, y) => y.is_some().cmp(&x.is_some()),
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Provenance, Source};

    fn result(encoder: &str, task: &str, score: f64) -> ResultCell {
        ResultCell {
            encoder: encoder.into(),
            task: task.into(),
            score,
            constant: None,
            provenance: Provenance {
                source: Source::Measured,
                encoder_sha256: String::new(),
                dataset_sha256: String::new(),
                probe: crate::results::Probe::Head,
                protocol: crate::protocol::Protocol::Standard,
                selected: true,
                configuration: "{}".into(),
                seed: 0,
                device: "cpu".into(),
                version: "0".into(),
                finished_at: 0,
                seconds: 0.0,
                test_samples: 1,
            },
        }
    }

    #[test]
    fn the_paper_table_has_its_rows_and_columns() {
        let t = paper(&[], &View::default());
        assert_eq!((t.encoders.len(), t.tasks.len()), (33, 21));
        assert_eq!(t.groups().iter().map(|g| g.1).collect::<Vec<_>>(), [9, 4, 3, 5]);
        assert_eq!(t.filled(), 0);
    }

    #[test]
    fn filters_narrow_and_ranks_stay() {
        let results = [
            result("SWAV_800", "NYUDepth", 0.5),
            result("MoCov2_800", "NYUDepth", 0.4),
            result("Random", "NYUDepth", 0.9),
        ];
        let view = View { method: Some(Method::SwAv), ..View::default() };
        let t = paper(&results, &view);
        assert!(t.encoders.iter().all(|e| e.method == Method::SwAv));
        let cell = t.cell("SWAV_800", "NYUDepth").expect("it has a score");
        assert_eq!((cell.rank, cell.of), (2, 3));
    }

    #[test]
    fn encoders_without_a_score_come_last_both_ways() {
        let results = [result("SWAV_800", "Pets", 0.5), result("MoCov2_800", "Pets", 0.7)];
        for reverse in [false, true] {
            let view = View { sort: Some("Pets".into()), reverse, ..View::default() };
            let t = paper(&results, &view);
            let mut first: Vec<_> = t.encoders[..2].iter().map(|e| e.key).collect();
            if reverse {
                first.reverse();
            }
            assert_eq!(first, ["MoCov2_800", "SWAV_800"]);
        }
    }

    #[test]
    fn a_view_survives_its_address() {
        let view = View {
            method: Some(Method::MoCoV2),
            pretraining: Some(Pretraining::HalfImageNet),
            epochs: Some(200),
            sort: Some("NYUDepth".into()),
            reverse: true,
        };
        let query = view.query();
        let get = |key: &str| {
            let pairs = query.trim_start_matches('?').split('&');
            pairs.filter_map(|p| p.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v.to_owned())
        };
        assert_eq!(View::from_query(get), view);
        assert_eq!(View::from_query(|_| Some("<script>".into())), View::default());
        assert_eq!(View::default().query(), "");
    }

    #[test]
    fn the_sample_table_stands_alone() {
        let t = samples(&[], &View::default());
        let keys: Vec<_> = t.encoders.iter().map(|e| e.key).collect();
        assert_eq!(keys, ["Random", "EfficientNetLite0", "OpenNsfw"]);
        assert_eq!(t.tasks.len(), 8);
    }
}
