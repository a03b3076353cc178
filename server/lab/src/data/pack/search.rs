//! Files below a folder, found by the ends of their paths: archives unpack into folders of many names.

use crate::data::left_out::kept_by_programs;
use crate::{Error, Result};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// All files below a folder but those that systems and programs make.
#[derive(Debug, Default)]
pub struct Files {
    /// By their names in small letters: their paths below the folder in small letters, and where they are.
    named: HashMap<String, Vec<(String, PathBuf)>>,
}

impl Files {
    /// Lists a folder and all folders in it.
    ///
    /// # Errors
    /// An I/O error with the folder that cannot be listed.
    pub fn below(root: &Path) -> Result<Self> {
        let mut files = Self::default();
        files.add(root, "", &mut BTreeSet::new())?;
        for found in files.named.values_mut() {
            found.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        }
        Ok(files)
    }

    /// Adds what is in a folder. `seen` has the folders that were entered, since links may lead in circles.
    fn add(&mut self, folder: &Path, inside: &str, seen: &mut BTreeSet<PathBuf>) -> Result<()> {
        if !seen.insert(folder.canonicalize().map_err(Error::io(folder))?) {
            return Ok(());
        }
        let mut paths = std::fs::read_dir(folder)
            .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
            .map_err(Error::io(folder))?
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| kept_by_programs(path).is_none())
            .collect::<Vec<_>>();
        paths.sort();
        for path in paths {
            // What is no text is none of the names that are looked for.
            let Some(name) = path.file_name().and_then(|n| n.to_str()).map(str::to_lowercase) else { continue };
            let below = format!("{inside}/{name}");
            if path.is_dir() {
                self.add(&path, &below, seen)?;
            } else {
                self.named.entry(name).or_default().push((below, path));
            }
        }
        Ok(())
    }

    /// The file whose path ends with `end`, folder by folder, whatever the case of letters; of several the one with
    /// the shortest path, then the first by name.
    #[must_use]
    pub fn ending_with(&self, end: &str) -> Option<&Path> {
        let end = format!("/{}", end.to_lowercase());
        let name = end.rsplit('/').next()?;
        self.named.get(name)?.iter().find(|(below, _)| below.ends_with(&end)).map(|(_, path)| path.as_path())
    }
}
