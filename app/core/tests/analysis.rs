//! Thirty encoders on twenty tasks with planted effects: the analyses find those and no others.

mod common;

use common::{paper, world};
use virboard_core::analysis::Options;
use virboard_core::analysis::claims::checks;
use virboard_core::analysis::compare::compare;
use virboard_core::analysis::contrast::{Factor, contrasts};
use virboard_core::analysis::kinds::KINDS;
use virboard_core::analysis::profile::profile as profile_of;
use virboard_core::analysis::standing::standings;
use virboard_core::analysis::{Marks, Verdict};
use virboard_core::catalogue::encoder::{Method, Pretraining};
use virboard_core::catalogue::task::Category;
use virboard_core::run::Score;
use virboard_core::statistics::Interval;

/// Places helps structural tasks, MoCo v2 helps pixel-wise ones, epochs and balance do nothing.
fn planted() -> Vec<Score> {
    world(|encoder, task| {
        let structural = matches!(task.category, Category::ImageStructural | Category::PixelStructural);
        let pixel = matches!(task.category, Category::PixelSemantic | Category::PixelStructural);
        let places = if structural && encoder.pretraining == Pretraining::Places { 0.1 } else { 0.0 };
        places
            + match encoder.method {
                Method::MoCoV2 if pixel => 0.05,
                Method::SwAv if !pixel => 0.05,
                Method::Random => -0.2,
                _ => 0.0,
            }
    })
}

#[test]
fn planted_effects_are_found_and_no_others() {
    let results = planted();
    let matrix = paper(&results);
    assert_eq!(matrix.filled(), 33 * 21);
    let contrasts = contrasts(&matrix);
    let clear = |factor: Factor| {
        let own: Vec<_> = contrasts.iter().filter(|c| c.factor == factor).collect();
        let clear = own.iter().filter(|c| c.interval.is_some_and(|i| i.excludes_zero())).count();
        (clear, own.len())
    };
    for factor in [Factor::Epochs, Factor::Balance, Factor::Size] {
        let (clear, all) = clear(factor);
        assert!(all > 0 && 4 * clear <= all, "{factor:?}: {clear} of {all}");
    }
    for c in contrasts.iter().filter(|c| c.factor == Factor::Method) {
        if (&c.pair.0.method, &c.pair.1.method) == (&Method::SwAv, &Method::MoCoV2) {
            let of = |category: Category| c.categories[category as usize].expect("it has tasks");
            assert!(of(Category::PixelSemantic) > 0.5 && of(Category::ImageSemantic) < -0.5, "{c:?}");
        }
    }
    let places =
        contrasts.iter().filter(|c| c.factor == Factor::Dataset && c.pair.1.pretraining == Pretraining::Places);
    for c in places.filter(|c| c.pair.0.pretraining == Pretraining::ImageNet) {
        assert!(c.categories[Category::ImageStructural as usize].is_some_and(|v| v > 0.5), "{c:?}");
    }
    let verdict = |claim: &str| {
        let checks = checks(&matrix, Some((0.1, 0.4)));
        checks.iter().find(|c| c.claim.contains(claim)).map(|c| c.verdict)
    };
    assert_eq!(verdict("30 encoders"), Some(Verdict::Supported));
    assert_eq!(verdict("unbalanced"), Some(Verdict::Supported));
    assert_eq!(verdict("pixel-wise tasks, SwAV"), Some(Verdict::Supported));
    assert_eq!(verdict("Early and late"), Some(Verdict::Contradicted));
}

#[test]
fn places_have_intervals_and_leave_no_holes() {
    let mut results = planted();
    let full = standings(&paper(&results));
    assert_eq!((full.tasks.len(), full.places.len()), (21, 33));
    assert_eq!(full.places.last().map(|s| s.encoder.as_str()), Some("Random"));
    for s in &full.places {
        let i = s.interval.expect("many tasks");
        assert!(i.low <= s.mean_rank && s.mean_rank <= i.high, "{s:?}");
    }
    results.retain(|r| r.encoder != "PIRL_800" || r.task == "Pets");
    let holes = standings(&paper(&results));
    assert_eq!((holes.tasks.len(), holes.places.len()), (21, 32));
    assert_eq!(holes.left_out, [("PIRL_800".to_owned(), 1)]);
}

#[test]
fn every_analysis_answers_with_scores_and_explains_itself_without() {
    let mut results = planted();
    // As those that are measured have.
    for r in &mut results {
        r.interval = Some(Interval { low: r.value - 0.03, high: r.value + 0.03 });
    }
    for (results, empty) in [(&results[..], false), (&results[..0], true)] {
        let matrix = paper(results);
        for kind in KINDS.iter().filter(|k| k.slug != "layers") {
            let options = Options { fine_tuned: matrix.clone(), ..Options::default() };
            let answer = (kind.compute)(&matrix, &options);
            let explained = answer.missing.is_some() || kind.slug == "claims";
            assert!(if empty { explained } else { !answer.table.rows.is_empty() }, "{}: {answer:?}", kind.slug);
            assert!(answer.table.rows.iter().all(|r| r.len() == answer.table.columns.len()), "{}", kind.slug);
        }
    }
}

