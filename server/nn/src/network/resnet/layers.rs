//! The topology of ResNets, written once for all the ways to run one, to fill one with seeded
//! weights and to tell which one a checkpoint holds.

use crate::Result;
use crate::checkpoint::weights::{ConvSpec, Weights};
use crate::conv::{Activation, Conv, Padding};
use crate::preprocess::{Filter, Preprocessing};
use candle_core::Device;

/// torchvision's BatchNorm epsilon.
pub const EPS: f64 = 1e-5;

/// What a stage is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Two 3x3 convolutions (ResNet-18 and -34).
    Basic,
    /// 1x1, 3x3 and 1x1, narrower inside.
    Bottleneck,
}

/// What distinguishes one ResNet from another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// What a stage is made of.
    pub kind: Kind,
    /// Blocks per stage.
    pub blocks: [usize; 4],
    /// Channels behind the first convolution.
    pub stem: usize,
    /// Channels inside a block of the first stage; doubles with every stage.
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

    /// torchvision's ResNet-50 with `stem` base channels and `inner` channels in a bottleneck
    /// (64 and 64 for ResNet-50, 64 and 128 for Wide ResNet-50-2).
    #[must_use]
    pub const fn torchvision(stem: usize, inner: usize) -> Self {
        Self {
            kind: Kind::Bottleneck,
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

    /// torchvision's ResNet of basic blocks with `stem` base channels (64 for ResNet-18 and -34).
    #[must_use]
    pub const fn basic(stem: usize, blocks: [usize; 4]) -> Self {
        Self { kind: Kind::Basic, blocks, outer: stem, ..Self::torchvision(stem, stem) }
    }

    /// Yahoo's open_nsfw: half width behind a full stem, Caffe's conventions.
    #[must_use]
    pub const fn open_nsfw() -> Self {
        Self {
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
            ..Self::resnet50()
        }
    }

    /// torchvision's layout, or open_nsfw's where the convolutions have biases, with the widths
    /// and depths that a checkpoint's tensors have; where they are missing ResNet-50's, so that
    /// loading then names what is missing.
    #[must_use]
    pub fn of(weights: &Weights) -> Self {
        if weights.shape("conv1.bias").is_some() {
            return Self::open_nsfw();
        }
        let outputs = |name: &str| weights.shape(name).and_then(|s| s.first()).copied();
        let default = Self::resnet50();
        let blocks = |stage: usize| {
            let there = |b: &usize| outputs(&format!("layer{stage}.{b}.conv1.weight")).is_some();
            Some((0..1000).take_while(there).count()).filter(|n| *n > 0).unwrap_or(default.blocks[stage - 1])
        };
        let stem = outputs("conv1.weight").unwrap_or(default.stem);
        let inner = outputs("layer1.0.conv1.weight").unwrap_or(default.inner);
        let second = outputs("layer1.0.conv2.weight");
        let (kind, outer) = match outputs("layer1.0.conv3.weight") {
            Some(outer) => (Kind::Bottleneck, outer),
            // A basic block's second convolution is its last.
            None if weights.shape("layer1.0.conv1.weight").is_some_and(|s| s.get(2) == Some(&3)) => {
                (Kind::Basic, second.unwrap_or(inner))
            }
            None => (Kind::Bottleneck, 4 * stem),
        };
        Self { kind, blocks: [1, 2, 3, 4].map(blocks), inner, outer, ..Self::torchvision(stem, inner) }
    }

    /// Channels that leave the last stage.
    #[must_use]
    pub const fn embedding(&self) -> usize {
        self.outer << 3
    }

    /// The network's convolutions.
    #[must_use]
    pub fn layers(&self) -> Layers<Part> {
        let mut input = self.stem;
        let stages = self.blocks.into_iter().enumerate().map(|(stage, blocks)| {
            let (inner, outer) = (self.inner << stage, self.outer << stage);
            let block = |block: usize| {
                let base = format!("layer{}.{block}", stage + 1);
                let stride = if block == 0 && stage > 0 { 2 } else { 1 };
                let part = |number: usize, input, output, kernel, stride, activation| Part {
                    name: format!("{base}.conv{number}"),
                    norm: format!("{base}.bn{number}"),
                    input,
                    output,
                    kernel,
                    stride,
                    activation,
                };
                let (convs, last) = match self.kind {
                    Kind::Basic => (
                        vec![part(1, input, inner, 3, stride, Activation::Relu)],
                        part(2, inner, outer, 3, 1, Activation::Identity),
                    ),
                    Kind::Bottleneck => {
                        let (first, second) = if self.stride_on_1x1 { (stride, 1) } else { (1, stride) };
                        let convs = vec![
                            part(1, input, inner, 1, first, Activation::Relu),
                            part(2, inner, inner, 3, second, Activation::Relu),
                        ];
                        (convs, part(3, inner, outer, 1, 1, Activation::Identity))
                    }
                };
                let downsample = (stride > 1 || input != outer).then(|| Part {
                    name: format!("{base}.downsample.0"),
                    norm: format!("{base}.downsample.1"),
                    ..part(0, input, outer, 1, stride, Activation::Identity)
                });
                input = outer;
                Block { convs, last, downsample }
            };
            (0..blocks).map(block).collect()
        });
        let stages = stages.collect();
        let (name, norm) = ("conv1".to_owned(), "bn1".to_owned());
        let activation = Activation::Relu;
        Layers { stem: Part { name, norm, input: 3, output: self.stem, kernel: 7, stride: 2, activation }, stages }
    }
}

/// A convolution with its BatchNorm.
#[derive(Debug, Clone)]
pub struct Part {
    /// Name in the checkpoint, without `.weight`.
    pub name: String,
    /// Name of its BatchNorm.
    pub norm: String,
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// What follows; behind the last of a block the sum's ReLU follows.
    pub activation: Activation,
}

impl Part {
    /// Takes its tensors out of `weights` and folds them into one convolution with bias.
    fn take(&self, weights: &mut Weights, folded: bool, device: &Device) -> Result<Conv> {
        let spec = ConvSpec {
            name: &self.name,
            input: self.input,
            output: self.output,
            kernel: self.kernel,
            stride: self.stride,
            padding: Padding::Symmetric(self.kernel / 2),
            depthwise: false,
            activation: self.activation,
        };
        if folded { weights.conv_bias(&spec, device) } else { weights.conv_bn(&spec, &self.norm, EPS, device) }
    }
}

/// A block of convolutions of one kind.
#[derive(Debug)]
pub struct Block<C> {
    /// All but the last.
    pub convs: Vec<C>,
    /// The last, to which the shortcut is added.
    pub last: C,
    /// The convolution of the shortcut, where it is not the input itself.
    pub downsample: Option<C>,
}

/// The convolutions of a network; S is the first.
#[derive(Debug)]
pub struct Layers<C, S = C> {
    /// The first.
    pub stem: S,
    /// The blocks of each stage.
    pub stages: Vec<Vec<Block<C>>>,
}

impl Layers<Part> {
    /// Makes of each convolution what `make` makes of it, in the order of the forward pass.
    pub fn map<C>(&self, make: &mut impl FnMut(&Part) -> Result<C>) -> Result<Layers<C>> {
        Ok(Layers { stem: make(&self.stem)?, stages: stages(&self.stages, make)? })
    }
}

fn stages<C>(stages: &[Vec<Block<Part>>], make: &mut impl FnMut(&Part) -> Result<C>) -> Result<Vec<Vec<Block<C>>>> {
    let mut block = |block: &Block<Part>| -> Result<Block<C>> {
        Ok(Block {
            convs: block.convs.iter().map(&mut *make).collect::<Result<_>>()?,
            last: make(&block.last)?,
            downsample: block.downsample.as_ref().map(&mut *make).transpose()?,
        })
    };
    stages.iter().map(|stage| stage.iter().map(&mut block).collect()).collect()
}

impl<C> Layers<C> {
    /// All of them in the order of the forward pass.
    pub fn all(&self) -> impl Iterator<Item = &C> {
        let blocks = self.stages.iter().flatten();
        [&self.stem].into_iter().chain(blocks.flat_map(|b| b.convs.iter().chain([&b.last]).chain(&b.downsample)))
    }
}

impl<C, S> Layers<C, S> {
    /// Takes the tensors of a network out of `weights`, and makes of each convolution what is to
    /// be run: `stem` of the first, `make` of all others.
    pub fn new(
        config: &Config,
        weights: &mut Weights,
        device: &Device,
        stem: impl Fn(Conv) -> Result<S>,
        make: impl Fn(Conv) -> Result<C>,
    ) -> Result<Self> {
        let layers = config.layers();
        let first = stem(layers.stem.take(weights, config.folded, device)?)?;
        let mut conv = |part: &Part| make(part.take(weights, config.folded, device)?);
        let stages = stages(&layers.stages, &mut conv)?;
        Ok(Self { stem: first, stages })
    }
}
