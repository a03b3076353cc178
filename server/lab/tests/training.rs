//! Registry, feature cache and training on little data, with a narrow network.

use candle_core::Device;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::{Metric, OutputKind};
use virboard_core::protocol::Protocol;
use virboard_core::run::Epoch;
use virboard_lab::data::{Dataset, Sample, Split, Target};
use virboard_lab::features::{Cache, FeatureSet, Kind, Request};
use virboard_lab::head::{Architecture, Head, HeadSpec, Label, RawOutput};
use virboard_lab::progress::Progress;
use virboard_lab::registry::Registry;
use virboard_lab::scene::{CLASSES, Scene};
use virboard_lab::score::metric::Scoring;
use virboard_lab::train::augment::View;
use virboard_lab::train::loss::Loss;
use virboard_lab::train::source::{Cached, Source, Streamed};
use virboard_lab::train::truth::Truth;
use virboard_lab::train::views::{Kept, draw};
use virboard_lab::train::{Aim, Configuration, Keep, Member, Parts, Selection, test_finished, train};
use virboard_lab::{Error, Result};
use virboard_nn::encoder::Precision;
use virboard_nn::load::{LoadedEncoder, Provenance};
use virboard_nn::network::pixelwise;
use virboard_nn::network::resnet::{Config, ResNet, random_weights};
use virboard_nn::optimiser;
use virboard_nn::schedule::Schedule;
use virboard_nn::testing::{assert_near, assert_within, values};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples")
}

#[test]
fn encoders_are_loaded_once_and_leave_when_the_budget_is_full() {
    let roomy = Registry::new(Catalogue::builtin(), vec![samples().join("encoders")], Device::Cpu, 1 << 30);
    let first = roomy.get("EfficientNetLite0").expect("it ships");
    assert!(Arc::ptr_eq(&first, &roomy.get("EfficientNetLite0").expect("it ships")));
    let tight = Registry::new(Catalogue::builtin(), vec![samples().join("encoders")], Device::Cpu, 1);
    let old = Arc::downgrade(&tight.get("EfficientNetLite0").expect("it ships"));
    assert!(old.upgrade().is_some(), "the one in use stays");
    tight.get("OpenNsfw").expect("it ships");
    assert!(old.upgrade().is_none(), "the budget holds one");
    assert!(matches!(tight.get("SWAV_800"), Err(Error::NoWeights { .. })));
    assert!(matches!(tight.get("Nobody"), Err(Error::NotCatalogued(_))));
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
        Ok(Sample { pictures: vec![r.picture], target: Target::Mask { width: 64, height: 48, classes: r.classes } })
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
    LoadedEncoder {
        key: "Narrow".into(),
        network,
        provenance,
        classifier: None,
        bytes: 0,
        precision: Precision::F32,
        device: "cpu".into(),
        file: None,
        prefix: String::new(),
    }
}

#[derive(Default)]
struct Losses(Mutex<Vec<f64>>);

impl Progress for Losses {
    fn epoch(&self, _member: usize, report: &Epoch, _of: u32) {
        self.0.lock().expect("not poisoned").push(report.train_loss);
    }
}

fn features(folder: &Path, encoder: &LoadedEncoder, split: Split, kind: Kind) -> Result<FeatureSet> {
    let cache = Cache { folder: folder.to_path_buf(), limit: u64::MAX };
    let request = Request { encoder, task: "Few", dataset: &Few, split, kind, device: &Device::Cpu };
    cache.open_or_encode(request, &())
}

fn source(folder: &Path, encoder: &LoadedEncoder, split: Split) -> Cached {
    let set = features(folder, encoder, split, Kind::Maps).expect("encoded");
    Cached::new(set, &Few, split, (224, 224), &Device::Cpu).expect("collected")
}

