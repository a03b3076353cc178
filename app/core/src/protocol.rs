//! How scores are computed: as common practice has it, or as ViRB's program does.

use serde::{Deserialize, Serialize};

/// The benchmark's protocol. Only scores of one protocol can be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// What the paper says and common practice does. The default.
    #[default]
    Standard,
    /// What ViRB's program does, with every departure that its published numbers contain.
    Virb,
}

impl Protocol {
    /// `standard` or `virb`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Virb => "virb",
        }
    }

    /// The protocol that more of some scores are by; the standard one of as many.
    #[must_use]
    pub fn of_most(scores: impl Iterator<Item = Self>) -> Self {
        let (mut all, mut virb) = (0, 0);
        for protocol in scores {
            all += 1;
            virb += usize::from(protocol == Self::Virb);
        }
        if 2 * virb > all { Self::Virb } else { Self::Standard }
    }

    /// The protocol of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Standard, Self::Virb].into_iter().find(|p| p.name() == name)
    }
}
