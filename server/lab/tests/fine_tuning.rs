//! Encoders that are trained along with their heads, on little data and with small networks.

use candle_core::Device;
use image::{Rgb, RgbImage};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::task::{Metric, OutputKind};
use virboard_core::protocol::Protocol;
use virboard_core::run::Epoch;
use virboard_lab::data::{Dataset, Sample, Split, Target};
use virboard_lab::head::{Architecture, Head, HeadSpec, Label};
use virboard_lab::progress::Progress;
use virboard_lab::registry::Registry;
use virboard_lab::score::metric::Scoring;
use virboard_lab::train::augment::View;
use virboard_lab::train::fine_tuning::FineTuning;
use virboard_lab::train::loss::Loss;
use virboard_lab::train::source::{Pictures, Source, Streamed};
use virboard_lab::train::{Aim, Configuration, Keep, Member, Parts, Selection, hold_out, test_finished, train};
use virboard_lab::work::evaluate::Evaluate;
use virboard_lab::{Error, Result};
use virboard_nn::encoder::{AtSide, Form, Precision};
use virboard_nn::load::{LoadedEncoder, load_any};
use virboard_nn::network::pixelwise;
use virboard_nn::optimiser::Kind;
use virboard_nn::schedule::{Schedule, WarmUp};
use virboard_nn::seeded::Stream;
use virboard_nn::testing::values;

const SIDE: u32 = 32;
const TRAIN: usize = 48;
const TEST: usize = 40;

/// Stripes of four directions in noise, whose phase, colour and strength say nothing.
struct Stripes {
    /// Whether the truth is the direction of each pixel instead of that of the picture.
    of_pixels: bool,
}

impl Dataset for Stripes {
    fn len(&self, split: Split) -> usize {
        if split == Split::Train { TRAIN } else { TEST }
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        let mut random = Stream::new(index as u64, if split == Split::Train { "train" } else { "test" });
        let class = index % 4;
        let (dx, dy) = [(1, 0), (0, 1), (1, 1), (1, 3)][class];
        let phase = random.below(4) as u32;
        let strength = random.range(25.0, 50.0);
        let tint = [0; 3].map(|_| random.range(60.0, 180.0));
        let picture = RgbImage::from_fn(SIDE, SIDE, |x, y| {
            let stripe = if (dx * x + dy * y + phase) % 4 < 2 { strength } else { -strength };
            Rgb(tint.map(|t| (t + stripe + random.range(-15.0, 15.0)) as u8))
        });
        let (width, height) = (SIDE, SIDE);
        let target = if self.of_pixels {
            Target::Mask { width, height, classes: vec![class as u8; (SIDE * SIDE) as usize] }
        } else {
            Target::Class(class)
        };
        Ok(Sample { pictures: vec![picture], target })
    }

    fn labels(&self) -> Vec<Label> {
        ["across", "down", "diagonal", "steep"]
            .map(|name| Label { name: name.to_owned(), colour: String::new() })
            .to_vec()
    }

    fn pictures_sha256(&self) -> &'static str {
        "stripes"
    }

    fn sha256(&self) -> String {
        "stripes and their directions".to_owned()
    }
}

const OF_PICTURES: Stripes = Stripes { of_pixels: false };
const OF_PIXELS: Stripes = Stripes { of_pixels: true };

fn resnet() -> Form {
    Form { width: Some(8), blocks: Some([1, 2, 1, 1]), ..Form::of("resnet18") }
}

fn vit() -> Form {
    Form { width: Some(64), depth: Some(4), patch: Some(8), grid: Some(4), ..Form::of("vit") }
}

/// A network of random weights, from a checkpoint, for pictures of 32 pixels.
fn encoder(folder: &Path, form: &Form) -> LoadedEncoder {
    let network = form.build(&mut form.random(3).expect("weights"), &Device::Cpu).expect("built");
    let tensors: HashMap<String, _> =
        network.parameters().all().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let path = folder.join(format!("{}.safetensors", form.architecture));
    candle_core::safetensors::save(&tensors, &path).expect("saved");
    let loaded = load_any(&path, None, &Device::Cpu, Precision::F32).expect("loaded");
    LoadedEncoder { key: "Small".to_owned(), network: Box::new(AtSide::new(loaded.network, SIDE)), ..loaded }
}

