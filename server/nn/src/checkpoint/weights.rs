//! Named tensors of a checkpoint, handed out strictly.

use crate::conv::{Activation, Conv, Padding};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The tensors of one checkpoint. Every tensor is taken once, with its exact shape;
/// [`Weights::finish`] complains of what nobody took.
#[derive(Debug, Clone)]
pub struct Weights {
    path: PathBuf,
    /// Put before names in messages, so that they read as in the file.
    prefix: String,
    tensors: BTreeMap<String, Tensor>,
    /// Weight and bias of the checkpoint's own classification layer, which no encoder takes.
    classifier: Option<(Tensor, Tensor)>,
    /// Where other whole networks lie in the checkpoint.
    others: Vec<String>,
    bytes: usize,
}

impl Weights {
    /// Tensors by their names without `prefix`, all `f32` on the CPU.
    #[must_use]
    pub fn new(path: PathBuf, prefix: String, tensors: BTreeMap<String, Tensor>) -> Self {
        Self { path, prefix, tensors, classifier: None, others: Vec::new(), bytes: 0 }
    }

    /// The same with a classification layer, `classes x E` and `classes`.
    #[must_use]
    pub fn with_classifier(self, classifier: Option<(Tensor, Tensor)>) -> Self {
        Self { classifier, ..self }
    }

    /// The same with where other whole networks lie in the checkpoint.
    #[must_use]
    pub fn with_others(self, others: Vec<String>) -> Self {
        Self { others, ..self }
    }

    /// What precedes the names of its tensors in the checkpoint.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Where other whole networks lie in the checkpoint, of which no tensor was taken.
    #[must_use]
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// Takes the checkpoint's own classification layer, if it has one.
    pub fn take_classifier(&mut self) -> Option<(Tensor, Tensor)> {
        let classifier = self.classifier.take();
        self.bytes += classifier.iter().map(|(w, b)| 4 * (w.elem_count() + b.elem_count())).sum::<usize>();
        classifier
    }

    /// Whether the checkpoint has a classification layer of its own.
    #[must_use]
    pub fn has_classifier(&self) -> bool {
        self.classifier.is_some()
    }

    /// Whether there is a tensor of this name that was not taken yet.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of a tensor that was not taken yet.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Tensor::dims)
    }

    /// The tensors whose names begin with `prefix`, without it.
    #[must_use]
    pub fn below(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        self.tensors.iter().filter_map(|(k, t)| Some((k.strip_prefix(prefix)?.to_owned(), t.clone()))).collect()
    }

    /// Takes a tensor.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] with the most similar leftover, or [`Error::TensorShape`].
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let Some(tensor) = self.tensors.remove(name) else {
            // Names that differ in numbers only are its regular siblings, not a misspelling of it.
            let pattern = |k: &str| k.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
            let others = self.tensors.keys().filter(|k| pattern(k) != pattern(name));
            let similar = others.map(|k| (distance(k, name), k)).filter(|(d, _)| *d <= 3).min().map(|(_, k)| k);
            let hint = similar.map_or_else(String::new, |k| format!("; it has `{}{k}`", self.prefix));
            return Err(Error::MissingTensor { path: self.path.clone(), name: format!("{}{name}", self.prefix), hint });
        };
        if tensor.dims() != shape {
            return Err(Error::TensorShape {
                path: self.path.clone(),
                name: format!("{}{name}", self.prefix),
                found: tensor.dims().to_vec(),
                wanted: shape.to_vec(),
            });
        }
        self.bytes += 4 * tensor.elem_count();
        Ok(tensor)
    }

    /// Takes a convolution without bias and its BatchNorm and folds them into one.
    /// BatchNorm in inference mode: `(x - mean) / sqrt(var + eps) * weight + bias`.
    pub fn conv_bn(&mut self, spec: &ConvSpec<'_>, norm: &str, eps: f64, device: &Device) -> Result<Conv> {
        let weight = self.take(&format!("{}.weight", spec.name), &spec.shape())?;
        let mut vector = |part: &str| self.take(&format!("{norm}.{part}"), &[spec.output]);
        let (gamma, beta) = (vector("weight")?, vector("bias")?);
        let (mean, var) = (vector("running_mean")?, vector("running_var")?);
        let scale = gamma.div(&(var + eps)?.sqrt()?)?;
        let bias = beta.sub(&mean.mul(&scale)?)?;
        let weight = weight.broadcast_mul(&scale.reshape((spec.output, 1, 1, 1))?)?;
        spec.build(&weight, &bias, device)
    }

    /// Takes a convolution with bias, its BatchNorm being folded in already.
    pub fn conv_bias(&mut self, spec: &ConvSpec<'_>, device: &Device) -> Result<Conv> {
        let weight = self.take(&format!("{}.weight", spec.name), &spec.shape())?;
        let bias = self.take(&format!("{}.bias", spec.name), &[spec.output])?;
        spec.build(&weight, &bias, device)
    }

    /// Bytes of all tensors taken so far.
    #[must_use]
    pub fn bytes_taken(&self) -> usize {
        self.bytes
    }

    /// Ends the loading.
    ///
    /// # Errors
    /// [`Error::UnknownTensors`] if tensors are left over.
    pub fn finish(self) -> Result<()> {
        if self.tensors.is_empty() {
            return Ok(());
        }
        let mut names: Vec<String> = self.tensors.keys().take(3).map(|k| format!("`{}{k}`", self.prefix)).collect();
        if self.tensors.len() > 3 {
            names.push(format!("{} more", self.tensors.len() - 3));
        }
        Err(Error::UnknownTensors { path: self.path, names: names.join(", ") })
    }
}

/// What a convolution of a frozen network looks like.
#[derive(Debug, Clone, Copy)]
pub struct ConvSpec<'a> {
    /// Name in the checkpoint, without `.weight`.
    pub name: &'a str,
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Step.
    pub stride: usize,
    /// Zeros around the input.
    pub padding: Padding,
    /// Each channel on its own.
    pub depthwise: bool,
    /// What follows.
    pub activation: Activation,
}

impl ConvSpec<'_> {
    fn shape(&self) -> [usize; 4] {
        [self.output, if self.depthwise { 1 } else { self.input }, self.kernel, self.kernel]
    }

    fn build(&self, weight: &Tensor, bias: &Tensor, device: &Device) -> Result<Conv> {
        Ok(Conv {
            weight: weight.contiguous()?.to_device(device)?,
            bias: bias.reshape((1, self.output, 1, 1))?.to_device(device)?,
            stride: self.stride,
            padding: self.padding,
            depthwise: self.depthwise,
            activation: self.activation,
        })
    }
}

/// Levenshtein distance, for "it has ... instead".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}
