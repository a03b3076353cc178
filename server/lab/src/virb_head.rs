//! ViRB's `model_head.pt`: the state dictionary of a task's head, under ViRB's names.

use crate::head::{Architecture, Head, HeadSpec, Label};
use crate::recipe::{HeadKind, recipe};
use crate::{Error, Result};
use candle_core::Device;
use std::path::Path;
use virboard_core::catalogue::task::{OutputKind, Task};
use virboard_core::protocol::Protocol;
use virboard_nn::checkpoint;
use virboard_nn::load::LoadedEncoder;

/// ViRB's name of one of our tensors; `None` for one that its heads do not have.
fn theirs(kind: HeadKind, ours: &str) -> Option<String> {
    let (layer, part) = ours.rsplit_once('.')?;
    let layer = match kind {
        HeadKind::Linear => "head".to_owned(),
        HeadKind::MultiEmbedding => format!("head.{}", if layer == "hidden" { 0 } else { 2 }),
        HeadKind::Pixelwise | HeadKind::Siamese => {
            let (what, number) = layer.split_once('.')?;
            let number: usize = number.parse().ok()?;
            match what {
                "up" => format!("up{}.0", number + 1),
                // ViRB counts from the coarsest map, we from the finest.
                _ => format!("fusion{}", 5 - number),
            }
        }
        HeadKind::DeepLab => {
            let (layer, norm) = match layer.strip_suffix(".norm") {
                Some(layer) => (layer, true),
                None => (layer, false),
            };
            let bottleneck = |i: &str| match i {
                "0" => "block4.upsample_layer".to_owned(),
                "1" => "block4.conv.0".to_owned(),
                _ => "block4.conv.1".to_owned(),
            };
            let parts: Vec<&str> = layer.split('.').collect();
            match (parts.as_slice(), norm) {
                (["block4", i, "downsample"], false) => format!("{}.downsample.0", bottleneck(i)),
                (["block4", i, "downsample"], true) => format!("{}.downsample.1", bottleneck(i)),
                (["block4", i, conv], false) => format!("{}.{conv}", bottleneck(i)),
                (["block4", i, conv], true) => format!("{}.{}", bottleneck(i), conv.replace("conv", "bn")),
                (["aspp", "joined"], false) => "aspp.conv2".to_owned(),
                (["aspp", "joined"], true) => "aspp.bn2".to_owned(),
                (["aspp", i], norm) => {
                    format!("aspp.aspp{}{}", i.parse::<usize>().ok()? + 1, if norm { "_bn" } else { "" })
                }
                (["reducer"], norm) => format!("low_level_feature_reducer.{}", u8::from(norm)),
                (["decoder", i], norm) => format!("decoder.{}", 3 * i.parse::<usize>().ok()? + usize::from(norm)),
                (["classes"], _) => "decoder.6".to_owned(),
                _ => return None,
            }
        }
    };
    Some(format!("{layer}.{part}"))
}

/// Reads a head of `task` that ViRB trained on `encoder`. Without `labels` classes are numbered.
///
/// # Errors
/// [`Error::Head`] for a file of another head, and whatever is wrong with the file.
pub fn load(path: &Path, task: &Task, encoder: &LoadedEncoder, labels: Vec<Label>, device: &Device) -> Result<Head> {
    let bad = |reason: String| Error::Head { path: path.to_path_buf(), reason };
    let recipe = recipe(task, Protocol::Virb);
    let tensors = checkpoint::open_raw(path)?;
    let last = match recipe.head {
        HeadKind::Linear => "head.weight",
        HeadKind::MultiEmbedding => "head.2.weight",
        HeadKind::Pixelwise | HeadKind::Siamese => "up5.0.weight",
        HeadKind::DeepLab => "decoder.6.weight",
    };
    let rows = tensors.get(last).map(|t| t.dims()[0]);
    let rows = rows.ok_or_else(|| bad(format!("it has no tensor `{last}`, so it is no head of {}", task.key)))?;
    let outputs = if matches!(recipe.head, HeadKind::Pixelwise | HeadKind::Siamese) { rows / 4 } else { rows };
    let wanted = recipe.channels.is_none().then_some(outputs);
    let labels = match (wanted, labels.len()) {
        (Some(n), have) if have == n => labels,
        (Some(1000), _) if task.key == "Imagenet" => virboard_core::catalogue::imagenet_classes()
            .map(|name| Label { name: name.to_owned(), colour: String::new() })
            .collect(),
        (Some(n), _) => (0..n).map(|i| Label { name: format!("class {i}"), colour: String::new() }).collect(),
        (None, _) => labels,
    };
    let labels = if task.kind == OutputKind::Segmentation && labels.len() < 2 && recipe.channels == Some(1) {
        [("no", "#4b5563"), ("yes", "#f59e0b")].map(|(n, c)| Label { name: n.into(), colour: c.into() }).to_vec()
    } else {
        labels
    };
    let images = task.images as usize;
    let architecture = match recipe.architecture(encoder, images, Protocol::Virb)? {
        Architecture::MultiEmbedding { input, .. } => {
            let hidden = tensors.get("head.0.weight").map_or(0, |t| t.dims()[0]);
            Architecture::MultiEmbedding { input, hidden }
        }
        other => other,
    };
    let spec = HeadSpec {
        task: task.key.clone(),
        encoder: encoder.key.clone(),
        encoder_sha256: encoder.provenance.sha256.clone(),
        kind: task.kind,
        architecture,
        labels,
        unit: task.unit.clone(),
        scale: 1.0,
        seed: 0,
        images,
        channels: recipe.channels,
        reference: None,
    };
    let head = Head::new(spec, device)?;
    for (name, var) in head.parameters().all() {
        let theirs = theirs(recipe.head, name).ok_or_else(|| bad(format!("ViRB has no `{name}`")))?;
        let tensor = tensors.get(&theirs).ok_or_else(|| bad(format!("it has no tensor `{theirs}`")))?;
        if tensor.dims() != var.dims() {
            return Err(bad(format!(
                "tensor `{theirs}` has shape {:?} where the head of {} on {} needs {:?}",
                tensor.dims(),
                task.key,
                encoder.key,
                var.dims()
            )));
        }
        var.set(&tensor.to_device(device)?)?;
    }
    Ok(head)
}
