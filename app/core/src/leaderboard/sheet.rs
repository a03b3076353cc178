//! The numbers of a suite.

use super::{Quote, Spread, seen};
use crate::analysis::Matrix;
use crate::analysis::standing::standings;
use crate::catalogue::encoder::{Method, Pretraining};
use crate::catalogue::task::{Category, Metric};
use crate::catalogue::{Catalogue, Suite, published::published};
use crate::protocol::Protocol;
use crate::run::{Origin, Score};
use crate::statistics::{Interval, places};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// A score was imported.
const IMPORTED: u8 = 1;
/// A score is by ViRB's own protocol.
const VIRB: u8 = 2;
/// The encoder has seen the task's images.
const SEEN: u8 = 4;
/// The encoder is shown beside the others and not ranked.
const REFERENCE: u8 = 8;

/// An encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// How it was trained.
    pub method: Method,
    /// On what.
    pub pretraining: Pretraining,
    /// For how long.
    pub epochs: Option<u32>,
    /// Whether the licence of its weights allows commercial use.
    pub commercial: bool,
    /// Whether its weights are here.
    pub ready: bool,
    /// Whether it is there to be compared with, and no choice.
    #[serde(default)]
    pub baseline: bool,
    /// Its place among the encoders that can be compared.
    pub place: Option<Place>,
}

/// Where an encoder stands by its mean rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub place: usize,
    /// Mean of its ranks over the common tasks.
    pub mean_rank: f64,
    /// Places that it takes in 95 % of draws of tasks, and of test samples where known.
    pub between: Option<(f64, f64)>,
    /// Number of its group of encoders that cannot be told apart, from 1.
    pub group: usize,
    /// Mean rank within each category.
    pub categories: [Option<f64>; 4],
}

/// A task with all scores on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// What it asks.
    pub description: String,
    /// What is to be known before one trusts a score on it.
    pub caveat: String,
    /// Whether its pictures are rendered, so that heads guess on photographs.
    #[serde(default)]
    pub rendered: bool,
    /// Its category.
    pub category: Category,
    /// How it is scored.
    pub metric: Metric,
    /// Unit of a score that is no share.
    pub unit: String,
    /// Lowest and highest published score, and of how many.
    pub published: Option<(f64, f64, usize)>,
    /// Score of the best constant answer.
    pub constant: Option<f64>,
    /// A score a row, in the metric's own unit and sign.
    pub scores: Vec<Option<f64>>,
    marks: Vec<u8>,
    /// Standard deviation over seeds, a row each; empty where there are none at all.
    pub spreads: Vec<Option<f64>>,
    /// Where scores lie with a confidence of 95 % when test samples are drawn anew, a row each;
    /// empty where none is known.
    #[serde(default)]
    pub intervals: Vec<Option<Interval>>,
    /// What others published for rows without a score. Nothing is computed with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotes: Vec<Quote>,
    /// Computed when it is first asked for.
    #[serde(skip)]
    derived: OnceLock<Derived>,
}

/// What follows from a column's scores.
#[derive(Debug, Clone, Default, PartialEq)]
struct Derived {
    ranks: Vec<usize>,
    heat: Vec<f64>,
    of: [usize; 2],
    /// Of the scores by the protocol that has more of them.
    mean: f64,
    deviation: f64,
    virb: bool,
}

impl Column {
    /// A column of scores with nothing special to any of them.
    #[must_use]
    pub fn new(key: &str, name: &str, category: Category, metric: Metric, scores: Vec<Option<f64>>) -> Self {
        let marks = vec![0; scores.len()];
        Self {
            key: key.to_owned(),
            name: name.to_owned(),
            description: String::new(),
            caveat: String::new(),
            rendered: false,
            constant: None,
            category,
            metric,
            unit: String::new(),
            published: None,
            scores,
            marks,
            spreads: Vec::new(),
            intervals: Vec::new(),
            quotes: Vec::new(),
            derived: OnceLock::new(),
        }
    }

    /// Whether a row's score was imported.
    #[must_use]
    pub fn imported(&self, row: usize) -> bool {
        self.marks[row] & IMPORTED != 0
    }

    /// Whether a row's score is by ViRB's own protocol.
    #[must_use]
    pub fn virb(&self, row: usize) -> bool {
        self.marks[row] & VIRB != 0
    }

    /// Whether a row's encoder has seen the task's images.
    #[must_use]
    pub fn seen(&self, row: usize) -> bool {
        self.marks[row] & SEEN != 0
    }

    /// Whether a row's encoder is a reference, which has no rank.
    #[must_use]
    pub fn reference(&self, row: usize) -> bool {
        self.marks[row] & REFERENCE != 0
    }

