//! Takes the parts of a transformer out of a checkpoint.

use crate::Result;
use crate::checkpoint::weights::Weights;
use candle_core::{Device, Tensor};
use candle_nn::{LayerNorm, Linear};

/// Takes tensors out of a checkpoint.
pub struct Load<'a> {
    pub weights: &'a mut Weights,
    pub device: &'a Device,
}

impl Load<'_> {
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        Ok(self.weights.take(name, shape)?.to_device(self.device)?)
    }

    /// A tensor that layouts write in one of several shapes.
    pub fn any(&mut self, name: &str, shapes: &[&[usize]]) -> Result<Tensor> {
        let there = shapes.iter().find(|s| self.weights.shape(name) == Some(**s)).unwrap_or(&shapes[0]);
        self.take(name, there)
    }

    pub fn norm(&mut self, name: &str, width: usize, eps: f64) -> Result<LayerNorm> {
        let (weight, bias) = self.pair(name, &[width])?;
        Ok(LayerNorm::new(weight, bias, eps))
    }

    pub fn linear(&mut self, name: &str, input: usize, output: usize) -> Result<Linear> {
        let (weight, bias) = self.pair(name, &[output, input])?;
        Ok(Linear::new(weight, Some(bias)))
    }

    /// A weight and its bias.
    pub fn pair(&mut self, name: &str, shape: &[usize]) -> Result<(Tensor, Tensor)> {
        Ok((self.take(&format!("{name}.weight"), shape)?, self.take(&format!("{name}.bias"), &shape[..1])?))
    }
}
