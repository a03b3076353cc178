//! The state of a pre-training between two steps, in a file that is whole or not there. A run
//! that is taken up again from it goes on to the same bit: order, views and everything that is
//! drawn depend on the seed and on the number of the epoch and the step alone.

use super::curve::EpochRecord;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use virboard_nn::files::{sha256, write_through};

const METADATA: &str = "virboard_pretraining";

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
struct Description {
    /// What is trained on what; with another the file is of no use.
    identity: String,
    at: At,
    /// SHA-256 of the tensors' bytes.
    sha256: String,
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// Writes tensors with what is known of them, through a temporary file.
pub fn write(path: &Path, tensors: &Tensors, metadata: (&str, String)) -> Result<()> {
    let bad = |e: safetensors::SafeTensorError| unusable(path, e.to_string());
    let metadata = HashMap::from([(metadata.0.to_owned(), metadata.1)]);
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(bad)?;
    write_through(path, |file| file.write_all(&bytes).map_err(Error::io(path)))
}

/// Writes where a run is and its tensors.
pub fn save(path: &Path, identity: &str, at: &At, tensors: &Tensors) -> Result<()> {
    let body = safetensors::serialize(tensors, None).map_err(|e| unusable(path, e.to_string()))?;
    let description = Description { identity: identity.to_owned(), at: at.clone(), sha256: sha256(&body) };
    drop(body);
    let description = serde_json::to_string(&description).map_err(|e| unusable(path, e.to_string()))?;
    write(path, tensors, (METADATA, description))
}

/// Where a run was when it was interrupted, and its tensors; nothing if it has not begun.
///
/// # Errors
/// [`Error::Unusable`] for a file that is damaged or of another run.
pub fn load(path: &Path, identity: &str) -> Result<Option<(At, Tensors)>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path)(e)),
    };
    let bad = |reason: String| unusable(path, reason);
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| bad(e.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(METADATA));
    let text = text.ok_or_else(|| bad("it has no description".to_owned()))?;
    let description: Description = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
    if description.identity != identity {
        return Err(bad("it belongs to another run; move it away to begin anew".to_owned()));
    }
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| bad(e.to_string()))?;
    let tensors: Tensors = tensors.into_iter().collect();
    let body = safetensors::serialize(&tensors, None).map_err(|e| bad(e.to_string()))?;
    if sha256(&body) != description.sha256 {
        return Err(bad("its tensors are damaged; move it away to begin anew".to_owned()));
    }
    Ok(Some((description.at, tensors)))
}

fn unusable(path: &Path, reason: String) -> Error {
    Error::Unusable { path: path.to_path_buf(), what: "state of a pre-training", reason }
}
