//! Data sets that are folders of pictures with truths beside them.

use super::{Broken, Dataset, Sample, Split, Target, hashes};
use crate::head::Label;
use crate::{Error, Result, image};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virboard_nn::files;

/// Where the truth of an entry comes from.
#[derive(Debug, Clone)]
pub enum Truth {
    /// It is known.
    Class(usize),
    /// It is read from a file, by [`Listing::read`].
    File(PathBuf),
}

/// Reads the truth in a file.
pub type ReadTruth = dyn Fn(&Path) -> Result<Target> + Send + Sync;

/// How a file becomes a truth.
#[derive(Clone)]
pub struct Reader(Arc<ReadTruth>);

impl<F: Fn(&Path) -> Result<Target> + Send + Sync + 'static> From<F> for Reader {
    fn from(read: F) -> Self {
        Self(Arc::new(read))
    }
}

impl Default for Reader {
    fn default() -> Self {
        let refuse = |path: &Path| -> Result<Target> {
            Err(Error::Damaged { path: path.to_path_buf(), reason: "this data set has no truths in files".to_owned() })
        };
        refuse.into()
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

/// Pictures with their truth.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The pictures' files, in order.
    pub pictures: Vec<PathBuf>,
    /// Their truth.
    pub truth: Truth,
}

/// What a folder holds of a data set, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Listing {
    /// Key of the task.
    pub task: String,
    /// The data set's folder.
    pub root: PathBuf,
    /// Classes in label order.
    pub labels: Vec<Label>,
    /// Training entries.
    pub train: Vec<Entry>,
    /// Test entries.
    pub test: Vec<Entry>,
    /// One sentence for each thing that is missing or does not fit.
    pub problems: Vec<String>,
    /// Files beside pictures and truths that decide something: lists of labels.
    pub lists: Vec<PathBuf>,
    /// What else decides what truths say; empty where nothing does.
    pub decides: String,
    /// Whether values are so unlike from one data set to the next that heads need to know their size.
    pub scaled: bool,
    /// How truths in files are read.
    pub read: Reader,
    /// What becomes of every truth that was read from a file.
    pub after: Option<fn(Target) -> Target>,
}

impl Listing {
    /// An empty listing of `root`.
    ///
    /// # Errors
    /// [`Error::Dataset`] without the folder.
    pub fn new(task: &str, root: PathBuf) -> Result<Self> {
        if !root.is_dir() {
            return Err(Error::Dataset {
                dataset: task.to_owned(),
                reason: format!(
                    "the folder {} is not there; `virboard dataset list {task}` says where the data comes from",
                    root.display()
                ),
            });
        }
        Ok(Self { task: task.to_owned(), root, ..Self::default() })
    }

    /// An error about this data set.
    #[must_use]
    pub fn bad(&self, reason: String) -> Error {
        Error::Dataset { dataset: self.task.clone(), reason }
    }

    /// Adds an entry, or a problem for each of its files that is not there.
    pub fn add(&mut self, split: Split, entry: Entry, named_by: Option<&str>) {
        let truth = match &entry.truth {
            Truth::File(path) => Some(path),
            Truth::Class(_) => None,
        };
        let missing: Vec<&PathBuf> = entry.pictures.iter().chain(truth).filter(|p| !p.is_file()).collect();
        if missing.is_empty() {
            match split {
                Split::Train => self.train.push(entry),
                Split::Test => self.test.push(entry),
            }
            return;
        }
        let by = named_by.map_or_else(String::new, |by| format!(", which {by} names,"));
        for path in missing {
            self.problems.push(format!("{}{by} is not there; unpack the data set again", path.display()));
        }
    }

