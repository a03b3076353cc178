//! The DeepLabv3+-like head of ViRB's Cityscapes and EgoHands (arXiv 1802.02611): atrous
//! pyramid over a dilated copy of the encoder's last block, a shallow decoder over `block1`.
//!
//! The copy of the last block is trained with the head, but for its BatchNorm statistics: a
//! task with this head is not fully frozen. Encoders without a last block of three bottlenecks have none;
//! the pyramid then works on their map of stride 16 itself.

use crate::encoder::Description;
use crate::layer::batch_norm::Statistics;
use crate::layer::{BatchNorm, Corners, add_relu, conv_nhwc, resize_bilinear_nhwc};
use crate::parameters::Parameters;
use crate::{Error, Result};
use candle_core::{D, Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sizes and particulars of the head.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Channels of the fine map (stride 4).
    pub low: usize,
    /// Channels of the coarse map (stride 16).
    pub high: usize,
    /// Positions of these two among the encoder's maps, the finest first. Those of ResNets where
    /// a head's file says nothing.
    #[serde(default = "positions_of_resnets")]
    pub maps: [usize; 2],
    /// Channels inside and behind the bottlenecks of the trained block; `None` without one.
    pub block4: Option<(usize, usize)>,
    /// Channels of the pyramid and the decoder: 256 in the paper.
    pub width: usize,
    /// Channels to which the fine map is reduced: 48 in the paper.
    pub reduced: usize,
    /// BatchNorm's momentum: 0.0003 in ViRB.
    pub momentum: f64,
    /// ViRB's slips: the pyramid's BatchNorms get the momentum as epsilon (and keep PyTorch's
    /// momentum of 0.1), and the reducer's BatchNorm stays in training mode during tests.
    pub quirks: bool,
}

const fn positions_of_resnets() -> [usize; 2] {
    [1, 3]
}

/// Strides of the fine and the coarse map.
const STRIDES: [usize; 2] = [4, 16];

impl Shape {
    /// ViRB's sizes over an encoder, whose last block, if it has one to be trained, is copied.
    #[must_use]
    pub fn virb(encoder: &Description, quirks: bool) -> Option<Self> {
        let block4 = encoder.last_block.map(|block| (block.inner, block.outer));
        Some(Self { block4, width: 256, reduced: 48, momentum: 3e-4, quirks, ..Self::slim(encoder)? })
    }

    /// Small enough to ship and to train on a CPU in a minute. `None` over an encoder without
    /// maps of strides 4 and 16.
    #[must_use]
    pub fn slim(encoder: &Description) -> Option<Self> {
        let [low, high] = STRIDES.map(|stride| encoder.map(stride));
        let maps = [low?, high?];
        let [low, high] = maps.map(|map| encoder.maps[map].channels);
        Some(Self { low, high, maps, block4: None, width: 32, reduced: 16, momentum: 0.1, quirks: false })
    }
}

/// Distances of the pyramid's taps.
const DILATIONS: [usize; 3] = [6, 12, 18];
/// Dilations of the three bottlenecks of the trained block.
const BLOCK4: [usize; 3] = [2, 4, 2];
const EPS: f64 = 1e-5;

/// A convolution without bias (or with one, where the reference has one) and its BatchNorm.
#[derive(Debug)]
struct ConvNorm {
    weight: Tensor,
    bias: Option<Tensor>,
    norm: BatchNorm,
    dilation: usize,
}

impl ConvNorm {
    fn forward(&self, x: &Tensor, statistics: Statistics) -> Result<Tensor> {
        self.run(x, statistics, false)
    }

    fn forward_relu(&self, x: &Tensor, statistics: Statistics) -> Result<Tensor> {
        self.run(x, statistics, true)
    }

    fn run(&self, x: &Tensor, statistics: Statistics, relu: bool) -> Result<Tensor> {
        self.norm.forward(&conv_nhwc(x, &self.weight, self.bias.as_ref(), self.dilation)?, statistics, relu)
    }
}

