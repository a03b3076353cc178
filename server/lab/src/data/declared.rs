//! Data sets that people bring: a folder with pictures, an `index.csv` or class folders, and a `dataset.toml` that
//! says which tasks they hold.

pub mod check;
pub mod description;
pub mod folders;
pub mod index;
mod mistakes;
mod row;
pub mod samples;
mod truth;

use super::Places;
use super::listing::Listing;
use crate::data::left_out::LeftOut;
use crate::{Error, Result};
use description::{Description, TaskForm};
use index::Row;
use std::path::{Path, PathBuf};
use virboard_core::catalogue::nearest;
use virboard_core::catalogue::task::Task;
use virboard_nn::files::sha256;

/// What may have been meant by a word that is not known, as the end of a sentence; empty where nothing is like it.
fn perhaps<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Name of the file that describes a data set.
pub const DESCRIPTION: &str = "dataset.toml";
/// Name of the file that lists its samples.
pub const INDEX: &str = "index.csv";

/// A data set with its description read.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The name of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The file that describes it, which may be one that ships with Virboard.
    pub file: PathBuf,
    /// What that says.
    pub description: Description,
    /// Its text.
    text: String,
}

/// The file that describes the data set in `folder`: its own, or for an index the one that ships for a folder of
/// this name.
#[must_use]
pub fn description_file(folder: &Path, places: &Places) -> Option<PathBuf> {
    let own = folder.join(DESCRIPTION);
    if own.is_file() {
        return Some(own);
    }
    let shipped = places.samples.join("datasets").join(folder.file_name()?).join(DESCRIPTION);
    (folder.join(INDEX).is_file() && shipped.is_file()).then_some(shipped)
}

/// Whether `folder` holds a declared data set.
#[must_use]
pub fn is_declared(folder: &Path, places: &Places) -> bool {
    description_file(folder, places).is_some()
}

/// All declared data sets in the order of their folders' names; an error for each whose description is not as it
/// should be. Folders whose names begin with a dot are unfinished or removed ones.
#[must_use]
pub fn sets(places: &Places) -> Vec<Result<Declared>> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(&places.datasets)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    folders
        .iter()
        .filter_map(|folder| description_file(folder, places).map(|file| Declared::read(folder, file)))
        .collect()
}

/// The same with those whose descriptions ship with Virboard and whose pictures are not here.
#[must_use]
pub fn described(places: &Places) -> Vec<Result<Declared>> {
    let mut all = sets(places);
    let here: Vec<PathBuf> = all.iter().flatten().map(|set| set.folder.clone()).collect();
    let shipped = std::fs::read_dir(places.samples.join("datasets")).into_iter().flatten().flatten();
    let mut missing: Vec<(PathBuf, PathBuf)> = shipped
        .map(|entry| (places.datasets.join(entry.file_name()), entry.path().join(DESCRIPTION)))
        .filter(|(folder, file)| file.is_file() && !here.contains(folder))
        .collect();
    missing.sort();
    all.extend(missing.into_iter().map(|(folder, file)| Declared::read(&folder, file)));
    all
}

/// The declared data set that has a task of this key, and what it says of the task.
///
/// # Errors
/// [`Error::Dataset`] where no sound description has the task and one that is not sound might.
pub fn find_task(places: &Places, key: &str) -> Result<Option<(Declared, TaskForm)>> {
    let mut broken = None;
    for set in described(places) {
        match set {
            Ok(set) => {
                let form = set.forms().find(|form| form.key.get_ref() == key).cloned();
                if let Some(form) = form {
                    return Ok(Some((set, form)));
                }
            }
            Err(error @ Error::Dataset { .. }) if error.to_string().contains(key) => broken = Some(error),
            Err(_) => {}
        }
    }
    broken.map_or(Ok(None), Err)
}

impl Declared {
    /// Reads the description of the data set in `folder`.
    ///
    /// # Errors
    /// [`Error::Dataset`] with everything that is wrong with the description.
    pub fn read(folder: &Path, file: PathBuf) -> Result<Self> {
        let text = std::fs::read_to_string(&file).map_err(Error::io(&file))?;
        Self::from_text(folder, file, text)
    }

