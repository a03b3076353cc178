//! The leaderboard's sheets under views, on made-up scores.

mod common;

use common::{paper, result};
use virboard_core::analysis::standing::standings;
use virboard_core::catalogue::encoder::{Method, Pretraining};
use virboard_core::catalogue::task::{Category, Metric};
use virboard_core::catalogue::{Catalogue, Suite};
use virboard_core::leaderboard::{Advice, Column, Row, Sheet, Show, View, Wish, Withheld};
use virboard_core::protocol::Protocol;
use virboard_core::run::Score;
use virboard_core::statistics::Interval;

fn sheet(results: &[Score]) -> Sheet {
    sheet_of("paper", results, |_| false)
}

fn sheet_of(suite: &str, results: &[Score], here: impl Fn(&str) -> bool) -> Sheet {
    let catalogue = Catalogue::builtin();
    let suite = catalogue.suite(suite).expect("a suite");
    Sheet::of(&catalogue, suite, results, &[], here)
}

fn sorted(by: &str, reverse: bool) -> View {
    View { sort: vec![(by.to_owned(), reverse)], ..View::default() }
}

fn keys<'a>(sheet: &'a Sheet, view: &View) -> Vec<&'a str> {
    sheet.page(view).rows.into_iter().map(|r| sheet.rows[r].key.as_str()).collect()
}

#[test]
fn an_empty_sheet_has_all_rows_and_columns() {
    let s = sheet(&[]);
    assert_eq!((s.rows.len(), s.columns.len(), s.filled(), s.base()), (33, 21, 0, None));
    assert_eq!(s.page(&View::default()).rows.len(), 33);
    assert!(s.coverage.is_empty());
    let samples = sheet_of("miniature", &[], |key| key == "OpenNsfw");
    let ready: Vec<(&str, bool)> = samples.rows.iter().map(|r| (r.key.as_str(), r.ready)).collect();
    assert_eq!(ready, [("EfficientNetLite0", false), ("OpenNsfw", true)]);
}

#[test]
fn filters_narrow_and_ranks_stay() {
    let results =
        [result("SWAV_800", "NYUDepth", 0.5), result("MoCov2_800", "NYUDepth", 0.4), result("Random", "NYUDepth", 0.9)];
    let s = sheet(&results);
    let view = View { method: Some("swav".into()), ..View::default() };
    let page = s.page(&view);
    assert!(page.rows.iter().all(|r| s.rows[*r].method == Method::SwAv));
    let column = s.columns.iter().find(|c| c.key == "NYUDepth").expect("a column");
    let row = s.rows.iter().position(|r| r.key == "SWAV_800").expect("a row");
    assert_eq!((column.rank(row), column.of(row)), (2, 3), "less is better");
    assert!((column.heat(row) - 0.8).abs() < 1e-9);
    assert_eq!(keys(&s, &View { search: "swav PLACES".into(), ..View::default() }), ["SWAVPlaces"]);
}

#[test]
fn scores_of_two_protocols_are_not_ranked_together() {
    let mut other = result("SWAV_800", "Pets", 0.9);
    other.evidence.protocol = Protocol::Virb;
    let s = sheet(&[other, result("MoCov2_800", "Pets", 0.7), result("Random", "Pets", 0.2)]);
    let column = s.columns.iter().find(|c| c.key == "Pets").expect("a column");
    let rank = |key: &str| {
        let row = s.rows.iter().position(|r| r.key == key).expect("a row");
        (column.rank(row), column.of(row), column.virb(row))
    };
    assert_eq!((rank("SWAV_800"), rank("MoCov2_800"), rank("Random")), ((1, 1, true), (1, 2, false), (2, 2, false)));
}

#[test]
fn encoders_without_a_score_come_last_both_ways() {
    let s = sheet(&[result("SWAV_800", "Pets", 0.5), result("MoCov2_800", "Pets", 0.7)]);
    assert_eq!(keys(&s, &sorted("Pets", false))[..2], ["MoCov2_800", "SWAV_800"]);
    assert_eq!(keys(&s, &sorted("Pets", true))[..2], ["SWAV_800", "MoCov2_800"]);
    let both = View { sort: vec![("method".into(), false), ("epochs".into(), false)], ..View::default() };
    assert_eq!(keys(&s, &both)[0], "MoCov1_200", "by method, then the longest training first");
}

