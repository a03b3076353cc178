//! Data sets that people bring: joining the catalogue, adding, checking and removing them.

use super::Settings;
use super::declared::{Declared as Rows, Refused};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virboard_core::words::counted;
use virboard_lab::data::Places;
use virboard_lab::data::declared::check::{Findings, check};
use virboard_lab::data::declared::{DESCRIPTION, Declared, INDEX, described, description, description_file, sets};
use virboard_lab::progress::Progress;

/// Why a data set is not added, checked or removed.
#[derive(Debug, thiserror::Error)]
pub enum OwnDataError {
    /// There is no such folder.
    #[error("{path} is no folder; name the folder that holds the data set")]
    NoFolder {
        /// What was given.
        path: PathBuf,
    },
    /// The name cannot be that of a folder.
    #[error("`{name}` cannot be the name of a data set; give one of letters, digits, `.`, `_` and `-` with --name")]
    Name {
        /// The name.
        name: String,
    },
    /// The name is used.
    #[error("{path} is there already; remove it with `virboard dataset remove {name}`, or choose another --name")]
    Taken {
        /// The folder.
        path: PathBuf,
        /// Its name.
        name: String,
    },
    /// An index says nothing about tasks.
    #[error(
        "{folder} has an index.csv and no dataset.toml, which says what is asked of the pictures; write one with name, licence and a block [[task]] of key and kind (docs/DATASETS.md shows one)"
    )]
    NoDescription {
        /// The folder.
        folder: PathBuf,
    },
    /// A key was given for a data set that names its keys.
    #[error("{file} names the keys of its tasks; change them there and leave --key out")]
    KeyGiven {
        /// The description.
        file: PathBuf,
    },
    /// The data set is not as it should be.
    #[error("{} with {folder}, listed above; nothing was added", counted(.findings.problems.len(), "problem"))]
    Problems {
        /// The folder.
        folder: PathBuf,
        /// Everything that was found.
        findings: Box<Findings>,
    },
    /// A folder that is a link is not copied.
    #[error("{path} is a link to a folder; put the folder itself there, or add the data set with --link")]
    LinkedFolder {
        /// The link.
        path: PathBuf,
    },
    /// There is no declared data set of this name.
    #[error("there is no declared data set `{name}`; {}", known_sentence(.known))]
    Unknown {
        /// The name.
        name: String,
        /// The names of those that are here.
        known: Vec<String>,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The description or the data cannot be read.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
}

fn known_sentence(known: &[String]) -> String {
    if known.is_empty() { "none is here".to_owned() } else { format!("here are {}", known.join(", ")) }
}

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> OwnDataError {
    let path = path.to_path_buf();
    move |source| OwnDataError::Io { path, source }
}

/// Adds the tasks of all declared data sets but one to the catalogue. What cannot join is left out and told.
pub fn join(rows: &mut Rows, places: &Places, but: Option<&str>) {
    let mut catalogue = Arc::unwrap_or_clone(std::mem::take(&mut rows.catalogue));
    for set in described(places) {
        match set {
            Ok(set) if Some(set.name.as_str()) == but => {}
            Ok(set) => {
                for (form, task) in set.forms().zip(set.tasks()) {
                    // A task that ships gives way to one's own of its key.
                    if let Err(mistake) = catalogue.add_task(task)
                        && set.is_own()
                    {
                        let reason = format!("{} line {}: {mistake}", set.file.display(), set.line(form));
                        rows.refused.push(Refused { file: set.file.clone(), reason });
                    }
                }
            }
            Err(error) => rows.refused.push(Refused { file: places.datasets.clone(), reason: error.to_string() }),
        }
    }
    rows.catalogue = Arc::new(catalogue);
}

/// What is to be added.
#[derive(Debug, Clone)]
pub struct Addition {
    /// The folder that holds the data set.
    pub folder: PathBuf,
    /// Its name here; by default the folder's.
    pub name: Option<String>,
    /// The key of the task that class folders make; by default made from the name.
    pub key: Option<String>,
    /// Whether the data set stays where it is and a link leads to it.
    pub link: bool,
}

/// A data set with what was found in it.
#[derive(Debug)]
pub struct Checked {
    /// The data set.
    pub set: Declared,
    /// What was found.
    pub findings: Findings,
}

