//! Settings as they ship, and what is said of mistakes in them.

use std::path::{Path, PathBuf};
use virboard_lab::Error;
use virboard_lab::pretrain::method::MethodForm;
use virboard_lab::pretrain::method::pirl::Contrast;
use virboard_lab::pretrain::method::projection::ProjectionForm;
use virboard_lab::pretrain::settings::{OptimiserForm, ScheduleForm, Settings};
use virboard_nn::encoder::Precision;
use virboard_nn::schedule::WarmUp;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/pretraining")
}

fn shipped(name: &str) -> Settings {
    Settings::read(&folder().join(format!("{name}.yaml"))).expect(name)
}

/// A line of the published table; `views` are how many, their pixels, and the least share of the
/// picture.
struct Published {
    file: &'static str,
    method: &'static str,
    batch: usize,
    optimiser: OptimiserForm,
    learning_rate: f64,
    weight_decay: f64,
    epochs: u32,
    schedule: ScheduleForm,
    warm_up: Option<WarmUp>,
    views: &'static [(usize, u32, f64)],
}

#[test]
fn published_settings_are_the_published_ones() {
    let sgd = OptimiserForm::Sgd { momentum: 0.9 };
    let (lars, larc) =
        (OptimiserForm::Lars { momentum: 0.9, trust: 0.001 }, OptimiserForm::Larc { momentum: 0.9, trust: 0.001 });
    let (cosine, last) = (ScheduleForm::Cosine { last: 0.0 }, ScheduleForm::Cosine { last: 0.001 });
    let steps = |at: &[u32]| ScheduleForm::Steps { at: at.to_vec(), factor: 0.1 };
    let warm = |from| Some(WarmUp { from, epochs: 10, steps: 0 });
    let swav: &[_] = &[(2, 224, 0.14), (6, 96, 0.05)];
    #[rustfmt::skip]
    let rows = [
        Published { file: "moco_v1", method: "moco_v1", batch: 256, optimiser: sgd, learning_rate: 0.03, weight_decay: 1e-4, epochs: 200, schedule: steps(&[120, 160]), warm_up: None, views: &[(2, 224, 0.2)] },
        Published { file: "moco_v2", method: "moco_v2", batch: 256, optimiser: sgd, learning_rate: 0.03, weight_decay: 1e-4, epochs: 200, schedule: cosine.clone(), warm_up: None, views: &[(2, 224, 0.2)] },
        Published { file: "swav", method: "swav", batch: 4096, optimiser: larc, learning_rate: 4.8, weight_decay: 1e-6, epochs: 800, schedule: last.clone(), warm_up: warm(0.3), views: swav },
        Published { file: "swav_256", method: "swav", batch: 256, optimiser: larc, learning_rate: 0.6, weight_decay: 1e-6, epochs: 200, schedule: last, warm_up: None, views: swav },
        Published { file: "pirl", method: "pirl", batch: 1024, optimiser: sgd, learning_rate: 0.12, weight_decay: 1e-4, epochs: 800, schedule: cosine.clone(), warm_up: None, views: &[(1, 224, 0.2), (1, 255, 0.6)] },
        Published { file: "simclr", method: "simclr", batch: 4096, optimiser: lars, learning_rate: 4.8, weight_decay: 1e-6, epochs: 100, schedule: cosine, warm_up: warm(0.0), views: &[(2, 224, 0.08)] },
        Published { file: "supervised", method: "supervised", batch: 256, optimiser: sgd, learning_rate: 0.1, weight_decay: 1e-4, epochs: 90, schedule: steps(&[30, 60]), warm_up: None, views: &[(1, 224, 0.08)] },
    ];
    for row in rows {
        let Published { file, method, batch, optimiser, learning_rate, weight_decay, epochs, schedule, warm_up, views } =
            row;
        let s = shipped(file);
        assert_eq!((s.method.key(), s.batch, s.epochs), (method, batch, epochs), "{file}");
        assert_eq!((s.optimiser, s.learning_rate, s.weight_decay), (optimiser, learning_rate, weight_decay), "{file}");
        assert_eq!((&s.schedule, s.warm_up), (&schedule, warm_up), "{file}");
        let seen: Vec<_> = s.views.iter().map(|v| (v.count, v.side, v.scale.0)).collect();
        assert_eq!(seen, views, "{file}");
        assert_eq!(s.network.architecture, "resnet50", "{file}");
        // SwAV and SimCLR exclude vectors from decay.
        assert_eq!(s.decay_vectors, !["swav", "simclr"].contains(&method), "{file}");
    }
}

