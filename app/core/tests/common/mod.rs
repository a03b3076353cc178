//! Made-up scores.

#![allow(dead_code, reason = "each test file uses its own part")]

use virboard_core::analysis::Matrix;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::task::Task;
use virboard_core::run::{Evidence, Score};

/// An imported score by the standard protocol.
pub fn result(encoder: &str, task: &str, score: f64) -> Score {
    let evidence = Evidence { selected: true, configuration: "{}".into(), test_samples: 1, ..Evidence::default() };
    Score { encoder: encoder.into(), task: task.into(), value: score, evidence, ..Score::default() }
}

/// The scores of the paper's suite.
pub fn paper(results: &[Score]) -> Matrix {
    Matrix::of(&Catalogue::builtin(), results, "paper", None)
}

/// All of the paper's encoders on all of its tasks: `plan` says how good, around zero, to which
/// a little noise, the same on every run, is added.
pub fn world(plan: impl Fn(&Encoder, &Task) -> f64) -> Vec<Score> {
    let mut state = 1u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
    };
    let mut out = Vec::new();
    let catalogue = Catalogue::builtin();
    for task in catalogue.tasks_of("paper") {
        for encoder in catalogue.encoders_of("paper", &[], |_| false) {
            let good = 0.02 * noise() + plan(&encoder, &task);
            let score = if task.metric.higher_is_better() { 0.5 + good } else { 0.5 - good };
            out.push(result(&encoder.key, &task.key, score));
        }
    }
    out
}
