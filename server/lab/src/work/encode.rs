//! Encoding a folder of pictures with any checkpoint into one file of features.

use crate::data::left_out::{LeftOut, Why, is_picture, kept_by_programs};
use crate::pipeline::ahead;
use crate::progress::Progress;
use crate::work::{Lab, Record, Work};
use crate::{Error, Result, image};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use virboard_core::catalogue::encoder::Format;
use virboard_nn::checkpoint::Wanted;
use virboard_nn::files::{refuse_overwriting, write_atomically};
use virboard_nn::load::{LoadedEncoder, load_any};

/// A checkpoint and a folder of pictures, whose features become a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encode {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Layout of its tensor names; told from them where it is not said.
    pub format: Option<Format>,
    /// What precedes the names of the network's tensors, where several networks lie in the checkpoint.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Folder of pictures.
    pub images: PathBuf,
    /// Names of layers.
    pub layers: Vec<String>,
    /// The file to write.
    pub out: PathBuf,
}

impl Work for Encode {
    const KIND: &'static str = "encode";

    fn title(&self) -> String {
        format!("{} with {}", self.images.display(), self.checkpoint.display())
    }

    fn run(&self, lab: &Lab, progress: &dyn Progress) -> Result<Record> {
        let device = lab.registry.device();
        let files = pictures(&self.images)?;
        let wanted = Wanted::of(self.format, self.prefix.as_deref());
        let encoder = load_any(&self.checkpoint, wanted.as_ref(), device, lab.registry.precision())?;
        encode(&encoder, &files, &self.layers, &self.out, device, progress)?;
        Ok(Record { files: vec![self.out.clone()], ..Record::default() })
    }
}

/// Pictures that are encoded at once.
const BATCH: usize = 8;
/// The layer that is not a map.
pub(crate) const EMBEDDING: &str = "embedding";

/// Files directly in `folder` whose names end like pictures, sorted by name. What else is there is left out, and said.
pub fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut left_out) = (Vec::new(), LeftOut::default());
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        match kept_by_programs(&path) {
            Some(reason) => left_out.add(reason, &path),
            None if path.is_dir() => left_out.add(Why::Folder, &path),
            None if is_picture(&path) => files.push(path),
            None => left_out.add(Why::OtherFile, &path),
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::NoPictures { folder: folder.to_path_buf() });
    }
    for sentence in left_out.sentences() {
        tracing::info!(folder = %folder.display(), "left out: {sentence}");
    }
    Ok(files)
}

/// Encodes `files` and writes a safetensors file: a tensor per layer, `f32`, whose row i
/// belongs to the i-th name of the metadata entry `files` (a JSON list).
///
/// # Errors
/// [`Error::Unknown`] for a layer that the encoder does not have (it lists those it
/// has), and an error that names the file for a picture that cannot be read or of which the network makes what is no
/// number. Then nothing is written, and an output never overwrites what it is made of.
pub fn encode(
    encoder: &LoadedEncoder,
    files: &[PathBuf],
    layers: &[String],
    out: &Path,
    device: &Device,
    progress: &dyn Progress,
) -> Result<()> {
    let network = &*encoder.network;
    let known: Vec<&str> = network.maps().iter().map(|m| m.name.as_str()).chain([EMBEDDING]).collect();
    if let Some(unknown) = layers.iter().find(|l| !known.contains(&l.as_str())) {
        return Err(Error::Unknown { what: "layer", key: unknown.clone(), known: known.join(", ") });
    }
    refuse_overwriting(out, files.iter().chain(&encoder.file).map(PathBuf::as_path))?;
    let mut parts: BTreeMap<String, Vec<Tensor>> = layers.iter().map(|l| (l.clone(), Vec::new())).collect();
    let maps = layers.iter().any(|l| l != EMBEDDING);
    progress.begin("encoding", files.len() as u64);
    let mut done = 0;
    let prepare = |chunk: &[PathBuf]| -> Result<Vec<Vec<f32>>> {
        chunk.par_iter().map(|file| input(encoder, file)).collect::<Result<_>>()
    };
    ahead(files.chunks(BATCH), prepare, |inputs| {
        if progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let features = network.features_with(&network.preprocessing().batch(&inputs, device)?, maps)?;
        for (layer, rows) in &mut parts {
            let map = network.maps().iter().position(|m| m.name == *layer);
            let tensor = map.map_or(&features.embedding, |i| &features.maps[i]);
            let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
            finite(&tensor, layer, &files[done..])?;
            rows.push(tensor);
        }
        done += inputs.len();
        progress.advance(done as u64);
        Ok(())
    })?;
    let names: Vec<String> =
        files.iter().map(|f| f.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())).collect();
    let bad = |e: &dyn std::fmt::Display| Error::Unusable {
        path: out.to_path_buf(),
        what: "feature file",
        reason: e.to_string(),
    };
    let metadata = HashMap::from([
        ("files".to_owned(), serde_json::to_string(&names).map_err(|e| bad(&e))?),
        ("encoder_sha256".to_owned(), encoder.provenance.sha256.clone()),
    ]);
    let tensors: BTreeMap<String, Tensor> =
        parts.into_iter().map(|(layer, rows)| Ok((layer, Tensor::cat(&rows, 0)?))).collect::<Result<_>>()?;
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| bad(&e))?;
    write_atomically(out, |file| std::io::Write::write_all(file, &bytes).map_err(Error::io(out)))
}

/// Complains of a picture of which a network makes what is no number; its files are those from the first row on.
pub(crate) fn finite(rows: &Tensor, layer: &str, files: &[PathBuf]) -> Result<()> {
    let rows: Vec<Vec<f32>> = rows.flatten_from(1)?.to_vec2()?;
    match rows.iter().zip(files).find(|(row, _)| row.iter().any(|v| !v.is_finite())) {
        Some((_, file)) => Err(Error::NotFiniteFeatures { layer: layer.to_owned(), picture: file.clone() }),
        None => Ok(()),
    }
}

/// A picture as input. Its pixels are taken as they are stored, as data sets and torchvision have them: an orientation
/// turns what people upload only.
pub(crate) fn input(encoder: &LoadedEncoder, file: &Path) -> Result<Vec<f32>> {
    let bytes = std::fs::read(file).map_err(Error::io(file))?;
    let picture = image::decode_stored(&bytes).map_err(|e| Error::Picture { path: file.to_path_buf(), source: e })?;
    Ok(encoder.network.preprocessing().input(&picture))
}
