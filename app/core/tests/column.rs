//! What follows from the scores of a column.

use virboard_core::catalogue::metric::Metric;
use virboard_core::catalogue::task::Category;
use virboard_core::leaderboard::Column;
use virboard_core::statistics::Interval;

fn ranked(scores: &[f64], metric: Metric) -> (Vec<usize>, Vec<f64>) {
    let scores: Vec<Option<f64>> = scores.iter().copied().map(Some).collect();
    let column = Column::new("t", "T", Category::PixelStructural, metric, scores);
    (0..column.scores.len()).map(|r| (column.rank(r), column.heat(r))).unzip()
}

#[test]
fn ties_share_the_better_rank() {
    assert_eq!(ranked(&[0.5, 0.9, 0.5, 0.1], Metric::Top1).0, [2, 1, 2, 4]);
    assert_eq!(ranked(&[0.5, 0.9, 0.5, 0.1], Metric::L1).0, [2, 4, 2, 1]);
    assert!(ranked(&[], Metric::L1).0.is_empty());
}

#[test]
fn a_rank_is_as_firm_as_the_intervals_are_apart() {
    let interval = |low, high| Some(Interval { low, high });
    let mut column =
        Column::new("t", "T", Category::ImageSemantic, Metric::L1, vec![Some(1.0), Some(2.0), Some(4.0), None]);
    assert_eq!(column.rank_between(0), None, "nothing is known of the samples");
    column.intervals = vec![interval(0.5, 2.1), interval(1.9, 2.2), None, None];
    let ranks = [0, 1, 2, 3].map(|r| column.rank_between(r));
    assert_eq!(ranks, [Some((1, 2)), Some((1, 2)), None, None]);
    column.intervals[1] = interval(2.2, 4.5);
    assert_eq!([0, 1].map(|r| column.rank_between(r)), [Some((1, 1)), Some((2, 3))]);
}

#[test]
fn heat_follows_the_metrics_direction() {
    assert_eq!(ranked(&[1.0, 3.0, 2.0], Metric::Top1).1, [0.0, 1.0, 0.5]);
    assert_eq!(ranked(&[1.0, 3.0, 2.0], Metric::L1).1, [1.0, 0.0, 0.5]);
    assert_eq!(ranked(&[2.0, 2.0], Metric::L1).1, [1.0, 1.0]);
}
