//! A data set without its samples that cannot be read.

use super::{Dataset, Sample, Split, Target};
use crate::head::Label;
use crate::progress::Progress;
use crate::{Error, Result};
use rayon::prelude::*;
use virboard_nn::files;

/// The readable samples of a data set.
pub struct Skipping {
    inner: Box<dyn Dataset>,
    train: Vec<usize>,
    test: Vec<usize>,
    pictures_sha256: String,
}

impl Skipping {
    /// Reads every sample once and keeps those that can be read; the others are reported.
    pub fn new(inner: Box<dyn Dataset>, progress: &dyn Progress) -> Result<Self> {
        let mut left_out = Vec::new();
        let mut readable = |split: Split| -> Result<Vec<usize>> {
            let n = inner.len(split);
            progress.begin(&format!("checking {n} {} samples", split.name()), n as u64);
            let mut kept = Vec::with_capacity(n);
            for first in (0..n).step_by(256) {
                if progress.cancelled() {
                    return Err(Error::Cancelled);
                }
                let last = (first + 256).min(n);
                let errors: Vec<Option<Error>> =
                    (first..last).into_par_iter().map(|i| inner.sample(split, i).err()).collect();
                for (index, error) in (first..last).zip(errors) {
                    match error {
                        None => kept.push(index),
                        Some(error) => {
                            tracing::warn!(sample = inner.name(split, index), %error, "left out");
                            left_out.push(inner.name(split, index));
                        }
                    }
                }
                progress.advance(last as u64);
            }
            Ok(kept)
        };
        let (train, test) = (readable(Split::Train)?, readable(Split::Test)?);
        let pictures_sha256 = if left_out.is_empty() {
            inner.pictures_sha256().to_owned()
        } else {
            files::sha256(format!("{} without {}", inner.pictures_sha256(), left_out.join(" ")).as_bytes())
        };
        Ok(Self { inner, train, test, pictures_sha256 })
    }

    fn at(&self, split: Split, index: usize) -> usize {
        match split {
            Split::Train => self.train[index],
            Split::Test => self.test[index],
        }
    }
}

impl Dataset for Skipping {
    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train.len(),
            Split::Test => self.test.len(),
        }
    }

    fn images(&self) -> usize {
        self.inner.images()
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        self.inner.sample(split, self.at(split, index))
    }

    fn target(&self, split: Split, index: usize) -> Result<Target> {
        self.inner.target(split, self.at(split, index))
    }

    fn name(&self, split: Split, index: usize) -> String {
        self.inner.name(split, self.at(split, index))
    }

    fn labels(&self) -> Vec<Label> {
        self.inner.labels()
    }

    fn typical_value(&self) -> Option<f32> {
        self.inner.typical_value()
    }

    fn pictures_sha256(&self) -> &str {
        &self.pictures_sha256
    }

    fn sha256(&self) -> String {
        if self.pictures_sha256 == self.inner.pictures_sha256() {
            return self.inner.sha256();
        }
        files::sha256(format!("{} {}", self.inner.sha256(), self.pictures_sha256).as_bytes())
    }
}
