//! Per-sample results of a run in a compressed file, from which its score under either
//! protocol, confusion matrices and intervals are computed without a device.

use crate::score::metric::SampleScore;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;
use virboard_nn::files::write_atomically;

/// The test set of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task.
    pub task: String,
    /// Names of the classes, in the order of their numbers.
    pub labels: Vec<String>,
    /// What the samples are called.
    pub names: Vec<String>,
    /// One entry a name.
    pub samples: Vec<SampleScore>,
}

impl Predictions {
    /// Writes the file: JSON under Zstandard.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bad =
            |reason: String| Error::Unusable { path: path.to_path_buf(), what: "list of per-sample results", reason };
        let json = serde_json::to_vec(self).map_err(|e| bad(e.to_string()))?;
        let packed = zstd::bulk::compress(&json, 9).map_err(Error::io(path))?;
        write_atomically(path, |file| file.write_all(&packed).map_err(Error::io(path)))
    }

    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self> {
        let bad =
            |reason: String| Error::Unusable { path: path.to_path_buf(), what: "list of per-sample results", reason };
        let file = std::fs::File::open(path).map_err(Error::io(path))?;
        let reader = zstd::Decoder::new(file).map_err(Error::io(path))?;
        serde_json::from_reader(reader).map_err(|e| bad(format!("it is damaged: {e}")))
    }
}
