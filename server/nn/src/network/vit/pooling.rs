//! What SigLIP makes of its tokens.

use super::load::Load;
use crate::{Error, Result};
use candle_core::{D, Tensor};
use candle_nn::{LayerNorm, Linear, Module};

/// Channels of an attention head.
pub const HEAD: usize = 64;

/// SigLIP's pooling: a learned query attends to all tokens, and a perceptron follows.
pub struct Pooling {
    /// `1 x heads x 1 x 64`, scaled.
    query: Tensor,
    key: Linear,
    value: Linear,
    attended: Linear,
    norm: LayerNorm,
    mlp: [Linear; 2],
}

impl Pooling {
    /// Takes it out of a checkpoint of width `c`.
    pub fn new(c: usize, eps: f64, load: &mut Load<'_>) -> Result<Self> {
        let name = |part: &str| format!("vision_model.head.{part}");
        let probe = load.take(&name("probe"), &[1, 1, c])?;
        let weight = load.take(&name("attention.in_proj_weight"), &[3 * c, c])?;
        let bias = load.take(&name("attention.in_proj_bias"), &[3 * c])?;
        let part = |i| Ok::<_, Error>(Linear::new(weight.narrow(0, i * c, c)?, Some(bias.narrow(0, i * c, c)?)));
        let query = (part(0)?.forward(&probe)? / (HEAD as f64).sqrt())?.reshape((1, c / HEAD, 1, HEAD))?;
        Ok(Self {
            query,
            key: part(1)?,
            value: part(2)?,
            attended: load.linear(&name("attention.out_proj"), c, c)?,
            mlp: [load.linear(&name("mlp.fc1"), c, 4 * c)?, load.linear(&name("mlp.fc2"), 4 * c, c)?],
            norm: load.norm(&name("layernorm"), c, eps)?,
        })
    }

    /// `N x T x C` to `N x C`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (n, count, c) = x.dims3()?;
        let heads = |x: Tensor| x.reshape((n, count, c / HEAD, HEAD))?.transpose(1, 2)?.contiguous();
        let (key, value) = (heads(self.key.forward(x)?)?, heads(self.value.forward(x)?)?);
        let query = self.query.broadcast_as((n, c / HEAD, 1, HEAD))?.contiguous()?;
        let shares = candle_nn::ops::softmax(&query.matmul(&key.t()?)?, D::Minus1)?;
        let x = self.attended.forward(&shares.matmul(&value)?.reshape((n, c))?)?;
        let y = self.mlp[0].forward(&self.norm.forward(&x)?)?.gelu()?;
        Ok((x + self.mlp[1].forward(&y)?)?)
    }
}