fn spec(encoder: &LoadedEncoder, of_pixels: bool) -> HeadSpec {
    let maps = encoder.network.maps();
    let channels = maps.iter().map(|m| m.channels).collect();
    HeadSpec {
        task: "Stripes".to_owned(),
        encoder: encoder.key.clone(),
        encoder_sha256: encoder.provenance.sha256.clone(),
        kind: if of_pixels { OutputKind::Segmentation } else { OutputKind::Classification },
        architecture: if of_pixels {
            Architecture::Pixelwise { channels, slim: Some(pixelwise::slim(maps)) }
        } else {
            Architecture::Linear { input: encoder.network.embedding_len() }
        },
        labels: OF_PICTURES.labels(),
        unit: String::new(),
        scale: 1.0,
        seed: 5,
        images: 1,
        channels: None,
        reference: None,
    }
}

/// Plain steps at the head's rate of 0.2 and this one of the encoder.
fn configuration(tuning: FineTuning, epochs: u32, batch_size: usize) -> Configuration {
    Configuration {
        epochs,
        batch_size,
        optimiser: Kind::Sgd { momentum: 0.0, weight_decay: 0.0 },
        learning_rate: 0.2,
        fine_tuning: Some(tuning),
        ..Configuration::untrained("tuned".to_owned(), 5, Protocol::Standard)
    }
}

fn member(encoder: &LoadedEncoder, configuration: &Configuration, of_pixels: bool) -> Member {
    let head = Head::new(spec(encoder, of_pixels), &Device::Cpu).expect("a head");
    let tuning = configuration.fine_tuning.expect("it is a fine-tuning");
    Member::fine_tuned(configuration.clone(), &tuning, head, encoder.trainable(&Device::Cpu).expect("trainable"))
}

fn pictures<'a>(encoder: &'a LoadedEncoder, dataset: &'a Stripes, split: Split) -> Pictures<'a> {
    let (view, device, seed) = (View::Squash, &Device::Cpu, 5);
    Pictures {
        inner: Streamed { dataset, split, encoder, view, exact: false, seed, device },
        augmented: dataset.of_pixels,
    }
}

const fn aim(of_pixels: bool) -> Aim {
    let metric = if of_pixels { Metric::MeanIou } else { Metric::Top1 };
    let scoring = Scoring { metric, skip_zero: false, void_zero: false };
    Aim { loss: Loss::CrossEntropy { first: 1.0 }, scoring, drop_last: false }
}

fn trained(encoder: &LoadedEncoder, configuration: &Configuration, of_pixels: bool) -> Result<(Member, f64)> {
    let mut members = [member(encoder, configuration, of_pixels)];
    let value = teach(encoder, &mut members, None, &())?;
    let [member] = members;
    Ok((member, value))
}

fn teach(
    encoder: &LoadedEncoder,
    members: &mut [Member],
    keep: Option<Keep<'_>>,
    progress: &dyn Progress,
) -> Result<f64> {
    let of_pixels = members[0].head.needs_maps();
    let dataset = if of_pixels { &OF_PIXELS } else { &OF_PICTURES };
    let (train_set, test_set) = (pictures(encoder, dataset, Split::Train), pictures(encoder, dataset, Split::Test));
    let (used, held) = match members[0].configuration.selection {
        Selection::Validation => hold_out(TRAIN),
        Selection::LastEpoch => ((0..TRAIN).collect(), Vec::new()),
    };
    let held_out = (!held.is_empty()).then_some((&train_set as &dyn Source, held));
    let parts = Parts { train: &train_set, trained: used, held_out, test: &test_set };
    train(members, &parts, aim(of_pixels), keep, progress)?;
    let configuration = members[0].configuration.clone();
    Ok(test_finished(members[0].trained(), &parts, aim(of_pixels), &configuration, progress)?.value)
}

type Values = BTreeMap<String, Vec<f32>>;

/// What is trained of the encoder.
fn weights(member: &Member) -> Values {
    let encoder = member.encoder().expect("it is trained along");
    encoder.parameters().trainable().iter().map(|(name, var)| (name.clone(), values(var))).collect()
}

fn head(member: &Member) -> Vec<u32> {
    let all = member.head.parameters().all();
    all.flat_map(|(_, var)| values(var)).map(f32::to_bits).collect()
}

/// How far each tensor has come.
fn way(from: &Values, to: &Values) -> Values {
    let difference =
        |(name, from): (&String, &Vec<f32>)| (name.clone(), from.iter().zip(&to[name]).map(|(a, b)| b - a).collect());
    from.iter().map(difference).collect()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, v| most.max(v.abs()))
}