#[test]
fn seven_encoders_have_points_but_no_correlation_and_nobody_is_certain() {
    let all = planted();
    let mut keys: Vec<&str> = all.iter().map(|r| r.encoder.as_str()).collect();
    keys.dedup();
    let ask = |slug: &str, encoders: &[&str]| {
        let some: Vec<Score> = all.iter().filter(|r| encoders.contains(&r.encoder.as_str())).cloned().collect();
        (virboard_core::analysis::kinds::kind(slug).expect("an analysis").compute)(&paper(&some), &Options::default())
    };
    // Those with the least noise of all are on one line: SwAV's and MoCo v2's of the same data.
    let few: Vec<&str> = keys.iter().copied().take(7).collect();
    let answer = ask("imagenet", &few);
    assert_eq!(answer.panels.len(), 20, "the points are shown");
    assert!(answer.findings.is_empty(), "{:?}", answer.findings);
    assert!(answer.missing.is_some_and(|m| m.contains("All 20 tasks have scores of fewer than 8 encoders")));
    for panel in &answer.panels {
        let Marks::Scatter(series) = &panel.marks else { panic!("points") };
        assert!(series.iter().all(|s| s.dots.len() == 7 && s.line.is_none()), "{}", panel.title);
        assert!(!panel.title.contains("r ="), "{}", panel.title);
    }
    assert!(answer.table.rows.iter().all(|r| r[3..].iter().all(String::is_empty)), "{:?}", answer.table.rows);
    let answer = ask("correlation", &few);
    assert!(answer.table.rows.is_empty() && answer.panels.len() == 1);
    assert!(answer.missing.is_some_and(|m| m.contains("8 encoders each are needed")));
    let answer = ask("imagenet-v2", &few);
    assert!(answer.missing.is_some() && answer.findings.iter().all(|f| !f.contains("r =")), "{:?}", answer.findings);
    // With eight there is a line, and its probability is that of orders.
    let eight: Vec<&str> = keys.iter().copied().take(8).collect();
    let answer = ask("imagenet", &eight);
    assert!(answer.missing.is_none(), "{:?}", answer.missing);
    let p = |answer: &virboard_core::analysis::Analysis| -> Vec<String> {
        answer.table.rows.iter().flat_map(|r| [r[5].clone(), r[7].clone()]).collect()
    };
    for p in p(&answer) {
        let orders = p.parse::<f64>().expect("a number") * 40_320.0;
        assert!(orders >= 1.9, "{p} is no share of all orders");
    }
    // Of all, no probability is nothing.
    for p in p(&ask("imagenet", &keys)) {
        assert!(p == "< 0.0001" || p.parse::<f64>().is_ok_and(|p| p >= 0.0001), "{p}");
    }
}

#[test]
fn a_profile_names_what_was_planted() {
    let matrix = paper(&planted());
    let profile = profile_of(&matrix, "SWAVPlaces").expect("it has all scores");
    let of = |c: Category| profile.strengths.iter().find(|s| s.category == c).expect("all categories have scores");
    assert!(of(Category::ImageStructural).mean > 0.5 && of(Category::ImageStructural).place.0 <= 2);
    assert!(of(Category::PixelSemantic).mean < of(Category::PixelStructural).mean);
    assert!(profile.words()[1].starts_with("Strong on "), "{:?}", profile.words());
    // The other encoders of Places do the same on half of the tasks; its own method on the others.
    let nearest = &profile.nearest[0].0;
    assert!(nearest.pretraining == Pretraining::Places || nearest.method == Method::SwAv, "{}", nearest.key);
    assert_eq!(profile.nearest.len(), 5);
    assert_eq!(profile_of(&matrix, "nobody"), None);
    assert_eq!(profile_of(&paper(&[]), "SWAV_200"), None);
}

#[test]
fn encoders_side_by_side_win_where_they_were_planted_to() {
    let matrix = paper(&planted());
    let answer = compare(&matrix, &["SWAV_200", "MoCov2_200", "nobody", "SWAV_200"]);
    assert_eq!(answer.table.rows.len(), 21);
    assert_eq!(answer.table.columns.len(), 5, "each encoder once");
    let winner = |task: &str| answer.table.rows.iter().find(|r| r[0] == task).map(|r| r[4].clone());
    assert_eq!(winner("NYU Depth").as_deref(), Some("MoCov2 ImageNet 200"));
    assert_eq!(winner("Pets Cls.").as_deref(), Some("SwAV ImageNet 200"));
    assert!(answer.findings.iter().any(|f| f.contains("one thing only: training method")), "{:?}", answer.findings);
    assert!(compare(&matrix, &["SWAV_200"]).missing.is_some());
    assert!(compare(&paper(&[]), &["SWAV_200", "PIRL_800"]).missing.is_some());
}
