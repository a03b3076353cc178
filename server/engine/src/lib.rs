//! The engine of Virboard: frozen encoders, the heads trained on them, data sets,
//! training and metrics, on candle.
//!
//! It knows nothing of HTTP, SQL or users. Tensors are `N x C x H x W`, `f32`, unless
//! a comment says otherwise. Long work takes a [`progress::Progress`].

pub mod checkpoint;
pub mod cka;
pub mod conv;
pub mod dataset;
pub mod device;
pub mod encode;
pub mod encoder;
pub mod error;
pub mod evaluate;
pub mod feature_cache;
pub mod files;
pub mod head;
pub mod image;
pub mod kernel;
pub mod knn;
pub mod layer;
pub mod logistic;
pub mod memory;
pub mod metric;
pub mod pipeline;
pub mod predict;
pub mod predictions;
pub mod preprocess;
pub mod progress;
pub mod recipe;
pub mod scene;
pub mod seeded;
pub mod train;
pub mod virb_head;

pub use error::{Error, Result};
