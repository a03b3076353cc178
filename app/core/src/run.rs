//! What was done and what came of it: a [`Run`] is a [`Score`] with its [`Epoch`]s, and the
//! score's [`Evidence`] is all that is needed to question it. Work hands these over, the store
//! keeps them, files hold them and pages show them: there are no other shapes of the same.

use crate::protocol::Protocol;
use crate::statistics::Interval;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Where a score comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Computed by Virboard from weights and data.
    Measured,
    /// Taken over from somebody else's results file. What does not say that it is measured
    /// counts as this.
    #[default]
    Imported,
}

impl Origin {
    /// The word shown in tables and stored in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Imported => "imported",
        }
    }

    /// The source of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Measured, Self::Imported].into_iter().find(|s| s.name() == name)
    }
}

/// How an encoder's features were read: frozen, or with the encoder trained along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// By the task's trained head.
    #[default]
    Head,
    /// By their nearest neighbours in the training set.
    Knn,
    /// By a logistic regression.
    Logistic,
    /// By a head that was trained together with the whole encoder. It says nothing of the frozen
    /// encoder and never stands where one of the others is meant.
    #[serde(rename = "fine-tuned")]
    FineTuned,
}

impl Probe {
    /// All, in the order of their columns.
    pub const ALL: [Self; 4] = [Self::Head, Self::Knn, Self::Logistic, Self::FineTuned];

    /// `head`, `knn`, `logistic` or `fine-tuned`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Knn => "knn",
            Self::Logistic => "logistic",
            Self::FineTuned => "fine-tuned",
        }
    }

    /// The probe of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
}

/// How a score came about. Everything that is needed to question it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Measured here or taken over.
    pub source: Origin,
    /// SHA-256 of the encoder's weights.
    pub encoder_sha256: String,
    /// SHA-256 over the data set's samples and labels.
    pub dataset_sha256: String,
    /// How the features were read.
    #[serde(default)]
    pub probe: Probe,
    /// How it was trained and scored in detail.
    #[serde(default)]
    pub protocol: Protocol,
    /// How exactly the encoder computed: `f32`, or the name of a shorter format; empty where
    /// nobody said.
    #[serde(default = "full_precision")]
    pub precision: String,
    /// Whether this is the answer among the configurations of its job.
    #[serde(default = "yes")]
    pub selected: bool,
    /// What was set, as JSON, for people.
    pub configuration: String,
    /// SHA-256 of the canonical form of what was set, but for the seed: programs compare this.
    #[serde(default)]
    pub key: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Where it was computed: `cpu` or `cuda`.
    pub device: String,
    /// Version of Virboard, with the commit it was built from.
    pub version: String,
    /// When the run ended, seconds since 1970, UTC.
    pub finished_at: i64,
    /// Wall-clock seconds of the run.
    pub seconds: f64,
    /// Number of test samples.
    pub test_samples: u64,
}

/// The precision that is not short of anything.
pub const FULL_PRECISION: &str = "f32";

fn full_precision() -> String {
    FULL_PRECISION.to_owned()
}

const fn yes() -> bool {
    true
}

/// One score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Number of its run in this store, if it has one.
    #[serde(default)]
    pub run: Option<i64>,
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task.
    pub task: String,
    /// In the metric's own unit and sign.
    #[serde(rename = "score")]
    pub value: f64,
    /// Where it lies with a confidence of 95 % when test samples are drawn anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// The same metric of a predictor that always gives the best constant answer.
    pub constant: Option<f64>,
    /// How the score came about.
    #[serde(rename = "provenance")]
    pub evidence: Evidence,
    /// The head's file below the data folder; empty without one.
    #[serde(default)]
    pub head: String,
    /// The per-sample results' file below the data folder; empty without one.
    #[serde(default)]
    pub predictions: String,
}

/// What one epoch of a training brought.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: u32,
    /// Mean training loss.
    pub train_loss: f64,
    /// The task's metric on the test set (on the held-out samples, where some are held out),
    /// where it was computed.
    pub test_metric: Option<f64>,
}