#[test]
fn every_layer_steps_along_its_gradient_at_its_own_rate() {
    let folder = tempfile::tempdir().expect("a folder");
    for (form, of_pixels) in [(resnet(), false), (vit(), false), (resnet(), true)] {
        let encoder = encoder(folder.path(), &form);
        // One step over all samples, so that steps are the gradients times the rates. A new decoder
        // hardly listens to the coarsest map.
        let rate = if of_pixels { 500.0 } else { 0.5 };
        let step = |layer_decay: f64| {
            let tuning = FineTuning { layer_decay, ..FineTuning::at(rate) };
            let configuration = configuration(tuning, 1, TRAIN);
            let begun = weights(&member(&encoder, &configuration, of_pixels));
            let (member, _) = trained(&encoder, &configuration, of_pixels).expect("trained");
            (way(&begun, &weights(&member)), member)
        };
        let ((whole, of_whole), (decayed, of_decayed)) = (step(1.0), step(0.5));
        assert_eq!(head(&of_whole), head(&of_decayed), "the head has its own rate");
        let network = of_whole.encoder().expect("it is trained along");
        let (mut levels, mut compared) = (BTreeSet::new(), 0);
        for (name, whole) in &whole {
            let above = network.above(name);
            let (most, factor) = (largest(whole), 0.5f32.powi(above as i32));
            assert!(most.is_finite(), "{name} of {} moves by {most}", form.architecture);
            // What shifts the input of a batch normalisation moves by rounding alone.
            if most < 1e-5 {
                continue;
            }
            let off: Vec<f32> = whole.iter().zip(&decayed[name]).map(|(a, b)| a * factor - b).collect();
            assert!(largest(&off) < 0.02 * factor * most + 2e-7, "{name}: {} of {most}", largest(&off));
            levels.insert(above);
            compared += 1;
        }
        assert_eq!(levels, (0..=4).collect(), "{}", form.architecture);
        assert!(compared > 20 && compared + 4 > whole.len(), "{compared} of {} tensors", whole.len());
    }
}

#[test]
fn what_has_no_rate_stays_while_its_statistics_follow() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = encoder(folder.path(), &resnet());
    let configuration = configuration(FineTuning::at(0.0), 1, 16);
    let begun = member(&encoder, &configuration, false);
    let (member, _) = trained(&encoder, &configuration, false).expect("trained");
    assert_eq!(weights(&member), weights(&begun));
    assert_ne!(head(&member), head(&begun));
    let mean = |member: &Member| {
        let encoder = member.encoder().expect("it is trained along");
        values(encoder.parameters().get("layer2.0.bn1.running_mean").expect("a statistic"))
    };
    assert!(mean(&member).iter().all(|m| m.is_finite()) && mean(&member) != mean(&begun));
}

#[test]
fn fine_tuning_learns_what_a_head_alone_cannot() {
    let folder = tempfile::tempdir().expect("a folder");
    for of_pixels in [false, true] {
        let encoder = encoder(folder.path(), &resnet());
        let run = |rate: f64| {
            let warm_up = Some(WarmUp { from: 0.0, epochs: 1, steps: 0 });
            let configuration = Configuration {
                optimiser: Kind::Sgd { momentum: 0.9, weight_decay: 1e-4 },
                learning_rate: 0.05,
                schedule: Schedule::COSINE,
                selection: Selection::Validation,
                ..configuration(FineTuning { warm_up, ..FineTuning::at(rate) }, 25, 8)
            };
            let (member, value) = trained(&encoder, &configuration, of_pixels).expect("trained");
            let losses: Vec<f64> = member.curve().iter().map(|e| e.train_loss).collect();
            assert!(losses.len() == 25 && losses.iter().all(|l| l.is_finite()), "{losses:?}");
            assert!(member.validation().is_some_and(f64::is_finite));
            (losses[24], value)
        };
        let (frozen, tuned) = (run(0.0), run(0.05));
        assert!(tuned.0 < frozen.0, "losses: {frozen:?} {tuned:?}");
        assert!(tuned.1 > frozen.1 + 0.3, "scores: {frozen:?} {tuned:?}");
    }
}

/// Hears epochs, and asks to stop after so many questions.
#[derive(Default)]
struct Stop {
    after: Option<usize>,
    asked: Mutex<usize>,
    epochs: Mutex<usize>,
}

impl Progress for Stop {
    fn epoch(&self, _member: usize, _report: &Epoch, _of: u32) {
        *self.epochs.lock().expect("not poisoned") += 1;
    }

    fn cancelled(&self) -> bool {
        let mut asked = self.asked.lock().expect("not poisoned");
        *asked += 1;
        self.after.is_some_and(|after| *asked > after)
    }
}

