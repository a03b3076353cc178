//! Layers with gradients, from which heads are built. Tensors are `N x H x W x C`: there a
//! convolution is a product of matrices, in both directions.

pub mod attention;
pub mod batch_norm;
pub mod convolution;
#[cfg(feature = "cudnn")]
mod cudnn;
pub mod depthwise;
pub mod frozen;
pub mod gelu;
pub mod layer_norm;
pub mod linear;
pub mod patches;
pub mod pool;
pub mod relu;
pub mod resize;

pub use crate::taps::Geometry;
pub use attention::attention;
pub use batch_norm::BatchNorm;
pub use convolution::{conv_nhwc, convolve_nhwc};
pub use depthwise::Depthwise;
pub use frozen::frozen;
pub use gelu::gelu;
pub use layer_norm::LayerNorm;
pub use linear::linear;
pub use patches::patches_nhwc;
pub use pool::{add_relu, max_pool_nhwc};
pub use relu::relu;
pub use resize::{
    Corners, bicubic_taps, bilinear_tap, linear_taps, pixel_shuffle_nhwc, resample_nhwc, resize_bilinear_nhwc,
};
