//! Vision transformers (Dosovitskiy et al. 2020, arXiv 2010.11929): ViT, DINO, DINOv2 and the
//! image towers of CLIP and SigLIP differ in [`Config`] only.
//!
//! The blocks are candle-transformers' (`models::vit::Encoder`), three at a time, because it
//! hands out nothing between its blocks. What the authors' networks have beside it becomes
//! weights: LayerScale goes into the products before it, CLIP's quick GELU, `x sigmoid(1.702 x)`,
//! is SiLU between scaled products. The crate's own DINOv2, CLIP and SigLIP are not used: they
//! take one input size only (or, DINOv2, others by nearest neighbours, with GELU's tanh form),
//! and all but CLIP keep what lies between their blocks.
//!
//! Tokens become maps as in DPT and BEiT: those behind blocks 3, 6, 9 and 12, as they are, fold
//! to a grid, which is resampled (bilinear) to strides 4, 8, 16 and 32. The embedding is the
//! class token behind the last normalisation, SigLIP's is its attention pooling. Positions of
//! other grids are interpolated (bicubic); inputs that are no multiple of a patch get zeros at
//! the bottom and right.

mod load;
mod names;
mod pooling;
pub mod trainable;

use crate::checkpoint::weights::Weights;
use crate::encoder::{Description, Encoder, Family, Features, MapSpec, Precision};
use crate::layer::{bicubic_taps, linear_taps, patches_nhwc, resample_nhwc};
use crate::preprocess::{Filter, Preprocessing};
use crate::{Error, Result};
use candle_core::{DType, Device, IndexOp, Tensor};
use candle_nn::{LayerNorm, Linear, Module, VarBuilder};
use candle_transformers::models::vit as blocks;
use load::Load;
use names::{LAYOUTS, Names};
use pooling::{HEAD, Pooling};
use std::collections::HashMap;
use trainable::Plan;
use virboard_core::catalogue::architecture::Architecture;

/// Vision transformers under the names of timm, DINO, DINOv2 and of Hugging Face.
pub const FAMILY: Family = Family {
    layouts: &LAYOUTS,
    describe: |key| {
        let named = CONFIGS.iter().find(|c| c.key == key).map(|c| describe(*c));
        named.or_else(|| (key == trainable::OTHER).then(|| Plan::OTHER.describe()))
    },
    trained: &["vit_s16", "vit_b16", "dino_s16", "dino_b16", trainable::OTHER],
    sized: trainable::sized,
    recognise: |weights| {
        let names = Names::of(weights)?;
        let patch = weights.shape(&format!("{}.weight", names.patch))?;
        let like = |c: &&Config| {
            // Of twins, those trained with labels keep a layer for them, DINO has none.
            let labels = c.key.starts_with("vit_") == weights.has_classifier();
            let twins = CONFIGS.iter().filter(|other| other.shape() == c.shape()).count() > 1;
            let parts = c.clip == weights.has(&format!("{}.weight", names.before))
                && c.pooled == weights.has("vision_model.head.probe")
                && c.scaled == weights.has(&names.scale_of(0));
            let depth = names.depth(weights) == BLOCKS || !Plan::fits(weights);
            patch == [c.width, 3, c.patch, c.patch] && parts && depth && (labels || !twins)
        };
        let other = || Plan::recognise(weights).map(Plan::describe);
        CONFIGS.iter().find(like).map(|c| describe(*c)).or_else(other)
    },
};

/// Blocks of a network, and those between two maps.
const BLOCKS: usize = 12;
const GROUP: usize = 3;
/// Strides of the maps.
const STRIDES: [usize; 4] = [4, 8, 16, 32];

/// What distinguishes one vision transformer from another.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Config {
    key: &'static str,
    /// Channels of a token.
    width: usize,
    /// Rows and columns of a patch.
    patch: usize,
    /// Rows and columns of patches that the checkpoint has positions of.
    grid: usize,
    /// Epsilon of the normalisations.
    eps: f64,
    /// LayerScale behind attention and perceptron.
    scaled: bool,
    /// CLIP's: quick GELU, no bias of the patches, a normalisation before the blocks.
    clip: bool,
    /// SigLIP's: GELU's tanh form, no class token, attention pooling.
    pooled: bool,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Config {
    /// ViT as timm and its authors publish it.
    const fn vit(key: &'static str, width: usize) -> Self {
        Self {
            key,
            width,
            patch: 16,
            grid: 14,
            eps: 1e-6,
            scaled: false,
            clip: false,
            pooled: false,
            mean: [0.5; 3],
            std: [0.5; 3],
        }
    }

    /// With ImageNet's mean and deviation.
    const fn imagenet(self) -> Self {
        let Preprocessing { mean, std, .. } = Preprocessing::IMAGENET;
        Self { mean, std, ..self }
    }

    const fn dinov2(key: &'static str, width: usize) -> Self {
        Self { patch: 14, grid: 37, scaled: true, ..Self::vit(key, width).imagenet() }
    }

    const fn shape(&self) -> (usize, usize, bool, bool) {
        (self.width, self.patch, self.clip, self.pooled)
    }

    /// Tokens that are no patches.
    fn classes(&self) -> usize {
        usize::from(!self.pooled)
    }
}

