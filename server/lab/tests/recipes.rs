//! What every built-in task trains is pinned: stored scores are found again by it.

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
