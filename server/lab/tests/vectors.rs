//! The engine against PyTorch, torchvision, Pillow and ONNX Runtime. The vectors were made
//! by `scripts/make_test_vectors.py`; tolerances are relative to a tensor's largest value.

use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use virboard_core::catalogue::architecture::Architecture;
use virboard_core::catalogue::encoder::Format;
use virboard_lab::head::{Head, RawOutput};
use virboard_lab::image;
use virboard_nn::Error;
use virboard_nn::checkpoint::Wanted;
use virboard_nn::checkpoint::weights::Weights;
use virboard_nn::encoder::{Encoder, Features, Precision};
use virboard_nn::load;
use virboard_nn::network::pixelwise::Pixelwise;
use virboard_nn::network::resnet::{Config, ResNet};
use virboard_nn::preprocess::{Filter, resize};
use virboard_nn::testing::{Random, Vectors, assert_within, values};

fn vectors(name: &str) -> Vectors {
    Vectors::open(&root().join("tests/vectors").join(name))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn seeded_input(name: &str, shape: &[usize]) -> Tensor {
    Random::new(name).uniform(shape)
}

fn agree_all(features: &Features, encoder: &dyn Encoder, vectors: &Vectors, prefix: &str) {
    assert_eq!(features.maps.len(), encoder.maps().len());
    for (map, spec) in features.maps.iter().zip(encoder.maps()) {
        vectors.assert_near(map, &format!("{prefix}{}", spec.name), 1e-4);
    }
    vectors.assert_near(&features.embedding, &format!("{prefix}embedding"), 1e-4);
}

fn narrow(weights: Weights) -> Result<ResNet, Error> {
    let mut weights = weights;
    let network = ResNet::new(Config::torchvision(2, 2), &mut weights, &Device::Cpu)?;
    weights.finish()?;
    Ok(network)
}

fn checkpoint(name: &str) -> PathBuf {
    root().join("tests/vectors/checkpoints").join(name)
}

#[test]
fn random_resnet50_is_torchvisions() {
    let encoder = load::random("Random", &Device::Cpu, Precision::F32).expect("built");
    let x = seeded_input("resnet50", &[1, 3, 224, 224]);
    let features = encoder.network.features(&x).expect("computed");
    agree_all(&features, &*encoder.network, &vectors("resnet.safetensors"), "resnet50.");
}

#[test]
fn every_checkpoint_format_gives_the_same_maps() {
    let wanted = vectors("resnet.safetensors");
    let x = seeded_input("narrow", &[2, 3, 96, 80]);
    for (file, format) in [
        ("virb.pt", Format::Virb),
        ("swav.pth.tar", Format::Swav),
        ("swav_nested.pth.tar", Format::Swav),
        ("moco.pth.tar", Format::Moco),
        ("pirl.torch", Format::Pirl),
        ("simclr.pth.tar", Format::SimClr),
        ("torchvision.pth", Format::Torchvision),
        ("plain.safetensors", Format::Torchvision),
    ] {
        for format in [Some(format), None] {
            println!("{file} as {format:?}");
            let as_format = format.map(Wanted::Format);
            let weights = load::open(&checkpoint(file), as_format.as_ref()).expect(file);
            let network = narrow(weights).expect(file);
            agree_all(&network.features(&x).expect("computed"), &network, &wanted, "narrow.");
        }
    }
}

#[test]
fn a_malicious_pickle_is_refused_and_not_run() {
    for file in ["malicious.pt", "malicious_legacy.pt"] {
        let error = load::open(&checkpoint(file), None).expect_err("refused");
        assert!(matches!(&error, Error::UnsafePickle { name, .. } if name == "posix.system"), "{error}");
        assert!(error.to_string().contains("not executed"), "{error}");
    }
    assert!(!Path::new("/tmp/virboard-was-here").exists());
}

/// A copy of the plain checkpoint with changed tensors.
fn changed(change: impl FnOnce(&mut HashMap<String, Tensor>)) -> Error {
    let mut tensors = candle_core::safetensors::load(checkpoint("plain.safetensors"), &Device::Cpu).expect("loaded");
    change(&mut tensors);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("changed.safetensors");
    candle_core::safetensors::save(&tensors, &path).expect("saved");
    let weights = load::open(&path, None).expect("opened");
    narrow(weights).err().expect("a changed checkpoint is refused")
}

#[test]
fn loading_is_strict_and_names_the_tensor() {
    let name = "layer3.2.conv2.weight";
    let missing = changed(|t| drop(t.remove(name))).to_string();
    assert!(missing.contains(name), "{missing}");
    let misnamed = changed(|t| {
        let tensor = t.remove(name).expect("it is there");
        t.insert("layer3.2.konv2.weight".into(), tensor);
    });
    let misnamed = misnamed.to_string();
    assert!(misnamed.contains(name) && misnamed.contains("layer3.2.konv2.weight"), "{misnamed}");
    let shape = changed(|t| {
        drop(t.insert(name.into(), Tensor::zeros((8, 8, 3, 4), candle_core::DType::F32, &Device::Cpu).expect("zeros")));
    });
    assert!(matches!(&shape, Error::TensorShape { found, .. } if found[3] == 4), "{shape}");
    let extra = changed(|t| {
        drop(
            t.insert("layer5.0.weight".into(), Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu).expect("zeros")),
        );
    });
    assert!(extra.to_string().contains("layer5.0.weight"), "{extra}");
}

