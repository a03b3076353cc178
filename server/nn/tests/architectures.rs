//! Every architecture against torchvision, timm and transformers, whose outputs
//! `scripts/make_architecture_vectors.py` wrote down: seeded weights under the authors' names go
//! through a file, from which the architecture is recognised; tolerances are relative to a
//! tensor's largest value.

use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use virboard_core::catalogue::architecture::Architecture;
use virboard_nn::checkpoint::entry_of;
use virboard_nn::encoder::Precision;
use virboard_nn::load::{LoadedEncoder, load, load_any};
use virboard_nn::seeded::{Stream, weight};

const BOUND: f32 = 1e-4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Names and shapes.
type Names = BTreeMap<String, Vec<usize>>;

/// The names and shapes of a checkpoint, and what its network gives.
struct Vectors {
    names: Names,
    tensors: HashMap<String, Tensor>,
}

impl Vectors {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the vectors are in the repository");
        let names = entry_of(&bytes, "names").expect("safetensors").expect("names and shapes");
        let names = serde_json::from_str(&names).expect("JSON");
        Self { names, tensors: candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).expect("tensors") }
    }

    fn integers(&self, name: &str) -> Vec<usize> {
        self.tensors[name].to_vec1::<i64>().expect("integers").into_iter().map(|n| n as usize).collect()
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        self.tensors[name].to_vec1().expect("numbers")
    }

    /// Compares a tensor with the sampled positions of its vector; gives the relative error.
    fn error(&self, got: &Tensor, name: &str) -> f32 {
        assert_eq!(got.dims(), self.integers(&format!("{name}.shape")), "{name}");
        let (wanted, scale) = (self.numbers(name), self.numbers(&format!("{name}.scale"))[0]);
        let got: Vec<f32> = got.flatten_all().and_then(|t| t.to_vec1()).expect("numbers");
        assert!(scale.is_finite() && scale > 0.0 && wanted.len() > 10, "{name} compares something");
        assert!(got.iter().chain(&wanted).all(|v| v.is_finite()), "{name} is finite");
        let step = (got.len() - 1) as f64 / (wanted.len() - 1) as f64;
        let errors = wanted.iter().enumerate().map(|(i, w)| (got[(i as f64 * step) as usize] - w).abs());
        errors.fold(0f32, f32::max) / scale
    }
}

fn seeded_input(name: &str, shape: &[usize]) -> Tensor {
    let mut stream = Stream::new(0, name);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (stream.uniform() * 4.0 - 2.0) as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
}

/// Writes a checkpoint with seeded weights.
fn write(names: &Names, path: &Path) {
    let tensors: HashMap<String, Tensor> = names
        .iter()
        .map(|(name, shape)| {
            let tensor = Tensor::from_vec(weight(name, shape), shape.as_slice(), &Device::Cpu);
            (name.clone(), tensor.expect("a tensor"))
        })
        .collect();
    candle_core::safetensors::save(&tensors, path).expect("saved");
}

fn check(key: &str, vectors: &Vectors, encoder: &LoadedEncoder) {
    let mut worst = (0f32, String::new());
    for size in ["native", "other"] {
        let dims = vectors.integers(&format!("{size}.size"));
        let x = seeded_input(key, &[1, 3, dims[0], dims[1]]);
        let features = encoder.network.features(&x).expect("computed");
        let names = encoder.description().maps.iter().map(|m| m.name.as_str()).chain(["embedding"]);
        let outputs: Vec<&Tensor> = features.maps.iter().chain([&features.embedding]).collect();
        assert_eq!(outputs.len(), encoder.description().maps.len() + 1);
        for (output, name) in outputs.into_iter().zip(names) {
            let error = vectors.error(output, &format!("{size}.{name}"));
            if error >= worst.0 {
                worst = (error, format!("{size}.{name}"));
            }
        }
        let alone = encoder.network.embedding(&x).expect("computed");
        let error = vectors.error(&alone, &format!("{size}.embedding"));
        assert!(error < BOUND, "{key}, the embedding without maps: {error}");
    }
    println!("{key:18} largest relative error {:.1e} in {}", worst.0, worst.1);
    assert!(worst.0 < BOUND, "{key}: {} in {}", worst.0, worst.1);
}

#[test]
fn every_architecture_is_the_authors() {
    let folder_of_weights = tempfile::tempdir().expect("a folder");
    let mut keys = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder()).expect("vectors").flatten().map(|e| e.path()).collect();
    files.sort();
    for file in files {
        let stem = file.file_stem().and_then(|s| s.to_str()).expect("a name").to_owned();
        let key = stem.split('.').next().expect("a key");
        let vectors = Vectors::read(&file);
        let path = folder_of_weights.path().join("weights.safetensors");
        write(&vectors.names, &path);
        let encoder = load_any(&path, None, &Device::Cpu, Precision::F32).expect(&stem);
        assert_eq!(encoder.description().architecture.key(), key, "{stem} is recognised");
        check(&stem, &vectors, &encoder);
        keys.push(key.to_owned());
    }
    let elsewhere = ["resnet50", "open_nsfw", "efficientnet_lite0"];
    for architecture in Architecture::all() {
        let key = architecture.key();
        assert!(keys.iter().any(|k| k == key) || elsewhere.contains(&key), "{key} is compared with nobody's");
    }
}

#[test]
fn a_transformers_checkpoint_is_read_strictly() {
    let folder_of_weights = tempfile::tempdir().expect("a folder");
    let path = folder_of_weights.path().join("weights.safetensors");
    let Vectors { names, .. } = Vectors::read(&folder().join("dinov2_s14.safetensors"));
    let refused = |change: &dyn Fn(&mut Names)| {
        let mut names = names.clone();
        change(&mut names);
        write(&names, &path);
        let architecture = Architecture::of("dinov2_s14");
        load("DINOv2_S14", architecture, &path, None, &Device::Cpu, Precision::F32).err().expect("refused").to_string()
    };
    let name = "encoder.layer.7.mlp.fc1.weight";
    let missing = refused(&|names| drop(names.remove(name)));
    assert!(missing.contains(name), "{missing}");
    let unknown = refused(&|names| drop(names.insert("encoder.layer.12.mlp.fc1.weight".into(), vec![2])));
    assert!(unknown.contains("encoder.layer.12.mlp.fc1.weight"), "{unknown}");
    let shape = refused(&|names| drop(names.insert(name.into(), vec![384, 1536])));
    assert!(shape.contains(name) && shape.contains("[384, 1536]"), "{shape}");
}

#[test]
fn a_classification_layer_is_kept_if_it_is_imagenets() {
    let folder_of_weights = tempfile::tempdir().expect("a folder");
    let path = folder_of_weights.path().join("weights.safetensors");
    for (stem, has) in [("resnet18", true), ("resnet.basic", false)] {
        let vectors = Vectors::read(&folder().join(format!("{stem}.safetensors")));
        write(&vectors.names, &path);
        assert_eq!(virboard_nn::load::has_classifier(&path, None).expect("read"), has, "{stem}");
        let encoder = load_any(&path, None, &Device::Cpu, Precision::F32).expect(stem);
        assert_eq!(encoder.classifier.map(|(weight, _)| weight.dims().to_vec()), has.then(|| vec![1000, 512]));
    }
}