/// One training, or one other way of reading features, and what it ended in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its score.
    #[serde(rename = "result")]
    pub score: Score,
    /// Its epochs; none where nothing is trained, or where they are not known.
    pub epochs: Vec<Epoch>,
}

impl Score {
    /// Which of two scores of the same encoder, task and probe counts: that which is less.
    /// Standard before ViRB's protocol, measured before imported, full precision before a
    /// shorter one, then the newer. Of two that ended in the same second their seed, settings,
    /// weights and data decide, so that the order in which they were stored does not.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        let place = |s: &Self| {
            let e = &s.evidence;
            let short = !e.precision.is_empty() && e.precision != FULL_PRECISION;
            (e.protocol != Protocol::Standard, e.source != Origin::Measured, short)
        };
        let late = |s: &Self| {
            let e = &s.evidence;
            (e.finished_at, e.seed, e.key.clone(), e.encoder_sha256.clone(), e.dataset_sha256.clone())
        };
        place(self).cmp(&place(other)).then_with(|| late(other).cmp(&late(self)))
    }
}

/// The scores that count among `candidates`, one for each encoder, task and probe, in that
/// order. Only answers of their jobs are candidates; of equals the later one counts.
///
/// This is the one place where that is decided; the store, pages and files ask here.
#[must_use]
pub fn that_count(candidates: impl IntoIterator<Item = Score>) -> Vec<Score> {
    let mut counting: BTreeMap<(String, String, Probe), Score> = BTreeMap::new();
    for score in candidates.into_iter().filter(|s| s.evidence.selected) {
        let cell = (score.encoder.clone(), score.task.clone(), score.evidence.probe);
        match counting.get(&cell) {
            Some(old) if old.precedence(&score) == Ordering::Less => {}
            _ => drop(counting.insert(cell, score)),
        }
    }
    counting.into_values().collect()
}

/// The scores that count, told apart by what they are about. Ranks, analyses and choices are
/// made of [`Self::heads`] alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counting {
    /// Of frozen encoders by the tasks' heads.
    pub heads: Vec<Score>,
    /// Of frozen encoders by nearest neighbours and by logistic regression.
    pub opinions: Vec<Score>,
    /// Of encoders that were trained along with the head.
    pub fine_tuned: Vec<Score>,
}

