//! Encoders x tasks as numbers.

use super::change::Measured;
use crate::catalogue::Catalogue;
use crate::catalogue::encoder::{Encoder, Pretraining};
use crate::catalogue::task::{Category, Task};
use crate::protocol::Protocol;
use crate::run::Score;
use crate::statistics::{mean, population_deviation};
use std::collections::HashMap;
use std::sync::Arc;

/// Scores by one protocol; a hole where there is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// Rows.
    pub encoders: Vec<Arc<Encoder>>,
    /// Columns.
    pub tasks: Vec<Arc<Task>>,
    /// In the metric's own unit and sign, a row after the other.
    values: Vec<Option<f64>>,
    /// Standard error of each over test samples; 0 where it is not known.
    errors: Vec<f64>,
    /// The protocol of all scores.
    pub protocol: Protocol,
    /// Scores by the other protocol, which were left out.
    pub left_out: usize,
}

impl Matrix {
    /// The scores of a suite. Those of two protocols cannot be compared, so the protocol with
    /// more of them is taken unless one is asked for. Encoders that are references of the suite are left out.
    #[must_use]
    pub fn of(catalogue: &Catalogue, results: &[Score], suite: &str, protocol: Option<Protocol>) -> Self {
        let mut encoders = catalogue.encoders_of(suite, results, |_| false);
        encoders.retain(|e| !catalogue.suite(suite).is_some_and(|suite| suite.is_reference(&e.key)));
        Self::with(results, encoders, catalogue.tasks_of(suite), protocol)
    }

    /// The same for any rows and columns.
    #[must_use]
    pub fn with(
        results: &[Score],
        encoders: Vec<Arc<Encoder>>,
        tasks: Vec<Arc<Task>>,
        protocol: Option<Protocol>,
    ) -> Self {
        let row: HashMap<&str, usize> = encoders.iter().enumerate().map(|(i, e)| (&*e.key, i)).collect();
        let column: HashMap<&str, usize> = tasks.iter().enumerate().map(|(i, t)| (&*t.key, i)).collect();
        let place = |r: &Score| Some((*row.get(r.encoder.as_str())?, *column.get(r.task.as_str())?));
        let placed: Vec<_> =
            results.iter().filter(|r| r.value.is_finite()).filter_map(|r| Some((place(r)?, r))).collect();
        let most = || Protocol::of_most(placed.iter().map(|(_, r)| r.evidence.protocol));
        let protocol = protocol.unwrap_or_else(most);
        let known = placed.len();
        let mut values = vec![None; encoders.len() * tasks.len()];
        let mut errors = vec![0.0; values.len()];
        let mut taken = 0;
        for ((row, column), r) in placed.into_iter().filter(|(_, r)| r.evidence.protocol == protocol) {
            values[row * tasks.len() + column] = Some(r.value);
            errors[row * tasks.len() + column] = r.interval.map_or(0.0, |i| i.standard_error());
            taken += 1;
        }
        Self { encoders, tasks, values, errors, protocol, left_out: known - taken }
    }

    /// What its encoders were trained on, each once: the paper's data sets first.
    #[must_use]
    pub fn data(&self) -> Vec<Pretraining> {
        let mut all: Vec<Pretraining> = self.encoders.iter().map(|e| e.pretraining.clone()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Name of the encoder with this key, or the key.
    #[must_use]
    pub fn name<'a>(&'a self, key: &'a str) -> &'a str {
        self.encoder(key).map_or(key, |e| &self.encoders[e].name)
    }

    /// Number of scores.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.values.iter().flatten().count()
    }

    /// The score in the metric's own sign.
    #[must_use]
    pub fn score(&self, encoder: usize, task: usize) -> Option<f64> {
        self.values[encoder * self.tasks.len() + task]
    }

    /// Standard error of a score over test samples; 0 where it is not known.
    #[must_use]
    pub fn error(&self, encoder: usize, task: usize) -> f64 {
        self.errors[encoder * self.tasks.len() + task]
    }

    /// The score with its sign turned where less is better: more is always better.
    #[must_use]
    pub fn good(&self, encoder: usize, task: usize) -> Option<f64> {
        self.score(encoder, task).map(|s| self.tasks[task].metric.sign() * s)
    }

    /// [`Self::good`] with its standard error.
    #[must_use]
    pub fn measured(&self, encoder: usize, task: usize) -> Option<Measured> {
        Some(Measured { good: self.good(encoder, task)?, error: self.error(encoder, task) })
    }

    /// [`Self::good`] by keys.
    #[must_use]
    pub fn good_of(&self, encoder: &str, task: &str) -> Option<f64> {
        self.good(self.encoder(encoder)?, self.task(task)?)
    }

    /// Row of the encoder with this key, or of the one that stands for it.
    #[must_use]
    pub fn encoder(&self, key: &str) -> Option<usize> {
        let own = self.encoders.iter().position(|e| e.key == key);
        own.or_else(|| self.encoders.iter().position(|e| e.is(key)))
    }

    /// Column of the task with this key, or of the one that stands for it.
    #[must_use]
    pub fn task(&self, key: &str) -> Option<usize> {
        let own = self.tasks.iter().position(|t| t.key == key);
        own.or_else(|| self.tasks.iter().position(|t| t.is(key)))
    }

    /// Columns of a category that have a score.
    pub fn of_category(&self, category: Category) -> impl Iterator<Item = usize> + '_ {
        (0..self.tasks.len()).filter(move |t| self.tasks[*t].category == category && self.covered(*t) > 0)
    }

