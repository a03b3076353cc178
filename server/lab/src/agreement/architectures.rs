//! Every architecture with seeded weights, on a device and on the CPU.

use super::{Pair, Row, Setting, values};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use virboard_nn::checkpoint::entry;
use virboard_nn::encoder::{Encoder, Precision};
use virboard_nn::load::{self, LoadedEncoder, load_any};
use virboard_nn::seeded::{Stream, weight};

/// The name of the network that has no file of names: seeded by itself.
const RESNET50: &str = "resnet50";

/// Compares, for every file of names in `vectors` and for ResNet-50, all maps and the embedding
/// in every setting of the device with the CPU's in `f32`; `done` gets each row as it is there.
///
/// # Errors
/// If the folder has no such files. What fails on the device is a row that says so.
pub fn architectures(device: &Device, vectors: &Path, done: &mut dyn FnMut(Row)) -> Result<()> {
    for key in keys(vectors)? {
        let reference = with_weights(vectors, &key, &mut |load| {
            let encoder = load(&Device::Cpu, Precision::F32)?;
            let wanted = outputs(&*encoder.network, &Device::Cpu)?;
            for setting in Setting::of(device) {
                // Those that the network cannot do are computed in f32, and not said twice.
                if encoder.description().precision(setting.precision) == setting.precision {
                    done(Row::of(key.clone(), setting, setting.bound(), || {
                        // The device's own network, whatever a check at its first use says.
                        let network = load(device, setting.precision)?;
                        if network.precision != setting.precision {
                            let reason = "its first use differed from the CPU; the log says by how much".to_owned();
                            return Err(Error::Unfit(reason));
                        }
                        let got = outputs(&*network.network, device)?;
                        Ok(pairs(&*network.network, got, &wanted))
                    }));
                }
            }
            Ok(())
        });
        if let Err(error) = reference {
            let setting = Setting { precision: Precision::F32, tf32: false };
            done(Row::of(key, setting, setting.bound(), || Err(error)));
        }
    }
    Ok(())
}

/// The networks for which there are names.
fn keys(vectors: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(vectors).map_err(Error::io(vectors))?;
    let files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    let named = files.iter().filter(|p| p.extension().is_some_and(|e| e == "safetensors"));
    let mut keys: Vec<String> = named.filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned())).collect();
    if keys.is_empty() {
        let reason = "it holds no files of architectures' names (.safetensors)".to_owned();
        return Err(Error::Unusable { path: vectors.to_path_buf(), what: "folder of vectors", reason });
    }
    keys.push(RESNET50.to_owned());
    keys.sort();
    Ok(keys)
}

/// Loads a network on a device in a precision.
pub type Load<'a> = dyn Fn(&Device, Precision) -> Result<LoadedEncoder> + 'a;

/// Makes seeded weights of a network and hands over what loads them.
///
/// # Errors
/// If the names cannot be read, the weights not be written, or what `work` gives.
pub fn with_weights(vectors: &Path, key: &str, work: &mut dyn FnMut(&Load<'_>) -> Result<()>) -> Result<()> {
    if key == RESNET50 {
        return work(&|device, precision| Ok(load::random(key, device, precision)?));
    }
    let names = names(&vectors.join(format!("{key}.safetensors")))?;
    let tensors = names.iter().map(|(name, shape)| {
        Ok((name.clone(), Tensor::from_vec(weight(name, shape), shape.as_slice(), &Device::Cpu)?))
    });
    let tensors: HashMap<String, Tensor> = tensors.collect::<Result<_>>()?;
    let folder = tempfile::tempdir().map_err(Error::io(std::env::temp_dir()))?;
    let path = folder.path().join("weights.safetensors");
    candle_core::safetensors::save(&tensors, &path)?;
    drop(tensors);
    work(&|device, precision| Ok(load_any(&path, None, device, precision)?))
}

/// Names and shapes of a checkpoint's tensors, kept beside the vectors of its outputs.
fn names(path: &Path) -> Result<BTreeMap<String, Vec<usize>>> {
    let bad = |reason: String| Error::Unusable { path: path.to_path_buf(), what: "file of vectors", reason };
    let names = entry(path, "names")?;
    let names = names.ok_or_else(|| bad("it has no entry `names`".to_owned()))?;
    serde_json::from_str(&names).map_err(|e| bad(e.to_string()))
}

/// All maps and the embedding of two seeded pictures.
fn outputs(network: &dyn Encoder, device: &Device) -> Result<Vec<Vec<f32>>> {
    let input = network.preprocessing();
    let shape = (2, 3, input.height as usize, input.width as usize);
    let mut stream = Stream::new(0, "agreement");
    let pixels: Vec<f32> = (0..shape.0 * shape.1 * shape.2 * shape.3).map(|_| stream.normal() as f32).collect();
    let features = network.features(&Tensor::from_vec(pixels, shape, device)?)?;
    features.maps.iter().chain([&features.embedding]).map(values).collect()
}

fn pairs(network: &dyn Encoder, got: Vec<Vec<f32>>, wanted: &[Vec<f32>]) -> Vec<Pair> {
    let names = network.maps().iter().map(|m| m.name.clone()).chain(["embedding".to_owned()]);
    names.zip(got).zip(wanted).map(|((name, got), wanted)| (name, got, wanted.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself_and_a_folder_without_vectors_is_named() {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn/tests/vectors");
        let few = tempfile::tempdir().expect("a folder");
        for name in ["resnet.basic.safetensors", "dinov2_s14.safetensors"] {
            std::fs::copy(vectors.join(name), few.path().join(name)).expect("copied");
        }
        let mut rows = Vec::new();
        architectures(&Device::Cpu, few.path(), &mut |row| rows.push(row)).expect("compared");
        let full: Vec<&Row> = rows.iter().filter(|r| r.setting == "f32").collect();
        assert_eq!(
            full.iter().map(|r| r.what.as_str()).collect::<Vec<_>>(),
            ["dinov2_s14", "resnet.basic", "resnet50"]
        );
        for row in &rows {
            assert!(row.passed() && row.compared >= 5, "{row:?}");
        }
        let empty = tempfile::tempdir().expect("a folder");
        let said = architectures(&Device::Cpu, empty.path(), &mut |_| {}).expect_err("nothing there").to_string();
        assert!(said.contains("no files of architectures' names"), "{said}");
    }
}
