//! The pixel-wise head: a decoder over all maps of an encoder (paper, section 3.3).
//!
//! From the coarsest map upwards, each stage is a 3x3 convolution to four times the
//! next map's channels, PixelShuffle(2), LeakyReLU(0.01), a bilinear resize where sizes
//! differ, and the addition of the next map; the last stage ends in PixelShuffle(2).
//! The slim variant first reduces each map by a 1x1 convolution, which makes the head
//! small enough to ship and to train on a CPU.
//!
//! Inside, tensors are `N x H x W x C`: there a convolution is one matrix product.

use super::Parameters;
use crate::Result;
use crate::conv::{conv_nhwc, pixel_shuffle_nhwc, resize_bilinear_nhwc};
use candle_core::{Device, Tensor};

/// Channels of the slim variant's maps, the finest first.
pub const SLIM: [usize; 5] = [12, 24, 48, 64, 96];

/// The decoder.
#[derive(Debug)]
pub struct Pixelwise {
    parameters: Parameters,
    /// 1x1 convolutions per map, the finest first; empty in the full variant.
    reduce: Vec<(Tensor, Tensor)>,
    /// 3x3 convolutions, the coarsest first.
    up: Vec<(Tensor, Tensor)>,
}

impl Pixelwise {
    /// A decoder for maps with these channels, the finest first.
    pub fn new(channels: &[usize], slim: Option<&[usize]>, outputs: usize, seed: u64, device: &Device) -> Result<Self> {
        let mut parameters = Parameters::default();
        let mut reduce = Vec::new();
        let widths = slim.unwrap_or(channels);
        if slim.is_some() {
            for (i, (input, output)) in channels.iter().zip(widths).enumerate() {
                reduce.push(parameters.layer(&format!("reduce.{i}"), &[*output, *input, 1, 1], seed, device)?);
            }
        }
        let mut up = Vec::new();
        for stage in 0..widths.len() {
            let from = widths.len() - 1 - stage;
            let target = if from == 0 { outputs } else { widths[from - 1] };
            up.push(parameters.layer(&format!("up.{stage}"), &[4 * target, widths[from], 3, 3], seed, device)?);
        }
        Ok(Self { parameters, reduce, up })
    }

    /// Maps `N x C x H x W`, the finest first, to `N x outputs x 2H x 2W` of the finest.
    pub fn forward(&self, maps: &[Tensor]) -> Result<Tensor> {
        let maps: Vec<Tensor> =
            maps.iter().map(|m| Ok(m.permute((0, 2, 3, 1))?.contiguous()?)).collect::<Result<_>>()?;
        Ok(self.forward_nhwc(&maps)?.permute((0, 3, 1, 2))?.contiguous()?)
    }

    /// The same for maps `N x H x W x C`; the output is `N x 2H x 2W x outputs`.
    pub fn forward_nhwc(&self, maps: &[Tensor]) -> Result<Tensor> {
        let level = |i: usize| match self.reduce.get(i) {
            Some((weight, bias)) => conv_nhwc(&maps[i], weight, bias),
            None => Ok(maps[i].clone()),
        };
        let mut x = level(maps.len() - 1)?;
        for (stage, (weight, bias)) in self.up.iter().enumerate() {
            x = pixel_shuffle_nhwc(&conv_nhwc(&x, weight, bias)?)?;
            if stage + 1 < self.up.len() {
                // LeakyReLU(0.01) as max(x, 0.01 x).
                x = x.maximum(&(&x * 0.01)?)?;
                let skip = level(maps.len() - 2 - stage)?;
                let (_, h, w, _) = skip.dims4()?;
                x = (resize_bilinear_nhwc(&x, h, w)? + skip)?;
            }
        }
        Ok(x)
    }

    /// Takes a standardisation of each map's channels, `(x - mean) / std`, into the 1x1
    /// reductions. Only the slim variant has any.
    pub fn fold_standardisation(&self, statistics: &[(Tensor, Tensor)]) -> Result<()> {
        for (i, (mean, std)) in statistics.iter().enumerate() {
            let name = format!("reduce.{i}");
            let (Some(weight), Some(bias)) =
                (self.parameters.0.get(&format!("{name}.weight")), self.parameters.0.get(&format!("{name}.bias")))
            else {
                continue;
            };
            let channels = mean.elem_count();
            let shape = (1, channels, 1, 1);
            let folded = weight.as_tensor().broadcast_div(&std.reshape(shape)?)?;
            let shift = folded.broadcast_mul(&mean.reshape(shape)?)?.sum((1, 2, 3))?;
            bias.set(&(bias.as_tensor() - shift)?)?;
            weight.set(&folded)?;
        }
        Ok(())
    }

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