#[test]
fn published_methods_are_the_published_ones() {
    let mlp = |batch_norm| ProjectionForm { hidden: Some(2048), out: 128, batch_norm };
    for (file, projection, temperature) in
        [("moco_v1", ProjectionForm::linear(128), 0.07), ("moco_v2", mlp(false), 0.2)]
    {
        let (MethodForm::MocoV1(form) | MethodForm::MocoV2(form)) = shipped(file).method else { panic!("MoCo") };
        assert_eq!((form.projection, form.temperature), (projection, temperature), "{file}");
        assert_eq!((form.queue, form.momentum, form.groups), (65_536, 0.999, 8), "{file}");
    }
    for (file, queue) in [("swav", None), ("swav_256", Some((3840, 15)))] {
        let MethodForm::Swav(form) = shipped(file).method else { panic!("SwAV") };
        assert_eq!((form.projection, form.prototypes, form.assigned), (mlp(true), 3000, 2), "{file}");
        assert_eq!((form.temperature, form.epsilon, form.iterations, form.frozen_epochs), (0.1, 0.05, 3, 1), "{file}");
        assert_eq!(form.queue.map(|q| (q.length, q.from_epoch)), queue, "{file}");
    }
    let pirl = shipped("pirl");
    let MethodForm::Pirl(form) = pirl.method else { panic!("PIRL") };
    assert_eq!((form.out, form.patches, form.negatives), (128, 9, 32_000));
    assert_eq!((form.temperature, form.momentum, form.jigsaw_weight), (0.07, 0.5, 0.5));
    assert_eq!(form.contrast, Contrast::Nce);
    let jigsaw = pirl.views[1].jigsaw.as_ref().expect("a jigsaw");
    assert_eq!((jigsaw.grid, jigsaw.patch), (3, 64));
    let MethodForm::SimClr(form) = shipped("simclr").method else { panic!("SimCLR") };
    assert_eq!(form.projection.hidden, Some(2048));
    assert!((0.1..=0.5).contains(&form.temperature));
    for (file, jitter, blurred) in [
        ("moco_v1", (0.4, 0.4, 0.4, 0.4, 1.0), false),
        ("moco_v2", (0.4, 0.4, 0.4, 0.1, 0.8), true),
        ("swav", (0.8, 0.8, 0.8, 0.2, 0.8), true),
        ("swav_256", (0.8, 0.8, 0.8, 0.2, 0.8), true),
        ("pirl", (0.4, 0.4, 0.4, 0.4, 1.0), false),
        ("simclr", (0.8, 0.8, 0.8, 0.2, 0.8), true),
    ] {
        for view in shipped(file).views {
            let j = view.jitter.expect("jitter");
            assert_eq!((j.brightness, j.contrast, j.saturation, j.hue, j.p), jitter, "{file}");
            assert_eq!((view.grey, view.flip), (0.2, 0.5), "{file}");
            assert_eq!(view.blur.map(|b| (b.sigma, b.p)), blurred.then_some(((0.1, 2.0), 0.5)), "{file}");
        }
    }
}

#[test]
fn every_method_ships_as_published_and_small() {
    let files = std::fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("an entry").path());
    let (small, published): (Vec<_>, Vec<_>) = files
        .map(|path| {
            (
                path.file_stem().expect("a name").to_string_lossy().starts_with("miniature"),
                Settings::read(&path).expect("sound"),
            )
        })
        .partition(|(small, _)| *small);
    let keys = |files: &[(bool, Settings)]| {
        let mut keys: Vec<_> = files.iter().map(|(_, settings)| settings.method.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    };
    assert_eq!((keys(&small), keys(&published)), (MethodForm::KEYS.len(), MethodForm::KEYS.len()));
    for (_, settings) in &small {
        let key = settings.method.key();
        assert_eq!((settings.batch, settings.epochs, settings.network.width), (128, 20, Some(24)), "{key}");
        assert_eq!(settings.network.architecture, "resnet18", "{key}");
        assert_eq!(
            (settings.data.sources.as_slice(), settings.views[0].side),
            (["caltech-101".to_owned()].as_slice(), 48),
            "{key}"
        );
        assert_eq!(settings.weight_decay, if key == "swav" { 1e-4 } else { 5e-4 }, "{key}");
        assert_eq!(settings.warm_up, Some(WarmUp { from: 0.0, epochs: 0, steps: 100 }), "{key}");
    }
    for (_, settings) in small.iter().chain(&published) {
        let json = serde_json::to_string(settings).expect("JSON");
        assert_eq!(&serde_json::from_str::<Settings>(&json).expect("settings"), settings, "{json}");
    }
}

/// What is said of a shipped file in which `from` stands as `to`.
fn said(file: &str, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(folder().join(format!("{file}.yaml"))).expect("a file");
    assert!(text.contains(from), "{file} has `{from}`");
    let error = Settings::from_text(Path::new("run.yaml"), &text.replacen(from, to, 1)).expect_err(to);
    assert!(matches!(error, Error::Settings { .. }), "{error}");
    error.to_string()
}

