//! A step of an optimiser over a tensor on the CPU, in one pass.

use super::optimiser::{BETAS, Kind};
use super::schedule::Setting;
use crate::kernel::{Moments, Rule};
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor};
use rayon::prelude::*;
use std::sync::Mutex;

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