fn configuration(name: &str, learning_rate: f64, epochs: u32) -> Configuration {
    Configuration {
        name: name.to_owned(),
        epochs,
        batch_size: 2,
        test_batch_size: 2,
        optimiser: optimiser::Kind::Adam,
        learning_rate,
        schedule: Schedule::COSINE,
        standardise: true,
        repeats: 1,
        protocol: Protocol::Standard,
        selection: Selection::LastEpoch,
        seed: 3,
        views: None,
        precision: Precision::F32,
        fine_tuning: None,
    }
}

fn decoder(encoder: &LoadedEncoder) -> HeadSpec {
    HeadSpec {
        task: "SceneSegmentation".into(),
        encoder: "Narrow".into(),
        encoder_sha256: "narrow".into(),
        kind: OutputKind::Segmentation,
        architecture: Architecture::Pixelwise {
            channels: encoder.network.maps().iter().map(|m| m.channels).collect(),
            slim: Some(pixelwise::slim(encoder.network.maps())),
        },
        labels: Few.labels(),
        unit: String::new(),
        scale: 1.0,
        seed: 3,
        images: 1,
        channels: None,
        reference: None,
    }
}

const AIM: Aim = Aim {
    loss: Loss::CrossEntropy { first: 1.0 },
    scoring: Scoring { metric: Metric::MeanIou, skip_zero: false, void_zero: false },
    drop_last: false,
};

#[test]
fn a_decoder_learns_repeats_and_survives_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = narrow();
    let (train_set, test_set) =
        (source(folder.path(), &encoder, Split::Train), source(folder.path(), &encoder, Split::Test));
    let parts = Parts { train: &train_set, trained: (0..6).collect(), held_out: None, test: &test_set };
    let spec = decoder(&encoder);
    let run = || {
        let head = Head::new(spec.clone(), &Device::Cpu).expect("built");
        let mut members = [Member::new(configuration("adam", 3e-3, 4), head)];
        let losses = Losses::default();
        train(&mut members, &parts, AIM, None, &losses).expect("trained");
        let [member] = members;
        let tested = test_finished(member.trained(), &parts, AIM, &member.configuration, &()).expect("tested");
        (member.head, (tested.value, tested.constant), losses.0.into_inner().expect("not poisoned"))
    };
    let (head, score, losses) = run();
    assert!(losses[3] < 0.8 * losses[0], "{losses:?}");
    assert!(score.1.is_some_and(|constant| score.0 > constant), "{score:?}");
    let (_, again, again_losses) = run();
    assert_eq!((score, &losses), (again, &again_losses), "the same seed gives the same bits");

    let path = folder.path().join("head.safetensors");
    head.save(&path).expect("saved");
    assert!(std::fs::metadata(&path).expect("there").len() < 3_000_000);
    let loaded = Head::load(&path, &Device::Cpu).expect("loaded");
    assert_eq!(loaded.spec, spec);
    let input = encoder.network.preprocessing().input(&Few.sample(Split::Test, 0).expect("rendered").pictures[0]);
    let batch = encoder.network.preprocessing().batch(&[input], &Device::Cpu).expect("a batch");
    let features = [encoder.network.features(&batch).expect("computed")];
    let logits = |head: &Head| match head.forward(&features, (224, 224)).expect("computed") {
        RawOutput::PixelLogits(t) => t,
        other => panic!("{other:?}"),
    };
    let (a, b) = (logits(&head), logits(&loaded));
    assert_eq!(a.dims(), [1, 6, 224, 224]);
    assert_near("half precision costs little", &values(&b), &values(&a), 0.02);
}

/// Stops after some epochs, as a killed process does.
struct StopAfter(u32, Mutex<u32>);

impl Progress for StopAfter {
    fn epoch(&self, _member: usize, report: &Epoch, _of: u32) {
        *self.1.lock().expect("not poisoned") = report.epoch;
    }