#[test]
fn mistakes_of_form_name_their_place_and_what_was_meant() {
    for (from, to, parts) in [
        ("epochs:", "epoch:", &["run.yaml, line", "`epoch`", "did you mean `epochs`?"][..]),
        ("temperature:", "temprature:", &[", line ", "did you mean `temperature`?"]),
        ("moco_v2:", "moco_v3:", &[", line ", "`moco_v3`", "did you mean"]),
        ("cosine: {}", "cosin: {}", &["did you mean `cosine`?"]),
        ("sgd: {momentum: 0.9}", "sgd: {momentum: 0.9, nesterov: true}", &["`nesterov`"]),
        ("batch: 256\n", "", &["`batch` is missing"]),
        ("method:\n", "method:\n  supervised: {}\n", &["moco_v2 and supervised", "keep one of them"]),
        ("learning_rate: 0.03", "learning_rate: fast", &["line"]),
        ("grey: 0.2", "gray: 0.2", &["`gray`", "did you mean `grey`?"]),
    ] {
        let said = said("moco_v2", from, to);
        for part in parts {
            assert!(said.contains(part), "{to:?}: {said}");
        }
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let none = said("supervised", "  supervised: {}\n", "  supervised:\n");
    assert!(none.contains("supervised: {}"), "{none}");
    let none = said("pirl", "temperature: 0.07", "temperature: 0.07\n    contrast: softmax");
    assert!(none.contains("no name `softmax`") && none.contains("nce, cross_entropy"), "{none}");
}

#[test]
fn mistakes_of_sense_are_a_sentence_each() {
    for (file, from, to, part) in [
        ("moco_v2", "queue: 65536", "queue: 1000", "`queue` is 1000"),
        ("moco_v2", "groups: 8", "groups: 7", "7 `groups`"),
        ("moco_v2", "momentum: 0.999", "momentum: 1.0", "`momentum` is 1"),
        ("moco_v2", "temperature: 0.2", "temperature: 0", "`temperature` is 0"),
        ("moco_v2", "count: 2", "count: 3", "MoCo v2 takes 2 views of each picture, and `views` has 3"),
        ("moco_v2", "learning_rate: 0.03", "learning_rate: 0", "`learning_rate` is 0"),
        ("moco_v2", "weight_decay: 0.0001", "weight_decay: -1", "`weight_decay` is -1"),
        ("moco_v2", "epochs: 200", "epochs: 200\nkeep: [50, 300]", "`keep` names epoch 300"),
        ("moco_v2", "epochs: 200", "epochs: 200\nwarm_up: {epochs: 200}", "`warm_up` takes 200 epochs"),
        ("moco_v2", "epochs: 200", "epochs: 200\nneighbours: {task: X, every: 0}", "`every` of `neighbours`"),
        ("moco_v2", "epochs: 200", "epochs: 200\naccumulate: 0", "`accumulate` is 0"),
        ("moco_v2", "epochs: 200", "epochs: 200\nprecision: f16", "`precision` is f16"),
        ("moco_v2", "momentum: 0.9}", "momentum: 9}", "`momentum` of `optimiser` is 9"),
        ("moco_v1", "at: [120, 160]", "at: [120, 260]", "a step at epoch 260"),
        ("moco_v1", "out: 128", "out: 128, batch_norm: true", "give `hidden`"),
        ("swav_256", "    queue: {length: 3840, from_epoch: 15}\n", "", "give a `queue`"),
        ("swav_256", "length: 3840", "length: 3841", "`length` of `queue` is 3841"),
        ("swav", "count: 2", "count: 1", "the first 2 of them of one kind"),
        ("swav", "epsilon: 0.05", "epsilon: 0", "`epsilon` is 0"),
        ("swav", "last: 0.001", "last: 4", "`last` of `schedule`"),
        ("pirl", "patches: 9", "patches: 4", "`patches`"),
        ("miniature_simclr", "width: 24", "width: 0", "width and blocks must be at least 1"),
        ("simclr", "resnet50", "resnet49", "`resnet49` is no architecture that can be trained"),
        ("pirl", "count: 1", "count: 2", "behind it one with `jigsaw`"),
        ("moco_v2", "flip: 0.5", "flip: 5", "flip"),
        ("pirl", "patch: 64", "patch: 128", "patch"),
        ("simclr", "sources: [ImageNet]", "sources: []", "sources"),
    ] {
        let said = said(file, from, to);
        assert!(said.contains(part) && said.starts_with("run.yaml: "), "{to}: {said}");
    }
    let several = said("moco_v2", "queue: 65536\n    momentum: 0.999", "queue: 1\n    momentum: 2");
    assert!(several.contains("`queue` is 1,") && several.contains("; method.moco_v2: `momentum` is 2;"), "{several}");
    let twice = said("moco_v2", "groups: 8", "groups: 8\n    momentum: 0.9");
    assert!(twice.contains("momentum") && twice.contains(", line "), "{twice}");
}

#[test]
fn a_precision_is_read_and_the_usual_one_said_nowhere() {
    let text = std::fs::read_to_string(folder().join("moco_v2.yaml")).expect("a file");
    let short = Settings::from_text(Path::new("short.yaml"), &format!("{text}\nprecision: bf16\n")).expect("read");
    assert_eq!(short.precision, Precision::Bf16);
    let usual = shipped("moco_v2");
    assert_eq!(usual.precision, Precision::F32);
    let said = serde_json::to_string(&usual).expect("text");
    assert!(!said.contains("\"precision\"") && serde_json::to_string(&short).expect("text").contains("bf16"), "{said}");
}