    /// The same from a text that would stand in `file`.
    ///
    /// # Errors
    /// [`Error::Dataset`] with everything that is wrong with the description.
    pub fn from_text(folder: &Path, file: PathBuf, text: String) -> Result<Self> {
        let name = folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let description = description::read(&file, &text)
            .map_err(|problems| Error::Dataset { dataset: name.clone(), reason: problems.join("; ") })?;
        Ok(Self { name, folder: folder.to_path_buf(), file, description, text })
    }

    /// What is said of each task.
    pub fn forms(&self) -> impl Iterator<Item = &TaskForm> {
        self.description.tasks.iter().map(toml::Spanned::get_ref)
    }

    /// The line of the description in which a task's key stands.
    #[must_use]
    pub fn line(&self, form: &TaskForm) -> usize {
        description::line(&self.text, form.key.span().start)
    }

    /// The keys of its tasks.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.forms().map(|form| form.key.get_ref().as_str())
    }

    /// Its tasks as rows of the catalogue.
    pub fn tasks(&self) -> impl Iterator<Item = Task> {
        self.forms().map(|form| form.task(&self.description))
    }

    /// All rows, of used and of unused splits.
    ///
    /// # Errors
    /// What is wrong with the index or the folders, a sentence each.
    pub fn rows(&self) -> std::result::Result<Vec<Row>, Vec<String>> {
        let index = self.folder.join(INDEX);
        if index.is_file() {
            return index::read(&index);
        }
        if !self.is_own() {
            return Err(vec![format!(
                "the pictures of {} are not here; they come from {} ({}) and belong into {} with their index.csv",
                self.description.name,
                self.description.source,
                self.description.licence,
                self.folder.display()
            )]);
        }
        folders::read(&self.folder, self.splits(), self.description.test_share, self.description.seed)
            .map_err(|e| vec![e])
    }

    /// Whether its description lies in its own folder, not among those that ship.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.file.parent() == Some(self.folder.as_path())
    }

    fn splits(&self) -> [&str; 2] {
        self.forms().next().map_or(["train", "test"], |form| [form.train.as_str(), form.test.as_str()])
    }

    /// What lies in class folders and is not taken.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        if self.folder.join(INDEX).is_file() {
            return LeftOut::default();
        }
        folders::left_out(&self.folder, self.splits())
    }

    /// The samples of a task, with everything about them that is wrong. No picture is read.
    ///
    /// # Errors
    /// [`Error::Dataset`] for an index that cannot be read.
    pub fn listing(&self, form: &TaskForm) -> Result<Listing> {
        let key = form.key.get_ref();
        let rows =
            self.rows().map_err(|problems| Error::Dataset { dataset: key.clone(), reason: problems.join("; ") })?;
        let samples = samples::find(self, form, &rows);
        let mut listing = Listing::new(key, self.folder.clone())?;
        listing.labels = samples.labels;
        listing.problems = samples.problems;
        listing.warnings = samples.warnings;
        listing.left_out = self.left_out();
        for sample in samples.found {
            match sample.split {
                super::Split::Train => listing.train.push(sample.entry),
                super::Split::Test => listing.test.push(sample.entry),
            }
        }
        let read = truth::reader(form);
        listing.read = (move |path: &Path| read(path)).into();
        listing.scaled = matches!(form.kind, description::Kind::Depth | description::Kind::Flow);
        // What decides how truths are read; a new note or another learning rate changes no hash.
        let names: Vec<&str> = listing.labels.iter().map(|l| l.name.as_str()).collect();
        let decides = format!(
            "{:?} {names:?} {:?} {:?} {} {} {}",
            form.kind,
            form.ignored,
            form.positive,
            form.depth_scale,
            form.zero_is_unlabelled,
            form.images()
        );
        listing.decides = sha256(decides.as_bytes());
        Ok(listing)
    }
}
