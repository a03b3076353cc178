//! Pre-training of encoders: pictures, views of them, the methods, and the loop over epochs.

pub mod method;
pub mod pictures;
pub mod settings;
pub mod subset;
pub mod views;
