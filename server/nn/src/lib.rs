//! Networks of Virboard: operations, what computes them on the CPU, encoders and heads,
//! checkpoints and optimisers, on candle.
//!
//! It knows no task, no data set and no score. Tensors are `N x C x H x W`, `f32`, unless a
//! comment says otherwise.

pub mod checkpoint;
pub mod conv;
pub mod cpu;
pub mod device;
pub mod encoder;
pub mod error;
pub mod files;
pub mod guard;
pub mod layer;
pub mod load;
pub mod network;
pub mod optimiser;
pub mod parameters;
pub mod path;
pub mod preprocess;
pub mod schedule;
pub mod seeded;
pub mod speed;
mod taps;
#[doc(hidden)]
pub mod testing;
pub mod trainable;

pub use error::{Error, Result};
