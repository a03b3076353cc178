//! Encoders after several numbers of epochs, and trained along with the head.

mod common;

use common::{paper, result, world};
use std::sync::Arc;
use virboard_core::analysis::course::courses;
use virboard_core::analysis::kinds::kind;
use virboard_core::analysis::{Analysis, Marks, Matrix, Options};
use virboard_core::catalogue::encoder::{Encoder, Method};
use virboard_core::catalogue::task::{Category, Task};
use virboard_core::catalogue::{Catalogue, rows};
use virboard_core::run::Score;
use virboard_core::statistics::Interval;

/// The cells of the first row in which the columns `keys` are `names`.
fn cells<'a>(answer: &'a Analysis, keys: [&str; 2], names: [&str; 2]) -> &'a [String] {
    let at = |c: &str| answer.table.columns.iter().position(|o| o == c).unwrap_or_else(|| panic!("no column {c}"));
    let fits = |r: &&Vec<String>| keys.iter().zip(names).all(|(k, n)| r[at(k)] == n);
    answer.table.rows.iter().find(fits).unwrap_or_else(|| panic!("no row {names:?} in {:?}", answer.table.rows))
}

fn column(answer: &Analysis, name: &str) -> usize {
    answer.table.columns.iter().position(|c| c == name).unwrap_or_else(|| panic!("no column {name}"))
}

/// SwAV leads early and MoCo v2 late on structural tasks; on the others SwAV leads all the time.
fn overtaken(e: &Encoder, t: &Task) -> f64 {
    let structural = matches!(t.category, Category::ImageStructural | Category::PixelStructural);
    let epochs = f64::from(e.epochs.unwrap_or_default());
    match e.method {
        Method::MoCoV2 if structural && epochs > 300.0 => 0.3,
        Method::SwAv => 0.1,
        _ => 0.0,
    }
}

fn epochs(results: &[Score]) -> Analysis {
    (kind("epochs").expect("an analysis").compute)(&paper(results), &Options::default())
}

#[test]
fn a_method_that_overtakes_another_turns_the_order_on_those_tasks_alone() {
    let results = world(overtaken);
    let answer = epochs(&results);
    let matrix = paper(&results);
    let structural = matrix.tasks.iter().filter(|t| overtaken_task(t)).count();
    assert!(structural > 5 && structural < 16, "{structural}");
    let pair = answer.findings.iter().find(|f| f.starts_with("SwAV and MoCo v2 on ImageNet:")).expect("a pair");
    let wanted = format!(
        "SwAV is ahead on 21 of 21 tasks after 50 epochs and on {} after 800; the order turns on {structural}.",
        21 - structural
    );
    assert!(pair.ends_with(&wanted), "{pair} is not {wanted}");
    // Pairs on all data sets that both methods were trained on with 100 and 200 epochs add orders that stay.
    let head = &answer.findings[0];
    assert!(head.contains(&format!(" {structural} turn between")) && head.contains("Kendall’s τ = 0."), "{head}");
    assert!(answer.missing.is_none(), "{:?}", answer.missing);
}

fn overtaken_task(t: &Task) -> bool {
    matches!(t.category, Category::ImageStructural | Category::PixelStructural)
}

#[test]
fn lines_are_a_method_and_data_set_each_through_their_epochs() {
    let answer = epochs(&world(|e, _| f64::from(e.epochs.unwrap_or_default()) / 1600.0));
    // All tasks together, and each of them.
    assert_eq!(answer.panels.len(), 22);
    let (mut lines, mut dots) = (0, 0);
    for panel in &answer.panels {
        let Marks::Lines { traces, doubling } = &panel.marks else { panic!("lines") };
        assert!(*doubling && panel.legend.len() == traces.len(), "{}", panel.title);
        for trace in traces {
            lines += 1;
            assert!(
                trace.dots.windows(2).all(|w| w[0].x < w[1].x && w[0].y < w[1].y),
                "{}: more is better",
                panel.title
            );
            assert!(trace.dots.len() > 1 && trace.dots.iter().all(|d| d.y.is_finite()));
            dots += trace.dots.len();
        }
    }
    assert!(lines >= 22 * 2 && dots > 22 * 8, "{lines} lines, {dots} points");
    let swav = answer.panels[0].legend.iter().position(|l| l == "SwAV, ImageNet").expect("the paper's own rows");
    let Marks::Lines { traces, .. } = &answer.panels[1].marks else { panic!("lines") };
    let swav = traces.iter().find(|t| t.look == swav).expect("its line");
    assert_eq!(swav.dots.iter().map(|d| d.x).collect::<Vec<_>>(), [50.0, 100.0, 200.0, 800.0]);
    assert!(answer.findings.iter().any(|f| f.starts_with("SwAV, ImageNet: From 50 to 800 epochs scores rise on 21")));
}

