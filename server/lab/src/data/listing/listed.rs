//! A listing as a data set whose samples are read.

use super::{Entry, Listing, Truth};
use crate::data::{Dataset, Sample, Split, Target, UNLABELLED};
use crate::head::Label;
use crate::{Error, Result, image};
use std::path::Path;

/// Training samples that a typical value is taken from.
const SOME: usize = 32;

/// A data set of files.
#[derive(Debug)]
pub struct Listed {
    pub(super) listing: Listing,
    pub(super) pictures_sha256: String,
    pub(super) sha256: String,
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
                let target = match self.listing.after {
                    Some(after) => after(target),
                    None => target,
                };
                self.in_range(path, target)
            }
        }
    }

    /// A truth, unless it says something that no head could learn: a class without a name, or what is infinite.
    fn in_range(&self, path: &Path, target: Target) -> Result<Target> {
        let classes = self.listing.labels.len();
        let strange = match &target {
            Target::Mask { classes: mask, .. } => mask
                .iter()
                .find(|c| **c != UNLABELLED && usize::from(**c) >= classes)
                .map(|c| format!("it holds the class {c}, and there are {classes}")),
            Target::Values { values, .. } => {
                values.iter().find(|v| v.is_infinite()).map(|v| format!("it holds the number {v}"))
            }
            Target::Class(_) => None,
        };
        match strange {
            Some(reason) => Err(Error::Truth {
                path: path.to_path_buf(),
                reason: format!("{reason}; mend the file, or leave such samples out with --skip-broken"),
            }),
            None => Ok(target),
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
