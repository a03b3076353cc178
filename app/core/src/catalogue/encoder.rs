//! What is known of an encoder before it is run.

use super::architecture::Architecture;
use serde::{Deserialize, Serialize};

/// How an encoder was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// SwAV (Caron et al. 2020).
    SwAv,
    /// MoCo (He et al. 2019).
    MoCoV1,
    /// MoCo v2 (Chen et al. 2020).
    MoCoV2,
    /// PIRL (Misra and van der Maaten 2019).
    Pirl,
    /// SimCLR (Chen et al. 2020).
    SimClr,
    /// Trained with labels.
    Supervised,
    /// Not trained at all.
    Random,
}

impl Method {
    /// All methods, in the order in which filters offer them.
    pub const ALL: [Self; 7] =
        [Self::SwAv, Self::MoCoV1, Self::MoCoV2, Self::Pirl, Self::SimClr, Self::Supervised, Self::Random];

    /// The paper's spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SwAv => "SwAV",
            Self::MoCoV1 => "MoCo v1",
            Self::MoCoV2 => "MoCo v2",
            Self::Pirl => "PIRL",
            Self::SimClr => "SimCLR",
            Self::Supervised => "Supervised",
            Self::Random => "Random",
        }
    }

    /// Short form for addresses (`?method=moco-v2`).
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::SwAv => "swav",
            Self::MoCoV1 => "moco-v1",
            Self::MoCoV2 => "moco-v2",
            Self::Pirl => "pirl",
            Self::SimClr => "simclr",
            Self::Supervised => "supervised",
            Self::Random => "random",
        }
    }
}

/// What an encoder was trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pretraining {
    /// ImageNet-1k, 1.3 million images.
    ImageNet,
    /// Half of ImageNet, balanced classes.
    HalfImageNet,
    /// A quarter of ImageNet, balanced classes.
    QuarterImageNet,
    /// Half of ImageNet, class sizes falling linearly.
    LinearImageNet,
    /// A quarter of ImageNet, class sizes falling exponentially.
    LogImageNet,
    /// Places365.
    Places,
    /// Kinetics-400 frames.
    Kinetics,
    /// Taskonomy.
    Taskonomy,
    /// A quarter of each of ImageNet, Places, Kinetics and Taskonomy.
    Combination,
    /// A data set that was never published.
    Proprietary,
    /// Nothing: random weights.
    Nothing,
}

impl Pretraining {
    /// All data sets, in the order in which filters offer them.
    pub const ALL: [Self; 11] = [
        Self::ImageNet,
        Self::HalfImageNet,
        Self::QuarterImageNet,
        Self::LinearImageNet,
        Self::LogImageNet,
        Self::Places,
        Self::Kinetics,
        Self::Taskonomy,
        Self::Combination,
        Self::Proprietary,
        Self::Nothing,
    ];

    /// Display name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ImageNet => "ImageNet",
            Self::HalfImageNet => "ImageNet ½",
            Self::QuarterImageNet => "ImageNet ¼",
            Self::LinearImageNet => "ImageNet ½ linear",
            Self::LogImageNet => "ImageNet ¼ log",
            Self::Places => "Places",
            Self::Kinetics => "Kinetics",
            Self::Taskonomy => "Taskonomy",
            Self::Combination => "Combination",
            Self::Proprietary => "proprietary",
            Self::Nothing => "none",
        }
    }

    /// Short form for addresses (`?dataset=half-imagenet`).
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::ImageNet => "imagenet",
            Self::HalfImageNet => "half-imagenet",
            Self::QuarterImageNet => "quarter-imagenet",
            Self::LinearImageNet => "linear-imagenet",
            Self::LogImageNet => "log-imagenet",
            Self::Places => "places",
            Self::Kinetics => "kinetics",
            Self::Taskonomy => "taskonomy",
            Self::Combination => "combination",
            Self::Proprietary => "proprietary",
            Self::Nothing => "none",
        }
    }
}

/// The layout of a checkpoint file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// ViRB's own `.pt`: keys start with `model.`.
    Virb,
    /// SwAV's `.pth.tar`: keys start with `module.`.
    Swav,
    /// MoCo's `.pth.tar`: keys start with `module.encoder_q.`.
    Moco,
    /// VISSL's `.torch`: the trunk lies at `classy_state_dict.base_model.model.trunk`.
    Pirl,
    /// SimSiam and SimCLR: keys start with `module.encoder.`.
    SimClr,
    /// torchvision's own names at the top level.
    Torchvision,
    /// safetensors with any of the prefixes above.
    Safetensors,
}

/// The licence of the repository that publishes an encoder's weights. Terms of the data that it
/// was trained on may narrow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Licence {
    /// MIT.
    Mit,
    /// Apache-2.0.
    Apache2,
    /// BSD-2-Clause.
    Bsd2,
    /// BSD-3-Clause.
    Bsd3,
    /// Creative Commons Attribution-NonCommercial 4.0.
    CcByNc4,
}

impl Licence {
    /// Its SPDX name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mit => "MIT",
            Self::Apache2 => "Apache-2.0",
            Self::Bsd2 => "BSD-2-Clause",
            Self::Bsd3 => "BSD-3-Clause",
            Self::CcByNc4 => "CC-BY-NC-4.0",
        }
    }

    /// Whether it allows commercial use.
    #[must_use]
    pub const fn commercial(self) -> bool {
        !matches!(self, Self::CcByNc4)
    }
}

/// Why an encoder is in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EncoderRole {
    /// One of the paper's 30.
    Paper,
    /// A baseline of the paper.
    Baseline,
    /// In ViRB's experiment lists only.
    Extra,
    /// Ships with Virboard.
    Sample,
}

/// An encoder of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Encoder {
    /// ViRB's key; also the checkpoint's file name.
    pub key: &'static str,
    /// The paper's name.
    pub name: &'static str,
    /// Training method.
    pub method: Method,
    /// Training data.
    pub pretraining: Pretraining,
    /// Training images, where known.
    pub images: Option<u32>,
    /// Training epochs, where known.
    pub epochs: Option<u32>,
    /// The network.
    pub architecture: Architecture,
    /// Layout of the published checkpoint.
    pub format: Format,
    /// Public address of the checkpoint.
    pub url: Option<&'static str>,
    /// Licence of its weights; `None` where there are none to be licensed.
    pub licence: Option<Licence>,
    /// Why it is here.
    pub role: EncoderRole,
    /// What else one should know; empty where there is nothing.
    pub note: &'static str,
}
