//! Small data sets made of their originals. Their descriptions and indexes ship (`datasets/NAME` among the samples), so
//! that splits are the same everywhere; their pictures cannot. From the folder of an original, each picture of the index
//! is found by its name and reduced as it was for the scores that ship.

mod index;
pub mod origins;
mod reduce;
pub mod search;

pub use index::{Index, SHIPPED_INDEX};
pub use reduce::Reduction;

use crate::data::declared::index::Row;
use crate::data::declared::{DESCRIPTION, INDEX};
use crate::error::PackError;
use crate::progress::Progress;
use crate::{Error, Result};
use origins::{Column, Origin};
use rayon::prelude::*;
use search::Files;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Missing files that are named.
const NAMED: usize = 3;

/// What is to be packed.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The data set.
    pub origin: &'a Origin,
    /// The folder that ships, of its description and its index.
    pub shipped: &'a Path,
    /// The folder into which its original was unpacked.
    pub original: &'a Path,
    /// Whether rows of the index whose pictures are missing are left out.
    pub skip_missing: bool,
}

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Rows of the index.
    pub rows: usize,
    /// Pictures and truths.
    pub files: usize,
    /// Rows that were left out since a picture or a truth of theirs is missing.
    pub left_out: usize,
    /// The files that are missing, as the index names them.
    pub missing: Vec<String>,
}

/// A file of the index and the one that it is made of.
struct Piece<'a> {
    column: Column,
    name: &'a str,
    from: Found,
    /// Of a truth: the original of its picture, whose size it has to have.
    picture: Option<PathBuf>,
}

/// A file in the original's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    /// Whether it is called as in the index: then it may have been reduced before.
    packed: bool,
}

/// Makes the data set in the folder `to`, which is empty: pictures, truths, `index.csv` and `dataset.toml`.
///
/// # Errors
/// [`PackError`] for an original that is not there or not whole; [`Error::Picture`] and [`Error::Truth`] for files
/// that cannot be read. What was written by then stays.
pub fn pack(order: &Order<'_>, to: &Path, progress: &dyn Progress) -> Result<Packed> {
    let origin = order.origin;
    if !order.original.is_dir() {
        let (folder, name) = (order.original.to_path_buf(), origin.name.to_owned());
        return Err(PackError::NoFolder { folder, name, get: origin.how() }.into());
    }
    let index = Index::read(order.shipped)?;
    let files = Files::below(order.original)?;
    let wanted: BTreeMap<&str, Column> = index.rows.iter().flat_map(named).map(|(c, name)| (name, c)).collect();
    let found: BTreeMap<&str, Found> =
        wanted.iter().filter_map(|(name, column)| Some((*name, find(&files, origin, *column, name)?))).collect();
    let missing: Vec<&str> = wanted.keys().filter(|name| !found.contains_key(*name)).copied().collect();
    if found.is_empty() || (!missing.is_empty() && !order.skip_missing) {
        return Err(lacking(order, &wanted, &missing).into());
    }
    let whole = |row: &&Row| named(row).all(|(_, name)| found.contains_key(name));
    let rows: Vec<&Row> = index.rows.iter().filter(whole).collect();
    let pieces = pieces(&rows, &found);
    for folder in pieces.iter().filter_map(|p| Path::new(p.name).parent()).collect::<BTreeSet<_>>() {
        std::fs::create_dir_all(to.join(folder)).map_err(Error::io(to.join(folder)))?;
    }
    progress.begin(&format!("reducing {} files of {}", pieces.len(), origin.name), pieces.len() as u64);
    let done = AtomicU64::new(0);
    let make = |piece: &Piece<'_>| {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        write(piece, origin, to)?;
        progress.advance(done.fetch_add(1, Ordering::Relaxed) + 1);
        Ok(())
    };
    // The first in order is told, whatever the number of threads.
    let made: Vec<Result<()>> = pieces.par_iter().map(make).collect();
    made.into_iter().collect::<Result<()>>()?;
    let kept: BTreeSet<u64> = rows.iter().filter_map(|row| row.line).collect();
    std::fs::write(to.join(INDEX), index.lines(&kept)).map_err(Error::io(to.join(INDEX)))?;
    let description = order.shipped.join(DESCRIPTION);
    std::fs::copy(&description, to.join(DESCRIPTION)).map_err(Error::io(&description))?;
    Ok(Packed {
        rows: rows.len(),
        files: pieces.len(),
        left_out: index.rows.len() - rows.len(),
        missing: missing.into_iter().map(str::to_owned).collect(),
    })
}

/// The files that a row names.
fn named(row: &Row) -> impl Iterator<Item = (Column, &str)> {
    let pictures = row.pictures.iter().map(|name| (Column::Picture, name.as_str()));
    let truths = [(Column::Mask, row.mask.as_str()), (Column::Depth, row.depth.as_str())];
    pictures.chain(truths.into_iter().filter(|(_, name)| !name.is_empty()))
}

/// The file of which one of the index is made: one of its own name, or where the original has it.
fn find(files: &Files, origin: &Origin, column: Column, name: &str) -> Option<Found> {
    if let Some(path) = files.ending_with(name) {
        return Some(Found { path: path.to_path_buf(), packed: true });
    }
    let places = origin.places(column, name);
    let path = places.iter().find_map(|place| files.ending_with(place))?;
    Some(Found { path: path.to_path_buf(), packed: false })
}

/// Every file once, truths with their pictures.
fn pieces<'a>(rows: &[&'a Row], found: &BTreeMap<&'a str, Found>) -> Vec<Piece<'a>> {
    let mut pieces = BTreeMap::new();
    for row in rows {
        let picture = row.pictures.first().and_then(|name| found.get(name.as_str())).map(|f| f.path.clone());
        for (column, name) in named(row) {
            if let Some(from) = found.get(name).cloned() {
                let picture = picture.clone().filter(|_| column != Column::Picture);
                pieces.entry(name).or_insert(Piece { column, name, from, picture });
            }
        }
    }
    pieces.into_values().collect()
}

fn write(piece: &Piece<'_>, origin: &Origin, to: &Path) -> Result<()> {
    let (reduction, from) = (&origin.reduction, &piece.from);
    let bytes = match &piece.picture {
        None => reduction.picture(&from.path, from.packed)?,
        Some(picture) if from.packed => reduction.packed_truth(&from.path, picture)?,
        Some(picture) => reduction.truth(&origin.numbers(piece.column, &from.path)?, picture)?,
    };
    let path = to.join(piece.name);
    std::fs::write(&path, bytes).map_err(Error::io(&path))
}

/// What is said of missing files: some of them, and where they were looked for.
fn lacking(order: &Order<'_>, wanted: &BTreeMap<&str, Column>, missing: &[&str]) -> PackError {
    let origin = order.origin;
    let examples = missing.iter().take(NAMED).map(|name| {
        let places = wanted.get(name).map_or_else(Vec::new, |column| origin.places(*column, name));
        if places.is_empty() { format!("`{name}`") } else { format!("`{name}` (`{}`)", places.join("` or `")) }
    });
    let more = if missing.len() > NAMED { " and more" } else { "" };
    PackError::Missing {
        name: origin.name.to_owned(),
        folder: order.original.to_path_buf(),
        missing: missing.len(),
        wanted: wanted.len(),
        examples: examples.collect::<Vec<_>>().join(", ") + more,
        get: origin.how(),
    }
}
