//! Parts of the benchmark that are compared within themselves.

use super::name::slug;
use serde::{Deserialize, Serialize};

/// A suite: tasks whose scores are averaged with each other. Which tasks belong to it, they say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// Short form for addresses (`?suite=paper`).
    pub key: String,
    /// Its title.
    pub name: String,
    /// Its title in lists, where there is a shorter one.
    #[serde(default)]
    pub short: String,
    /// What one should know of it; empty where there is nothing.
    #[serde(default)]
    pub note: String,
    /// Address of a page about it; empty where there is none.
    #[serde(default)]
    pub page: String,
    /// Keys of encoders that are shown beside the others and neither ranked nor analysed with them: they were trained
    /// on so much more that nothing follows from a comparison.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// Suites are listed by it, the smallest first.
    #[serde(default = "last")]
    pub order: u32,
}

/// Key of the suite that is the paper in miniature.
pub const MINIATURE: &str = "miniature";

/// After all that are built in.
const fn last() -> u32 {
    100
}

impl Suite {
    /// A suite of which only the name is known.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            key: slug(name),
            name: name.trim().to_owned(),
            short: String::new(),
            note: String::new(),
            page: String::new(),
            references: Vec::new(),
            order: last(),
        }
    }

    /// Whether an encoder stands beside the others here.
    #[must_use]
    pub fn is_reference(&self, encoder: &str) -> bool {
        self.references.iter().any(|key| key == encoder)
    }

    /// What lists call it.
    #[must_use]
    pub fn short(&self) -> &str {
        if self.short.is_empty() { &self.name } else { &self.short }
    }
}