/// Adds a data set: checks all of it, then copies or links it in one step. With a problem nothing is added.
///
/// # Errors
/// [`OwnDataError`]; nothing has changed then.
pub fn add(settings: &Settings, addition: &Addition, progress: &dyn Progress) -> Result<Checked, OwnDataError> {
    let no_folder = || OwnDataError::NoFolder { path: addition.folder.clone() };
    let folder = addition.folder.canonicalize().map_err(|_| no_folder())?;
    if !folder.is_dir() {
        return Err(no_folder());
    }
    let own = folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let name = addition.name.clone().unwrap_or(own);
    let safe = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(safe) {
        return Err(OwnDataError::Name { name });
    }
    let places = settings.folders().places;
    let target = places.datasets.join(&name);
    if target.symlink_metadata().is_ok() {
        return Err(OwnDataError::Taken { path: target, name });
    }
    let (mut set, text) = match description_file(&folder, &places) {
        Some(file) if addition.key.is_some() => return Err(OwnDataError::KeyGiven { file }),
        Some(file) => {
            let text = fs::read_to_string(&file).map_err(failed(&file))?;
            (Declared::from_text(&folder, file, text.clone())?, text)
        }
        None if folder.join(INDEX).is_file() => return Err(OwnDataError::NoDescription { folder }),
        None => {
            let key = addition.key.clone().unwrap_or_else(|| key_from(&name));
            let text = description::class_folders(&name, &key);
            (Declared::from_text(&folder, folder.join(DESCRIPTION), text.clone())?, text)
        }
    };
    set.name.clone_from(&name);
    let findings = findings(settings, &set, progress);
    if !findings.problems.is_empty() {
        return Err(OwnDataError::Problems { folder, findings: Box::new(findings) });
    }
    fs::create_dir_all(&places.datasets).map_err(failed(&places.datasets))?;
    if addition.link {
        let ships =
            places.samples.join("datasets").join(&name).join(DESCRIPTION).is_file() && folder.join(INDEX).is_file();
        link(&folder, &target, Some(text.as_str()).filter(|_| !ships))?;
    } else {
        copy(&folder, &target, &text, progress)?;
    }
    set.file = description_file(&target, &places).unwrap_or(set.file);
    set.folder = target;
    Ok(Checked { set, findings })
}

/// `My scans` gives `MyScans`.
fn key_from(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}

/// Puts a link to `folder` at `target`. A description that is not in the folder is written into it first.
fn link(folder: &Path, target: &Path, text: Option<&str>) -> Result<(), OwnDataError> {
    let own = folder.join(DESCRIPTION);
    let text = text.filter(|_| !own.is_file());
    let wrote = text.is_some();
    if let Some(text) = text {
        virboard_nn::files::write_atomically(&own, |file| {
            io::Write::write_all(file, text.as_bytes()).map_err(virboard_nn::Error::io(&own))
        })
        .map_err(virboard_lab::Error::from)?;
    }
    std::os::unix::fs::symlink(folder, target).map_err(|source| {
        if wrote {
            // Nothing half added: the folder is as it was.
            let _ = fs::remove_file(&own);
        }
        OwnDataError::Io { path: target.to_path_buf(), source }
    })
}

/// Copies `folder` beside `target` and gives it that name when it is whole.
fn copy(folder: &Path, target: &Path, text: &str, progress: &dyn Progress) -> Result<(), OwnDataError> {
    let above = target.parent().unwrap_or(target);
    let part = tempfile::Builder::new().prefix(".adding-").tempdir_in(above).map_err(failed(above))?;
    let files = files(folder, Path::new(""))?;
    progress.begin(&format!("copying {} files", files.len()), files.len() as u64);
    for (done, file) in files.iter().enumerate() {
        let to = part.path().join(file);
        if let Some(inside) = to.parent() {
            fs::create_dir_all(inside).map_err(failed(inside))?;
        }
        fs::copy(folder.join(file), &to).map_err(failed(&to))?;
        progress.advance(done as u64 + 1);
    }
    let description = part.path().join(DESCRIPTION);
    if !description.is_file() {
        fs::write(&description, text).map_err(failed(&description))?;
    }
    let open = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    fs::set_permissions(part.path(), open).map_err(failed(part.path()))?;
    // A folder that came meanwhile is not replaced: renaming over one with files in it fails.
    fs::rename(part.path(), target).map_err(failed(target))?;
    // It has left its temporary name, so there is nothing to tidy up.
    let _ = part.keep();
    Ok(())
}

