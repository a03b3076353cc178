//! Vision transformers that are trained beside the frozen ones, which stand on another program's
//! blocks and are compared with timm in `architectures.rs`.

use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use virboard_core::catalogue::architecture::Architecture;
use virboard_nn::checkpoint::entry;
use virboard_nn::checkpoint::weights::Weights;
use virboard_nn::encoder::Precision;
use virboard_nn::load::{describe, load_any};
use virboard_nn::network::vit::trainable::{Plan, Sizes, random_weights, trainable};
use virboard_nn::seeded::weight;
use virboard_nn::testing::{Random, assert_near, values};
use virboard_nn::trainable::{Gradients, Normalising, Trainable};

const SMALL: Sizes = Sizes { width: 128, depth: 4, patch: 8, grid: 4 };

fn nhwc(x: &Tensor) -> Tensor {
    x.permute((0, 2, 3, 1)).and_then(|x| x.contiguous()).expect("turned")
}

/// Lively weights of these names and shapes.
fn lively(names: impl IntoIterator<Item = (String, Vec<usize>)>) -> Weights {
    let tensor = |(name, dims): (String, Vec<usize>)| {
        let values = weight(&name, &dims);
        (name, Tensor::from_vec(values, dims, &Device::Cpu).expect("a tensor"))
    };
    Weights::new("lively weights".into(), String::new(), names.into_iter().map(tensor).collect())
}

fn shapes(weights: &Weights) -> Vec<(String, Vec<usize>)> {
    weights.below("").into_iter().map(|(name, tensor)| (name, tensor.dims().to_vec())).collect()
}

/// Features of the frozen network and of the one that is trained, of the same weights.
fn compare(key: &str, weights: &Weights, sizes: &[[usize; 2]]) {
    let frozen = (describe(Architecture::by_key(key).expect("a key")).expect("known").build)(
        &mut weights.clone(),
        &Device::Cpu,
        Precision::F32,
    )
    .expect("built");
    let mut weights = weights.clone();
    let trained = trainable(Plan::of(key).expect("can be trained"), &mut weights, &Device::Cpu, Gradients::Wanted)
        .expect("built");
    weights.finish().expect("every tensor is taken");
    for [height, width] in sizes {
        let x = Random::new(key).uniform((2, 3, *height, *width));
        let wanted = frozen.features(&x).expect("computed");
        let ours = trained.features(&nhwc(&x), Normalising::EVAL).expect("computed");
        assert_eq!(ours.maps.len(), 4);
        for (i, (ours, wanted)) in ours.maps.iter().zip(&wanted.maps).enumerate() {
            assert_eq!(ours.dims(), wanted.dims());
            assert_near(format!("{key}, map {i}"), &values(ours), &values(wanted), 2e-5);
        }
        assert_near(format!("{key}, embedding"), &values(&ours.embedding), &values(&wanted.embedding), 2e-5);
        let alone = trained.embedding(&nhwc(&x), Normalising::EVAL).expect("computed");
        assert_eq!(values(&alone), values(&ours.embedding), "{key}");
    }
}

#[test]
fn features_are_those_of_the_frozen_network() {
    let plan = Plan::of("dino_s16").expect("known");
    let weights = lively(shapes(&random_weights(plan, 0).expect("weights")));
    compare("dino_s16", &weights, &[[224, 224], [48, 100]]);
}

#[test]
fn a_checkpoint_in_hugging_faces_names_is_taken_up() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/dino_b16.safetensors");
    let names = entry(&path, "names").expect("the vectors are in the repository").expect("names and shapes");
    let names: BTreeMap<String, Vec<usize>> = serde_json::from_str(&names).expect("JSON");
    assert!(names.contains_key("encoder.layer.0.attention.attention.query.weight"));
    compare("dino_b16", &lively(names), &[[32, 64]]);
}

#[test]
fn what_was_trained_is_an_encoder_at_once() {
    let plan = Plan::of_sizes(SMALL).expect("sizes that can be");
    let mut weights = random_weights(plan, 3).expect("weights");
    let trained = trainable(plan, &mut weights, &Device::Cpu, Gradients::Wanted).expect("built");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("small.safetensors");
    let tensors: HashMap<String, Tensor> =
        trained.parameters().all().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    candle_core::safetensors::save(&tensors, &path).expect("saved");
    let encoder = load_any(&path, None, &Device::Cpu, Precision::F32).expect("loaded");
    assert_eq!(encoder.description().architecture.key(), "vit");
    let names: Vec<&str> = encoder.description().maps.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["block1", "block2", "block3", "block4"]);
    let x = Random::new("small").uniform((2, 3, 40, 27));
    let ours = trained.features(&nhwc(&x), Normalising::TRAIN).expect("computed");
    let loaded = encoder.network.features(&x).expect("computed");
    assert_eq!(values(&ours.embedding), values(&loaded.embedding));
    assert_eq!(ours.maps.iter().map(values).collect::<Vec<_>>(), loaded.maps.iter().map(values).collect::<Vec<_>>());
}

