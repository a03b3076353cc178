//! ResNets and all their intermediate maps (He et al. 2015, arXiv 1512.03385), as one struct:
//! torchvision's ResNet-18 to -152, wide and narrow ones and Yahoo's half-width open_nsfw
//! differ in [`Config`] only.

mod conv_norm;
mod fused;
mod layers;
mod trainable;
mod whole;

pub use layers::{Config, Kind};

use crate::checkpoint::Layout;
use crate::checkpoint::weights::Weights;
use crate::conv::Conv;
use crate::cpu::{Convolution, FusedConvolution, bf16};
use crate::encoder::{Description, Encoder, Family, Features, Form, LastBlock, MapSpec, Precision, Training};
use crate::layer::frozen;
use crate::seeded::Stream;
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use fused::Fused;
use layers::{Block, Layers};
use std::collections::BTreeMap;
use std::path::PathBuf;
use virboard_core::catalogue::architecture::Architecture;

/// ResNets under torchvision's names.
pub const FAMILY: Family = Family {
    layouts: &[Layout {
        first: "conv1.weight",
        inside: "layer4.",
        // Parts of MoCo's, SwAV's, PIRL's and SimCLR's checkpoints.
        beside: &["fc.", "projection_head", "prototypes", "queue", "head.", "predictor."],
        classifier: Some(["fc.weight", "fc.bias"]),
    }],
    describe: |key| {
        let (_, config) = NAMED.iter().find(|(name, _)| *name == key)?;
        Some(describe(*config, Architecture::by_key(key)?))
    },
    trained: &["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2"],
    sized: |form| {
        let (_, config) =
            NAMED.iter().find(|(name, config)| *name == form.architecture && *name != OTHER && !config.folded)?;
        Some(sized(*config, form).map(|config| describe(config, named(&config))))
    },
    recognise: |weights| {
        weights.shape("conv1.weight")?;
        let config = Config::of(weights);
        Some(describe(config, named(&config)))
    },
};

/// The key of ResNets that have none of their own.
const OTHER: &str = "resnet";

/// ResNets by their keys. One of other sizes is described by its checkpoint, but for its
/// preprocessing and precisions, which are those of ResNet-50.
const NAMED: [(&str, Config); 8] = [
    ("resnet18", Config::basic(64, [2, 2, 2, 2])),
    ("resnet34", Config::basic(64, [3, 4, 6, 3])),
    ("resnet50", Config::resnet50()),
    ("resnet101", Config { blocks: [3, 4, 23, 3], ..Config::resnet50() }),
    ("resnet152", Config { blocks: [3, 8, 36, 3], ..Config::resnet50() }),
    ("wide_resnet50_2", Config::torchvision(64, 128)),
    ("open_nsfw", Config::open_nsfw()),
    (OTHER, Config::resnet50()),
];

fn named(config: &Config) -> Architecture {
    Architecture::of(NAMED.iter().find(|(_, named)| named == config).map_or(OTHER, |(key, _)| *key))
}

/// A network with the sizes that a form names.
fn sized(config: Config, form: &Form) -> Result<Config> {
    if form.width == Some(0) || form.blocks.is_some_and(|blocks| blocks.contains(&0)) {
        return Err(Error::Unsupported(format!("{}: width and blocks must be at least 1", form.architecture)));
    }
    if form.depth.or(form.patch).or(form.grid).is_some() {
        let reason = "`depth`, `patch` and `grid` are a vision transformer's; of a ResNet say `blocks`";
        return Err(Error::Unsupported(format!("{}: {reason}", form.architecture)));
    }
    let width = form.width.unwrap_or(config.stem);
    let scaled = |channels: usize| channels * width / config.stem;
    let (inner, outer) = (scaled(config.inner), scaled(config.outer));
    Ok(Config { stem: width, inner, outer, blocks: form.blocks.unwrap_or(config.blocks), ..config })
}

/// What a ResNet is before it runs: `conv`, `block1` to `block4` and the embedding.
#[must_use]
pub fn describe(config: Config, architecture: Architecture) -> Description {
    let stage = |s: usize| MapSpec { name: format!("block{}", s + 1), stride: 4 << s, channels: config.outer << s };
    let stem = MapSpec { name: "conv".into(), stride: 2, channels: config.stem };
    Description {
        architecture,
        maps: [stem].into_iter().chain((0..4).map(stage)).collect(),
        embedding: config.embedding(),
        preprocessing: config.preprocessing,
        precisions: &[Precision::F32, Precision::F16, Precision::Bf16],
        // Heads that train it have three bottlenecks.
        last_block: (config.kind == Kind::Bottleneck && config.blocks[3] == 3).then_some(LastBlock {
            names: "layer4.",
            inner: config.inner << 3,
            outer: config.outer << 3,
        }),
        build: std::sync::Arc::new(move |weights, device, precision| {
            Ok(Box::new(ResNet::with(config, weights, device, precision)?))
        }),
        training: (!config.folded).then(|| Training {
            random: std::sync::Arc::new(move |seed| random_weights(&config, seed)),
            build: std::sync::Arc::new(move |weights, device, gradients| {
                Ok(Box::new(trainable::TrainableResNet::new(config, weights, device, gradients)?))
            }),
        }),
    }
}

