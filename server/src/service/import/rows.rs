//! Rows of a table as scores: our own exports whole, and what people write by hand.

use super::cell::{fits, flag, number, time, whole};
use crate::store::columns::COLUMNS;
use crate::table::read::{TextRow, Texts};
use serde_json::{Map, Value};
use std::path::Path;
use virboard_core::catalogue::{Catalogue, nearest};
use virboard_core::protocol::Protocol;
use virboard_core::run::{Epoch, Evidence, FULL_PRECISION, Origin, Probe, Run, Score};
use virboard_core::statistics::Interval;
use virboard_lab::work::key;

/// Columns that a table may have beside those of an export.
const REMARKS: [&str; 3] = ["note", "url", "date"];

/// Columns that every table needs.
const NEEDED: [&str; 3] = ["encoder", "task", "score"];

/// What a table holds.
#[derive(Debug, Default)]
pub struct Scores {
    /// The runs, each with where it stands, such as `line 3`.
    pub runs: Vec<(String, Run)>,
    /// What was left out, a sentence each.
    pub notes: Vec<String>,
    /// What is wrong, a sentence each.
    pub mistakes: Vec<String>,
}

/// Where the columns stand.
struct Places {
    /// Name, column, and whether its name says percent.
    known: Vec<(&'static str, usize, bool)>,
}

fn names() -> impl Iterator<Item = &'static str> + Clone {
    COLUMNS.iter().map(|c| c.name).chain(REMARKS).chain(["replaced_at"])
}

impl Places {
    /// Finds the columns; what is not known goes to the notes, what cannot be to the mistakes.
    fn of(columns: &[String], out: &mut Scores) -> Self {
        let mut known: Vec<(&'static str, usize, bool)> = Vec::new();
        for (at, said) in columns.iter().enumerate() {
            let mut name = said.to_lowercase().replace([' ', '-'], "_");
            let percent = name.contains('%');
            name.retain(|c| !"%()[]".contains(c));
            let name = name.trim_matches('_');
            match names().find(|n| *n == name) {
                Some(name) if known.iter().any(|k| k.0 == name) => {
                    out.mistakes.push(format!("the column `{name}` is there twice; remove one of them"));
                }
                Some(name) => known.push((name, at, percent)),
                None => {
                    let perhaps = nearest(name, names()).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
                    out.notes.push(format!("the column `{said}` is not read{perhaps}"));
                }
            }
        }
        for name in NEEDED {
            if !known.iter().any(|k| k.0 == name) {
                out.mistakes.push(format!(
                    "the columns encoder, task and score are needed, and `{name}` is missing among {}",
                    columns.join(", ")
                ));
            }
        }
        Self { known }
    }
}

/// A row by its columns' names.
struct Named<'a> {
    places: &'a Places,
    row: &'a TextRow,
}

impl<'a> Named<'a> {
    /// The text; empty where there is none.
    fn text(&self, name: &str) -> &'a str {
        let place = self.places.known.iter().find(|k| k.0 == name);
        place.and_then(|k| self.row.cells.get(k.1)).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> Result<Option<f64>, String> {
        let percent = self.places.known.iter().any(|k| k.0 == name && k.2);
        number(self.text(name), percent).map_err(|e| format!("in `{name}` {e}"))
    }

    /// What a reader of cells makes of it.
    fn of<T>(&self, name: &str, read: fn(&str) -> Result<T, String>) -> Result<T, String> {
        read(self.text(name)).map_err(|e| format!("in `{name}` {e}"))
    }

    /// One of some names, in any case; `None` for an empty cell.
    fn choice<T>(&self, name: &str, of: fn(&str) -> Option<T>, known: &[&str]) -> Result<Option<T>, String> {
        let text = self.text(name).to_lowercase();
        if text.is_empty() {
            return Ok(None);
        }
        of(&text).map(Some).ok_or_else(|| {
            let perhaps = nearest(&text, known.iter().copied());
            let perhaps = perhaps.map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
            format!("`{text}` is no {name}{perhaps}; known are {}", known.join(", "))
        })
    }
}

