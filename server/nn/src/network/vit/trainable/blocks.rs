//! The blocks of a vision transformer and what lies around them, with gradients.

use super::super::names::TIMM;
use super::{HEAD, Plan, STRIDES, map};
use crate::Result;
use crate::encoder::Features;
use crate::layer::{LayerNorm, attention, bicubic_taps, gelu, linear, patches_nhwc, resample_nhwc};
use candle_core::Tensor;

/// A linear layer.
#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        linear(x, &self.weight, &self.bias)
    }
}

/// Attention and a perceptron, each behind a normalisation and beside a shortcut.
#[derive(Debug)]
struct Block {
    norms: [LayerNorm; 2],
    qkv: Linear,
    attended: Linear,
    mlp: [Linear; 2],
    heads: usize,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.qkv.forward(&self.norms[0].forward(x)?)?;
        let x = (x + self.attended.forward(&attention(&y, self.heads)?)?)?;
        let y = gelu(&self.mlp[0].forward(&self.norms[1].forward(&x)?)?)?;
        Ok((&x + self.mlp[1].forward(&y)?)?)
    }
}

/// The whole network.
#[derive(Debug)]
pub struct Network {
    plan: Plan,
    /// Its weight is `C x 3 x patch x patch`.
    patches: Linear,
    /// `1 x 1 x C`.
    class: Tensor,
    /// `1 x (1 + grid * grid) x C`, the class token's first.
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

impl Network {
    /// Of tensors, which `take` gives by timm's names.
    pub fn new(plan: Plan, mut take: impl FnMut(&str) -> Result<Tensor>) -> Result<Self> {
        let (class, positions) = (take(TIMM.class)?, take(TIMM.positions)?);
        let mut layer = |name: &str| -> Result<Linear> {
            Ok(Linear { weight: take(&format!("{name}.weight"))?, bias: take(&format!("{name}.bias"))? })
        };
        let eps = plan.config.eps;
        let norm = |layer: Linear| LayerNorm::new(layer.weight, layer.bias, eps);
        let mut block = |block: usize| -> Result<Block> {
            let mut part = |part: &str| layer(&TIMM.in_block(block, part));
            Ok(Block {
                norms: [norm(part(TIMM.norms[0])?), norm(part(TIMM.norms[1])?)],
                qkv: part(TIMM.qkv[0])?,
                attended: part(TIMM.attended)?,
                mlp: [part(TIMM.mlp[0])?, part(TIMM.mlp[1])?],
                heads: plan.config.width / HEAD,
            })
        };
        let blocks = (0..plan.depth).map(&mut block).collect::<Result<_>>()?;
        Ok(Self { plan, patches: layer(TIMM.patch)?, class, positions, blocks, norm: norm(layer(TIMM.norm)?) })
    }

    /// Blocks, at least one.
    pub fn depth(&self) -> usize {
        self.plan.depth
    }

    /// Maps, if they are wanted, and the embedding of `N x H x W x 3`.
    pub fn run(&self, x: &Tensor, maps: bool) -> Result<Features> {
        let (n, height, width, _) = x.dims4()?;
        let (patch, c) = (self.plan.config.patch, self.plan.config.width);
        let grid = [height, width].map(|size| size.div_ceil(patch));
        let mut x = self.tokens(x, grid)?;
        let mut kept = Vec::new();
        let group = self.blocks.len() / STRIDES.len();
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x)?;
            if maps && (i + 1).is_multiple_of(group) {
                kept.push(map(&x, grid, patch, STRIDES[i / group], [height, width])?);
            }
        }
        let embedding = self.norm.forward(&x.narrow(1, 0, 1)?.reshape((n, c))?)?;
        Ok(Features { maps: kept, embedding })
    }

    /// Tokens before the blocks, `N x T x C`, of a grid of patches; what is no multiple of a
    /// patch gets zeros at the bottom and right.
    fn tokens(&self, x: &Tensor, [rows, columns]: [usize; 2]) -> Result<Tensor> {
        let (n, height, width, _) = x.dims4()?;
        let (patch, c) = (self.plan.config.patch, self.plan.config.width);
        let x = x.pad_with_zeros(1, 0, rows * patch - height)?.pad_with_zeros(2, 0, columns * patch - width)?;
        let weight = self.patches.weight.flatten_from(1)?;
        let x = linear(&patches_nhwc(&x, patch)?, &weight, &self.patches.bias)?;
        let class = self.class.broadcast_as((n, 1, c))?.contiguous()?;
        let x = Tensor::cat(&[&class, &x.reshape((n, rows * columns, c))?], 1)?;
        Ok(x.broadcast_add(&self.positions(rows, columns)?)?)
    }

    /// The positions of the class token and of a grid of patches, `1 x T x C`.
    fn positions(&self, rows: usize, columns: usize) -> Result<Tensor> {
        let (grid, c) = (self.plan.config.grid, self.plan.config.width);
        if [rows, columns] == [grid, grid] {
            return Ok(self.positions.clone());
        }
        let known = self.positions.narrow(1, 1, grid * grid)?.reshape((1, grid, grid, c))?;
        let new = resample_nhwc(&known, &bicubic_taps(grid, rows), &bicubic_taps(grid, columns))?;
        Ok(Tensor::cat(&[&self.positions.narrow(1, 0, 1)?, &new.reshape((1, rows * columns, c))?], 1)?)
    }
}
