//! Parts of pages, a file each.

pub mod classes;
pub mod depth;
pub mod flow;
pub mod header;
pub mod layers;
pub mod outputs;
pub mod picker;
pub mod second;
pub mod segmentation;
pub mod standing;
pub mod upload;
