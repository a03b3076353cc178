//! Which method a run follows, as its settings write it.

use super::moco::{Moco, MocoForm};
use super::pirl::{Pirl, PirlForm};
use super::simclr::{SimClr, SimClrForm};
use super::supervised::{Supervised, SupervisedForm};
use super::swav::{Swav, SwavForm};
use super::{Method, Start};
use crate::Result;
use serde::{Deserialize, Serialize};

/// A method with its settings: a table with one of the methods' names, below which its own
/// settings stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "Written")]
pub enum MethodForm {
    /// MoCo as first published: a linear projection.
    MocoV1(MocoForm),
    /// MoCo with a projection of two layers and stronger augmentation.
    MocoV2(MocoForm),
    /// SwAV.
    Swav(SwavForm),
    /// PIRL on jigsaws.
    Pirl(PirlForm),
    /// SimCLR. Its key is the name in one word.
    #[serde(rename = "simclr")]
    SimClr(SimClrForm),
    /// Training on classes.
    Supervised(SupervisedForm),
}

/// What may stand below `method`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    moco_v1: Option<MocoForm>,
    moco_v2: Option<MocoForm>,
    swav: Option<SwavForm>,
    pirl: Option<PirlForm>,
    simclr: Option<SimClrForm>,
    supervised: Option<SupervisedForm>,
}

impl TryFrom<Written> for MethodForm {
    type Error = String;

    fn try_from(written: Written) -> std::result::Result<Self, String> {
        let Written { moco_v1, moco_v2, swav, pirl, simclr, supervised } = written;
        let named = [
            moco_v1.map(Self::MocoV1),
            moco_v2.map(Self::MocoV2),
            swav.map(Self::Swav),
            pirl.map(Self::Pirl),
            simclr.map(Self::SimClr),
            supervised.map(Self::Supervised),
        ];
        let mut named: Vec<Self> = named.into_iter().flatten().collect();
        match (named.pop(), named.as_slice()) {
            (Some(method), []) => Ok(method),
            (Some(last), others) => {
                let names: Vec<&str> = others.iter().chain([&last]).map(Self::key).collect();
                Err(format!("`method` names {}; a run follows one, so keep one of them", names.join(" and ")))
            }
            (None, _) => Err(format!(
                "`method` names none of {}; one without settings is written with braces, as `supervised: {{}}`",
                Self::KEYS.join(", ")
            )),
        }
    }
}

/// Kinds of views that a method takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// So many views of one kind.
    Views(usize),
    /// This many views of equal size or more, and any number of others.
    AtLeast(usize),
    /// One view, and one jigsaw behind it.
    ViewAndJigsaw,
}

impl MethodForm {
    /// The methods' names in settings.
    pub const KEYS: [&'static str; 6] = ["moco_v1", "moco_v2", "swav", "pirl", "simclr", "supervised"];

    /// Its name in settings.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::MocoV1(_) => Self::KEYS[0],
            Self::MocoV2(_) => Self::KEYS[1],
            Self::Swav(_) => Self::KEYS[2],
            Self::Pirl(_) => Self::KEYS[3],
            Self::SimClr(_) => Self::KEYS[4],
            Self::Supervised(_) => Self::KEYS[5],
        }
    }

    /// Its name in texts.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MocoV1(_) => "MoCo v1",
            Self::MocoV2(_) => "MoCo v2",
            Self::Swav(_) => "SwAV",
            Self::Pirl(_) => "PIRL",
            Self::SimClr(_) => "SimCLR",
            Self::Supervised(_) => "Supervised",
        }
    }

    /// The views that it takes.
    #[must_use]
    pub const fn takes(&self) -> Takes {
        match self {
            Self::MocoV1(_) | Self::MocoV2(_) | Self::SimClr(_) => Takes::Views(2),
            Self::Swav(form) => Takes::AtLeast(form.assigned),
            Self::Pirl(_) => Takes::ViewAndJigsaw,
            Self::Supervised(_) => Takes::Views(1),
        }
    }

    /// Whether it learns from classes.
    #[must_use]
    pub const fn needs_classes(&self) -> bool {
        matches!(self, Self::Supervised(_))
    }

    /// What is wrong with its settings in batches of `batch` pictures, a sentence each.
    #[must_use]
    pub fn mistakes(&self, batch: usize) -> Vec<String> {
        let mistakes = match self {
            Self::MocoV1(form) | Self::MocoV2(form) => form.mistakes(batch),
            Self::Swav(form) => form.mistakes(batch),
            Self::Pirl(form) => form.mistakes(),
            Self::SimClr(form) => form.mistakes(batch),
            Self::Supervised(_) => Vec::new(),
        };
        mistakes.into_iter().map(|sentence| format!("method.{}: {sentence}", self.key())).collect()
    }

    /// The method with its networks.
    pub fn build(&self, start: &Start<'_>) -> Result<Box<dyn Method>> {
        Ok(match self {
            Self::MocoV1(form) | Self::MocoV2(form) => Box::new(Moco::new(form, start)?),
            Self::Swav(form) => Box::new(Swav::new(form, start)?),
            Self::Pirl(form) => Box::new(Pirl::new(form, start)?),
            Self::SimClr(form) => Box::new(SimClr::new(form, start)?),
            Self::Supervised(form) => Box::new(Supervised::new(form, start)?),
        })
    }
}