    fn cancelled(&self) -> bool {
        *self.1.lock().expect("not poisoned") >= self.0
    }
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_bits_alone_and_side_by_side() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = narrow();
    let (train_set, test_set) =
        (source(folder.path(), &encoder, Split::Train), source(folder.path(), &encoder, Split::Test));
    let (trained, held) = ((0..4).collect::<Vec<_>>(), vec![4, 5]);
    let parts = || Parts {
        train: &train_set,
        trained: trained.clone(),
        held_out: Some((&train_set, held.clone())),
        test: &test_set,
    };
    let spec = decoder(&encoder);
    let configurations = [
        configuration("adam", 3e-3, 4),
        Configuration {
            optimiser: optimiser::Kind::Sgd { momentum: 0.9, weight_decay: 0.0 },
            ..configuration("sgd", 1e-2, 4)
        },
    ];
    let members = |which: &[Configuration]| -> Vec<Member> {
        let head = || Head::new(spec.clone(), &Device::Cpu).expect("built");
        which.iter().map(|c| Member::new(c.clone(), head())).collect()
    };
    let bits = |member: &Member| -> Vec<u32> {
        let all = member.head.parameters().all();
        all.flat_map(|(_, v)| v.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("values"))
            .map(f32::to_bits)
            .collect()
    };
    let mut together = members(&configurations);
    train(&mut together, &parts(), AIM, None, &()).expect("trained");
    for (i, c) in configurations.iter().enumerate() {
        let mut alone = members(std::slice::from_ref(c));
        train(&mut alone, &parts(), AIM, None, &()).expect("trained");
        assert_eq!(bits(&alone[0]), bits(&together[i]), "{} trains alike alone", c.name);
    }
    let state = folder.path().join("state");
    let keep = Some(Keep { path: &state, identity: "this" });
    for stop in 1..4 {
        let mut part = members(&configurations);
        let stopped = train(&mut part, &parts(), AIM, keep, &StopAfter(stop, Mutex::new(0)));
        assert!(matches!(stopped, Err(Error::Cancelled)));
    }
    let mut resumed = members(&configurations);
    let reports = Losses::default();
    train(&mut resumed, &parts(), AIM, keep, &reports).expect("trained");
    assert_eq!(reports.0.lock().expect("not poisoned").len(), 8, "every epoch of both is reported once");
    for (a, b) in resumed.iter().zip(&together) {
        assert_eq!(bits(a), bits(b));
        assert_eq!(a.curve(), b.curve());
        assert_eq!(a.validation(), b.validation());
    }
    // A damaged state, or another training's, is not taken up.
    let mut bytes = std::fs::read(&state).expect("read");
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    std::fs::write(&state, bytes).expect("damaged");
    let mut anew = members(&configurations);
    train(&mut anew, &parts(), AIM, keep, &()).expect("trained");
    assert_eq!(bits(&anew[0]), bits(&together[0]));
}

#[test]
fn a_damaged_cache_file_is_encoded_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = narrow();
    let open = || features(folder.path(), &encoder, Split::Test, Kind::Embedding);
    let values = |set: &FeatureSet| -> Vec<f32> {
        set.batch(&[2, 0], &Device::Cpu).and_then(|t| Ok(t[0].flatten_all()?.to_vec1()?)).expect("values")
    };
    let before = values(&open().expect("encoded"));
    let listed = std::fs::read_dir(folder.path()).expect("listed").flatten().map(|e| e.path());
    let file = listed.into_iter().find(|p| p.extension().is_some_and(|e| e == "safetensors")).expect("a file");
    let whole = std::fs::read(&file).expect("read");
    let mut flipped = whole.clone();
    flipped[whole.len() - 5] ^= 4;
    for bytes in [&whole[..whole.len() - 7], &whole[..3], b"rubbish".as_slice(), &flipped] {
        std::fs::write(&file, bytes).expect("damaged");
        assert_eq!(values(&open().expect("encoded again")), before);
    }
    assert_eq!(std::fs::read(&file).expect("read"), whole, "byte for byte as before");
}

