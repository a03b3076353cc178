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
    // Without a history: what is held would keep the tensors of all steps before.
    let old = var.as_detached_tensor();
    match update {
        Update::Adam { beta, keep, rate, root } => {
            let m = blend(held.first.as_ref(), gradient.clone(), beta)?;
            let v = blend(held.second.as_ref(), gradient.sqr()?, BETA2)?;
            let denominator = ((v.sqrt()? / root)? + f64::from(EPS))?;
            let change = (m.div(&denominator)? * rate)?;
            *held = Held { first: Some(m), second: Some(v) };
            let values = if keep < 1.0 { (&old * keep)? } else { old };
            Ok(var.set(&(values - change)?)?)
        }
        Update::Sgd { momentum, decay, scale, rate } => {
            let gradient = if decay == 0.0 { gradient.clone() } else { (gradient + (&old * decay)?)? };
            let gradient = (gradient * scale)?;
            // PyTorch's buffer begins as the first gradient.
            let buffer = match &held.first {
                Some(buffer) if momentum != 0.0 => ((buffer * momentum)? + gradient)?,
                _ => gradient,
            };
            let change = (&buffer * rate)?;
            held.first = (momentum != 0.0).then_some(buffer);
            Ok(var.set(&(old - change)?)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn what_is_held_has_no_history() {
        let tensor = |values: [f32; 3]| Tensor::new(&values, &Device::Cpu).expect("a tensor");
        let adam = Update::Adam { beta: 0.9, keep: 0.99, rate: 0.1, root: 1.0 };
        for update in [Update::Sgd { momentum: 0.9, decay: 0.1, scale: 1.0, rate: 0.1 }, adam] {
            let (var, mut held) = (Var::from_tensor(&tensor([1.0, -2.0, 3.0])).expect("a variable"), Held::default());
            for _ in 0..2 {
                step(&var, &mut held, &tensor([0.5, 0.5, -1.0]), update).expect("a step");
            }
            let first = held.first.expect("a buffer");
            assert!(!first.track_op(), "a buffer holds on to the steps before");
            assert_ne!(var.to_vec1::<f32>().expect("values"), [1.0, -2.0, 3.0]);
        }
    }
}
