//! What is known of an encoder before it is run.

use super::architecture::Architecture;
pub use super::licence::Licence;
use super::name::{is_same, slug};
use serde::{Deserialize, Serialize};

/// How an encoder was trained. Any name is a method; those of the paper are known by constants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
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
    /// Any other, by its name.
    Other(String),
    /// Nobody said.
    Unknown,
}

impl Method {
    /// The paper's methods, in the order in which filters offer them.
    pub const KNOWN: [Self; 7] =
        [Self::SwAv, Self::MoCoV1, Self::MoCoV2, Self::Pirl, Self::SimClr, Self::Supervised, Self::Random];

    /// The paper's spelling.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::SwAv => "SwAV",
            Self::MoCoV1 => "MoCo v1",
            Self::MoCoV2 => "MoCo v2",
            Self::Pirl => "PIRL",
            Self::SimClr => "SimCLR",
            Self::Supervised => "Supervised",
            Self::Random => "Random",
            Self::Other(name) => name,
            Self::Unknown => "not known",
        }
    }

    /// Short form for addresses (`?method=moco-v2`).
    #[must_use]
    pub fn slug(&self) -> String {
        slug(self.name())
    }
}

impl From<String> for Method {
    fn from(name: String) -> Self {
        let known = Self::KNOWN.into_iter().chain([Self::Unknown]).find(|m| is_same(m.name(), &name));
        known.unwrap_or(Self::Other(name))
    }
}

impl From<Method> for String {
    fn from(method: Method) -> Self {
        method.name().to_owned()
    }
}

/// What an encoder was trained on. Any name is a data set; those of the paper are known by constants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
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
    /// Any other, by its name.
    Other(String),
    /// Nobody said.
    Unknown,
}

impl Pretraining {
    /// The paper's data sets, in the order in which filters offer them.
    pub const KNOWN: [Self; 11] = [
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
    pub fn name(&self) -> &str {
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
            Self::Other(name) => name,
            Self::Unknown => "not known",
        }
    }

    /// Short form for addresses (`?dataset=half-imagenet`).
    #[must_use]
    pub fn slug(&self) -> String {
        match self {
            Self::HalfImageNet => "half-imagenet".to_owned(),
            Self::QuarterImageNet => "quarter-imagenet".to_owned(),
            Self::LinearImageNet => "linear-imagenet".to_owned(),
            Self::LogImageNet => "log-imagenet".to_owned(),
            other => slug(other.name()),
        }
    }
}

impl From<String> for Pretraining {
    fn from(name: String) -> Self {
        let all = Self::KNOWN.into_iter().chain([Self::Unknown]);
        let known = all.into_iter().find(|p| is_same(p.name(), &name) || is_same(&p.slug(), &name));
        known.unwrap_or(Self::Other(name))
    }
}

impl From<Pretraining> for String {
    fn from(data: Pretraining) -> Self {
        data.name().to_owned()
    }
}

/// The layout of a checkpoint file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// Why an encoder is in the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderRole {
    /// One of the paper's 30.
    Paper,
    /// A baseline of the paper.
    Baseline,
    /// In ViRB's experiment lists only.
    Extra,
    /// Ships with Virboard.
    Sample,
    /// Built in, but younger than the paper: shown once its weights or a score are here.
    Today,
    /// Declared by a file in the data folder.
    #[default]
    Declared,
}

/// An encoder of the catalogue, and the form in which files declare one: only `key` is required.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Its name in addresses and commands, and the checkpoint's file name; ViRB's key where it has one.
    pub key: String,
    /// What people call it, the paper's name where it has one; by default its key.
    #[serde(default)]
    pub name: String,
    /// Training method.
    #[serde(default = "unknown_method")]
    pub method: Method,
    /// Training data.
    #[serde(default = "unknown_data", alias = "data")]
    pub pretraining: Pretraining,
    /// Training images, where known.
    #[serde(default)]
    pub images: Option<u64>,
    /// Training epochs, where known.
    #[serde(default)]
    pub epochs: Option<u32>,
    /// The network, where known: scores can be shown without.
    #[serde(default, deserialize_with = "architecture")]
    pub architecture: Option<Architecture>,
    /// Layout of the published checkpoint; `None` for whichever fits.
    #[serde(default)]
    pub format: Option<Format>,
    /// Where its checkpoint lies, if that is not `checkpoints/KEY.*` of the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// What precedes the names of its tensors in the checkpoint, where several networks lie in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Pixels of the sides of its input, where they are not its architecture's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<u32>,
    /// What is kept of its pre-training, where Virboard made it: a file below the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// Public address of the checkpoint.
    #[serde(default)]
    pub url: Option<String>,
    /// Licence of its weights.
    #[serde(default)]
    pub licence: Option<Licence>,
    /// Why it is here.
    #[serde(default)]
    pub role: EncoderRole,
    /// Keys of the suites that list it even without a score.
    #[serde(default)]
    pub suites: Vec<String>,
    /// Key of the paper's encoder that it repeats on a small scale: analyses take it in that one's place, and its
    /// training data and epochs are those of the original.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_for: Option<String>,
    /// The pictures that it was really trained on, where they take the place of those that are named as its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pictures: Option<String>,
    /// What else one should know; empty where there is nothing.
    #[serde(default)]
    pub note: String,
}

impl Encoder {
    /// Whether analyses that ask for the encoder of this key take this one.
    #[must_use]
    pub fn is(&self, key: &str) -> bool {
        self.key == key || self.stands_for.as_deref() == Some(key)
    }

    /// Whether it is there to be compared with, and no choice.
    #[must_use]
    pub fn is_baseline(&self) -> bool {
        self.role == EncoderRole::Baseline || ["Supervised", "Random"].into_iter().any(|key| self.is(key))
    }

    /// Its training data in words: in a small repetition, the pictures that take the place of the original's.
    #[must_use]
    pub fn data(&self) -> String {
        match &self.pictures {
            Some(pictures) => format!("{pictures}, in the place of {}", self.pretraining.name()),
            None => self.pretraining.name().to_owned(),
        }
    }

    /// Whether its weights come from a seed instead of a file.
    #[must_use]
    pub fn needs_no_file(&self) -> bool {
        self.method == Method::Random && self.role == EncoderRole::Baseline
    }

    /// Whether its weights may be used commercially, as far as their licence is known.
    #[must_use]
    pub fn commercial(&self) -> bool {
        self.licence.as_ref().map_or_else(|| self.needs_no_file(), Licence::commercial)
    }

    /// Name of the network.
    #[must_use]
    pub fn architecture_name(&self) -> &'static str {
        self.architecture.map_or("not known", Architecture::name)
    }
}

const fn unknown_method() -> Method {
    Method::Unknown
}

const fn unknown_data() -> Pretraining {
    Pretraining::Unknown
}

/// `auto` and nothing at all leave it to the checkpoint.
fn architecture<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Architecture>, D::Error> {
    let Some(name) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    if name.is_empty() || name == "auto" {
        return Ok(None);
    }
    Architecture::by_key(&name).map(Some).ok_or_else(|| {
        let known: Vec<&str> = Architecture::all().map(Architecture::name).collect();
        serde::de::Error::custom(format!("there is no architecture `{name}`; known are auto, {}", known.join(", ")))
    })
}
