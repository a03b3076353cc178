//! What evaluations cost, counted in one place: pictures through encoders, operations of heads,
//! bytes of features. From that follows what the paper's whole grid costs, 30 encoders on 20
//! tasks.
//!
//! Passes of an encoder: `images x (train + test)` where features are cached, and
//! `images x (train + test / 2) x epochs` where pictures are augmented anew for every epoch
//! (tested every second); `images x configurations x (3 x train x epochs + test)` where encoders are
//! trained along. Operations of a head: `2 x multiplications x (3 x train x epochs +
//! test)`, a step backward costing two forward. Hours: `passes / rate + operations / speed`.

use std::fmt;
use std::sync::Arc;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::encoder::EncoderRole;
use virboard_core::catalogue::task::{OutputKind, Task, TaskRole};
use virboard_core::protocol::Protocol;
use virboard_lab::recipe::{HeadKind, recipe};
use virboard_nn::encoder::Encoder;
use virboard_nn::network::multi_embedding::HIDDEN;

/// Test samples for each training sample where the catalogue does not say.
const TEST_SHARE: f64 = 0.25;
/// Classes where the catalogue does not say.
const CLASSES: u32 = 100;
/// Multiplications of DeepLab's head for a picture of 224 x 224.
const DEEPLAB: f64 = 8e9;
/// Multiplications of a head that ships, for the same.
const SLIM: f64 = 2e8;

/// What an encoder puts out, as far as costs depend on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs {
    /// Length of the embedding.
    pub embedding: f64,
    /// Pixels and channels of its maps, the finest first.
    pub maps: Vec<(f64, f64)>,
}

impl Outputs {
    /// Those of a ResNet-50 for pictures of 224 x 224.
    #[must_use]
    pub fn resnet50() -> Self {
        let maps = [(112.0, 64.0), (56.0, 256.0), (28.0, 512.0), (14.0, 1024.0), (7.0, 2048.0)];
        Self { embedding: 2048.0, maps: maps.map(|(side, channels)| (side * side, channels)).to_vec() }
    }

    /// Those of a network for pictures of its own input size.
    #[must_use]
    pub fn of(network: &dyn Encoder) -> Self {
        let width = f64::from(network.preprocessing().width);
        let map = |(stride, channels): (usize, usize)| ((width / stride as f64).powi(2), channels as f64);
        Self {
            embedding: network.embedding_len() as f64,
            maps: network.maps().iter().map(|m| map((m.stride, m.channels))).collect(),
        }
    }
}

/// What is trained and tested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amount {
    /// Training samples.
    pub train: f64,
    /// Test samples.
    pub test: f64,
    /// Passes over the training samples.
    pub epochs: f64,
    /// Heads that are trained side by side.
    pub heads: f64,
    /// Augmented views of each picture that are kept, where a task about pixels has a number.
    pub views: Option<f64>,
    /// Whether encoders are trained along with the heads.
    pub fine_tuned: bool,
}

impl Amount {
    /// What the paper does for a task.
    #[must_use]
    pub fn published(task: &Task) -> Self {
        let train = f64::from(task.train_size.unwrap_or(10_000));
        let epochs = f64::from(task.epochs.unwrap_or(0));
        Self { train, test: train * TEST_SHARE, epochs, heads: 1.0, views: None, fine_tuned: false }
    }
}

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

    /// How long something takes.
    #[must_use]
    pub fn seconds(self, cost: &Cost) -> f64 {
        cost.passes / self.pictures + cost.operations / self.operations
    }

    fn hours(self, cost: &Cost) -> f64 {
        self.seconds(cost) / 3600.0
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
    /// The cost of a task with one encoder.
    #[must_use]
    pub fn of(task: &Task, protocol: Protocol, outputs: &Outputs, amount: &Amount) -> Self {
        let recipe = recipe(task, protocol);
        let Amount { train, test, epochs, heads, views, fine_tuned } = *amount;
        let images = f64::from(task.images);
        let multiplications = match recipe.head {
            HeadKind::Linear => outputs.embedding * f64::from(task.classes.unwrap_or(CLASSES)),
            HeadKind::MultiEmbedding => images * outputs.embedding * HIDDEN as f64,
            HeadKind::DeepLab | HeadKind::Pixelwise | HeadKind::Siamese if recipe.slim => SLIM,
            HeadKind::DeepLab => DEEPLAB,
            // 3x3 convolutions to four times the next map's channels.
            HeadKind::Pixelwise | HeadKind::Siamese => {
                images * outputs.maps.windows(2).map(|m| m[1].0 * m[1].1 * 36.0 * m[0].1).sum::<f64>()
            }
        };
        let pixels = task.kind != OutputKind::Classification;
        let (passes, kept) = match views.filter(|_| pixels) {
            // Each head has an encoder of its own, and a step backward costs two forward.
            _ if fine_tuned => (images * heads * (3.0 * train * epochs + test), false),
            // Each view once, and the test samples, which are kept too.
            Some(views) => (images * (train * views.min(epochs).max(1.0) + test), true),
            None if recipe.cached => (images * (train + test), true),
            None => (images * (train + test / 2.0) * epochs.max(1.0), false),
        };
        let values =
            if pixels { outputs.maps.iter().map(|(area, channels)| area * channels).sum() } else { outputs.embedding };
        Self {
            passes,
            operations: 2.0 * multiplications * heads * (3.0 * train * epochs + test),
            bytes: if kept { 2.0 * values * passes } else { 0.0 },
        }
    }
}

