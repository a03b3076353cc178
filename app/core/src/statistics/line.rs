//! Ordinary least squares with one explaining variable.

use super::{mean, pearson, squares};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A line of regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Change of y for one more of x.
    pub slope: f64,
    /// y at x = 0.
    pub intercept: f64,
    /// Probability of a slope at least as steep, either way, if there were none.
    pub p: f64,
    /// Standard error of the slope.
    pub stderr: f64,
    n: f64,
    mean_x: f64,
    spread_x: f64,
    /// Standard error of a residual.
    residual: f64,
}

/// Fits y to x (`scipy.stats.linregress`). `None` for fewer than three pairs or a constant x.
#[must_use]
pub fn line(x: &[f64], y: &[f64]) -> Option<Line> {
    let n = x.len().min(y.len());
    let (x, y) = (&x[..n], &y[..n]);
    let spread_x = squares(x);
    if n < 3 || spread_x <= 0.0 {
        return None;
    }
    let (mean_x, mean_y) = (mean(x)?, mean(y)?);
    let slope = x.iter().zip(y).map(|(a, b)| (a - mean_x) * (b - mean_y)).sum::<f64>() / spread_x;
    let intercept = mean_y - slope * mean_x;
    let error = x.iter().zip(y).map(|(a, b)| (b - intercept - slope * a).powi(2)).sum::<f64>();
    let residual = (error / (n - 2) as f64).sqrt();
    let p = pearson(x, y).map_or(1.0, |c| c.p);
    Some(Line { slope, intercept, p, stderr: residual / spread_x.sqrt(), n: n as f64, mean_x, spread_x, residual })
}

impl Line {
    /// y on the line.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }

    /// Half the width of the band in which the true line lies at `x` with a confidence of 95 %.
    #[must_use]
    pub fn half_width(&self, x: f64) -> f64 {
        let t = StudentsT::new(0.0, 1.0, self.n - 2.0).map_or(f64::NAN, |d| d.inverse_cdf(0.975));
        t * self.residual * (1.0 / self.n + (x - self.mean_x).powi(2) / self.spread_x).sqrt()
    }
}
