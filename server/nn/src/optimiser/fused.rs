//! Steps on the CPU, in one pass over a tensor's values.

use super::kind::Norms;
use crate::Result;
use crate::cpu::{self, Moments, Rule, norm};
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor};
use rayon::prelude::*;
use std::sync::Mutex;

/// Numbers that a thread updates at once.
pub(super) const PART: usize = 1 << 15;

/// Moves the numbers of `tensor`, contiguous and on the CPU, along `gradient`.
pub fn step(tensor: &Tensor, moments: &mut Moments, gradient: &Tensor, rule: Rule) -> candle_core::Result<()> {
    tensor.inplace_op2(&gradient.contiguous()?, &Step { rule, moments: Mutex::new(moments) })
}

/// The lengths that LARS asks for.
pub fn norms(tensor: &Tensor, gradient: &Tensor, factor: f64) -> Result<Norms> {
    cpu::read(tensor, |w| {
        cpu::read(gradient, |g| Norms { value: norm(w, 0.0, w), gradient: norm(g, factor as f32, w) })
    })?
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
