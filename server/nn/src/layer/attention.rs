//! Self-attention of several heads, with gradients.

use crate::Result;
use crate::cpu::attention::Shape;
use crate::cpu::{read, values};
use crate::path::Path;
use candle_core::{CpuStorage, CustomOp1, D, Layout, Shape as Dims, Tensor};

/// What each token gathers from all of its picture: `N x T x 3C`, queries, keys and values side by
/// side and in each the heads, to `N x T x C`. `C` must be a multiple of `heads`.
pub fn attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    if Path::of(qkv) == Path::Own {
        return Ok(qkv.contiguous()?.apply_op1(Fused { heads })?);
    }
    plain(qkv, heads)
}

/// In tensor operations, on any device.
fn plain(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (n, tokens, c) = qkv.dims3()?;
    let (c, width) = (c / 3, c / 3 / heads);
    let part = |i: usize| qkv.narrow(2, i * c, c)?.reshape((n, tokens, heads, width))?.transpose(1, 2)?.contiguous();
    let (query, key, value) = (part(0)?, part(1)?, part(2)?);
    let scores = (query.matmul(&key.t()?)? / (width as f64).sqrt())?;
    // candle's own softmax over the last dimension has no gradient.
    let shares = candle_nn::ops::softmax(&scores, D::Minus1)?;
    Ok(shares.matmul(&value)?.transpose(1, 2)?.contiguous()?.reshape((n, tokens, c))?)
}

/// In one operation, on the CPU.
struct Fused {
    heads: usize,
}

impl Fused {
    fn shape(&self, qkv: &Dims) -> candle_core::Result<Shape> {
        let (_, tokens, c) = qkv.dims3()?;
        if !c.is_multiple_of(3 * self.heads) {
            candle_core::bail!("{c} channels are no queries, keys and values of {} heads", self.heads);
        }
        Ok(Shape { tokens, heads: self.heads, width: c / 3 / self.heads })
    }
}

impl CustomOp1 for Fused {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Dims)> {
        let (n, tokens, c) = layout.shape().dims3()?;
        let shape = self.shape(layout.shape())?;
        let mut out = vec![0f32; n * tokens * c / 3];
        shape.forward(values(qkv, layout)?, &mut out);
        Ok((CpuStorage::F32(out), (n, tokens, c / 3).into()))
    }

    fn bwd(&self, qkv: &Tensor, _result: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let shape = self.shape(qkv.shape())?;
        let mut out = vec![0f32; qkv.elem_count()];
        let taken = read(qkv, |qkv| read(gradient, |gradient| shape.backward(qkv, gradient, &mut out)));
        taken.and_then(|taken| taken).map_err(candle_core::Error::wrap)?;
        Ok(Some(Tensor::from_vec(out, qkv.shape(), qkv.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_near, values};
    use candle_core::Var;

    #[test]
    fn one_operation_equals_plain_ones_with_their_gradients() {
        for (n, tokens, heads, width) in [(1, 1, 1, 64), (2, 17, 2, 64), (3, 50, 3, 5), (1, 197, 1, 64)] {
            let random = Random::new("attention");
            let dims = [n, tokens, 3 * heads * width];
            let qkv = Var::from_tensor(&random.normal(2.0, &dims[..])).expect("a variable");
            let factors = random.normal(1.0, (n, tokens, heads * width));
            let both = [attention(&qkv, heads), plain(&qkv, heads)].map(|y| {
                let y = y.expect("computed");
                let loss = (&y * &factors).and_then(|y| y.sum_all()).expect("a number");
                let gradients = loss.backward().expect("gradients");
                [values(&y), values(gradients.get(&qkv).expect("a gradient"))]
            });
            let what = format!("{n} pictures of {tokens} tokens, {heads} heads of {width}");
            for (ours, wanted) in both[0].iter().zip(&both[1]) {
                assert_near(&what, ours, wanted, 2e-5);
            }
        }
    }

    #[test]
    fn channels_that_no_heads_share_are_refused() {
        let qkv = Random::new("attention").normal(1.0, (1, 4, 20));
        let error = attention(&qkv, 2).expect_err("refused").to_string();
        assert!(error.contains("20 channels"), "{error}");
    }
}