    /// Encoders with a score on a task.
    #[must_use]
    pub fn covered(&self, task: usize) -> usize {
        (0..self.encoders.len()).filter(|e| self.score(*e, task).is_some()).count()
    }

    /// Rows with a score on both of two tasks, and their scores, more being better.
    #[must_use]
    pub fn pairs(&self, x: usize, y: usize) -> (Vec<usize>, Vec<f64>, Vec<f64>) {
        let both = |e: usize| Some((e, self.good(e, x)?, self.good(e, y)?));
        let found: Vec<_> = (0..self.encoders.len()).filter_map(both).collect();
        (found.iter().map(|f| f.0).collect(), found.iter().map(|f| f.1).collect(), found.iter().map(|f| f.2).collect())
    }

    /// Standard deviation of a task's scores over all encoders that have one; `None` if they
    /// are all equal.
    #[must_use]
    pub fn deviation(&self, task: usize) -> Option<f64> {
        population_deviation(&self.column(task)).filter(|d| *d > 0.0)
    }

    /// How many standard deviations of its task a score is better than the mean.
    #[must_use]
    pub fn standardised(&self, encoder: usize, task: usize) -> Option<f64> {
        Some((self.good(encoder, task)? - mean(&self.column(task))?) / self.deviation(task)?)
    }

    /// How many standard deviations of its task a score is better than Supervised's: the
    /// `normalized` of ViRB's `make_charts.py`.
    #[must_use]
    pub fn normalised(&self, encoder: usize, task: usize) -> Option<f64> {
        let supervised = self.good(self.encoder("Supervised")?, task)?;
        Some((self.good(encoder, task)? - supervised) / self.deviation(task)?)
    }

    /// By how much a score is better than Supervised's, as a share of that one's amount.
    #[must_use]
    pub fn relative(&self, encoder: usize, task: usize) -> Option<f64> {
        let supervised = self.good(self.encoder("Supervised")?, task)?;
        (supervised != 0.0).then_some((self.good(encoder, task)? - supervised) / supervised.abs())
    }

    fn column(&self, task: usize) -> Vec<f64> {
        (0..self.encoders.len()).filter_map(|e| self.good(e, task)).collect()
    }

    /// The best encoder of a task among those that pass.
    pub fn best(&self, task: usize, pass: impl Fn(&Encoder) -> bool) -> Option<usize> {
        let scores = (0..self.encoders.len())
            .filter(|e| pass(&self.encoders[*e]))
            .filter_map(|e| Some((e, self.good(e, task)?)));
        scores.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(e, _)| e)
    }

    /// Only the given columns.
    #[must_use]
    pub fn only_tasks(&self, keep: &[usize]) -> Self {
        let cells = || (0..self.encoders.len()).flat_map(|e| keep.iter().map(move |t| (e, *t)));
        let values = cells().map(|(e, t)| self.score(e, t)).collect();
        let errors = cells().map(|(e, t)| self.error(e, t)).collect();
        Self { tasks: keep.iter().map(|t| self.tasks[*t].clone()).collect(), values, errors, ..self.clone() }
    }
}
