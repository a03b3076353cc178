//! Convolutions and their gradients by cuDNN: maps `N x H x W x C` and weights `O x I x K x K`, in `f32` or in `bf16` with
//! sums in `f32`. Algorithms that add in whatever order threads arrive are avoided, so that a run repeats.

use crate::cpu::Maps;
use crate::cpu::training::{Geometry, Shape};
use crate::layer::cudnn::{Operand, view};
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t as DataAlgorithm, cudnnConvolutionBwdFilterAlgo_t as FilterAlgorithm,
    cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION, cudnnMathType_t as Math, cudnnTensorFormat_t::CUDNN_TENSOR_NHWC,
};
use candle_core::cuda::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType, CudnnError,
    FilterDescriptor, TensorDescriptor,
};
use candle_core::cuda::cudarc::driver::{CudaSlice, DeviceRepr, ValidAsZeroBits};
use candle_core::cuda::{CudaDType, DeviceId, gemm_reduced_precision_f32};
use candle_core::{CudaDevice, CudaStorage, DType, Layout, Result, WithDType};
use half::bf16;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

thread_local! {
    // A handle belongs to its thread.
    static HANDLES: RefCell<HashMap<DeviceId, Arc<Cudnn>>> = RefCell::new(HashMap::new());
}

/// A number of maps and weights.
trait Number: WithDType + CudaDType + CudnnDataType + DeviceRepr + ValidAsZeroBits {}
impl Number for f32 {}
impl Number for bf16 {}

/// The output, `N x H' x W' x O`, for an input and a weight.
pub(super) fn convolve(shape: Shape, x: Operand<'_>, weight: Operand<'_>) -> Result<CudaStorage> {
    match x.0.dtype() {
        DType::BF16 => Convolution::<bf16>::new(shape, &x.0.device)?.forward(x, weight),
        _ => Convolution::<f32>::new(shape, &x.0.device)?.forward(x, weight),
    }
}

/// The gradient of the input for that of the output.
pub(super) fn input_gradient(shape: Shape, gradient: Operand<'_>, weight: Operand<'_>) -> Result<CudaStorage> {
    match gradient.0.dtype() {
        DType::BF16 => Convolution::<bf16>::new(shape, &gradient.0.device)?.input_gradient(gradient, weight),
        _ => Convolution::<f32>::new(shape, &gradient.0.device)?.input_gradient(gradient, weight),
    }
}

/// The gradient of the weight, `O x I x K x K`, for that of the output.
pub(super) fn weight_gradient(shape: Shape, x: Operand<'_>, gradient: Operand<'_>) -> Result<CudaStorage> {
    match x.0.dtype() {
        DType::BF16 => Convolution::<bf16>::new(shape, &x.0.device)?.weight_gradient(x, gradient),
        _ => Convolution::<f32>::new(shape, &x.0.device)?.weight_gradient(x, gradient),
    }
}

/// A convolution as cuDNN knows it.
struct Convolution<'a, T: Number> {
    shape: Shape,
    device: &'a CudaDevice,
    moves: ConvDescriptor<f32>,
    x: TensorDescriptor<T>,
    y: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
}

impl<'a, T: Number> Convolution<'a, T> {
    fn new(shape: Shape, device: &'a CudaDevice) -> Result<Self> {
        let cudnn = handle(device)?;
        let Geometry { stride, padding, dilation } = shape.geometry;
        let both = |n: usize| [n as i32; 2];
        let mut moves =
            cudnn.create_conv2d::<f32>(both(padding), both(stride), both(dilation), CUDNN_CROSS_CORRELATION)?;
        moves.set_math_type(match T::DTYPE {
            // As products of matrices: TF32 only where the process allows it.
            DType::F32 if !gemm_reduced_precision_f32() => Math::CUDNN_FMA_MATH,
            DType::F32 => Math::CUDNN_DEFAULT_MATH,
            _ => Math::CUDNN_TENSOR_OP_MATH,
        })?;
        let maps = |maps: Maps, channels: usize| {
            let dims = [maps.images, channels, maps.height, maps.width].map(|n| n as i32);
            cudnn.create_4d_tensor::<T>(CUDNN_TENSOR_NHWC, dims)
        };
        let dims = [shape.outputs, shape.inputs, shape.kernel, shape.kernel].map(|n| n as i32);
        Ok(Self {
            x: maps(shape.from, shape.inputs)?,
            y: maps(shape.to, shape.outputs)?,
            weight: cudnn.create_4d_filter::<T>(CUDNN_TENSOR_NHWC, dims)?,
            shape,
            device,
            moves,
        })
    }

