//! How much better one score is than another, and whether the order of two things turns.

use crate::catalogue::task::Metric;
use crate::run::Score;
use crate::statistics::Interval;

/// A score, more being better, and how firm it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The score with its sign turned where less is better, in the metric's unit.
    pub good: f64,
    /// Its standard error over test samples; 0 where it is not known.
    pub error: f64,
}

impl Measured {
    /// Of a score under its task's metric.
    #[must_use]
    pub fn of(metric: Metric, score: &Score) -> Self {
        let error = score.interval.map_or(0.0, |i| i.standard_error());
        Self { good: metric.sign() * score.value, error }
    }

    /// The mean of several; `None` of none. Its error is known where that of each is.
    #[must_use]
    pub fn mean(all: &[Self]) -> Option<Self> {
        let n = all.len() as f64;
        let good = crate::statistics::mean(&all.iter().map(|m| m.good).collect::<Vec<_>>())?;
        let known = all.iter().all(|m| m.error > 0.0);
        let error = if known { all.iter().map(|m| m.error * m.error).sum::<f64>().sqrt() / n } else { 0.0 };
        Some(Self { good, error })
    }
}

/// From one score to another of the same task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// How much better the second is, in the metric's unit; negative if it is worse.
    pub by: f64,
    /// Where that lies with a confidence of 95 % when test samples are drawn anew, for each of the two its own. They
    /// share theirs, so the true interval is narrower. `None` where the samples of either are not known.
    pub interval: Option<Interval>,
}

impl Change {
    /// From the first to the second.
    #[must_use]
    pub fn between(from: Measured, to: Measured) -> Self {
        let by = to.good - from.good;
        let known = from.error > 0.0 && to.error > 0.0;
        Self { by, interval: known.then(|| Interval::around(by, from.error.hypot(to.error))) }
    }

    /// Whether it is more than other test samples would bring.
    #[must_use]
    pub fn is_firm(&self) -> bool {
        self.interval.is_some_and(|i| i.excludes_zero())
    }

    /// The change as people read it, with its sign: `+3.1`.
    #[must_use]
    pub fn text(&self, metric: Metric) -> String {
        signed(metric, self.by)
    }

    /// The ends of the interval, written alike; empty where there is none.
    #[must_use]
    pub fn ends(&self, metric: Metric) -> [String; 2] {
        self.interval.map_or_else(Default::default, |i| [signed(metric, i.low), signed(metric, i.high)])
    }
}

fn signed(metric: Metric, by: f64) -> String {
    let text = metric.format(by);
    if text.starts_with('-') { text } else { format!("+{text}") }
}

/// How many pairs of things stand in the other order afterwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Turns {
    /// Pairs of which one is better before and one afterwards. Level ones have no order that could turn.
    pub pairs: usize,
    /// Those of them whose order turns.
    pub turned: usize,
    /// Those of which both orders are more than other test samples would bring.
    pub firm: usize,
    /// Pairs of which the spread over test samples is known.
    pub known: usize,
}

impl Turns {
    /// Counts a pair: how much better its second is before, and afterwards.
    pub fn add(&mut self, before: Change, after: Change) {
        let product = before.by.signum() * after.by.signum();
        if before.by == 0.0 || after.by == 0.0 || !product.is_finite() {
            return;
        }
        self.pairs += 1;
        self.known += usize::from(before.interval.is_some() && after.interval.is_some());
        if product < 0.0 {
            self.turned += 1;
            self.firm += usize::from(before.is_firm() && after.is_firm());
        }
    }

    /// All pairs of `things`, before and afterwards.
    #[must_use]
    pub fn of(things: &[(Measured, Measured)]) -> Self {
        let mut all = Self::default();
        for (i, a) in things.iter().enumerate() {
            for b in &things[i + 1..] {
                all.add(Change::between(a.0, b.0), Change::between(a.1, b.1));
            }
        }
        all
    }