    /// Files below `folder` (relative to the root) at a depth, with one of these endings, sorted.
    #[must_use]
    pub fn files(&self, folder: &str, depth: usize, endings: &[&str]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.root.join(folder), depth, endings, &mut found);
        found.sort();
        found
    }

    /// Adds `FOLDER/CLASS/PICTURE` for both splits; classes are the folders of the training
    /// split in the order of their names.
    pub fn class_folders(&mut self, train: &str, test: &str, endings: &[&str]) {
        let of = |files: &[PathBuf]| -> Vec<String> {
            let mut classes: Vec<String> = files.iter().filter_map(|f| parent_name(f)).collect();
            classes.dedup();
            classes
        };
        let train_files = self.files(train, 1, endings);
        let classes = of(&train_files);
        for (split, folder, files) in
            [(Split::Train, train, train_files), (Split::Test, test, self.files(test, 1, endings))]
        {
            if files.is_empty() {
                let wanted = self.root.join(folder).join("CLASS");
                self.problems.push(format!("there are no {} files in {}", endings.join(" or "), wanted.display()));
            }
            for file in files {
                let class = parent_name(&file).and_then(|c| classes.iter().position(|k| *k == c));
                match class {
                    Some(class) => {
                        self.add(split, Entry { pictures: vec![file], truth: Truth::Class(class) }, None);
                    }
                    None => self.problems.push(format!("{} is of a class that {train} does not have", file.display())),
                }
            }
        }
        self.labels = labels(&classes);
    }

    /// The finished data set.
    ///
    /// # Errors
    /// [`Error::Dataset`] with the first problem, unless entries with problems are skipped,
    /// and for an empty split.
    pub fn open(self, broken: Broken, hashes: &Path) -> Result<Listed> {
        if broken == Broken::Refuse
            && let Some(first) = self.problems.first()
        {
            let more = match self.problems.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more problems; `virboard dataset list {}` lists them)", self.task),
            };
            return Err(self.bad(format!("{first}{more}")));
        }
        if self.test.is_empty() {
            return Err(self.bad(format!(
                "no usable test samples are in {}; `virboard dataset list {}` says how it should look",
                self.root.display(),
                self.task
            )));
        }
        let all: Vec<&Entry> = self.train.iter().chain(&self.test).collect();
        let pictures: Vec<&Path> = all.iter().flat_map(|e| &e.pictures).map(PathBuf::as_path).collect();
        let truths: Vec<&Path> = all
            .iter()
            .filter_map(|e| if let Truth::File(path) = &e.truth { Some(path.as_path()) } else { None })
            .chain(self.lists.iter().map(PathBuf::as_path))
            .collect();
        let (pictures, truths) =
            hashes::of(&self.root, &pictures, &truths, &hashes.join(format!("{}.tsv", self.task)))?;
        let splits = format!("{} {}", self.train.len(), self.test.len());
        let classes: Vec<String> = all
            .iter()
            .map(|e| if let Truth::Class(class) = e.truth { class.to_string() } else { String::new() })
            .collect();
        let pictures_sha256 = files::sha256(format!("{splits} {}", pictures.join(" ")).as_bytes());
        let mut all = format!("{} {pictures_sha256} {} {}", self.task, truths.join(" "), classes.join(" "));
        if !self.decides.is_empty() {
            all.push(' ');
            all.push_str(&self.decides);
        }
        let sha256 = files::sha256(all.as_bytes());
        Ok(Listed { listing: self, pictures_sha256, sha256 })
    }
}

fn walk(folder: &Path, depth: usize, endings: &[&str], into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // What programs keep for themselves (`.ipynb_checkpoints`, `._picture.jpg`) is no class and no
        // picture; Python's `glob`, which ViRB uses, leaves it out too.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if depth > 0 {
            if path.is_dir() {
                walk(&path, depth - 1, endings, into);
            }
        } else if path.to_str().is_some_and(|p| endings.iter().any(|e| p.ends_with(e))) {
            into.push(path);
        }
    }
}

/// Labels without colours.
#[must_use]
pub fn labels<S: AsRef<str>>(names: &[S]) -> Vec<Label> {
    names.iter().map(|name| Label { name: name.as_ref().to_owned(), colour: String::new() }).collect()
}

