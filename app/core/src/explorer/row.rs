//! One run of the explorer.

use super::value::Value;
use crate::catalogue::task::Metric;
use crate::protocol::Protocol;
use crate::run::{Origin, Probe};
use crate::statistics::Interval;
use serde::Serialize;

/// How a run stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for a worker.
    Queued,
    /// Somebody works on it.
    Running,
    /// It ended with a score.
    #[default]
    Finished,
    /// It ended with an error.
    Failed,
    /// Its process was killed; the next call takes it up again.
    Interrupted,
    /// Somebody took it back.
    Cancelled,
}

impl State {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Finished, Self::Failed, Self::Interrupted, Self::Cancelled];

    /// The word for it, which is also what stands in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
        }
    }

    /// A sign for it, so that it is told by more than a colour.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Queued => "…",
            Self::Running => "▸",
            Self::Finished => "✓",
            Self::Failed => "✗",
            Self::Interrupted => "‖",
            Self::Cancelled => "–",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// One run with all that is known of it, but for its curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RunRow {
    /// Its number in this store.
    pub id: i64,
    /// Name of its job; empty for what came from elsewhere.
    pub job: String,
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task.
    pub task: String,
    /// How the task is scored, where the catalogue knows it.
    pub metric: Option<Metric>,
    /// How features were read.
    pub probe: Probe,
    /// The rules of training and scoring.
    pub protocol: Protocol,
    /// Measured here or taken over; nothing without a score.
    pub source: Option<Origin>,
    /// How it stands.
    pub state: State,
    /// Why it stands so, such as the error that ended it.
    pub reason: Option<String>,
    /// Which try it is, from 1, where that is counted.
    pub attempt: Option<u32>,
    /// Who works on it or did, where that is known.
    pub worker: Option<String>,
    /// Where it was computed: `cpu` or `cuda`.
    pub device: String,
    /// When it began, seconds since 1970, UTC.
    pub started: i64,
    /// When it ended.
    pub finished: Option<i64>,
    /// How long it took, in seconds of the wall clock.
    pub seconds: Option<f64>,
    /// Seed of everything random.
    pub seed: u64,
    /// Hash of its settings but for the seed.
    pub key: String,
    /// What was set, by name; inner names are joined by dots.
    pub settings: Vec<(String, String)>,
    /// The last epoch that is done.
    pub epoch: Option<u32>,
    /// How many epochs it has, where that is set.
    pub epochs: Option<u32>,
    /// Mean training loss of the last epoch.
    pub loss: Option<f64>,
    /// The metric after the last epoch that computed it.
    pub last: Option<f64>,
    /// The best one of all epochs.
    pub best: Option<f64>,
    /// Its score.
    pub score: Option<f64>,
    /// Where that lies with a confidence of 95 % when test samples are drawn anew.
    pub interval: Option<Interval>,
    /// The same metric of the best constant answer.
    pub constant: Option<f64>,
    /// Number of test samples.
    pub samples: Option<u64>,
    /// Whether it is the answer among the configurations of its job.
    pub selected: bool,
    /// Whether another run took the place of its score.
    pub replaced: bool,
    /// How exactly the encoder computed.
    pub precision: String,
    /// SHA-256 of the encoder's weights.
    pub encoder_sha256: String,
    /// SHA-256 over the data set's samples and labels.
    pub dataset_sha256: String,
    /// Version of Virboard.
    pub version: String,
    /// What people tagged it with.
    pub tags: Vec<String>,
    /// Whether somebody wrote a note.
    pub note: bool,
}

impl RunRow {
    /// A setting by its name.
    #[must_use]
    pub fn setting(&self, name: &str) -> Value<'_> {
        let at = self.settings.binary_search_by(|(n, _)| n.as_str().cmp(name));
        at.map_or(Value::Nothing, |at| Value::setting(&self.settings[at].1))
    }

    /// A score as people read it.
    #[must_use]
    pub fn written(&self, score: f64) -> String {
        self.metric.map_or_else(|| format!("{score:.4}"), |m| m.format(score))
    }

    /// All that a bare word is looked for in, in small letters, a line each.
    pub(super) fn haystack(&self) -> String {
        let mut parts = vec![
            self.encoder.as_str(),
            &self.task,
            self.state.name(),
            self.probe.name(),
            &self.job,
            &self.device,
            self.reason.as_deref().unwrap_or_default(),
            self.worker.as_deref().unwrap_or_default(),
        ];
        parts.extend(self.tags.iter().map(String::as_str));
        parts.extend(self.settings.iter().find(|(n, _)| n == "name").map(|(_, v)| v.as_str()));
        parts.join("\n").to_lowercase()
    }
}
