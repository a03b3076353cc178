//! Which tensors of a file are the encoder's, told from their names: the encoder lies where a whole network of a known
//! layout does, whatever stands before the names.

use crate::{Error, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::path::Path;
use virboard_core::catalogue::encoder::Format;

/// How authors name the tensors of a kind of network.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// A tensor that every such network has: it tells where the network begins.
    pub first: &'static str,
    /// How the names of others begin that every such network has: without one, `first` belongs to something else.
    pub inside: &'static str,
    /// How the names of what lies beside the encoder begin: training's leftovers, text towers.
    pub beside: &'static [&'static str],
    /// Weight and bias of the layer that tells ImageNet's classes from the embedding, where
    /// authors publish it.
    pub classifier: Option<[&'static str; 2]>,
}

/// Which network of a file is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// One that lies as this format has it.
    Format(Format),
    /// The one before whose names this stands, in full or its last parts.
    Prefix(String),
}

impl Wanted {
    /// What a row or a command says: nothing, a format or a prefix, which tells more.
    #[must_use]
    pub fn of(format: Option<Format>, prefix: Option<&str>) -> Option<Self> {
        prefix.map(|p| Self::Prefix(p.to_owned())).or(format.map(Self::Format))
    }
}

/// Classes of ImageNet-1k.
const CLASSES: usize = 1000;

/// What is taken of two whole networks whose places differ in one word: what the method's authors evaluate.
const TAKEN: [(&str, &str); 8] = [
    // MoCo's query encoder.
    ("encoder_q", "encoder_k"),
    ("base_encoder", "momentum_encoder"),
    // DINO and iBOT.
    ("teacher", "student"),
    // Lightly and solo-learn.
    ("backbone", "backbone_momentum"),
    ("backbone", "momentum_backbone"),
    // BYOL.
    ("online_net", "target_net"),
    ("online_network", "target_network"),
    ("online_encoder", "target_encoder"),
];

/// Words in places of networks that say how they were run: by several processes, compiled.
const WRAPPERS: [&str; 2] = ["module", "_orig_mod"];

/// What lies in a dictionary of these is still at the top of its file.
const TOP: [&str; 4] = ["", "state_dict.", "model_state_dict.", "model."];

/// Whether a network lies as a format has it.
fn lies_as(format: Format, prefix: &str) -> bool {
    let ends = |end: &str| prefix == end || prefix.ends_with(&format!(".{end}"));
    match format {
        Format::Safetensors => true,
        Format::Torchvision => TOP.contains(&prefix),
        Format::Virb => ends("model."),
        Format::Swav => ends("module."),
        Format::Moco => ends("module.encoder_q."),
        Format::Pirl => ends("_feature_blocks."),
        Format::SimClr => ends("module.encoder."),
    }
}

/// Whether a network lies as is wished.
fn is_wanted(wanted: Option<&Wanted>, prefix: &str) -> bool {
    match wanted {
        None => true,
        Some(Wanted::Format(format)) => lies_as(*format, prefix),
        Some(Wanted::Prefix(end)) => {
            let end = dotted(end);
            prefix == end || (!end.is_empty() && prefix.ends_with(&format!(".{end}")))
        }
    }
}

fn dotted(prefix: &str) -> String {
    if prefix.is_empty() || prefix.ends_with('.') { prefix.to_owned() } else { format!("{prefix}.") }
}

