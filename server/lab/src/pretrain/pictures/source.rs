//! What a source of training pictures names: a declared data set, one of ViRB's, or any folder of pictures.

use crate::data::declared::index::Row;
use crate::data::declared::{self, Declared, INDEX, index};
use crate::data::left_out::{LeftOut, Why, is_picture, kept_by_programs};
use crate::data::listing::{Listing, Truth, parent_name};
use crate::data::sets::{Layout, SETS, Set};
use crate::data::{self, Places};
use crate::error::PicturesError;
use crate::progress::Progress;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use virboard_core::catalogue::nearest;
use virboard_core::protocol::Protocol;

/// The folder of training pictures in a data set that has one for each split.
const TRAIN: &str = "train";

/// ViRB's data sets whose training pictures can be listed without their truths, and the folder of those pictures.
/// Frames of clips and views of buildings have no classes.
const BARE: [[&str; 2]; 2] = [["kinetics400", "train"], ["taskonomy", "train/rgb"]];

/// A training picture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Its file.
    pub path: PathBuf,
    /// The name of its class, if it has one.
    pub class: Option<String>,
}

/// The training pictures of a source.
#[derive(Debug)]
pub struct Source {
    /// The source as it was given.
    pub name: String,
    /// The folder that paths are shown relative to.
    pub root: PathBuf,
    /// The pictures, sorted by path, each once. One that is in several classes has none.
    pub pictures: Vec<Found>,
}

/// Lists a source. Only training pictures are taken; what lies beside them is said.
pub fn open(places: &Places, name: &str, progress: &dyn Progress) -> Result<Source> {
    let (root, part) = resolve(places, name)?;
    let mut pictures = if let Some(file) = declared::description_file(&root, places) {
        declared_set(&Declared::read(&root, file)?, name, part, progress)?
    } else if root.join(INDEX).is_file() {
        let rows = index::read(&root.join(INDEX)).map_err(|reasons| bad(name, reasons.join("; ")))?;
        let split = part.unwrap_or(TRAIN);
        of_splits(&root, &rows, &[split].into(), name)?
    } else if let (Some(set), None) = (virbs(places, &root), part) {
        virbs_set(set, places, &root, name, progress)?
    } else {
        folder(&root, part, name, progress)?
    };
    pictures.sort();
    let pictures: Vec<Found> = pictures.chunk_by(|a, b| a.path == b.path).map(once).collect();
    if pictures.len() < 2 {
        return Err(PicturesError::TooFew { source_name: name.to_owned(), pictures: pictures.len() }.into());
    }
    Ok(Source { name: name.to_owned(), root, pictures })
}

/// One picture that was found at least once.
fn once(same: &[Found]) -> Found {
    let mut classes = same.iter().filter_map(|found| found.class.as_ref());
    let class = classes.next().filter(|first| classes.all(|class| class == *first)).cloned();
    Found { path: same[0].path.clone(), class }
}

fn bad(name: &str, reason: String) -> Error {
    Error::Dataset { dataset: name.to_owned(), reason }
}

/// The folder that a source names, and the part of it: `NAME`, `NAME:SPLIT` or `NAME/TASK`, where `NAME` is a folder
/// of the data sets, a task of ViRB's, or a path.
fn resolve<'a>(places: &Places, name: &'a str) -> Result<(PathBuf, Option<&'a str>)> {
    let folder = |name: &str| -> Option<PathBuf> {
        let set = data::sets::set_of(name).map(|(set, _)| places.datasets.join(set.folder));
        let mut choices = [Some(places.datasets.join(name)), set, Some(PathBuf::from(name))].into_iter().flatten();
        choices.find(|folder| !name.is_empty() && folder.is_dir())
    };
    if let Some(whole) = folder(name) {
        return Ok((whole, None));
    }
    let parts = [':', '/'].into_iter().filter_map(|mark| name.rsplit_once(mark));
    for (base, part) in parts {
        if let Some(root) = folder(base) {
            // A folder that is not there is no task.
            if name.ends_with(&format!(":{part}")) || declared::is_declared(&root, places) {
                return Ok((root, Some(part)));
            }
        }
    }
    let there: Vec<String> = std::fs::read_dir(&places.datasets)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir() && kept_by_programs(&entry.path()).is_none())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let folders = there.iter().map(String::as_str);
    let hint = match nearest(name.split(':').next().unwrap_or(name), folders) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => match SETS.iter().find(|set| set.folder.eq_ignore_ascii_case(name)) {
            Some(set) => format!("; {} is to be had from {}", set.folder, set.url),
            None => String::new(),
        },
    };
    Err(PicturesError::NoSource { source_name: name.to_owned(), datasets: places.datasets.clone(), hint }.into())
}

