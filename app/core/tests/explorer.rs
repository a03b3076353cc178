//! The explorer of runs on 2,000 generated ones: filters, order, groups, columns, facets, grid.

use virboard_core::catalogue::task::Metric;
use virboard_core::explorer::{
    Cell, Filter, Grid, Listing, NAMED, PAGE, Reading, RunRow, Runs, State, Value, View, facets, terms,
};
use virboard_core::run::Probe;
use virboard_core::statistics::Resampler;

const ENCODERS: [&str; 10] = [
    "SWAV_800",
    "SWAV_200",
    "SWAV_50",
    "MoCov2_800",
    "MoCov2_200",
    "PIRL",
    "Supervised",
    "Random",
    "SimCLR",
    "Mini_SWAV_800",
];
const TASKS: [&str; 10] =
    ["Pets", "dtd", "CIFAR-100", "NYUDepth", "Imagenet", "SUN", "Caltech", "EuroSAT", "KITTI", "Pets-Detection"];

/// Two thousand runs: ten encoders on ten tasks, four seeds of five settings.
fn generated() -> Runs {
    let mut random = Resampler::default();
    let mut rows = Vec::new();
    for (e, encoder) in ENCODERS.iter().enumerate() {
        for (t, task) in TASKS.iter().enumerate() {
            for (s, rate) in ["0.1", "0.01", "0.001", "0.0001", "1e-05"].iter().enumerate() {
                for seed in 0..4u64 {
                    let id = rows.len() as i64 + 1;
                    let state = match id % 50 {
                        0 => State::Failed,
                        1 => State::Running,
                        _ => State::Finished,
                    };
                    let done = state == State::Finished;
                    let metric = if *task == "NYUDepth" { Metric::L1 } else { Metric::Top1 };
                    rows.push(RunRow {
                        id,
                        job: format!("{encoder}-{task}"),
                        encoder: (*encoder).into(),
                        task: (*task).into(),
                        metric: Some(metric),
                        probe: if s == 4 { Probe::Knn } else { Probe::Head },
                        state,
                        reason: (state == State::Failed).then(|| format!("sample {id} cannot be read: disk full")),
                        device: "cpu".into(),
                        started: 1_795_000_000 + 600 * id,
                        finished: done.then_some(1_795_000_000 + 600 * id + 90),
                        seconds: done.then_some(90.0 + id as f64),
                        seed,
                        key: format!("{t}{s}"),
                        settings: vec![
                            ("optimiser".into(), "sgd".into()),
                            ("learning_rate".into(), (*rate).into()),
                            ("name".into(), format!("sgd {rate}")),
                        ],
                        epoch: Some(100),
                        epochs: Some(100),
                        loss: Some(0.1 + random.normal().abs()),
                        score: done.then_some(0.5 + 0.03 * e as f64 + 0.001 * seed as f64),
                        tags: if id % 100 == 3 { vec!["paper".into(), "final".into()] } else { Vec::new() },
                        ..RunRow::default()
                    });
                }
            }
        }
    }
    Runs::new(rows)
}

/// How many runs a filter lets through.
fn count(runs: &Runs, filter: &str) -> usize {
    Filter::parse(filter, runs).unwrap_or_else(|e| panic!("{filter}: {e}")).through(runs).len()
}

fn listing(runs: &Runs, change: impl FnOnce(&mut View)) -> Listing {
    let mut view = View::default();
    change(&mut view);
    Listing::of(runs, &view)
}