/// A catalogue with encoders that were made here, each `key method epochs run`.
fn made(rows_of: &[&str]) -> Arc<Catalogue> {
    let mut catalogue = (*Catalogue::builtin()).clone();
    for row in rows_of {
        let parts: Vec<&str> = row.split(' ').collect();
        let text = format!(
            "key = \"{}\"\nmethod = \"{}\"\ndata = \"birds\"\nepochs = {}\narchitecture = \"resnet18\"\nrecord = \"pretraining/{}.json\"\n",
            parts[0], parts[1], parts[2], parts[3]
        );
        catalogue.add_encoder(rows::encoder(&text).expect("a row")).expect("added");
    }
    Arc::new(catalogue)
}

#[test]
fn kept_epochs_of_two_runs_are_two_lines_and_runs_of_their_own_are_one() {
    // Two runs of SimCLR with kept epochs; two of PIRL that ended after other epochs, and one of these again.
    let catalogue = made(&[
        "A_5 SimCLR 5 A",
        "A SimCLR 20 A",
        "B_5 SimCLR 5 B",
        "B SimCLR 20 B",
        "P5 PIRL 5 P5",
        "P20 PIRL 20 P20",
        "Q20 PIRL 20 Q20",
    ]);
    let score = |e: &str, v: f64| result(e, "Pets", v);
    let results = [
        score("A_5", 0.2),
        score("A", 0.5),
        score("B_5", 0.3),
        score("B", 0.4),
        score("P5", 0.25),
        score("P20", 0.5),
        score("Q20", 0.7),
    ];
    let matrix = Matrix::of(&catalogue, &results, "paper", None);
    let all = courses(&matrix);
    let names: Vec<String> = all.iter().map(virboard_core::analysis::course::Course::name).collect();
    assert_eq!(names, ["PIRL, birds", "SimCLR (A), birds", "SimCLR (B), birds"]);
    let pets = matrix.task("Pets").expect("a task");
    let scores = |i: usize| all[i].scored(&matrix, pets).iter().map(|(p, m)| (p.epochs, m.good)).collect::<Vec<_>>();
    assert_eq!(scores(0), [(5, 0.25), (20, 0.6)], "the mean of two runs");
    assert_eq!(scores(1), [(5, 0.2), (20, 0.5)]);
    assert!(all[0].has(matrix.encoder("Q20").expect("a row")) && !all[0].has(matrix.encoder("A").expect("a row")));
    // PIRL leads A all the time, and is overtaken by neither; B leads early.
    let answer = (kind("epochs").expect("an analysis").compute)(&matrix, &Options::default());
    let turns: Vec<bool> = ["(A)", "(B)"]
        .iter()
        .map(|run| {
            let said = answer.findings.iter().find(|f| f.starts_with("PIRL and") && f.contains(run)).expect("a pair");
            said.ends_with("turns on 1.")
        })
        .collect();
    assert_eq!(turns, [false, true], "{:?}", answer.findings);
    assert!(
        !answer.findings.iter().any(|f| f.starts_with("SimCLR (A) and SimCLR")),
        "two runs of a method are no two methods"
    );
    // Every encoder has its row.
    let row = cells(&answer, ["encoder", "task"], ["Q20", "Pets Cls."]);
    assert_eq!((row[column(&answer, "score")].as_str(), row[column(&answer, "change")].as_str()), ("70.0", "+45.0"));
    assert_eq!(answer.table.rows.len(), 7);
}

#[test]
fn one_line_is_shown_and_nothing_is_compared() {
    let results = [result("SWAV_50", "Pets", 0.4), result("SWAV_800", "Pets", 0.5)];
    let answer = epochs(&results);
    assert_eq!((answer.panels.len(), answer.findings.len()), (1, 1), "{:?}", answer.findings);
    assert!(answer.missing.is_some_and(|m| m.contains("no rankings to compare yet")));
    // Other tasks or other numbers of epochs are no line.
    let apart = epochs(&[result("SWAV_50", "Pets", 0.4), result("SWAV_800", "CIFAR-100", 0.5)]);
    assert!(apart.panels.is_empty() && apart.missing.is_some_and(|m| m.contains("keep: [5, 10]")));
}

/// Fine-tuned scores beside frozen ones.
fn compared(frozen: &[Score], tuned: &[Score]) -> Analysis {
    let options = Options { fine_tuned: paper(tuned), ..Options::default() };
    (kind("fine-tuned").expect("an analysis").compute)(&paper(frozen), &options)
}

