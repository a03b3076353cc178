//! Encoders, end tasks and published points as typed constants.

pub mod architecture;
pub mod encoder;
mod encoders_table;
pub mod metric;
pub mod published;
pub mod task;
mod tasks_table;

pub use encoders_table::ENCODERS;
pub use tasks_table::TASKS;

use encoder::Encoder;
use task::Task;

/// The encoder with this key.
#[must_use]
pub fn encoder(key: &str) -> Option<&'static Encoder> {
    ENCODERS.iter().find(|e| e.key == key)
}

/// The end task with this key.
#[must_use]
pub fn task(key: &str) -> Option<&'static Task> {
    TASKS.iter().find(|t| t.key == key)
}

/// The 1000 class names of ImageNet-1k in label order, as torchvision spells them.
pub fn imagenet_classes() -> impl Iterator<Item = &'static str> {
    include_str!("catalogue/imagenet_classes.txt").lines()
}

#[cfg(test)]
mod tests {
    use super::encoder::EncoderRole;
    use super::task::{Category, TaskRole};
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn counts_are_the_papers() {
        let role = |r| ENCODERS.iter().filter(|e| e.role == r).count();
        assert_eq!(role(EncoderRole::Paper), 30);
        assert_eq!(role(EncoderRole::Baseline) + role(EncoderRole::Extra), 3);
        let paper: Vec<_> = TASKS.iter().filter(|t| t.role == TaskRole::Paper).collect();
        assert_eq!(paper.len(), 20);
        let category = |c| paper.iter().filter(|t| t.category == c).count();
        assert_eq!(category(Category::ImageSemantic), 8);
        assert_eq!(category(Category::ImageStructural), 4);
        assert_eq!(category(Category::PixelSemantic), 3);
        assert_eq!(category(Category::PixelStructural), 5);
    }

    #[test]
    fn keys_are_unique_and_safe_in_addresses() {
        let keys: Vec<_> = ENCODERS.iter().map(|e| e.key).chain(TASKS.iter().map(|t| t.key)).collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        for key in keys {
            assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)), "{key}");
        }
    }

    #[test]
    fn published_points_belong_to_tasks() {
        for p in &published::PUBLISHED {
            let task = task(p.task).expect("a published task is in the catalogue");
            let (low, high) = p.range();
            assert!(low > 0.0 && high < 1.0 && low <= high, "{}: {low} to {high}", task.key);
        }
    }

    #[test]
    fn imagenet_has_a_thousand_names() {
        assert_eq!(imagenet_classes().count(), 1000);
        assert_eq!(imagenet_classes().nth(285), Some("Egyptian cat"));
    }
}
