//! A vision transformer that is trained. The vectors were made by
//! `scripts/make_vit_training_vectors.py`.

use super::{largest, nhwc, row, seeded, vectors};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use virboard_nn::checkpoint::weights::Weights;
use virboard_nn::network::vit::trainable::{Plan, Sizes, Vit, random_weights, trainable};
use virboard_nn::optimiser::{Group, Kind, Optimiser};
use virboard_nn::schedule::Setting;
use virboard_nn::seeded::weight;
use virboard_nn::testing::values;
use virboard_nn::trainable::{Gradients, Normalising, Trainable};

const WIDTH: usize = 128;
const STEPS: usize = 10;

/// The network with the script's weights.
fn network() -> Vit {
    let plan = Plan::of_sizes(Sizes { width: WIDTH, depth: 4, patch: 8, grid: 4 }).expect("sizes that can be");
    let tensor = |(name, old): (String, Tensor)| {
        let values = weight(&name, old.dims());
        (name, Tensor::from_vec(values, old.dims(), &Device::Cpu).expect("a tensor"))
    };
    let tensors: BTreeMap<String, Tensor> =
        random_weights(plan, 0).expect("weights").below("").into_iter().map(tensor).collect();
    let mut weights = Weights::new("the script's".into(), String::new(), tensors);
    let network = trainable(plan, &mut weights, &Device::Cpu, Gradients::Wanted).expect("built");
    weights.finish().expect("every tensor is taken");
    network
}

#[test]
fn a_vision_transformer_is_trained() {
    let v = vectors("vit_training.safetensors");
    let network = network();
    let batches = [(0, [32, 32]), (1, [40, 20])].map(|(i, [height, width])| {
        (nhwc(&seeded(&format!("vit.{i}"), &[3, 3, height, width])), seeded(&format!("vit.target{i}"), &[3, WIDTH]))
    });
    let vars = network.parameters().trainable().clone();
    let by_dimensions = |_: &str, tensor: &Tensor| Group::by_dimensions(tensor.dims());
    let mut optimiser = Optimiser::new(Kind::AdamW { weight_decay: 0.05 }, vars.clone()).grouped(by_dimensions);
    let wanted: Vec<f64> = v["losses"].to_vec1().expect("f64");
    assert_eq!(wanted.len(), STEPS + 1);
    let (mut outputs, mut gradients_of, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    for (step, wanted) in wanted.iter().enumerate() {
        let mut parts = Vec::new();
        for (i, (x, target)) in batches.iter().enumerate() {
            let features = network.features(x, Normalising::TRAIN).expect("computed");
            // Of the strides 4, 8, 16 and 32.
            let map = &features.maps[1];
            if step == 0 {
                outputs.push(v.relative_error(&features.embedding, &format!("embedding{i}")));
                outputs.push(v.relative_error(&map.contiguous().expect("copied"), &format!("map{i}")));
            }
            let distance = (&features.embedding - target).and_then(|d| d.sqr()?.mean_all()).expect("a number");
            let size = map.sqr().and_then(|m| m.mean_all()? * 0.1).expect("a number");
            parts.push((distance + size).expect("a sum"));
        }
        let loss = (&parts[0] + &parts[1]).expect("a sum");
        losses.push((f64::from(loss.to_scalar::<f32>().expect("a number")) - wanted) / wanted);
        if step == STEPS {
            break;
        }
        let gradients = loss.backward().expect("gradients");
        if step == 0 {
            for (name, var) in &vars {
                let gradient = gradients.get(var).expect(name);
                gradients_of.push(v.relative_error(gradient, &format!("gradient.{name}")));
            }
        }
        optimiser.step(&gradients, &Setting { learning_rate: 1e-3, momentum: None }).expect("stepped");
    }
    let trained: Vec<f64> = vars
        .iter()
        .map(|(name, var)| {
            // Keys' biases change nothing: their gradients are noise, which AdamW turns into steps.
            let counts = if name.ends_with("qkv.bias") {
                let part = |i: usize| var.narrow(0, i * WIDTH, WIDTH).expect("a part");
                Tensor::cat(&[part(0), part(2)], 0).expect("both")
            } else {
                var.as_tensor().clone()
            };
            assert!(values(&counts).iter().all(|v| v.is_finite()), "{name}");
            v.relative_error(&counts, &format!("trained.{name}"))
        })
        .collect();
    assert_eq!((gradients_of.len(), trained.len()), (v.names("gradient.").count(), v.names("trained.").count()));
    row("Vision transformer: embedding and map", "timm", largest(&outputs), 1e-4);
    row("Vision transformer: gradients", "timm", largest(&gradients_of), 1e-4);
    row("Vision transformer: losses over 10 steps of AdamW", "timm", largest(&losses), 1e-4);
    row("Vision transformer: weights after 10 steps of AdamW", "timm", largest(&trained), 1e-4);
}
