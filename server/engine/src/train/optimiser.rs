//! Adam and SGD as PyTorch computes them, with a state that can be saved and taken up again.

use super::schedule::Setting;
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "optimiser", rename_all = "snake_case")]
pub enum Kind {
    /// `torch.optim.Adam` with its defaults: betas 0.9 and 0.999, eps 1e-8, no weight decay.
    Adam,
    /// `torch.optim.SGD`.
    Sgd {
        /// Share of the last step that is repeated; 0 for none.
        momentum: f64,
    },
}

const BETAS: (f64, f64) = (0.9, 0.999);
const EPS: f64 = 1e-8;

/// An optimiser over named tensors.
#[derive(Debug)]
pub struct Optimiser {
    kind: Kind,
    vars: BTreeMap<String, Var>,
    /// Adam's mean of gradients, or SGD's momentum buffer.
    first: BTreeMap<String, Tensor>,
    /// Adam's mean of squared gradients.
    second: BTreeMap<String, Tensor>,
    steps: u64,
}

impl Optimiser {
    /// An optimiser that has made no step.
    #[must_use]
    pub fn new(kind: Kind, vars: BTreeMap<String, Var>) -> Self {
        Self { kind, vars, first: BTreeMap::new(), second: BTreeMap::new(), steps: 0 }
    }

    /// One step along `gradients`. Tensors without a gradient stay.
    pub fn step(&mut self, gradients: &GradStore, setting: &Setting) -> Result<()> {
        self.steps += 1;
        let lr = setting.learning_rate;
        let beta1 = setting.momentum.unwrap_or(BETAS.0);
        for (name, var) in &self.vars {
            // Detached: a gradient knows the activations that it came from, and the moments would
            // keep those of every step alive.
            let Some(gradient) = gradients.get(var).map(Tensor::detach) else { continue };
            let change = match self.kind {
                Kind::Adam => {
                    let blend = |old: Option<&Tensor>, new: Tensor, beta: f64| -> Result<Tensor> {
                        let new = (new * (1.0 - beta))?;
                        Ok(match old {
                            Some(old) => ((old * beta)? + new)?,
                            None => new,
                        })
                    };
                    let m = blend(self.first.get(name), gradient.clone(), beta1)?;
                    let v = blend(self.second.get(name), gradient.sqr()?, BETAS.1)?;
                    let bias1 = 1.0 - beta1.powi(self.steps as i32);
                    let bias2 = 1.0 - BETAS.1.powi(self.steps as i32);
                    let denominator = ((v.sqrt()? / bias2.sqrt())? + EPS)?;
                    let change = (m.div(&denominator)? * (lr / bias1))?;
                    self.first.insert(name.clone(), m);
                    self.second.insert(name.clone(), v);
                    change
                }
                Kind::Sgd { momentum } => {
                    let momentum = setting.momentum.unwrap_or(momentum);
                    let direction = if momentum == 0.0 {
                        gradient.clone()
                    } else {
                        // PyTorch's buffer begins as the first gradient.
                        let buffer = match self.first.get(name) {
                            Some(old) => ((old * momentum)? + &gradient)?,
                            None => gradient.clone(),
                        };
                        self.first.insert(name.clone(), buffer.clone());
                        buffer
                    };
                    (direction * lr)?
                }
            };
            var.set(&(var.as_tensor() - change)?)?;
        }
        Ok(())
    }

    /// Steps made so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Everything that the next step depends on, beside the tensors themselves.
    #[must_use]
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let first = self.first.iter().map(|(name, t)| (format!("first.{name}"), t.clone()));
        let second = self.second.iter().map(|(name, t)| (format!("second.{name}"), t.clone()));
        first.chain(second).collect()
    }

    /// Takes up a state of [`Self::state`] after `steps` steps.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a tensor that belongs to another head.
    pub fn restore(&mut self, state: BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        for (name, tensor) in state {
            let (slot, name) = match (name.strip_prefix("first."), name.strip_prefix("second.")) {
                (Some(name), _) => (&mut self.first, name),
                (_, Some(name)) => (&mut self.second, name),
                _ => return Err(Error::Unsupported(format!("`{name}` is no state of an optimiser"))),
            };
            match self.vars.get(name) {
                Some(var) if var.dims() == tensor.dims() => {
                    slot.insert(name.to_owned(), tensor.to_device(var.device())?)
                }
                _ => return Err(Error::Unsupported(format!("the optimiser's state for `{name}` is of another head"))),
            };
        }
        self.steps = steps;
        Ok(())
    }
}
