//! Steps in tensor operations, on any device.

use super::kind::{Norms, Update};
use crate::Result;
use crate::cpu::{BETA2, EPS};
use candle_core::{DType, Tensor, Var};

/// What an optimiser remembers of a tensor that is not on the CPU; nothing before its first step.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Adam's mean of gradients, or the momentum buffer.
    pub first: Option<Tensor>,
    /// Adam's mean of squared gradients.
    pub second: Option<Tensor>,
}

/// Moves `var` along `gradient`.
pub fn step(var: &Var, held: &mut Held, gradient: &Tensor, update: Update) -> Result<()> {
    match update {
        Update::Adam { beta, keep, rate, root } => {
            let m = blend(held.first.as_ref(), gradient.clone(), beta)?;
            let v = blend(held.second.as_ref(), gradient.sqr()?, BETA2)?;
            let denominator = ((v.sqrt()? / root)? + f64::from(EPS))?;
            let change = (m.div(&denominator)? * rate)?;
            *held = Held { first: Some(m), second: Some(v) };
            let values = if keep < 1.0 { (var.as_tensor() * keep)? } else { var.as_tensor().clone() };
            Ok(var.set(&(values - change)?)?)
        }
        Update::Sgd { momentum, decay, scale, rate } => {
            let gradient = if decay == 0.0 { gradient.clone() } else { (gradient + (var.as_tensor() * decay)?)? };
            let gradient = (gradient * scale)?;
            // PyTorch's buffer begins as the first gradient.
            let buffer = match &held.first {
                Some(old) if momentum != 0.0 => ((old * momentum)? + gradient)?,
                _ => gradient,
            };
            let change = (&buffer * rate)?;
            held.first = (momentum != 0.0).then_some(buffer);
            Ok(var.set(&(var.as_tensor() - change)?)?)
        }
    }
}

fn blend(old: Option<&Tensor>, new: Tensor, beta: f64) -> Result<Tensor> {
    let new = (new * (1.0 - beta))?;
    Ok(match old {
        Some(old) => ((old * beta)? + new)?,
        None => new,
    })
}

/// The lengths that LARS asks for.
pub fn norms(tensor: &Tensor, gradient: &Tensor, factor: f64) -> Result<Norms> {
    let gradient = if factor == 0.0 { gradient.clone() } else { (gradient + (tensor * factor)?)? };
    Ok(Norms { value: length(tensor)?, gradient: length(&gradient)? })
}

/// The length of a tensor as one vector.
pub fn length(tensor: &Tensor) -> Result<f64> {
    Ok(f64::from(tensor.sqr()?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?).sqrt())
}
