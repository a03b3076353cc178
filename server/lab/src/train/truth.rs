//! The truth of a batch at the head's output size.

use crate::data::{Target, resize_nearest};
use crate::{Error, Result};

/// What a batch should give, sample after sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// Class per sample.
    Classes(Vec<u32>),
    /// Class per pixel, in row order; 255 where there is no label.
    Mask(Vec<u8>),
    /// Numbers per pixel, in row order, channels last; NaN where there is no label.
    Values(Vec<f32>),
}

impl Truth {
    /// What it is, in words.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Classes(_) => "a class a sample",
            Self::Mask(_) => "a class a pixel",
            Self::Values(_) => "numbers a pixel",
        }
    }

    /// Puts the truths of a batch together; per-pixel truth is sampled at `width x height`.
    ///
    /// # Errors
    /// [`Error::Unfit`] if there are none, or they are not of one kind.
    pub fn collect(targets: impl IntoIterator<Item = Target>, width: u32, height: u32) -> Result<Self> {
        let one = |target| match target {
            Target::Class(class) => Self::Classes(vec![class as u32]),
            Target::Mask { width: w, height: h, classes } => {
                Self::Mask(resize_nearest(&classes, 1, (w, h), (width, height)))
            }
            Target::Values { width: w, height: h, channels, values } => {
                Self::Values(resize_nearest(&values, channels, (w, h), (width, height)))
            }
        };
        Self::joined(targets.into_iter().map(one))
    }

    /// The truths of several samples as one.
    ///
    /// # Errors
    /// [`Error::Unfit`] if there are none, or they are not of one kind.
    pub fn joined(truths: impl IntoIterator<Item = Self>) -> Result<Self> {
        let mut truths = truths.into_iter();
        let mut all = truths.next().ok_or_else(|| Error::Unfit("a batch has no samples".to_owned()))?;
        for truth in truths {
            match (&mut all, truth) {
                (Self::Classes(all), Self::Classes(more)) => all.extend(more),
                (Self::Mask(all), Self::Mask(more)) => all.extend(more),
                (Self::Values(all), Self::Values(more)) => all.extend(more),
                (all, other) => {
                    return Err(Error::Unfit(format!("a batch has {} and {}", all.kind(), other.kind())));
                }
            }
        }
        Ok(all)
    }
}
