//! Numbers that others published with an encoder's name: read, and never computed with. They are no scores: nothing
//! of what was run here is behind them, and each came about under rules of its own.

use crate::catalogue::rows::{Mistake, read};
use serde::Deserialize;
use std::sync::OnceLock;

/// Where numbers were published, and how they came about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Paper or program, and where in it.
    pub title: String,
    /// Its address.
    pub url: String,
    /// How its numbers came about.
    pub protocol: String,
    #[serde(rename = "number")]
    numbers: Vec<Number>,
}

/// A published number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task, which need not be in the catalogue.
    pub task: String,
    /// Data set and split, as people read them.
    pub dataset: String,
    /// Name of the metric, as people read it; the task's own where the number is comparable.
    pub metric: String,
    /// A share from 0 to 1.
    pub value: f64,
    /// Whether it came about nearly as the task's scores do, so that it may stand in the place of a missing one.
    #[serde(default)]
    pub comparable: bool,
    /// What differs from the task's scores, in sentences.
    pub differs: String,
}

/// A number and where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quoted<'a> {
    /// The number.
    pub number: &'a Number,
    /// Where it was published.
    pub source: &'a Source,
}

/// All numbers of an encoder, in the table's order.
pub fn of_encoder(encoder: &str) -> impl Iterator<Item = Quoted<'static>> {
    all().filter(move |q| q.number.encoder == encoder)
}

/// The comparable numbers of an encoder on a task; the first is the nearest to the task's scores.
pub fn comparable(encoder: &str, task: &str) -> impl Iterator<Item = Quoted<'static>> {
    of_encoder(encoder).filter(move |q| q.number.comparable && q.number.task == task)
}

fn all() -> impl Iterator<Item = Quoted<'static>> {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    let parse = || sources(TABLE).expect("the table is part of the program, and the tests read it");
    let sources: &'static [Source] = SOURCES.get_or_init(parse);
    sources.iter().flat_map(|source| source.numbers.iter().map(move |number| Quoted { number, source }))
}

const TABLE: &str = include_str!("../quoted.toml");

fn sources(text: &str) -> Result<Vec<Source>, Mistake> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        source: Vec<Source>,
    }
    read::<Table>(text).map(|table| table.source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use std::collections::HashSet;

    #[test]
    fn every_number_is_a_share_of_a_known_encoder_with_its_source() {
        let catalogue = Catalogue::builtin();
        let mut seen = HashSet::new();
        for Quoted { number: n, source } in all() {
            let name = format!("{} on {} of {}", n.encoder, n.task, source.title);
            assert!(catalogue.encoder(&n.encoder).is_some(), "{name}: no such encoder");
            assert!(n.value.is_finite() && n.value > 0.0 && n.value < 1.0, "{name}: {}", n.value);
            assert!(source.url.starts_with("https://") && !source.protocol.is_empty(), "{name}");
            assert!(n.differs.ends_with('.') && !n.dataset.is_empty() && !n.metric.is_empty(), "{name}");
            assert!(seen.insert(name.clone()), "{name} is there twice");
        }
        assert_eq!(seen.len(), 36);
    }

    #[test]
    fn comparable_ones_are_of_a_task_of_the_paper_and_its_metric() {
        let catalogue = Catalogue::builtin();
        let listed: HashSet<String> =
            catalogue.encoders_of("paper", &[], |_| false).iter().map(|e| e.key.clone()).collect();
        let mut cells = HashSet::new();
        for Quoted { number: n, .. } in all().filter(|q| q.number.comparable) {
            let task = catalogue.task(&n.task).expect("a task of the catalogue");
            assert_eq!((&*task.suite, task.metric.name()), ("paper", &*n.metric), "{} on {}", n.encoder, n.task);
            assert!(task.metric.is_share() && listed.contains(&n.encoder), "{} on {}", n.encoder, n.task);
            cells.insert((&n.encoder, &n.task));
        }
        assert_eq!((all().filter(|q| q.number.comparable).count(), cells.len()), (17, 16));
    }

    #[test]
    fn of_several_the_nearest_is_the_first() {
        let found: Vec<(f64, &str)> =
            comparable("Supervised", "Imagenet").map(|q| (q.number.value, &*q.source.title)).collect();
        assert_eq!(found, [(0.7412, "OpenSelfSup Model Zoo, ImageNet (Last)"), (0.761, "VISSL Model Zoo")]);
        assert_eq!(comparable("SimCLR_1000", "CIFAR-100").count(), 0, "whose weights these are is not known");
        assert_eq!(of_encoder("SimCLR_1000").count(), 5);
    }

    #[test]
    fn a_mistake_in_the_table_names_its_line() {
        let text = TABLE.replacen("comparable", "comparible", 2);
        let mistake = sources(&text).expect_err("refused").to_string();
        assert!(mistake.contains("did you mean `comparable`?"), "{mistake}");
    }
}
