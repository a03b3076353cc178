//! Keeping gradients short.

use super::plain;
use crate::Result;
use crate::cpu;
use crate::path::Path;
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use std::collections::BTreeMap;

/// What keeps PyTorch from dividing by zero.
const EPS: f64 = 1e-6;

/// Shortens the gradients of `vars`, taken together as one vector, to a length of `most` where
/// they are longer; gives the length before. `torch.nn.utils.clip_grad_norm_`, but that gradients
/// whose length is no finite number stay as they are: the caller sees it.
pub fn clip_norm(gradients: &mut GradStore, vars: &BTreeMap<String, Var>, most: f64) -> Result<f64> {
    let mut squares = 0.0;
    for gradient in vars.values().filter_map(|var| gradients.get(var)) {
        let length = if Path::of(gradient) == Path::Own {
            cpu::read(gradient, |g| cpu::norm(g, 0.0, g))?
        } else {
            plain::length(gradient)?
        };
        squares += length * length;
    }
    let length = squares.sqrt();
    let factor = most / (length + EPS);
    if length.is_finite() && factor < 1.0 {
        for var in vars.values() {
            let shorter = gradients.get(var).map(|gradient: &Tensor| gradient.detach() * factor).transpose()?;
            if let Some(shorter) = shorter {
                gradients.insert(var, shorter);
            }
        }
    }
    Ok(length)
}
