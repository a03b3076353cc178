//! What activations between convolutions are made of: `f32`, or `bf16` for half the bytes.

use super::{Maps, Scratch, grown};
use crate::Result;
use crate::conv::{Activation, Conv};
use half::bf16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

/// Values that are converted at once.
const PART: usize = 1 << 14;

/// A number of an activation.
pub trait Value: Copy + Default + Send + Sync + 'static {
    /// Has `write` fill as many `f32` as `to` is long, and takes them over. `spare` is a buffer.
    fn fill(to: &mut [Self], spare: &mut Vec<f32>, write: impl FnOnce(&mut [f32]));
    /// The values as `f32`, in `spare` if they are not already.
    fn wide<'a>(values: &'a [Self], spare: &'a mut Vec<f32>) -> &'a [f32];
    /// The same of a vector.
    fn widened(values: Vec<Self>) -> Vec<f32>;
}

impl Value for f32 {
    fn fill(to: &mut [Self], _: &mut Vec<f32>, write: impl FnOnce(&mut [f32])) {
        write(to);
    }

    fn wide<'a>(values: &'a [Self], _: &'a mut Vec<f32>) -> &'a [f32] {
        values
    }

    fn widened(values: Vec<Self>) -> Vec<f32> {
        values
    }
}

impl Value for bf16 {
    fn fill(to: &mut [Self], spare: &mut Vec<f32>, write: impl FnOnce(&mut [f32])) {
        let from = grown(spare, to.len());
        write(from);
        let parts = to.par_chunks_mut(PART).zip(from.par_chunks(PART));
        parts.for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(t, f)| *t = Self::from_f32(*f)));
    }

    fn wide<'a>(values: &'a [Self], spare: &'a mut Vec<f32>) -> &'a [f32] {
        let to = grown(spare, values.len());
        to.par_chunks_mut(PART).zip(values.par_chunks(PART)).for_each(|(to, from)| from.convert_to_f32_slice(to));
        to
    }

    fn widened(values: Vec<Self>) -> Vec<f32> {
        let mut wide = Vec::new();
        Self::wide(&values, &mut wide);
        wide
    }
}

/// A convolution of the fused networks.
pub trait FusedConvolution: Sized + Send + Sync {
    /// What it reads and writes.
    type Value: Value;

    /// Packs the weights. The method depends on nothing but the shape, so that features have the
    /// same bits on every run.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for a convolution or a processor that cannot be served.
    fn new(conv: &Conv) -> Result<Self>;
    /// Output channels.
    fn outputs(&self) -> usize;
    /// Size of the output for an input of size `maps`.
    fn output(&self, maps: Maps) -> Maps;
    /// Convolves `x`, `N x H x W x I`, into `out`, `N x H' x W' x O`.
    fn run(&self, x: &[Self::Value], maps: Maps, out: &mut [Self::Value], scratch: &mut Scratch);
    /// The same, but adds to what `out` holds, and applies `activation` to the sum.
    fn add(
        &self,
        x: &[Self::Value],
        maps: Maps,
        activation: Activation,
        out: &mut [Self::Value],
        scratch: &mut Scratch,
    );
}
