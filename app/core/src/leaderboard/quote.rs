//! What stands in a cell without a score, if others published a number for it.

use crate::catalogue::encoder::Encoder;
use crate::catalogue::published::quoted::comparable;
use crate::catalogue::task::Task;
use serde::{Deserialize, Serialize};

/// A published number in a cell without a score: shown, and never ranked, ordered or computed with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// Index of the encoder's row.
    pub row: usize,
    /// In the unit of the task's scores.
    pub value: f64,
    /// What it is, how it came about and where it was published, in sentences.
    pub about: String,
}

impl Quote {
    /// The published number that comes nearest to the score of an encoder on a task, where there is a comparable one.
    #[must_use]
    pub fn of(row: usize, encoder: &Encoder, task: &Task) -> Option<Self> {
        let mut found = comparable(&encoder.key, &task.key);
        let first = found.next()?;
        let (number, source) = (first.number, first.source);
        let more = match found.count() {
            0 => String::new(),
            n => format!(" It is the first of {}; all are on the encoder’s page.", n + 1),
        };
        let about = format!(
            "{} on {}: {} % {}, published elsewhere, not measured here and in no rank. {}. From {}.{more}",
            encoder.name,
            task.name,
            task.metric.format(number.value),
            number.metric,
            source.protocol,
            source.title,
        );
        Some(Self { row, value: number.value, about })
    }
}
