//! Adam and SGD as PyTorch computes them, with a state that can be saved and taken up again.

use crate::cpu::{BETA2, EPS, Moments, Rule};
use crate::schedule::Setting;
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Mutex;

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

/// Adam's.
const BETAS: (f64, f64) = (0.9, BETA2);

/// An optimiser over named tensors.
#[derive(Debug)]
pub struct Optimiser {
    kind: Kind,
    vars: BTreeMap<String, Var>,
    /// Adam's mean of gradients, or SGD's momentum buffer. Not on the CPU.
    first: BTreeMap<String, Tensor>,
    /// Adam's mean of squared gradients. Not on the CPU.
    second: BTreeMap<String, Tensor>,
    /// Both on the CPU.
    moments: BTreeMap<String, Moments>,
    steps: u64,
}

impl Optimiser {
    /// An optimiser that has made no step.
    #[must_use]
    pub fn new(kind: Kind, vars: BTreeMap<String, Var>) -> Self {
        Self { kind, vars, first: BTreeMap::new(), second: BTreeMap::new(), moments: BTreeMap::new(), steps: 0 }
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
            if var.device().is_cpu() {
                let new = || moments(self.kind, var.elem_count());
                let moments = self.moments.entry(name.clone()).or_insert_with(new);
                step(var.as_tensor(), moments, &gradient, rule(self.kind, setting, self.steps))?;
                continue;
            }
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
                    let denominator = ((v.sqrt()? / bias2.sqrt())? + f64::from(EPS))?;
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
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let first = self.first.iter().map(|(name, t)| (format!("first.{name}"), t.clone()));
        let second = self.second.iter().map(|(name, t)| (format!("second.{name}"), t.clone()));
        let mut state: BTreeMap<String, Tensor> = first.chain(second).collect();
        for (name, moments) in &self.moments {
            for (kind, values) in [("first", &moments.first), ("second", &moments.second)] {
                if let (Some(var), false) = (self.vars.get(name), values.is_empty()) {
                    state.insert(format!("{kind}.{name}"), Tensor::from_slice(values, var.dims(), var.device())?);
                }
            }
        }
        Ok(state)
    }

    /// The moments of a tensor on the CPU.
    pub fn moments(&self, name: &str) -> Option<&Moments> {
        self.moments.get(name)
    }

    /// Takes over what made `steps` steps elsewhere.
    pub fn follow(&mut self, moments: BTreeMap<String, Moments>, steps: u64) {
        self.moments = moments;
        self.steps = steps;
    }

    /// Which optimiser it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes up a state of [`Self::state`] after `steps` steps.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a tensor that belongs to another head.
    pub fn restore(&mut self, state: BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        for (name, tensor) in state {
            let (is_first, name) = match (name.strip_prefix("first."), name.strip_prefix("second.")) {
                (Some(name), _) => (true, name),
                (_, Some(name)) => (false, name),
                _ => return Err(Error::Unsupported(format!("`{name}` is no state of an optimiser"))),
            };
            match self.vars.get(name) {
                Some(var) if var.dims() == tensor.dims() && var.device().is_cpu() => {
                    let len = var.elem_count();
                    let moments = self.moments.entry(name.to_owned()).or_insert_with(|| moments(self.kind, len));
                    let to = if is_first { &mut moments.first } else { &mut moments.second };
                    *to = tensor.flatten_all()?.to_vec1()?;
                }
                Some(var) if var.dims() == tensor.dims() => {
                    let slot = if is_first { &mut self.first } else { &mut self.second };
                    slot.insert(name.to_owned(), tensor.to_device(var.device())?);
                }
                _ => return Err(Error::Unsupported(format!("the optimiser's state for `{name}` is of another head"))),
            }
        }
        self.steps = steps;
        Ok(())
    }
}

/// Numbers that a thread updates at once.
const PART: usize = 1 << 15;

/// The rule of a step; steps count from 1.
pub fn rule(kind: Kind, setting: &Setting, step: u64) -> Rule {
    let step = step as i32;
    match kind {
        Kind::Adam => {
            let beta = setting.momentum.unwrap_or(BETAS.0);
            Rule::Adam {
                beta,
                rate: (setting.learning_rate / (1.0 - beta.powi(step))) as f32,
                correction: (1.0 / (1.0 - BETAS.1.powi(step)).sqrt()) as f32,
            }
        }
        Kind::Sgd { momentum } => {
            Rule::Sgd { momentum: setting.momentum.unwrap_or(momentum) as f32, rate: setting.learning_rate as f32 }
        }
    }
}

/// The moments of `len` numbers before the first step.
pub fn moments(kind: Kind, len: usize) -> Moments {
    Moments::new(len, kind == Kind::Adam)
}

/// Moves the numbers of `tensor`, contiguous and on the CPU, along `gradient`.
pub fn step(tensor: &Tensor, moments: &mut Moments, gradient: &Tensor, rule: Rule) -> candle_core::Result<()> {
    tensor.inplace_op2(&gradient.contiguous()?, &Step { rule, moments: Mutex::new(moments) })
}

struct Step<'a> {
    rule: Rule,
    moments: Mutex<&'a mut Moments>,
}

impl InplaceOp2 for Step<'_> {
    fn name(&self) -> &'static str {
        "optimiser-step"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, to: &Layout, g: &CpuStorage, from: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(x), Some(to), CpuStorage::F32(g), Some(from), Ok(mut moments)) =
            (x, to.contiguous_offsets(), g, from.contiguous_offsets(), self.moments.lock())
        else {
            candle_core::bail!("the optimiser steps over contiguous f32 tensors");
        };
        let (x, g) = (&mut x[to.0..to.1], &g[from.0..from.1]);
        let Moments { first, second } = &mut **moments;
        let parts = x.par_chunks_mut(PART).zip(first.par_chunks_mut(PART)).zip(g.par_chunks(PART));
        if second.is_empty() {
            parts.for_each(|((x, m), g)| self.rule.apply(x, m, &mut [], g));
        } else {
            let parts = parts.zip(second.par_chunks_mut(PART));
            parts.for_each(|(((x, m), g), v)| self.rule.apply(x, m, v, g));
        }
        Ok(())
    }
}
