//! Published numbers stand in cells without a score, and nothing follows from them.

mod common;

use common::{paper, result, world};
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::published::quoted::comparable;
use virboard_core::leaderboard::{Quote, Sheet, Show, View, Wish};
use virboard_core::run::Score;

fn sheet(results: &[Score]) -> Sheet {
    let catalogue = Catalogue::builtin();
    Sheet::of(&catalogue, catalogue.suite("paper").expect("a suite"), results, &[], |_| false)
}

/// (encoder, task, value) of all quotes.
fn quotes(sheet: &Sheet) -> Vec<(String, String, f64)> {
    let of = |c: &virboard_core::leaderboard::Column| {
        let one = |q: &Quote| (sheet.rows[q.row].key.clone(), c.key.clone(), q.value);
        c.quotes.iter().map(one).collect::<Vec<_>>()
    };
    sheet.columns.iter().flat_map(of).collect()
}

/// All of the paper's scores but those that others published.
fn open_where_published() -> Vec<Score> {
    let published = |s: &Score| comparable(&s.encoder, &s.task).next().is_some();
    world(|_, _| 0.0).into_iter().filter(|s| !published(s)).collect()
}

#[test]
fn a_quote_stands_where_there_is_no_score() {
    let empty = quotes(&sheet(&[]));
    assert_eq!(empty.len(), 16);
    assert!(empty.contains(&("Supervised".into(), "Imagenet".into(), 0.7412)), "the nearest of several: {empty:?}");
    let mut virb = result("SWAV_800", "dtd", 0.0);
    virb.evidence.protocol = virboard_core::protocol::Protocol::Virb;
    let some = quotes(&sheet(&[result("Supervised", "Imagenet", 0.1), virb]));
    assert_eq!(some.len(), 14, "any score hides it, also one of 0");
    assert!(some.iter().all(|q| empty.contains(q)), "{some:?}");
    assert!(!some.iter().any(|q| (q.0.as_str(), q.1.as_str()) == ("SWAV_800", "dtd")));
    assert_eq!(quotes(&sheet(&world(|_, _| 0.0))), []);
}

#[test]
fn a_quote_says_what_it_is() {
    let s = sheet(&[]);
    let row = |key: &str| s.rows.iter().position(|r| r.key == key).expect("a row");
    let imagenet = s.columns.iter().find(|c| c.key == "Imagenet").expect("a column");
    let about = &imagenet.quote(row("Supervised")).expect("a quote").about;
    for words in ["74.1 % top-1", "not measured here", "linear head on the embedding", "OpenSelfSup", "first of 2"] {
        assert!(about.contains(words), "{words}: {about}");
    }
    assert_eq!(imagenet.quote(row("SimCLR_1000")), None);
    assert!(!imagenet.quote(row("PIRL_800")).expect("a quote").about.contains("first of"));
}

/// Everything that a reader can ask of a sheet, as text.
fn answers(s: &Sheet) -> Vec<String> {
    let mut said = vec![format!("{:?} {} {:?} {}", s.base(), s.filled(), s.coverage, s.page_rows())];
    said.extend(s.rows.iter().map(|r| format!("{:?}", r.place)));
    for c in &s.columns {
        for r in 0..s.rows.len() {
            let relative = s.base().and_then(|b| c.relative(r, b));
            let numbers = (c.rank(r), c.rank_between(r), c.of(r), c.heat(r).to_bits());
            said.push(format!("{numbers:?} {relative:?} {:?} {:?}", c.normalised(r, s.base()), c.normalised(r, None)));
        }
        for (show, reverse) in Show::ALL.into_iter().flat_map(|show| [(show, false), (show, true)]) {
            let view = View { sort: vec![(c.key.clone(), reverse)], show, ..View::default() };
            said.push(format!("{:?} {:?} {:?}", s.page(&view), s.ordered(&view), s.extract(&view)));
        }
        let wish = Wish { tasks: vec![(c.key.clone(), 4)], ..Wish::default() };
        let advice = s.advise(&wish);
        said.push(format!("{advice:?} {:?}", s.recommended(&advice).map(|c| c.row)));
    }
    said
}

#[test]
fn nothing_follows_from_quotes() {
    for results in [Vec::new(), open_where_published(), world(|_, _| 0.0)] {
        let as_it_is = sheet(&results);
        let (mut none, mut absurd) = (as_it_is.clone(), as_it_is.clone());
        for (without, with) in none.columns.iter_mut().zip(&mut absurd.columns) {
            without.quotes.clear();
            let best = |row| Quote { row, value: 1e6 * (row + 1) as f64, about: "the best of all".into() };
            with.quotes = (0..with.scores.len()).map(best).collect();
        }
        let said = answers(&none);
        assert!(said.len() > 21 * 33, "{}", said.len());
        for (name, other) in [("as it is", &as_it_is), ("absurd", &absurd)] {
            for (with, without) in answers(other).iter().zip(&said) {
                assert_eq!(with, without, "{name}, {} scores", results.len());
            }
        }
    }
}

#[test]
fn no_export_and_no_analysis_has_one() {
    let results = open_where_published();
    let (s, matrix) = (sheet(&results), paper(&results));
    let found = quotes(&s);
    assert_eq!(found.len(), 16);
    let extract = s.extract(&View::default());
    for (encoder, task, _) in &found {
        let column = extract.columns.iter().position(|c| c.0 == *task).expect("a column");
        let row = extract.rows.iter().find(|r| r.0 == *encoder).expect("a row");
        assert_eq!(row.2[column], (None, String::new()), "{encoder} on {task}");
        assert_eq!(matrix.good_of(encoder, task), None, "{encoder} on {task}");
    }
    assert_eq!((matrix.filled(), s.filled()), (results.len(), results.len()));
}

#[test]
fn they_travel_to_the_browser_and_cost_nothing_where_there_are_none() {
    let s = sheet(&[]);
    let text = serde_json::to_string(&s).expect("JSON");
    let read: Sheet = serde_json::from_str(&text).expect("a sheet");
    assert_eq!(quotes(&read), quotes(&s));
    assert_eq!(text.matches("\"quotes\"").count(), 3, "of three tasks");
}
