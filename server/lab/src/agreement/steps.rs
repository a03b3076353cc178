//! What is compared of a training: losses, first gradients, and weights after some steps of each optimiser. It
//! computes in `f32`, or with products rounded to bfloat16.

use super::{Pair, Row, Setting, values};
use crate::{Error, Result};
use candle_core::backprop::GradStore;
use candle_core::{Device, Var};
use std::collections::BTreeMap;
use virboard_nn::encoder::Precision;
use virboard_nn::optimiser::Kind;

/// Tensors below this share of the largest are noise: a bias before a batch normalisation has no
/// effect on the loss, and Adam makes much of nothing, which is all there is of what began at 0.
const EFFECT: f32 = 1e-4;

/// An optimiser that is tried.
#[derive(Debug, Clone, Copy)]
pub struct Optimising {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its learning rate.
    pub rate: f64,
}

/// What is trained and compared.
#[derive(Debug, Clone, Copy)]
pub struct Compared {
    /// What the comparisons are called: losses, first gradients, weights at the end.
    pub titles: [&'static str; 3],
    /// Whether it has many layers with random weights, whose losses rounding to TF32 or bfloat16 moves further.
    pub deep: bool,
}

/// The values of a tensor with its name.
type Named = (String, Vec<f32>);

/// What came of some steps.
#[derive(Default)]
pub struct Trained {
    /// The loss of each step.
    pub losses: Vec<f32>,
    gradients: Vec<Named>,
    weights: Vec<Named>,
}

impl Trained {
    /// Keeps the gradients of `vars`, where there are any.
    pub fn keep_gradients(&mut self, store: &GradStore, vars: &BTreeMap<String, Var>) -> Result<()> {
        for (name, var) in vars {
            if let Some(gradient) = store.get(var) {
                self.gradients.push((name.clone(), values(gradient)?));
            }
        }
        Ok(())
    }

    /// Keeps the values of `vars`.
    pub fn keep_weights(&mut self, vars: &BTreeMap<String, Var>) -> Result<()> {
        for (name, var) in vars {
            self.weights.push((name.clone(), values(var)?));
        }
        Ok(())
    }
}

/// The settings of a device in `f32`: full precision and, on a GPU, TF32.
pub fn full(device: &Device) -> Vec<Setting> {
    Setting::of(device).into_iter().filter(|s| s.precision == Precision::F32).collect()
}

/// What trains in a precision with an optimiser.
pub type Train<'a> = dyn Fn(Optimising, Precision) -> Result<Trained> + 'a;

/// Trains with each optimiser on a device in each of its settings and on the CPU in `f32`, and compares what
/// comes of it.
pub fn rows(
    what: &str,
    compared: Compared,
    settings: &[Setting],
    optimisers: &[Optimising],
    [on_device, on_cpu]: [&Train<'_>; 2],
) -> Vec<Row> {
    let mut rows = Vec::new();
    for optimising in optimisers {
        let wanted = on_cpu(*optimising, Precision::F32).map_err(|e| e.to_string());
        for setting in settings {
            let got = setting.tried(|| on_device(*optimising, setting.precision)).map_err(|e| e.to_string());
            for (part, title) in Part::of(*setting).iter().zip(compared.titles) {
                let what = format!("{what}, {}: {title}", optimising.name);
                rows.push(Row::of(what, *setting, part.bound(*setting, compared.deep), || {
                    let failed = |reason: &String| Error::Unfit(reason.clone());
                    let (got, wanted) = (got.as_ref().map_err(failed)?, wanted.as_ref().map_err(failed)?);
                    Ok(part.pairs(got, wanted))
                }));
            }
        }
    }
    rows
}

/// What is compared of a training.
#[derive(Clone, Copy)]
enum Part {
    Losses,
    Gradients,
    Weights,
}

/// Whether products are rounded to fewer bits than `f32` has.
const fn rounds(setting: Setting) -> bool {
    setting.tf32 || !matches!(setting.precision, Precision::F32)
}

impl Part {
    /// Rounding to TF32 or bfloat16 moves single gradients by a tenth of their size in heads and by half of it in
    /// networks with random weights (so seen on an H200 and on the CPU): then only losses are compared.
    const fn of(setting: Setting) -> &'static [Self] {
        if rounds(setting) { &[Self::Losses] } else { &[Self::Losses, Self::Gradients, Self::Weights] }
    }

    /// Adam divides small gradients by their size, so that the order of sums moves weights by whole steps; and what
    /// begins at zero, as biases do, is nothing but the sum of such steps. On an H200 a head whose first gradients
    /// agreed to 5e-6 ended 0.07 apart after ten.
    const fn bound(self, setting: Setting, deep: bool) -> f64 {
        match (self, rounds(setting)) {
            (Self::Weights, _) => 1e-1,
            (_, false) => 1e-3,
            (_, true) if deep => 3e-1,
            (_, true) => 3e-2,
        }
    }

    fn pairs(self, got: &Trained, wanted: &Trained) -> Vec<Pair> {
        let all = |got: &[Named], wanted: &[Named]| -> Vec<Pair> {
            // One without a partner is compared with nothing, and fails.
            let other = |name: &String| got.iter().find(|(other, _)| other == name).map(|(_, values)| values.clone());
            wanted
                .iter()
                .map(|(name, values)| (name.clone(), other(name).unwrap_or_default(), values.clone()))
                .collect()
        };
        let mut pairs = match self {
            Self::Losses => return vec![("losses".to_owned(), got.losses.clone(), wanted.losses.clone())],
            Self::Weights => all(&got.weights, &wanted.weights),
            Self::Gradients => all(&got.gradients, &wanted.gradients),
        };
        // What is no number counts as the largest, so that it is compared and fails.
        let largest = |values: &mut dyn Iterator<Item = f32>| values.max_by(f32::total_cmp).unwrap_or(0.0);
        let size = |values: &[f32]| largest(&mut values.iter().map(|v| v.abs()));
        let most = largest(&mut pairs.iter().map(|(_, _, wanted)| size(wanted)));
        let least = EFFECT * most;
        pairs.retain(|(_, _, wanted)| !least.is_finite() || size(wanted) > least);
        pairs
    }
}