#[test]
fn every_part_of_the_filter_language_counts_as_it_says() {
    let runs = generated();
    for (filter, n) in [
        ("", 2000),
        ("  ", 2000),
        ("state:failed", 40),
        ("-state:failed", 1960),
        ("state:failed,running", 80),
        // A part of a name, and the whole of it.
        ("task:pets", 400),
        ("task=Pets", 200),
        ("task=pets,DTD", 400),
        ("task!=Pets,dtd", 1600),
        ("swav", 800),
        ("-swav -random", 1000),
        ("\"disk full\"", 40),
        ("encoder:/^swav_\\d+$/", 600),
        ("/MOCOV2_(8|2)00\\n/", 400),
        ("lr<0.01", 1200),
        ("lr<=0.01 lr>=0.01", 400),
        ("learning_rate=1e-5", 400),
        ("Learning_Rate>0.05", 400),
        ("score>=80% task:NYUDepth", count(&runs, "score>=0.8 task:NYUDepth")),
        ("seconds<2m", 28),
        ("seed=0 has:score", 480),
        ("-has:score", 80),
        ("tag:paper", 20),
        ("tag=final probe:knn", count(&runs, "tag:paper probe:knn")),
        ("-tag:paper", 1980),
        ("run=7", 1),
        ("id:7,8", 2),
        ("name=\"sgd 0.1\"", 400),
        ("started>=2026-11-20 started<2026-11-21", count(&runs, "started:2026-11-20")),
        ("probe:knn AND state:finished", count(&runs, "probe:knn state:finished")),
    ] {
        assert_eq!(count(&runs, filter), n, "{filter}");
    }
    let day = count(&runs, "started:2026-11-20");
    assert_eq!(day, 144, "a run every ten minutes");
}

#[test]
fn what_people_type_oddly_is_read_or_explained() {
    let runs = generated();
    // Spaces around signs.
    assert_eq!(count(&runs, "state: failed"), 40);
    assert_eq!(count(&runs, "lr < 0.01"), 1200);
    assert_eq!(count(&runs, "status==failed"), 40);
    for (filter, at, part) in [
        ("task:Pets \"swav", 11, "quote is not closed"),
        ("encoder:/swav", 9, "not closed: end it with /"),
        ("state:failed OR state:running", 14, "state:failed,interrupted"),
        ("- state:failed", 1, "directly before"),
        ("lr<", 4, "a value is missing behind lr<"),
        ("lr<small", 4, "“small” is no number"),
        ("encoder<5", 1, "encoder is a text"),
        ("taks:Pets", 1, "did you mean task?"),
        ("(task=Pets)", 1, "did you mean task?"),
        ("http://example.org", 1, "Put it in quotes"),
        ("é state:,failed", 9, "missing before the comma"),
        ("/(/", 1, "no regular expression"),
        ("started>yesterday", 9, "write 2026-11-28"),
        ("seconds>long", 9, "write 90s, 5m, 2h or 1d"),
        (":failed", 1, "without the name of a column"),
        ("has:nothing", 5, "no column “nothing”"),
        ("/(a{1000}){1000}/", 1, "no regular expression"),
    ] {
        let error = Filter::parse(filter, &runs).expect_err(filter);
        assert!(error.at == at && error.what.contains(part), "{filter}: {error}");
    }
    assert!(Filter::parse(&"x ".repeat(2000), &runs).is_err(), "an address ends somewhere");
}

#[test]
fn a_filter_is_written_as_it_is_read() {
    let runs = generated();
    for filter in [
        "state:failed -task=Pets,dtd lr<0.01 \"two words\" has:score -has:tag /a\\/b/ encoder:/x/,y run!=3",
        "name=\"say \\\"hi\\\"\" \"-minus\" \"a:b\" seconds>=2h",
    ] {
        let written = Filter::parse(filter, &runs).expect("read").to_string();
        assert_eq!(Filter::parse(&written, &runs).expect("read again").to_string(), written, "{filter}");
        assert_eq!(count(&runs, filter), count(&runs, &written), "{filter}");
    }
    let column = runs.reading("task").expect("a column");
    let both = Filter::parse("state:failed task:Pets", &runs).expect("read").toggled(&column, "dtd");
    assert_eq!(both.to_string(), "state:failed task=Pets,dtd");
    assert_eq!(both.toggled(&column, "Pets").toggled(&column, "dtd").to_string(), "state:failed");
    assert_eq!(both.only(&column, "SUN").to_string(), "state:failed task=SUN");
}