#[test]
fn gradients_are_the_same_bits_on_any_number_of_threads() {
    let plan = Plan::of_sizes(SMALL).expect("sizes that can be");
    let weights = lively(shapes(&random_weights(plan, 0).expect("weights")));
    let gradients = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let network = trainable(plan, &mut weights.clone(), &Device::Cpu, Gradients::Wanted).expect("built");
            let x = nhwc(&Random::new("threads").uniform((5, 3, 40, 32)));
            let features = network.features(&x, Normalising::TRAIN).expect("computed");
            let loss = features.embedding.sqr().and_then(|e| e.mean_all()).expect("a number");
            let loss = (loss + features.maps[3].abs().and_then(|m| m.mean_all()).expect("a number")).expect("a sum");
            let store = loss.backward().expect("gradients");
            let of = |(name, var): (&String, _)| (name.clone(), values(store.get(var).expect("a gradient")));
            network.parameters().trainable().iter().map(|(n, v)| of((n, v.as_tensor()))).collect::<Vec<_>>()
        })
    };
    let (alone, together) = (gradients(1), gradients(3));
    assert_eq!(alone.len(), 4 * 12 + 6);
    for ((name, alone), (_, together)) in alone.iter().zip(&together) {
        assert!(alone.iter().all(|g| g.is_finite()) && alone.iter().any(|g| *g != 0.0), "{name}");
        assert_eq!(alone, together, "{name}");
    }
}

#[test]
fn seeded_weights_are_deits() {
    let plan = Plan::of_sizes(SMALL).expect("sizes that can be");
    let [first, same, other] = [1, 1, 2].map(|seed| random_weights(plan, seed).expect("weights").below(""));
    let name = "blocks.2.mlp.fc1.weight";
    let numbers = values(&first[name]);
    assert_eq!(numbers, values(&same[name]));
    assert_ne!(numbers, values(&other[name]));
    let count = numbers.len() as f64;
    let mean = numbers.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let deviation = (numbers.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count).sqrt();
    // Five standard errors of each.
    assert!(mean.abs() < 5.0 * 0.02 / count.sqrt(), "{mean}");
    assert!((deviation - 0.02).abs() < 5.0 * 0.02 / (2.0 * count).sqrt(), "{deviation}");
    assert!(values(&first["blocks.2.mlp.fc1.bias"]).iter().all(|v| *v == 0.0));
    assert!(values(&first["norm.weight"]).iter().all(|v| (v - 1.0).abs() < f32::EPSILON));
    let patches = values(&first["patch_embed.proj.weight"]);
    let bound = 1.0 / (3.0 * 64f32).sqrt();
    assert!(patches.iter().all(|v| v.abs() <= bound) && patches.iter().any(|v| v.abs() > 0.9 * bound));
}

#[test]
fn what_cannot_be_trained_is_said() {
    let error = Plan::of("clip_b16").expect_err("refused").to_string();
    assert!(error.contains("`clip_b16`") && error.contains("vit_s16, "), "{error}");
    for sizes in [Sizes { width: 100, ..SMALL }, Sizes { depth: 6, ..SMALL }, Sizes { patch: 0, ..SMALL }] {
        let error = Plan::of_sizes(sizes).expect_err("refused").to_string();
        assert!(error.contains("multiple of 64"), "{error}");
    }
    let plan = Plan::of_sizes(SMALL).expect("sizes that can be");
    let mut deeper = random_weights(Plan::of_sizes(Sizes { depth: 8, ..SMALL }).expect("sizes"), 0).expect("weights");
    trainable(plan, &mut deeper, &Device::Cpu, Gradients::Wanted).expect("built of the first blocks");
    let error = deeper.finish().expect_err("blocks are left").to_string();
    assert!(error.contains("blocks.4."), "{error}");
    let mut narrow = random_weights(Plan::of_sizes(Sizes { width: 64, ..SMALL }).expect("sizes"), 0).expect("weights");
    let error = trainable(plan, &mut narrow, &Device::Cpu, Gradients::Wanted).expect_err("another width").to_string();
    assert!(error.contains("patch_embed.proj.weight") && error.contains("[64, 3, 8, 8]"), "{error}");
}