/// The name of the folder that a file is in.
#[must_use]
pub fn parent_name(file: &Path) -> Option<String> {
    Some(file.parent()?.file_name()?.to_string_lossy().into_owned())
}

/// A file's name without its folder and ending.
#[must_use]
pub fn stem(file: &Path) -> String {
    file.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned())
}

/// Training samples that a typical value is taken from.
const SOME: usize = 32;

/// A data set of files.
#[derive(Debug)]
pub struct Listed {
    listing: Listing,
    pictures_sha256: String,
    sha256: String,
}

impl Listed {
    fn entry(&self, split: Split, index: usize) -> &Entry {
        match split {
            Split::Train => &self.listing.train[index],
            Split::Test => &self.listing.test[index],
        }
    }

    fn truth(&self, entry: &Entry, size: Option<(u32, u32)>) -> Result<Target> {
        match &entry.truth {
            Truth::Class(class) => Ok(Target::Class(*class)),
            Truth::File(path) => {
                let target = (self.listing.read.0)(path).map_err(|e| self.named(path, e))?;
                if let (Some((w, h)), Target::Mask { width, height, .. } | Target::Values { width, height, .. }) =
                    (size, &target)
                    && (w, h) != (*width, *height)
                {
                    return Err(self.listing.bad(format!(
                        "{} has {width} x {height} pixels and its picture {} has {w} x {h}; unpack both again, or leave such samples out with --skip-broken",
                        path.display(),
                        entry.pictures[0].display()
                    )));
                }
                Ok(self.listing.after.map_or(target.clone(), |after| after(target)))
            }
        }
    }

    fn named(&self, path: &Path, error: Error) -> Error {
        match error {
            Error::Image(e) => self.listing.bad(format!("{}: {e}", path.display())),
            other => other,
        }
    }
}

impl Dataset for Listed {
    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.listing.train.len(),
            Split::Test => self.listing.test.len(),
        }
    }

    fn images(&self) -> usize {
        self.listing.test.first().map_or(1, |e| e.pictures.len())
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        let entry = self.entry(split, index);
        let pictures = entry
            .pictures
            .iter()
            .map(|path| {
                let bytes = std::fs::read(path).map_err(Error::io(path))?;
                image::decode_stored(&bytes).map_err(|e| {
                    self.listing.bad(format!("{}: {e} Or leave such samples out with --skip-broken", path.display()))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let target = self.truth(entry, Some(pictures[0].dimensions()))?;
        Ok(Sample { pictures, target })
    }

    fn target(&self, split: Split, index: usize) -> Result<Target> {
        self.truth(self.entry(split, index), None)
    }

    fn name(&self, split: Split, index: usize) -> String {
        let picture = &self.entry(split, index).pictures[0];
        picture.strip_prefix(&self.listing.root).unwrap_or(picture).display().to_string()
    }

    fn labels(&self) -> Vec<Label> {
        self.listing.labels.clone()
    }

    fn typical_value(&self) -> Option<f32> {
        if !self.listing.scaled {
            return None;
        }
        let step = self.listing.train.len().div_ceil(SOME).max(1);
        let mut sizes: Vec<f32> = Vec::new();
        for entry in self.listing.train.iter().step_by(step) {
            // One that cannot be read is refused or reported where samples are read.
            if let Ok(Target::Values { values, .. }) = self.truth(entry, None) {
                sizes.extend(values.iter().map(|v| v.abs()).filter(|v| v.is_finite() && *v > 0.0));
            }
        }
        let middle = sizes.len() / 2;
        (!sizes.is_empty()).then(|| *sizes.select_nth_unstable_by(middle, f32::total_cmp).1)
    }

    fn pictures_sha256(&self) -> &str {
        &self.pictures_sha256
    }

    fn sha256(&self) -> String {
        self.sha256.clone()
    }
}
