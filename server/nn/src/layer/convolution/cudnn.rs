//! Convolutions and their gradients by cuDNN: maps `N x H x W x C` (frozen ones also `N x C x H x W`) and weights
//! `O x I x K x K`, in `f32`, or in `bf16` or `f16` with sums in `f32`. Algorithms that add in whatever order threads arrive
//! are avoided where there is another, so that a run repeats.

use crate::cpu::Maps;
use crate::cpu::training::Shape;
use crate::layer::cudnn::{Operand, view};
use crate::taps::Geometry;
use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::cuda::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t as DataAlgorithm, cudnnConvolutionBwdFilterAlgo_t as FilterAlgorithm,
    cudnnConvolutionFwdAlgo_t as ForwardAlgorithm, cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
    cudnnMathType_t as Math, cudnnTensorFormat_t as Order,
};
use candle_core::cuda::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnDataType, CudnnError,
    FilterDescriptor, TensorDescriptor,
};
use candle_core::cuda::cudarc::driver::{CudaSlice, DeviceRepr, ValidAsZeroBits};
use candle_core::cuda::{CudaDType, DeviceId, gemm_reduced_precision_f32};
use candle_core::{CudaDevice, CudaStorage, DType, Layout, WithDType};
use half::{bf16, f16};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

type Result<T, E = candle_core::Error> = std::result::Result<T, E>;

thread_local! {
    // A handle belongs to its thread.
    static HANDLES: RefCell<HashMap<DeviceId, Arc<Cudnn>>> = RefCell::new(HashMap::new());
    static PLANS: RefCell<Plans> = RefCell::default();
}

/// Plans of a pass that are kept at most: pictures may have any size.
const MOST_PLANS: usize = 4096;

/// What was chosen for a pass of a convolution: an algorithm, and the bytes that it works in. Asking cuDNN takes longer
/// than many a convolution.
type Plan<A> = (A, usize);
/// A convolution on a device, of maps in an order, in a type, with TF32 or without.
type Key = (DeviceId, Shape, bool, DType, bool);

/// The plans so far, of each pass.
#[derive(Default)]
struct Plans {
    forward: HashMap<Key, Plan<ForwardAlgorithm>>,
    input: HashMap<Key, Plan<DataAlgorithm>>,
    weight: HashMap<Key, Plan<FilterAlgorithm>>,
}

/// A number of maps and weights.
trait Number: WithDType + CudaDType + CudnnDataType + DeviceRepr + ValidAsZeroBits {}
impl Number for f32 {}
impl Number for bf16 {}
impl Number for f16 {}

/// The output for an input and a weight: maps `N x H x W x C`, or `N x C x H x W` if channels come `first`.
pub(super) fn convolve(shape: Shape, first: bool, x: Operand<'_>, weight: Operand<'_>) -> Result<CudaStorage> {
    let device = &x.0.device;
    match x.0.dtype() {
        DType::BF16 => Convolution::<bf16>::new(shape, first, device)?.forward(x, weight),
        DType::F16 => Convolution::<f16>::new(shape, first, device)?.forward(x, weight),
        _ => Convolution::<f32>::new(shape, first, device)?.forward(x, weight),
    }
}

/// The gradient of the input for that of the output.
pub(super) fn input_gradient(shape: Shape, gradient: Operand<'_>, weight: Operand<'_>) -> Result<CudaStorage> {
    match gradient.0.dtype() {
        DType::BF16 => Convolution::<bf16>::new(shape, false, &gradient.0.device)?.input_gradient(gradient, weight),
        _ => Convolution::<f32>::new(shape, false, &gradient.0.device)?.input_gradient(gradient, weight),
    }
}

/// The gradient of the weight, `O x I x K x K`, for that of the output.
pub(super) fn weight_gradient(shape: Shape, x: Operand<'_>, gradient: Operand<'_>) -> Result<CudaStorage> {
    match x.0.dtype() {
        DType::BF16 => Convolution::<bf16>::new(shape, false, &x.0.device)?.weight_gradient(x, gradient),
        _ => Convolution::<f32>::new(shape, false, &x.0.device)?.weight_gradient(x, gradient),
    }
}

/// A convolution as cuDNN knows it.
struct Convolution<'a, T: Number> {
    shape: Shape,
    /// Whether channels come before rows and columns, as they do in weights.
    first: bool,
    device: &'a CudaDevice,
    moves: ConvDescriptor<f32>,
    x: TensorDescriptor<T>,
    y: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
}

