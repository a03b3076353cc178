//! Files of tensors from which interrupted work goes on: whole or not there, told whose they are
//! and whether their tensors are those that were written.

use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use virboard_nn::checkpoint::entry_of;
use virboard_nn::files::{sha256, write_through};

/// Tensors by name, on the CPU.
pub type Tensors = BTreeMap<String, Tensor>;

/// A kind of such files.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The entry of the file's metadata that describes it.
    pub entry: &'static str,
    /// What it should be, for messages.
    pub what: &'static str,
    /// What is said of a file that belongs to something else.
    pub other: &'static str,
    /// What is said of one whose tensors are not those that were written.
    pub damaged: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Description<D> {
    /// What is done with what; with another the file is of no use.
    identity: String,
    #[serde(flatten)]
    rest: D,
    /// SHA-256 of the tensors' bytes.
    sha256: String,
}

impl Kind {
    fn bad(self, path: &Path, reason: impl ToString) -> Error {
        Error::Unusable { path: path.to_path_buf(), what: self.what, reason: reason.to_string() }
    }

    /// Writes tensors, and what else is known beside them.
    pub fn save<D: Serialize>(self, path: &Path, identity: &str, rest: D, tensors: &Tensors) -> Result<()> {
        let body = safetensors::serialize(tensors, None).map_err(|e| self.bad(path, e))?;
        let description = Description { identity: identity.to_owned(), rest, sha256: sha256(&body) };
        drop(body);
        let description = serde_json::to_string(&description).map_err(|e| self.bad(path, e))?;
        write(path, tensors, self.entry, description)
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Unusable`] for a file that is damaged or belongs to something else.
    pub fn load<D: DeserializeOwned>(self, path: &Path, identity: &str) -> Result<(D, Tensors)> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let text = entry_of(&bytes, self.entry).map_err(|e| self.bad(path, e))?;
        let text = text.ok_or_else(|| self.bad(path, "it has no description"))?;
        let description: Description<D> = serde_json::from_str(&text).map_err(|e| self.bad(path, e))?;
        if description.identity != identity {
            return Err(self.bad(path, self.other));
        }
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|e| self.bad(path, e))?;
        drop(bytes);
        let tensors: Tensors = tensors.into_iter().collect();
        let body = safetensors::serialize(&tensors, None).map_err(|e| self.bad(path, e))?;
        if sha256(&body) != description.sha256 {
            return Err(self.bad(path, self.damaged));
        }
        Ok((description.rest, tensors))
    }
}

/// Writes tensors with an entry of metadata, through a temporary file.
pub fn write(path: &Path, tensors: &Tensors, entry: &str, text: String) -> Result<()> {
    let metadata = HashMap::from([(entry.to_owned(), text)]);
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| Error::Unusable {
        path: path.to_path_buf(),
        what: "file of tensors",
        reason: e.to_string(),
    })?;
    write_through(path, |file| file.write_all(&bytes).map_err(Error::io(path)))
}
