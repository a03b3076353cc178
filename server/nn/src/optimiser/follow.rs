//! Tensors that follow others, as a momentum encoder's do.

use super::fused::PART;
use crate::Result;
use crate::path::Path;
use candle_core::{CpuStorage, InplaceOp2, Layout, Tensor, Var};
use rayon::prelude::*;

/// Moves `var` towards `newest`, of the same shape, of which it takes up the share `1 - momentum`.
pub fn follow(var: &Var, newest: &Tensor, momentum: f64) -> Result<()> {
    let newest = newest.detach();
    if Path::of(var) == Path::Own {
        return Ok(var.inplace_op2(&newest.contiguous()?, &Follow { shares: [momentum, 1.0 - momentum] })?);
    }
    Ok(var.set(&((var.as_detached_tensor() * momentum)? + (newest * (1.0 - momentum))?)?)?)
}

/// In one pass over the values, on the CPU, with the bits of the operations above.
struct Follow {
    /// What is taken of the old value, and of the newest.
    shares: [f64; 2],
}

impl InplaceOp2 for Follow {
    fn name(&self) -> &'static str {
        "follow"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, to: &Layout, y: &CpuStorage, from: &Layout) -> candle_core::Result<()> {
        if to.shape() != from.shape() {
            candle_core::bail!("a tensor of {:?} cannot follow one of {:?}", to.shape(), from.shape());
        }
        let (CpuStorage::F32(x), Some(to), CpuStorage::F32(y), Some(from)) =
            (x, to.contiguous_offsets(), y, from.contiguous_offsets())
        else {
            candle_core::bail!("contiguous f32 tensors follow each other");
        };
        let [old, new] = self.shares.map(|share| share as f32);
        let moved = |(x, y): (&mut [f32], &[f32])| {
            // The zeros make a product of -0 a 0, as candle's do.
            x.iter_mut().zip(y).for_each(|(x, y)| *x = (*x * old + 0.0) + (*y * new + 0.0));
        };
        x[to.0..to.1].par_chunks_mut(PART).zip(y[from.0..from.1].par_chunks(PART)).for_each(moved);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::plainly;
    use crate::testing::{Random, values};
    use candle_core::Device;

    #[test]
    fn one_pass_has_the_bits_of_three_operations() {
        let random = Random::new("following");
        for (momentum, dims) in [(0.999, vec![PART + 77]), (0.0, vec![3, 5, 2]), (0.5, vec![1])] {
            let begun = (random.normal(1.0, &dims[..]) - 0.2).and_then(|t| t.relu()?.neg()).expect("zeros among them");
            let newest = random.normal(1.0, &dims[..]).relu().and_then(|t| t.neg()).expect("zeros among them");
            let newest = Var::from_tensor(&newest).expect("a variable");
            let moved = || {
                let var = Var::from_tensor(&begun).expect("a variable");
                follow(&var, &newest, momentum).expect("moved");
                values(&var).into_iter().map(f32::to_bits).collect::<Vec<u32>>()
            };
            let ours = moved();
            assert_eq!(ours.len(), dims.iter().product::<usize>());
            assert_eq!(ours, plainly(moved), "{momentum}");
        }
    }

    #[test]
    fn another_shape_is_refused() {
        let [var, newest] = [2, 3].map(|len| Var::zeros(len, candle_core::DType::F32, &Device::Cpu).expect("zeros"));
        let said = follow(&var, &newest, 0.5).expect_err("refused").to_string();
        assert!(said.contains("[2] cannot follow one of [3]"), "{said}");
    }
}
