use super::super::{Address, Board, Facts, content};
use super::Detail;
use std::sync::Arc;
use virboard_core::catalogue::Catalogue;
use virboard_core::explorer::{RunRow, Runs, State};
use virboard_core::run::{Epoch, Score};
use virboard_core::statistics::Interval;

fn facts(n: i64) -> Facts {
    let catalogue = Catalogue::builtin();
    let row = |id: i64| {
        let task = if id % 2 == 0 { "Pets" } else { "NYUDepth" };
        let failed = id % 5 == 0;
        RunRow {
            id,
            encoder: ["SWAV_800", "Random", "MoCov2_200"][(id % 3) as usize].into(),
            task: task.into(),
            metric: catalogue.task(task).map(|t| t.metric),
            state: if failed { State::Failed } else { State::Finished },
            reason: failed.then(|| "the disk is <full>".into()),
            started: 1_795_000_000 + id,
            seconds: Some(60.0 + id as f64),
            seed: (id % 4) as u64,
            key: format!("{:064x}", id / 12),
            settings: vec![("learning_rate".into(), "0.01".into()), ("optimiser".into(), "sgd".into())],
            epoch: Some(10),
            epochs: Some(20),
            score: (!failed).then_some(0.5 + id as f64 * 1e-4),
            interval: Some(Interval { low: 0.4, high: 0.7 }),
            ..RunRow::default()
        }
    };
    let epochs = |id: i64| -> Vec<Epoch> {
        let epoch = |e: u32| Epoch { epoch: e, train_loss: 2.0 / f64::from(e + id as u32), test_metric: Some(0.3) };
        (1..=10).map(epoch).collect()
    };
    let details =
        [3, 4, 8].map(|id| Detail { id, scores: vec![(Score::default(), false)], epochs: epochs(id), log: None });
    let board = Board { catalogue: catalogue.clone(), ..Board::default() };
    Facts {
        board: Arc::new(board),
        explored: Arc::new(Runs::new((1..=n).map(row).collect())),
        details: details.to_vec(),
        ..Facts::default()
    }
}

fn page(facts: &Facts, path: &str, query: &str) -> String {
    let made = content(&Address::new(path, query), facts);
    assert!(made.found, "{path}");
    assert!(!made.html.contains("NaN") && !made.html.contains("<full>"), "{path}?{query}");
    made.html
}

#[test]
fn a_page_of_the_table_is_short_and_says_how_many_there_are() {
    let facts = facts(450);
    let first = page(&facts, "/runs", "");
    assert_eq!(first.matches("class=\"pick\"").count(), 200);
    assert!(first.contains("1–200 of 450") && first.contains("450 runs"), "{first}");
    let last = page(&facts, "/runs", "page=3");
    assert_eq!(last.matches("class=\"pick\"").count(), 50);
    assert!(last.contains("401–450 of 450"));
    assert_eq!(page(&facts, "/runs", "all=1").matches("class=\"pick\"").count(), 450);
    // What is the same in all has no column.
    assert!(first.contains("The same in all of these") && first.contains("optimiser <b>sgd</b>"), "{first}");
    assert!(first.contains(">Seed<") && !first.contains(">optimiser<"));
}

#[test]
fn a_filter_that_is_not_understood_says_where_and_keeps_its_text() {
    let facts = facts(20);
    let made = page(&facts, "/runs", "q=state%3Afailed+lr%3C");
    assert!(made.contains("role=\"alert\"") && made.contains("Letter 17 of the filter: a value is missing"), "{made}");
    assert!(made.contains("value=\"state:failed lr&lt;\"") && !made.contains("class=\"pick\""), "{made}");
    let some = page(&facts, "/runs", "q=state%3Afailed");
    assert!(some.contains("4 of 20 runs") && some.matches("class=\"pick\"").count() == 4, "{some}");
}

#[test]
fn folded_seeds_show_mean_and_spread_and_lead_to_their_members() {
    let made = page(&facts(24), "/runs", "group=task&columns=task,score");
    assert_eq!(made.matches("class=\"pick\"").count(), 2);
    assert!(made.contains("12 runs</a>") && made.contains(" ± "), "{made}");
    assert!(made.contains("href=\"/runs?q=task%3DPets&amp;columns=task,score\""), "{made}");
}

#[test]
fn the_grid_shows_its_holes_and_leads_to_runs() {
    let mut facts = facts(24);
    let rows = facts.explored.rows().iter().filter(|r| r.encoder != "Random" || r.task != "Pets").cloned().collect();
    facts.explored = Arc::new(Runs::new(rows));
    let made = page(&facts, "/runs", "view=grid");
    assert_eq!(made.matches("class=\"hole\"").count(), 1);
    assert!(made.contains("1 pair has no such run.") && made.contains("/encoders/Random#Pets"), "{made}");
    assert!(made.contains("href=\"/runs?q=encoder%3DSWAV_800+task%3DPets\""), "{made}");
    assert!(page(&facts, "/runs", "view=grid&shade=score").contains("--share:58%"));
}

#[test]
fn compared_runs_show_what_differs_in_them_first() {
    let facts = facts(24);
    let made = page(&facts, "/runs/compare", "ids=3,4&ids=8,99");
    let (differs, same) = made.split_once("The same in all").expect("both");
    assert!(
        differs.contains(">Seed<") && !differs.contains("learning_rate") && same.contains("learning_rate"),
        "{made}"
    );
    assert!(made.contains("There is no run with the number 99."), "{made}");
    assert!(made.contains("Training loss") && made.contains("#4 Random Pets, epoch 3"), "{made}");
}

#[test]
fn a_run_has_its_reason_curve_settings_and_what_is_beside_it() {
    let facts = facts(24);
    let made = page(&facts, "/runs/4", "");
    for part in
        ["Run 4", "finished", "learning_rate", "Other seeds of the same settings", "Training loss", "baseline=4"]
    {
        assert!(made.contains(part), "{part}: {made}");
    }
    let failed = page(&facts, "/runs/5", "");
    assert!(failed.contains("the disk is &lt;full&gt;") && failed.contains("It has no score."), "{failed}");
    let beside = page(&facts, "/runs", "q=task%3DPets&baseline=4&columns=score");
    assert!(beside.contains("delta better") && beside.contains("delta worse"), "{beside}");
}
