//! Predictions for pictures: one encoder pass for all heads, and outputs at the picture's size.

use crate::conv::bilinear_tap;
use crate::encoder::LoadedEncoder;
use crate::head::{Head, RawOutput};
use crate::{Error, Result};
use candle_core::{D, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// What a head says about one picture, at the head's own resolution.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A probability per class in label order, summing to 1.
    Classes(Vec<f32>),
    /// A class per pixel.
    Pixels(Grid),
    /// A distance per pixel, in the head's unit.
    Depth(Grid),
}

/// Values per pixel: `channels` planes of `height x width`, in row order.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Planes: class logits, or one plane of distances.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `channels x height x width` values.
    pub values: Vec<f32>,
}

/// Runs `encoder` once over a batch of prepared inputs (see
/// [`crate::preprocess::Preprocessing::input`]) and every head on its features. Gives, for
/// each input, one output a head, in the order of `heads`.
pub fn predict(
    encoder: &LoadedEncoder,
    heads: &[Arc<Head>],
    inputs: &[Vec<f32>],
    device: &candle_core::Device,
) -> Result<Vec<Vec<Output>>> {
    for head in heads {
        head.check(encoder)?;
    }
    let batch = encoder.network.preprocessing().batch(inputs, device)?;
    let features = encoder.network.features(&batch)?;
    let mut outputs: Vec<Vec<Output>> = inputs.iter().map(|_| Vec::with_capacity(heads.len())).collect();
    for head in heads {
        match head.forward(&features)? {
            RawOutput::Logits(logits) => {
                let rows: Vec<Vec<f32>> = candle_nn::ops::softmax(&logits, D::Minus1)?.to_vec2()?;
                outputs.iter_mut().zip(rows).for_each(|(out, row)| out.push(Output::Classes(row)));
            }
            RawOutput::PixelLogits(t) => {
                for (i, out) in outputs.iter_mut().enumerate() {
                    out.push(Output::Pixels(grid(&t.get(i)?)?));
                }
            }
            RawOutput::Depth(t) => {
                for (i, out) in outputs.iter_mut().enumerate() {
                    // Nothing is nearer than the camera.
                    out.push(Output::Depth(grid(&t.get(i)?.relu()?.unsqueeze(0)?)?));
                }
            }
        }
    }
    Ok(outputs)
}

fn grid(t: &Tensor) -> Result<Grid> {
    let (channels, height, width) = t.dims3()?;
    let values: Vec<f32> = t.flatten_all()?.to_vec1()?;
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Error::Unsupported("the head puts out numbers that are not finite".to_owned()));
    }
    Ok(Grid { channels, height, width, values })
}

impl Grid {
    /// The index of the largest plane at every pixel of a `width x height` picture; planes
    /// are first interpolated bilinearly.
    #[must_use]
    pub fn classes_at(&self, width: u32, height: u32) -> Vec<u8> {
        self.rows(width, height, |planes: &[Vec<f32>], x| {
            let mut best = 0;
            for c in 1..planes.len() {
                if planes[c][x] > planes[best][x] {
                    best = c;
                }
            }
            best as u8
        })
    }

    /// The first plane at every pixel of a `width x height` picture, interpolated bilinearly.
    #[must_use]
    pub fn values_at(&self, width: u32, height: u32) -> Vec<f32> {
        self.rows(width, height, |planes: &[Vec<f32>], x| planes[0][x])
    }

    /// Interpolates row by row, so that memory stays small at any picture size.
    fn rows<T: Send + Copy + Default>(
        &self,
        width: u32,
        height: u32,
        pick: impl Fn(&[Vec<f32>], usize) -> T + Sync,
    ) -> Vec<T> {
        let (width, height) = (width as usize, height as usize);
        let columns: Vec<_> = (0..width).map(|x| bilinear_tap(x, self.width, width)).collect();
        let mut out = vec![T::default(); width * height];
        out.par_chunks_mut(width.max(1)).enumerate().for_each(|(y, out)| {
            let (low, high, weight) = bilinear_tap(y, self.height, height);
            let planes: Vec<Vec<f32>> = (0..self.channels)
                .map(|c| {
                    let row = |r: usize| &self.values[(c * self.height + r) * self.width..][..self.width];
                    let mixed: Vec<f32> = row(low).iter().zip(row(high)).map(|(a, b)| a + (b - a) * weight).collect();
                    columns.iter().map(|(l, h, w)| mixed[*l] + (mixed[*h] - mixed[*l]) * w).collect()
                })
                .collect();
            for (x, o) in out.iter_mut().enumerate() {
                *o = pick(&planes, x);
            }
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_interpolated_to_the_pictures_size() {
        let grid = Grid { channels: 1, height: 2, width: 2, values: vec![0.0, 1.0, 2.0, 3.0] };
        assert_eq!(grid.values_at(2, 2), [0.0, 1.0, 2.0, 3.0]);
        // PyTorch: F.interpolate(x, (1, 4), mode="bilinear", align_corners=False).
        assert_eq!(grid.values_at(4, 1), [1.0, 1.25, 1.75, 2.0]);
        let two = Grid { channels: 2, height: 1, width: 2, values: vec![1.0, 0.0, 0.0, 1.0] };
        assert_eq!(two.classes_at(4, 2), [0, 0, 1, 1, 0, 0, 1, 1]);
    }
}
