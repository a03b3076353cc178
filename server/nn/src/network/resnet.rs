//! ResNets with bottlenecks and all their intermediate maps (He et al. 2015,
//! arXiv 1512.03385), as one struct: torchvision's ResNet-50, wide ones and Yahoo's
//! half-width open_nsfw differ in [`Config`] only.

mod fused;

use crate::Result;
use crate::checkpoint::weights::{ConvSpec, Weights};
use crate::conv::{Activation, Conv, Padding};
use crate::cpu::{Convolution, FusedConvolution, bf16};
use crate::encoder::{Encoder, Features, MapSpec, Precision};
use crate::preprocess::{Filter, Preprocessing};
use crate::seeded::Stream;
use candle_core::{D, DType, Device, Tensor};
use fused::Fused;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// torchvision's BatchNorm epsilon.
const EPS: f64 = 1e-5;

/// What distinguishes one bottleneck ResNet from another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// Bottlenecks per stage.
    pub blocks: [usize; 4],
    /// Channels behind the first convolution.
    pub stem: usize,
    /// Channels inside a bottleneck of the first stage; doubles with every stage.
    pub inner: usize,
    /// Channels that leave the first stage; doubles with every stage.
    pub outer: usize,
    /// Where a stage halves the size: on the first 1x1 (the paper, Caffe) or the 3x3 (torchvision).
    pub stride_on_1x1: bool,
    /// Zeros of the 3x3 pooling at bottom and right only (Caffe), not on all sides.
    pub pool_bottom_right: bool,
    /// BatchNorms are folded into the checkpoint's convolutions, which then have biases.
    pub folded: bool,
    /// How pictures become input.
    pub preprocessing: Preprocessing,
}

impl Config {
    /// torchvision's `resnet50`.
    #[must_use]
    pub const fn resnet50() -> Self {
        Self::torchvision(64, 64)
    }

    /// torchvision's layout with `stem` base channels and `inner` channels in a bottleneck
    /// (64 and 64 for ResNet-50, 64 and 128 for Wide ResNet-50-2).
    #[must_use]
    pub const fn torchvision(stem: usize, inner: usize) -> Self {
        Self {
            blocks: [3, 4, 6, 3],
            stem,
            inner,
            outer: 4 * stem,
            stride_on_1x1: false,
            pool_bottom_right: false,
            folded: false,
            preprocessing: Preprocessing::IMAGENET,
        }
    }

    /// torchvision's layout with the widths and depths that a checkpoint's tensors have;
    /// where they are missing ResNet-50's, so that loading then names what is missing.
    #[must_use]
    pub fn of(weights: &Weights) -> Self {
        let outputs = |name: &str| weights.shape(name).and_then(|s| s.first()).copied();
        let default = Self::resnet50();
        let blocks = |stage: usize| {
            let there = |b: &usize| outputs(&format!("layer{stage}.{b}.conv1.weight")).is_some();
            Some((0..1000).take_while(there).count()).filter(|n| *n > 0).unwrap_or(default.blocks[stage - 1])
        };
        let stem = outputs("conv1.weight").unwrap_or(default.stem);
        let inner = outputs("layer1.0.conv1.weight").unwrap_or(default.inner);
        Self { blocks: [blocks(1), blocks(2), blocks(3), blocks(4)], ..Self::torchvision(stem, inner) }
    }

    /// Yahoo's open_nsfw: half width behind a full stem, Caffe's conventions.
    #[must_use]
    pub const fn open_nsfw() -> Self {
        Self {
            blocks: [3, 4, 6, 3],
            stem: 64,
            inner: 32,
            outer: 128,
            stride_on_1x1: true,
            pool_bottom_right: true,
            folded: true,
            preprocessing: Preprocessing {
                width: 224,
                height: 224,
                filter: Filter::Bilinear,
                scale: 1.0,
                mean: [104.0, 117.0, 123.0],
                std: [1.0, 1.0, 1.0],
                bgr: true,
            },
        }
    }
}

/// A bottleneck of convolutions of one kind.
struct Bottleneck<C> {
    conv1: C,
    conv2: C,
    conv3: C,
    downsample: Option<C>,
}

/// The convolutions of the network.
struct Layers<C, S = C> {
    conv1: S,
    stages: Vec<Vec<Bottleneck<C>>>,
}