/// Reads all rows. `from` is where the table lies, `modified` its time for rows that have none.
pub fn scores(texts: &Texts, catalogue: &Catalogue, from: &Path, modified: i64) -> Scores {
    let mut out = Scores { mistakes: texts.problems.clone(), ..Scores::default() };
    let places = Places::of(&texts.columns, &mut out);
    if NEEDED.iter().any(|n| !places.known.iter().any(|k| k.0 == *n)) {
        if let Some(task) = texts.columns.iter().find(|c| catalogue.task_named(c).is_ok()) {
            out.mistakes.push(format!("`{task}` is a task: write a row for each score, its task in the column `task`"));
        }
        return out;
    }
    for row in &texts.rows {
        let place = format!("{} {}", texts.unit, row.number);
        match run(&Named { places: &places, row }, catalogue, from, modified) {
            Ok(Some(run)) => out.runs.push((place, run)),
            Ok(None) => out.notes.push(format!("{place} has no score and is left out")),
            Err(mistake) => out.mistakes.push(format!("{place}: {mistake}")),
        }
    }
    contradictions(&mut out);
    out
}

/// Rows of one training that say different things.
fn contradictions(out: &mut Scores) {
    let mut seen: std::collections::HashMap<_, (&str, f64)> = std::collections::HashMap::new();
    for (place, run) in &out.runs {
        let (s, e) = (&run.score, &run.score.evidence);
        let same = (
            &s.encoder,
            &s.task,
            e.source,
            e.probe,
            e.protocol,
            (&e.encoder_sha256, &e.dataset_sha256, &e.key, e.seed),
        );
        match seen.get(&same) {
            Some((first, value)) if *value != s.value => out.mistakes.push(format!(
                "{place}: {} on {} is {} here and {value} in {first}; tell them apart by `configuration` or `seed`, or remove one",
                s.encoder, s.task, s.value
            )),
            Some(_) => {}
            None => drop(seen.insert(same, (place, s.value))),
        }
    }
}

/// One row as a run; `None` for one without a score.
fn run(row: &Named<'_>, catalogue: &Catalogue, from: &Path, modified: i64) -> Result<Option<Run>, String> {
    for name in ["encoder", "task"] {
        if row.text(name).is_empty() {
            return Err(format!("the column `{name}` is empty"));
        }
    }
    let encoder = catalogue
        .encoder_named(row.text("encoder"))
        .map_err(|e| format!("{e}; `virboard encoder add` declares one, also without its weights"))?;
    let task = catalogue.task_named(row.text("task")).map_err(|e| e.to_string())?;
    let Some(value) = row.number("score")? else { return Ok(None) };
    fits(task.metric, value)?;
    let interval = match (row.number("low")?, row.number("high")?) {
        (None, None) => None,
        (Some(low), Some(high)) if low <= high => Some(Interval { low, high }),
        (Some(low), Some(high)) => return Err(format!("the interval from {low} to {high} is the wrong way round")),
        _ => return Err("an interval needs both `low` and `high`".to_owned()),
    };
    for end in interval.iter().flat_map(|i| [i.low, i.high]) {
        fits(task.metric, end)?;
    }
    let constant = row.number("constant")?;
    constant.map_or(Ok(()), |c| fits(task.metric, c))?;
    let evidence = evidence(row, from, modified)?;
    let mut score =
        Score { encoder: encoder.key.clone(), task: task.key.clone(), value, interval, constant, ..Score::default() };
    row.text("head").clone_into(&mut score.head);
    row.text("predictions").clone_into(&mut score.predictions);
    Ok(Some(Run { score: Score { evidence, ..score }, epochs: epochs(&row.row.epochs)? }))
}

