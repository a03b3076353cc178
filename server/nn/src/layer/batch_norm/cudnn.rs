//! Batch normalisation by the moments of a batch with its gradients, by cuDNN: `N x H x W x C` in `f32`. Of the graph's
//! tensors it keeps the input alone, where tensor operations keep four of its size.

use crate::layer::cudnn::view;
use candle_core::backend::BackendStorage;
use candle_core::cuda::DeviceId;
use candle_core::cuda::cudarc::cudnn::sys::{
    self, cudnnBatchNormMode_t::CUDNN_BATCHNORM_SPATIAL, cudnnDataType_t::CUDNN_DATA_FLOAT,
    cudnnTensorFormat_t as Format,
};
use candle_core::cuda::cudarc::cudnn::{CudnnError, result};
use candle_core::cuda::cudarc::driver::{CudaSlice, CudaStream, DevicePtr, DevicePtrMut};
use candle_core::op::BackpropOp;
use candle_core::{CpuStorage, CudaDevice, CudaStorage, CustomOp3, Layout, Shape, Storage, Tensor};
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

/// Moments of a batch, C numbers each.
pub(super) struct Moments {
    /// The mean.
    pub mean: Tensor,
    /// The unbiased variance.
    pub unbiased: Tensor,
}

/// Normalises `x` by its own moments, and gives these.
pub(super) fn normalised(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f64,
) -> candle_core::Result<(Tensor, Moments)> {
    let kept = Arc::new(Kept::default());
    let y = x.contiguous()?.apply_op3(weight, bias, Normalise { eps, kept: kept.clone() })?;
    let moments = kept.moments.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some([mean, unbiased]) = moments else { candle_core::bail!("the normalisation left no moments") };
    Ok((y, Moments { mean: vector(mean, x)?, unbiased: vector(unbiased, x)? }))
}

/// A vector without a history, on the device of `like`.
fn vector(values: CudaSlice<f32>, like: &Tensor) -> candle_core::Result<Tensor> {
    let length = values.len();
    let storage = CudaStorage::wrap_cuda_slice(values, like.device().as_cuda_device()?.clone());
    Ok(Tensor::from_storage(Storage::Cuda(storage), length, BackpropOp::none(), false))
}

/// What leaves an operation beside its result.
#[derive(Default)]
struct Kept {
    /// Mean and unbiased variance.
    moments: Mutex<Option<[CudaSlice<f32>; 2]>>,
    /// Mean and one over the deviation, as the backward pass takes them.
    saved: Mutex<Option<[CudaSlice<f32>; 2]>>,
    /// The gradients of weight and bias.
    gradients: Mutex<Option<[CudaSlice<f32>; 2]>>,
}

