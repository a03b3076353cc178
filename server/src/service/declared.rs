//! What files add to the catalogue: `encoders/KEY.toml` in the data folder, and among what ships with Virboard.

use super::Settings;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virboard_core::catalogue::architecture::Architecture;
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::{Catalogue, Mistake, rows};
use virboard_lab::registry::{ENDINGS, wanted};
use virboard_nn::encoder::Precision;
use virboard_nn::files::{sha256_file, write_atomically};
use virboard_nn::load::{load, load_any};

/// A file that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, with its path and line, and what to do.
    pub reason: String,
}

impl Refused {
    fn new(file: &Path, mistake: &Mistake) -> Self {
        let reason = match mistake.line {
            Some(line) => format!("{}, line {line}: {}", file.display(), mistake.what),
            None => format!("{}: {}", file.display(), mistake.what),
        };
        Self { file: file.to_path_buf(), reason }
    }
}

/// The catalogue with everything that is declared, and what was left out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// Built-in rows and declared ones.
    pub catalogue: Arc<Catalogue>,
    /// Files with mistakes.
    pub refused: Vec<Refused>,
}

/// Where files declare encoders.
#[must_use]
pub fn folder(data: &Path) -> PathBuf {
    data.join("encoders")
}

/// The file that declares an encoder.
#[must_use]
pub fn file_of(data: &Path, key: &str) -> PathBuf {
    folder(data).join(format!("{key}.toml"))
}

/// Reads all files, those of the data folder before those that ship below `samples`, which give way to one's own. One
/// with a mistake is left out, and the others are taken.
#[must_use]
pub fn read(data: &Path, samples: Option<&Path>) -> Declared {
    let mut catalogue = (*Catalogue::builtin()).clone();
    let mut refused = Vec::new();
    let own = rows_in(data);
    let taken: Vec<_> = own.iter().filter_map(|file| file.file_name()).collect();
    let mut shipped = samples.map(rows_in).unwrap_or_default();
    shipped.retain(|file| file.file_name().is_none_or(|name| !taken.contains(&name)));
    let shipped = shipped.into_iter().filter_map(|file| Some((samples?, file)));
    for (data, file) in shipped.chain(own.iter().map(|file| (data, file.clone()))) {
        let added = encoder(data, &file).and_then(|(text, encoder)| {
            catalogue.add_encoder(encoder).map_err(|m| {
                let key = if m.what.contains("suite") { "suites" } else { "key" };
                m.at_key(&text, key)
            })
        });
        if let Err(mistake) = added {
            refused.push(Refused::new(&file, &mistake));
        }
    }
    Declared { catalogue: Arc::new(catalogue), refused }
}

/// The files that declare encoders below a folder, sorted.
fn rows_in(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(data)).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

/// Reads a file; its checkpoint is looked for beside it and in the data folder.
fn encoder(data: &Path, file: &Path) -> Result<(String, Encoder), Mistake> {
    let text = std::fs::read_to_string(file).map_err(|e| Mistake::of(format!("it cannot be read: {e}")))?;
    let mut encoder = rows::encoder(&text)?;
    if file.file_stem().is_none_or(|stem| stem != encoder.key.as_str()) {
        let what = format!("the key is `{0}`; call the file {0}.toml, or give it the file’s name as key", encoder.key);
        return Err(Mistake::of(what).at_key(&text, "key"));
    }
    if let Some(path) = &encoder.checkpoint {
        let places = [file.parent().unwrap_or(data).join(path), data.join(path)];
        let found = places.iter().find(|p| p.is_file()).ok_or_else(|| {
            let what = format!(
                "there is no checkpoint {}; put it there, or take the line out to show scores alone",
                places[1].display()
            );
            Mistake::of(what).at_key(&text, "checkpoint")
        })?;
        encoder.checkpoint = Some(found.to_string_lossy().into_owned());
    }
    Ok((text, encoder))
}

