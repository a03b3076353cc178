//! Batch normalisation with PyTorch's statistics and momentum (`torch.nn.BatchNorm2d`).

#[cfg(feature = "cudnn")]
mod cudnn;

use crate::cpu::normalise::{self, Normal};
use crate::cpu::{read, values};
use crate::parameters::Parameters;
use crate::path::Path;
use crate::{Error, Result};
#[cfg(feature = "cudnn")]
use candle_core::DType;
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor, Var};

/// Where a batch normalisation takes mean and variance from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistics {
    /// From the batch; the running ones move towards them. PyTorch's `train()`.
    Batch,
    /// From the batch, the running ones staying as they are.
    BatchOnly,
    /// From the running ones. PyTorch's `eval()`.
    Running,
}

/// Normalisation of each of C channels.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Var,
    var: Var,
    eps: f64,
    momentum: f64,
}

impl BatchNorm {
    /// Adds `NAME.weight` (1), `NAME.bias` (0) and the running `NAME.running_mean` (0) and
    /// `NAME.running_var` (1) of `channels`. `momentum` is the share of the newest batch.
    pub fn new(parameters: &mut Parameters, name: &str, channels: usize, eps: f64, momentum: f64) -> Result<Self> {
        Ok(Self {
            weight: parameters.constant(&format!("{name}.weight"), channels, 1.0)?,
            bias: parameters.constant(&format!("{name}.bias"), channels, 0.0)?,
            mean: parameters.buffer(&format!("{name}.running_mean"), channels, 0.0)?,
            var: parameters.buffer(&format!("{name}.running_var"), channels, 1.0)?,
            eps,
            momentum,
        })
    }

    /// Normalises `N x H x W x C`, with ReLU behind it if `relu`. The batch's variance is the
    /// biased one; the running one takes up the unbiased one, as PyTorch's.
    pub fn forward(&self, x: &Tensor, statistics: Statistics, relu: bool) -> Result<Tensor> {
        self.forward_in_groups(x, statistics, relu, 1)
    }

    /// The same with each of so many equal parts of the batch on its own, as on so many GPUs.
    /// The running statistics take up the mean over the parts.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a batch that has no such parts.
    pub fn forward_in_groups(&self, x: &Tensor, statistics: Statistics, relu: bool, groups: usize) -> Result<Tensor> {
        let (n, h, w, c) = x.dims4()?;
        if groups == 0 || !n.is_multiple_of(groups) {
            return Err(Error::Unsupported(format!("a batch of {n} has no {groups} equal parts to be normalised")));
        }
        let flat = || -> Result<Tensor> { Ok(x.reshape((n * h * w, c))?.contiguous()?) };
        let y = match Path::of(x) {
            Path::Own => return Ok(self.fused(&flat()?, statistics, relu, groups)?.reshape((n, h, w, c))?),
            // Of one pixel there is no unbiased variance.
            #[cfg(feature = "cudnn")]
            Path::Cudnn if x.dtype() == DType::F32 && statistics != Statistics::Running && n / groups * h * w > 1 => {
                self.by_cudnn(x, statistics, groups)?
            }
            _ => self.plain(&flat()?, statistics, groups)?.reshape((n, h, w, c))?,
        };
        if relu { super::relu(&y) } else { Ok(y) }
    }

