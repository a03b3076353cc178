//! Networks other than the shipped ones from the command line: a vision transformer and a ResNet
//! of basic blocks, with seeded weights in a checkpoint.

mod common;

use candle_core::{Device, Tensor};
use common::program::{config, fails, miniatures, works};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use virboard_nn::checkpoint::entry;
use virboard_nn::seeded::Stream;

/// Writes a checkpoint with the names and shapes that the engine's test vectors of `stem` list.
fn write(stem: &str, path: &Path) {
    let vectors = common::root().join(format!("server/nn/tests/vectors/{stem}.safetensors"));
    let names = entry(&vectors, "names").expect("the vectors are in the repository").expect("names and shapes");
    let names: BTreeMap<String, Vec<usize>> = serde_json::from_str(&names).expect("JSON");
    let tensors: HashMap<String, Tensor> = names
        .into_iter()
        .map(|(name, shape)| {
            let reach = (1.0 / shape[1..].iter().product::<usize>().max(1) as f64).sqrt();
            let mut stream = Stream::new(1, &name);
            let value = |_| (0.5 * f64::from(u8::from(name.ends_with("var"))) + reach * stream.uniform()) as f32;
            let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(value).collect();
            (name.clone(), Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor"))
        })
        .collect();
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    candle_core::safetensors::save(&tensors, path).expect("saved");
}

fn finite(tensor: &Tensor) -> bool {
    let values: Vec<f32> = tensor.flatten_all().and_then(|t| t.to_vec1()).expect("numbers");
    !values.is_empty() && values.iter().all(|v| v.is_finite()) && values.iter().any(|v| *v != values[0])
}

#[test]
fn maps_and_embeddings_of_any_known_network_are_written() {
    let data = tempfile::tempdir().expect("a folder");
    let (checkpoint, out) = (data.path().join("weights.safetensors"), data.path().join("out.safetensors"));
    let images = common::root().join("public/samples");
    for (stem, map, dims, length) in
        [("vit_s16", "block6", [384, 28, 28], 384), ("resnet.basic", "block2", [32, 28, 28], 128)]
    {
        write(stem, &checkpoint);
        let [checkpoint, images, out] = [&checkpoint, &images, &out].map(|p| p.to_string_lossy().into_owned());
        let layers = format!("embedding,{map}");
        let arguments =
            ["encode", "--checkpoint", &checkpoint, "--images", &images, "--out", &out, "--layers", &layers];
        works(data.path(), &arguments);
        let tensors = candle_core::safetensors::load(&out, &Device::Cpu).expect("written");
        assert_eq!(tensors["embedding"].dims()[1], length, "{stem}");
        assert_eq!(tensors[map].dims()[1..], dims, "{stem}");
        assert!(tensors.values().all(finite), "{stem}");
        let wrong = ["encode", "--checkpoint", &checkpoint, "--images", &images, "--out", &out, "--layers", "block7"];
        assert!(fails(data.path(), &wrong).contains("block7"), "{stem}");
    }
}

#[test]
fn todays_encoders_are_evaluated_for_classes_and_pixels() {
    let data = miniatures(&["thor_num_steps", "nyu"]);
    write("vit_s16", &data.path().join("checkpoints/ViT_S16.safetensors"));
    write("resnet18", &data.path().join("checkpoints/ResNet18.safetensors"));
    let config = config(data.path(), &[("THORNumSteps", 1), ("NYUDepth", 1)]);
    let arguments = ["evaluate", "--config", &config, "--encoders", "ViT_S16,ResNet18", "--no-probes", "--json"];
    let results: Vec<serde_json::Value> = serde_json::from_str(&works(data.path(), &arguments)).expect("JSON");
    for encoder in ["ViT_S16", "ResNet18"] {
        for task in ["THORNumSteps", "NYUDepth"] {
            let found = |r: &&serde_json::Value| r["encoder"] == encoder && r["task"] == task;
            let value = results.iter().find(found).and_then(|r| r["score"].as_f64());
            assert!(value.is_some_and(f64::is_finite), "{encoder} on {task}: {value:?}");
        }
    }
}
