//! Under which terms weights may be used.

use super::name::is_same;
use serde::{Deserialize, Serialize};

/// The licence of the repository that publishes an encoder's weights. Terms of the data that it
/// was trained on may narrow it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
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
    /// Any other, by its name. Nothing is known of what it allows.
    Other(String),
}

impl Licence {
    const KNOWN: [Self; 5] = [Self::Mit, Self::Apache2, Self::Bsd2, Self::Bsd3, Self::CcByNc4];

    /// Its SPDX name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Mit => "MIT",
            Self::Apache2 => "Apache-2.0",
            Self::Bsd2 => "BSD-2-Clause",
            Self::Bsd3 => "BSD-3-Clause",
            Self::CcByNc4 => "CC-BY-NC-4.0",
            Self::Other(name) => name,
        }
    }

    /// Whether it is known to allow commercial use.
    #[must_use]
    pub const fn commercial(&self) -> bool {
        matches!(self, Self::Mit | Self::Apache2 | Self::Bsd2 | Self::Bsd3)
    }
}

impl From<String> for Licence {
    fn from(name: String) -> Self {
        Self::KNOWN.into_iter().find(|l| is_same(l.name(), &name)).unwrap_or(Self::Other(name))
    }
}

impl From<Licence> for String {
    fn from(licence: Licence) -> Self {
        licence.name().to_owned()
    }
}