    /// 1 for the best among the scores by the same protocol; equal ones share the better rank.
    /// 0 without a score and for a reference.
    #[must_use]
    pub fn rank(&self, row: usize) -> usize {
        self.derived().ranks[row]
    }

    /// The ranks that a row can have when test samples are drawn anew: others whose whole
    /// interval is better stand before it, those whose whole interval is worse behind. Encoders
    /// share the samples, so this is rather too wide. `None` where its interval is not known.
    #[must_use]
    pub fn rank_between(&self, row: usize) -> Option<(usize, usize)> {
        let (low, high) = self.between(row).filter(|_| self.interval(row).is_some() && !self.reference(row))?;
        let others: Vec<(f64, f64)> = (0..self.scores.len())
            .filter(|r| *r != row && self.virb(*r) == self.virb(row) && !self.reference(*r))
            .filter_map(|r| self.between(r))
            .collect();
        let before = others.iter().filter(|o| o.0 > high).count();
        let behind = others.iter().filter(|o| o.1 < low).count();
        Some((1 + before, others.len() + 1 - behind))
    }

    /// What others published for a row that has no score.
    #[must_use]
    pub fn quote(&self, row: usize) -> Option<&Quote> {
        self.quotes.iter().find(|q| q.row == row)
    }

    /// Where a row's score lies when test samples are drawn anew, if that is known.
    #[must_use]
    pub fn interval(&self, row: usize) -> Option<Interval> {
        self.intervals.get(row).copied().flatten()
    }

    /// The same with more being better; a score alone is its own interval.
    fn between(&self, row: usize) -> Option<(f64, f64)> {
        let score = self.good(row)?;
        Some(self.interval(row).map_or((score, score), |i| {
            let (one, other) = (self.metric.sign() * i.low, self.metric.sign() * i.high);
            (one.min(other), one.max(other))
        }))
    }

    /// Rows with a score, the best first and references last.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.scores.len()).filter(|r| self.scores[*r].is_some()).collect();
        rows.sort_by_key(|r| (self.reference(*r), self.rank(*r)));
        rows
    }

    /// A row's rank as lists show it.
    #[must_use]
    pub fn rank_text(&self, row: usize) -> String {
        if self.rank(row) == 0 { "–".to_owned() } else { self.rank(row).to_string() }
    }

    /// How many scores there are by the same protocol.
    #[must_use]
    pub fn of(&self, row: usize) -> usize {
        self.derived().of[usize::from(self.virb(row))]
    }

    /// 0 for the worst score by the same protocol, 1 for the best.
    #[must_use]
    pub fn heat(&self, row: usize) -> f64 {
        self.derived().heat[row]
    }

    /// The score with its sign turned where less is better.
    fn good(&self, row: usize) -> Option<f64> {
        self.scores[row].map(|s| self.metric.sign() * s)
    }

    /// Improvement over the score of row `base` as a share of its amount.
    #[must_use]
    pub fn relative(&self, row: usize, base: usize) -> Option<f64> {
        let base = self.good(base).filter(|_| self.virb(base) == self.virb(row))?;
        (base != 0.0).then_some((self.good(row)? - base) / base.abs())
    }

    /// How many standard deviations better than row `base`, or than the mean without one, over
    /// the scores by the protocol that has more of them; others cannot be compared with those.
    #[must_use]
    pub fn normalised(&self, row: usize, base: Option<usize>) -> Option<f64> {
        let comparable = |r: &usize| self.virb(*r) == self.derived().virb;
        let zero = base.filter(comparable).and_then(|b| self.good(b)).unwrap_or(self.derived().mean);
        (comparable(&row) && self.derived().deviation > 0.0)
            .then_some((self.good(row)? - zero) / self.derived().deviation)
    }

    fn derived(&self) -> &Derived {
        self.derived.get_or_init(|| self.derive())
    }

    fn derive(&self) -> Derived {
        let n = self.scores.len();
        let mut d = Derived { ranks: vec![0; n], heat: vec![0.0; n], ..Derived::default() };
        for virb in [false, true] {
            let rows = (0..n).filter(|r| self.virb(*r) == virb && !self.reference(*r));
            let (rows, good): (Vec<usize>, Vec<f64>) = rows.filter_map(|r| Some((r, self.good(r)?))).unzip();
            d.of[usize::from(virb)] = rows.len();
            let best = good.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let worst = good.iter().copied().fold(f64::INFINITY, f64::min);
            for ((row, score), rank) in rows.iter().zip(&good).zip(places(&good)) {
                d.ranks[*row] = rank;
                d.heat[*row] = if best > worst { (score - worst) / (best - worst) } else { 1.0 };
            }
        }
        let protocol = |r: &usize| if self.virb(*r) { Protocol::Virb } else { Protocol::Standard };
        let scored = (0..n).filter(|r| self.scores[*r].is_some());
        d.virb = Protocol::of_most(scored.map(|r| protocol(&r))) == Protocol::Virb;
        let ranked = (0..n).filter(|r| self.virb(*r) == d.virb && !self.reference(*r));
        let good: Vec<f64> = ranked.filter_map(|r| self.good(r)).collect();
        if !good.is_empty() {
            d.mean = good.iter().sum::<f64>() / good.len() as f64;
            d.deviation = (good.iter().map(|g| (g - d.mean).powi(2)).sum::<f64>() / good.len() as f64).sqrt();
        }
        d
    }
}