    /// Both counts together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            pairs: self.pairs + other.pairs,
            turned: self.turned + other.turned,
            firm: self.firm + other.firm,
            known: self.known + other.known,
        }
    }

    /// `, 2 of them beyond the spread of test samples`, where one turns whose spread is known.
    #[must_use]
    pub fn beyond(&self) -> String {
        if self.turned == 0 || self.known == 0 {
            return String::new();
        }
        format!(", {} of them beyond the spread of test samples", self.firm)
    }

    /// Kendall's rank correlation, from -1 for the reverse to 1 for the same order, level pairs left out (Goodman and
    /// Kruskal's gamma). `None` without a pair.
    #[must_use]
    pub fn kendall(&self) -> Option<f64> {
        (self.pairs > 0).then(|| 1.0 - 2.0 * self.turned as f64 / self.pairs as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(good: f64, error: f64) -> Measured {
        Measured { good, error }
    }

    #[test]
    fn a_change_is_firm_where_its_interval_excludes_nothing() {
        // 0.03 and 0.04 are 0.05 together; 1.96 of these are 0.098.
        let change = Change::between(measured(0.5, 0.03), measured(0.6, 0.04));
        let interval = change.interval.expect("both errors are known");
        assert!((interval.low - 0.002).abs() < 1e-3 && (interval.high - 0.198).abs() < 1e-3, "{interval:?}");
        assert!(change.is_firm() && (interval.standard_error() - 0.05).abs() < 1e-12);
        assert!(!Change::between(measured(0.5, 0.03), measured(0.59, 0.04)).is_firm());
        let unknown = Change::between(measured(0.5, 0.0), measured(0.9, 0.04));
        assert_eq!((unknown.interval, unknown.is_firm()), (None, false));
        assert_eq!((change.text(Metric::Top1), unknown.text(Metric::L1)), ("+10.0".to_owned(), "+0.400".to_owned()));
        let worse = Change::between(measured(-0.2, 0.0), measured(-0.4, 0.0));
        assert_eq!((worse.text(Metric::L1), worse.ends(Metric::L1)), ("-0.200".to_owned(), Default::default()));
    }

    #[test]
    fn errors_of_a_mean_shrink_and_are_unknown_where_one_is() {
        let mean = Measured::mean(&[measured(0.2, 0.03), measured(0.4, 0.04)]).expect("two");
        assert!((mean.good - 0.3).abs() < 1e-12 && (mean.error - 0.025).abs() < 1e-12, "{mean:?}");
        let unknown = Measured::mean(&[measured(0.2, 0.0), measured(0.4, 0.04)]).expect("two");
        assert_eq!((unknown.error, Measured::mean(&[])), (0.0, None));
    }

    #[test]
    fn turned_pairs_are_those_of_kendall() {
        let things = |after: [f64; 4]| -> Vec<(Measured, Measured)> {
            let before = [0.1, 0.2, 0.3, 0.4];
            before.iter().zip(after).map(|(b, a)| (measured(*b, 0.001), measured(a, 0.001))).collect()
        };
        let same = Turns::of(&things([1.0, 2.0, 3.0, 4.0]));
        assert_eq!((same, same.kendall()), (Turns { pairs: 6, turned: 0, firm: 0, known: 6 }, Some(1.0)));
        let reverse = Turns::of(&things([4.0, 3.0, 2.0, 1.0]));
        assert_eq!((reverse, reverse.kendall()), (Turns { pairs: 6, turned: 6, firm: 6, known: 6 }, Some(-1.0)));
        // 1 2 4 3 against 1 2 3 4: one of six pairs, scipy.stats.kendalltau gives 0.6667.
        let one = Turns::of(&things([1.0, 2.0, 4.0, 3.0]));
        assert_eq!((one.pairs, one.turned), (6, 1));
        assert!(one.kendall().is_some_and(|t| (t - 2.0 / 3.0).abs() < 1e-12));
        // Level ones have no order, and what is no number none either.
        assert_eq!(Turns::of(&things([1.0, 1.0, 2.0, 3.0])).pairs, 5);
        assert_eq!(Turns::of(&things([f64::NAN, 1.0, 2.0, 3.0])).pairs, 3);
        assert_eq!(Turns::default().kendall(), None);
        assert_eq!(one.and(reverse), Turns { pairs: 12, turned: 7, firm: 7, known: 12 });
    }

    #[test]
    fn a_turn_within_the_spread_of_test_samples_is_not_firm() {
        let pair = [(measured(0.1, 0.2), measured(0.9, 0.001)), (measured(0.2, 0.2), measured(0.8, 0.001))];
        assert_eq!(Turns::of(&pair), Turns { pairs: 1, turned: 1, firm: 0, known: 1 });
    }
}