/// What of a file is to be read.
pub(super) struct Choice {
    /// What precedes the names in the file.
    pub prefix: String,
    /// Full names of the encoder's tensors, and of the classifier's.
    pub names: Vec<String>,
    /// Where other whole networks lie, of which none was taken.
    pub others: Vec<String>,
    /// Names of the classifier's weight and bias, without the prefix, if both are there.
    classifier: Option<[&'static str; 2]>,
}

impl Choice {
    /// The one network of one of `layouts` that is wanted; of several the one whose method's authors take it.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] without one, [`Error::SeveralNetworks`] if nothing tells which of them.
    pub fn of(path: &Path, names: &[String], wanted: Option<&Wanted>, layouts: &[Layout]) -> Result<Self> {
        let whole = networks(names, layouts);
        let mut fitting: Vec<&(String, &Layout)> = whole.iter().filter(|(p, _)| is_wanted(wanted, p)).collect();
        // A prefix that stands there in full means no other.
        if let Some(Wanted::Prefix(full)) = wanted
            && let Some(exact) = fitting.iter().find(|(p, _)| *p == dotted(full))
        {
            fitting = vec![*exact];
        }
        let all = fitting.clone();
        fitting.retain(|(prefix, _)| !all.iter().any(|(other, _)| is_taken_before(other, prefix)));
        let shown = || quoted(whole.iter().map(|(p, _)| p.as_str())).join(", ");
        match fitting[..] {
            [(prefix, layout)] => {
                let others = whole.iter().map(|(p, _)| p.clone()).filter(|p| p != prefix).collect();
                Ok(Self::new(names, prefix, layout, others))
            }
            [] if whole.is_empty() => Err(no_network(path, names, layouts)),
            [] => {
                let wished = match wanted {
                    Some(Wanted::Prefix(prefix)) => format!("under `{}`", dotted(prefix)),
                    _ => "as its format has it".to_owned(),
                };
                Err(bad(path, format!("no whole network lies {wished}; there is one under {}", shown())))
            }
            _ => {
                let several = quoted(fitting.iter().map(|(p, _)| p.as_str())).join(", ");
                Err(Error::SeveralNetworks { path: path.to_path_buf(), prefixes: several })
            }
        }
    }

    fn new(names: &[String], prefix: &str, layout: &Layout, others: Vec<String>) -> Self {
        let has = |name: &str| names.binary_search(&format!("{prefix}{name}")).is_ok();
        let classifier = layout.classifier.filter(|both| both.iter().all(|name| has(name)));
        let chosen = |name: &&String| {
            name.strip_prefix(prefix).is_some_and(|rest| {
                let beside = layout.beside.iter().any(|other| rest.starts_with(other));
                let classifies = classifier.is_some_and(|both| both.contains(&rest));
                classifies || !(beside || rest.ends_with("num_batches_tracked"))
            })
        };
        let names = names.iter().filter(chosen).cloned().collect();
        Self { prefix: prefix.to_owned(), names, others, classifier }
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

/// Where whole networks lie, of the sorted `names`, in their order.
fn networks<'l>(names: &[String], layouts: &'l [Layout]) -> Vec<(String, &'l Layout)> {
    let begins = |start: &str| {
        let at = names.partition_point(|n| n.as_str() < start);
        names.get(at).is_some_and(|n| n.starts_with(start))
    };
    let mut found: BTreeMap<&str, &Layout> = BTreeMap::new();
    for layout in layouts {
        for prefix in prefixes(names, layout.first) {
            if begins(&format!("{prefix}{}", layout.inside)) {
                found.entry(prefix).or_insert(layout);
            }
        }
    }
    found.into_iter().map(|(prefix, layout)| (prefix.to_owned(), layout)).collect()
}

/// What stands before a name wherever it occurs.
fn prefixes<'n>(names: &'n [String], first: &str) -> impl Iterator<Item = &'n str> {
    names.iter().filter_map(move |n| n.strip_suffix(first)).filter(|p| p.is_empty() || p.ends_with('.'))
}

/// Whether what lies at one place is taken before what lies at another.
fn is_taken_before(one: &str, other: &str) -> bool {
    let words = |prefix: &'_ str| -> Vec<String> {
        prefix.split('.').filter(|w| !w.is_empty() && !WRAPPERS.contains(w)).map(str::to_owned).collect()
    };
    let (one, other) = (words(one), words(other));
    let unlike: Vec<(&str, &str)> =
        one.iter().zip(&other).filter(|(a, b)| a != b).map(|(a, b)| (a.as_str(), b.as_str())).collect();
    one.len() == other.len() && matches!(unlike[..], [pair] if TAKEN.contains(&pair))
}

pub(super) fn bad(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Checkpoint { path: path.to_path_buf(), reason: reason.to_string() }
}

