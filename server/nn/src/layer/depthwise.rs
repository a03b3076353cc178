//! Frozen convolutions of each channel on its own, on `N x H x W x C`.

use crate::Result;
use crate::conv::Conv;
use crate::cpu::{self, Maps};
use candle_core::{Device, Tensor};

/// A depthwise convolution with bias and activation.
#[derive(Debug)]
pub enum Depthwise {
    /// By candle, on any device.
    Candle(Conv),
    /// By ours, on the CPU.
    Cpu(cpu::Depthwise),
}

impl Depthwise {
    /// Of a convolution, on its device.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] if it is not depthwise, or its kernel is larger than 7 x 7.
    pub fn new(conv: Conv) -> Result<Self> {
        Ok(if conv.weight.device().is_cpu() { Self::Cpu(cpu::Depthwise::new(&conv)?) } else { Self::Candle(conv) })
    }

    /// `N x H x W x C` to `N x H' x W' x C`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Candle(conv) => Ok(conv.forward(&x.permute((0, 3, 1, 2))?.contiguous()?)?.permute((0, 2, 3, 1))?),
            Self::Cpu(conv) => {
                let (images, height, width, channels) = x.dims4()?;
                let maps = Maps { images, height, width };
                let to = conv.output(maps);
                let mut out = vec![0f32; to.pixels() * channels];
                cpu::read(x, |x| conv.run(x, maps, &mut out))?;
                Ok(Tensor::from_vec(out, (images, to.height, to.width, channels), &Device::Cpu)?)
            }
        }
    }
}
