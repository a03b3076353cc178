//! All runs for the explorer: kept in memory until one of them changes.

use super::Virboard;
use super::error::Result;
use super::people::Actor;
use super::places;
use crate::store::{Course, StoredRun};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use virboard_app::api::Content;
use virboard_app::content::runs::{Detail, wanted};
use virboard_app::content::{Address, Facts, content};
use virboard_core::catalogue::Catalogue;
use virboard_core::explorer::{RunRow, Runs, State};
use virboard_core::people::Role;
use virboard_core::protocol::Protocol;
use virboard_core::run::{Epoch, Score};

/// All runs at one moment, and what they were read from.
struct Snapshot {
    runs: Arc<Runs>,
    courses: BTreeMap<i64, Course>,
    revision: (i64, i64),
    catalogue: Arc<Catalogue>,
}

/// The runs as they were read last.
#[derive(Default)]
pub struct Explorer {
    last: Mutex<Option<Snapshot>>,
}

impl Virboard {
    /// All runs, which viewers may see. They are read again when one has changed; several who ask at once wait for one.
    pub async fn explored(&self, actor: &Actor) -> Result<Arc<Runs>> {
        actor.needs(Role::Viewer)?;
        let mut last = self.explorer.last.lock().await;
        let (revision, catalogue) = (self.store.runs_revision().await?, self.catalogue());
        if let Some(s) = last.as_ref().filter(|s| s.revision == revision && Arc::ptr_eq(&s.catalogue, &catalogue)) {
            return Ok(s.runs.clone());
        }
        let stored = self.store.all_runs().await?;
        let courses = self.courses(&stored, last.take()).await?;
        let scores = self.store.scores_by_run().await?;
        let of = catalogue.clone();
        let (runs, courses) = tokio::task::spawn_blocking(move || {
            let mut scores = scores;
            let rows = stored.into_iter().map(|run| {
                let (score, course) = (scores.remove(&run.id), courses.get(&run.id));
                row(run, score, course, &of)
            });
            (Arc::new(Runs::new(rows.collect())), courses)
        })
        .await?;
        *last = Some(Snapshot { runs: runs.clone(), courses, revision, catalogue });
        Ok(runs)
    }

    /// How far all runs have come. Of those that had ended before nothing is read: an epoch is
    /// only added to a run that goes on.
    async fn courses(&self, stored: &[StoredRun], last: Option<Snapshot>) -> Result<BTreeMap<i64, Course>> {
        let Some(last) = last else { return Ok(self.store.courses(None).await?) };
        let goes_on = |state: State| matches!(state, State::Running | State::Queued | State::Interrupted);
        let changed = |run: &&StoredRun| {
            let known = last.runs.get(run.id).is_some_and(|r| !goes_on(r.state));
            !known || State::of(&run.status).is_none_or(goes_on)
        };
        let again: Vec<i64> = stored.iter().filter(changed).map(|r| r.id).collect();
        let mut courses = last.courses;
        courses.extend(self.store.courses(Some(&again)).await?);
        Ok(courses)
    }

    /// What pages about single runs tell of each; runs that are not there are left out.
    async fn details(&self, ids: &[i64], runs: &Runs) -> Result<Vec<Detail>> {
        let mut epochs = self.store.epochs_of_runs(ids).await?;
        let mut details = Vec::new();
        for id in ids.iter().filter(|id| runs.get(**id).is_some()) {
            let scores = self.scores_of(*id).await?;
            details.push(Detail { id: *id, scores, epochs: epochs.remove(id).unwrap_or_default(), log: None });
        }
        Ok(details)
    }

    /// All scores of a run, the chosen one first, and whether another one took the place of each.
    pub async fn scores_of(&self, id: i64) -> Result<Vec<(Score, bool)>> {
        let scores = self.store.scores_of_run(id).await?;
        Ok(scores.into_iter().map(|(score, replaced)| (places::hidden(score), replaced)).collect())
    }

    /// The epochs of a run; none of a run that is not there.
    pub async fn epochs_of(&self, id: i64) -> Result<Vec<Epoch>> {
        Ok(self.store.epochs_of(id).await?)
    }

