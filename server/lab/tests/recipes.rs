//! What every built-in task trains is pinned: stored scores are found again by it.

use serde_json::Value;
use std::fmt::Write;
use virboard_core::catalogue::Catalogue;
use virboard_core::protocol::Protocol;
use virboard_lab::recipe::recipe;
use virboard_lab::train::Configuration;

#[test]
fn tasks_train_what_they_always_did() {
    let mut said = String::new();
    for task in Catalogue::builtin().tasks() {
        for protocol in [Protocol::Standard, Protocol::Virb] {
            let c = Configuration::published(task, 0, protocol);
            let trained = format!("{:?} {}", c.schedule, c.standardise);
            let settings = if c.epochs > 0 { trained } else { "not trained".to_owned() };
            writeln!(said, "{} {} {:?} {settings}", task.key, protocol.name(), recipe(task, protocol))
                .expect("written");
        }
    }
    let pinned = include_str!("vectors/recipes.txt");
    assert_eq!(pinned.lines().count(), 2 * 29);
    for (said, pinned) in said.lines().zip(pinned.lines()) {
        assert_eq!(said, pinned);
    }
    assert_eq!(said.lines().count(), pinned.lines().count());
}

#[test]
fn the_samples_settings_are_those_of_the_shipped_scores() {
    let shipped = flate2::read::GzDecoder::new(&include_bytes!("../../samples/results.json.gz")[..]);
    let shipped: Value = serde_json::from_reader(shipped).expect("JSON");
    let catalogue = Catalogue::builtin();
    let mut compared = 0;
    for row in shipped.as_array().expect("a list") {
        let result = &row["result"];
        if result["provenance"]["probe"] != "head" {
            continue;
        }
        let task = catalogue.task(result["task"].as_str().expect("a key")).expect("a task");
        let settings = Configuration::published(task, 0, Protocol::Standard);
        assert_eq!(
            serde_json::to_string(&settings).expect("JSON"),
            result["provenance"]["configuration"],
            "{}",
            task.key
        );
        compared += 1;
    }
    assert!(compared >= 16, "{compared}");
}
