//! The state of a training between two epochs, in a file that is whole or not there.
//!
//! A training that is taken up again from it goes on to the same bit: order and augmentation
//! of an epoch depend on the seed and the epoch's number alone.

use super::member::{Best, Member};
use crate::kept::{Kind, Tensors};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use virboard_core::run::Epoch;

const STATE: Kind = Kind {
    entry: "virboard_training",
    what: "training state",
    other: "it belongs to another training",
    damaged: "its tensors are damaged",
};

#[derive(Serialize, Deserialize)]
struct Rest {
    epoch: u32,
    members: Vec<MemberDescription>,
}

#[derive(Serialize, Deserialize)]
struct MemberDescription {
    steps: u64,
    curve: Vec<Epoch>,
    best: Option<(u32, f64)>,
}

/// Writes the state of `members` after `epoch`.
pub fn save(path: &Path, identity: &str, epoch: u32, members: &[Member]) -> Result<()> {
    let mut tensors = Tensors::new();
    for (i, member) in members.iter().enumerate() {
        let mut put = |kind: &str, name: &str, tensor: &Tensor| -> Result<()> {
            tensors.insert(format!("{i}.{kind}.{name}"), tensor.to_device(&Device::Cpu)?.contiguous()?);
            Ok(())
        };
        for (name, var) in member.tensors() {
            put("tensor", &name, var.as_tensor())?;
        }
        for (name, tensor) in member.optimiser.state()? {
            put("optimiser", &name, &tensor)?;
        }
        for (name, tensor) in member.best.iter().flat_map(|b| &b.tensors) {
            put("best", name, tensor)?;
        }
    }
    let rest = Rest {
        epoch,
        members: members
            .iter()
            .map(|m| MemberDescription {
                steps: m.optimiser.steps(),
                curve: m.curve.clone(),
                best: m.best.as_ref().map(|b| (b.epoch, b.metric)),
            })
            .collect(),
    };
    STATE.save(path, identity, rest, &tensors)
}

/// Takes up a saved state; gives the number of finished epochs, 0 without a usable file.
pub fn restore(path: &Path, identity: &str, members: &mut [Member]) -> Result<u32> {
    if !path.is_file() {
        return Ok(0);
    }
    match read(path, identity, members) {
        Ok(epoch) => Ok(epoch),
        Err(error @ Error::Network(virboard_nn::Error::Io { .. })) => Err(error),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the state of the training cannot be used; it begins anew");
            Ok(0)
        }
    }
}

fn read(path: &Path, identity: &str, members: &mut [Member]) -> Result<u32> {
    let bad = |reason: String| Error::Unusable { path: path.to_path_buf(), what: STATE.what, reason };
    let (rest, mut tensors): (Rest, Tensors) = STATE.load(path, identity)?;
    if rest.members.len() != members.len() {
        return Err(bad(STATE.other.to_owned()));
    }
    for (i, (member, said)) in members.iter_mut().zip(rest.members).enumerate() {
        for (name, var) in member.tensors() {
            let tensor = tensors.remove(&format!("{i}.tensor.{name}")).filter(|t| t.dims() == var.dims());
            let tensor = tensor.ok_or_else(|| bad(format!("it lacks `{name}`")))?;
            var.set(&tensor.to_device(var.device())?)?;
        }
        let mut part = |kind: &str| -> BTreeMap<String, Tensor> {
            let prefix = format!("{i}.{kind}.");
            let names: Vec<String> = tensors.keys().filter(|k| k.starts_with(&prefix)).cloned().collect();
            names.into_iter().filter_map(|n| Some((n[prefix.len()..].to_owned(), tensors.remove(&n)?))).collect()
        };
        member.optimiser.restore(part("optimiser"), said.steps)?;
        let best = part("best");
        member.best = said.best.map(|(epoch, metric)| Best { epoch, metric, tensors: best });
        member.curve = said.curve;
    }
    Ok(rest.epoch)
}
