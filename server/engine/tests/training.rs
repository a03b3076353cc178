//! Registry, feature cache and training on little data, with a narrow network.

use candle_core::Device;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use virboard_core::catalog::task::OutputKind;
use virboard_engine::dataset::{Dataset, Sample, Split, Target};
use virboard_engine::encoder::registry::Registry;
use virboard_engine::encoder::resnet::{Config, ResNet, random_weights};
use virboard_engine::encoder::{LoadedEncoder, Provenance};
use virboard_engine::feature_cache::{FeatureSet, Kind};
use virboard_engine::head::{Architecture, Head, HeadSpec, Label, RawOutput, pixelwise};
use virboard_engine::progress::{EpochReport, Progress};
use virboard_engine::scene::{CLASSES, Scene};
use virboard_engine::train::{Configuration, Part, Targets, train};
use virboard_engine::{Error, Result};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples")
}

#[test]
fn encoders_are_loaded_once_and_leave_when_the_budget_is_full() {
    let roomy = Registry::new(vec![samples().join("encoders")], Device::Cpu, 1 << 30);
    let first = roomy.get("EfficientNetLite0").expect("it ships");
    assert!(Arc::ptr_eq(&first, &roomy.get("EfficientNetLite0").expect("it ships")));
    let tight = Registry::new(vec![samples().join("encoders")], Device::Cpu, 1);
    let old = Arc::downgrade(&tight.get("EfficientNetLite0").expect("it ships"));
    assert!(old.upgrade().is_some(), "the one in use stays");
    tight.get("OpenNsfw").expect("it ships");
    assert!(old.upgrade().is_none(), "the budget holds one");
    assert!(matches!(tight.get("SWAV_800"), Err(Error::NoWeights { .. })));
    assert!(matches!(tight.get("Nobody"), Err(Error::Unknown { .. })));
}

/// Six small scenes to train on, three to test.
struct Few;

impl Dataset for Few {
    fn len(&self, split: Split) -> usize {
        if split == Split::Train { 6 } else { 3 }
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        let seed = index as u64 + if split == Split::Train { 0 } else { 50 };
        let r = Scene::new(seed).render(64, 48);
        Ok(Sample { picture: r.picture, target: Target::Mask { width: 64, height: 48, classes: r.classes } })
    }

    fn labels(&self) -> Vec<Label> {
        CLASSES.iter().map(|(n, c)| Label { name: (*n).into(), colour: (*c).into() }).collect()
    }

    fn pictures_sha256(&self) -> &'static str {
        "few scenes"
    }

    fn sha256(&self) -> String {
        "few scenes and their masks".into()
    }
}

fn narrow() -> LoadedEncoder {
    let config = Config::torchvision(4, 4);
    let mut weights = random_weights(&config, 1).expect("weights");
    let network = Box::new(ResNet::new(config, &mut weights, &Device::Cpu).expect("built"));
    let provenance = Provenance { sha256: "narrow".into(), source: "seeded".into() };
    LoadedEncoder { key: "Narrow".into(), network, provenance, classifier: None, bytes: 0 }
}

#[derive(Default)]
struct Losses(Mutex<Vec<f64>>);

impl Progress for Losses {
    fn epoch(&self, report: &EpochReport) {
        self.0.lock().expect("not poisoned").push(report.train_loss);
    }
}

fn part(folder: &Path, encoder: &LoadedEncoder, split: Split) -> Part {
    let features = FeatureSet::open_or_encode(folder, encoder, &Few, split, Kind::Maps, &Device::Cpu, &());
    Part { features: features.expect("encoded"), targets: Targets::collect(&Few, split, 224).expect("collected") }
}

