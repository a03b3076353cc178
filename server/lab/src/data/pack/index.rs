//! The index that ships with a small data set: `index.csv` packed with zstd.

use crate::data::declared::index::{self, Row};
use crate::error::PackError;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;

/// Name of the file, made of an `index.csv` by `zstd --ultra -22`.
pub const SHIPPED_INDEX: &str = "index.csv.zst";

/// Bytes that an index may unpack to.
const MOST: usize = 16 << 20;

/// An index that was read.
#[derive(Debug)]
pub struct Index {
    /// Its rows, each with its line.
    pub rows: Vec<Row>,
    text: String,
}

impl Index {
    /// Reads the index in a folder that ships.
    ///
    /// # Errors
    /// [`PackError::Index`] for one that is not as it should be.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(SHIPPED_INDEX);
        let packed = std::fs::read(&path).map_err(Error::io(&path))?;
        let bytes = zstd::bulk::decompress(&packed, MOST).map_err(Error::io(&path))?;
        let wrong = |reason: String| PackError::Index { path: path.clone(), reason };
        let rows = index::parse(&path, &bytes).map_err(|problems| wrong(problems.join("; ")))?;
        let text = String::from_utf8(bytes).map_err(|e| wrong(e.to_string()))?;
        Ok(Self { rows, text })
    }

    /// Its text with the header and the rows of these lines, counted from 1.
    #[must_use]
    pub fn lines(&self, kept: &BTreeSet<u64>) -> String {
        let lines = self.text.split_inclusive('\n').zip(1..);
        lines.filter(|(_, number)| *number == 1 || kept.contains(number)).map(|(line, _)| line).collect()
    }
}