/// Pictures of a declared data set: those that its tasks train on, or those of one split or task. What any task is
/// tested on is left out.
fn declared_set(set: &Declared, name: &str, part: Option<&str>, progress: &dyn Progress) -> Result<Vec<Found>> {
    let rows = set.rows().map_err(|reasons| bad(name, reasons.join("; ")))?;
    let tests: BTreeSet<&str> = set.forms().map(|form| form.test.as_str()).collect();
    let task = part.and_then(|part| set.forms().find(|form| form.key.get_ref() == part));
    let splits: BTreeSet<&str> = match (part, task) {
        (_, Some(form)) => [form.train.as_str()].into(),
        (Some(split), None) => [split].into(),
        (None, None) => set.forms().map(|form| form.train.as_str()).filter(|split| !tests.contains(split)).collect(),
    };
    if let Some(form) = set.forms().find(|form| splits.contains(form.test.as_str())) {
        let task = form.key.get_ref().clone();
        return Err(PicturesError::Tested { source_name: name.to_owned(), task }.into());
    }
    let mut pictures = of_splits(&set.folder, &rows, &splits, name).map_err(|error| known_tasks(error, set))?;
    let tested: BTreeSet<PathBuf> = rows
        .iter()
        .filter(|row| tests.contains(row.split.as_str()))
        .flat_map(|row| row.pictures.iter().map(|picture| set.folder.join(picture)))
        .collect();
    let before = pictures.len();
    pictures.retain(|picture| !tested.contains(&picture.path));
    if pictures.len() < before {
        let left = before - pictures.len();
        progress.say(&format!("{left} pictures of {name} are left out, since a task of it is tested on them"));
    }
    Ok(pictures)
}

/// Adds a data set's tasks to what is known of its parts.
fn known_tasks(error: Error, set: &Declared) -> Error {
    match error {
        Error::TrainingPictures(PicturesError::NoPart { source_name, known }) => {
            let tasks: Vec<&str> = set.keys().collect();
            PicturesError::NoPart { source_name, known: format!("{known} and the tasks {}", tasks.join(", ")) }.into()
        }
        other => other,
    }
}

/// The pictures of some splits.
fn of_splits(root: &Path, rows: &[Row], splits: &BTreeSet<&str>, name: &str) -> Result<Vec<Found>> {
    let mut pictures = Vec::new();
    for row in rows.iter().filter(|row| splits.contains(row.split.as_str())) {
        let class = (!row.label.is_empty()).then(|| row.label.clone());
        pictures.extend(row.pictures.iter().map(|p| Found { path: root.join(p), class: class.clone() }));
    }
    if pictures.is_empty() {
        let known: BTreeSet<&str> = rows.iter().map(|row| row.split.as_str()).collect();
        let known = format!("the splits {}", known.into_iter().collect::<Vec<_>>().join(", "));
        return Err(PicturesError::NoPart { source_name: name.to_owned(), known }.into());
    }
    Ok(pictures)
}

/// The set of ViRB's that lies in this folder.
fn virbs(places: &Places, root: &Path) -> Option<&'static Set> {
    SETS.iter().find(|set| places.datasets.join(set.folder) == root)
}

/// The training pictures of one of ViRB's data sets.
fn virbs_set(set: &Set, places: &Places, root: &Path, name: &str, progress: &dyn Progress) -> Result<Vec<Found>> {
    if let Some([_, below]) = BARE.iter().find(|[folder, _]| *folder == set.folder) {
        let found = folder(&root.join(below), None, name, progress)?;
        return Ok(found.into_iter().map(|picture| Found { class: None, ..picture }).collect());
    }
    let mut pictures = Vec::new();
    for (task, layout) in set.tasks {
        match layout {
            Layout::Classes { train, endings, .. } => {
                let mut listing = Listing::new(task, root.to_path_buf())?;
                let files = listing.files(train, 1, endings);
                pictures.extend(files.into_iter().map(|path| Found { class: parent_name(&path), path }));
                say(&listing, progress);
            }
            Layout::Files(_) => {
                let Some(listing) = data::list(task, places, Protocol::Standard)? else { continue };
                say(&listing, progress);
                for entry in &listing.train {
                    let class = match entry.truth {
                        Truth::Class(class) => listing.labels.get(class).map(|label| label.name.clone()),
                        Truth::File(_) => None,
                    };
                    pictures.extend(entry.pictures.iter().map(|p| Found { path: p.clone(), class: class.clone() }));
                }
            }
            Layout::Whole(_) => return Err(PicturesError::Packed { source_name: name.to_owned() }.into()),
            Layout::Shown => {}
        }
    }
    Ok(pictures)
}

fn say(listing: &Listing, progress: &dyn Progress) {
    for sentence in listing.problems.iter().cloned().chain(listing.left_out.sentences()) {
        progress.say(&format!("{}: {sentence}", listing.task));
    }
}

/// The pictures below a folder, or below its folder `part`, by default `train` where there is one. The folders between
/// are their classes.
fn folder(root: &Path, part: Option<&str>, name: &str, progress: &dyn Progress) -> Result<Vec<Found>> {
    let train = root.join(part.unwrap_or(TRAIN));
    let top = if train.is_dir() {
        train
    } else if part.is_some() {
        let known = "its folders".to_owned();
        return Err(PicturesError::NoPart { source_name: name.to_owned(), known }.into());
    } else {
        root.to_path_buf()
    };
    let (mut found, mut left_out) = (Vec::new(), LeftOut::default());
    walk(&top, &top, &mut found, &mut left_out)?;
    for sentence in left_out.sentences() {
        progress.say(&format!("{name}: {sentence}"));
    }
    Ok(found)
}

fn walk(top: &Path, folder: &Path, found: &mut Vec<Found>, left_out: &mut LeftOut) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if let Some(why) = kept_by_programs(&path) {
            left_out.add(why, &path);
        } else if path.is_dir() {
            walk(top, &path, found, left_out)?;
        } else if is_picture(&path) {
            let class = folder.strip_prefix(top).ok().map(|c| c.display().to_string()).filter(|c| !c.is_empty());
            found.push(Found { path, class });
        } else {
            left_out.add(Why::OtherFile, &path);
        }
    }
    Ok(())
}