#[test]
fn damaged_checkpoints_are_errors() {
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["virb.pt", "moco.pth.tar", "plain.safetensors"] {
        let bytes = std::fs::read(checkpoint(file)).expect("read");
        for keep in [0, 5, 100, bytes.len() / 2, bytes.len() - 40] {
            let path = folder.path().join("cut");
            std::fs::write(&path, &bytes[..keep]).expect("written");
            let error = load::open(&path, None).err();
            assert!(matches!(error, Some(Error::Checkpoint { .. })), "{file} cut to {keep}: {error:?}");
        }
    }
}

fn sample(key: &str, architecture: Architecture) -> load::LoadedEncoder {
    let path = root().join(format!("../samples/encoders/{key}.safetensors"));
    load::load(key, architecture, &path, None, &Device::Cpu, Precision::F32).expect("the sample encoder loads")
}

#[test]
fn efficientnet_lite0_is_the_reference() {
    let encoder = sample("EfficientNetLite0", Architecture::of("efficientnet_lite0"));
    let wanted = vectors("efficientnet_lite0.safetensors");
    let features = encoder.network.features(&seeded_input("efficientnet", &[2, 3, 224, 224])).expect("computed");
    agree_all(&features, &*encoder.network, &wanted, "");
    let head = Head::own(&encoder).expect("it has a classification layer");
    let RawOutput::Logits(logits) = head.forward(std::slice::from_ref(&features), (224, 224)).expect("computed") else {
        panic!("logits")
    };
    wanted.assert_near(&logits, "logits", 1e-4);
}

#[test]
fn efficientnet_lite0_names_the_photos_as_pytorch_does() {
    let encoder = sample("EfficientNetLite0", Architecture::of("efficientnet_lite0"));
    let head = Head::own(&encoder).expect("it has a classification layer");
    let facts = std::fs::read(root().join("tests/vectors/efficientnet_photos.json")).expect("read");
    let facts: HashMap<String, Vec<(String, f32)>> = serde_json::from_slice(&facts).expect("JSON");
    for (photo, top) in facts {
        let bytes = std::fs::read(root().join("../../public/samples").join(&photo)).expect("read");
        let picture = image::decode(&bytes).expect("decoded");
        let preprocessing = encoder.network.preprocessing();
        let input = preprocessing.input(&picture);
        let batch = preprocessing.batch(&[input], &Device::Cpu).expect("a batch");
        let features = encoder.network.features(&batch).expect("computed");
        let RawOutput::Logits(logits) = head.forward(std::slice::from_ref(&features), (224, 224)).expect("computed")
        else {
            panic!("logits")
        };
        let p = values(&candle_nn::ops::softmax(&logits, 1).expect("computed"));
        for (label, wanted) in top {
            let index = head.spec.labels.iter().position(|l| l.name == label).expect("a known class");
            println!("{photo:14} {label:20} {:.4} (PyTorch {wanted:.4})", p[index]);
            assert!((p[index] - wanted).abs() < 0.01, "{photo} {label}: {} against {wanted}", p[index]);
        }
    }
}

#[test]
fn open_nsfw_is_onnx_runtimes() {
    let encoder = sample("OpenNsfw", Architecture::of("open_nsfw"));
    let x = (seeded_input("open_nsfw", &[1, 3, 224, 224]) * 60.0).expect("scaled");
    let features = encoder.network.features(&x).expect("computed");
    // ONNX maps are taken behind the same activations; the graph keeps N x C x H x W.
    agree_all(&features, &*encoder.network, &vectors("open_nsfw.safetensors"), "");
}

#[test]
fn resizing_is_pillows_to_the_bit() {
    let wanted = vectors("resize.safetensors");
    let bytes = std::fs::read(root().join("../../public/samples/chelsea.png")).expect("read");
    let photo = image::decode(&bytes).expect("decoded");
    let small = ::image::imageops::crop_imm(&photo, 120, 60, 30, 21).to_image();
    for (name, source) in [("photo", &photo), ("small", &small)] {
        for (kind, filter) in [("bilinear", Filter::Bilinear), ("bicubic", Filter::Bicubic)] {
            let got = resize(source, 224, 224, filter);
            let wanted: Vec<u8> =
                wanted[&format!("{name}.{kind}")].flatten_all().and_then(|t| t.to_vec1()).expect("u8");
            assert_within(format!("{name} {kind}"), got.as_raw(), &wanted, 0.5);
        }
    }
}

fn nhwc(t: &Tensor) -> Tensor {
    t.permute((0, 2, 3, 1)).and_then(|t| t.contiguous()).expect("permuted")
}

#[test]
fn the_pixelwise_head_is_pytorchs() {
    let wanted = vectors("pixelwise.safetensors");
    let channels = [6, 8, 10, 12, 16];
    let sizes = [(24, 20), (12, 10), (6, 5), (3, 3), (2, 2)];
    let maps: Vec<Tensor> = channels
        .iter()
        .zip(sizes)
        .enumerate()
        .map(|(i, (c, (h, w)))| nhwc(&seeded_input(&format!("map{i}"), &[2, *c, h, w])))
        .collect();
    for (variant, slim) in [("plain", None), ("slim", Some([4, 5, 6, 7, 8].as_slice()))] {
        let head = Pixelwise::new(&channels, slim, 3, 0, &Device::Cpu).expect("built");
        let out =
            head.forward(&maps, (48, 40)).and_then(|t| Ok(t.permute((0, 3, 1, 2))?.contiguous()?)).expect("computed");
        wanted.assert_near(&out, &format!("{variant}.output"), 1e-5);
    }
}