#[test]
fn a_fine_tuning_that_was_stopped_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    for of_pixels in [false, true] {
        let encoder = encoder(folder.path(), &resnet());
        let of = |rate: f64| Configuration {
            optimiser: Kind::Sgd { momentum: 0.9, weight_decay: 1e-4 },
            schedule: Schedule::COSINE,
            selection: Selection::Validation,
            ..configuration(FineTuning { layer_decay: 0.7, ..FineTuning::at(rate) }, 4, 16)
        };
        let members = || [of(0.05), of(0.01)].map(|c| member(&encoder, &c, of_pixels));
        let mut whole = members();
        let value = teach(&encoder, &mut whole, None, &()).expect("trained");
        let state = folder.path().join(format!("{of_pixels}.state"));
        let keep = Some(Keep { path: &state, identity: "this" });
        let mut stopped = 0;
        for after in [3, 5, 5] {
            let stop = Stop { after: Some(after), ..Stop::default() };
            let ended = teach(&encoder, &mut members(), keep, &stop);
            assert!(matches!(ended, Err(Error::Cancelled)));
            stopped += usize::from(state.is_file());
        }
        assert!(stopped > 0, "a state was kept");
        let mut resumed = members();
        let heard = Stop::default();
        let again = teach(&encoder, &mut resumed, keep, &heard).expect("trained");
        assert_eq!(*heard.epochs.lock().expect("not poisoned"), 8, "every epoch of both is told once");
        assert_eq!(again.to_bits(), value.to_bits());
        for (a, b) in resumed.iter().zip(&whole) {
            assert_eq!(head(a), head(b));
            assert_eq!(weights(a), weights(b));
            assert_eq!((a.curve(), a.validation()), (b.curve(), b.validation()));
        }
        let (alone, _) = trained(&encoder, &of(0.01), of_pixels).expect("trained");
        assert_eq!(weights(&alone), weights(&whole[1]));
    }
}

#[test]
fn a_loss_that_is_no_number_ends_it_with_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let encoder = encoder(folder.path(), &resnet());
    let far = Configuration { learning_rate: 1e30, ..configuration(FineTuning::at(1e30), 3, 16) };
    let said = trained(&encoder, &far, false).map(|_| ()).expect_err("it diverges");
    assert!(matches!(said, Error::Diverged { epoch: 1, .. }), "{said}");
    assert!(said.to_string().contains("lower the learning rate"), "{said}");
}

type Change = fn(&mut Configuration);

#[test]
fn what_cannot_be_fine_tuned_is_refused_before_any_work() {
    let samples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let registry = Registry::new(Catalogue::builtin(), vec![samples.join("encoders")], Device::Cpu, 1 << 30);
    let catalogue = Catalogue::builtin();
    let work = |encoder: &str, task: &str, change: Change| {
        let row = catalogue.task(task).expect("a task");
        let mut configuration = Configuration::fine_tuned(row, FineTuning::at(0.01), 0, Protocol::Standard);
        change(&mut configuration);
        let (encoder, task) = (encoder.to_owned(), task.to_owned());
        Evaluate { encoder, task, configurations: vec![configuration], skip_broken: false, probes: false }
    };
    let refused = |work: &Evaluate| work.check(&registry).expect_err("refused").to_string();
    work("Random", "SamplePhotos", |_| ()).check(&registry).expect("a ResNet on pictures");
    work("Random", "SceneDepth", |_| ()).check(&registry).expect("a ResNet on pixels");
    for encoder in ["EfficientNetLite0", "OpenNsfw"] {
        let said = refused(&work(encoder, "SamplePhotos", |_| ()));
        assert!(said.starts_with(encoder) && said.contains("not trained whole"), "{said}");
    }
    let said = refused(&work("Random", "Imagenetv2", |_| ()));
    assert!(said.contains("Imagenetv2") && said.contains("another task trains"), "{said}");
    let settings: [(Change, &str); 7] = [
        (|c| c.protocol = Protocol::Virb, "keeps encoders frozen"),
        (|c| c.epochs = 0, "number of epochs of a fine-tuning is 0"),
        (|c| c.batch_size = 1, "size of batches of a fine-tuning is 1"),
        (|c| c.learning_rate = 0.0, "learning rate of the head of a fine-tuning is 0"),
        (|c| c.fine_tuning = Some(FineTuning::at(f64::NAN)), "learning rate of the encoder of a fine-tuning is NaN"),
        (
            |c| c.fine_tuning = Some(FineTuning { layer_decay: 1.5, ..FineTuning::at(0.1) }),
            "layer-wise decay of a fine-tuning is 1.5",
        ),
        (|c| c.optimiser = Kind::AdamW { weight_decay: -1.0 }, "weight decay of a fine-tuning is -1"),
    ];
    for (change, why) in settings {
        let said = refused(&work("Random", "SamplePhotos", change));
        assert!(said.contains(why), "{said}");
    }
    let mut mixed = work("Random", "SamplePhotos", |_| ());
    mixed.configurations.push(Configuration::untrained("head".to_owned(), 0, Protocol::Standard));
    assert!(refused(&mixed).contains("not both"));
}