/// Input, weight and bias to output.
struct Normalise {
    eps: f64,
    kept: Arc<Kept>,
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "batch-norm-cudnn"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
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
        bias: &CudaStorage,
        of_bias: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let device = x.device();
        let all = Descriptors::new(of_x.shape())?;
        let channels = all.channels;
        let (x, weight, bias) =
            (view::<f32>((x, of_x))?, view::<f32>((weight, of_weight))?, view::<f32>((bias, of_bias))?);
        // Zeros, since cuDNN moves what is there, here by the whole way.
        let new = || device.alloc_zeros::<f32>(channels);
        let (mut mean, mut unbiased, mut saved_mean, mut inverse) = (new()?, new()?, new()?, new()?);
        // SAFETY: cuDNN writes all of it.
        let mut y = unsafe { device.alloc::<f32>(x.len())? };
        let stream = device.cuda_stream();
        with_handle(device, |handle| {
            let (x, _x) = x.device_ptr(&stream);
            let (weight, _weight) = weight.device_ptr(&stream);
            let (bias, _bias) = bias.device_ptr(&stream);
            let (y, _y) = y.device_ptr_mut(&stream);
            let (mean, _mean) = mean.device_ptr_mut(&stream);
            let (unbiased, _unbiased) = unbiased.device_ptr_mut(&stream);
            let (saved_mean, _saved_mean) = saved_mean.device_ptr_mut(&stream);
            let (inverse, _inverse) = inverse.device_ptr_mut(&stream);
            // SAFETY: the descriptors are those of these tensors, which live until the call has been queued on their
            // own stream.
            unsafe {
                sys::cudnnBatchNormalizationForwardTraining(
                    handle,
                    CUDNN_BATCHNORM_SPATIAL,
                    number(&1.0),
                    number(&0.0),
                    all.maps.0,
                    x as *const c_void,
                    all.maps.0,
                    y as *mut c_void,
                    all.vectors.0,
                    weight as *const c_void,
                    bias as *const c_void,
                    1.0,
                    mean as *mut c_void,
                    unbiased as *mut c_void,
                    self.eps,
                    saved_mean as *mut c_void,
                    inverse as *mut c_void,
                )
            }
            .result()
        })?;
        *self.kept.moments.lock().unwrap_or_else(PoisonError::into_inner) = Some([mean, unbiased]);
        *self.kept.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some([saved_mean, inverse]);
        Ok((CudaStorage::wrap_cuda_slice(y, device.clone()), of_x.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let backward = Backward { eps: self.eps, kept: self.kept.clone() };
        let of_x = x.apply_op3_no_bwd(weight, &gradient.contiguous()?, &backward)?;
        let gradients = self.kept.gradients.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some([of_weight, of_bias]) = gradients else { candle_core::bail!("the normalisation left no gradients") };
        Ok((Some(of_x), Some(vector(of_weight, x)?), Some(vector(of_bias, x)?)))
    }
}

/// Input, weight and the output's gradient to the input's gradient.
struct Backward {
    eps: f64,
    kept: Arc<Kept>,
}

impl CustomOp3 for Backward {
    fn name(&self) -> &'static str {
        "batch-norm-cudnn-backward"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
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
        gradient: &CudaStorage,
        of_gradient: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let device = x.device();
        let all = Descriptors::new(of_x.shape())?;
        let (x, weight, gradient) =
            (view::<f32>((x, of_x))?, view::<f32>((weight, of_weight))?, view::<f32>((gradient, of_gradient))?);
        let saved = self.kept.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let Some([saved_mean, inverse]) = &*saved else { candle_core::bail!("the normalisation kept no moments") };
        // SAFETY: cuDNN writes all of these.
        let new = |length: usize| unsafe { device.alloc::<f32>(length) };
        let (mut of_x_values, mut of_scale, mut of_bias) = (new(x.len())?, new(all.channels)?, new(all.channels)?);
        let stream = device.cuda_stream();
        with_handle(device, |handle| {
            let (x, _x) = x.device_ptr(&stream);
            let (weight, _weight) = weight.device_ptr(&stream);
            let (gradient, _gradient) = gradient.device_ptr(&stream);
            let (saved_mean, _saved_mean) = saved_mean.device_ptr(&stream);
            let (inverse, _inverse) = inverse.device_ptr(&stream);
            let (to, _to) = of_x_values.device_ptr_mut(&stream);
            let (of_scale, _of_scale) = of_scale.device_ptr_mut(&stream);
            let (of_bias, _of_bias) = of_bias.device_ptr_mut(&stream);
            // SAFETY: the descriptors are those of these tensors, which live until the call has been queued on their
            // own stream.
            unsafe {
                sys::cudnnBatchNormalizationBackward(
                    handle,
                    CUDNN_BATCHNORM_SPATIAL,
                    number(&1.0),
                    number(&0.0),
                    number(&1.0),
                    number(&0.0),
                    all.maps.0,
                    x as *const c_void,
                    all.maps.0,
                    gradient as *const c_void,
                    all.maps.0,
                    to as *mut c_void,
                    all.vectors.0,
                    weight as *const c_void,
                    of_scale as *mut c_void,
                    of_bias as *mut c_void,
                    self.eps,
                    saved_mean as *const c_void,
                    inverse as *const c_void,
                )
            }
            .result()
        })?;
        *self.kept.gradients.lock().unwrap_or_else(PoisonError::into_inner) = Some([of_scale, of_bias]);
        Ok((CudaStorage::wrap_cuda_slice(of_x_values, device.clone()), of_x.shape().clone()))
    }
}

/// A factor as cuDNN takes it.
fn number(value: &f32) -> *const c_void {
    std::ptr::from_ref(value).cast()
}

/// What cuDNN is told of the shapes.
struct Descriptors {
    maps: Descriptor,
    vectors: Descriptor,
    channels: usize,
}

impl Descriptors {
    fn new(maps: &Shape) -> candle_core::Result<Self> {
        let (n, h, w, channels) = maps.dims4()?;
        Ok(Self {
            maps: Descriptor::new(Format::CUDNN_TENSOR_NHWC, [n, channels, h, w])?,
            vectors: Descriptor::new(Format::CUDNN_TENSOR_NCHW, [1, channels, 1, 1])?,
            channels,
        })
    }
}

/// A tensor's shape. (cudarc's own does not hand it out, and has no normalisation.)
struct Descriptor(sys::cudnnTensorDescriptor_t);

impl Descriptor {
    fn new(format: Format, dims: [usize; 4]) -> Result<Self, CudnnError> {
        let descriptor = Self(result::create_tensor_descriptor()?);
        // SAFETY: it was created the line before.
        unsafe { result::set_tensor4d_descriptor(descriptor.0, format, CUDNN_DATA_FLOAT, dims.map(|n| n as i32))? };
        Ok(descriptor)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: it was created with this value and is destroyed once. What cuDNN says to that helps nobody.
        let _ = unsafe { result::destroy_tensor_descriptor(self.0) };
    }
}

/// A handle, on the device's stream, which must not go before it.
struct Handle(sys::cudnnHandle_t, Arc<CudaStream>);

impl Handle {
    fn new(device: &CudaDevice) -> candle_core::Result<Self> {
        let stream = device.cuda_stream();
        stream.context().bind_to_thread()?;
        let handle = Self(result::create_handle()?, stream);
        // SAFETY: the handle keeps the stream.
        unsafe { result::set_stream(handle.0, handle.1.cu_stream().cast())? };
        Ok(handle)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: as of a descriptor.
        let _ = unsafe { result::destroy_handle(self.0) };
    }
}

thread_local! {
    // A handle belongs to its thread.
    static HANDLES: RefCell<HashMap<DeviceId, Handle>> = RefCell::new(HashMap::new());
}

/// Calls with this thread's handle of a device.
fn with_handle(
    device: &CudaDevice,
    call: impl FnOnce(sys::cudnnHandle_t) -> Result<(), CudnnError>,
) -> candle_core::Result<()> {
    HANDLES.with_borrow_mut(|handles| {
        let handle = match handles.entry(device.id()) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(place) => place.insert(Handle::new(device)?),
        };
        Ok(call(handle.0)?)
    })
}
