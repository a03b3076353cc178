//! Small repetitions of the paper's encoders and tasks: analyses take them in the originals' places.

mod common;

use common::result;
use std::sync::Arc;
use virboard_core::analysis::claims::checks;
use virboard_core::analysis::{Matrix, Verdict};
use virboard_core::catalogue::encoder::{Encoder, EncoderRole};
use virboard_core::catalogue::task::{Task, TaskRole};
use virboard_core::catalogue::{Catalogue, rows};
use virboard_core::leaderboard::Sheet;
use virboard_core::run::Score;

/// The catalogue with a repetition of each of the paper's encoders, of its baselines and of its 20 tasks.
fn catalogue() -> Catalogue {
    let builtin = Catalogue::builtin();
    let mut all = (*builtin).clone();
    let repeated = |e: &&Arc<Encoder>| matches!(e.role, EncoderRole::Paper | EncoderRole::Baseline);
    for original in builtin.encoders().iter().filter(repeated) {
        let small = Encoder {
            key: format!("Mini_{}", original.key),
            name: format!("{}, small", original.name),
            role: EncoderRole::Declared,
            suites: vec!["miniature".to_owned()],
            stands_for: Some(original.key.clone()),
            pictures: Some("birds".to_owned()),
            ..(**original).clone()
        };
        assert_eq!(rows::encoder(&rows::written(&small)).expect("read back").stands_for, small.stands_for);
        all.add_encoder(small).expect("added");
    }
    let stood_for = |key: &str| builtin.tasks().iter().any(|t| t.stands_for.as_deref() == Some(key));
    for original in builtin.tasks().iter().filter(|t| t.role == TaskRole::Paper && !stood_for(&t.key)) {
        let small = Task {
            key: format!("Mini{}", original.key),
            name: format!("{}, small", original.name),
            role: TaskRole::Declared,
            suite: "miniature".to_owned(),
            stands_for: Some(original.key.clone()),
            ..(**original).clone()
        };
        all.add_task(small).expect("added");
    }
    all
}

/// A score for each small encoder and task, and for a reference that is better than all.
fn scores(all: &Catalogue) -> Vec<Score> {
    let small = all.encoders().iter().filter(|e| e.stands_for.is_some()).map(|e| &*e.key);
    let encoders: Vec<&str> = small.chain(["EfficientNetLite0"]).collect();
    let mut found = Vec::new();
    for (i, encoder) in encoders.iter().enumerate() {
        for (j, task) in all.tasks_of("miniature").iter().enumerate() {
            let good =
                if *encoder == "EfficientNetLite0" { 0.9 } else { 0.1 + 0.5 * ((i * 7 + j * 3) % 31) as f64 / 31.0 };
            let value = if task.metric.higher_is_better() { good } else { 1.0 - good };
            found.push(result(encoder, &task.key, value));
        }
    }
    found
}

#[test]
fn claims_are_checked_on_what_stands_for_the_papers_encoders_and_tasks() {
    let all = catalogue();
    let matrix = Matrix::of(&all, &scores(&all), "miniature", None);
    assert_eq!((matrix.encoders.len(), matrix.tasks.len()), (32, 21));
    let name = |key: &str| matrix.encoder(key).map(|e| matrix.encoders[e].key.clone());
    assert_eq!(name("SWAV_800").as_deref(), Some("Mini_SWAV_800"));
    assert_eq!(matrix.task("NYUDepth").map(|t| matrix.tasks[t].key.clone()).as_deref(), Some("MiniNYUDepth"));
    assert!(matrix.relative(0, 0).is_some(), "Supervised's repetition is the measure");
    let undecided: Vec<&str> = checks(&matrix, Some((0.5, 0.4)))
        .into_iter()
        .filter(|c| c.verdict == Verdict::NotEnough)
        .map(|c| c.claim)
        .collect();
    assert!(undecided.is_empty(), "{undecided:?}");
}

#[test]
fn references_are_shown_and_neither_ranked_nor_analysed() {
    let all = catalogue();
    let scores = scores(&all);
    let suite = all.suite("miniature").expect("a suite");
    let sheet = Sheet::of(&all, suite, &scores, &[], |_| true);
    let row = |key: &str| sheet.rows.iter().position(|r| r.key == key).expect("a row");
    let reference = row("EfficientNetLite0");
    assert_eq!(sheet.rows[reference].place, None);
    assert_eq!(sheet.rows.iter().filter(|r| r.place.is_some()).count(), 32);
    for column in &sheet.columns {
        assert!(column.scores[reference].is_some() && column.reference(reference));
        assert_eq!((column.rank(reference), column.rank_text(reference)), (0, "–".to_owned()));
        assert_eq!(column.order().last(), Some(&reference), "it is best, and stands last");
        let best = column.order()[0];
        assert_eq!((column.rank(best), column.of(best)), (1, 32));
        assert!((column.heat(best) - 1.0).abs() < 1e-9, "the reference's score moves no colour");
    }
    assert_eq!(sheet.base(), Some(row("Mini_Supervised")));
    let baselines: Vec<&str> = sheet.rows.iter().filter(|r| r.baseline).map(|r| &*r.key).collect();
    assert_eq!(baselines, ["Mini_Supervised", "Mini_Random"]);
}