#[test]
fn two_writers_encode_once_and_a_small_cache_forgets_the_oldest() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = narrow();
    std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| features(folder.path(), &encoder, Split::Train, Kind::Embedding)));
        for thread in both {
            assert_eq!(thread.join().expect("no panic").expect("encoded").len, 6);
        }
    });
    let one = Cache { folder: folder.path().to_path_buf(), limit: u64::MAX }.entries().expect("listed");
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].description.as_ref().map(|d| (d.samples, d.split.as_str())), Some((6, "train")));
    let small = Cache { folder: folder.path().to_path_buf(), limit: one[0].bytes };
    let request = |split| Request {
        encoder: &encoder,
        task: "Few",
        dataset: &Few,
        split,
        kind: Kind::Embedding,
        device: &Device::Cpu,
    };
    small.open_or_encode(request(Split::Test), &()).expect("encoded");
    let left = small.entries().expect("listed");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].description.as_ref().map(|d| d.split.as_str()), Some("test"));
    let tiny = Cache { limit: 10, ..small };
    let error = tiny.open_or_encode(request(Split::Train), &()).err().expect("too large").to_string();
    assert!(error.contains("--cache-limit"), "{error}");
}

#[test]
fn a_head_of_other_weights_is_refused() {
    let registry = Registry::new(Catalogue::builtin(), vec![samples().join("encoders")], Device::Cpu, 1 << 30);
    let encoder = registry.get("EfficientNetLite0").expect("it ships");
    let mut head = Head::own(&encoder).expect("it has a classification layer");
    head.check(&encoder).expect("its own");
    head.spec.encoder_sha256 = "other".into();
    let message = head.check(&encoder).expect_err("refused").to_string();
    assert!(message.contains("virboard evaluate --encoders EfficientNetLite0"), "{message}");
}

#[test]
fn kept_views_are_what_is_encoded_anew_and_come_round_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = narrow();
    let streamed = || Streamed {
        dataset: &Few,
        split: Split::Train,
        encoder: &encoder,
        view: View::Squash,
        exact: false,
        seed: 5,
        device: &Device::Cpu,
    };
    let cache = Cache { folder: folder.path().to_path_buf(), limit: u64::MAX };
    let kept = Kept::new(streamed(), &cache, 2);
    let batch = |source: &dyn Source, epoch: u32, indices: &[usize]| {
        let batch = source.batch(indices, Some(&draw(epoch, Some(2)))).expect("a batch");
        let Truth::Mask(truth) = batch.truth else { panic!("classes of pixels") };
        (batch.inputs.iter().map(|t| (t.dims().to_vec(), values(t))).collect::<Vec<_>>(), truth)
    };
    let indices = [3, 0, 3, 2];
    let first = batch(&kept, 0, &indices);
    let fresh = batch(&streamed(), 0, &indices);
    assert_eq!(first.1, fresh.1);
    assert_eq!(first.0.len(), fresh.0.len());
    for ((shape, ours), (wanted_shape, wanted)) in first.0.iter().zip(&fresh.0) {
        assert_eq!(shape, wanted_shape);
        // As a share of each number.
        let share = |values: &[f32]| -> Vec<f32> {
            values.iter().zip(wanted).map(|(v, wanted)| v / wanted.abs().max(1e-3)).collect()
        };
        assert_within("half precision", &share(ours), &share(wanted), 1e-3);
    }
    let other = batch(&kept, 1, &indices);
    assert_ne!(first.0, other.0, "another view");
    // Round again, in another order and with one that is new.
    let again = batch(&kept, 2, &[1, 2, 3]);
    let each = first.0[0].1.len() / indices.len();
    assert_eq!(again.0[0].1[each..2 * each], first.0[0].1[3 * each..], "the same to the bit");
    assert_eq!(again.0[0].1[2 * each..], first.0[0].1[..each]);
    // Read back at its first use, too.
    assert_eq!(batch(&Kept::new(streamed(), &cache, 2), 2, &indices), first);
    let tight = Cache { limit: 1000, ..cache };
    let refused = Kept::new(streamed(), &tight, 2).batch(&indices, None).err().expect("no room");
    assert!(refused.to_string().contains("--cache-limit"), "{refused}");
}
