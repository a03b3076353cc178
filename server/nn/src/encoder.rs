//! Frozen encoders: named feature maps and an embedding, whatever the architecture, and what is
//! told of each once: its maps, its input, its precisions, how it is built and how its
//! checkpoints are recognised.

use crate::checkpoint::Layout;
use crate::checkpoint::weights::Weights;
use crate::layer::batch_norm::Statistics;
use crate::parameters::{Gradients, Parameters};
use crate::preprocess::Preprocessing;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use virboard_core::catalogue::architecture::Architecture;

/// A feature map that an encoder offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapSpec {
    /// Name, such as `block3`.
    pub name: String,
    /// Input pixels per map pixel, in both directions.
    pub stride: usize,
    /// Channels.
    pub channels: usize,
}

/// How exactly a network computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// As PyTorch does by default.
    #[default]
    F32,
    /// Weights and activations in half precision, on a GPU.
    F16,
    /// Weights and activations in bfloat16, sums in `f32`.
    Bf16,
}

impl Precision {
    /// Whether it is the default, which is said nowhere.
    #[must_use]
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    pub fn is_default(&self) -> bool {
        *self == Self::F32
    }

    /// The precision of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::F32, Self::F16, Self::Bf16].into_iter().find(|p| p.name() == name)
    }

    /// Complains if it cannot be had on a device.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for half precision on the CPU, or bfloat16 on a processor without it.
    pub fn check(self, device: &Device) -> Result<()> {
        match self {
            Self::Bf16 if device.is_cpu() => crate::cpu::bf16::check(),
            Self::F16 if device.is_cpu() => {
                let reason = "half precision is for GPUs; use `--precision bf16` or `--precision f32` on the CPU";
                Err(Error::Unsupported(reason.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The type of candle's tensors.
    #[must_use]
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// `f32`, `f16` or `bf16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }
}

/// What an encoder makes of a batch.
#[derive(Debug, Clone)]
pub struct Features {
    /// One tensor a [`MapSpec`], `N x C x H/stride x W/stride`, the finest first; its values may
    /// lie in another order.
    pub maps: Vec<Tensor>,
    /// `N x E`.
    pub embedding: Tensor,
}

impl Features {
    /// The embeddings of several images side by side, `N x (K * E)`.
    pub fn embeddings(images: &[Self]) -> Result<Tensor> {
        let all: Vec<&Tensor> = images.iter().map(|i| &i.embedding).collect();
        Ok(Tensor::cat(&all, 1)?)
    }

    /// The maps of several images side by side on channels, each `N x H x W x (K * C)`.
    pub fn maps_nhwc(images: &[Self]) -> Result<Vec<Tensor>> {
        let levels = images.first().map_or(0, |i| i.maps.len());
        (0..levels)
            .map(|level| {
                let all: Vec<&Tensor> = images.iter().map(|i| &i.maps[level]).collect();
                Ok(Tensor::cat(&all, 1)?.permute((0, 2, 3, 1))?.contiguous()?)
            })
            .collect()
    }
}

/// A frozen network.
pub trait Encoder: Send + Sync {
    /// What it is.
    fn description(&self) -> &Description;
    /// The maps in the order of [`Features::maps`].
    fn maps(&self) -> &[MapSpec] {
        &self.description().maps
    }
    /// Length E of the embedding.
    fn embedding_len(&self) -> usize {
        self.description().embedding
    }
    /// How pictures become its input.
    fn preprocessing(&self) -> &Preprocessing {
        &self.description().preprocessing
    }
    /// All maps and the embedding of a batch `N x 3 x H x W`.
    fn features(&self, input: &Tensor) -> Result<Features>;
    /// The embedding alone, `N x E`, which costs less than with the maps.
    fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        Ok(self.features(input)?.embedding)
    }
    /// As [`Self::features`], but without any maps unless they are wanted.
    fn features_with(&self, input: &Tensor, maps: bool) -> Result<Features> {
        if maps { self.features(input) } else { Ok(Features { maps: Vec::new(), embedding: self.embedding(input)? }) }
    }
}

/// Where the batch normalisations of one pass take their statistics from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Normalising {
    /// The batch's or the running ones.
    pub statistics: Statistics,
    /// Parts of the batch, one after the other, that are normalised each on its own, as on so
    /// many GPUs (MoCo). The running statistics follow the mean over the parts. The batch must
    /// be a multiple of it.
    pub groups: usize,
}

impl Normalising {
    /// PyTorch's `train()`.
    pub const TRAIN: Self = Self { statistics: Statistics::Batch, groups: 1 };
    /// PyTorch's `eval()`.
    pub const EVAL: Self = Self { statistics: Statistics::Running, groups: 1 };
}

/// A network whose tensors are trained. Without batch normalisations it does the same whatever
/// the statistics.
pub trait Trainable: Send + Sync {
    /// What it is.
    fn description(&self) -> &Description;
    /// Its named tensors, under the names of its checkpoints.
    fn parameters(&self) -> &Parameters;
    /// How many stages or blocks lie between that of a tensor and the embedding: 0 in the last one,
    /// most where the picture comes in. Layer-wise learning rates go by it.
    fn above(&self, name: &str) -> usize;
    /// All maps, `N x C x h x w`, and the embedding, `N x E`, of a batch `N x H x W x 3`, with
    /// gradients.
    fn features(&self, x: &Tensor, normalising: Normalising) -> Result<Features>;
    /// The embedding alone.
    fn embedding(&self, x: &Tensor, normalising: Normalising) -> Result<Tensor> {
        Ok(self.features(x, normalising)?.embedding)
    }
}

/// A network that takes pictures of another size than its architecture does: one that was trained
/// on small ones.
pub struct AtSide {
    network: Box<dyn Encoder>,
    description: Description,
}

impl AtSide {
    /// The same network for squares of `side` pixels.
    #[must_use]
    pub fn new(network: Box<dyn Encoder>, side: u32) -> Self {
        let mut description = network.description().clone();
        description.preprocessing = Preprocessing { width: side, height: side, ..description.preprocessing };
        Self { network, description }
    }
}

impl Encoder for AtSide {
    fn description(&self) -> &Description {
        &self.description
    }

    fn features(&self, input: &Tensor) -> Result<Features> {
        self.network.features(input)
    }

    fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        self.network.embedding(input)
    }
}

/// Builds a network from weights, of which it takes its own.
pub type Build = dyn Fn(&mut Weights, &Device, Precision) -> Result<Box<dyn Encoder>> + Send + Sync;

/// How a network is trained whole.
#[derive(Clone)]
pub struct Training {
    /// Weights to begin with, from a seed.
    pub random: Arc<dyn Fn(u64) -> Result<Weights> + Send + Sync>,
    /// Builds it.
    pub build: Arc<BuildTrainable>,
}

/// Builds a network that is trained from weights, of which it takes its own, with or without gradients.
pub type BuildTrainable = dyn Fn(&mut Weights, &Device, Gradients) -> Result<Box<dyn Trainable>> + Send + Sync;

/// What an encoder is, known before it runs.
#[derive(Clone)]
pub struct Description {
    /// Its row in the table of architectures.
    pub architecture: Architecture,
    /// Its maps, the finest first. Heads look them up by their strides.
    pub maps: Vec<MapSpec>,
    /// Length E of the embedding.
    pub embedding: usize,
    /// How pictures become its input.
    pub preprocessing: Preprocessing,
    /// The precisions that it can be computed in.
    pub precisions: &'static [Precision],
    /// The block of which DeepLab's head trains a copy, if there is one.
    pub last_block: Option<LastBlock>,
    /// Builds it.
    pub build: Arc<Build>,
    /// How it is trained whole, if it can be.
    pub training: Option<Training>,
}

impl Description {
    /// The position of the map with this stride among [`Self::maps`].
    #[must_use]
    pub fn map(&self, stride: usize) -> Option<usize> {
        self.maps.iter().position(|m| m.stride == stride)
    }

    /// What it makes of a wish: `asked` if it can be computed so, else `f32`.
    #[must_use]
    pub fn precision(&self, asked: Precision) -> Precision {
        if self.precisions.contains(&asked) { asked } else { Precision::F32 }
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, maps {:?}, embedding {}", self.architecture, self.maps, self.embedding)
    }
}

/// The last block of a ResNet: three bottlenecks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastBlock {
    /// How the names of its tensors begin.
    pub names: &'static str,
    /// Channels inside its bottlenecks.
    pub inner: usize,
    /// Channels that leave it.
    pub outer: usize,
}

