//! What a task trains and measures: head, loss, metric and view of the pictures (paper,
//! sections 3.2 and 3.3; ViRB's runner).

use crate::data::{Dataset, Split};
use crate::head::Architecture;
use crate::score::metric::{Scoring, rules};
use crate::train::augment::{Extra, View};
use crate::train::loss::Loss;
use crate::{Error, Result};
pub use virboard_core::catalogue::task::HeadKind;
use virboard_core::catalogue::task::{Augmentation, OutputKind, Task, TaskRole};
use virboard_core::protocol::Protocol;
use virboard_nn::load::LoadedEncoder;
use virboard_nn::network::deeplab::Shape;
use virboard_nn::network::{multi_embedding, pixelwise};

/// The recipe of one task under one protocol.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Kind of head.
    pub head: HeadKind,
    /// Whether the head is the small variant that ships.
    pub slim: bool,
    /// Training loss.
    pub loss: Loss,
    /// Metric.
    pub scoring: Scoring,
    /// How pictures are seen.
    pub view: View,
    /// Whether features are encoded once, without augmentation.
    pub cached: bool,
    /// Numbers that the head puts out, where they are not one a label.
    pub channels: Option<usize>,
    /// Factor from the head's output to the task's unit.
    pub scale: f32,
}

/// The recipe of a task.
#[must_use]
pub fn recipe(task: &Task, protocol: Protocol) -> Recipe {
    let virb = protocol == Protocol::Virb;
    let one_class = rules(task.metric).one_class;
    let loss = match task.kind {
        OutputKind::Segmentation if one_class => Loss::BinaryCrossEntropy,
        OutputKind::Classification | OutputKind::Segmentation => Loss::CrossEntropy { first: task.first_weight },
        OutputKind::Depth | OutputKind::Flow => Loss::L1,
    };
    let grey = virb && task.grey_flow;
    let channels = match task.kind {
        OutputKind::Segmentation if one_class => Some(1),
        OutputKind::Depth => Some(1),
        OutputKind::Flow => Some(if grey { 1 } else { 2 }),
        OutputKind::Classification | OutputKind::Segmentation => None,
    };
    let extra = match task.augmentation {
        Augmentation::None => Extra::None,
        Augmentation::Scale => Extra::Scale { unscaled_origin: virb },
        Augmentation::Labelled => Extra::Hands,
    };
    Recipe {
        head: task.head,
        slim: task.slim,
        loss,
        scoring: Scoring { metric: task.metric, skip_zero: task.skip_zero, void_zero: task.void_zero },
        view: task.crop.map_or(View::Squash, |crop| View::Whole { crop, extra }),
        cached: !task.augment,
        channels,
        // Grey values are shares.
        scale: if grey { 1.0 } else { task.scale },
    }
}

/// The size in whose pixels motion is learned, so that a photo of another size gets motion in its own pixels: what the
/// task says, or for a declared task the size of the first training picture.
///
/// # Errors
/// Where that picture cannot be read.
pub fn reference(task: &Task, dataset: &dyn Dataset) -> Result<Option<(u32, u32)>> {
    let is_open = task.kind == OutputKind::Flow && task.role == TaskRole::Declared && task.reference.is_none();
    if !is_open || dataset.len(Split::Train) == 0 {
        return Ok(task.reference);
    }
    Ok(Some(dataset.sample(Split::Train, 0)?.pictures[0].dimensions()))
}

impl Recipe {
    /// The same with the scale that fits a data set whose values have a typical size.
    #[must_use]
    pub fn fitted(self, dataset: &dyn Dataset) -> Self {
        Self { scale: dataset.typical_value().unwrap_or(self.scale), ..self }
    }

    /// The head's architecture over an encoder.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the encoder has no maps of the strides that the head needs.
    pub fn architecture(&self, encoder: &LoadedEncoder, images: usize, protocol: Protocol) -> Result<Architecture> {
        let network = encoder.description();
        let channels: Vec<usize> = network.maps.iter().map(|m| images * m.channels).collect();
        Ok(match self.head {
            HeadKind::Linear => Architecture::Linear { input: network.embedding },
            HeadKind::MultiEmbedding => {
                let hidden = if self.slim { 64 } else { multi_embedding::HIDDEN };
                Architecture::MultiEmbedding { input: images * network.embedding, hidden }
            }
            HeadKind::Pixelwise => {
                let slim = self.slim.then(|| pixelwise::slim(&network.maps));
                Architecture::Pixelwise { channels, slim }
            }
            HeadKind::Siamese => {
                let one = || network.maps.iter().map(|m| m.channels).collect();
                let slim = Some(if self.slim { pixelwise::slim(&network.maps) } else { one() });
                Architecture::Pixelwise { channels, slim }
            }
            HeadKind::DeepLab => {
                let shape =
                    if self.slim { Shape::slim(network) } else { Shape::virb(network, protocol == Protocol::Virb) };
                Architecture::DeepLab(shape.ok_or_else(|| {
                    let reason = "DeepLab's head works on maps of strides 4 and 16, which it does not have";
                    Error::Unsupported(format!("{} ({}): {reason}", encoder.key, network.architecture))
                })?)
            }
        })
    }
}
