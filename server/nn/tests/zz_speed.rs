//! Temporary.
use candle_core::Device;
use std::time::Instant;
use virboard_nn::network::vit::trainable::{Plan, Sizes, random_weights, trainable};
use virboard_nn::optimiser::{Kind, Optimiser};
use virboard_nn::schedule::Setting;
use virboard_nn::testing::Random;
use virboard_nn::trainable::{Normalising, Trainable};

#[test]
#[ignore = "speed"]
fn speed() {
    for (name, plan, n, side) in [
        (
            "small 192x12/8 at 64",
            Plan::of_sizes(Sizes { width: 192, depth: 12, patch: 8, grid: 8 }).expect("x"),
            64,
            64,
        ),
        ("vit_s16 at 224", Plan::of("vit_s16").expect("x"), 16, 224),
    ] {
        let network = trainable(plan, &mut random_weights(plan, 0).expect("w"), &Device::Cpu).expect("b");
        let x = Random::new("speed").uniform((n, side, side, 3));
        let mut opt = Optimiser::new(Kind::AdamW { weight_decay: 0.05 }, network.parameters().trainable().clone());
        for _ in 0..4 {
            let t = Instant::now();
            let loss = network.embedding(&x, Normalising::TRAIN).expect("e").sqr().expect("s").mean_all().expect("m");
            let forward = t.elapsed().as_secs_f64();
            let g = loss.backward().expect("g");
            let backward = t.elapsed().as_secs_f64() - forward;
            opt.step(&g, &Setting { learning_rate: 1e-4, momentum: None }).expect("s");
            let all = t.elapsed().as_secs_f64();
            println!(
                "{name}: {:.1} pictures/s, forward {forward:.3} backward {backward:.3} step {:.3}",
                n as f64 / all,
                all - forward - backward
            );
        }
    }
}
