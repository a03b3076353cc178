//! Encoders beside tasks: how the runs of each pair stand, and where there are none.

use super::row::State;
use super::runs::Runs;
use crate::catalogue::task::Metric;
use std::collections::HashMap;

/// The runs of an encoder on a task.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GridCell {
    /// How many are in each state, in the order of [`State::ALL`].
    pub states: [usize; State::ALL.len()],
    /// The best score of them.
    pub best: Option<f64>,
    /// Number of the run that has it.
    pub run: i64,
    /// Where the best score lies between the worst and the best of its task, from 0 to 1.
    pub share: Option<f64>,
}

impl GridCell {
    /// How many runs there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.states.iter().sum()
    }

    /// The state that says most of the cell: what goes on, then what is done, then what went wrong.
    #[must_use]
    pub fn state(&self) -> State {
        const ORDER: [State; 6] =
            [State::Running, State::Queued, State::Finished, State::Failed, State::Interrupted, State::Cancelled];
        ORDER.into_iter().find(|s| self.states[*s as usize] > 0).unwrap_or_default()
    }
}

/// Encoders beside tasks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grid {
    /// Keys of the encoders.
    pub encoders: Vec<String>,
    /// Keys of the tasks.
    pub tasks: Vec<String>,
    /// A cell for each pair, row by row; nothing where there is no run.
    pub cells: Vec<Option<GridCell>>,
}

impl Grid {
    /// The grid of the runs at these places. Keys stand in the order of `encoders` and `tasks`;
    /// those that are not among them come last, by letters.
    #[must_use]
    pub fn of(runs: &Runs, places: &[usize], encoders: &[&str], tasks: &[&str]) -> Self {
        let rows = || places.iter().map(|at| &runs.rows()[*at]);
        let encoders = ordered(rows().map(|r| r.encoder.as_str()), encoders);
        let tasks = ordered(rows().map(|r| r.task.as_str()), tasks);
        let at = |keys: &[String]| -> HashMap<String, usize> {
            keys.iter().enumerate().map(|(i, k)| (k.clone(), i)).collect()
        };
        let (row_of, column_of) = (at(&encoders), at(&tasks));
        let mut cells: Vec<Option<GridCell>> = vec![None; encoders.len() * tasks.len()];
        let mut signs = vec![1.0; tasks.len()];
        for run in rows() {
            let (row, column) = (row_of[&run.encoder], column_of[&run.task]);
            let cell = cells[row * tasks.len() + column].get_or_insert_default();
            cell.states[run.state as usize] += 1;
            let sign = run.metric.map_or(1.0, Metric::sign);
            signs[column] = sign;
            if let Some(score) = run.score
                && cell.best.is_none_or(|best| sign * score > sign * best)
            {
                (cell.best, cell.run) = (Some(score), run.id);
            }
        }
        let (height, width) = (encoders.len(), tasks.len());
        for (column, sign) in signs.iter().enumerate() {
            let column = || (0..height).map(move |row| row * width + column);
            let scores: Vec<f64> = column().filter_map(|at| cells[at]?.best).map(|s| sign * s).collect();
            let low = scores.iter().copied().fold(f64::INFINITY, f64::min);
            let span = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
            for at in column() {
                if let Some(cell) = &mut cells[at] {
                    cell.share = cell.best.map(|s| if span > 0.0 { (sign * s - low) / span } else { 1.0 });
                }
            }
        }
        Self { encoders, tasks, cells }
    }

    /// How many pairs have no run.
    #[must_use]
    pub fn holes(&self) -> usize {
        self.cells.iter().filter(|c| c.is_none()).count()
    }

    /// The cell of a row and a column.
    #[must_use]
    pub fn cell(&self, row: usize, column: usize) -> Option<&GridCell> {
        self.cells[row * self.tasks.len() + column].as_ref()
    }
}

/// Each key once, in the order of `known`.
fn ordered<'a>(keys: impl Iterator<Item = &'a str>, known: &[&str]) -> Vec<String> {
    let place: HashMap<&str, usize> = known.iter().enumerate().map(|(i, k)| (*k, i)).collect();
    let mut all: Vec<&str> = keys.collect();
    all.sort_unstable();
    all.dedup();
    all.sort_by_key(|k| place.get(k).copied().unwrap_or(usize::MAX));
    all.into_iter().map(str::to_owned).collect()
}
