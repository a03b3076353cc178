//! A linear axis with round ticks.

/// Values along one direction.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// The axis on which all `values` lie, between the coordinates `from` and `to`.
    pub fn of(values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        let finite = values.into_iter().filter(|v| v.is_finite());
        let (mut low, mut high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let margin = if high > low { (high - low) * 0.06 } else { (low.abs() * 0.1).max(0.5) };
        Self { low: low - margin, high: high + margin, from, to }
    }

    /// The coordinate of a value.
    pub fn at(&self, v: f64) -> f64 {
        self.from + (v - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// `n + 1` values from end to end.
    pub fn steps(&self, n: usize) -> impl Iterator<Item = f64> + '_ {
        (0..=n).map(move |i| self.low + (self.high - self.low) * i as f64 / n as f64)
    }

    /// Around `n` round values, and how many digits they need behind the point.
    pub fn ticks(&self, n: usize) -> Vec<(f64, String)> {
        let raw = (self.high - self.low) / n.max(1) as f64;
        let power = 10f64.powf(raw.log10().floor());
        let far = |step: f64| (step / raw).ln().abs();
        let steps = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power);
        let step = steps.min_by(|a, b| far(*a).total_cmp(&far(*b))).unwrap_or(raw);
        let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
        let first = (self.low / step).ceil();
        (0..=2 * n + 2)
            .map(|i| (first + i as f64) * step)
            .take_while(|v| *v <= self.high)
            // No minus before a zero.
            .map(|v| (v, format!("{:.digits$}", if v.abs() < step / 1e6 { 0.0 } else { v })))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |low: f64, high: f64| -> Vec<String> {
            Axis::of([low, high], 0.0, 1.0).ticks(4).into_iter().map(|t| t.1).collect()
        };
        assert_eq!(labels(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-20.0, 60.0), ["-20", "0", "20", "40", "60"]);
        assert!(labels(0.5, 0.5).len() >= 2);
        assert!(!Axis::of([], 0.0, 1.0).ticks(4).is_empty());
    }
}
