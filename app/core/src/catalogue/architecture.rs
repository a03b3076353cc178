//! The networks that compute features, as a table. How one is built from a checkpoint is told
//! in `virboard-nn`, under the same key.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What is known of an architecture before any weights are there.
#[derive(Debug)]
struct Row {
    /// Short lower-case name, as files that declare encoders write it.
    key: &'static str,
    /// Display name.
    name: &'static str,
    /// Length of the embedding; none where the checkpoint tells.
    embedding: Option<usize>,
    /// Parameters of the frozen part, in millions; none where the checkpoint tells.
    million_parameters: Option<f64>,
}

const fn row(key: &'static str, name: &'static str, embedding: usize, million_parameters: f64) -> Row {
    Row { key, name, embedding: Some(embedding), million_parameters: Some(million_parameters) }
}

/// Every architecture. The order is that of lists in messages.
const ROWS: &[Row] = &[
    row("resnet18", "ResNet-18", 512, 11.2),
    row("resnet34", "ResNet-34", 512, 21.3),
    row("resnet50", "ResNet-50", 2048, 23.5),
    row("resnet101", "ResNet-101", 2048, 42.5),
    row("resnet152", "ResNet-152", 2048, 58.1),
    row("wide_resnet50_2", "Wide ResNet-50-2", 2048, 66.8),
    // Of another width or depth than those above.
    Row { key: "resnet", name: "ResNet", embedding: None, million_parameters: None },
    // Yahoo's open_nsfw.
    row("open_nsfw", "ResNet-50, half width", 1024, 5.9),
    row("efficientnet_lite0", "EfficientNet-Lite0", 1280, 3.4),
    // ViT as trained with labels, and as DINO trained it, whose pictures are normalised otherwise.
    row("vit_s16", "ViT-S/16", 384, 21.7),
    row("vit_b16", "ViT-B/16", 768, 85.8),
    row("dino_s16", "ViT-S/16 of DINO", 384, 21.7),
    row("dino_b16", "ViT-B/16 of DINO", 768, 85.8),
    // Of another width, depth or patch than those above.
    Row { key: "vit", name: "ViT", embedding: None, million_parameters: None },
    row("dinov2_s14", "ViT-S/14 of DINOv2", 384, 22.1),
    row("dinov2_b14", "ViT-B/14 of DINOv2", 768, 86.6),
    row("clip_b16", "ViT-B/16 of CLIP", 768, 85.8),
    row("siglip_b16", "ViT-B/16 of SigLIP", 768, 92.9),
    row("convnext_t", "ConvNeXt-T", 768, 27.8),
];

/// The network that computes the features: a row of the table of architectures.
#[derive(Clone, Copy)]
pub struct Architecture(&'static Row);

impl Architecture {
    /// The architecture with this key, which must exist: for constants, where a misspelt key
    /// does not compile.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub const fn of(key: &str) -> Self {
        let mut i = 0;
        while i < ROWS.len() {
            if equal(ROWS[i].key, key) {
                return Self(&ROWS[i]);
            }
            i += 1;
        }
        panic!("no architecture has this key")
    }

    /// The architecture of a key or a name, however it is spelled: `resnet50`, `ResNet-50` and
    /// `ResNet50`, which earlier versions wrote, are the same.
    #[must_use]
    pub fn by_key(name: &str) -> Option<Self> {
        let plain = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let name = plain(name);
        Self::all().find(|a| plain(a.key()) == name || plain(a.name()) == name)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(Self)
    }

    /// Short lower-case name, such as `resnet50`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.0.key
    }

    /// Display name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// Length of the embedding; none where only the checkpoint tells.
    #[must_use]
    pub const fn embedding(self) -> Option<usize> {
        self.0.embedding
    }

    /// Parameters of the frozen part, in millions; none where only the checkpoint tells.
    #[must_use]
    pub const fn million_parameters(self) -> Option<f64> {
        self.0.million_parameters
    }
}

/// `==` of strings, in constants.
const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    a.len() == b.len() && i == a.len()
}

impl PartialEq for Architecture {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Architecture {}

impl std::hash::Hash for Architecture {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Debug for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Architecture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

impl<'de> Deserialize<'de> for Architecture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::by_key(&key).ok_or_else(|| {
            let known: Vec<&str> = Self::all().map(Self::key).collect();
            serde::de::Error::custom(format!("`{key}` is no architecture; known are {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_found() {
        for (i, a) in Architecture::all().enumerate() {
            assert_eq!(Architecture::by_key(a.key()), Some(a));
            assert_eq!(Architecture::by_key(a.name()), Some(a));
            assert_eq!(Architecture::all().position(|b| b == a), Some(i), "{a:?} twice");
        }
        assert_eq!(Architecture::by_key("resnet5"), None);
        assert_eq!(Architecture::of("resnet50").name(), "ResNet-50");
    }

    #[test]
    fn names_of_earlier_versions_are_read_and_keys_are_written() {
        let former = [("ResNet50", "resnet50"), ("OpenNsfw", "open_nsfw"), ("EfficientNetLite0", "efficientnet_lite0")];
        for (former, now) in former {
            let read: Architecture = serde_json::from_str(&format!("\"{former}\"")).expect("a former name");
            assert_eq!(serde_json::to_string(&read).expect("text"), format!("\"{now}\""));
        }
        let said = serde_json::from_str::<Architecture>("\"resnet51\"").expect_err("unknown").to_string();
        assert!(said.contains("`resnet51`") && said.contains("resnet50, "), "{said}");
    }
}