    /// The page about runs at an address, which viewers may see.
    pub(super) async fn runs_page(&self, actor: &Actor, address: Address) -> Result<Content> {
        let explored = self.explored(actor).await?;
        let board = self.board().await?;
        let details = self.details(&wanted(&address), &explored).await?;
        let facts = Facts { board, explored, details, ..Facts::default() };
        Ok(tokio::task::spawn_blocking(move || content(&address, &facts)).await?)
    }
}

/// Why a run that nobody ended is interrupted.
const LEFT: &str = "its process ended before it did; the same command takes it up again";

/// A run as the explorer shows it.
fn row(run: StoredRun, score: Option<(Score, bool)>, course: Option<&Course>, catalogue: &Catalogue) -> RunRow {
    let metric = catalogue.task(&run.task).map(|t| t.metric);
    let settings = settings(&run.configuration);
    let set = |name: &str| settings.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    let passed = run.finished_at.map(|end| (end - run.started_at).max(0) as f64);
    let best = |c: &Course| if metric.is_some_and(|m| !m.higher_is_better()) { c.low } else { c.high };
    // A word of a later version is shown as what is not done.
    let state = State::of(&run.status).unwrap_or(State::Interrupted);
    let left = (state == State::Interrupted).then(|| LEFT.to_owned());
    let mut row = RunRow {
        id: run.id,
        job: run.job,
        encoder: run.encoder,
        task: run.task,
        metric,
        state,
        reason: run.error.as_deref().map(places::hidden_in).or(left),
        device: run.device,
        started: run.started_at,
        finished: run.finished_at,
        seconds: passed,
        seed: run.seed,
        key: run.key,
        epoch: course.map(|c| c.epoch),
        epochs: set("epochs").and_then(|n| n.parse().ok()),
        loss: course.map(|c| c.loss),
        last: course.and_then(|c| c.last),
        best: course.and_then(best),
        precision: set("precision").unwrap_or_default(),
        protocol: set("protocol").and_then(|p| Protocol::of(&p)).unwrap_or_default(),
        version: run.version,
        attempt: run.attempt,
        worker: run.worker,
        settings,
        ..RunRow::default()
    };
    if let Some((score, replaced)) = score {
        let e = score.evidence;
        row = RunRow {
            probe: e.probe,
            protocol: e.protocol,
            source: Some(e.source),
            precision: e.precision,
            seconds: if e.seconds > 0.0 { Some(e.seconds) } else { row.seconds },
            score: Some(score.value),
            interval: score.interval,
            constant: score.constant,
            samples: Some(e.test_samples),
            selected: e.selected,
            replaced,
            encoder_sha256: e.encoder_sha256,
            dataset_sha256: e.dataset_sha256,
            ..row
        };
    }
    row
}

/// What was set, by name; what is no JSON is a name.
fn settings(configuration: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    match serde_json::from_str::<Value>(configuration) {
        Ok(mut value @ Value::Object(_)) => {
            places::hide(&mut value);
            flatten("", &value, &mut all);
        }
        _ if configuration.is_empty() => {}
        _ => all.push(("name".to_owned(), configuration.to_owned())),
    }
    all.sort();
    all
}

/// Names of what lies inside are joined by dots; what is null is not set.
fn flatten(name: &str, value: &Value, all: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (inner, value) in fields {
                let name = if name.is_empty() { inner.clone() } else { format!("{name}.{inner}") };
                flatten(&name, value, all);
            }
        }
        Value::String(text) => all.push((name.to_owned(), text.clone())),
        other => all.push((name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_flat_and_name_no_folder() {
        let text = "{\"b\":{\"y\":0.5,\"x\":null},\"a\":\"/home/me/list.txt\",\"c\":[1,2],\"d\":true}";
        let expected = [("a", "list.txt"), ("b.y", "0.5"), ("c", "[1,2]"), ("d", "true")];
        assert_eq!(settings(text), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(settings("adam-0.001"), [("name".to_owned(), "adam-0.001".to_owned())]);
        assert_eq!(settings(""), []);
    }
}
