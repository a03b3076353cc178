//! Which encoder to use, for whoever says what matters.

use super::{Row, Sheet};
use crate::catalogue::task::Category;
use crate::statistics::Resampler;

/// Resampled sets of tasks.
const ROUNDS: usize = 400;
/// The largest weight.
pub const MOST: u8 = 4;

/// What matters to a reader: the query of the page's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Weight of each category as a whole, 0 to [`MOST`]; its tasks share it.
    pub categories: [u8; 4],
    /// Keys of tasks that count otherwise than once within their category, 0 to [`MOST`].
    pub tasks: Vec<(String, u8)>,
    /// Only encoders trained in this way, by its slug.
    pub method: Option<String>,
    /// Only encoders trained on this, by its slug.
    pub pretraining: Option<String>,
    /// Only encoders trained for at most so many epochs.
    pub epochs: Option<u32>,
    /// Only encoders whose licence allows commercial use.
    pub commercial: bool,
    /// Only encoders whose weights are on this server.
    pub ready: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            categories: [1; 4],
            tasks: Vec::new(),
            method: None,
            pretraining: None,
            epochs: None,
            commercial: false,
            ready: false,
        }
    }
}

impl Wish {
    /// Reads the query of an address for the tasks of `sheet`; what it does not know is ignored.
    #[must_use]
    pub fn from_query(sheet: &Sheet, get: impl Fn(&str) -> Option<String>) -> Self {
        let weight = |key: &str| get(key).and_then(|v| v.parse::<u8>().ok()).map(|w| w.min(MOST));
        let tasks = sheet.columns.iter().filter_map(|c| Some((c.key.clone(), weight(&format!("task-{}", c.key))?)));
        Self {
            categories: Category::ALL.map(|c| weight(c.slug()).unwrap_or(1)),
            tasks: tasks.filter(|t| t.1 != 1).collect(),
            method: get("method").filter(|v| super::safe(v)),
            pretraining: get("dataset").filter(|v| super::safe(v)),
            epochs: get("epochs").and_then(|v| v.parse().ok()),
            commercial: get("commercial").is_some_and(|v| v == "1"),
            ready: get("ready").is_some_and(|v| v == "1"),
        }
    }

    /// How often a task counts within its category.
    #[must_use]
    pub fn of_task(&self, key: &str) -> u8 {
        self.tasks.iter().find(|t| t.0 == key).map_or(1, |t| t.1)
    }

    fn allows(&self, row: &Row) -> bool {
        self.method.as_ref().is_none_or(|m| *m == row.method.slug())
            && self.pretraining.as_ref().is_none_or(|p| *p == row.pretraining.slug())
            && self.epochs.is_none_or(|most| row.epochs.is_none_or(|e| e <= most))
            && (!self.commercial || row.commercial)
            && (!self.ready || row.ready)
    }
}

/// An encoder under the reader's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its row.
    pub row: usize,
    /// Weighted mean of its standardised scores: deviations above the average encoder.
    pub score: f64,
    /// Share of resampled sets of tasks in which it comes first.
    pub wins: f64,
    /// The column that speaks most for it, and the one that speaks most against it.
    pub extremes: Option<(usize, usize)>,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Advice {
    /// Encoders with a score on every task that counts, the best first.
    pub candidates: Vec<Candidate>,
    /// Columns that count.
    pub tasks: Vec<usize>,
    /// Allowed encoders with scores that lack one on a task that counts.
    pub incomplete: usize,
    /// Encoders, allowed or not, with a score on every task that counts: those to which the
    /// candidates are compared.
    pub compared: usize,
}

/// Fewer encoders are no choice: what is best of them says little of what is good.
pub const FEWEST: usize = 10;

/// Why nothing is recommended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withheld {
    /// No encoder has what counts.
    Nothing,
    /// Fewer than [`FEWEST`] encoders were compared.
    Few,
    /// The first one is there to be compared with.
    Baseline,
}

