//! What is measured of predictions, and readers of features beside the heads.

pub mod knn;
pub mod logistic;
pub mod metric;
pub mod samples;