#[derive(Debug)]
struct Bottleneck {
    convs: [ConvNorm; 3],
    downsample: Option<ConvNorm>,
}

impl Bottleneck {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [first, second, third] = &self.convs;
        let y = first.forward_relu(x, Statistics::Running)?;
        let y = second.forward_relu(&y, Statistics::Running)?;
        let y = third.forward(&y, Statistics::Running)?;
        let shortcut = match &self.downsample {
            Some(conv) => conv.forward(x, Statistics::Running)?,
            None => x.clone(),
        };
        add_relu(&y, &shortcut)
    }
}

/// The head.
#[derive(Debug)]
pub struct DeepLab {
    parameters: Parameters,
    shape: Shape,
    block4: Vec<Bottleneck>,
    /// 1x1, then the dilated 3x3s, then the one behind the image's mean.
    pyramid: Vec<ConvNorm>,
    joined: ConvNorm,
    reducer: ConvNorm,
    decoder: [ConvNorm; 2],
    classes: (Tensor, Tensor),
}

impl DeepLab {
    /// A head with PyTorch's default initialisation. The trained block has to be given its
    /// weights by [`Self::copy_block4`].
    pub fn new(shape: Shape, outputs: usize, seed: u64, device: &Device) -> Result<Self> {
        let mut p = Parameters::new(seed, device);
        let (pyramid_eps, pyramid_momentum) = if shape.quirks { (shape.momentum, 0.1) } else { (EPS, shape.momentum) };
        let mut conv = |name: &str, input, output, kernel, dilation, bias: bool, eps, momentum| -> Result<ConvNorm> {
            let dims = [output, input, kernel, kernel];
            let (weight, bias) = if bias {
                let (weight, bias) = p.layer(name, &dims)?;
                (weight, Some(bias))
            } else {
                (p.weight(name, &dims)?, None)
            };
            let norm = BatchNorm::new(&mut p, &format!("{name}.norm"), output, eps, momentum)?;
            Ok(ConvNorm { weight, bias, norm, dilation })
        };
        let mut block4 = Vec::new();
        let mut high = shape.high;
        if let Some((inner, outer)) = shape.block4 {
            for (i, dilation) in BLOCK4.into_iter().enumerate() {
                let mut part = |part: &str, input, output, kernel, dilation| {
                    conv(&format!("block4.{i}.{part}"), input, output, kernel, dilation, false, EPS, 0.1)
                };
                let convs = [
                    part("conv1", high, inner, 1, 1)?,
                    part("conv2", inner, inner, 3, dilation)?,
                    part("conv3", inner, outer, 1, 1)?,
                ];
                let downsample = if i == 0 { Some(part("downsample", high, outer, 1, 1)?) } else { None };
                block4.push(Bottleneck { convs, downsample });
                high = outer;
            }
        }
        let width = shape.width;
        let mut pyramid = vec![conv("aspp.0", high, width, 1, 1, false, pyramid_eps, pyramid_momentum)?];
        for (i, dilation) in DILATIONS.into_iter().enumerate() {
            let name = format!("aspp.{}", i + 1);
            pyramid.push(conv(&name, high, width, 3, dilation, false, pyramid_eps, pyramid_momentum)?);
        }
        pyramid.push(conv("aspp.4", high, width, 1, 1, false, pyramid_eps, pyramid_momentum)?);
        let joined = conv("aspp.joined", 5 * width, width, 1, 1, false, pyramid_eps, pyramid_momentum)?;
        let momentum = shape.momentum;
        let reducer = conv("reducer", shape.low, shape.reduced, 1, 1, true, EPS, momentum)?;
        let decoder = [
            conv("decoder.0", width + shape.reduced, width, 3, 1, true, EPS, momentum)?,
            conv("decoder.1", width, width, 3, 1, true, EPS, momentum)?,
        ];
        let classes = p.layer("classes", &[outputs, width, 3, 3])?;
        Ok(Self { parameters: p, shape, block4, pyramid, joined, reducer, decoder, classes })
    }

