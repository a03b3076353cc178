//! EfficientNet-Lite0 (Google, 2020): EfficientNet-B0 without squeeze-and-excitation,
//! with ReLU6. Tensor names are those of the PyTorch port `efficientnet_lite_pytorch`.

mod fused;

use crate::Result;
use crate::checkpoint::Layout;
use crate::checkpoint::weights::{ConvSpec, Weights};
use crate::conv::{Activation, Conv, Padding};
use crate::cpu::{Convolution, Depthwise, FusedConvolution};
use crate::encoder::{Description, Encoder, Family, Features, MapSpec, Precision};
use crate::layer::frozen;
use crate::preprocess::{Filter, Preprocessing};
use candle_core::{D, Device, Tensor};
use fused::Fused;
use virboard_core::catalogue::architecture::Architecture;

/// EfficientNet-Lite0.
pub const FAMILY: Family = Family {
    layouts: &[Layout {
        first: "_conv_stem.weight",
        inside: "_blocks.",
        beside: &["_fc."],
        classifier: Some(["_fc.weight", "_fc.bias"]),
    }],
    describe: |key| (key == KEY).then(describe),
    trained: &[],
    sized: |_| None,
    recognise: |weights| weights.has("_conv_stem.weight").then(describe),
};

const KEY: &str = "efficientnet_lite0";

/// What it is before it runs: the last map at each stride from 2 to 32 and the embedding.
fn describe() -> Description {
    let mut maps: Vec<MapSpec> = Vec::new();
    let mut stride = 2;
    for (_, _, step, _, channels) in STAGES {
        stride *= step;
        maps.retain(|m| m.stride != stride);
        maps.push(MapSpec { name: format!("stride{stride}"), stride, channels });
    }
    Description {
        architecture: Architecture::of(KEY),
        maps,
        embedding: EMBEDDING,
        preprocessing: PREPROCESSING,
        precisions: &[Precision::F32],
        last_block: None,
        build: std::sync::Arc::new(|weights, device, _| Ok(Box::new(EfficientNetLite0::new(weights, device)?))),
        training: None,
    }
}

/// The family's BatchNorm epsilon.
const EPS: f64 = 1e-3;
const EMBEDDING: usize = 1280;

/// Repeats, kernel, first stride, expansion and output channels of each stage.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

/// ImageNet normalisation, bicubic resize.
const PREPROCESSING: Preprocessing = Preprocessing { filter: Filter::Bicubic, ..Preprocessing::IMAGENET };

/// An inverted bottleneck.
struct Block<C, D> {
    expand: Option<C>,
    depthwise: D,
    project: C,
    residual: bool,
}

/// The convolutions of the network; D are depthwise.
struct Layers<C, D> {
    stem: C,
    blocks: Vec<Block<C, D>>,
    head: C,
}

/// How the network is run.
enum Network {
    /// By candle's operations, on any device. The reference of the other.
    Candle(Layers<Conv, Conv>),
    /// Fused, on the CPU.
    Fused(Box<Fused>),
}

impl Block<Conv, Conv> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let wide = match &self.expand {
            Some(conv) => frozen(conv, x)?,
            None => x.clone(),
        };
        let y = frozen(&self.project, &frozen(&self.depthwise, &wide)?)?;
        Ok(if self.residual { (y + x)? } else { y })
    }
}

/// The frozen network: the last maps at strides 2 to 32 and the embedding of 1280.
pub struct EfficientNetLite0 {
    network: Network,
    description: Description,
}

impl EfficientNetLite0 {
    /// Takes the network's tensors, except for the classification layer, out of `weights`. On
    /// the CPU the network is fused.
    pub fn new(weights: &mut Weights, device: &Device) -> Result<Self> {
        if !device.is_cpu() {
            return Self::reference(weights, device);
        }
        let layers = Layers::new(weights, device, |c| Convolution::new(&c), |c| Depthwise::new(&c))?;
        Ok(Self { network: Network::Fused(Box::new(Fused::new(layers))), description: describe() })
    }

    /// The network by candle's own operations, whatever the device.
    pub fn reference(weights: &mut Weights, device: &Device) -> Result<Self> {
        let layers = Layers::new(weights, device, Ok, Ok)?;
        Ok(Self { network: Network::Candle(layers), description: describe() })
    }
}

impl<C, D> Layers<C, D> {
    /// Takes the network's tensors out of `weights` and makes of each convolution what is to be
    /// run.
    fn new(
        weights: &mut Weights,
        device: &Device,
        make: impl Fn(Conv) -> Result<C>,
        make_depthwise: impl Fn(Conv) -> Result<D>,
    ) -> Result<Self> {
        let mut conv = |name: &str, norm: &str, input, output, kernel, stride, depthwise, activation| {
            let padding = Padding::Same;
            let spec = ConvSpec { name, input, output, kernel, stride, padding, depthwise, activation };
            weights.conv_bn(&spec, norm, EPS, device)
        };
        let stem = make(conv("_conv_stem", "_bn0", 3, 32, 3, 2, false, Activation::Relu6)?)?;
        let mut blocks = Vec::new();
        let mut input = 32;
        for (repeats, kernel, first_stride, expansion, output) in STAGES {
            for repeat in 0..repeats {
                let stride = if repeat == 0 { first_stride } else { 1 };
                let base = format!("_blocks.{}", blocks.len());
                let name = |part: &str| format!("{base}.{part}");
                let wide = input * expansion;
                blocks.push(Block {
                    expand: if expansion == 1 {
                        None
                    } else {
                        let (name, norm) = (name("_expand_conv"), name("_bn0"));
                        Some(make(conv(&name, &norm, input, wide, 1, 1, false, Activation::Relu6)?)?)
                    },
                    depthwise: make_depthwise(conv(
                        &name("_depthwise_conv"),
                        &name("_bn1"),
                        wide,
                        wide,
                        kernel,
                        stride,
                        true,
                        Activation::Relu6,
                    )?)?,
                    project: make(conv(
                        &name("_project_conv"),
                        &name("_bn2"),
                        wide,
                        output,
                        1,
                        1,
                        false,
                        Activation::Identity,
                    )?)?,
                    residual: stride == 1 && input == output,
                });
                input = output;
            }
        }
        let head = make(conv("_conv_head", "_bn1", 320, EMBEDDING, 1, 1, false, Activation::Relu6)?)?;
        Ok(Self { stem, blocks, head })
    }
}

impl Layers<Conv, Conv> {
    fn features(&self, input: &Tensor) -> Result<Features> {
        let mut x = frozen(&self.stem, input)?;
        let mut maps: Vec<Tensor> = Vec::new();
        for block in &self.blocks {
            let y = block.forward(&x)?;
            // The last map before the size changes, and the very last one.
            if !maps.is_empty() && maps.last().is_some_and(|m| m.dims()[2..] == y.dims()[2..]) {
                maps.pop();
            }
            maps.push(y.clone());
            x = y;
        }
        let top = frozen(&self.head, &x)?;
        Ok(Features { maps, embedding: top.mean(D::Minus1)?.mean(D::Minus1)? })
    }
}

impl Encoder for EfficientNetLite0 {
    fn description(&self) -> &Description {
        &self.description
    }

    fn features(&self, input: &Tensor) -> Result<Features> {
        match &self.network {
            Network::Candle(layers) => layers.features(input),
            Network::Fused(fused) => fused.features(input, true),
        }
    }

    fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        match &self.network {
            Network::Candle(layers) => Ok(layers.features(input)?.embedding),
            Network::Fused(fused) => Ok(fused.features(input, false)?.embedding),
        }
    }
}
