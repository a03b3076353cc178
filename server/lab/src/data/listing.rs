//! Data sets that are folders of pictures with truths beside them.

mod listed;

pub use listed::Listed;

use super::left_out::{LeftOut, Why, ends_with, is_picture, kept_by_programs};
use super::{Broken, Split, Target, hashes};
use crate::head::Label;
use crate::{Error, Result};
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
    /// One sentence for each thing that may be wrong.
    pub warnings: Vec<String>,
    /// What lies in the folder and is not taken.
    pub left_out: LeftOut,
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

    /// Files below `folder` (relative to the root) at a depth, with one of these endings in any case, sorted.
    #[must_use]
    pub fn files(&mut self, folder: &str, depth: usize, endings: &[&str]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        self.walk(&self.root.join(folder), depth, endings, &mut found);
        found.sort();
        found
    }

    fn walk(&mut self, folder: &Path, depth: usize, endings: &[&str], into: &mut Vec<PathBuf>) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            // Whoever needs the folder says that it is not there.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return,
            Err(e) => {
                self.problems.push(format!("{} cannot be read: {e}", folder.display()));
                return;
            }
        };
        // Some data sets tell pictures from truths by more than an ending such as `.jpg`.
        let plain = endings.iter().all(|e| e.starts_with('.'));
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(e) => {
                    self.problems.push(format!("{} cannot be read: {e}", folder.display()));
                    continue;
                }
            };
            if let Some(why) = kept_by_programs(&path) {
                self.left_out.add(why, &path);
            } else if depth > 0 {
                if path.is_dir() {
                    self.walk(&path, depth - 1, endings, into);
                }
            } else if path.is_dir() {
                self.left_out.add(Why::Folder, &path);
            } else if ends_with(&path, endings) {
                into.push(path);
            } else if plain {
                self.left_out.add(if is_picture(&path) { Why::OtherPicture } else { Why::OtherFile }, &path);
            }
        }
    }

    /// Adds `FOLDER/CLASS/PICTURE` for both splits; classes are the folders of the training
    /// split in the order of their names.
    pub fn class_folders(&mut self, train: &str, test: &str, endings: &[&str]) {
        let of = |files: &[PathBuf]| -> Vec<String> {
            let mut classes: Vec<String> = files.iter().filter_map(|f| parent_name(f)).collect();
            classes.dedup();
            classes
        };
        for folder in [train, test] {
            self.empty_classes(folder, endings);
        }
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
        self.warnings.extend(alike(&classes));
        self.labels = labels(&classes);
    }

    /// Notes the folders of classes that have no pictures, as those of a data set that was unpacked one folder too deep.
    fn empty_classes(&mut self, folder: &str, endings: &[&str]) {
        for entry in std::fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten() {
            let class = entry.path();
            if class.is_dir() && kept_by_programs(&class).is_none() {
                let mut inside = std::fs::read_dir(&class).into_iter().flatten().flatten();
                if !inside.any(|e| ends_with(&e.path(), endings) && kept_by_programs(&e.path()).is_none()) {
                    self.left_out.add(Why::EmptyClass, &class);
                }
            }
        }
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
        let known = |e: &&&Entry| matches!(e.truth, Truth::Class(class) if class >= self.labels.len());
        if let Some(strange) = all.iter().find(known) {
            return Err(self.bad(format!(
                "{} is of a class that none of its {} labels names",
                strange.pictures[0].display(),
                self.labels.len()
            )));
        }
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

/// Says which classes have one name but for capitals and what stands between words.
#[must_use]
pub fn alike(classes: &[String]) -> Vec<String> {
    let mut first: std::collections::BTreeMap<String, &String> = std::collections::BTreeMap::new();
    let plain = |name: &str| name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let mut said = Vec::new();
    for class in classes {
        match first.get(&plain(class)) {
            Some(other) => said.push(format!(
                "the classes `{other}` and `{class}` are two; if they are one, put their pictures into one folder"
            )),
            None => drop(first.insert(plain(class), class)),
        }
    }
    said
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