impl Block<Conv> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.convs.iter().try_fold(x.clone(), |y, conv| frozen(conv, &y))?;
        let shortcut = match &self.downsample {
            Some(conv) => frozen(conv, x)?,
            None => x.clone(),
        };
        Ok((frozen(&self.last, &y)? + shortcut)?.relu()?)
    }
}

impl Layers<Conv> {
    /// Takes and gives `f32`, whatever the type between.
    fn features(&self, config: &Config, input: &Tensor, dtype: DType) -> Result<Features> {
        let mut maps = vec![frozen(&self.stem, &input.to_dtype(dtype)?)?];
        let before = usize::from(!config.pool_bottom_right);
        // Padding with zeros equals padding with minus infinity: the input has been through ReLU.
        let padded = maps[0].pad_with_zeros(2, before, 1)?.pad_with_zeros(3, before, 1)?;
        let mut x = padded.max_pool2d_with_stride(3, 2)?;
        for stage in &self.stages {
            for block in stage {
                x = block.forward(&x)?;
            }
            maps.push(x.clone());
        }
        let embedding = x.to_dtype(DType::F32)?.mean(D::Minus1)?.mean(D::Minus1)?;
        let maps = maps.iter().map(|m| Ok(m.to_dtype(DType::F32)?)).collect::<Result<_>>()?;
        Ok(Features { maps, embedding })
    }
}

/// How the network is run.
enum Network {
    /// By candle's operations, on any device, in this type. In `f32` the reference of the others.
    Candle(Layers<Conv>, DType),
    /// Fused, on the CPU.
    Fused(Box<Fused<Convolution>>),
    /// The same in bfloat16.
    Bf16(Box<Fused<bf16::Convolution>>),
}

/// A frozen ResNet.
pub struct ResNet {
    config: Config,
    network: Network,
    description: Description,
}

impl ResNet {
    /// Takes the network's tensors, under torchvision's names, out of `weights`. On the CPU
    /// the network is fused.
    pub fn new(config: Config, weights: &mut Weights, device: &Device) -> Result<Self> {
        Self::with(config, weights, device, Precision::F32)
    }

    /// The same in a precision.
    ///
    /// # Errors
    /// As [`Precision::check`].
    pub fn with(config: Config, weights: &mut Weights, device: &Device, precision: Precision) -> Result<Self> {
        precision.check(device)?;
        Self::unchecked(config, weights, device, precision)
    }

    /// The same even where the precision has no instructions and is slow.
    fn unchecked(config: Config, weights: &mut Weights, device: &Device, precision: Precision) -> Result<Self> {
        let network = match (device.is_cpu(), precision) {
            (true, Precision::F32) => Network::Fused(Box::new(fused(config, weights, device)?)),
            (true, Precision::Bf16) => Network::Bf16(Box::new(fused(config, weights, device)?)),
            _ => return Self::reference(config, weights, device, precision),
        };
        Ok(Self::of(config, network))
    }

    /// The network by candle's own operations, whatever the device.
    pub fn reference(config: Config, weights: &mut Weights, device: &Device, precision: Precision) -> Result<Self> {
        let dtype = precision.dtype();
        let cast = |conv: Conv| conv.cast(dtype);
        Ok(Self::of(config, Network::Candle(Layers::new(&config, weights, device, cast, cast)?, dtype)))
    }

    fn of(config: Config, network: Network) -> Self {
        Self { config, network, description: describe(config, named(&config)) }
    }
}

impl Encoder for ResNet {
    fn description(&self) -> &Description {
        &self.description
    }

    fn features(&self, input: &Tensor) -> Result<Features> {
        match &self.network {
            Network::Candle(layers, dtype) => layers.features(&self.config, input, *dtype),
            Network::Fused(fused) => fused.features(input),
            Network::Bf16(fused) => fused.features(input),
        }
    }

    fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        match &self.network {
            Network::Candle(layers, dtype) => Ok(layers.features(&self.config, input, *dtype)?.embedding),
            Network::Fused(fused) => fused.embedding(input),
            Network::Bf16(fused) => fused.embedding(input),
        }
    }
}

fn fused<C: FusedConvolution>(config: Config, weights: &mut Weights, device: &Device) -> Result<Fused<C>> {
    let layers = Layers::new(&config, weights, device, |c| Convolution::new(&c), |c| C::new(&c))?;
    Ok(Fused::new(config, layers))
}

/// torchvision's initialisation: convolutions normal with deviation sqrt(2 / (outputs x
/// kernel area)), BatchNorms at identity. Streams are named after the tensors.
pub fn random_weights(config: &Config, seed: u64) -> Result<Weights> {
    let mut tensors = BTreeMap::new();
    for part in config.layers().all() {
        let name = format!("{}.weight", part.name);
        let shape = (part.output, part.input, part.kernel, part.kernel);
        let std = (2.0 / (part.output * part.kernel * part.kernel) as f64).sqrt();
        let mut stream = Stream::new(seed, &name);
        let count = part.output * part.input * part.kernel * part.kernel;
        let values: Vec<f32> = (0..count).map(|_| (stream.normal() * std) as f32).collect();
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu)?);
        for (suffix, value) in [("weight", 1f32), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
            tensors.insert(format!("{}.{suffix}", part.norm), Tensor::full(value, part.output, &Device::Cpu)?);
        }
    }
    Ok(Weights::new(PathBuf::from("seeded weights"), String::new(), tensors))
}
