//! Who is best over all tasks: computed here and nowhere else.

use super::Matrix;
use crate::catalogue::task::Category;
use crate::statistics::{Interval, Resampler, mean_ranks};
use crate::words::counted;
use serde::{Deserialize, Serialize};

/// Resampled sets of tasks and test samples.
const ROUNDS: usize = 1000;
/// An encoder is as good as the leader of its group if it is at least level in so many sets.
const TIED: f64 = 0.05;

/// An encoder's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Key of the encoder.
    pub encoder: String,
    /// Place by mean rank, from 1; equal ones share the better.
    pub place: usize,
    /// Mean over the common tasks of its rank among the compared encoders.
    pub mean_rank: f64,
    /// Where the mean rank lies when tasks are drawn anew, and test samples where the results of
    /// each are kept. `None` with a single task of unknown samples.
    pub interval: Option<Interval>,
    /// Places that it takes in the same draws.
    pub places: Option<Interval>,
    /// Share of the other encoders that it beats, over all common tasks (Borda's count).
    pub borda: f64,
    /// Share of the drawn sets in which it comes first.
    pub first: f64,
    /// Number of the group of encoders that cannot be told apart from the group's first, from 1.
    pub group: usize,
    /// Mean rank within each of the four categories that has a common task.
    pub categories: [Option<f64>; 4],
}

/// All places, and over what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Standings {
    /// Keys of the tasks that all compared encoders have.
    pub tasks: Vec<String>,
    /// The compared encoders, the best first.
    pub places: Vec<Standing>,
    /// Encoders with some scores that were left out so that enough tasks stay in common, with
    /// the number of their scores.
    pub left_out: Vec<(String, usize)>,
    /// Whether test samples were drawn anew, not only tasks.
    pub sampled: bool,
}

impl Standings {
    /// The place of an encoder.
    #[must_use]
    pub fn of(&self, encoder: &str) -> Option<&Standing> {
        self.places.iter().find(|s| s.encoder == encoder)
    }

    /// A sentence about what is compared.
    #[must_use]
    pub fn coverage(&self) -> String {
        let out: Vec<&str> = self.left_out.iter().map(|(key, _)| key.as_str()).collect();
        let out = match out.len() {
            0 => String::new(),
            n if n <= 4 => format!(" Left out, because they lack too many of them: {}.", out.join(", ")),
            n => format!(" {n} encoders with scores on fewer tasks are left out."),
        };
        format!(
            "Mean ranks of {} encoders over the {} that all of them have.{out}",
            self.places.len(),
            counted(self.tasks.len(), "task")
        )
    }
}

/// The encoders and tasks with the most scores that form a table without holes: encoders with
/// the fewest scores are dropped as long as that leaves more cells.
#[must_use]
pub fn common(matrix: &Matrix) -> (Vec<usize>, Vec<usize>) {
    let filled = |e: usize| (0..matrix.tasks.len()).filter(|t| matrix.score(e, *t).is_some()).count();
    let mut rows: Vec<usize> = (0..matrix.encoders.len()).filter(|e| filled(*e) > 0).collect();
    rows.sort_by_key(|e| std::cmp::Reverse(filled(*e)));
    let mut holes: Vec<usize> =
        (0..matrix.tasks.len()).map(|t| rows.iter().filter(|e| matrix.score(**e, t).is_none()).count()).collect();
    let mut best = (0, rows.len());
    for kept in (1..=rows.len()).rev() {
        let cells = kept * holes.iter().filter(|h| **h == 0).count();
        if cells > best.0 {
            best = (cells, kept);
        }
        for (t, h) in holes.iter_mut().enumerate() {
            *h -= usize::from(matrix.score(rows[kept - 1], t).is_none());
        }
    }
    rows.truncate(best.1);
    rows.sort_unstable();
    let full = |t: &usize| rows.iter().all(|e| matrix.score(*e, *t).is_some());
    let tasks = if best.0 == 0 { Vec::new() } else { (0..matrix.tasks.len()).filter(full).collect() };
    (rows, tasks)
}

/// Ranks of `rows` on a task: 1 for the best, equal ones share the mean.
#[must_use]
pub fn task_ranks(matrix: &Matrix, rows: &[usize], task: usize) -> Vec<f64> {
    let bad: Vec<f64> = rows.iter().map(|e| -matrix.good(*e, task).unwrap_or(f64::NEG_INFINITY)).collect();
    mean_ranks(&bad)
}

/// The same with other test samples: each score moves by its standard error, as if encoders
/// were tested on samples of their own. They share them, so true intervals are narrower.
fn drawn_ranks(matrix: &Matrix, rows: &[usize], task: usize, resampler: &mut Resampler) -> Vec<f64> {
    let mut one = |e: usize| {
        let moved = matrix.error(e, task) * resampler.normal();
        moved - matrix.good(e, task).unwrap_or(f64::NEG_INFINITY)
    };
    mean_ranks(&rows.iter().map(|e| one(*e)).collect::<Vec<_>>())
}

