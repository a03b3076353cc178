//! The paper's analyses, and those that its readers ask for, on whatever scores there are.
//!
//! Everything starts from a [`Matrix`] and ends in an [`Analysis`]: what was asked, panels to
//! draw, sentences that follow from the numbers, and the numbers themselves.

mod alignment;
mod caution;
pub mod change;
pub mod claims;
pub mod compare;
pub mod contrast;
pub mod course;
mod effects;
pub mod kinds;
mod matrix;
mod options;
pub mod order;
pub mod profile;
mod report;
pub mod standing;

pub use alignment::Alignment;
pub use matrix::Matrix;
pub use options::{Options, Selection};
pub use report::{Analysis, Bar, Dot, Marks, Panel, Sample, Series, Table, Trace, Verdict};
