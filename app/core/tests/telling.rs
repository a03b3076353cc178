//! Which tasks tell encoders apart.

mod common;

use common::{paper, result};
use virboard_core::analysis::Options;
use virboard_core::analysis::kinds::kind;
use virboard_core::run::Score;
use virboard_core::statistics::Interval;

/// A share with the half of its 95 % interval.
fn firm(encoder: &str, task: &str, value: f64, half: f64) -> Score {
    Score { interval: Some(Interval { low: value - half, high: value + half }), ..result(encoder, task, value) }
}

#[test]
fn a_task_tells_apart_what_its_samples_leave_apart() {
    let of = |task: &str, values: [f64; 3], half: f64| {
        ["Random", "SWAV_200", "SWAV_800"]
            .into_iter()
            .zip(values)
            .map(|(e, v)| firm(e, task, v, half))
            .collect::<Vec<_>>()
    };
    let mut scores = of("Pets", [0.1, 0.5, 0.8], 0.05);
    scores.extend(of("dtd", [0.5, 0.52, 0.54], 0.1));
    // Less is better: the best is SWAV_800 again.
    scores.extend(of("NYUDepth", [0.9, 0.7, 0.4], 0.12));
    // Nothing is known of these samples.
    scores.extend(["Random", "SWAV_200", "SWAV_800"].map(|e| result(e, "SUN397", 0.3)));
    let answer = (kind("tasks").expect("an analysis").compute)(&paper(&scores), &Options::default());
    let cells: Vec<(&str, &str, &str)> = answer.table.rows.iter().map(|r| (&*r[0], &*r[1], &*r[7])).collect();
    assert_eq!(
        cells,
        [("Pets Cls.", "100 %", "yes"), ("NYU Depth", "100 %", "yes"), ("dtd Cls.", "0 %", "no")],
        "{:?}",
        answer.findings
    );
    assert!(answer.findings[0].contains("on 2 of 3 tasks. Not on dtd"), "{:?}", answer.findings);
}

#[test]
fn scores_without_intervals_say_what_is_missing() {
    let scores = ["Random", "SWAV_200", "SWAV_800"].map(|e| result(e, "Pets", 0.3));
    let answer = (kind("tasks").expect("an analysis").compute)(&paper(&scores), &Options::default());
    assert!(answer.missing.is_some_and(|m| m.contains("interval")));
}
