//! Brings fetched archives into the layout of class folders.

use crate::{Error, Result};
use std::path::Path;

/// The lines of a list that are neither empty nor comments.
fn list(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    Ok(text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect())
}

fn place(from: &Path, to: &Path) -> Result<()> {
    if to.is_file() || !from.is_file() {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    }
    std::fs::rename(from, to).map_err(Error::io(to))
}

/// `images/BREED_12.jpg` to `{train,test}/BREED/`, by the lists of the annotations.
pub fn pets(folder: &Path) -> Result<()> {
    for (split, name) in [("train", "trainval.txt"), ("test", "test.txt")] {
        for line in list(&folder.join("annotations").join(name))? {
            let picture = line.split_whitespace().next().unwrap_or_default().to_owned();
            let Some((breed, _)) = picture.rsplit_once('_') else { continue };
            let file = format!("{picture}.jpg");
            place(&folder.join("images").join(&file), &folder.join(split).join(breed).join(&file))?;
        }
    }
    Ok(())
}

/// `images/TEXTURE/X.jpg` to `{train,test}/TEXTURE/`, by the first of the ten splits.
pub fn dtd(folder: &Path) -> Result<()> {
    for (split, names) in [("train", &["train1.txt", "val1.txt"][..]), ("test", &["test1.txt"][..])] {
        for name in names {
            for picture in list(&folder.join("labels").join(name))? {
                place(&folder.join("images").join(&picture), &folder.join(split).join(&picture))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pets_are_sorted_by_their_lists() {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["images", "annotations"] {
            std::fs::create_dir_all(dir.path().join(folder)).expect("made");
        }
        for name in ["great_pyrenees_1.jpg", "Bombay_2.jpg"] {
            std::fs::write(dir.path().join("images").join(name), b"x").expect("written");
        }
        std::fs::write(dir.path().join("annotations/trainval.txt"), "great_pyrenees_1 16 2 9\n").expect("written");
        std::fs::write(dir.path().join("annotations/test.txt"), "# list\nBombay_2 8 1 3\n").expect("written");
        pets(dir.path()).expect("sorted");
        assert!(dir.path().join("train/great_pyrenees/great_pyrenees_1.jpg").is_file());
        assert!(dir.path().join("test/Bombay/Bombay_2.jpg").is_file());
        pets(dir.path()).expect("again");
    }
}
