//! How good an encoder is on the way: nearest neighbours on a task, without training anything.

use super::views::{Fit, plain};
use crate::data::{self, Broken, Dataset, Split, Target};
use crate::progress::Progress;
use crate::score::knn;
use crate::score::metric::SampleScore;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use virboard_core::protocol::Protocol;
use virboard_nn::trainable::{Normalising, Trainable};

/// Neighbours that vote.
const K: usize = 10;
/// Pictures that are encoded at once.
const BATCH: usize = 64;

/// A task whose samples are classified by their neighbours.
pub struct Examiner {
    dataset: Box<dyn Dataset>,
    side: u32,
}

impl Examiner {
    /// Opens the data set of a task. Its pictures are resized to squares of `side` pixels.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a task that is not about the classes of single pictures.
    pub fn open(task: &str, side: u32, places: &data::Places, progress: &dyn Progress) -> Result<Self> {
        let dataset = data::open(task, places, Protocol::Standard, Broken::Refuse, progress)?;
        let is_class = dataset.len(Split::Train) > 0 && matches!(dataset.target(Split::Train, 0)?, Target::Class(_));
        if dataset.images() != 1 || !is_class {
            let reason = format!("neighbours vote for classes of single pictures, and {task} asks for something else");
            return Err(Error::Unsupported(reason));
        }
        Ok(Self { dataset, side })
    }

    /// The share of the test samples, from 0 to 1, for whose class their neighbours among the
    /// training samples vote (k = 10, cosine similarity, see [`knn`]).
    pub fn score(&self, network: &dyn Trainable, device: &Device, progress: &dyn Progress) -> Result<f64> {
        let (train, train_classes) = self.embeddings(Split::Train, network, device, progress)?;
        let (test, test_classes) = self.embeddings(Split::Test, network, device, progress)?;
        // Silent: the bar shows the run.
        let scores = knn::classify(&train, &train_classes, &test, &test_classes, &[K], &())?;
        let right = |score: &&SampleScore| matches!(score, SampleScore::Class { truth, top } if top.first().is_some_and(|t| t.0 == *truth));
        let of: &[SampleScore] = scores.first().map_or(&[], Vec::as_slice);
        Ok(of.iter().filter(right).count() as f64 / of.len().max(1) as f64)
    }

    fn embeddings(
        &self,
        split: Split,
        network: &dyn Trainable,
        device: &Device,
        progress: &dyn Progress,
    ) -> Result<(Tensor, Vec<u32>)> {
        let (count, side) = (self.dataset.len(split), self.side as usize);
        let input = &network.description().preprocessing;
        let (mut parts, mut classes) = (Vec::new(), Vec::with_capacity(count));
        for first in (0..count).step_by(BATCH) {
            if progress.cancelled() {
                return Err(Error::Cancelled);
            }
            let some = first..(first + BATCH).min(count);
            let samples = some.clone().into_par_iter().map(|i| {
                let sample = self.dataset.sample(split, i)?;
                let Target::Class(class) = sample.target else {
                    return Err(Error::Unsupported("a sample has no class".to_owned()));
                };
                Ok((plain(&sample.pictures[0], self.side, Fit::Squash, input), class as u32))
            });
            let samples: Vec<(Vec<f32>, u32)> = samples.collect::<Result<_>>()?;
            classes.extend(samples.iter().map(|(_, class)| *class));
            let values: Vec<f32> = samples.into_iter().flat_map(|(values, _)| values).collect();
            let x = Tensor::from_vec(values, (some.len(), side, side, 3), device)?;
            parts.push(network.embedding(&x, Normalising::EVAL)?.detach().to_device(&Device::Cpu)?);
        }
        Ok((Tensor::cat(&parts, 0)?, classes))
    }
}