/// A network of chosen sizes, as settings name it. What is not said is the architecture's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// Key of an architecture, such as `resnet50`.
    pub architecture: String,
    /// Channels behind the first convolution of a ResNet (64 in ResNet-50), or of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Blocks of each stage of a ResNet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<[usize; 4]>,
    /// Blocks of a vision transformer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// Rows and columns of a patch of a vision transformer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<usize>,
    /// Rows and columns of patches that a vision transformer has positions of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<usize>,
}

impl Form {
    /// An architecture at its own sizes.
    #[must_use]
    pub fn of(architecture: &str) -> Self {
        let architecture = architecture.to_owned();
        Self { architecture, width: None, blocks: None, depth: None, patch: None, grid: None }
    }
}

/// Architectures that one file describes.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// The layouts of their checkpoints.
    pub layouts: &'static [Layout],
    /// The description of an architecture by its key, if it is one of these.
    pub describe: fn(&str) -> Option<Description>,
    /// The keys of those that can be trained whole.
    pub trained: &'static [&'static str],
    /// The description of a network of chosen sizes, if its architecture is one of these.
    pub sized: fn(&Form) -> Option<Result<Description>>,
    /// The description of the network that a checkpoint holds, told from its tensors' names and
    /// shapes, if it is one of these.
    pub recognise: fn(&Weights) -> Option<Description>,
}