impl Counting {
    /// Tells scores apart that count already ([`that_count`]).
    #[must_use]
    pub fn of(counting: impl IntoIterator<Item = Score>) -> Self {
        let mut all = Self::default();
        for score in counting {
            match score.evidence.probe {
                Probe::Head => all.heads.push(score),
                Probe::Knn | Probe::Logistic => all.opinions.push(score),
                Probe::FineTuned => all.fine_tuned.push(score),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(value: f64, change: impl FnOnce(&mut Evidence)) -> Score {
        let mut evidence = Evidence {
            source: Origin::Measured,
            precision: FULL_PRECISION.to_owned(),
            selected: true,
            finished_at: 10,
            ..Evidence::default()
        };
        change(&mut evidence);
        Score { encoder: "SWAV_800".into(), task: "Pets".into(), value, evidence, ..Score::default() }
    }

    /// The value that counts, whatever the order of the candidates.
    fn counts(a: &Score, b: &Score) -> f64 {
        let of = |all: [&Score; 2]| that_count(all.map(Clone::clone)).iter().map(|s| s.value).collect::<Vec<_>>();
        let (there, back) = (of([a, b]), of([b, a]));
        assert_eq!(there, back, "the order decides");
        assert_eq!(there.len(), 1);
        there[0]
    }

    #[test]
    fn each_rule_comes_before_the_next() {
        let plain = score(0.5, |_| {});
        // Each of these is newer, and better in every rule after the one it breaks.
        let virb = score(0.9, |e| (e.protocol, e.finished_at) = (Protocol::Virb, 99));
        let imported = score(0.9, |e| (e.source, e.finished_at) = (Origin::Imported, 99));
        let short = score(0.9, |e| {
            e.precision = "bf16".into();
            e.finished_at = 99;
        });
        let newer = score(0.6, |e| e.finished_at = 11);
        assert_eq!(counts(&plain, &virb), 0.5);
        assert_eq!(counts(&plain, &imported), 0.5);
        assert_eq!(counts(&plain, &short), 0.5);
        assert_eq!(counts(&plain, &newer), 0.6);
        let imported_standard = score(0.1, |e| e.source = Origin::Imported);
        assert_eq!(counts(&imported_standard, &virb), 0.1, "protocol before source");
        let measured_short = score(0.2, |e| e.precision = "bf16".into());
        assert_eq!(counts(&imported, &measured_short), 0.2, "source before precision");
    }

    #[test]
    fn scores_of_the_same_second_count_alike_in_whatever_order_they_were_stored() {
        let zero = score(0.5, |e| e.seed = 0);
        let one = score(0.6, |e| e.seed = 1);
        assert_eq!(counts(&zero, &one), 0.6);
        let other = score(0.7, |e| e.key = "b".into());
        assert_eq!(counts(&score(0.8, |e| e.key = "a".into()), &other), 0.7);
    }

    #[test]
    fn cells_and_probes_stand_apart_and_what_was_not_chosen_stays_out() {
        let mut other = score(0.3, |_| {});
        other.encoder = "Random".into();
        let all = [
            score(0.5, |_| {}),
            score(0.8, |e| e.selected = false),
            score(0.4, |e| e.probe = Probe::Knn),
            other,
            // The same moment: the later one.
            score(0.55, |_| {}),
        ];
        let values: Vec<f64> = that_count(all).iter().map(|s| s.value).collect();
        assert_eq!(values, [0.3, 0.55, 0.4]);
        assert!(that_count([]).is_empty());
    }

    #[test]
    fn a_fine_tuned_score_never_counts_for_the_frozen_encoder() {
        // It is better and newer than all others, and the only one of another encoder.
        let better = |e: &mut Evidence| (e.probe, e.finished_at) = (Probe::FineTuned, 99);
        let mut alone = score(0.97, better);
        alone.encoder = "Random".into();
        let all = [score(0.99, better), score(0.5, |_| {}), score(0.4, |e| e.probe = Probe::Logistic), alone];
        let counting = Counting::of(that_count(all));
        let values = |scores: &[Score]| scores.iter().map(|s| s.value).collect::<Vec<_>>();
        assert_eq!(values(&counting.heads), [0.5]);
        assert_eq!(values(&counting.opinions), [0.4]);
        assert_eq!(values(&counting.fine_tuned), [0.97, 0.99]);
    }

    #[test]
    fn probes_have_one_word_in_files_and_in_the_database() {
        for probe in Probe::ALL {
            let text = serde_json::to_string(&probe).expect("written");
            assert_eq!(text, format!("\"{}\"", probe.name()));
            assert_eq!(serde_json::from_str::<Probe>(&text).expect("read"), probe);
            assert_eq!(Probe::of(probe.name()), Some(probe));
        }
        assert_eq!(Probe::of("finetuned"), None);
    }

    #[test]
    fn older_files_are_read() {
        let text = "{\"result\":{\"encoder\":\"E\",\"task\":\"T\",\"score\":0.5,\"constant\":null,\"provenance\":{\
                    \"source\":\"measured\",\"encoder_sha256\":\"e\",\"dataset_sha256\":\"d\",\"configuration\":\"{}\",\
                    \"seed\":1,\"device\":\"cpu\",\"version\":\"0.1.0\",\"finished_at\":1,\"seconds\":0.5,\
                    \"test_samples\":3}},\"epochs\":[]}";
        let run: Run = serde_json::from_str(text).expect("read");
        let e = &run.score.evidence;
        assert_eq!((e.probe, e.protocol, e.selected), (Probe::Head, Protocol::Standard, true));
        assert_eq!((e.precision.as_str(), e.key.as_str(), run.score.run), ("f32", "", None));
    }
}