/// Why an encoder was not declared.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// The row is not as it should be.
    #[error("{0}")]
    Row(#[from] Mistake),
    /// The checkpoint fits no architecture, or cannot be read.
    #[error("the encoder was not added: {0}")]
    Checkpoint(virboard_nn::Error),
    /// A file of this name is there already.
    #[error("{path} is there already; {mend}")]
    There {
        /// The file.
        path: PathBuf,
        /// What to do.
        mend: &'static str,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The encoder is built in, or unknown.
    #[error("{0}")]
    NotDeclared(String),
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DeclareError {
    let path = path.to_path_buf();
    move |source| DeclareError::Io { path, source }
}

/// What to do with a checkpoint that is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Copied to `checkpoints/KEY.*` of the data folder.
    Copy,
    /// Used where it lies.
    Refer,
}

/// Declares an encoder. Its checkpoint is loaded once, so that nothing is declared that does not run; the row is
/// written last, so that nothing is half declared. Gives the row as it was written, and where the checkpoint lies.
pub fn add(
    settings: &Settings,
    mut encoder: Encoder,
    checkpoint: Option<&Path>,
    keep: Keep,
) -> Result<(Encoder, Option<PathBuf>), DeclareError> {
    let declared = file_of(&settings.data, &encoder.key);
    // Another key than the built-in ones, one that is safe as a file name.
    (*read(&settings.data, settings.shipped()).catalogue).clone().add_encoder(encoder.clone())?;
    if declared.exists() {
        let mend = "mend it, or remove it with `virboard encoder remove`";
        return Err(DeclareError::There { path: declared, mend });
    }
    let mut copied = None;
    let mut lies = None;
    if let Some(path) = checkpoint {
        encoder.architecture = architecture(&encoder, path)?;
        match keep {
            Keep::Refer => {
                let path = path.canonicalize().map_err(io(path))?;
                encoder.checkpoint = Some(path.to_string_lossy().into_owned());
                lies = Some(path);
            }
            Keep::Copy => {
                let place = place_of(settings, &encoder.key, path);
                if copy(path, &place)? {
                    copied = Some(place.clone());
                }
                lies = Some(place);
            }
        }
    }
    let folder = folder(&settings.data);
    let made = std::fs::create_dir_all(&folder).map_err(io(&folder)).and_then(|()| {
        write_atomically(&declared, |file| {
            use std::io::Write;
            file.write_all(rows::written(&encoder).as_bytes()).map_err(virboard_nn::Error::io(&declared))
        })
        .map_err(DeclareError::Checkpoint)
    });
    if let (Err(_), Some(copy)) = (&made, copied) {
        let _ = std::fs::remove_file(copy);
    }
    made.map(|()| (encoder, lies))
}

/// The architecture of a checkpoint that fits the one that is asked for, or any.
fn architecture(encoder: &Encoder, path: &Path) -> Result<Option<Architecture>, DeclareError> {
    let cpu = virboard_nn::device::open("cpu").map_err(DeclareError::Checkpoint)?;
    let wanted = wanted(encoder);
    let loaded = match encoder.architecture {
        Some(architecture) => load(&encoder.key, architecture, path, wanted.as_ref(), &cpu, Precision::F32),
        None => load_any(path, wanted.as_ref(), &cpu, Precision::F32),
    };
    Ok(Some(loaded.map_err(DeclareError::Checkpoint)?.description().architecture))
}

fn place_of(settings: &Settings, key: &str, checkpoint: &Path) -> PathBuf {
    let name = checkpoint.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let ending = ENDINGS.into_iter().find(|e| name.ends_with(&format!(".{e}"))).unwrap_or("pt");
    settings.data.join("checkpoints").join(format!("{key}.{ending}"))
}

/// Copies a file whole or not at all; `false` if the same is there already.
fn copy(from: &Path, to: &Path) -> Result<bool, DeclareError> {
    if to.exists() {
        let same = |path: &Path| sha256_file(path).map_err(DeclareError::Checkpoint);
        if same(from)? == same(to)? {
            return Ok(false);
        }
        let mend = "move it away, or choose another key";
        return Err(DeclareError::There { path: to.to_path_buf(), mend });
    }
    let folder = to.parent().unwrap_or(to);
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let mut source = std::fs::File::open(from).map_err(io(from))?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io(folder))?;
    std::io::copy(&mut source, &mut file).map_err(io(to))?;
    file.persist(to).map_err(|e| io(to)(e.error))?;
    Ok(true)
}

/// Takes a declaration back. The checkpoint and all scores stay.
pub fn remove(data: &Path, key: &str) -> Result<(), DeclareError> {
    let file = file_of(data, key);
    match std::fs::remove_file(&file) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let known = Catalogue::builtin();
            Err(DeclareError::NotDeclared(match known.encoder_named(key) {
                Ok(e) => format!("{} is built in; only declared encoders can be removed", e.key),
                Err(_) => format!("there is no {}; `virboard encoder list` shows what is declared", file.display()),
            }))
        }
        Err(source) => Err(DeclareError::Io { path: file, source }),
    }
}
