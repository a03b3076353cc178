//! What the paper's whole grid costs: 30 encoders on 20 tasks, from the sizes of the data sets,
//! the protocol and measured rates.
//!
//! Passes of an encoder: `images x (train + test)` where features are cached, and
//! `images x (train + test / 2) x epochs` where pictures are augmented anew for every epoch
//! (tested every second). Operations of a head: `2 x multiplications x (3 x train x epochs +
//! test)`, a step backward costing two forward. Hours: `passes / rate + operations / speed`.

use std::fmt;
use virboard_core::catalogue::task::{OutputKind, Task, TaskRole};
use virboard_core::catalogue::{ENCODERS, TASKS, encoder::EncoderRole};
use virboard_core::protocol::Protocol;
use virboard_lab::recipe::{HeadKind, recipe};

/// Channels and side of ResNet-50's maps for 224 x 224, the finest first.
const MAPS: [(f64, f64); 5] = [(64.0, 112.0), (256.0, 56.0), (512.0, 28.0), (1024.0, 14.0), (2048.0, 7.0)];
/// Length of its embedding.
const EMBEDDING: f64 = 2048.0;
/// Test samples for each training sample where the catalogue does not say.
const TEST_SHARE: f64 = 0.25;

/// How fast a device is.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Pictures of 224 x 224 that a ResNet-50 encodes in a second.
    pub pictures: f64,
    /// Operations of heads a second.
    pub operations: f64,
}

impl Rates {
    /// What one H100 is assumed to do in bfloat16, data at hand. Not measured.
    pub const H100: Self = Self { pictures: 3000.0, operations: 1e14 };

    /// A CPU that encodes so many pictures a second: heads reach the encoder's arithmetic.
    #[must_use]
    pub fn cpu(pictures: f64) -> Self {
        Self { pictures, operations: pictures * 8.2e9 * 0.75 }
    }

    fn hours(self, cost: &Cost) -> f64 {
        (cost.passes / self.pictures + cost.operations / self.operations) / 3600.0
    }
}

/// What a task costs with one encoder.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Pictures that go through the encoder.
    pub passes: f64,
    /// Operations of the head.
    pub operations: f64,
    /// Bytes of cached features, in half precision.
    pub bytes: f64,
}

impl Cost {
    /// The cost of `task` with one ResNet-50 encoder.
    #[must_use]
    pub fn of(task: &Task) -> Self {
        let recipe = recipe(task, Protocol::Standard);
        let (images, epochs) = (f64::from(task.images), f64::from(task.epochs.unwrap_or(0)));
        let train = f64::from(task.train_size.unwrap_or(10_000));
        let test = train * TEST_SHARE;
        let passes = if recipe.cached { images * (train + test) } else { images * (train + test / 2.0) * epochs };
        let multiplications = match recipe.head {
            HeadKind::Linear => EMBEDDING * f64::from(task.classes.unwrap_or(1)),
            HeadKind::MultiEmbedding => images * EMBEDDING * 512.0,
            HeadKind::DeepLab => 8e9,
            HeadKind::Pixelwise | HeadKind::Siamese => {
                decoder_multiplications(&MAPS.map(|(channels, side)| (side * side, channels)))
            }
        };
        let values = if task.kind == OutputKind::Classification {
            EMBEDDING
        } else {
            MAPS.iter().map(|(channels, side)| channels * side * side).sum()
        };
        Self {
            passes,
            operations: 2.0 * multiplications * (3.0 * train * epochs + test),
            bytes: if recipe.cached { 2.0 * values * images * (train + test) } else { 0.0 },
        }
    }
}

/// Multiplications of the pixel-wise decoder for maps of these pixels and channels, the finest
/// first: 3x3 convolutions to four times the next map's channels.
#[must_use]
pub fn decoder_multiplications(maps: &[(f64, f64)]) -> f64 {
    maps.windows(2).map(|m| m[1].0 * m[1].1 * 36.0 * m[0].1).sum()
}

/// The whole grid on a CPU of these rates and on one H100.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// Of this machine.
    pub here: Rates,
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoders = ENCODERS.iter().filter(|e| e.role == EncoderRole::Paper).count() as f64;
        writeln!(
            f,
            "| task, one encoder | pictures encoded | head, 1e15 operations | cached GB | hours here | on an H100 |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        let mut total = Cost::default();
        let line = |f: &mut fmt::Formatter<'_>, name: &str, cost: &Cost| {
            writeln!(
                f,
                "| {name} | {:.0} | {:.2} | {:.1} | {:.1} | {:.2} |",
                cost.passes,
                cost.operations / 1e15,
                cost.bytes / 1e9,
                self.here.hours(cost),
                Rates::H100.hours(cost)
            )
        };
        for task in TASKS.iter().filter(|t| t.role == TaskRole::Paper && t.epochs.is_some()) {
            let cost = Cost::of(task);
            line(f, task.key, &cost)?;
            total.passes += cost.passes;
            total.operations += cost.operations;
            total.bytes += cost.bytes;
        }
        line(f, "all", &total)?;
        let [passes, operations, bytes] = [total.passes, total.operations, total.bytes].map(|v| v * encoders);
        line(f, &format!("all, {encoders} encoders"), &Cost { passes, operations, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_core::catalogue::task;

    #[test]
    fn costs_follow_the_formula() {
        let pets = Cost::of(task("Pets").expect("a task"));
        assert_eq!(pets.passes, 3680.0 * 1.25);
        assert_eq!(pets.operations, 2.0 * 2048.0 * 37.0 * (3.0 * 3680.0 * 500.0 + 920.0));
        assert_eq!(pets.bytes, 2.0 * 2048.0 * 4600.0);
        // Six images a sample.
        let kinetics = Cost::of(task("KineticsActionPrediction").expect("a task"));
        assert_eq!(kinetics.passes, 6.0 * 62_500.0);
        // Augmented anew for every epoch: nothing is cached.
        let depth = Cost::of(task("TaskonomyDepth").expect("a task"));
        assert_eq!(depth.bytes, 0.0);
        assert_eq!(depth.passes, 39_995.0 * 1.125 * 50.0);
    }

    #[test]
    fn the_grid_is_a_table_with_all_tasks() {
        let table = Grid { here: Rates::cpu(60.0) }.to_string();
        assert_eq!(table.lines().count(), 2 + 20 + 2, "{table}");
        assert!(table.contains("all, 30 encoders"), "{table}");
    }
}
