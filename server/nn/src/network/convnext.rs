//! ConvNeXt (Liu et al. 2022, arXiv 2201.03545) under timm's names.
//!
//! candle-transformers' own has no maps: its stages are private, and its depthwise convolution
//! takes one product a channel. This one works on `N x H x W x C`, where all else is a product
//! or a normalisation of each pixel. The embedding is the mean of the last map, normalised.

use crate::checkpoint::Layout;
use crate::checkpoint::weights::{ConvSpec, Weights};
use crate::conv::{Activation, Padding};
use crate::encoder::{Description, Encoder, Family, Features, MapSpec, Precision};
use crate::layer::{Depthwise, patches_nhwc};
use crate::preprocess::{Filter, Preprocessing};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use candle_nn::{LayerNorm, Linear, Module};
use virboard_core::catalogue::architecture::Architecture;

/// ConvNeXt-T.
pub const FAMILY: Family = Family {
    layouts: &[Layout {
        first: "stages.0.blocks.0.conv_dw.weight",
        inside: "stages.3.",
        beside: &["head.fc."],
        classifier: Some(["head.fc.weight", "head.fc.bias"]),
    }],
    describe: |key| (key == KEY).then(describe),
    trained: &[],
    sized: |_| None,
    recognise: |weights| {
        (weights.has("stages.2.blocks.8.gamma") && !weights.has("stages.2.blocks.9.gamma")).then(describe)
    },
};

const KEY: &str = "convnext_t";
const BLOCKS: [usize; 4] = [3, 3, 9, 3];
const CHANNELS: [usize; 4] = [96, 192, 384, 768];
const EPS: f64 = 1e-6;

fn describe() -> Description {
    let stage = |s: usize| MapSpec { name: format!("block{}", s + 1), stride: 4 << s, channels: CHANNELS[s] };
    Description {
        architecture: Architecture::of(KEY),
        maps: (0..4).map(stage).collect(),
        embedding: CHANNELS[3],
        preprocessing: Preprocessing { filter: Filter::Bicubic, ..Preprocessing::IMAGENET },
        precisions: &[Precision::F32],
        last_block: None,
        build: std::sync::Arc::new(|weights, device, _| Ok(Box::new(ConvNext::new(weights, device)?))),
        training: None,
    }
}

struct Block {
    depthwise: Depthwise,
    norm: LayerNorm,
    wide: Linear,
    /// LayerScale is folded in.
    narrow: Linear,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.norm.forward(&self.depthwise.forward(x)?)?;
        Ok((x + self.narrow.forward(&self.wide.forward(&y)?.gelu_erf()?)?)?)
    }
}

struct Stage {
    /// Behind the patches of the first stage, before those of the others.
    norm: LayerNorm,
    patches: Linear,
    blocks: Vec<Block>,
}

/// A frozen ConvNeXt.
struct ConvNext {
    stages: Vec<Stage>,
    norm: LayerNorm,
    description: Description,
}

impl ConvNext {
    fn new(weights: &mut Weights, device: &Device) -> Result<Self> {
        let mut stages = Vec::new();
        let mut input = 3;
        for (stage, (blocks, c)) in BLOCKS.into_iter().zip(CHANNELS).enumerate() {
            let base = format!("stages.{stage}");
            let (norm, patches) = if stage == 0 {
                ("stem.1".to_owned(), "stem.0".to_owned())
            } else {
                (format!("{base}.downsample.0"), format!("{base}.downsample.1"))
            };
            let size = if stage == 0 { 4 } else { 2 };
            let (weight, bias) = pair(weights, &patches, &[c, input, size, size], device)?;
            let normed = if stage == 0 { c } else { input };
            stages.push(Stage {
                norm: layer_norm(weights, &norm, normed, device)?,
                patches: Linear::new(weight.flatten_from(1)?, Some(bias)),
                blocks: (0..blocks)
                    .map(|block| block_of(weights, &format!("{base}.blocks.{block}"), c, device))
                    .collect::<Result<_>>()?,
            });
            input = c;
        }
        let norm = layer_norm(weights, "head.norm", input, device)?;
        Ok(Self { stages, norm, description: describe() })
    }

    fn run(&self, input: &Tensor, maps: bool) -> Result<Features> {
        let mut x = input.permute((0, 2, 3, 1))?;
        let mut kept = Vec::new();
        for (i, stage) in self.stages.iter().enumerate() {
            x = if i == 0 {
                stage.norm.forward(&stage.patches.forward(&patches_nhwc(&x, 4)?)?)?
            } else {
                stage.patches.forward(&patches_nhwc(&stage.norm.forward(&x)?, 2)?)?
            };
            for block in &stage.blocks {
                x = block.forward(&x)?;
            }
            if maps {
                kept.push(x.permute((0, 3, 1, 2))?);
            }
        }
        let embedding = self.norm.forward(&x.mean((1, 2))?)?;
        Ok(Features { maps: kept, embedding })
    }
}

impl Encoder for ConvNext {
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

fn block_of(weights: &mut Weights, base: &str, c: usize, device: &Device) -> Result<Block> {
    let spec = ConvSpec {
        name: &format!("{base}.conv_dw"),
        input: c,
        output: c,
        kernel: 7,
        stride: 1,
        padding: Padding::Symmetric(3),
        depthwise: true,
        activation: Activation::Identity,
    };
    let depthwise = Depthwise::new(weights.conv_bias(&spec, device)?)?;
    let norm = layer_norm(weights, &format!("{base}.norm"), c, device)?;
    let (weight, bias) = pair(weights, &format!("{base}.mlp.fc1"), &[4 * c, c], device)?;
    let wide = Linear::new(weight, Some(bias));
    let (weight, bias) = pair(weights, &format!("{base}.mlp.fc2"), &[c, 4 * c], device)?;
    let scale = weights.take(&format!("{base}.gamma"), &[c])?.to_device(device)?;
    let narrow = Linear::new(weight.broadcast_mul(&scale.unsqueeze(1)?)?, Some((bias * scale)?));
    Ok(Block { depthwise, norm, wide, narrow })
}

fn layer_norm(weights: &mut Weights, name: &str, width: usize, device: &Device) -> Result<LayerNorm> {
    let (weight, bias) = pair(weights, name, &[width], device)?;
    Ok(LayerNorm::new(weight, bias, EPS))
}

/// A weight and its bias.
fn pair(weights: &mut Weights, name: &str, shape: &[usize], device: &Device) -> Result<(Tensor, Tensor)> {
    let mut take = |part: &str, shape: &[usize]| {
        Ok::<_, Error>(weights.take(&format!("{name}.{part}"), shape)?.to_device(device)?)
    };
    Ok((take("weight", shape)?, take("bias", &shape[..1])?))
}
