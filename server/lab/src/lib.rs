//! What takes minutes: data sets, features, the training of heads, and their scores.
//!
//! It knows nothing of HTTP, SQL or users. Long work takes a [`progress::Progress`].

pub mod agreement;
pub mod data;
pub mod error;
pub mod features;
pub mod head;
pub mod image;
pub mod kept;
pub mod memory;
pub mod packing;
pub mod pipeline;
pub mod predict;
pub mod pretrain;
pub mod progress;
pub mod recipe;
pub mod registry;
pub mod scene;
pub mod score;
pub mod throughput;
pub mod train;
pub mod virb_head;
pub mod work;

pub use error::{Error, Result};
