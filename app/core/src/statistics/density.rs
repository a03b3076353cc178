//! Densities of small samples, for violins.

use super::squares;
use std::f64::consts::PI;

/// A sum of normal distributions around the values of a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Density {
    values: Vec<f64>,
    /// Standard deviation of each.
    pub bandwidth: f64,
}

/// With Scott's bandwidth (`scipy.stats.gaussian_kde`). `None` for fewer than two values or
/// equal ones.
#[must_use]
pub fn density(x: &[f64]) -> Option<Density> {
    let n = x.len() as f64;
    let deviation = (squares(x) / (n - 1.0)).sqrt();
    (x.len() >= 2 && deviation > 0.0).then(|| Density { values: x.to_vec(), bandwidth: deviation * n.powf(-0.2) })
}

impl Density {
    /// The density at `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        let sum: f64 = self.values.iter().map(|v| (-0.5 * ((x - v) / self.bandwidth).powi(2)).exp()).sum();
        sum / (self.values.len() as f64 * self.bandwidth * (2.0 * PI).sqrt())
    }
}