/// Places over all encoders and tasks that leave no holes.
#[must_use]
pub fn standings(matrix: &Matrix) -> Standings {
    let (rows, tasks) = common(matrix);
    if rows.is_empty() || tasks.is_empty() {
        return Standings::default();
    }
    let ranks: Vec<Vec<f64>> = tasks.iter().map(|t| task_ranks(matrix, &rows, *t)).collect();
    let all: Vec<usize> = (0..tasks.len()).collect();
    let sampled = tasks.iter().any(|t| rows.iter().any(|e| matrix.error(*e, *t) > 0.0));
    let means = mean_over(&ranks, &all, rows.len());
    let mut draws = Draws::new(rows.len());
    if tasks.len() > 1 || sampled {
        let mut resampler = Resampler::default();
        let mut some = vec![0; tasks.len()];
        for _ in 0..ROUNDS {
            resampler.draw(tasks.len(), &mut some);
            if sampled {
                let ranks: Vec<Vec<f64>> =
                    some.iter().map(|t| drawn_ranks(matrix, &rows, tasks[*t], &mut resampler)).collect();
                draws.add(mean_over(&ranks, &all, rows.len()));
            } else {
                draws.add(mean_over(&ranks, &some, rows.len()));
            }
        }
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| means[*a].total_cmp(&means[*b]));
    let (mut leader, mut group) = (order[0], 1);
    let mut places = Vec::with_capacity(rows.len());
    for i in order {
        if draws.level(i, leader).is_none_or(|share| share < TIED) && means[i] > means[leader] {
            (leader, group) = (i, group + 1);
        }
        let of = |c: Category| {
            let own: Vec<usize> = all.iter().copied().filter(|t| matrix.tasks[tasks[*t]].category == c).collect();
            (!own.is_empty()).then(|| own.iter().map(|t| ranks[*t][i]).sum::<f64>() / own.len() as f64)
        };
        let others = (rows.len() - 1).max(1) as f64;
        places.push(Standing {
            encoder: matrix.encoders[rows[i]].key.clone(),
            place: 1 + means.iter().filter(|m| **m < means[i] - 1e-9).count(),
            mean_rank: means[i],
            interval: Interval::of(draws.means.iter().map(|d| d[i]).collect()),
            places: Interval::of(draws.places.iter().map(|d| d[i] as f64).collect()),
            borda: (rows.len() as f64 - means[i]) / others,
            first: draws.first[i],
            group,
            categories: Category::ALL.map(of),
        });
    }
    let left = |e: usize| (0..matrix.tasks.len()).filter(|t| matrix.score(e, *t).is_some()).count();
    let left_out = (0..matrix.encoders.len())
        .filter(|e| !rows.contains(e) && left(*e) > 0)
        .map(|e| (matrix.encoders[e].key.clone(), left(e)))
        .collect();
    Standings { tasks: tasks.iter().map(|t| matrix.tasks[*t].key.clone()).collect(), places, left_out, sampled }
}

fn mean_over(ranks: &[Vec<f64>], tasks: &[usize], n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for t in tasks {
        sums.iter_mut().zip(&ranks[*t]).for_each(|(s, r)| *s += r);
    }
    for s in &mut sums {
        *s /= tasks.len() as f64;
    }
    sums
}

/// Mean ranks in each drawn set.
struct Draws {
    means: Vec<Vec<f64>>,
    places: Vec<Vec<usize>>,
    first: Vec<f64>,
}

impl Draws {
    fn new(n: usize) -> Self {
        Self { means: Vec::new(), places: Vec::new(), first: vec![0.0; n] }
    }

    fn add(&mut self, means: Vec<f64>) {
        let mut sorted = means.clone();
        sorted.sort_by(f64::total_cmp);
        let places: Vec<usize> = means.iter().map(|m| 1 + sorted.partition_point(|s| *s < m - 1e-9)).collect();
        let winners = places.iter().filter(|p| **p == 1).count() as f64;
        for (first, place) in self.first.iter_mut().zip(&places) {
            *first += if *place == 1 { 1.0 / winners / ROUNDS as f64 } else { 0.0 };
        }
        self.means.push(means);
        self.places.push(places);
    }

    /// Share of the sets in which `a` is at least level with `b`; `None` without sets.
    fn level(&self, a: usize, b: usize) -> Option<f64> {
        let level = self.means.iter().filter(|m| m[a] <= m[b] + 1e-9).count();
        (!self.means.is_empty()).then(|| level as f64 / self.means.len() as f64)
    }
}