const CONFIGS: [Config; 8] = [
    Config::vit("vit_s16", 384),
    Config::vit("vit_b16", 768),
    Config::vit("dino_s16", 384).imagenet(),
    Config::vit("dino_b16", 768).imagenet(),
    Config::dinov2("dinov2_s14", 384),
    Config::dinov2("dinov2_b14", 768),
    Config {
        clip: true,
        eps: 1e-5,
        mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        ..Config::vit("clip_b16", 768)
    },
    Config { pooled: true, ..Config::vit("siglip_b16", 768) },
];

fn describe(config: Config) -> Description {
    let map = |(i, stride): (usize, &usize)| MapSpec {
        name: format!("block{}", GROUP * (i + 1)),
        stride: *stride,
        channels: config.width,
    };
    Description {
        architecture: Architecture::of(config.key),
        maps: STRIDES.iter().enumerate().map(map).collect(),
        embedding: config.width,
        preprocessing: Preprocessing {
            filter: Filter::Bicubic,
            mean: config.mean,
            std: config.std,
            ..Preprocessing::IMAGENET
        },
        precisions: &[Precision::F32],
        last_block: None,
        build: std::sync::Arc::new(move |weights, device, _| Ok(Box::new(Vit::new(config, weights, device)?))),
        training: trainable::training(config),
    }
}

/// A frozen vision transformer.
struct Vit {
    config: Config,
    description: Description,
    /// Of a patch's values in the order channel, row, column.
    patches: Linear,
    /// `1 x 1 x C`, its position added; none of SigLIP.
    class: Option<Tensor>,
    /// `1 x grid x grid x C`.
    positions: Tensor,
    before: Option<LayerNorm>,
    groups: Vec<blocks::Encoder>,
    norm: LayerNorm,
    pooling: Option<Pooling>,
}

impl Vit {
    fn new(config: Config, weights: &mut Weights, device: &Device) -> Result<Self> {
        let names = Names::of(weights).unwrap_or(&names::TIMM);
        let (c, classes) = (config.width, config.classes());
        let mut load = Load { weights, device };
        let patch = load.take(&format!("{}.weight", names.patch), &[c, 3, config.patch, config.patch])?;
        let bias = if config.clip { None } else { Some(load.take(&format!("{}.bias", names.patch), &[c])?) };
        let class = if config.pooled { None } else { Some(load.any(names.class, &[&[1, 1, c], &[c]])?) };
        let count = classes + config.grid * config.grid;
        let positions = load.any(names.positions, &[&[1, count, c], &[count, c]])?.reshape((1, count, c))?;
        let class = class.map(|class| Ok::<_, Error>((class.reshape((1, 1, c))? + positions.narrow(1, 0, 1)?)?));
        let before = if config.clip { Some(load.norm(names.before, c, config.eps)?) } else { None };
        let groups = (0..BLOCKS).step_by(GROUP).map(|first| group(&config, names, first, &mut load));
        let groups = groups.collect::<Result<_>>()?;
        Ok(Self {
            patches: Linear::new(patch.flatten_from(1)?, bias),
            class: class.transpose()?,
            positions: positions.narrow(1, classes, count - classes)?.reshape((1, config.grid, config.grid, c))?,
            before,
            groups,
            norm: load.norm(names.norm, c, config.eps)?,
            pooling: if config.pooled { Some(Pooling::new(c, config.eps, &mut load)?) } else { None },
            config,
            description: describe(config),
        })
    }

    /// Tokens before the blocks, `N x T x C`, and the rows and columns of patches.
    fn tokens(&self, input: &Tensor) -> Result<(Tensor, [usize; 2])> {
        let (n, _, height, width) = input.dims4()?;
        let (p, c) = (self.config.patch, self.config.width);
        let [rows, columns] = [height, width].map(|size| size.div_ceil(p));
        let input = input.pad_with_zeros(2, 0, rows * p - height)?.pad_with_zeros(3, 0, columns * p - width)?;
        let x = self.patches.forward(&patches_nhwc(&input.permute((0, 2, 3, 1))?, p)?)?;
        let x = x.reshape((n, rows * columns, c))?;
        let mut x = x.broadcast_add(&self.positions(rows, columns)?)?;
        if let Some(class) = &self.class {
            x = Tensor::cat(&[&class.broadcast_as((n, 1, c))?.contiguous()?, &x], 1)?;
        }
        let x = match &self.before {
            Some(norm) => norm.forward(&x)?,
            None => x,
        };
        Ok((x, [rows, columns]))
    }

    /// The positions of a grid of patches, `1 x T x C`.
    fn positions(&self, rows: usize, columns: usize) -> Result<Tensor> {
        let grid = self.config.grid;
        let positions = if [rows, columns] == [grid, grid] {
            self.positions.clone()
        } else {
            resample_nhwc(&self.positions, &bicubic_taps(grid, rows), &bicubic_taps(grid, columns))?
        };
        Ok(positions.reshape((1, rows * columns, self.config.width))?)
    }