/// Says what is missing where something looks like a network, or else what was looked for.
fn no_network(path: &Path, names: &[String], layouts: &[Layout]) -> Error {
    let half = layouts.iter().find_map(|layout| Some((prefixes(names, layout.first).next()?, layout)));
    if let Some((prefix, layout)) = half {
        return bad(
            path,
            format!(
                "it has `{prefix}{}` and nothing that begins with `{prefix}{}`, so that no network is whole",
                layout.first, layout.inside
            ),
        );
    }
    let firsts = quoted(layouts.iter().map(|l| l.first)).join(" or ");
    if names.is_empty() {
        return bad(path, "it has no tensors");
    }
    let shown = quoted(names.iter().take(3).map(String::as_str)).join(", ");
    bad(path, format!("it has no {firsts} under any prefix; of {} tensors the first are {shown}", names.len()))
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(|name| format!("`{name}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        first: "conv1.weight",
        inside: "layer4.",
        beside: &["fc.", "queue"],
        classifier: Some(["fc.weight", "fc.bias"]),
    };

    fn choose(prefixes: &[&str], wanted: Option<&Wanted>) -> Result<Choice> {
        let parts = ["conv1.weight", "layer1.0.conv1.weight", "layer4.0.conv1.weight", "fc.weight"];
        let mut names: Vec<String> = prefixes.iter().flat_map(|p| parts.map(|name| format!("{p}{name}"))).collect();
        names.push("queue".to_owned());
        names.sort();
        Choice::of(Path::new("x.pt"), &names, wanted, &[LAYOUT])
    }

    #[test]
    fn the_network_is_found_under_any_prefix() {
        for prefix in ["", "backbone.", "encoder_q.0.", "state_dict.model.visual.trunk.", "a.b.c.d."] {
            let choice = choose(&[prefix], None).expect(prefix);
            assert_eq!((choice.prefix.as_str(), choice.names.len()), (prefix, 3));
            assert!(choice.others.is_empty());
        }
    }

    #[test]
    fn of_two_networks_the_one_that_authors_evaluate_is_taken() {
        for (taken, left) in [
            ("encoder_q.", "encoder_k."),
            ("state_dict.module.encoder_q.", "state_dict.module.encoder_k."),
            ("teacher.backbone.", "student.module.backbone."),
            ("state_dict.backbone.", "state_dict.momentum_backbone."),
            ("module.base_encoder.", "module.momentum_encoder."),
            ("online_net.0.", "target_net.0."),
        ] {
            let choice = choose(&[left, taken], None).expect(taken);
            assert_eq!((choice.prefix.as_str(), &choice.others[..]), (taken, &[left.to_owned()][..]));
            let choice = choose(&[left, taken], Some(&Wanted::Prefix(left.to_owned()))).expect(left);
            assert_eq!(choice.prefix, left, "a wish goes before");
        }
    }

    #[test]
    fn of_networks_that_nothing_tells_apart_all_are_listed() {
        let said = choose(&["model.", "model_ema.", ""], None).err().expect("refused").to_string();
        assert!(said.contains("``, `model.`, `model_ema.`") && said.contains("--prefix"), "{said}");
        let taken = |prefix: &str| {
            choose(&["a.model.", "b.model.", "model.", ""], Some(&Wanted::Prefix(prefix.to_owned()))).map(|c| c.prefix)
        };
        assert_eq!(taken("b.model").expect("one"), "b.model.");
        assert_eq!(taken("model").expect("the one that is so called in full"), "model.");
        assert_eq!(taken("").expect("the one at the top"), "");
        let said = taken("teacher").expect_err("refused").to_string();
        assert!(said.contains("`teacher.`") && said.contains("`a.model.`"), "{said}");
    }

    #[test]
    fn what_is_half_there_is_named() {
        let names = ["net.conv1.weight".to_owned(), "net.layer1.0.conv1.weight".to_owned()];
        let said = Choice::of(Path::new("x.pt"), &names, None, &[LAYOUT]).err().expect("refused").to_string();
        assert!(said.contains("`net.conv1.weight`") && said.contains("`net.layer4.`"), "{said}");
    }
}