/// How the score of a row came about. A row that does not say where it is from is somebody
/// else's: by ViRB's protocol unless it says otherwise, as published tables are.
fn evidence(row: &Named<'_>, from: &Path, modified: i64) -> Result<Evidence, String> {
    let stated = row.choice("source", Origin::of, &["measured", "imported"])?;
    let (encoder_sha256, dataset_sha256) = (row.text("encoder_sha256"), row.text("dataset_sha256"));
    if stated == Some(Origin::Measured) && (encoder_sha256.is_empty() || dataset_sha256.is_empty()) {
        return Err(
            "a measured score names the SHA-256 of its weights and data; without them write `imported` as its source"
                .to_owned(),
        );
    }
    let default = if stated.is_some() { Protocol::Standard } else { Protocol::Virb };
    let configuration = configuration(row, stated.is_some(), from);
    let or = |name: &str, default: &str| {
        let text = row.text(name);
        (if text.is_empty() { default } else { text }).to_owned()
    };
    let seconds = row.number("seconds")?.unwrap_or_default();
    if seconds < 0.0 {
        return Err(format!("`seconds` is {seconds}, which is less than nothing"));
    }
    let date = row.of("date", time)?;
    Ok(Evidence {
        source: stated.unwrap_or_default(),
        encoder_sha256: encoder_sha256.to_owned(),
        dataset_sha256: dataset_sha256.to_owned(),
        probe: row.choice("probe", Probe::of, &Probe::ALL.map(Probe::name))?.unwrap_or_default(),
        protocol: row.choice("protocol", Protocol::of, &["standard", "virb"])?.unwrap_or(default),
        precision: or("precision", if stated == Some(Origin::Measured) { FULL_PRECISION } else { "" }),
        selected: row.of("selected", flag)?.unwrap_or(true),
        key: key::of_settings(&configuration),
        configuration,
        seed: row.of("seed", whole)?.unwrap_or_default(),
        device: or("device", "unknown"),
        version: or("version", "imported"),
        finished_at: row.of("finished_at", time)?.or(date).unwrap_or(modified),
        seconds,
        test_samples: row.of("test_samples", whole)?.unwrap_or_default(),
    })
}

/// What was set. Of our own exports it is taken as it is; what people call it becomes a name,
/// with where it was found and what they say about it beside it.
fn configuration(row: &Named<'_>, whole: bool, from: &Path) -> String {
    let text = row.text("configuration");
    let settings: Option<Map<String, Value>> = serde_json::from_str(text).ok();
    let remarks: Vec<&str> = ["note", "url"].into_iter().filter(|name| !row.text(name).is_empty()).collect();
    if remarks.is_empty() && (whole || settings.is_some()) {
        return text.to_owned();
    }
    let mut settings = settings.unwrap_or_else(|| Map::from_iter([("name".to_owned(), text.into())]));
    if !whole {
        settings.insert("from".to_owned(), from.display().to_string().into());
    }
    for name in remarks {
        settings.insert(name.to_owned(), row.text(name).into());
    }
    Value::Object(settings).to_string()
}

/// The curve of a run.
fn epochs(said: &[Value]) -> Result<Vec<Epoch>, String> {
    let of = |value: &Value, name: &str| {
        let text = value[name].as_str().map_or_else(|| value[name].to_string(), str::to_owned);
        number(&text, false).map_err(|e| format!("in `epochs` {e}"))
    };
    let mut epochs = Vec::with_capacity(said.len());
    for value in said {
        let Some(epoch) = of(value, "epoch")?.filter(|e| (1.0..1e9).contains(e)) else {
            return Err("an epoch has no number".to_owned());
        };
        // A loss that diverged is none that a curve can show.
        let Some(train_loss) = of(value, "train_loss")? else { continue };
        epochs.push(Epoch { epoch: epoch as u32, train_loss, test_metric: of(value, "test_metric")? });
    }
    Ok(epochs)
}