/// The whole grid on a CPU of these rates and on one H100.
#[derive(Debug, Clone)]
pub struct Grid {
    /// Whose encoders and tasks.
    pub catalogue: Arc<Catalogue>,
    /// Of this machine.
    pub here: Rates,
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoders = self.catalogue.encoders().iter().filter(|e| e.role == EncoderRole::Paper).count() as f64;
        writeln!(
            f,
            "| task, one encoder | pictures encoded | head, 1e15 operations | cached GB | hours here | on an H100 |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        let mut total = Cost::default();
        let outputs = Outputs::resnet50();
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
        for task in self.catalogue.tasks().iter().filter(|t| t.role == TaskRole::Paper && t.epochs.is_some()) {
            let cost = Cost::of(task, Protocol::Standard, &outputs, &Amount::published(task));
            line(f, &task.key, &cost)?;
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
    use virboard_nn::encoder::Precision;

    #[test]
    fn costs_follow_the_formula() {
        let resnet = Outputs::resnet50();
        let catalogue = Catalogue::builtin();
        let published = |key: &str| {
            let task = catalogue.task(key).expect("a task");
            Cost::of(task, Protocol::Standard, &resnet, &Amount::published(task))
        };
        let pets = published("Pets");
        assert_eq!(pets.passes, 3680.0 * 1.25);
        assert_eq!(pets.operations, 2.0 * 2048.0 * 37.0 * (3.0 * 3680.0 * 500.0 + 920.0));
        assert_eq!(pets.bytes, 2.0 * 2048.0 * 4600.0);
        // Six images a sample.
        let kinetics = published("KineticsActionPrediction");
        assert_eq!(kinetics.passes, 6.0 * 62_500.0);
        // Augmented anew for every epoch: nothing is cached.
        let depth = published("TaskonomyDepth");
        assert_eq!(depth.bytes, 0.0);
        assert_eq!(depth.passes, 39_995.0 * 1.125 * 50.0);
        // Three views of each picture, encoded once and kept; two heads learn twice as much.
        let task = catalogue.task("TaskonomyDepth").expect("a task");
        let amount = Amount { views: Some(3.0), heads: 2.0, ..Amount::published(task) };
        let views = Cost::of(task, Protocol::Standard, &resnet, &amount);
        assert_eq!((views.passes, views.operations), (39_995.0 * 3.25, 2.0 * depth.operations));
        assert!(views.bytes > 0.0);
        // Two encoders that are trained for ten epochs each.
        let task = catalogue.task("Pets").expect("a task");
        let amount = Amount { fine_tuned: true, epochs: 10.0, heads: 2.0, ..Amount::published(task) };
        let tuned = Cost::of(task, Protocol::Standard, &resnet, &amount);
        assert_eq!((tuned.passes, tuned.bytes), (2.0 * (3.0 * 3680.0 * 10.0 + 920.0), 0.0));
    }

    #[test]
    fn an_estimate_counts_as_the_grid_does() {
        let network = virboard_nn::load::random("Random", &candle_core::Device::Cpu, Precision::F32).expect("built");
        assert_eq!(Outputs::of(&*network.network), Outputs::resnet50());
    }

    #[test]
    fn the_grid_is_a_table_with_all_tasks() {
        let table = Grid { catalogue: Catalogue::builtin(), here: Rates::cpu(60.0) }.to_string();
        assert_eq!(table.lines().count(), 2 + 20 + 2, "{table}");
        assert!(table.contains("all, 30 encoders"), "{table}");
    }
}