    /// Gives the trained block the encoder's weights: torchvision's names below `layer4.`
    /// (`0.conv1.weight`, `0.bn1.running_mean`, `0.downsample.0.weight`...). Encoders whose
    /// BatchNorms are folded in have biases instead, which become the norms' biases.
    pub fn copy_block4(&self, layer4: &BTreeMap<String, Tensor>) -> Result<()> {
        let take = |name: &str| {
            layer4.get(name).ok_or_else(|| Error::Unsupported(format!("the encoder has no tensor layer4.{name}")))
        };
        for (i, block) in self.block4.iter().enumerate() {
            let named = block.convs.iter().enumerate().map(|(j, c)| {
                (c, format!("{i}.conv{}", j + 1), format!("{i}.bn{}", j + 1), format!("block4.{i}.conv{}", j + 1))
            });
            let shortcut = block.downsample.iter().map(|c| {
                (c, format!("{i}.downsample.0"), format!("{i}.downsample.1"), format!("block4.{i}.downsample"))
            });
            for (_, conv, norm, ours) in named.chain(shortcut) {
                let set = |name: &str, value: &Tensor| -> Result<()> {
                    match self.parameters.get(name) {
                        Some(var) => Ok(var.set(&value.to_device(var.device())?)?),
                        None => Ok(()),
                    }
                };
                set(&format!("{ours}.weight"), take(&format!("{conv}.weight"))?)?;
                if let Some(bias) = layer4.get(&format!("{conv}.bias")) {
                    // Mean 0 and variance 1 - eps: the norm then only adds the bias.
                    set(&format!("{ours}.norm.bias"), bias)?;
                    set(
                        &format!("{ours}.norm.running_var"),
                        &Tensor::full((1.0 - EPS) as f32, bias.dims1()?, bias.device())?,
                    )?;
                    continue;
                }
                for part in ["weight", "bias", "running_mean", "running_var"] {
                    set(&format!("{ours}.norm.{part}"), take(&format!("{norm}.{part}"))?)?;
                }
            }
        }
        Ok(())
    }

    /// Logits `N x H x W x outputs` at `size` (H, W), from all maps of the encoder, each
    /// `N x h x w x C`.
    pub fn forward(&self, maps: &[Tensor], size: (usize, usize), training: bool) -> Result<Tensor> {
        let [low, high] = self.shape.maps.map(|map| &maps[map]);
        let statistics = if training { Statistics::Batch } else { Statistics::Running };
        let mut x = high.clone();
        for block in &self.block4 {
            x = block.forward(&x)?;
        }
        let (_, h, w, _) = x.dims4()?;
        let mut levels = Vec::with_capacity(5);
        for conv in &self.pyramid[..4] {
            levels.push(conv.forward_relu(&x, statistics)?);
        }
        let mean = x.mean_keepdim(1)?.mean_keepdim(2)?;
        let mean = self.pyramid[4].forward_relu(&mean, statistics)?;
        levels.push(resize_bilinear_nhwc(&mean, h, w, Corners::Aligned)?);
        let x = self.joined.forward_relu(&Tensor::cat(&levels, D::Minus1)?, statistics)?;
        let (_, h, w, _) = low.dims4()?;
        let x = resize_bilinear_nhwc(&x, h, w, Corners::Aligned)?;
        let reducer = match (training, self.shape.quirks) {
            (true, _) => Statistics::Batch,
            (false, true) => Statistics::BatchOnly,
            (false, false) => Statistics::Running,
        };
        let low = self.reducer.forward_relu(low, reducer)?;
        let mut x = Tensor::cat(&[low, x], D::Minus1)?;
        for conv in &self.decoder {
            x = conv.forward_relu(&x, statistics)?;
        }
        let x = conv_nhwc(&x, &self.classes.0, Some(&self.classes.1), 1)?;
        resize_bilinear_nhwc(&x, size.0, size.1, Corners::Aligned)
    }

    /// Its named tensors.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
