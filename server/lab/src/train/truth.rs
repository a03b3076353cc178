//! The truth of a batch at the head's output size.

use crate::data::{Target, resize_nearest};

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
    /// Puts the truths of a batch together; per-pixel truth is sampled at `width x height`.
    #[must_use]
    pub fn collect(targets: impl IntoIterator<Item = Target>, width: u32, height: u32) -> Self {
        let (mut classes, mut mask, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for target in targets {
            match target {
                Target::Class(class) => classes.push(class as u32),
                Target::Mask { width: w, height: h, classes } => {
                    mask.extend(resize_nearest(&classes, 1, (w, h), (width, height)));
                }
                Target::Values { width: w, height: h, channels, values: v } => {
                    values.extend(resize_nearest(&v, channels, (w, h), (width, height)));
                }
            }
        }
        if !classes.is_empty() {
            Self::Classes(classes)
        } else if !mask.is_empty() {
            Self::Mask(mask)
        } else {
            Self::Values(values)
        }
    }
}
