//! Linear layers on rows of values, with gradients.

use crate::Result;
use crate::cpu::training::{self, Shape};
use crate::cpu::{Maps, column_sums, read, values};
use crate::path::{Path, is_rounding, rounded};
use crate::taps::Geometry;
use candle_core::{CpuStorage, CustomOp3, Layout, Shape as Dims, Tensor};

/// `x W^T + b` of each row of `x`, `... x I`, by a weight `O x I` and a bias `O`: `... x O`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = outputs;
    }
    let rows = x.reshape(((), inputs))?;
    let y = match (Path::of(x), is_rounding()) {
        (Path::Own, false) => rows.contiguous()?.apply_op3(&weight.contiguous()?, bias, Fused)?,
        _ => rounded([&rows, weight], |rows, weight| Ok(rows.matmul(&weight.t()?)?))?.broadcast_add(bias)?,
    };
    Ok(y.reshape(dims)?)
}

/// In one operation, on the CPU: a convolution of one line of pixels with kernel 1.
struct Fused;

fn shape(rows: usize, inputs: usize, outputs: usize) -> Shape {
    let maps = Maps { images: 1, height: 1, width: rows };
    Shape { from: maps, to: maps, inputs, outputs, kernel: 1, geometry: Geometry::same(1, 1) }
}

impl CustomOp3 for Fused {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        of_x: &Layout,
        weight: &CpuStorage,
        of_weight: &Layout,
        bias: &CpuStorage,
        of_bias: &Layout,
    ) -> candle_core::Result<(CpuStorage, Dims)> {
        let ((rows, inputs), (outputs, _)) = (of_x.shape().dims2()?, of_weight.shape().dims2()?);
        let mut out = vec![0f32; rows * outputs];
        let (x, weight, bias) = (values(x, of_x)?, values(weight, of_weight)?, values(bias, of_bias)?);
        training::convolve(shape(rows, inputs, outputs), x, weight, bias, &mut out);
        Ok((CpuStorage::F32(out), (rows, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((rows, inputs), (outputs, _)) = (x.dims2()?, weight.dims2()?);
        let shape = shape(rows, inputs, outputs);
        let mut of_x = x.track_op().then(|| vec![0f32; rows * inputs]);
        let mut of_weight = vec![0f32; outputs * inputs];
        let of_bias = read(gradient, |g| -> Result<Vec<f32>> {
            if let Some(of_x) = &mut of_x {
                read(weight, |weight| training::input_gradient(shape, g, weight, false, of_x))?;
            }
            read(x, |x| training::weight_gradient(shape, x, g, &mut of_weight))?;
            Ok(column_sums(g, outputs))
        });
        let of_bias = of_bias.and_then(|of_bias| of_bias).map_err(candle_core::Error::wrap)?;
        Ok((
            of_x.map(|values| Tensor::from_vec(values, x.shape(), x.device())).transpose()?,
            Some(Tensor::from_vec(of_weight, weight.shape(), weight.device())?),
            Some(Tensor::from_vec(of_bias, bias.shape(), bias.device())?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_near, values};
    use candle_core::Var;

    #[test]
    fn one_operation_equals_plain_ones_with_their_gradients() {
        for (dims, outputs) in [([1, 1, 3], 1), ([2, 7, 37], 5), ([3, 60, 64], 130), ([1, 400, 33], 96)] {
            let random = Random::new("linear");
            let var = |dims: &[usize]| Var::from_tensor(&random.normal(1.0, dims)).expect("a variable");
            let (x, weight, bias) = (var(&dims), var(&[outputs, dims[2]]), var(&[outputs]));
            let factors = random.normal(1.0, (dims[0], dims[1], outputs));
            let plain = || -> Result<Tensor> {
                let y = x.reshape(((), dims[2]))?.matmul(&weight.t()?)?.broadcast_add(&bias)?;
                Ok(y.reshape((dims[0], dims[1], outputs))?)
            };
            let both = [linear(&x, &weight, &bias), plain()].map(|y| {
                let y = y.expect("computed");
                let loss = (&y * &factors).and_then(|y| y.sum_all()).expect("a number");
                let gradients = loss.backward().expect("gradients");
                let of = |var: &Var| values(gradients.get(var).expect("a gradient"));
                [values(&y), of(&x), of(&weight), of(&bias)]
            });
            for (nth, (ours, wanted)) in both[0].iter().zip(&both[1]).enumerate() {
                assert_near(format!("{dims:?} to {outputs}, {nth}"), ours, wanted, 2e-5);
            }
        }
    }
}