impl<C, S> Layers<C, S> {
    /// Takes the network's tensors, under torchvision's names, out of `weights`, and makes of
    /// each convolution what is to be run: `stem` of the first, `make` of all others.
    fn new(
        config: &Config,
        weights: &mut Weights,
        device: &Device,
        stem: impl Fn(Conv) -> Result<S>,
        make: impl Fn(Conv) -> Result<C>,
    ) -> Result<Self> {
        let mut folded = |name: &str, norm: &str, input, output, kernel, stride, activation| {
            let padding = Padding::Symmetric(kernel / 2);
            let spec = ConvSpec { name, input, output, kernel, stride, padding, depthwise: false, activation };
            if config.folded { weights.conv_bias(&spec, device) } else { weights.conv_bn(&spec, norm, EPS, device) }
        };
        let conv1 = stem(folded("conv1", "bn1", 3, config.stem, 7, 2, Activation::Relu)?)?;
        let mut conv = |name: &str, norm: &str, input, output, kernel, stride, activation| {
            make(folded(name, norm, input, output, kernel, stride, activation)?)
        };
        let mut stages = Vec::with_capacity(4);
        let mut input = config.stem;
        for (stage, blocks) in config.blocks.into_iter().enumerate() {
            let (inner, outer) = (config.inner << stage, config.outer << stage);
            let mut bottlenecks = Vec::with_capacity(blocks);
            for block in 0..blocks {
                let base = format!("layer{}.{block}", stage + 1);
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                let (first, second) = if config.stride_on_1x1 { (stride, 1) } else { (1, stride) };
                let name = |part: &str| format!("{base}.{part}");
                bottlenecks.push(Bottleneck {
                    conv1: conv(&name("conv1"), &name("bn1"), input, inner, 1, first, Activation::Relu)?,
                    conv2: conv(&name("conv2"), &name("bn2"), inner, inner, 3, second, Activation::Relu)?,
                    conv3: conv(&name("conv3"), &name("bn3"), inner, outer, 1, 1, Activation::Identity)?,
                    downsample: if block == 0 {
                        let (name, norm) = (name("downsample.0"), name("downsample.1"));
                        Some(conv(&name, &norm, input, outer, 1, stride, Activation::Identity)?)
                    } else {
                        None
                    },
                });
                input = outer;
            }
            stages.push(bottlenecks);
        }
        Ok(Self { conv1, stages })
    }
}

impl Bottleneck<Conv> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.conv3.forward(&self.conv2.forward(&self.conv1.forward(x)?)?)?;
        let shortcut = match &self.downsample {
            Some(conv) => conv.forward(x)?,
            None => x.clone(),
        };
        Ok((y + shortcut)?.relu()?)
    }
}

impl Layers<Conv> {
    /// Takes and gives `f32`, whatever the type between.
    fn features(&self, config: &Config, input: &Tensor, dtype: DType) -> Result<Features> {
        let mut maps = vec![self.conv1.forward(&input.to_dtype(dtype)?)?];
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

/// A frozen ResNet: `conv`, `block1` to `block4` and the embedding.
pub struct ResNet {
    config: Config,
    network: Network,
    maps: Vec<MapSpec>,
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
        let stage = |s: usize| MapSpec { name: format!("block{}", s + 1), stride: 4 << s, channels: config.outer << s };
        let stem = MapSpec { name: "conv".into(), stride: 2, channels: config.stem };
        Self { config, network, maps: [stem].into_iter().chain((0..4).map(stage)).collect() }
    }
}

impl Encoder for ResNet {
    fn maps(&self) -> &[MapSpec] {
        &self.maps
    }

    fn embedding_len(&self) -> usize {
        self.config.outer << 3
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.config.preprocessing
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
    let mut conv = |name: String, norm: String, output: usize, input: usize, kernel: usize| -> Result<()> {
        let name = format!("{name}.weight");
        let std = (2.0 / (output * kernel * kernel) as f64).sqrt();
        let mut stream = Stream::new(seed, &name);
        let values: Vec<f32> = (0..output * input * kernel * kernel).map(|_| (stream.normal() * std) as f32).collect();
        tensors.insert(name, Tensor::from_vec(values, (output, input, kernel, kernel), &Device::Cpu)?);
        for (part, value) in [("weight", 1f32), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
            tensors.insert(format!("{norm}.{part}"), Tensor::full(value, output, &Device::Cpu)?);
        }
        Ok(())
    };
    conv("conv1".into(), "bn1".into(), config.stem, 3, 7)?;
    let mut input = config.stem;
    for (stage, blocks) in config.blocks.into_iter().enumerate() {
        let (inner, outer) = (config.inner << stage, config.outer << stage);
        for block in 0..blocks {
            let name = |part: &str| format!("layer{}.{block}.{part}", stage + 1);
            conv(name("conv1"), name("bn1"), inner, input, 1)?;
            conv(name("conv2"), name("bn2"), inner, inner, 3)?;
            conv(name("conv3"), name("bn3"), outer, inner, 1)?;
            if block == 0 {
                conv(name("downsample.0"), name("downsample.1"), outer, input, 1)?;
            }
            input = outer;
        }
    }
    Ok(Weights::new(PathBuf::from("seeded weights"), String::new(), tensors))
}
