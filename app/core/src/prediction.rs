//! What an encoder and its heads say about one image. The shape of the REST answer.

use serde::{Deserialize, Serialize};

/// An image that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// SHA-256 of the file as it was handed in, in hex.
    pub sha256: String,
    /// Pixels, after the orientation of the EXIF block was applied.
    pub width: u32,
    /// Pixels, after the orientation of the EXIF block was applied.
    pub height: u32,
}

/// A class and its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassProbability {
    /// Name of the class.
    pub label: String,
    /// 0 to 1; all of a prediction sum to 1.
    pub probability: f32,
}

/// A class of a segmentation and how much of the picture it covers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MaskLabel {
    /// Value in the mask.
    pub index: u8,
    /// Name of the class.
    pub name: String,
    /// `#rrggbb`.
    pub colour: String,
    /// Share of the picture, 0 to 1, counted on at most 256 pixels a side.
    pub share: f32,
}

/// The output of one head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Output {
    /// A probability per class, in descending order.
    Classification {
        /// All classes, the most probable first.
        classes: Vec<ClassProbability>,
    },
    /// A class per pixel.
    Segmentation {
        /// All classes of the head, in order of their index.
        labels: Vec<MaskLabel>,
        /// An 8-bit PNG of class indices at the photo's size: its file's name where it is kept, its
        /// address in an answer.
        mask: String,
    },
    /// A distance per pixel.
    Depth {
        /// Smallest value in `unit`; the map's 0.
        minimum: f32,
        /// Largest value in `unit`; the map's 65535.
        maximum: f32,
        /// Unit of the values.
        unit: String,
        /// A 16-bit PNG at the photo's size, linear from `minimum` to `maximum`: its file's name
        /// where it is kept, its address in an answer.
        map: String,
    },
    /// A displacement per pixel, towards the second photo.
    Flow {
        /// The longest displacement in pixels of the photo.
        longest: f32,
        /// A 16-bit PNG at the photo's size in KITTI's format: displacements to the right and down
        /// in red and green, `value * 64 + 32768`; its file's name where it is kept, its address in
        /// an answer. Beside it lies `arrows.svg`.
        map: String,
    },
}

impl Output {
    /// The name or address of its picture, if it has one.
    pub const fn picture_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Classification { .. } => None,
            Self::Segmentation { mask, .. } => Some(mask),
            Self::Depth { map, .. } | Self::Flow { map, .. } => Some(map),
        }
    }
}

/// One head's output with its sender and its cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Key of the encoder.
    pub encoder: String,
    /// Key of the task.
    pub task: String,
    /// Milliseconds for encoder and head when it was computed. Heads of one request
    /// share the encoder's pass, so that part is in each of them.
    pub milliseconds: f64,
    /// The output itself.
    #[serde(flatten)]
    pub output: Output,
}

/// Where the time of a request went, in milliseconds. What was computed before takes none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Costs {
    /// Decoding the photo and bringing it to the encoder's input.
    pub decode: f64,
    /// Waiting for the device and for other photos of the same batch.
    pub wait: f64,
    /// The encoder's pass, shared by all photos of the batch.
    pub encoder: f64,
    /// The heads on its features, shared in the same way.
    pub heads: f64,
    /// Keeping the outputs. Pictures of them are made when they are first looked at.
    pub pictures: f64,
}

impl Costs {
    /// The parts with their names, in the order in which they come.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, f64); 5] {
        let Self { decode, wait, encoder, heads, pictures } = *self;
        [("decode", decode), ("wait", wait), ("encoder", encoder), ("heads", heads), ("pictures", pictures)]
    }
}

/// An image and everything that was asked about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// The image.
    pub image: ImageInfo,
    /// One entry per encoder and task.
    pub outputs: Vec<Prediction>,
    /// What this answer took; all zero where everything had been computed before. For programs:
    /// the browser's part does not carry the code to read it.
    #[serde(skip_deserializing)]
    pub costs: Costs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_carries_its_kind_beside_its_fields() {
        let p = Prediction {
            encoder: "Random".into(),
            task: "SceneDepth".into(),
            milliseconds: 1.5,
            output: Output::Depth { minimum: 0.5, maximum: 2.0, unit: "m".into(), map: "/m.png".into() },
        };
        let json = serde_json::to_value(&p).expect("a prediction is JSON");
        assert_eq!(json["kind"], "depth");
        assert_eq!(json["maximum"], 2.0);
        assert_eq!(serde_json::from_value::<Prediction>(json).expect("and back"), p);
    }
}
