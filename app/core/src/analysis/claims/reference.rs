//! The paper's published points as scores of encoders without names, for claims that need none.

use crate::analysis::Matrix;
use crate::catalogue::Catalogue;
use crate::catalogue::encoder::Encoder;
use crate::catalogue::published::{PUBLISHED, Published, published};
use crate::catalogue::rows;
use crate::protocol::Protocol;
use crate::run::Score;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// Points with the same ImageNet score are taken for one encoder; Supervised alone is known. Its accuracies are those
/// that were read off the figure.
pub fn points() -> Matrix {
    let catalogue = Catalogue::builtin();
    // A ten-thousandth of a share is more than the figure was read to.
    let place = |imagenet: f64| (1e4 * imagenet).round() as i64;
    let known = PUBLISHED.iter().filter_map(Published::supervised_point).map(|(_, imagenet)| place(imagenet)).max();
    let mut encoders: BTreeMap<i64, Arc<Encoder>> = BTreeMap::new();
    let mut scores = Vec::new();
    for task in &PUBLISHED {
        for (value, imagenet) in task.points {
            let place = place(*imagenet);
            let key = if Some(place) == known { "Supervised".to_owned() } else { format!("Point{place}") };
            if let Entry::Vacant(row) = encoders.entry(place) {
                let own = catalogue.encoder(&key).cloned();
                let anonymous = || rows::encoder(&format!("key = \"{key}\"\nname = \"{key}\"")).ok().map(Arc::new);
                let Some(encoder) = own.or_else(anonymous) else { continue };
                row.insert(encoder);
                scores.push(score(&key, "Imagenet", *imagenet));
            }
            if task.task != "Imagenet" {
                scores.push(score(&key, task.task, *value));
            }
        }
    }
    let tasks = catalogue.tasks_of("paper");
    let tasks = tasks.into_iter().filter(|t| t.key == "Imagenet" || published(&t.key).is_some()).collect();
    Matrix::with(&scores, encoders.into_values().collect(), tasks, Some(Protocol::default()))
}

fn score(encoder: &str, task: &str, value: f64) -> Score {
    Score { encoder: encoder.to_owned(), task: task.to_owned(), value, ..Score::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_one_encoder_are_one_row() {
        let all = points();
        assert!((20..=40).contains(&all.encoders.len()), "{}", all.encoders.len());
        assert!(all.tasks.len() >= 20 && all.filled() > 400, "{} {}", all.tasks.len(), all.filled());
        let supervised = all.encoder("Supervised").expect("known");
        let pets = all.task("PetsDetection").expect("a task");
        assert_eq!(all.score(supervised, pets), Some(0.9366));
        assert_eq!(all.score(supervised, all.task("Imagenet").expect("a task")), Some(0.7503));
    }
}