    fn run(&self, input: &Tensor, maps: bool) -> Result<Features> {
        let (_, _, height, width) = input.dims4()?;
        let (size, (mut x, grid)) = ([height, width], self.tokens(input)?);
        let mut kept = Vec::new();
        for (group, stride) in self.groups.iter().zip(STRIDES) {
            x = group.forward(&x)?;
            if maps {
                kept.push(map(&x, grid, self.config.patch, stride, size)?);
            }
        }
        let embedding = match &self.pooling {
            Some(pooling) => pooling.forward(&self.norm.forward(&x)?)?,
            None => self.norm.forward(&x.i((.., 0))?.contiguous()?)?,
        };
        Ok(Features { maps: kept, embedding })
    }
}

/// Folds tokens to a grid of patches and resamples it to a stride of the input, whose size is
/// rows and columns of pixels.
fn map(tokens: &Tensor, [rows, columns]: [usize; 2], patch: usize, stride: usize, size: [usize; 2]) -> Result<Tensor> {
    let (n, count, c) = tokens.dims3()?;
    let first = count - rows * columns;
    let grid = tokens.narrow(1, first, rows * columns)?.reshape((n, rows, columns, c))?;
    let taps = |from: usize, size: usize| {
        // The middle of a pixel of the map, counted in patches.
        let middle = |i: usize| (i as f64 + 0.5) * stride as f64 / patch as f64 - 0.5;
        linear_taps(from, (0..size.div_ceil(stride)).map(middle))
    };
    Ok(resample_nhwc(&grid, &taps(rows, size[0]), &taps(columns, size[1]))?.permute((0, 3, 1, 2))?)
}

impl Encoder for Vit {
    fn description(&self) -> &Description {
        &self.description
    }

    fn features(&self, input: &Tensor) -> Result<Features> {
        self.run(input, true)
    }

    fn embedding(&self, input: &Tensor) -> Result<Tensor> {
        Ok(self.run(input, false)?.embedding)
    }
}

/// Some blocks in candle-transformers' names.
fn group(config: &Config, names: &Names, first: usize, load: &mut Load<'_>) -> Result<blocks::Encoder> {
    let (c, hidden) = (config.width, 4 * config.width);
    let mut tensors = HashMap::new();
    for block in 0..GROUP {
        let name = |part: &str| names.in_block(first + block, part);
        let mut put = |part: &str, (weight, bias): (Tensor, Tensor)| {
            tensors.insert(format!("layer.{block}.{part}.weight"), weight);
            tensors.insert(format!("layer.{block}.{part}.bias"), bias);
        };
        for (ours, theirs) in [("layernorm_before", names.norms[0]), ("layernorm_after", names.norms[1])] {
            put(ours, load.pair(&name(theirs), &[c])?);
        }
        let qkv = match names.qkv {
            [all] => {
                let (weight, bias) = load.pair(&name(all), &[3 * c, c])?;
                let part = |i| Ok::<_, Error>((weight.narrow(0, i * c, c)?, bias.narrow(0, i * c, c)?));
                [part(0)?, part(1)?, part(2)?]
            }
            each => {
                let mut part = |i: usize| load.pair(&name(each[i]), &[c, c]);
                [part(0)?, part(1)?, part(2)?]
            }
        };
        for (ours, part) in ["query", "key", "value"].into_iter().zip(qkv) {
            put(&format!("attention.attention.{ours}"), part);
        }
        let mut inner = load.pair(&name(names.mlp[0]), &[hidden, c])?;
        let mut outer = load.pair(&name(names.mlp[1]), &[c, hidden])?;
        let mut attended = load.pair(&name(names.attended), &[c, c])?;
        if config.scaled {
            for (layer, scale) in [&mut attended, &mut outer].into_iter().zip(names.scales) {
                let scale = load.take(&name(scale), &[c])?;
                *layer = (layer.0.broadcast_mul(&scale.unsqueeze(1)?)?, (&layer.1 * scale)?);
            }
        }
        if config.clip {
            inner = ((inner.0 * QUICK)?, (inner.1 * QUICK)?);
            outer.0 = (outer.0 / QUICK)?;
        }
        put("intermediate.dense", inner);
        put("output.dense", outer);
        put("attention.output.dense", attended);
    }
    let config = blocks::Config {
        hidden_size: c,
        num_hidden_layers: GROUP,
        num_attention_heads: c / HEAD,
        intermediate_size: hidden,
        hidden_act: match config {
            Config { clip: true, .. } => candle_nn::Activation::Silu,
            Config { pooled: true, .. } => candle_nn::Activation::GeluPytorchTanh,
            _ => candle_nn::Activation::Gelu,
        },
        layer_norm_eps: config.eps,
        image_size: config.grid * config.patch,
        patch_size: config.patch,
        num_channels: 3,
        qkv_bias: true,
    };
    Ok(blocks::Encoder::new(&config, VarBuilder::from_tensors(tensors, DType::F32, load.device))?)
}

/// The factor in CLIP's quick GELU.
const QUICK: f64 = 1.702;