#[test]
fn a_decoder_learns_repeats_and_survives_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = narrow();
    let (train_part, test_part) =
        (part(folder.path(), &encoder, Split::Train), part(folder.path(), &encoder, Split::Test));
    let channels: Vec<usize> = encoder.network.maps().iter().map(|m| m.channels).collect();
    let spec = HeadSpec {
        task: "SceneSegmentation".into(),
        encoder: "Narrow".into(),
        encoder_sha256: "narrow".into(),
        kind: OutputKind::Segmentation,
        architecture: Architecture::Pixelwise { channels, slim: Some(pixelwise::SLIM.to_vec()) },
        labels: Few.labels(),
        unit: String::new(),
        scale: 1.0,
        seed: 3,
    };
    let configuration =
        Configuration { epochs: 4, learning_rate: 3e-3, batch_size: 2, cosine: true, standardise: true, seed: 3 };
    let run = || {
        let head = Head::new(spec.clone(), &Device::Cpu).expect("built");
        let losses = Losses::default();
        let score = train(&head, &configuration, &train_part, &test_part, &Device::Cpu, &losses).expect("trained");
        (head, score, losses.0.into_inner().expect("not poisoned"))
    };
    let (head, score, losses) = run();
    assert!(losses[3] < 0.8 * losses[0], "{losses:?}");
    assert!(score.value > score.constant, "{score:?}");
    let (_, again, again_losses) = run();
    assert_eq!((score, &losses), (again, &again_losses), "the same seed gives the same bits");

    let path = folder.path().join("head.safetensors");
    head.save(&path).expect("saved");
    assert!(std::fs::metadata(&path).expect("there").len() < 3_000_000);
    let loaded = Head::load(&path, &Device::Cpu).expect("loaded");
    assert_eq!(loaded.spec, spec);
    let input = encoder.network.preprocessing().input(&Few.sample(Split::Test, 0).expect("rendered").picture);
    let batch = encoder.network.preprocessing().batch(&[input], &Device::Cpu).expect("a batch");
    let features = encoder.network.features(&batch).expect("computed");
    let logits = |head: &Head| match head.forward(&features).expect("computed") {
        RawOutput::PixelLogits(t) => t,
        other => panic!("{other:?}"),
    };
    let (a, b) = (logits(&head), logits(&loaded));
    assert_eq!(a.dims(), [1, 6, 224, 224]);
    let number = |t: candle_core::Tensor| t.to_scalar::<f32>().expect("a number");
    let scale = number(a.abs().and_then(|t| t.max_all()).expect("computed"));
    let error = number((a - b).and_then(|d| d.abs()?.max_all()).expect("computed"));
    assert!(error < 0.02 * scale, "half precision costs little: {error} of {scale}");
}

#[test]
fn a_damaged_cache_file_is_encoded_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = narrow();
    let open =
        || FeatureSet::open_or_encode(folder.path(), &encoder, &Few, Split::Test, Kind::Embedding, &Device::Cpu, &());
    let values = |set: &FeatureSet| -> Vec<f32> {
        set.batch(&[2, 0], &Device::Cpu).and_then(|t| Ok(t[0].flatten_all()?.to_vec1()?)).expect("values")
    };
    let before = values(&open().expect("encoded"));
    let file = std::fs::read_dir(folder.path()).expect("listed").flatten().next().expect("one file").path();
    let whole = std::fs::read(&file).expect("read");
    for bytes in [&whole[..whole.len() - 7], &whole[..3], b"rubbish".as_slice()] {
        std::fs::write(&file, bytes).expect("damaged");
        assert_eq!(values(&open().expect("encoded again")), before);
    }
    assert_eq!(std::fs::read(&file).expect("read"), whole, "byte for byte as before");
}

#[test]
fn a_head_of_other_weights_is_refused() {
    let registry = Registry::new(vec![samples().join("encoders")], Device::Cpu, 1 << 30);
    let encoder = registry.get("EfficientNetLite0").expect("it ships");
    let mut head = Head::own(&encoder).expect("it has a classification layer");
    head.check(&encoder).expect("its own");
    head.spec.encoder_sha256 = "other".into();
    let message = head.check(&encoder).expect_err("refused").to_string();
    assert!(message.contains("virboard evaluate --encoders EfficientNetLite0"), "{message}");
}
