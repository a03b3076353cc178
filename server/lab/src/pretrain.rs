//! Pre-training of encoders: pictures, views of them, the methods, and the loop over epochs.

pub mod curve;
pub mod leaks;
pub mod method;
pub mod neighbours;
pub mod pictures;
pub mod run;
pub mod settings;
pub mod state;
pub mod subset;
pub mod views;