    fn forward(&self, x: Operand<'_>, weight: Operand<'_>) -> Result<CudaStorage> {
        let pass = ConvForward { conv: &self.moves, x: &self.x, w: &self.weight, y: &self.y };
        let refused = |error| self.refused(error);
        let algorithm = pass.pick_algorithm().map_err(refused)?;
        let mut workspace = self.workspace(pass.get_workspace_size(algorithm).map_err(refused)?)?;
        let (x, weight) = (view::<T>(x)?, turned(weight)?);
        let mut y = self.room(self.shape.to.pixels() * self.shape.outputs)?;
        // SAFETY: the descriptors are those of these tensors, and cuDNN writes all of `y`.
        let done =
            unsafe { pass.launch(algorithm, workspace.as_mut(), scales(), &x, weight.as_cuda_slice::<T>()?, &mut y) };
        done.map_err(refused)?;
        Ok(CudaStorage::wrap_cuda_slice(y, self.device.clone()))
    }

    fn input_gradient(&self, gradient: Operand<'_>, weight: Operand<'_>) -> Result<CudaStorage> {
        let pass = ConvBackwardData { conv: &self.moves, dx: &self.x, w: &self.weight, dy: &self.y };
        let refused = |error| self.refused(error);
        let algorithm = match pass.pick_algorithm().map_err(refused)? {
            // It adds in any order.
            DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0 => DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
            other => other,
        };
        let mut workspace = self.workspace(pass.get_workspace_size(algorithm).map_err(refused)?)?;
        let (gradient, weight) = (view::<T>(gradient)?, turned(weight)?);
        let mut out = self.room(self.shape.from.pixels() * self.shape.inputs)?;
        let weight = weight.as_cuda_slice::<T>()?;
        // SAFETY: the descriptors are those of these tensors, and cuDNN writes all of `out`.
        unsafe { pass.launch(algorithm, workspace.as_mut(), scales(), &mut out, weight, &gradient) }
            .map_err(refused)?;
        Ok(CudaStorage::wrap_cuda_slice(out, self.device.clone()))
    }

    fn weight_gradient(&self, x: Operand<'_>, gradient: Operand<'_>) -> Result<CudaStorage> {
        let pass = ConvBackwardFilter { conv: &self.moves, x: &self.x, dw: &self.weight, dy: &self.y };
        let refused = |error| self.refused(error);
        let algorithm = match pass.pick_algorithm().map_err(refused)? {
            // They add in any order.
            FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0
            | FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3 => {
                FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1
            }
            other => other,
        };
        let mut workspace = self.workspace(pass.get_workspace_size(algorithm).map_err(refused)?)?;
        let (x, gradient) = (view::<T>(x)?, view::<T>(gradient)?);
        let Shape { outputs, inputs, kernel, .. } = self.shape;
        let mut out = self.room(outputs * inputs * kernel * kernel)?;
        // SAFETY: the descriptors are those of these tensors, and cuDNN writes all of `out`.
        unsafe { pass.launch(algorithm, workspace.as_mut(), scales(), &x, &mut out, &gradient) }.map_err(refused)?;
        let out = CudaStorage::wrap_cuda_slice(out, self.device.clone());
        let layout = Layout::contiguous((outputs, kernel, kernel, inputs));
        in_order((&out, &layout), &[0, 3, 1, 2])
    }

    fn refused(&self, error: CudnnError) -> candle_core::Error {
        let Shape { from, inputs, outputs, kernel, geometry, .. } = self.shape;
        candle_core::Error::Msg(format!(
            "cuDNN refuses a convolution of {} x {} x {} x {inputs} to {outputs} channels, {kernel} x {kernel}, {geometry:?}, in {:?}: {error}; a program built with the feature `cuda` alone does without cuDNN",
            from.images,
            from.height,
            from.width,
            T::DTYPE
        ))
    }

    fn workspace(&self, bytes: usize) -> Result<Option<CudaSlice<u8>>> {
        // SAFETY: cuDNN writes there before it reads.
        (bytes > 0).then(|| unsafe { self.device.alloc::<u8>(bytes) }).transpose()
    }

    fn room(&self, values: usize) -> Result<CudaSlice<T>> {
        // SAFETY: all of it is written before it is read, as each caller says.
        unsafe { self.device.alloc::<T>(values) }
    }
}

/// What cuDNN multiplies with what it computes, and with what was there.
fn scales<T: Number>() -> (T, T) {
    (T::from_f64(1.0), T::from_f64(0.0))
}

fn handle(device: &CudaDevice) -> Result<Arc<Cudnn>> {
    HANDLES.with_borrow_mut(|handles| {
        if let Some(handle) = handles.get(&device.id()) {
            return Ok(handle.clone());
        }
        let handle = Cudnn::new(device.cuda_stream())?;
        handles.insert(device.id(), handle.clone());
        Ok(handle)
    })
}

/// A weight as `O x K x K x I`, the order that cuDNN asks for beside such maps.
fn turned(weight: Operand<'_>) -> Result<CudaStorage> {
    in_order(weight, &[0, 2, 3, 1])
}

/// A contiguous copy with the dimensions in another order.
fn in_order((storage, layout): Operand<'_>, order: &[usize]) -> Result<CudaStorage> {
    let layout = layout.permute(order)?;
    // SAFETY: the copy writes all of it.
    let mut copy = unsafe { storage.device.alloc_uninit(layout.shape(), storage.dtype())? };
    storage.copy_strided_src(&mut copy, 0, &layout)?;
    Ok(copy)
}