impl Sheet {
    /// Ranks the encoders that `wish` allows by what it asks for. A task of which fewer than
    /// half of the allowed encoders with scores have one does not count.
    #[must_use]
    pub fn advise(&self, wish: &Wish) -> Advice {
        let z = |row: usize, column: usize| self.columns[column].normalised(row, None);
        let scored = |row: &usize| (0..self.columns.len()).any(|c| z(*row, c).is_some());
        let allowed: Vec<usize> = (0..self.rows.len()).filter(|r| wish.allows(&self.rows[*r])).filter(scored).collect();
        let measured = |c: &usize| 2 * allowed.iter().filter(|r| z(**r, *c).is_some()).count() >= allowed.len().max(1);
        let own = |c: usize| f64::from(wish.of_task(&self.columns[c].key));
        let category = |c: usize| self.columns[c].category as usize;
        let tasks: Vec<usize> = (0..self.columns.len())
            .filter(measured)
            .filter(|c| wish.categories[category(*c)] > 0 && own(*c) > 0.0)
            .collect();
        let weights: Vec<f64> = tasks
            .iter()
            .map(|c| {
                let all: f64 = tasks.iter().filter(|o| category(**o) == category(*c)).map(|o| own(*o)).sum();
                f64::from(wish.categories[category(*c)]) * own(*c) / all
            })
            .collect();
        let complete: Vec<(usize, Vec<f64>)> = allowed
            .iter()
            .filter_map(|r| Some((*r, tasks.iter().map(|c| z(*r, *c)).collect::<Option<Vec<f64>>>()?)))
            .collect();
        let incomplete = allowed.len() - complete.len();
        if tasks.is_empty() || complete.is_empty() {
            return Advice { incomplete, ..Advice::default() };
        }
        let compared = (0..self.rows.len()).filter(|r| tasks.iter().all(|c| z(*r, *c).is_some())).count();
        let weighted = |scores: &[f64], some: &[usize]| {
            let total: f64 = some.iter().map(|i| weights[*i]).sum();
            some.iter().map(|i| weights[*i] * scores[*i]).sum::<f64>() / total
        };
        let all: Vec<usize> = (0..tasks.len()).collect();
        let mut wins = vec![0usize; complete.len()];
        let mut resampler = Resampler::default();
        let mut drawn = all.clone();
        for _ in 0..ROUNDS {
            resampler.draw(tasks.len(), &mut drawn);
            let scores = complete.iter().map(|(_, s)| weighted(s, &drawn)).enumerate();
            if let Some((first, _)) = scores.max_by(|a, b| a.1.total_cmp(&b.1)) {
                wins[first] += 1;
            }
        }
        let mut candidates: Vec<Candidate> = complete
            .iter()
            .zip(wins)
            .map(|((row, scores), wins)| {
                let part = |i: &usize| weights[*i] * scores[*i];
                let best = all.iter().copied().max_by(|a, b| part(a).total_cmp(&part(b)));
                let worst = all.iter().copied().min_by(|a, b| part(a).total_cmp(&part(b)));
                Candidate {
                    row: *row,
                    score: weighted(scores, &all),
                    wins: wins as f64 / ROUNDS as f64,
                    extremes: best.zip(worst).map(|(b, w)| (tasks[b], tasks[w])),
                }
            })
            .collect();
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        Advice { candidates, tasks, incomplete, compared }
    }

    /// The candidate that can be recommended, or why none can.
    pub fn recommended<'a>(&self, advice: &'a Advice) -> Result<&'a Candidate, Withheld> {
        match advice.candidates.first() {
            None => Err(Withheld::Nothing),
            Some(_) if advice.compared < FEWEST => Err(Withheld::Few),
            Some(first) if self.rows[first.row].baseline => Err(Withheld::Baseline),
            Some(first) => Ok(first),
        }
    }
}
