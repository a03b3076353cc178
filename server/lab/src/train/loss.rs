//! Training losses, each the mean over the batch that PyTorch's namesake gives.

use super::truth::Truth;
use crate::data::UNLABELLED;
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// `torch.nn.CrossEntropyLoss`, over samples or pixels. Unlabelled pixels do not count.
    CrossEntropy {
        /// Weight of class 0; all others weigh 1. The mean is then the weighted one.
        first: f64,
    },
    /// `torch.nn.BCEWithLogitsLoss` over pixels of one class's mask.
    BinaryCrossEntropy,
    /// `torch.nn.L1Loss` over labelled pixels (ViRB's `nonzero_l1_loss` where some are not).
    L1,
}

impl Loss {
    /// The loss of raw outputs, `N x classes` or `N x H x W x outputs`, as a scalar.
    pub fn of(self, out: &Tensor, truth: &Truth, scale: f32) -> Result<Tensor> {
        let device = out.device();
        match (self, truth) {
            (Self::CrossEntropy { first }, Truth::Classes(classes)) => cross_entropy(out, classes, first),
            (Self::CrossEntropy { first }, Truth::Mask(mask)) => {
                let flat = out.reshape(((), out.dim(D::Minus1)?))?;
                if mask.contains(&UNLABELLED) {
                    let (at, classes): (Vec<u32>, Vec<u32>) = mask
                        .iter()
                        .enumerate()
                        .filter(|(_, c)| **c != UNLABELLED)
                        .map(|(i, c)| (i as u32, u32::from(*c)))
                        .unzip();
                    let flat = flat.index_select(&Tensor::new(at, device)?, 0)?;
                    return cross_entropy(&flat, &classes, first);
                }
                cross_entropy(&flat, &mask.iter().map(|c| u32::from(*c)).collect::<Vec<_>>(), first)
            }
            (Self::BinaryCrossEntropy, Truth::Mask(mask)) => {
                let mut x = out.flatten_all()?;
                if mask.contains(&UNLABELLED) {
                    let labelled = mask.iter().enumerate().filter(|(_, c)| **c != UNLABELLED);
                    let at: Vec<u32> = labelled.map(|(i, _)| i as u32).collect();
                    x = x.index_select(&Tensor::new(at, device)?, 0)?;
                }
                let labelled = mask.iter().filter(|c| **c != UNLABELLED);
                let y: Vec<f32> = labelled.map(|c| f32::from(u8::from(*c == 1))).collect();
                // max(x, 0) - x y + ln(1 + exp(-|x|)), as PyTorch, so that nothing overflows.
                let softplus = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
                Ok(((x.relu()? - (&x * Tensor::new(y, device)?)?)? + softplus)?.mean_all()?)
            }
            (Self::L1, Truth::Values(values)) => {
                let (weights, values): (Vec<f32>, Vec<f32>) =
                    values.iter().map(|v| if v.is_nan() { (0.0, 0.0) } else { (1.0, v / scale) }).unzip();
                let count = weights.iter().sum::<f32>().max(1.0);
                let error = (out.flatten_all()? - Tensor::new(values, device)?)?.abs()?;
                Ok(((error * Tensor::new(weights, device)?)?.sum_all()? / f64::from(count))?)
            }
            _ => Err(Error::Unfit(format!("{} cannot be learned by the loss {self:?}", truth.kind()))),
        }
    }
}

fn cross_entropy(logits: &Tensor, classes: &[u32], first: f64) -> Result<Tensor> {
    let device: &Device = logits.device();
    let index = Tensor::new(classes, device)?;
    let log_probability = candle_nn::ops::log_softmax(logits, D::Minus1)?;
    let picked = log_probability.gather(&index.unsqueeze(1)?, 1)?.squeeze(1)?;
    if first == 1.0 {
        return Ok(picked.mean_all()?.neg()?);
    }
    let weights: Vec<f32> = classes.iter().map(|c| if *c == 0 { first as f32 } else { 1.0 }).collect();
    let total: f32 = weights.iter().sum();
    Ok(((picked * Tensor::new(weights, device)?.to_dtype(DType::F32)?)?.sum_all()?.neg()? / f64::from(total))?)
}