#[test]
fn places_order_the_sheet_unless_something_else_is_asked() {
    let s = sheet(&[
        result("SWAV_800", "Pets", 0.5),
        result("MoCov2_800", "Pets", 0.7),
        result("Supervised", "Pets", 0.6),
        result("SWAV_800", "NYUDepth", 0.5),
        result("MoCov2_800", "NYUDepth", 0.4),
        result("Supervised", "NYUDepth", 0.45),
    ]);
    assert_eq!(keys(&s, &View::default())[..3], ["MoCov2_800", "Supervised", "SWAV_800"]);
    assert!(s.coverage.contains("2 tasks"), "{}", s.coverage);
    let base = s.base().expect("Supervised has scores");
    let depth = s.columns.iter().find(|c| c.key == "NYUDepth").expect("a column");
    let best = s.rows.iter().position(|r| r.key == "MoCov2_800").expect("a row");
    assert!((depth.relative(best, base).expect("both have scores") - 0.05 / 0.45).abs() < 1e-12);
    assert_eq!(depth.normalised(base, Some(base)), Some(0.0));
    let text = serde_json::to_string(&s).expect("JSON");
    assert_eq!(serde_json::from_str::<Sheet>(&text).expect("a sheet").columns[0].scores, s.columns[0].scores);
}

#[test]
fn two_thousand_encoders_come_in_pages() {
    let n = 2000;
    let rows = (0..n).map(|i| Row {
        key: format!("e{i}"),
        name: format!("Encoder {i}"),
        method: Method::SwAv,
        pretraining: Pretraining::ImageNet,
        epochs: None,
        commercial: true,
        ready: false,
        baseline: false,
        place: None,
    });
    let column = |t: usize| {
        let scores = (0..n).map(|i| Some((i * 7919 + t * 104_729) as f64 % 1009.0 / 1009.0)).collect();
        Column::new(&format!("t{t}"), "Task", Category::ALL[t % 4], Metric::Top1, scores)
    };
    let s = Sheet {
        suite: Suite::named("Many"),
        rows: rows.collect(),
        columns: (0..100).map(column).collect(),
        coverage: String::new(),
    };
    let page = s.page(&View { page: 124, ..sorted("t5", false) });
    assert_eq!((page.found, page.pages, page.page, page.rows.len()), (n, 125, 124, 16));
    let all = s.ordered(&sorted("t5", false));
    let score = |r: usize| s.columns[5].scores[r].expect("a score");
    assert!(all.windows(2).all(|w| score(w[0]) >= score(w[1])));
    assert_eq!(s.page(&View { page: 999, ..View::default() }).page, 124, "beyond the end is the last");
}

#[test]
fn an_extract_holds_what_is_seen() {
    let s = sheet(&[
        result("SWAV_800", "Pets", 0.5),
        result("Supervised", "Pets", 0.4),
        result("SWAV_800", "NYUDepth", 0.3),
        result("Supervised", "NYUDepth", 0.4),
    ]);
    let view = View {
        show: Show::Relative,
        folded: vec![Category::PixelStructural],
        hidden: s.columns.iter().map(|c| c.key.clone()).filter(|k| k != "Pets").collect(),
        search: "imagenet 800 swav".into(),
        ..View::default()
    };
    let extract = s.extract(&view);
    let columns: Vec<&str> = extract.columns.iter().map(|c| c.0.as_str()).collect();
    assert_eq!(columns, ["mean_rank", "Pets", "pixel-structural"]);
    assert_eq!(extract.rows.len(), 1);
    let texts: Vec<&str> = extract.rows[0].2.iter().map(|v| v.1.as_str()).collect();
    assert_eq!(texts, ["1.0", "+25.0", "1.0"]);
}

