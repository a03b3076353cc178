//! Pooling and sums behind ReLU, with gradients.

use super::relu;
use crate::Result;
use crate::cpu::{self, Maps, values};
use crate::path::Path;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape, Tensor};

/// The largest of 3 x 3 neighbours at every second pixel, as PyTorch's `MaxPool2d(3, 2, 1)`:
/// `N x H x W x C` to `N x H' x W' x C`, of values that are not negative. Zeros lie at the bottom
/// and right, and, if `before`, at the top and left. Of equal neighbours the first has the
/// gradient.
pub fn max_pool_nhwc(x: &Tensor, before: bool) -> Result<Tensor> {
    if Path::of(x) == Path::Own {
        return Ok(x.contiguous()?.apply_op1(MaxPool { before })?);
    }
    plain_max_pool(x, before)
}

/// In tensor operations, on any device: candle's own pooling of windows that overlap has no gradient.
fn plain_max_pool(x: &Tensor, before: bool) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    let pad = usize::from(before);
    let padded = bordered(&bordered(x, 1, pad)?, 2, pad)?;
    let size = |n: usize| (n + pad + 1 - 3) / 2 + 1;
    let every_second = |x: &Tensor, dim: usize, first: usize, count: usize| -> Result<Tensor> {
        let at: Vec<u32> = (0..count).map(|i| (first + 2 * i) as u32).collect();
        Ok(x.index_select(&Tensor::from_vec(at, count, x.device())?, dim)?)
    };
    let mut most: Option<Tensor> = None;
    for row in 0..3 {
        let rows = every_second(&padded, 1, row, size(h))?;
        for column in 0..3 {
            let tap = every_second(&rows, 2, column, size(w))?;
            most = Some(match most {
                // The gradient of what is kept, where both are equal.
                Some(most) => most.ge(&tap)?.where_cond(&most, &tap)?,
                None => tap,
            });
        }
    }
    Ok(most.unwrap_or(padded))
}

/// Rows or columns of -1 around, `before` of them in front and two behind: beside values that are not negative they
/// are never the largest, and have no gradient.
fn bordered(x: &Tensor, dim: usize, before: usize) -> Result<Tensor> {
    let border = |count: usize| -> Result<Tensor> {
        let mut dims = x.dims().to_vec();
        dims[dim] = count;
        Ok(Tensor::full(-1f32, dims, x.device())?.to_dtype(x.dtype())?)
    };
    let mut parts = vec![x.clone(), border(2)?];
    if before > 0 {
        parts.insert(0, border(before)?);
    }
    Ok(Tensor::cat(&parts, dim)?)
}

struct MaxPool {
    before: bool,
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, of_x: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (images, height, width, channels) = of_x.shape().dims4()?;
        let maps = Maps { images, height, width };
        let mut out = vec![0f32; maps.pixels().max(images * height.div_ceil(2) * width.div_ceil(2)) * channels];
        let to = cpu::max_pool_3x3(values(x, of_x)?, maps, channels, self.before, &mut out);
        out.truncate(to.pixels() * channels);
        Ok((CpuStorage::F32(out), (images, to.height, to.width, channels).into()))
    }

    fn bwd(&self, x: &Tensor, result: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (images, height, width, channels) = x.dims4()?;
        let maps = Maps { images, height, width };
        let mut out = vec![0f32; x.elem_count()];
        let wrap = candle_core::Error::wrap;
        let gradient = gradient.contiguous()?;
        cpu::read(x, |x| {
            cpu::read(result, |y| {
                cpu::read(&gradient, |g| cpu::max_pool_3x3_gradient([x, y, g], maps, channels, self.before, &mut out))
            })
        })
        .and_then(|inner| inner.and_then(|inner| inner))
        .map_err(wrap)?;
        Tensor::from_vec(out, x.shape(), x.device()).map(Some)
    }
}

/// `max(a + b, 0)`: where a block of a ResNet ends.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    match Path::of(a) {
        Path::Own => Ok(a.contiguous()?.apply_op2(&b.contiguous()?, AddRelu)?),
        _ => relu(&(a + b)?),
    }
}