/// All rows and columns of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// The suite.
    pub suite: Suite,
    /// Encoders.
    pub rows: Vec<Row>,
    /// Tasks, by category.
    pub columns: Vec<Column>,
    /// What the mean ranks are over; empty where nothing can be compared.
    pub coverage: String,
}

impl Sheet {
    /// The sheet of a suite's scores. `ready` tells whether an encoder's weights are here.
    #[must_use]
    pub fn of(
        catalogue: &Catalogue,
        suite: &Suite,
        results: &[Score],
        spreads: &[Spread],
        ready: impl Fn(&str) -> bool,
    ) -> Self {
        let encoders = catalogue.encoders_of(&suite.key, results, &ready);
        let standings = standings(&Matrix::of(catalogue, results, &suite.key, None));
        let rows: Vec<Row> = encoders
            .iter()
            .map(|e| Row {
                key: e.key.clone(),
                name: e.name.clone(),
                method: e.method.clone(),
                pretraining: e.pretraining.clone(),
                epochs: e.epochs,
                commercial: e.commercial(),
                baseline: e.is_baseline(),
                ready: ready(&e.key),
                place: standings.of(&e.key).filter(|_| standings.places.len() > 1).map(|s| Place {
                    place: s.place,
                    mean_rank: s.mean_rank,
                    between: s.places.map(|i| (i.low, i.high)),
                    group: s.group,
                    categories: s.categories,
                }),
            })
            .collect();
        let columns = catalogue.tasks_of(&suite.key).into_iter().map(|t| {
            let cells: Vec<Option<&Score>> =
                rows.iter().map(|r| results.iter().find(|c| c.encoder == r.key && c.task == t.key)).collect();
            let scores = cells.iter().map(|c| c.map(|c| c.value).filter(|s| s.is_finite())).collect();
            let mut column = Column::new(&t.key, &t.name, t.category, t.metric, scores);
            column.marks = rows
                .iter()
                .zip(&cells)
                .map(|(row, cell)| {
                    let p = cell.map(|c| &c.evidence);
                    let mark = |on: bool, mark: u8| if on { mark } else { 0 };
                    mark(p.is_some_and(|p| p.source == Origin::Imported), IMPORTED)
                        | mark(p.is_some_and(|p| p.protocol == Protocol::Virb), VIRB)
                        | mark(seen(&row.pretraining, &t), SEEN)
                        | mark(suite.is_reference(&row.key), REFERENCE)
                })
                .collect();
            if spreads.iter().any(|s| s.task == t.key) {
                let of = |r: &Row| spreads.iter().find(|s| s.task == t.key && s.encoder == r.key).map(|s| s.deviation);
                column.spreads = rows.iter().map(of).collect();
            }
            if cells.iter().flatten().any(|c| c.interval.is_some()) {
                column.intervals = cells.iter().map(|c| c.and_then(|c| c.interval)).collect();
            }
            let empty = encoders.iter().enumerate().filter(|(r, _)| column.scores[*r].is_none());
            column.quotes = empty.filter_map(|(row, e)| Quote::of(row, e, &t)).collect();
            t.description.clone_into(&mut column.description);
            t.caveat.clone_into(&mut column.caveat);
            column.rendered = t.rendered;
            column.constant = cells.iter().find_map(|c| c.and_then(|c| c.constant));
            t.unit.clone_into(&mut column.unit);
            column.published = published(&t.key).map(|p| (p.range().0, p.range().1, p.points.len()));
            column
        });
        let columns = columns.collect();
        let coverage = if standings.places.len() > 1 { standings.coverage() } else { String::new() };
        Self { suite: suite.clone(), rows, columns, coverage }
    }

    /// The row that others are compared with: Supervised's, if it has a score.
    #[must_use]
    pub fn base(&self) -> Option<usize> {
        let row = self.rows.iter().position(|r| r.baseline && r.method == Method::Supervised)?;
        self.columns.iter().any(|c| c.scores[row].is_some()).then_some(row)
    }

    /// Number of scores.
    #[must_use]
    pub fn filled(&self) -> usize {
        self.columns.iter().map(|c| c.scores.iter().flatten().count()).sum()
    }
}
