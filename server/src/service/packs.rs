//! Small data sets made of their originals, as data sets of this machine.

use super::Settings;
use super::own_data::{Checked, OwnDataError, check_named, failed};
use std::path::{Path, PathBuf};
use virboard_core::words::counted;
use virboard_lab::data::declared::check::Findings;
use virboard_lab::data::declared::description_file;
use virboard_lab::data::pack::origins::Origin;
use virboard_lab::data::pack::{Order, Packed, pack};
use virboard_lab::progress::Progress;

/// Why a small data set was not made.
#[derive(Debug, thiserror::Error)]
pub enum PackingError {
    /// There is something at its place.
    #[error("{path} is there already; remove it with `virboard dataset remove {name}`, or move it away")]
    Taken {
        /// The folder.
        path: PathBuf,
        /// Its name.
        name: &'static str,
    },
    /// What came of the original is not as it should be.
    #[error("{} with {name}, listed above; nothing was added", counted(.findings.problems.len(), "problem"))]
    Problems {
        /// Its name.
        name: &'static str,
        /// Everything that was found.
        findings: Box<Findings>,
    },
    /// The original cannot be used.
    #[error(transparent)]
    Lab(#[from] virboard_lab::Error),
    /// What was made cannot be written or checked.
    #[error(transparent)]
    Own(#[from] OwnDataError),
}

/// The folder that a small data set has among the data sets.
#[must_use]
pub fn place(settings: &Settings, origin: &Origin) -> PathBuf {
    settings.folders().places.datasets.join(origin.name)
}

/// Whether a small data set is here, and not another one in a folder of that name.
#[must_use]
pub fn is_here(settings: &Settings, origin: &Origin) -> bool {
    description_file(&place(settings, origin), &settings.folders().places).is_some()
}

/// Whether a small data set can be put to its place.
///
/// # Errors
/// [`PackingError::Taken`].
pub fn free(settings: &Settings, origin: &Origin) -> Result<(), PackingError> {
    let path = place(settings, origin);
    if path.symlink_metadata().is_ok() {
        return Err(PackingError::Taken { path, name: origin.name });
    }
    Ok(())
}

/// Makes a small data set of the folder `original`, checks all of it, and puts it among the data sets in one step.
///
/// # Errors
/// [`PackingError`]; nothing has changed then.
pub fn make(
    settings: &Settings,
    origin: &'static Origin,
    original: &Path,
    skip_missing: bool,
    progress: &dyn Progress,
) -> Result<(Checked, Packed), PackingError> {
    let (places, target) = (settings.folders().places, place(settings, origin));
    free(settings, origin)?;
    std::fs::create_dir_all(&places.datasets).map_err(failed(&places.datasets))?;
    let part = tempfile::Builder::new().prefix(".packing-").tempdir_in(&places.datasets);
    let part = part.map_err(failed(&places.datasets))?;
    // Of its name already, so that it is checked as what it will be.
    let made = part.path().join(origin.name);
    std::fs::create_dir(&made).map_err(failed(&made))?;
    let shipped = origin.shipped(&places.samples);
    let packed = pack(&Order { origin, shipped: &shipped, original, skip_missing }, &made, progress)?;
    let mut checked = check_named(settings, &made.to_string_lossy(), progress)?;
    if !checked.findings.problems.is_empty() {
        return Err(PackingError::Problems { name: origin.name, findings: Box::new(checked.findings) });
    }
    // A folder that came meanwhile is not replaced: renaming over one with files in it fails.
    std::fs::rename(&made, &target).map_err(failed(&target))?;
    checked.set.file = description_file(&target, &places).unwrap_or(checked.set.file);
    checked.set.folder = target;
    Ok((checked, packed))
}
