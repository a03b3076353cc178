//! Measured alignments of layers, a file each in the data folder and among what ships.

use std::path::{Path, PathBuf};
use virboard_core::analysis::Alignment;

/// Where they lie.
#[must_use]
pub fn folder(data: &Path) -> PathBuf {
    data.join("alignments")
}

/// Keeps an alignment; one of the same encoders is replaced. One with holes or values that are no
/// numbers is refused, since it could not be read again.
pub fn keep(folder: &Path, alignment: &Alignment) -> std::io::Result<PathBuf> {
    if !alignment.is_sound() {
        let what = "the alignment is no whole table of numbers and is not kept";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
    }
    std::fs::create_dir_all(folder)?;
    let (a, b) = &alignment.encoders;
    let path = folder.join(format!("{a}--{b}.json"));
    // Whole or not at all, whenever the process ends.
    let file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&file, alignment)?;
    file.persist(&path)?;
    Ok(path)
}

/// Those of all folders, by name; of two of the same encoders the one in the earlier folder.
#[must_use]
pub fn read_all(folders: &[PathBuf]) -> Vec<Alignment> {
    let mut all: Vec<Alignment> = folders.iter().flat_map(|folder| read(folder)).collect();
    // The sort is stable: what comes first stays first.
    all.sort_by(|a, b| a.encoders.cmp(&b.encoders));
    all.dedup_by(|later, earlier| later.encoders == earlier.encoders);
    all
}

/// All of a folder, by name. What cannot be read is told in the log and left out.
fn read(folder: &Path) -> Vec<Alignment> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let json = |p: &PathBuf| p.extension().is_some_and(|e| e == "json");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(json).collect();
    paths.sort();
    let one = |path: PathBuf| {
        let read = std::fs::read(&path).map_err(|e| e.to_string());
        let alignment: Result<Alignment, String> =
            read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| e.to_string()));
        match alignment {
            Ok(a) if a.is_sound() => Some(a),
            Ok(_) => {
                tracing::warn!(path = %path.display(), "is no whole table of an alignment");
                None
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), error, "could not be read");
                None
            }
        }
    };
    paths.into_iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_and_rubbish_is_left_out() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = folder(data.path());
        assert!(read(&folder).is_empty());
        let alignment = Alignment {
            encoders: ("SWAV_200".into(), "Random".into()),
            images: 3,
            rows: vec!["conv".into()],
            columns: vec!["conv".into(), "embedding".into()],
            cka: vec![vec![0.5, 0.25]],
        };
        let path = keep(&folder, &alignment).expect("written");
        assert!(path.ends_with("SWAV_200--Random.json"));
        std::fs::write(folder.join("a.json"), "{").expect("written");
        let broken = Alignment { cka: Vec::new(), encoders: ("x".into(), "y".into()), ..alignment.clone() };
        assert!(keep(&folder, &broken).is_err(), "what could not be read again is not kept");
        let holes = Alignment { cka: vec![vec![0.5, f64::NAN]], ..alignment.clone() };
        assert!(keep(&folder, &holes).is_err() && !folder.join("x--y.json").exists());
        std::fs::write(folder.join("b.json"), serde_json::to_vec(&broken).expect("JSON")).expect("written");
        assert_eq!(read(&folder), std::slice::from_ref(&alignment));
        let ships = tempfile::tempdir().expect("a folder");
        let other = Alignment { images: 9, ..alignment.clone() };
        let more = Alignment { encoders: ("A".into(), "A".into()), ..alignment.clone() };
        keep(ships.path(), &other).expect("written");
        keep(ships.path(), &more).expect("written");
        assert_eq!(read_all(&[folder, ships.path().to_path_buf()]), [more, alignment], "one's own come first");
    }
}
