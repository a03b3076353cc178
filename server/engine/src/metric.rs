//! Metrics over a whole test set, and what the best constant answer reaches.

/// A confusion matrix: rows are true classes, columns predicted ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// An empty matrix.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Counts one sample or pixel.
    pub fn add(&mut self, truth: usize, prediction: usize) {
        self.counts[truth * self.classes + prediction] += 1;
    }

    /// Top-1 accuracy: the share of the diagonal, 0 to 1.
    #[must_use]
    pub fn top1(&self) -> f64 {
        let right: u64 = (0..self.classes).map(|c| self.counts[c * self.classes + c]).sum();
        right as f64 / self.counts.iter().sum::<u64>().max(1) as f64
    }

    /// Mean over classes of intersection / union over the whole set, 0 to 1. A class that
    /// is neither true nor predicted anywhere does not count.
    #[must_use]
    pub fn mean_iou(&self) -> f64 {
        let n = self.classes;
        let ious: Vec<f64> = (0..n)
            .filter_map(|c| {
                let hit = self.counts[c * n + c];
                let truth: u64 = self.counts[c * n..(c + 1) * n].iter().sum();
                let predicted: u64 = (0..n).map(|t| self.counts[t * n + c]).sum();
                let union = truth + predicted - hit;
                (union > 0).then(|| hit as f64 / union as f64)
            })
            .collect();
        ious.iter().sum::<f64>() / ious.len().max(1) as f64
    }
}

/// Running mean of absolute errors.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MeanAbsoluteError {
    sum: f64,
    count: u64,
}

impl MeanAbsoluteError {
    /// Counts one pixel.
    pub fn add(&mut self, truth: f32, prediction: f32) {
        self.sum += f64::from((truth - prediction).abs());
        self.count += 1;
    }

    /// The mean in the values' unit; 0 over nothing.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: [[u64; 3]; 3]) -> Confusion {
        Confusion { classes: 3, counts: rows.concat() }
    }

    #[test]
    fn accuracy_and_iou_by_hand() {
        let m = matrix([[5, 1, 0], [2, 2, 0], [0, 0, 0]]);
        assert!((m.top1() - 0.7).abs() < 1e-12);
        // Class 0: 5 / (6 + 7 - 5); class 1: 2 / (4 + 3 - 2); class 2 occurs nowhere.
        assert!((m.mean_iou() - f64::midpoint(5.0 / 8.0, 2.0 / 5.0)).abs() < 1e-12);
    }

    #[test]
    fn a_constant_answer_overlaps_with_its_class_only() {
        let m = matrix([[0, 0, 6], [0, 0, 4], [0, 0, 10]]);
        assert!((m.top1() - 0.5).abs() < 1e-12);
        assert!((m.mean_iou() - 0.5 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn absolute_errors_average() {
        let mut e = MeanAbsoluteError::default();
        e.add(1.0, 3.0);
        e.add(2.0, 2.0);
        assert!((e.value() - 1.0).abs() < 1e-12);
    }
}
