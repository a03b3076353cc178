//! Predictions for pictures: one encoder pass for all heads, and outputs at the picture's size.

use crate::head::{Head, RawOutput};
use crate::{Error, Result};
use candle_core::{D, Tensor};
use rayon::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use virboard_nn::layer::bilinear_tap;
use virboard_nn::load::LoadedEncoder;

/// What a head says about one picture, at the head's own resolution.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A probability per class in label order, summing to 1.
    Classes(Vec<f32>),
    /// A class per pixel.
    Pixels(Grid),
    /// A distance per pixel, in the head's unit.
    Depth(Grid),
    /// A displacement per pixel to the right and down, in pixels of the first input.
    Flow(Grid),
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

/// What a batch gave and took.
#[derive(Debug)]
pub struct Answered {
    /// For each sample, one output a head.
    pub outputs: Vec<Vec<Output>>,
    /// Time of the encoder's pass. On a GPU it may only have been begun by then.
    pub encoder: Duration,
    /// Time of the heads.
    pub heads: Duration,
}

/// Runs `encoder` once over a batch of samples of equally many images, all prepared with
/// [`virboard_nn::preprocess::Preprocessing::input`], and every head on the features. Gives, for each
/// sample, one output a head, in the order of `heads`.
pub fn predict(
    encoder: &LoadedEncoder,
    heads: &[Arc<Head>],
    samples: &[&[Vec<f32>]],
    device: &candle_core::Device,
) -> Result<Answered> {
    let started = Instant::now();
    for head in heads {
        head.check(encoder)?;
    }
    let input = encoder.network.preprocessing();
    let images = samples.first().map_or(0, |s| s.len());
    let maps = heads.iter().any(|head| head.needs_maps());
    let mut features = Vec::with_capacity(images);
    for image in 0..images {
        let inputs: Vec<Vec<f32>> = samples.iter().map(|s| s[image].clone()).collect();
        features.push(encoder.network.features_with(&input.batch(&inputs, device)?, maps)?);
    }
    let encoder = started.elapsed();
    let size = (input.height as usize, input.width as usize);
    let mut outputs: Vec<Vec<Output>> = samples.iter().map(|_| Vec::with_capacity(heads.len())).collect();
    for head in heads {
        let task = &head.spec.task;
        let all: Vec<Output> = match head.forward(&features, size)? {
            RawOutput::Logits(logits) => {
                let rows: Vec<Vec<f32>> = candle_nn::ops::softmax(&logits, D::Minus1)?.to_vec2()?;
                rows.into_iter().map(Output::Classes).collect()
            }
            RawOutput::PixelLogits(t) => {
                // One plane says what is class 1; the other class is where it is below 0.
                let t = if t.dim(1)? == 1 { Tensor::cat(&[t.zeros_like()?, t], 1)? } else { t };
                grids(&t, task)?.into_iter().map(Output::Pixels).collect()
            }
            // Nothing is nearer than the camera.
            RawOutput::Depth(t) => grids(&t.relu()?.unsqueeze(1)?, task)?.into_iter().map(Output::Depth).collect(),
            RawOutput::Flow(t) => grids(&t, task)?.into_iter().map(Output::Flow).collect(),
        };
        outputs.iter_mut().zip(all).for_each(|(out, output)| out.push(output));
    }
    Ok(Answered { outputs, encoder, heads: started.elapsed().saturating_sub(encoder) })
}

fn grids(t: &Tensor, task: &str) -> Result<Vec<Grid>> {
    (0..t.dim(0)?).map(|i| grid(&t.get(i)?, task)).collect()
}

fn grid(t: &Tensor, task: &str) -> Result<Grid> {
    let (channels, height, width) = t.dims3()?;
    let values: Vec<f32> = t.flatten_all()?.to_vec1()?;
    if values.iter().any(|v| !v.is_finite()) {
        return Err(Error::NotFinite { task: task.to_owned() });
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

    /// A plane at every pixel of a `width x height` picture, interpolated bilinearly.
    #[must_use]
    pub fn values_at(&self, plane: usize, width: u32, height: u32) -> Vec<f32> {
        self.rows(width, height, |planes: &[Vec<f32>], x| planes[plane][x])
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
        assert_eq!(grid.values_at(0, 2, 2), [0.0, 1.0, 2.0, 3.0]);
        // PyTorch: F.interpolate(x, (1, 4), mode="bilinear", align_corners=False).
        assert_eq!(grid.values_at(0, 4, 1), [1.0, 1.25, 1.75, 2.0]);
        let two = Grid { channels: 2, height: 1, width: 2, values: vec![1.0, 0.0, 0.0, 1.0] };
        assert_eq!(two.classes_at(4, 2), [0, 0, 1, 1, 0, 0, 1, 1]);
    }
}