impl<'a, T: Number> Convolution<'a, T> {
    fn new(shape: Shape, first: bool, device: &'a CudaDevice) -> Result<Self> {
        let order = if first { Order::CUDNN_TENSOR_NCHW } else { Order::CUDNN_TENSOR_NHWC };
        let cudnn = handle(device)?;
        let Geometry { stride, padding, dilation } = shape.geometry;
        let both = |n: usize| [n as i32; 2];
        let mut moves =
            cudnn.create_conv2d::<f32>(both(padding), both(stride), both(dilation), CUDNN_CROSS_CORRELATION)?;
        moves.set_math_type(match T::DTYPE {
            // As products of matrices: TF32 only where the process allows it.
            DType::F32 if !gemm_reduced_precision_f32() => Math::CUDNN_FMA_MATH,
            _ => Math::CUDNN_DEFAULT_MATH,
        })?;
        let maps = |maps: Maps, channels: usize| {
            let dims = [maps.images, channels, maps.height, maps.width].map(|n| n as i32);
            cudnn.create_4d_tensor::<T>(order, dims)
        };
        let dims = [shape.outputs, shape.inputs, shape.kernel, shape.kernel].map(|n| n as i32);
        Ok(Self {
            x: maps(shape.from, shape.inputs)?,
            y: maps(shape.to, shape.outputs)?,
            weight: cudnn.create_4d_filter::<T>(order, dims)?,
            shape,
            first,
            device,
            moves,
        })
    }

    fn forward(&self, x: Operand<'_>, weight: Operand<'_>) -> Result<CudaStorage> {
        let pass = ConvForward { conv: &self.moves, x: &self.x, w: &self.weight, y: &self.y };
        let refused = |error| self.refused(error);
        let picked = || Ok(vec![pass.pick_algorithm()?]);
        let (algorithm, bytes) = self.plan(|plans| &mut plans.forward, picked, |a| pass.get_workspace_size(a))?;
        let mut workspace = self.workspace(bytes)?;
        let turned = (!self.first).then(|| turned(weight)).transpose()?;
        let (x, weight) = (
            view::<T>(x)?,
            match &turned {
                Some(turned) => turned.as_cuda_slice::<T>()?.slice(..),
                None => view::<T>(weight)?,
            },
        );
        let mut y = self.room(self.shape.to.pixels() * self.shape.outputs)?;
        // SAFETY: the descriptors are those of these tensors, and cuDNN writes all of `y`.
        unsafe { pass.launch(algorithm, workspace.as_mut(), scales(), &x, &weight, &mut y) }.map_err(refused)?;
        Ok(CudaStorage::wrap_cuda_slice(y, self.device.clone()))
    }

    fn input_gradient(&self, gradient: Operand<'_>, weight: Operand<'_>) -> Result<CudaStorage> {
        let pass = ConvBackwardData { conv: &self.moves, dx: &self.x, w: &self.weight, dy: &self.y };
        let refused = |error| self.refused(error);
        let picked = || {
            Ok(match pass.pick_algorithm()? {
                // It adds in any order.
                picked @ DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0 => {
                    vec![DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, picked]
                }
                other => vec![other],
            })
        };
        let (algorithm, bytes) = self.plan(|plans| &mut plans.input, picked, |a| pass.get_workspace_size(a))?;
        let mut workspace = self.workspace(bytes)?;
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
        let picked = || {
            Ok(match pass.pick_algorithm()? {
                // They add in any order.
                picked @ (FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0
                | FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3) => {
                    vec![FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, picked]
                }
                other => vec![other],
            })
        };
        let (algorithm, bytes) = self.plan(|plans| &mut plans.weight, picked, |a| pass.get_workspace_size(a))?;
        let mut workspace = self.workspace(bytes)?;
        let (x, gradient) = (view::<T>(x)?, view::<T>(gradient)?);
        let Shape { outputs, inputs, kernel, .. } = self.shape;
        let mut out = self.room(outputs * inputs * kernel * kernel)?;
        // SAFETY: the descriptors are those of these tensors, and cuDNN writes all of `out`.
        unsafe { pass.launch(algorithm, workspace.as_mut(), scales(), &x, &mut out, &gradient) }.map_err(refused)?;
        let out = CudaStorage::wrap_cuda_slice(out, self.device.clone());
        let layout = Layout::contiguous((outputs, kernel, kernel, inputs));
        in_order((&out, &layout), &[0, 3, 1, 2])
    }

    /// The plan of a pass: the first of `algorithms` that this convolution has, with its workspace.
    fn plan<A: Copy>(
        &self,
        of_pass: fn(&mut Plans) -> &mut HashMap<Key, Plan<A>>,
        algorithms: impl FnOnce() -> Result<Vec<A>, CudnnError>,
        workspace: impl Fn(A) -> Result<usize, CudnnError>,
    ) -> Result<Plan<A>> {
        let key = (self.device.id(), self.shape, self.first, T::DTYPE, gemm_reduced_precision_f32());
        if let Some(plan) = PLANS.with_borrow_mut(|plans| of_pass(plans).get(&key).copied()) {
            return Ok(plan);
        }
        let choose = || {
            let (mut refusal, algorithms) = (None, algorithms()?);
            for algorithm in algorithms {
                match workspace(algorithm) {
                    Ok(bytes) => return Ok(Some((algorithm, bytes))),
                    Err(error) => refusal = Some(error),
                }
            }
            refusal.map_or(Ok(None), Err)
        };
        let plan = choose().map_err(|error| self.refused(error))?;
        let plan = plan.ok_or_else(|| candle_core::Error::Msg("there is no algorithm to choose".to_owned()))?;
        PLANS.with_borrow_mut(|plans| {
            let plans = of_pass(plans);
            if plans.len() >= MOST_PLANS {
                plans.clear();
            }
            plans.insert(key, plan);
        });
        Ok(plan)
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
