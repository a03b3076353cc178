//! An effect is planted for each analysis: it is found, and without it nothing is.

mod common;

use common::{paper, world};
use virboard_core::analysis::Analysis;
use virboard_core::analysis::Options;
use virboard_core::analysis::kinds::kind;
use virboard_core::catalogue::encoder::{Encoder, Method, Pretraining};
use virboard_core::catalogue::task::{Category, Task};

fn ask(slug: &str, plan: impl Fn(&Encoder, &Task) -> f64) -> Analysis {
    let matrix = paper(&world(plan));
    (kind(slug).expect("an analysis").compute)(&matrix, &Options::default())
}

/// The cell of the first row in which the column `key` is `name`.
fn cell<'a>(answer: &'a Analysis, key: &str, name: &str, column: &str) -> &'a str {
    let at = |c: &str| answer.table.columns.iter().position(|o| o == c).unwrap_or_else(|| panic!("no column {c}"));
    let row = answer.table.rows.iter().find(|r| r[at(key)] == name).unwrap_or_else(|| panic!("no row {name}"));
    &row[at(column)]
}

fn number(text: &str) -> f64 {
    text.trim_end_matches(" %").parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// A quality of each encoder that has nothing to do with how it was trained.
fn quality(e: &Encoder) -> f64 {
    let hash = e.key.bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
    f64::from(hash % 101) / 1000.0
}

fn structural(t: &Task) -> bool {
    matches!(t.category, Category::ImageStructural | Category::PixelStructural)
}

#[test]
fn agreement_with_imagenet_and_between_tasks() {
    let plan = |e: &Encoder, t: &Task| match t.category {
        Category::ImageSemantic => quality(e),
        Category::PixelStructural => -quality(e),
        _ => 0.0,
    };
    let answer = ask("imagenet", plan);
    let r = |task: &str| number(cell(&answer, "task", task, "Pearson r"));
    assert!(r("Pets Cls.") > 0.95 && r("NYU Depth") < -0.95, "errors are turned round");
    assert!(r("EgoHands Seg.").abs() < 0.5 && r("CLEVR Count").abs() < 0.5);
    assert!(answer.findings.iter().any(|f| f.starts_with("Falls with it") && f.contains("NYU Depth")));
    let answer = ask("correlation", plan);
    let of = |a: &str, b: &str| {
        let row = answer.table.rows.iter().find(|r| (r[0] == a && r[1] == b) || (r[0] == b && r[1] == a));
        number(&row.expect("a pair")[3])
    };
    assert!(of("Pets Cls.", "dtd Cls.") > 0.95 && of("Pets Cls.", "THOR Depth") < -0.95);
    assert!(of("Pets Cls.", "CLEVR Count").abs() < 0.5);
}

#[test]
fn supervised_is_beaten_where_it_was_planted_to_be() {
    let plan = |e: &Encoder, t: &Task| match (&e.method, t.key.as_str()) {
        (Method::Supervised, "Pets") => 0.2,
        (Method::Supervised, "NYUDepth") => -0.2,
        _ => 0.0,
    };
    let answer = ask("supervised", plan);
    let change = |task: &str| number(cell(&answer, "task", task, "improvement"));
    assert!(change("Pets Cls.") < -20.0 && change("NYU Depth") > 20.0 && change("CLEVR Count").abs() < 10.0);
    assert!(answer.findings[0].contains("Not on Pets Cls."), "{:?}", answer.findings);
    let answer = ask("categories", |e, t| if e.method != Method::Supervised && structural(t) { 0.1 } else { 0.0 });
    let above = |c: Category| number(cell(&answer, "category", c.name(), "share above zero"));
    assert!(above(Category::PixelStructural) > 0.99 && above(Category::ImageStructural) > 0.99);
    assert!(above(Category::ImageSemantic) < 0.9);
}

#[test]
fn methods_and_data_sets_differ_where_they_were_planted_to() {
    let answer = ask("methods", |e, t| if e.method == Method::MoCoV2 && structural(t) { 0.1 } else { 0.0 });
    let change = |task: &str| number(cell(&answer, "task", task, "MoCo v2 over SwAV"));
    assert!(change("NYU Depth") > 15.0 && change("CLEVR Count") > 15.0 && change("Pets Cls.").abs() < 5.0);
    let answer =
        ask("datasets", |e, t| if e.pretraining == Pretraining::Kinetics && structural(t) { 0.1 } else { 0.0 });
    let best = |c: Category| answer.findings.iter().find(|f| f.starts_with(c.name())).expect("a finding").clone();
    assert!(best(Category::PixelStructural).contains("Kinetics is best"));
    let own = |e: &Encoder, t: &Task| {
        let like = matches!(
            (t.key.as_str(), &e.pretraining),
            ("CalTech-101", Pretraining::ImageNet)
                | ("KineticsActionPrediction", Pretraining::Kinetics)
                | ("SUN397", Pretraining::Places)
                | ("TaskonomyDepth", Pretraining::Taskonomy)
        );
        if like { 0.1 } else { 0.0 }
    };
    let expected = |answer: &Analysis| answer.findings.iter().filter(|f| f.contains("as expected")).count();
    assert_eq!(expected(&ask("similar", own)), 4);
    assert!(expected(&ask("similar", |_, _| 0.0)) < 4);
}

#[test]
fn imbalance_and_longer_training_count_only_if_they_do() {
    let unbalanced = |e: &Encoder| matches!(e.pretraining, Pretraining::LogImageNet | Pretraining::LinearImageNet);
    let with = ask("balance", |e, _| if unbalanced(e) { -0.1 } else { 0.0 });
    let without = ask("balance", |_, _| 0.0);
    let p = |answer: &Analysis| {
        let text = answer.findings[0].split("ANOVA ").nth(1).expect("a test").split(',').next().expect("p").to_owned();
        if text.starts_with("p < ") { 0.0 } else { text.trim_start_matches("p = ").parse::<f64>().expect("a number") }
    };
    assert!(p(&with) < 0.05 && p(&without) > 0.05, "{:?} {:?}", with.findings, without.findings);
    let rising = |answer: &Analysis| {
        let text = answer.findings.iter().find(|f| f.starts_with("Epochs")).expect("a finding");
        text.split("rise on ").nth(1).and_then(|t| t.split(' ').next()).and_then(|n| n.parse::<u32>().ok())
    };
    let longer = ask("training", |e, _| f64::from(e.epochs.unwrap_or(0)) / 5000.0);
    assert_eq!(rising(&longer), Some(21));
    assert!(rising(&ask("training", |_, _| 0.0)).is_some_and(|n| n <= 3));
    // Six encoders differ in the size of their data: points, and no word on how they correlate.
    let missing = longer.missing.as_deref().unwrap_or_default();
    assert!(missing.contains("All 21 tasks (size of the data set)") && !missing.contains("(epochs)"), "{missing}");
    assert!(!longer.findings.iter().any(|f| f.starts_with("Size")), "{:?}", longer.findings);
    assert_eq!(longer.panels.iter().filter(|p| p.title.starts_with("Size of the data set · ")).count(), 4);
    let drop = ask("imagenet-v2", |e, t| quality(e) - if t.key == "Imagenetv2" { 0.1 } else { 0.0 });
    assert!(drop.findings[0].contains("-10."), "{:?}", drop.findings);
}

#[test]
fn the_first_the_order_and_the_few_follow_the_plan() {
    let winner = |e: &Encoder, _: &Task| if e.key == "PIRL_800" { 0.2 } else { quality(e) / 2.0 };
    let answer = ask("first", winner);
    assert_eq!(cell(&answer, "encoder", "PIRL ImageNet 800", "first places"), "21");
    assert_eq!(answer.table.rows.len(), 1, "nobody else comes first");
    let answer = ask("order", winner);
    assert_eq!(answer.table.rows[0][0], "PIRL ImageNet 800");
    assert_eq!(answer.table.rows[0][5], "", "no task decides about the first place");
    let one = ask("few", |e, _| 3.0 * quality(e));
    assert!(number(&one.table.rows[0][2]) > 0.95, "where all tasks agree one is enough");
    assert!(number(&ask("few", |_, _| 0.0).table.rows[0][2]) < 0.8, "where none agree one is not");
}
