//! The pixel-wise head: a decoder over all maps of an encoder (paper, section 3.3).
//!
//! From the coarsest map upwards, each stage is a 3x3 convolution to four times the
//! next map's channels, PixelShuffle(2), LeakyReLU(0.01), a bilinear resize where sizes
//! differ, and the addition of the next map; the last stage ends in PixelShuffle(2).
//! With `widths` each map first goes through a 1x1 convolution. That makes
//! - the siamese head (optical flow): the two images' maps lie side by side on channels, and
//!   the 1x1 convolution fuses them to the channels of one;
//! - the slim variants of both, small enough to ship and to train on a CPU.

use super::linear::fold;
use crate::Result;
use crate::encoder::MapSpec;
use crate::layer::{Corners, conv_nhwc, pixel_shuffle_nhwc, resize_bilinear_nhwc};
use crate::parameters::Parameters;
use candle_core::{Device, Tensor};

/// Channels of the slim variant's maps. Behind narrow encoders, none of whose maps has 256 channels, they are half as
/// many: a head is not to be larger than what it reads.
#[must_use]
pub fn slim(maps: &[MapSpec]) -> Vec<usize> {
    let part = if maps.iter().all(|map| map.channels < NARROW) { 2 } else { 1 };
    let width = |map: &MapSpec| match map.stride {
        ..=2 => 12,
        3..=4 => 24,
        5..=8 => 48,
        9..=16 => 64,
        17.. => 96,
    };
    maps.iter().map(|map| width(map) / part).collect()
}

/// Channels that maps of narrow encoders do not reach.
const NARROW: usize = 256;

/// The decoder.
#[derive(Debug)]
pub struct Pixelwise {
    parameters: Parameters,
    /// 1x1 convolutions per map, the finest first; empty in the plain variant.
    reduce: Vec<(Tensor, Tensor)>,
    /// 3x3 convolutions, the coarsest first.
    up: Vec<(Tensor, Tensor)>,
}

impl Pixelwise {
    /// A decoder for maps with these channels, the finest first; `widths` are those to which
    /// 1x1 convolutions bring the maps first.
    pub fn new(
        channels: &[usize],
        widths: Option<&[usize]>,
        outputs: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let mut parameters = Parameters::new(seed, device);
        let mut reduce = Vec::new();
        let reduced = widths.is_some();
        let widths = widths.unwrap_or(channels);
        if reduced {
            for (i, (input, output)) in channels.iter().zip(widths).enumerate() {
                reduce.push(parameters.layer(&format!("reduce.{i}"), &[*output, *input, 1, 1])?);
            }
        }
        let mut up = Vec::new();
        for stage in 0..widths.len() {
            let from = widths.len() - 1 - stage;
            let target = if from == 0 { outputs } else { widths[from - 1] };
            up.push(parameters.layer(&format!("up.{stage}"), &[4 * target, widths[from], 3, 3])?);
        }
        Ok(Self { parameters, reduce, up })
    }

    /// Maps `N x h x w x C`, the finest first, of an input of `size` (H, W), to
    /// `N x H' x W' x outputs`, H' and W' being H and W rounded up to even numbers. Behind maps
    /// that begin at a stride of 2 the last stage makes that size, behind coarser ones (stride
    /// 4 of vision transformers) a bilinear resize follows.
    pub fn forward(&self, maps: &[Tensor], size: (usize, usize)) -> Result<Tensor> {
        let level = |i: usize| match self.reduce.get(i) {
            Some((weight, bias)) => conv_nhwc(&maps[i], weight, Some(bias), 1),
            None => Ok(maps[i].clone()),
        };
        let mut x = level(maps.len() - 1)?;
        for (stage, (weight, bias)) in self.up.iter().enumerate() {
            x = pixel_shuffle_nhwc(&conv_nhwc(&x, weight, Some(bias), 1)?)?;
            if stage + 1 < self.up.len() {
                // LeakyReLU(0.01) as max(x, 0.01 x).
                x = x.maximum(&(&x * 0.01)?)?;
                let skip = level(maps.len() - 2 - stage)?;
                let (_, h, w, _) = skip.dims4()?;
                x = (resize_bilinear_nhwc(&x, h, w, Corners::Areas)? + skip)?;
            }
        }
        let [height, width] = [size.0, size.1].map(|n| n.next_multiple_of(2));
        resize_bilinear_nhwc(&x, height, width, Corners::Areas)
    }

    /// Takes a standardisation of each map's channels, `(x - mean) / std`, into the 1x1
    /// convolutions. The plain variant has none.
    pub fn fold_standardisation(&self, statistics: &[(Tensor, Tensor)]) -> Result<()> {
        for (i, (mean, std)) in statistics.iter().enumerate() {
            fold(&self.parameters, &format!("reduce.{i}"), mean, std)?;
        }
        Ok(())
    }

    /// Its named tensors.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_encoders_have_narrow_heads() {
        let maps = |channels: [usize; 2]| {
            [(4, channels[0]), (32, channels[1])].map(|(stride, channels)| MapSpec {
                name: String::new(),
                stride,
                channels,
            })
        };
        assert_eq!(slim(&maps([24, 192])), [12, 48]);
        assert_eq!(slim(&maps([24, 320])), [24, 96]);
    }
}
