//! Hashes of a data set's files, kept so that unchanged files are not read twice.

use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::time::UNIX_EPOCH;
use virboard_nn::files::{sha256_file, write_through};

/// `NAME HASH` of each picture and each truth, names being relative to `root`. A file whose
/// size and time of change stand in `store` is not read again.
pub fn of(root: &Path, pictures: &[&Path], truths: &[&Path], store: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let text = std::fs::read_to_string(store).unwrap_or_default();
    let known: HashMap<&str, &str> = text.lines().filter_map(|line| line.rsplit_once('\t')).collect();
    let hash = |path: &Path| -> Result<(String, String, bool)> {
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        let metadata = std::fs::metadata(path).map_err(Error::io(path))?;
        let changed = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let key = format!("{name}\t{}\t{}", metadata.len(), changed.map_or(0, |d| d.as_nanos()));
        let (hash, new) = match known.get(key.as_str()) {
            Some(hash) => ((*hash).to_owned(), false),
            None => (sha256_file(path)?, true),
        };
        Ok((format!("{name} {hash}"), format!("{key}\t{hash}"), new))
    };
    let all: Vec<&&Path> = pictures.iter().chain(truths).collect();
    let hashed: Vec<(String, String, bool)> = all.into_par_iter().map(|p| hash(p)).collect::<Result<_>>()?;
    if hashed.iter().any(|(_, _, new)| *new) {
        let lines: Vec<&str> = hashed.iter().map(|(_, line, _)| line.as_str()).collect();
        write_through(store, |file| file.write_all(lines.join("\n").as_bytes()).map_err(Error::io(store)))?;
    }
    let mut names: Vec<String> = hashed.into_iter().map(|(name, _, _)| name).collect();
    let truths = names.split_off(pictures.len());
    Ok((names, truths))
}
