//! Optimisers and schedules of pre-training. The vectors were made by
//! `scripts/make_optimiser_vectors.py`.

use super::{largest, row, seeded, vectors};
use candle_core::{Tensor, Var};
use std::collections::BTreeMap;
use virboard_nn::optimiser::{Group, Kind, Optimiser, clip_norm};
use virboard_nn::schedule::{Position, Schedule, Setting, WarmUp};
use virboard_nn::testing::{difference, relative_error, values};

const STEPS: u64 = 20;
const SHAPES: [(&str, &[usize]); 3] = [("inner.weight", &[5, 6]), ("inner.bias", &[5]), ("outer.weight", &[3, 5])];

/// One training.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    title: &'static str,
    kind: Kind,
    learning_rate: f64,
    /// Steps in which the bias has no gradient.
    late: u64,
    /// Most length of the gradients.
    most: Option<f64>,
}

const fn case(name: &'static str, title: &'static str, kind: Kind, learning_rate: f64) -> Case {
    Case { name, title, kind, learning_rate, late: 0, most: None }
}

const ADAMW: Kind = Kind::AdamW { weight_decay: 0.1 };
const SGD: Kind = Kind::Sgd { momentum: 0.9, weight_decay: 1e-2 };
const PLAIN: Kind = Kind::Sgd { momentum: 0.0, weight_decay: 1e-2 };
const LARS: Kind = Kind::Lars { momentum: 0.9, weight_decay: 1e-2, trust: 0.001 };
const LARC: Kind = Kind::Larc { momentum: 0.9, weight_decay: 1e-2, trust: 0.001 };

const CASES: [Case; 12] = [
    case("adam", "Adam", Kind::Adam, 1e-2),
    case("adamw", "AdamW", ADAMW, 1e-2),
    case("adamw.groups", "AdamW, groups", ADAMW, 1e-2),
    Case { late: 3, ..case("adamw.late", "AdamW, a tensor that begins late", ADAMW, 1e-2) },
    case("sgd", "SGD with weight decay", SGD, 0.05),
    case("sgd.plain", "SGD with weight decay, without momentum", PLAIN, 0.05),
    case("sgd.groups", "SGD with weight decay, groups", SGD, 0.05),
    Case { most: Some(3.0), ..case("sgd.clipped", "SGD, gradients clipped", SGD, 0.05) },
    case("lars", "LARS of SimCLR", LARS, 4.0),
    case("lars.groups", "LARS of SimCLR, groups", LARS, 4.0),
    case("larc", "LARS of SwAV (LARC)", LARC, 4.0),
    case("larc.groups", "LARS of SwAV (LARC), groups", LARC, 4.0),
];

/// As the script groups them.
fn group(name: &str, tensor: &Tensor) -> Group {
    let group = Group::by_dimensions(tensor.dims());
    match name {
        "outer.weight" => group.at_rate(0.5),
        "inner.bias" => group.at_rate(0.02),
        _ => group,
    }
}

/// Mean squared distance of the small network's output from what it should be.
fn loss(vars: &BTreeMap<String, Var>, x: &Tensor, y: &Tensor) -> candle_core::Result<Tensor> {
    let hidden = x.matmul(&vars["inner.weight"].t()?)?.broadcast_add(&vars["inner.bias"])?.tanh()?;
    (hidden.matmul(&vars["outer.weight"].t()?)? - y)?.sqr()?.mean_all()
}

#[test]
fn optimisers_of_pre_training() {
    let v = vectors("optimisers.safetensors");
    let (x, y) = (seeded("optimiser.x", &[8, 6]), seeded("optimiser.y", &[8, 3]));
    for case in CASES {
        let var = |(name, dims): (&str, &[usize])| {
            (name.to_owned(), Var::from_tensor(&seeded(name, dims)).expect("a variable"))
        };
        let vars: BTreeMap<String, Var> = SHAPES.into_iter().map(var).collect();
        let mut optimiser = Optimiser::new(case.kind, vars.clone());
        if case.name.ends_with(".groups") {
            optimiser = optimiser.grouped(group);
        }
        let (mut errors, mut lengths) = (Vec::new(), Vec::new());
        for step in 0..STEPS {
            let learning_rate = case.learning_rate * (1.0 - step as f64 / (2 * STEPS) as f64);
            let mut gradients = loss(&vars, &x, &y).and_then(|loss| loss.backward()).expect("gradients");
            if step < case.late {
                assert!(gradients.remove(&vars["inner.bias"]).is_some());
            }
            if let Some(most) = case.most {
                lengths.push(clip_norm(&mut gradients, &vars, most).expect("a length"));
            }
            optimiser.step(&gradients, &Setting { learning_rate, momentum: None }).expect("stepped");
            if step == 0 || step + 1 == STEPS {
                for (name, var) in &vars {
                    let key = format!("{}.{}.{name}", case.name, step + 1);
                    errors.push(relative_error(&key, &values(var), &values(&v[&key])));
                }
            }
        }
        assert_eq!(errors.len(), 2 * SHAPES.len());
        if case.most.is_some() {
            let wanted: Vec<f64> = v[&format!("{}.lengths", case.name)].to_vec1().expect("f64");
            assert!(wanted.iter().any(|l| *l > 3.0) && wanted.iter().any(|l| *l < 3.0), "some are clipped, some not");
            errors.push(relative_error("lengths of gradients", &lengths, &wanted));
        }
        row(&format!("{}: weights after 20 steps", case.title), "PyTorch", largest(&errors), 1e-5);
    }
}

#[test]
fn schedules_of_pre_training() {
    let v = vectors("optimisers.safetensors");
    let cosine = Schedule::Cosine { last: 0.001 };
    let warm = |epochs, steps| Some(WarmUp { from: 0.05, epochs, steps });
    for (name, title, schedule, warm_up) in [
        ("milestones", "MultiStepLR", Schedule::MultiStepLr { milestones: vec![4, 7], gamma: 0.1 }, None),
        ("cosine", "CosineAnnealingLR to 1/1000", cosine.clone(), None),
        ("warm_cosine", "CosineAnnealingLR behind LinearLR of two epochs", cosine, warm(2, 0)),
        ("warm_steps", "CosineAnnealingLR behind LinearLR of ten steps", Schedule::COSINE, warm(0, 10)),
    ] {
        let wanted: Vec<f64> = v[&format!("rates.{name}")].to_vec1().expect("f64");
        let rate = |step: u64| {
            let at = Position { epoch: step as u32 / 7, epochs: 10, step, steps: 70 };
            schedule.warmed_up(warm_up, 0.5, at).learning_rate
        };
        let ours: Vec<f64> = (0..70).map(rate).collect();
        row(&format!("Schedule {title}"), "PyTorch", difference(name, &ours, &wanted), 1e-9);
    }
}