    /// In tensor operations, on any device: `pixels x C`.
    fn plain(&self, x: &Tensor, statistics: Statistics, groups: usize) -> Result<Tensor> {
        if statistics == Statistics::Running {
            let centred = x.broadcast_sub(&self.mean.as_detached_tensor())?;
            return self.scaled(&centred, &self.var.as_detached_tensor());
        }
        let mut parts = Vec::with_capacity(groups);
        let (mut means, mut vars) = (Vec::new(), Vec::new());
        for part in x.chunk(groups, 0)? {
            let mean = part.mean(0)?;
            let centred = part.broadcast_sub(&mean)?;
            let var = centred.sqr()?.mean(0)?;
            parts.push(self.scaled(&centred, &var)?);
            means.push(mean.detach());
            vars.push(var.detach());
        }
        if statistics == Statistics::Batch {
            let var = unbiased(&Tensor::stack(&vars, 0)?.mean(0)?, x.dim(0)? / groups)?;
            self.follow(&Tensor::stack(&means, 0)?.mean(0)?, &var)?;
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// In one operation a part, by cuDNN: `N x H x W x C`.
    #[cfg(feature = "cudnn")]
    fn by_cudnn(&self, x: &Tensor, statistics: Statistics, groups: usize) -> Result<Tensor> {
        let (mut parts, mut means, mut vars) = (Vec::with_capacity(groups), Vec::new(), Vec::new());
        for part in x.chunk(groups, 0)? {
            let (y, moments) = cudnn::normalised(&part, &self.weight, &self.bias, self.eps)?;
            parts.push(y);
            means.push(moments.mean);
            vars.push(moments.unbiased);
        }
        if statistics == Statistics::Batch {
            // Of one part there is nothing to compute, which is most of the work here.
            let mean = |of: &[Tensor]| match of {
                [one] => Ok(one.clone()),
                all => Tensor::stack(all, 0)?.mean(0),
            };
            self.follow(&mean(&means)?, &mean(&vars)?)?;
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    fn scaled(&self, centred: &Tensor, var: &Tensor) -> Result<Tensor> {
        let scale = (var + self.eps)?.sqrt()?.recip()?.mul(&self.weight)?;
        Ok(centred.broadcast_mul(&scale)?.broadcast_add(&self.bias)?)
    }

    /// In one operation, on the CPU.
    fn fused(&self, x: &Tensor, statistics: Statistics, relu: bool, groups: usize) -> Result<Tensor> {
        let channels = x.dim(1)?;
        let fused = read(x, |x| self.of(x, channels, statistics, relu, groups))??;
        Ok(x.apply_op3(&self.weight, &self.bias, fused)?)
    }

    /// The normalisation of some pixels, `pixels x C` on the CPU; the running statistics follow.
    /// By running ones all pixels are normalised alike, however many groups are asked for.
    pub(crate) fn of(
        &self,
        x: &[f32],
        channels: usize,
        statistics: Statistics,
        relu: bool,
        groups: usize,
    ) -> Result<Fused> {
        let of_batch = statistics != Statistics::Running;
        let groups = if of_batch { groups } else { 1 };
        let part = (x.len() / groups).max(1);
        let moments: Vec<Moments> = if of_batch {
            x.chunks(part).map(|x| normalise::moments(x, channels)).collect()
        } else {
            vec![(self.mean.to_vec1()?, self.var.to_vec1()?)]
        };
        if statistics == Statistics::Batch {
            let mean = |of: fn(&Moments) -> &Vec<f32>| {
                let mean = |c: usize| moments.iter().map(|m| of(m)[c]).sum::<f32>() / groups as f32;
                Tensor::from_vec((0..channels).map(mean).collect::<Vec<f32>>(), channels, self.mean.device())
            };
            self.follow(&mean(|m| &m.0)?, &unbiased(&mean(|m| &m.1)?, part / channels)?)?;
        }
        let inverse = |var: Vec<f32>| var.iter().map(|v| (1.0 / (f64::from(*v) + self.eps).sqrt()) as f32).collect();
        let parts = moments.into_iter().map(|(mean, var)| Part { mean, inverse: inverse(var) }).collect();
        Ok(Fused { parts, of_batch, relu })
    }

    /// Its weight and its bias, C numbers each.
    pub(crate) fn vectors(&self) -> [&Tensor; 2] {
        [&self.weight, &self.bias]
    }

    /// Moves the running statistics towards mean and unbiased variance of a batch.
    fn follow(&self, mean: &Tensor, unbiased: &Tensor) -> Result<()> {
        let moved = |old: &Var, new: &Tensor| (old.as_tensor() * (1.0 - self.momentum))? + (new * self.momentum)?;
        self.mean.set(&moved(&self.mean, mean)?)?;
        Ok(self.var.set(&moved(&self.var, unbiased)?)?)
    }
}

/// The unbiased variance, as far as there is one, of the biased one of so many pixels.
fn unbiased(var: &Tensor, pixels: usize) -> Result<Tensor> {
    let count = pixels as f64;
    Ok((var * (count / (count - 1.0).max(1.0)))?)
}

/// The normalisation of `pixels x C` by weight and bias, whose gradient takes into account
/// that the moments are the batch's.
#[derive(Debug)]
pub(crate) struct Fused {
    /// The moments of equal parts of the pixels.
    parts: Vec<Part>,
    of_batch: bool,
    relu: bool,
}

/// Moments of some pixels.
#[derive(Debug)]
struct Part {
    mean: Vec<f32>,
    /// 1 / deviation.
    inverse: Vec<f32>,
}

impl Fused {
    fn normal(&self, part: &Part, weight: &[f32], bias: &[f32]) -> Normal {
        let scale = weight.iter().zip(&part.inverse).map(|(w, i)| w * i).collect();
        Normal { mean: part.mean.clone(), scale, shift: bias.to_vec(), relu: self.relu }
    }

    /// Values of a part.
    fn size(&self, values: usize) -> usize {
        (values / self.parts.len()).max(1)
    }

    /// Normalises `x` by weight and bias into `out`; where something is `added`, with ReLU behind the sum.
    pub(crate) fn forward(&self, x: &[f32], [weight, bias]: [&[f32]; 2], added: Option<&[f32]>, out: &mut [f32]) {
        let size = self.size(x.len());
        for (nth, (part, (x, out))) in self.parts.iter().zip(x.chunks(size).zip(out.chunks_mut(size))).enumerate() {
            let added = added.map(|added| &added[nth * size..][..x.len()]);
            self.normal(part, weight, bias).forward(x, added, out);
        }
    }

    /// The gradients of weight and bias for that of the output, and into `out`, where it is asked
    /// for, that of the input `x`.
    pub(crate) fn backward(
        &self,
        x: &[f32],
        [weight, bias]: [&[f32]; 2],
        gradient: &[f32],
        mut out: Option<&mut [f32]>,
    ) -> [Vec<f32>; 2] {
        let (size, channels) = (self.size(x.len()), weight.len());
        let share = if self.of_batch { channels as f32 / size as f32 } else { 0.0 };
        let mut of_both = [vec![0f32; channels], vec![0f32; channels]];
        for (nth, part) in self.parts.iter().enumerate() {
            let range = nth * size..((nth + 1) * size).min(x.len());
            let (x, gradient) = (&x[range.clone()], &gradient[range.clone()]);
            let normal = self.normal(part, weight, bias);
            let sums = normal.sums(x, gradient);
            if let Some(out) = &mut out {
                let scale = &normal.scale;
                let offset: Vec<f32> = sums.gradient.iter().zip(scale).map(|(g, s)| g * s * share).collect();
                let slope = sums.product.iter().zip(scale).zip(&part.inverse);
                let slope: Vec<f32> = slope.map(|((p, s), i)| p * s * i * i * share).collect();
                normal.backward(x, gradient, &offset, &slope, &mut out[range]);
            }
            let product = sums.product.iter().zip(&part.inverse).map(|(p, i)| p * i);
            of_both[0].iter_mut().zip(product).for_each(|(to, p)| *to += p);
            of_both[1].iter_mut().zip(&sums.gradient).for_each(|(to, g)| *to += g);
        }
        of_both
    }
}

/// Mean and variance of some pixels.
type Moments = (Vec<f32>, Vec<f32>);

/// Hands over the values of two tensors.
fn read_both<T>(x: &Tensor, gradient: &Tensor, take: impl FnOnce(&[f32], &[f32]) -> T) -> candle_core::Result<T> {
    let taken = read(x, |x| read(gradient, |gradient| take(x, gradient)));
    taken.and_then(|taken| taken).map_err(candle_core::Error::wrap)
}

impl CustomOp3 for Fused {
    fn name(&self) -> &'static str {
        "batch-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        of_x: &Layout,
        weight: &CpuStorage,
        of_weight: &Layout,
        bias: &CpuStorage,
        of_bias: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = values(x, of_x)?;
        let mut out = vec![0f32; x.len()];
        self.forward(x, [values(weight, of_weight)?, values(bias, of_bias)?], None, &mut out);
        Ok((CpuStorage::F32(out), of_x.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (weights, biases): (Vec<f32>, Vec<f32>) = (weight.to_vec1()?, bias.to_vec1()?);
        let mut out = x.track_op().then(|| vec![0f32; x.elem_count()]);
        let [of_weight, of_bias] =
            read_both(x, gradient, |x, g| self.backward(x, [&weights, &biases], g, out.as_deref_mut()))?;
        let of_x = out.map(|out| Tensor::from_vec(out, x.shape(), x.device())).transpose()?;
        let vector = |values: Vec<f32>| Tensor::from_vec(values, bias.shape(), bias.device());
        Ok((of_x, Some(vector(of_weight)?), Some(vector(of_bias)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_within, values};
    use candle_core::Device;

    #[test]
    fn one_operation_equals_plain_ones_with_their_gradients() {
        for (pixels, channels, groups) in [(1, 3, 1), (7, 16, 1), (64, 5, 1), (300, 40, 1), (300, 40, 3), (8, 5, 4)] {
            for statistics in [Statistics::Batch, Statistics::BatchOnly, Statistics::Running] {
                for relu in [false, true] {
                    let seeded = Random::new("normalisation");
                    let random = |dims: &[usize]| {
                        let tensor = seeded.normal(2.0, dims) + 0.3;
                        Var::from_tensor(&tensor.expect("a tensor")).expect("a variable")
                    };
                    let x = random(&[pixels, channels]);
                    let factors = random(&[pixels, channels]);
                    let (weight, bias) = (random(&[channels]), random(&[channels]));
                    let norm = || {
                        let mut parameters = Parameters::new(0, &Device::Cpu);
                        let norm = BatchNorm::new(&mut parameters, "norm", channels, 1e-3, 0.3).expect("a layer");
                        BatchNorm { weight: weight.as_tensor().clone(), bias: bias.as_tensor().clone(), ..norm }
                    };
                    let (ours, plain) = (norm(), norm());
                    let y = ours.fused(&x, statistics, relu, groups).expect("computed");
                    let wanted = plain.plain(&x, statistics, groups).expect("computed");
                    let wanted = if relu { crate::layer::relu(&wanted).expect("computed") } else { wanted };
                    let gradients = |y: &Tensor| {
                        let loss = (y * factors.as_tensor()).and_then(|y| y.sum_all()).expect("a number");
                        loss.backward().expect("computed")
                    };
                    let (of_ours, of_wanted) = (gradients(&y), gradients(&wanted));
                    let pair = |var: &Var| {
                        (of_ours.get(var).expect("a gradient").clone(), of_wanted.get(var).expect("a gradient").clone())
                    };
                    let moments = [&ours.mean, &ours.var].map(|v| v.as_tensor().clone());
                    let [mean, var] = moments;
                    let mut pairs = vec![(y, wanted), pair(&x), pair(&weight), pair(&bias)];
                    pairs.push((mean, plain.mean.as_tensor().clone()));
                    pairs.push((var, plain.var.as_tensor().clone()));
                    for (nth, (ours, wanted)) in pairs.into_iter().enumerate() {
                        assert_eq!(ours.dims(), wanted.dims());
                        let (ours, wanted) = (values(&ours), values(&wanted));
                        // Of the largest, or of 1: a gradient may be nothing but rounding.
                        let scale = wanted.iter().fold(1.0, |most: f32, v| most.max(v.abs()));
                        let what = format!("{pixels} x {channels} in {groups}, {statistics:?}, {nth}");
                        assert_within(what, &ours, &wanted, 2e-5 * f64::from(scale));
                    }
                }
            }
        }
    }
}