struct AddRelu;

impl CustomOp2 for AddRelu {
    fn name(&self) -> &'static str {
        "add-relu"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        of_a: &Layout,
        b: &CpuStorage,
        of_b: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let mut out = values(a, of_a)?.to_vec();
        cpu::add_relu(&mut out, values(b, of_b)?);
        Ok((CpuStorage::F32(out), of_a.shape().clone()))
    }

    fn bwd(
        &self,
        _a: &Tensor,
        _b: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let mut out = cpu::read(&gradient, <[f32]>::to_vec).map_err(candle_core::Error::wrap)?;
        cpu::read(result, |y| cpu::pass_where_positive(&mut out, y)).map_err(candle_core::Error::wrap)?;
        let out = Tensor::from_vec(out, result.shape(), result.device())?;
        Ok((Some(out.clone()), Some(out)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_within, values};
    use candle_core::Var;

    fn gradients(y: &Tensor, factors: &Tensor, of: &[&Var]) -> Vec<Vec<f32>> {
        let loss = (y * factors).and_then(|y| y.sum_all()).expect("a number");
        let gradients = loss.backward().expect("computed");
        of.iter().map(|var| values(gradients.get(var).expect("a gradient"))).collect()
    }

    #[test]
    fn pooling_sends_the_gradient_to_the_first_of_the_largest() {
        for (h, w, before) in [(5, 6, true), (8, 7, true), (6, 6, false), (9, 3, false), (2, 1, true)] {
            let random = Random::new("pooling");
            // Many zeros, as behind a ReLU, so that there are ties.
            let x = random.normal(1.0, (2, h, w, 11)).relu().expect("a tensor");
            let x = Var::from_tensor(&x).expect("a variable");
            let y = max_pool_nhwc(&x, before).expect("computed");
            let (_, rows, columns, c) = y.dims4().expect("four");
            let factors = random.normal(1.0, y.dims());
            let (xs, ys, gs) = (values(&x), values(&y), values(&factors));
            let (mut wanted, mut to) = (Vec::new(), vec![0f32; xs.len()]);
            for (at, g) in gs.iter().enumerate() {
                let (n, row, column, k) =
                    (at / (rows * columns * c), at / (columns * c) % rows, at / c % columns, at % c);
                let pad = usize::from(before);
                let mut most: Option<usize> = None;
                for tap in 0..9 {
                    let (y, x) = ((2 * row + tap / 3).wrapping_sub(pad), (2 * column + tap % 3).wrapping_sub(pad));
                    if y < h && x < w {
                        let place = ((n * h + y) * w + x) * c + k;
                        if most.is_none_or(|most| xs[place] > xs[most]) {
                            most = Some(place);
                        }
                    }
                }
                let most = most.expect("a neighbour");
                wanted.push(xs[most]);
                to[most] += g;
            }
            let plain = plain_max_pool(&x, before).expect("computed");
            for (what, y, ys) in [("ours", &y, ys), ("plain", &plain, values(&plain))] {
                assert_eq!(ys, wanted, "{what}");
                assert_within(format!("{what}, {h} x {w}"), &gradients(y, &factors, &[&x])[0], &to, 1e-6);
            }
        }
    }

    #[test]
    fn sums_behind_a_relu_equal_plain_operations() {
        let random = Random::new("sums");
        let var = || Var::from_tensor(&random.normal(1.0, (3, 5, 4, 7))).expect("a variable");
        let (a, b, factors) = (var(), var(), random.normal(1.0, (3, 5, 4, 7)));
        let y = add_relu(&a, &b).expect("computed");
        let wanted = (a.as_tensor() + b.as_tensor()).and_then(|y| y.relu()).expect("computed");
        assert_eq!(values(&y), values(&wanted));
        assert!(values(&y).contains(&0.0) && values(&y).iter().any(|v| *v > 0.0));
        assert_eq!(gradients(&y, &factors, &[&a, &b]), gradients(&wanted, &factors, &[&a, &b]));
    }
}
