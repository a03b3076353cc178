//! Which tensors of a file are the encoder's, told from their names.

use crate::Error;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::path::Path;
use virboard_core::catalogue::encoder::Format;

/// How authors name the tensors of a kind of network.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// A tensor that every such network has: it tells where the network begins.
    pub first: &'static str,
    /// How the names of what lies beside the encoder begin: training's leftovers, text towers.
    pub beside: &'static [&'static str],
    /// Weight and bias of the layer that tells ImageNet's classes from the embedding, where
    /// authors publish it.
    pub classifier: Option<[&'static str; 2]>,
}

/// Classes of ImageNet-1k.
const CLASSES: usize = 1000;

/// Prefixes of tensor names to try, the longest and most telling first. Without a format, and in
/// safetensors, all of them.
fn prefixes(format: Option<Format>) -> &'static [&'static str] {
    match format {
        None | Some(Format::Safetensors) => {
            &["module.encoder_q.", "module.encoder.", "_feature_blocks.", "model.", "module.", "vit.", ""]
        }
        Some(Format::Virb) => &["model."],
        Some(Format::Swav) => &["module."],
        Some(Format::Moco) => &["module.encoder_q."],
        Some(Format::Pirl) => &["_feature_blocks."],
        Some(Format::SimClr) => &["module.encoder."],
        Some(Format::Torchvision) => &[""],
    }
}

/// What of a file is to be read.
pub(super) struct Choice {
    /// What precedes the names in the file.
    pub prefix: &'static str,
    /// Full names of the encoder's tensors, and of the classifier's.
    pub names: Vec<String>,
    /// Names of the classifier's weight and bias, without the prefix, if both are there.
    classifier: Option<[&'static str; 2]>,
}

impl Choice {
    /// The first prefix under which a network of one of `layouts` begins.
    pub fn of(names: &[String], format: Option<Format>, layouts: &[Layout]) -> Option<Self> {
        let has = |prefix: &str, name: &str| names.iter().any(|n| n.strip_prefix(prefix) == Some(name));
        let mut pairs = prefixes(format).iter().flat_map(|prefix| layouts.iter().map(move |layout| (*prefix, layout)));
        let (prefix, layout) = pairs.find(|(prefix, layout)| has(prefix, layout.first))?;
        let classifier = layout.classifier.filter(|both| both.iter().all(|name| has(prefix, name)));
        let chosen = |name: &&String| {
            name.strip_prefix(prefix).is_some_and(|rest| {
                let beside = layout.beside.iter().any(|other| rest.starts_with(other));
                let classifies = classifier.is_some_and(|both| both.contains(&rest));
                classifies || !(beside || rest.ends_with("num_batches_tracked"))
            })
        };
        Some(Self { prefix, names: names.iter().filter(chosen).cloned().collect(), classifier })
    }

    /// Full names of the classifier's tensors; none without it.
    pub fn classifier_names(&self) -> Vec<String> {
        self.classifier.iter().flatten().map(|name| format!("{}{name}", self.prefix)).collect()
    }

    /// Takes the classification layer out of the tensors, which are named without the prefix; of
    /// other sizes than ImageNet's it is a part of the training and dropped.
    pub fn classifier(&self, tensors: &mut BTreeMap<String, Tensor>) -> Option<(Tensor, Tensor)> {
        let [weight, bias] = self.classifier?;
        let (weight, bias) = (tensors.remove(weight)?, tensors.remove(bias)?);
        (weight.dims().first() == Some(&CLASSES) && bias.dims() == [CLASSES]).then_some((weight, bias))
    }
}

pub(super) fn bad(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Checkpoint { path: path.to_path_buf(), reason: reason.to_string() }
}

pub(super) fn no_network(path: &Path, names: &[String], layouts: &[Layout]) -> Error {
    let firsts = quoted(layouts.iter().map(|l| l.first)).join(" or ");
    let shown = quoted(names.iter().take(3).map(String::as_str)).join(", ");
    bad(path, format!("no {firsts} under any known prefix; it begins with {shown}"))
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(|name| format!("`{name}`")).collect()
}
