//! Where a training takes its batches from: cached features, pictures that are augmented and
//! encoded every time, or pictures alone, for encoders that are trained along.

use super::augment::View;
use super::truth::Truth;
use crate::data::{Dataset, Sample, Split, Target};
use crate::features::FeatureSet;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use virboard_nn::encoder::Features;
use virboard_nn::load::LoadedEncoder;
use virboard_nn::seeded::Stream;

/// A batch as heads take it.
pub struct Batch {
    /// Embeddings, or maps, the finest first; or pictures.
    pub inputs: Vec<Tensor>,
    /// What should come out.
    pub truth: Truth,
    /// Height and width of the encoder's input.
    pub size: (usize, usize),
}

/// One split of a data set.
#[expect(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait Source: Sync {
    /// Samples.
    fn len(&self) -> usize;
    /// A batch. `draw` names what is random in it; without one nothing is.
    fn batch(&self, indices: &[usize], draw: Option<&str>) -> Result<Batch>;
    /// Mean and deviation of each channel of the inputs; empty where they are not known.
    fn statistics(&self) -> Result<Vec<(Tensor, Tensor)>> {
        Ok(Vec::new())
    }
    /// Whether samples can have different sizes, so that each needs a batch of its own.
    fn varies(&self) -> bool {
        false
    }
    /// The truth of some samples at the head's output size.
    fn truth(&self, indices: &[usize]) -> Result<Truth>;
}

/// Features from the cache.
pub struct Cached {
    features: FeatureSet,
    targets: Vec<Target>,
    /// Width and height of the encoder's input.
    size: (u32, u32),
    device: Device,
}

impl Cached {
    /// Features with the truth of their samples, which is sampled at `size` once.
    pub fn new(
        features: FeatureSet,
        dataset: &dyn Dataset,
        split: Split,
        size: (u32, u32),
        device: &Device,
    ) -> Result<Self> {
        let targets = (0..dataset.len(split))
            .into_par_iter()
            .map(|i| Ok(dataset.target(split, i)?.resized(size)))
            .collect::<Result<_>>()?;
        Ok(Self { features, targets, size, device: device.clone() })
    }

    /// The features, for probes that work on all at once.
    #[must_use]
    pub fn features(&self) -> &FeatureSet {
        &self.features
    }
}

impl Source for Cached {
    fn len(&self) -> usize {
        self.features.len
    }

    fn batch(&self, indices: &[usize], _draw: Option<&str>) -> Result<Batch> {
        let size = (self.size.1 as usize, self.size.0 as usize);
        Ok(Batch { inputs: self.features.batch(indices, &self.device)?, truth: self.truth(indices)?, size })
    }

    fn statistics(&self) -> Result<Vec<(Tensor, Tensor)>> {
        self.features.statistics(&self.device)
    }

    fn truth(&self, indices: &[usize]) -> Result<Truth> {
        Truth::collect(indices.iter().map(|i| self.targets[*i].clone()), self.size.0, self.size.1)
    }
}

/// Pictures that are read, augmented and encoded for every batch.
pub struct Streamed<'a> {
    /// The data set.
    pub dataset: &'a dyn Dataset,
    /// Its split.
    pub split: Split,
    /// The encoder.
    pub encoder: &'a LoadedEncoder,
    /// How pictures are cut and changed.
    pub view: View,
    /// Whether the output has the input's size exactly, not rounded up to even numbers.
    pub exact: bool,
    /// Seed of what is random.
    pub seed: u64,
    /// The encoder's device.
    pub device: &'a Device,
}

impl Source for Streamed<'_> {
    fn len(&self) -> usize {
        self.dataset.len(self.split)
    }

    fn batch(&self, indices: &[usize], draw: Option<&str>) -> Result<Batch> {
        let samples = self.samples(indices, draw)?;
        let inputs = self.encode(&samples.iter().collect::<Vec<_>>())?;
        self.with_truth(inputs, samples)
    }

    fn varies(&self) -> bool {
        self.view.keeps_size()
    }

    fn truth(&self, indices: &[usize]) -> Result<Truth> {
        let input = self.encoder.network.preprocessing();
        let targets = indices
            .par_iter()
            .map(|i| {
                let target = self.dataset.target(self.split, *i)?;
                let size = match (&target, self.view.keeps_size()) {
                    (Target::Mask { width, height, .. } | Target::Values { width, height, .. }, true) => {
                        (*width, *height)
                    }
                    _ => (input.width, input.height),
                };
                Ok(target.resized(self.output(size.0, size.1)))
            })
            .collect::<Result<Vec<_>>>()?;
        let own = |target| match target {
            Target::Class(class) => Truth::Classes(vec![class as u32]),
            Target::Mask { classes, .. } => Truth::Mask(classes),
            Target::Values { values, .. } => Truth::Values(values),
        };
        Truth::joined(targets.into_iter().map(own))
    }
}