#[test]
fn lines_are_sorted_by_any_columns_and_what_is_missing_is_last() {
    let runs = generated();
    let newest = listing(&runs, |_| {});
    assert_eq!(newest.lines[0].only(&runs).map(|r| r.id), Some(2000), "the newest first");
    let sorted = listing(&runs, |v| v.sort = vec![("score".into(), true), ("run".into(), false)]);
    let scores: Vec<Option<f64>> = sorted.lines.iter().map(|l| l.only(&runs).and_then(|r| r.score)).collect();
    assert_eq!(scores.iter().flatten().count(), 1920);
    assert!(scores[1920..].iter().all(Option::is_none), "without a score at the end");
    assert!(scores[..1920].windows(2).all(|w| w[0] >= w[1]));
    let ids: Vec<i64> = sorted.lines[1920..].iter().filter_map(|l| l.only(&runs)).map(|r| r.id).collect();
    assert!(ids.windows(2).all(|w| w[0] < w[1]), "then by the second column");
    // By a setting: as numbers, not as texts.
    let rates = listing(&runs, |v| v.sort = vec![("lr".into(), false)]);
    assert_eq!(rates.lines[0].only(&runs).map(|r| r.setting("learning_rate")), Some(Value::Number(1e-5)));
    let named = listing(&runs, |v| v.sort = vec![("nothing".into(), false)]);
    assert_eq!((named.strangers, named.lines), (vec!["nothing".to_owned()], newest.lines));
}

#[test]
fn pages_cover_all_lines_once() {
    let runs = generated();
    let mut seen = Vec::new();
    for page in 0..10 {
        let made = listing(&runs, |v| v.page = page);
        assert_eq!(made.count, PAGE);
        seen.extend(made.page().iter().flat_map(|l| l.runs.clone()));
    }
    assert_eq!(seen, (0..2000).collect::<Vec<_>>());
    assert_eq!(listing(&runs, |v| v.page = 99).from, 1800, "the last page there is");
    assert_eq!(listing(&runs, |v| v.whole = true).count, 2000);
    assert_eq!(listing(&runs, |v| v.filter = "run=0".into()).count, 0);
}

#[test]
fn seeds_are_folded_to_mean_and_spread_and_a_click_shows_their_members() {
    let runs = generated();
    let made = listing(&runs, |v| {
        v.group = vec!["seeds".into()];
        v.sort = vec![("score".into(), false)];
    });
    assert_eq!(made.lines.len(), 500);
    let score = runs.reading("score").expect("a column");
    let mut whole = 0;
    for line in &made.lines {
        let members = Filter::parse(&made.members(line), &runs).expect("a filter").through(&runs);
        assert_eq!(members, line.runs);
        if let Cell::Mean { mean, deviation, n: 4 } = line.cell(&score, &runs) {
            let first = line.rows(&runs).find_map(|r| (r.seed == 0).then_some(r.score)?).expect("a score");
            assert!((mean - first - 0.0015).abs() < 1e-9, "{mean}");
            // Of 0, 1, 2 and 3 thousandths.
            assert!((deviation.expect("four") - 0.001_290_994_448_735).abs() < 1e-12);
            whole += 1;
        }
    }
    assert_eq!(whole, 440, "the others have a run without a score");
    let means: Vec<f64> = made
        .lines
        .iter()
        .filter_map(|l| if let Value::Number(n) = l.cell(&score, &runs).value() { Some(n) } else { None })
        .collect();
    assert!(means.windows(2).all(|w| w[0] <= w[1]), "groups are sorted by their means");
    // Scores of different tasks have no mean.
    let encoders = listing(&runs, |v| v.group = vec!["encoder".into()]);
    assert_eq!(encoders.lines.len(), 10);
    assert!(matches!(encoders.lines[0].cell(&score, &runs), Cell::Several(_)));
    assert_eq!(encoders.lines[0].states(&runs), [(State::Running, 4), (State::Finished, 192), (State::Failed, 4)]);
    // What has no value is a group of its own.
    let reasons = listing(&runs, |v| v.group = vec!["tag".into()]);
    assert_eq!(reasons.lines.len(), 2);
    assert_eq!(reasons.lines[0].members, "-has:tag");
}