#[test]
fn advice_follows_the_wish() {
    let mut results = Vec::new();
    // SwAV names things better, MoCo measures depth better; Random does neither.
    for (encoder, things, depth) in
        [("SWAV_800", 0.8, 0.5), ("MoCov2_800", 0.7, 0.3), ("Supervised", 0.75, 0.45), ("Random", 0.1, 0.9)]
    {
        for task in ["Pets", "CalTech-101", "dtd", "Eurosat"] {
            results.push(result(encoder, task, things));
        }
        for task in ["NYUDepth", "THORDepth", "TaskonomyDepth"] {
            results.push(result(encoder, task, depth));
        }
    }
    results.push(result("PIRL_800", "Pets", 0.9));
    let s = sheet(&results);
    let first = |query: &[(&str, &str)]| {
        let get = |key: &str| query.iter().find(|q| q.0 == key).map(|q| q.1.to_owned());
        let advice = s.advise(&Wish::from_query(&s, get));
        let best = &advice.candidates[0];
        (s.rows[best.row].key.clone(), best.wins, advice)
    };
    let (semantic, wins, advice) = first(&[("pixel-structural", "0")]);
    assert_eq!((semantic.as_str(), advice.tasks.len(), advice.incomplete), ("SWAV_800", 4, 1));
    assert!((wins - 1.0).abs() < 1e-9, "it is best on every one of these tasks");
    assert_eq!(first(&[("image-semantic", "0"), ("pixel-structural", "4")]).0, "MoCov2_800");
    assert_eq!(first(&[("image-semantic", "0"), ("method", "swav")]).0, "SWAV_800");
    // SwAV's and MoCo's own checkpoints are licensed for non-commercial use.
    assert_eq!(first(&[("pixel-structural", "0"), ("commercial", "1")]).0, "Supervised");
    let one = [("pixel-structural", "0"), ("task-CalTech-101", "0"), ("task-dtd", "0"), ("task-Eurosat", "0")];
    assert_eq!(first(&one).0, "PIRL_800", "with Pets alone all have what counts");
    let none = s.advise(&Wish { categories: [0; 4], ..Wish::default() });
    assert!(none.candidates.is_empty());
    assert!(sheet(&[]).advise(&Wish::default()).candidates.is_empty());
}

#[test]
fn few_encoders_or_a_baseline_are_no_recommendation() {
    let all = Catalogue::builtin();
    let encoders: Vec<String> = all.encoders_of("paper", &[], |_| false).iter().map(|e| e.key.clone()).collect();
    let (baselines, others): (Vec<String>, Vec<String>) =
        encoders.into_iter().partition(|e| e == "Supervised" || e == "Random");
    assert_eq!(baselines.len(), 2);
    let advice = |n: usize, supervised: f64| {
        let mut results: Vec<Score> =
            others[..n].iter().enumerate().map(|(i, e)| result(e, "Pets", 0.5 + i as f64 / 100.0)).collect();
        results.push(result("Supervised", "Pets", supervised));
        let s = sheet(&results);
        let advice = s.advise(&Wish::default());
        assert_eq!((advice.compared, advice.candidates.len()), (n + 1, n + 1), "the order is there all the same");
        s.recommended(&advice).map(|c| s.rows[c.row].key.clone())
    };
    assert_eq!(advice(8, 0.1), Err(Withheld::Few));
    assert_eq!(advice(9, 0.1), Ok(others[8].clone()));
    assert_eq!(advice(9, 0.9), Err(Withheld::Baseline));
    // A choice of few is one where many were compared.
    let results: Vec<Score> = others[..12].iter().map(|e| result(e, "Pets", e.len() as f64 / 100.0)).collect();
    let s = sheet(&results);
    let advice = s.advise(&Wish { method: Some("moco-v2".into()), ..Wish::default() });
    assert!(advice.candidates.len() < 10 && s.recommended(&advice).is_ok() != advice.candidates.is_empty());
    assert_eq!(s.recommended(&Advice::default()), Err(Withheld::Nothing));
}

#[test]
fn uncertain_scores_make_places_uncertain() {
    let scores = [("SWAV_800", 0.52), ("MoCov2_800", 0.50), ("Random", 0.10)];
    let tasks = ["Pets", "CIFAR-100", "dtd"];
    let cells = |half: f64| -> Vec<Score> {
        let cell = |e: &str, t: &str, s: f64| {
            let interval = (half > 0.0).then_some(Interval { low: s - half, high: s + half });
            Score { interval, ..result(e, t, s) }
        };
        tasks.iter().flat_map(|t| scores.map(|(e, s)| cell(e, t, s))).collect()
    };
    let places = |half: f64| {
        let s = standings(&paper(&cells(half)));
        (s.sampled, scores.map(|(e, _)| s.of(e).and_then(|s| s.places).map(|i| (i.low, i.high))))
    };
    // Every draw of tasks has the same order.
    assert_eq!(places(0.0), (false, [Some((1.0, 1.0)), Some((2.0, 2.0)), Some((3.0, 3.0))]));
    assert_eq!(places(0.08), (true, [Some((1.0, 2.0)), Some((1.0, 2.0)), Some((3.0, 3.0))]));
    let one = standings(&paper(&cells(0.08)[..3]));
    assert!(one.of("Random").is_some_and(|s| s.places.is_some()), "one task is enough if its samples are known");
}