impl Streamed<'_> {
    /// Samples as the encoder is to see them, of one size.
    pub(super) fn samples(&self, indices: &[usize], draw: Option<&str>) -> Result<Vec<Sample>> {
        let input = self.encoder.network.preprocessing();
        let samples = indices
            .par_iter()
            .map(|i| {
                let sample = self.dataset.sample(self.split, *i)?;
                let mut stream = draw.map(|draw| Stream::new(self.seed, &format!("{draw}/{i}")));
                self.view.apply(sample, input, stream.as_mut())
            })
            .collect::<Result<Vec<_>>>()?;
        let (width, height) = samples.first().map_or((0, 0), |s| s.pictures[0].dimensions());
        if samples.iter().flat_map(|s| &s.pictures).any(|p| p.dimensions() != (width, height)) {
            let names: Vec<String> = indices.iter().map(|i| self.dataset.name(self.split, *i)).collect();
            return Err(Error::Unfit(format!("pictures of one batch differ in size: {}", names.join(", "))));
        }
        Ok(samples)
    }

    /// Maps of some samples, those of several images side by side on channels, each `N x H x W x C`.
    pub(super) fn encode(&self, samples: &[&Sample]) -> Result<Vec<Tensor>> {
        let pictures = self.pictures(samples)?;
        let encode = |batch: &Tensor| self.encoder.network.features(batch);
        let features = pictures.iter().map(encode).collect::<virboard_nn::Result<Vec<_>>>()?;
        Ok(Features::maps_nhwc(&features)?)
    }

    /// The pictures of some samples as the encoder takes them, `N x 3 x H x W` for each image of a
    /// sample.
    fn pictures(&self, samples: &[&Sample]) -> Result<Vec<Tensor>> {
        let input = self.encoder.network.preprocessing();
        let (width, height) = samples.first().map_or((0, 0), |s| s.pictures[0].dimensions());
        let batch = |image: usize| {
            let values: Vec<Vec<f32>> = samples.par_iter().map(|s| input.values(&s.pictures[image])).collect();
            let shape = (values.len(), 3, height as usize, width as usize);
            Ok(Tensor::from_vec(values.concat(), shape, &Device::Cpu)?.to_device(self.device)?)
        };
        (0..self.dataset.images()).map(batch).collect()
    }

    /// A batch of maps with the truth of their samples.
    pub(super) fn with_truth(&self, inputs: Vec<Tensor>, samples: Vec<Sample>) -> Result<Batch> {
        let (width, height) = samples.first().map_or((0, 0), |s| s.pictures[0].dimensions());
        let size = self.output(width, height);
        let truth = Truth::collect(samples.into_iter().map(|s| s.target), size.0, size.1)?;
        Ok(Batch { inputs, truth, size: (height as usize, width as usize) })
    }

    /// Width and height of the head's output for an input of this size.
    fn output(&self, width: u32, height: u32) -> (u32, u32) {
        if self.exact { (width, height) } else { (width.next_multiple_of(2), height.next_multiple_of(2)) }
    }
}

/// Pictures as an encoder that is trained along takes them, `N x H x W x 3` for each image of a
/// sample.
pub struct Pictures<'a> {
    /// What reads them, and changes them for training.
    pub inner: Streamed<'a>,
    /// Whether they are changed for training at all.
    pub augmented: bool,
}

impl Source for Pictures<'_> {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn batch(&self, indices: &[usize], draw: Option<&str>) -> Result<Batch> {
        let samples = self.inner.samples(indices, draw.filter(|_| self.augmented))?;
        let last = |picture: &Tensor| Ok(picture.permute((0, 2, 3, 1))?.contiguous()?);
        let pictures = self.inner.pictures(&samples.iter().collect::<Vec<_>>())?;
        let inputs = pictures.iter().map(last).collect::<Result<_>>()?;
        self.inner.with_truth(inputs, samples)
    }

    fn varies(&self) -> bool {
        self.inner.varies()
    }

    fn truth(&self, indices: &[usize]) -> Result<Truth> {
        self.inner.truth(indices)
    }
}
