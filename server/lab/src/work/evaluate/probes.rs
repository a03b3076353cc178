//! Other readers of the same features than a head: nearest neighbours and logistic regression.

use super::Bench;
use crate::progress::Progress;
use crate::score::metric::{SampleScore, interval, score};
use crate::score::{knn, logistic};
use crate::train::source::{Cached, Source};
use crate::train::truth::Truth;
use crate::train::{BATCH, Tested};
use crate::{Error, Result};
use virboard_core::protocol::Protocol;
use virboard_core::run::{Probe, Run};

/// Samples times classes up to which a logistic regression is fitted (its one-hot matrix).
const MOST_LOGISTIC: usize = 200_000_000;

impl Bench<'_> {
    /// Nearest neighbours and logistic regression from the same features.
    pub(super) fn probes(&self, train_set: &Cached, test_set: &Cached, progress: &dyn Progress) -> Result<Vec<Run>> {
        let device = self.device();
        let of = |set: &Cached| -> Result<(candle_core::Tensor, Vec<u32>)> {
            let all: Vec<usize> = (0..set.len()).collect();
            let Truth::Classes(classes) = set.truth(&all)? else {
                return Err(Error::Unfit(format!("{} has no classes", self.task.key)));
            };
            Ok((set.features().batch(&all, device)?.swap_remove(0), classes))
        };
        let ((x, classes), (test, truth)) = (of(train_set)?, of(test_set)?);
        let protocol = self.work.protocol();
        let tested = |samples: Vec<SampleScore>| {
            let (scoring, protocol) = (self.recipe.scoring, Protocol::Standard);
            let value = score(&samples, scoring, protocol, BATCH);
            Tested { value, interval: interval(&samples, scoring, protocol, BATCH), constant: None, samples }
        };
        let mut runs = Vec::new();
        let votes = knn::classify(&x, &classes, &test, &truth, &knn::NEIGHBOURS, progress)?;
        for (k, samples) in knn::NEIGHBOURS.iter().zip(votes) {
            let json = serde_json::json!({ "name": format!("{k} nearest neighbours"), "k": k, "temperature": 0.07 });
            let name = format!("knn{k}-{}", protocol.name());
            let evidence = self.evidence(Probe::Knn, self.said(json), 0);
            let mut score = self.scored(evidence, &name, tested(samples))?;
            score.evidence.selected = *k == 20;
            runs.push(Run { score, epochs: Vec::new() });
        }
        let labels = self.dataset.labels().len();
        if classes.len() * labels > MOST_LOGISTIC {
            tracing::info!(task = self.task.key, "left out the logistic regression: too many samples and classes");
            return Ok(runs);
        }
        let samples = logistic::classify(&x, &classes, &test, &truth, labels, progress)?;
        let json = self.said(serde_json::json!({ "name": "logistic regression", "C": logistic::C }));
        let name = format!("logistic-{}", protocol.name());
        let mut score = self.scored(self.evidence(Probe::Logistic, json, 0), &name, tested(samples))?;
        score.evidence.selected = true;
        runs.push(Run { score, epochs: Vec::new() });
        Ok(runs)
    }

    /// A probe's configuration as text, with the encoder's precision unless it is the default.
    fn said(&self, mut json: serde_json::Value) -> String {
        if !self.encoder.precision.is_default() {
            json["precision"] = self.encoder.precision.name().into();
        }
        json.to_string()
    }
}