#[test]
fn only_columns_that_differ_are_shown_unless_others_are_asked_for() {
    let runs = generated();
    let names = |l: &Listing| l.columns.iter().map(|c| c.name().to_owned()).collect::<Vec<_>>();
    let one = listing(&runs, |v| v.filter = "encoder=PIRL task=Pets lr=0.01 state=finished".into());
    assert_eq!(names(&one)[..5], ["run", "state", "encoder", "task", "score"]);
    assert!(names(&one).contains(&"seed".to_owned()) && !names(&one).contains(&"learning_rate".to_owned()));
    let common: Vec<(&str, &str)> = one.common.iter().map(|(c, v)| (c.name(), v.as_str())).collect();
    assert!(common.contains(&("learning_rate", "0.01")) && common.contains(&("probe", "head")), "{common:?}");
    assert!(!common.iter().any(|c| c.0 == "reason"), "what nobody has is not told");
    let all = listing(&runs, |_| {});
    assert!(names(&all).contains(&"learning_rate".to_owned()) && !names(&all).contains(&"optimiser".to_owned()));
    let asked = listing(&runs, |v| v.columns = vec!["optimiser".into(), "lr".into(), "optimiser".into(), "no".into()]);
    assert_eq!(
        (names(&asked), asked.strangers),
        (vec!["optimiser".to_owned(), "learning_rate".into()], vec!["no".to_owned()])
    );
    assert_eq!(listing(&runs, |v| v.columns = vec!["all".into()]).hidden.len(), 0);
}

#[test]
fn facets_count_what_a_click_would_leave() {
    let runs = generated();
    let filter = Filter::parse("state=failed,running task=Pets,dtd", &runs).expect("read");
    let all = facets(&runs, &filter);
    for facet in &all {
        for (value, n, _) in &facet.values {
            let clicked = filter.only(&facet.column, value);
            assert_eq!(clicked.through(&runs).len(), *n, "{clicked}");
        }
    }
    let state = all.iter().find(|f| f.column.name() == "state").expect("a facet");
    let chosen: Vec<&str> = state.values.iter().filter(|v| v.2).map(|v| v.0.as_str()).collect();
    assert_eq!((state.values.len(), chosen.len()), (3, 2), "the others can still be chosen");
    assert!(!all.iter().any(|f| f.column.name() == "device"), "one value is no choice");
    let terms = terms(&runs, &all);
    for (term, _) in terms.iter().filter(|(t, _)| !t.ends_with([':', '>', '='])) {
        assert!(Filter::parse(term, &runs).is_ok(), "{term}");
    }
    assert!(terms.iter().any(|t| t.0 == "task:CIFAR-100") && terms.iter().any(|t| t.0 == "learning_rate="));
}

#[test]
fn the_grid_has_the_best_of_each_pair_and_holes_where_nothing_ran() {
    let runs = generated();
    let all = Filter::parse("-job=PIRL-Pets -job=PIRL-dtd", &runs).expect("read").through(&runs);
    let grid = Grid::of(&runs, &all, &["Random", "PIRL"], &["NYUDepth"]);
    assert_eq!((grid.encoders.len(), grid.tasks.len(), grid.holes()), (10, 10, 2));
    assert_eq!((&*grid.encoders[0], &*grid.encoders[1], &*grid.encoders[2]), ("Random", "PIRL", "Mini_SWAV_800"));
    assert_eq!(grid.tasks[0], "NYUDepth");
    let place = |keys: &[String], key: &str| keys.iter().position(|k| k == key).expect("a key");
    let cell = |e: &str, t: &str| grid.cell(place(&grid.encoders, e), place(&grid.tasks, t)).copied();
    assert_eq!(cell("PIRL", "Pets"), None);
    // The encoder whose scores are the largest is the best on Pets and the worst in depth, an error.
    let (pets, depth) =
        (cell("Mini_SWAV_800", "Pets").expect("runs"), cell("Mini_SWAV_800", "NYUDepth").expect("runs"));
    assert_eq!((pets.share, depth.share, pets.count()), (Some(1.0), Some(0.0), 20));
    assert_eq!(runs.get(pets.run).and_then(|r| r.score), pets.best);
    assert!(grid.cells.iter().flatten().all(|c| c.count() == 20 && c.share.is_some_and(|s| (0.0..=1.0).contains(&s))));
    assert_eq!(Grid::of(&runs, &[], &[], &[]), Grid::default());
}

#[test]
fn views_with_a_name_are_understood() {
    let runs = generated();
    for named in NAMED {
        let pairs: Vec<(&str, &str)> =
            named.query.trim_start_matches('?').split('&').filter_map(|p| p.split_once('=')).collect();
        let view = View::from_query(|key| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned()));
        let made = Listing::of(&runs, &view);
        assert!(made.error.is_none() && made.strangers.is_empty(), "{}", named.name);
    }
    assert_eq!(runs.reading("lr"), Some(Reading::Setting("learning_rate".into())));
}
