//! `SamplePhotos`: free photographs of six classes that ship with Virboard.
//!
//! `ATTRIBUTION.csv` lists every file with its label, split, author, licence and source.

use super::{Dataset, Sample, Split, Target};
use crate::head::Label;
use crate::{Error, Result, image};
use std::path::{Path, PathBuf};
use virboard_nn::files;

/// The data set, with its files checked to be there.
pub struct SamplePhotos {
    folder: PathBuf,
    labels: Vec<String>,
    /// File and label of each split.
    train: Vec<(String, usize)>,
    test: Vec<(String, usize)>,
    sha256: String,
}

impl SamplePhotos {
    /// Reads the list and checks that its files exist.
    pub fn open(folder: &Path) -> Result<Self> {
        let bad = |reason: String| Error::Dataset { dataset: "SamplePhotos".to_owned(), reason };
        let list = folder.join("ATTRIBUTION.csv");
        let text = std::fs::read_to_string(&list).map_err(Error::io(&list))?;
        let mut labels: Vec<String> = Vec::new();
        let (mut train, mut test) = (Vec::new(), Vec::new());
        let mut everything = text.as_bytes().to_vec();
        for (number, line) in text.lines().enumerate().skip(1) {
            // The first three fields never hold a comma or a quote.
            let mut fields = line.split(',');
            let (Some(file), Some(label), Some(split)) = (fields.next(), fields.next(), fields.next()) else {
                return Err(bad(format!("{}: line {} lacks file, label and split", list.display(), number + 1)));
            };
            let class = labels.iter().position(|l| l == label).unwrap_or_else(|| {
                labels.push(label.to_owned());
                labels.len() - 1
            });
            let path = folder.join(file);
            everything.extend(files::sha256_file(&path)?.bytes());
            match split {
                "train" => train.push((file.to_owned(), class)),
                "test" => test.push((file.to_owned(), class)),
                other => {
                    return Err(bad(format!(
                        "{}: line {} has the unknown split {other:?}",
                        list.display(),
                        number + 1
                    )));
                }
            }
        }
        if train.is_empty() || test.is_empty() {
            return Err(bad(format!("{} lists no photographs", list.display())));
        }
        Ok(Self { folder: folder.to_path_buf(), labels, train, test, sha256: files::sha256(&everything) })
    }

    fn part(&self, split: Split) -> &[(String, usize)] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Dataset for SamplePhotos {
    fn len(&self, split: Split) -> usize {
        self.part(split).len()
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        let (file, class) = &self.part(split)[index];
        let path = self.folder.join(file);
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let picture = image::decode(&bytes).map_err(|e| Error::Dataset {
            dataset: "SamplePhotos".to_owned(),
            reason: format!("{}: {e}", path.display()),
        })?;
        Ok(Sample { pictures: vec![picture], target: Target::Class(*class) })
    }

    fn target(&self, split: Split, index: usize) -> Result<Target> {
        Ok(Target::Class(self.part(split)[index].1))
    }

    fn name(&self, split: Split, index: usize) -> String {
        self.part(split)[index].0.clone()
    }

    fn labels(&self) -> Vec<Label> {
        super::listing::labels(&self.labels)
    }

    fn pictures_sha256(&self) -> &str {
        &self.sha256
    }

    fn sha256(&self) -> String {
        self.sha256.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/photos")
    }

    #[test]
    fn the_shipped_photographs_are_read() {
        let set = SamplePhotos::open(&folder()).expect("it ships with the repository");
        assert_eq!((set.len(Split::Train), set.len(Split::Test), set.labels().len()), (97, 66, 6));
        let sample = set.sample(Split::Test, 0).expect("readable");
        assert!(sample.pictures[0].width() <= 320);
    }

    #[test]
    fn a_missing_file_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("ATTRIBUTION.csv"), "file,label,split\na/gone.jpg,a,train\n").expect("written");
        let error = SamplePhotos::open(dir.path()).err().expect("an error").to_string();
        assert!(error.contains("gone.jpg"), "{error}");
    }
}
