//! A convolution and its BatchNorm, to be trained.

use super::layers::{EPS, Part};
use crate::Result;
use crate::checkpoint::weights::Weights;
use crate::encoder::Normalising;
use crate::layer::{BatchNorm, Geometry, convolve_nhwc};
use crate::parameters::Parameters;
use candle_core::Tensor;

/// torchvision's momentum of BatchNorm: the share of the newest batch.
const MOMENTUM: f64 = 0.1;

/// A convolution without bias and its BatchNorm.
#[derive(Debug)]
pub struct ConvNorm {
    /// `O x I x K x K`.
    pub weight: Tensor,
    /// Behind the convolution.
    pub norm: BatchNorm,
    /// How the kernel moves.
    pub geometry: Geometry,
}

impl ConvNorm {
    /// Takes its tensors out of `weights`, under torchvision's names.
    pub fn new(part: &Part, parameters: &mut Parameters, weights: &mut Weights) -> Result<Self> {
        let name = format!("{}.weight", part.name);
        let weight = weights.take(&name, &[part.output, part.input, part.kernel, part.kernel])?;
        let weight = parameters.add(name, &weight)?;
        let norm = BatchNorm::new(parameters, &part.norm, part.output, EPS, MOMENTUM)?;
        for suffix in ["weight", "bias", "running_mean", "running_var"] {
            let name = format!("{}.{suffix}", part.norm);
            let value = weights.take(&name, &[part.output])?;
            if let Some(var) = parameters.get(&name) {
                var.set(&value.to_device(var.device())?)?;
            }
        }
        Ok(Self { weight, norm, geometry: Geometry::strided(part.kernel, part.stride) })
    }

    /// `N x H x W x I` to `N x H' x W' x O`, with gradients.
    pub fn forward(&self, x: &Tensor, normalising: Normalising, relu: bool) -> Result<Tensor> {
        let x = convolve_nhwc(x, &self.weight, None, self.geometry)?;
        self.norm.forward_in_groups(&x, normalising.statistics, relu, normalising.groups)
    }
}
