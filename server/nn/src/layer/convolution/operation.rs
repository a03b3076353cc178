//! A convolution and its two gradients as operations of the graph, by the CPU's loops or by cuDNN.

#[cfg(feature = "cudnn")]
use super::cudnn;
use super::{otherwise, plain_gradient};
use crate::cpu::training;
use crate::cpu::{Maps, values};
use crate::taps::{Geometry, no_room};
#[cfg(feature = "cudnn")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};

/// Input and weight to output, without a bias.
pub(super) struct Convolve {
    pub geometry: Geometry,
}

impl Convolve {
    fn shape(&self, x: &Shape, weight: &Shape) -> candle_core::Result<training::Shape> {
        let (images, height, width, inputs) = x.dims4()?;
        size(Maps { images, height, width }, inputs, weight, self.geometry)
    }

    /// The gradients of input and weight for that of the output.
    fn gradients(
        &self,
        x: &Tensor,
        weight: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let backward = |of| match gradient.apply_op3_no_bwd(x, weight, &Backward { geometry: self.geometry, of }) {
            Err(error) if !gradient.device().is_cpu() => {
                otherwise(error.into(), || plain_gradient([x, weight], &gradient, self.geometry, of))
                    .map_err(candle_core::Error::wrap)
            }
            done => done,
        };
        // What nobody asks for is not computed: the first map comes from a frozen network.
        let of_x = x.track_op().then(|| backward(Of::Input)).transpose()?;
        Ok((of_x, weight.track_op().then(|| backward(Of::Weight)).transpose()?))
    }
}

/// The size of a convolution of these maps, of so many channels.
fn size(maps: Maps, inputs: usize, weight: &Shape, geometry: Geometry) -> candle_core::Result<training::Shape> {
    let (outputs, channels, kernel, width) = weight.dims4()?;
    if channels != inputs || kernel != width {
        candle_core::bail!("a weight of {weight:?} does not fit maps of {inputs} channels");
    }
    training::Shape::new(maps, inputs, outputs, kernel, geometry)
        .ok_or_else(|| no_room(kernel, maps.height, maps.width))
}

/// The shape of maps `N x H x W x O`.
fn maps(maps: Maps, channels: usize) -> Shape {
    (maps.images, maps.height, maps.width, channels).into()
}

fn on_the_cpu(
    shape: training::Shape,
    x: (&CpuStorage, &Layout),
    weight: (&CpuStorage, &Layout),
    bias: &[f32],
) -> candle_core::Result<(CpuStorage, Shape)> {
    let mut out = vec![0f32; shape.to.pixels() * shape.outputs];
    training::convolve(shape, values(x.0, x.1)?, values(weight.0, weight.1)?, bias, &mut out);
    Ok((CpuStorage::F32(out), maps(shape.to, shape.outputs)))
}

impl CustomOp2 for Convolve {
    fn name(&self) -> &'static str {
        "convolve"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        of_x: &Layout,
        weight: &CpuStorage,
        of_weight: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = self.shape(of_x.shape(), of_weight.shape())?;
        on_the_cpu(shape, (x, of_x), (weight, of_weight), &vec![0.0; shape.outputs])
    }

    #[cfg(feature = "cudnn")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        of_x: &Layout,
        weight: &CudaStorage,
        of_weight: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let shape = self.shape(of_x.shape(), of_weight.shape())?;
        Ok((cudnn::convolve(shape, false, (x, of_x), (weight, of_weight))?, maps(shape.to, shape.outputs)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(x, weight, gradient)
    }
}

/// Input `N x I x H x W` and weight to output `N x O x H' x W'`, without a gradient, by cuDNN.
#[cfg(feature = "cudnn")]
pub(super) struct Frozen {
    pub geometry: Geometry,
}

#[cfg(feature = "cudnn")]
impl CustomOp2 for Frozen {
    fn name(&self) -> &'static str {
        "convolve-frozen"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        candle_core::bail!("cuDNN computes on GPUs alone")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        of_x: &Layout,
        weight: &CudaStorage,
        of_weight: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let (images, inputs, height, width) = of_x.shape().dims4()?;
        let shape = size(Maps { images, height, width }, inputs, of_weight.shape(), self.geometry)?;
        let y = cudnn::convolve(shape, true, (x, of_x), (weight, of_weight))?;
        Ok((y, (images, shape.outputs, shape.to.height, shape.to.width).into()))
    }
}

/// Input, weight and bias to output, on the CPU.
pub(super) struct Biased(pub Convolve);

impl CustomOp3 for Biased {
    fn name(&self) -> &'static str {
        "convolve-biased"
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
        let shape = self.0.shape(of_x.shape(), of_weight.shape())?;
        on_the_cpu(shape, (x, of_x), (weight, of_weight), values(bias, of_bias)?)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (of_x, of_weight) = self.0.gradients(x, weight, gradient)?;
        let of_bias = bias.track_op().then(|| gradient.contiguous()?.flatten_to(2)?.sum(0)).transpose()?;
        Ok((of_x, of_weight, of_bias))
    }
}

/// Which gradient.
#[derive(Clone, Copy)]
pub(super) enum Of {
    /// That of the input.
    Input,
    /// That of the weight.
    Weight,
}

/// A gradient of [`Convolve`]: that of its output, its input and its weight to that of one of
/// the latter.
struct Backward {
    geometry: Geometry,
    of: Of,
}

impl CustomOp3 for Backward {
    fn name(&self) -> &'static str {
        "convolve-backward"
    }

    fn cpu_fwd(
        &self,
        gradient: &CpuStorage,
        of_gradient: &Layout,
        x: &CpuStorage,
        of_x: &Layout,
        weight: &CpuStorage,
        of_weight: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = Convolve { geometry: self.geometry }.shape(of_x.shape(), of_weight.shape())?;
        let (gradient, x, weight) = (values(gradient, of_gradient)?, values(x, of_x)?, values(weight, of_weight)?);
        Ok(match self.of {
            Of::Input => {
                let mut out = vec![0f32; x.len()];
                training::input_gradient(shape, gradient, weight, false, &mut out);
                (CpuStorage::F32(out), of_x.shape().clone())
            }
            Of::Weight => {
                let mut out = vec![0f32; weight.len()];
                training::weight_gradient(shape, x, gradient, &mut out);
                (CpuStorage::F32(out), of_weight.shape().clone())
            }
        })
    }

    #[cfg(feature = "cudnn")]
    fn cuda_fwd(
        &self,
        gradient: &CudaStorage,
        of_gradient: &Layout,
        x: &CudaStorage,
        of_x: &Layout,
        weight: &CudaStorage,
        of_weight: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let shape = Convolve { geometry: self.geometry }.shape(of_x.shape(), of_weight.shape())?;
        let gradient = (gradient, of_gradient);
        Ok(match self.of {
            Of::Input => (cudnn::input_gradient(shape, gradient, (weight, of_weight))?, of_x.shape().clone()),
            Of::Weight => (cudnn::weight_gradient(shape, (x, of_x), gradient)?, of_weight.shape().clone()),
        })
    }
}