/// All files below a folder that are not hidden, relative to `root`.
fn files(root: &Path, inside: &Path) -> Result<Vec<PathBuf>, OwnDataError> {
    let folder = root.join(inside);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed(&folder))? {
        let entry = entry.map_err(failed(&folder))?;
        let (name, path) = (inside.join(entry.file_name()), entry.path());
        let kind = entry.file_type().map_err(failed(&path))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if kind.is_dir() {
            found.extend(files(root, &name)?);
        } else if path.is_dir() {
            return Err(OwnDataError::LinkedFolder { path });
        } else if path.canonicalize().is_ok_and(|real| real.is_file() && real.starts_with(root)) {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// The declared data set of this name, if its description can be read.
#[must_use]
pub fn added(settings: &Settings, name: &str) -> Option<Declared> {
    sets(&settings.folders().places).into_iter().flatten().find(|set| set.name == name)
}

/// Checks a declared data set by its name, or a folder that could be added.
///
/// # Errors
/// [`OwnDataError`] for what is neither, or a description that cannot be read.
pub fn check_named(settings: &Settings, name: &str, progress: &dyn Progress) -> Result<Checked, OwnDataError> {
    let places = settings.folders().places;
    let by_name = places.datasets.join(name);
    let is_name = Path::new(name).components().count() == 1 && description_file(&by_name, &places).is_some();
    let folder = if is_name { by_name } else { PathBuf::from(name) };
    let set = match description_file(&folder, &places) {
        Some(file) => Declared::read(&folder, file)?,
        None if !folder.is_dir() => return Err(unknown(settings, name)),
        None if folder.join(INDEX).is_file() => return Err(OwnDataError::NoDescription { folder }),
        None => {
            let own = folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
            let text = description::class_folders(&own, &key_from(&own));
            Declared::from_text(&folder, folder.join(DESCRIPTION), text)?
        }
    };
    let findings = findings(settings, &set, progress);
    Ok(Checked { set, findings })
}

/// Removes a declared data set, or the link to one. Scores and heads stay. Gives the keys of its tasks, where its
/// description can be read.
///
/// # Errors
/// [`OwnDataError::Unknown`] for a folder that is none, such as one of ViRB's.
pub fn remove(settings: &Settings, name: &str) -> Result<Vec<String>, OwnDataError> {
    let places = settings.folders().places;
    let folder = places.datasets.join(name);
    let inside = Path::new(name).components().count() == 1 && !name.starts_with('.');
    let Some(file) = description_file(&folder, &places).filter(|_| inside) else {
        return Err(unknown(settings, name));
    };
    let keys = Declared::read(&folder, file).map(|set| set.keys().map(str::to_owned).collect()).unwrap_or_default();
    if folder.is_symlink() {
        fs::remove_file(&folder).map_err(failed(&folder))?;
        return Ok(keys);
    }
    // It is gone at once; a killed process leaves a hidden folder at most.
    let hidden = places.datasets.join(format!(".removed-{name}-{}", std::process::id()));
    fs::rename(&folder, &hidden).map_err(failed(&folder))?;
    fs::remove_dir_all(&hidden).map_err(failed(&hidden))?;
    Ok(keys)
}

fn unknown(settings: &Settings, name: &str) -> OwnDataError {
    let known = sets(&settings.folders().places).into_iter().flatten().map(|set| set.name).collect();
    OwnDataError::Unknown { name: name.to_owned(), known }
}

/// Checks a data set beside what else is in the catalogue.
fn findings(settings: &Settings, set: &Declared, progress: &dyn Progress) -> Findings {
    let mut others = Arc::unwrap_or_clone(settings.declared_without(Some(&set.name)).catalogue);
    check(set, &mut |task| others.add_task(task).err().map(|mistake| mistake.to_string()), progress)
}