#[test]
fn an_order_that_is_reversed_by_fine_tuning_is_told() {
    let quality = |e: &Encoder| {
        f64::from(e.key.bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b))) % 101) / 300.0
    };
    let frozen = world(|e, _| quality(e));
    let tuned = world(|e, t| if t.key == "Pets" { 0.8 - quality(e) } else { 0.4 + quality(e) });
    let answer = compared(&frozen, &tuned);
    assert_eq!((answer.panels.len(), answer.table.rows.len()), (21, 33 * 21));
    let said = |task: &str| answer.findings.iter().find(|f| f.starts_with(&format!("{task}:"))).expect("a task");
    let kendall = |task: &str| -> f64 {
        let text = said(task).split("τ = ").nth(1).and_then(|t| t.split(';').next()).expect("a number");
        text.parse().expect("a number")
    };
    assert!(
        kendall("Pets Cls.") < -0.8 && kendall("CIFAR-100 Cls.") > 0.8,
        "{} {}",
        said("Pets Cls."),
        said("CIFAR-100 Cls.")
    );
    assert!(said("Pets Cls.").contains("Spearman’s -0.9"), "{}", said("Pets Cls."));
    // Errors are turned round: 0.4 less of a depth's error is better.
    let row = cells(&answer, ["encoder", "task"], ["SwAV ImageNet 800", "NYU Depth"]);
    let number = |c: &str| row[column(&answer, c)].parse::<f64>().expect("a number");
    assert!(
        (number("difference") - (number("frozen") - number("fine-tuned"))).abs() < 0.002 && number("difference") > 0.3
    );
    for panel in &answer.panels {
        let Marks::Scatter(series) = &panel.marks else { panic!("points") };
        assert!(
            series[0].level && series[0].dots.len() == 33 && series[0].dots.iter().all(|d| d.y > d.x),
            "{}",
            panel.title
        );
    }
    assert!(
        answer.missing.is_none() && answer.findings[0].contains("better in 693 of 693 cases, and worse in 0"),
        "{}",
        answer.findings[0]
    );
}

#[test]
fn intervals_tell_what_is_firm() {
    let with = |encoder: &str, value: f64, half: f64| {
        let interval = Some(Interval { low: value - half, high: value + half });
        Score { interval, ..result(encoder, "Pets", value) }
    };
    let frozen = [with("SWAV_200", 0.5, 0.02), with("PIRL_800", 0.6, 0.02)];
    let tuned = [with("SWAV_200", 0.8, 0.02), with("PIRL_800", 0.61, 0.02)];
    let answer = compared(&frozen, &tuned);
    assert!(answer.findings[0].contains("better in 2 of 2 cases, 1 of 2 beyond the spread"), "{}", answer.findings[0]);
    assert!(
        answer.findings[0].ends_with("Most of all SwAV ImageNet 200 on Pets Cls.: +30.0 points."),
        "{}",
        answer.findings[0]
    );
    let order = &answer.findings[1];
    assert!(order.contains("PIRL ImageNet 800 is best frozen, SwAV ImageNet 200 fine-tuned"), "{order}");
    assert!(order.contains("1 of 1 pairs of encoders change places, 1 of them beyond the spread"), "{order}");
    let row = cells(&answer, ["encoder", "task"], ["SwAV ImageNet 200", "Pets Cls."]);
    let cell = |c: &str| row[column(&answer, c)].as_str();
    // 2 points each are 2.8 together.
    assert_eq!((cell("difference"), cell("low"), cell("high")), ("+30.0", "+27.2", "+32.8"));
    assert_eq!((cell("place frozen"), cell("place fine-tuned")), ("2", "1"));
}

#[test]
fn what_has_no_frozen_score_is_listed_and_said() {
    let answer = compared(
        &[result("SWAV_200", "Pets", 0.5)],
        &[result("SWAV_200", "Pets", 0.7), result("PIRL_800", "Pets", 0.6)],
    );
    assert!(
        answer.missing.as_ref().is_some_and(|m| m.starts_with("1 of 2 fine-tuned scores have no frozen one")),
        "{:?}",
        answer.missing
    );
    let row = cells(&answer, ["encoder", "task"], ["PIRL ImageNet 800", "Pets Cls."]);
    assert_eq!(row[column(&answer, "fine-tuned")], "60.0");
    assert!(["frozen", "difference", "place frozen"].iter().all(|c| row[column(&answer, c)].is_empty()));
    let none = compared(&[result("SWAV_200", "Pets", 0.5)], &[]);
    assert!(none.table.rows.is_empty() && none.missing.is_some_and(|m| m.contains("--finetune”")));
}
