//! The state of a pre-training between two steps, in a file that is whole or not there. A run
//! that is taken up again from it goes on to the same bit: order, views and everything that is
//! drawn depend on the seed and on the number of the epoch and the step alone.

use super::curve::EpochRecord;
use crate::kept::{Kind, Tensors};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

const STATE: Kind = Kind {
    entry: "virboard_pretraining",
    what: "state of a pre-training",
    other: "it belongs to another run; move it away to begin anew",
    damaged: "its tensors are damaged; move it away to begin anew",
};

/// Where a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct At {
    /// Epochs that are over.
    pub epoch: u32,
    /// Steps of the epoch that are made.
    pub step: u64,
    /// Sum of their losses.
    pub losses: f64,
    /// Steps of the optimiser in all.
    pub steps: u64,
    /// The epochs that are over.
    pub curve: Vec<EpochRecord>,
}

#[derive(Serialize, Deserialize)]
struct Rest {
    at: At,
}

/// Writes where a run is and its tensors.
pub fn save(path: &Path, identity: &str, at: &At, tensors: &Tensors) -> Result<()> {
    STATE.save(path, identity, Rest { at: at.clone() }, tensors)
}

/// Where a run was when it was interrupted, and its tensors; nothing if it has not begun.
///
/// # Errors
/// [`Error::Unusable`] for a file that is damaged or of another run.
pub fn load(path: &Path, identity: &str) -> Result<Option<(At, Tensors)>> {
    if !path.try_exists().map_err(Error::io(path))? {
        return Ok(None);
    }
    let (rest, tensors): (Rest, Tensors) = STATE.load(path, identity)?;
    Ok(Some((rest.at, tensors)))
}
