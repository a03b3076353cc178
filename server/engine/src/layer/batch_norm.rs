//! Batch normalisation with PyTorch's statistics and momentum (`torch.nn.BatchNorm2d`).

use crate::Result;
use crate::head::Parameters;
use candle_core::{Tensor, Var};

/// Where a batch normalisation takes mean and variance from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// From the batch; the running ones move towards them. PyTorch's `train()`.
    Batch,
    /// From the batch, the running ones staying as they are.
    BatchOnly,
    /// From the running ones. PyTorch's `eval()`.
    Running,
}

/// Normalisation of each of C channels.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Var,
    var: Var,
    eps: f64,
    momentum: f64,
}

impl BatchNorm {
    /// Adds `NAME.weight` (1), `NAME.bias` (0) and the running `NAME.running_mean` (0) and
    /// `NAME.running_var` (1) of `channels`. `momentum` is the share of the newest batch.
    pub fn new(parameters: &mut Parameters, name: &str, channels: usize, eps: f64, momentum: f64) -> Result<Self> {
        Ok(Self {
            weight: parameters.constant(&format!("{name}.weight"), channels, 1.0)?,
            bias: parameters.constant(&format!("{name}.bias"), channels, 0.0)?,
            mean: parameters.buffer(&format!("{name}.running_mean"), channels, 0.0)?,
            var: parameters.buffer(&format!("{name}.running_var"), channels, 1.0)?,
            eps,
            momentum,
        })
    }

    /// Normalises `N x H x W x C`. The batch's variance is the biased one; the running one
    /// takes up the unbiased one, as PyTorch's.
    pub fn forward(&self, x: &Tensor, statistics: Statistics) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        let flat = x.reshape((n * h * w, c))?;
        let (centred, var) = if statistics == Statistics::Running {
            (flat.broadcast_sub(self.mean.as_tensor())?, self.var.as_tensor().clone())
        } else {
            let mean = flat.mean(0)?;
            let centred = flat.broadcast_sub(&mean)?;
            let var = centred.sqr()?.mean(0)?;
            if statistics == Statistics::Batch {
                let count = (n * h * w) as f64;
                let unbiased = (var.detach() * (count / (count - 1.0).max(1.0)))?;
                let moved =
                    |old: &Var, new: Tensor| (old.as_tensor() * (1.0 - self.momentum))? + (new * self.momentum)?;
                self.mean.set(&moved(&self.mean, mean.detach())?)?;
                self.var.set(&moved(&self.var, unbiased)?)?;
            }
            (centred, var)
        };
        let scale = (var + self.eps)?.sqrt()?.recip()?.mul(&self.weight)?;
        Ok(centred.broadcast_mul(&scale)?.broadcast_add(&self.bias)?.reshape((n, h, w, c))?)
    }
}
