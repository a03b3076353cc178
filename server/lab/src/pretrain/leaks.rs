//! Whether an encoder would be trained on pictures that tasks are tested on: by what is in the files, whatever they
//! are called.

use super::pictures::source;
use crate::Result;
use crate::data::{self, Places};
use crate::progress::Progress;
use std::collections::HashMap;
use std::path::PathBuf;
use virboard_core::protocol::Protocol;
use virboard_nn::files::sha256_file;

/// A picture of a test that is among those to be trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// The task that is tested on it.
    pub task: String,
    /// Its file among the test pictures.
    pub test: PathBuf,
    /// The same picture among those to be trained on.
    pub training: PathBuf,
}

/// What was compared.
#[derive(Debug, Default)]
pub struct Compared {
    /// Pictures of the sources.
    pub training: usize,
    /// Pictures of the tests.
    pub test: usize,
    /// Pictures that are both, a row for each task.
    pub leaks: Vec<Leak>,
}

/// Compares all pictures of some sources with the test pictures of tasks whose data are files.
///
/// # Errors
/// For a source or a data set that is not there, and files that cannot be read.
pub fn compare(places: &Places, sources: &[String], tasks: &[String], progress: &dyn Progress) -> Result<Compared> {
    let (mut all, mut training) = (Compared::default(), HashMap::new());
    for name in sources {
        for found in source::open(places, name, progress)?.pictures {
            training.insert(sha256_file(&found.path)?, found.path);
            all.training += 1;
        }
    }
    for task in tasks {
        let Some(listing) = data::list(task, places, Protocol::Standard)? else { continue };
        let mut test: Vec<PathBuf> = listing.test.into_iter().flat_map(|entry| entry.pictures).collect();
        test.sort();
        test.dedup();
        for path in test {
            all.test += 1;
            if let Some(twin) = training.get(&sha256_file(&path)?) {
                all.leaks.push(Leak { task: task.clone(), test: path, training: twin.clone() });
            }
        }
    }
    Ok(all)
}
