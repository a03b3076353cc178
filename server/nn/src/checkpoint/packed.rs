//! Packed files: tensors of two dimensions and more in 8 bits, with a scale for each output.
//!
//! A packed file is safetensors whose metadata has the entry [`ENTRY`] with the number of the form, which is 1. In it a
//! tensor `NAME` of two dimensions and more (weights of convolutions and linear layers) holds whole numbers of 8 bits
//! (`I8`) from -127 to 127, and `NAME.scale` (`F32`) a number for each index of its first dimension, the outputs: a value
//! is its whole number times the scale of its output. A scale is the largest absolute value of the output by 127, and
//! whole numbers are rounded to the nearest, halves to even ones, so that no value is off by more than half a scale; an
//! output of zeros has the scale 0. All other tensors are `F32`.

use super::layout::bad;
use super::sound;
use crate::files::write_atomically;
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// The entry of the metadata that says that a file is packed, and in which form.
pub const ENTRY: &str = "virboard_packed";

/// The form that is written and read here.
const FORM: &str = "1";

/// What follows the name of a tensor in the name of its scales.
pub(super) const SCALE: &str = ".scale";

/// The largest whole number.
const LARGEST: f32 = 127.0;

/// Tensors with fewer dimensions are not packed: they are small, and what they hold has no outputs.
pub(super) const DIMENSIONS: usize = 2;

/// Whether a file with these entries of metadata is packed.
///
/// # Errors
/// [`Error::PackedForm`] if it is in another form than is known here.
pub(super) fn is_packed(path: &Path, entries: Option<&HashMap<String, String>>) -> Result<bool> {
    match entries.and_then(|entries| entries.get(ENTRY)).map(String::as_str) {
        None => Ok(false),
        Some(FORM) => Ok(true),
        Some(found) => Err(Error::PackedForm { path: path.to_path_buf(), found: found.to_owned(), known: FORM }),
    }
}

/// Writes tensors as a packed file, whole or not at all, with these entries of metadata beside its own. The same
/// tensors and entries give the same bytes.
///
/// # Errors
/// [`Error::UnsoundTensor`] for numbers that no network has, and [`Error::NameOfScales`] for a tensor that is called as the
/// scales of another one would be.
pub fn write(path: &Path, tensors: &BTreeMap<String, Tensor>, entries: &BTreeMap<String, String>) -> Result<()> {
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        let tensor = tensor.to_dtype(DType::F32)?;
        sound(path, name, &tensor)?;
        let (shape, values) = (tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1::<f32>()?);
        if shape.len() < DIMENSIONS {
            stored.insert(name.clone(), Stored::floats(shape, &values));
            continue;
        }
        let scales = format!("{name}{SCALE}");
        if tensors.contains_key(&scales) {
            return Err(Error::NameOfScales { path: path.to_path_buf(), name: scales, of: name.clone() });
        }
        let packed = pack(&values, shape[0]);
        stored.insert(scales, Stored::floats(vec![shape[0]], &packed.scales));
        stored.insert(name.clone(), Stored { dtype: Dtype::I8, shape, bytes: packed.integers });
    }
    let mut entries = entries.clone();
    entries.insert(ENTRY.to_owned(), FORM.to_owned());
    let bytes = file(&stored, &entries).map_err(|e| bad(path, e))?;
    write_atomically(path, |file| file.write_all(&bytes).map_err(Error::io(path)))
}

/// A tensor as a file has it.
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn floats(shape: Vec<usize>, values: &[f32]) -> Self {
        Self { dtype: Dtype::F32, shape, bytes: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
    }
}

#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__")]
    entries: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<&'a str, TensorInfo>,
}

/// A file of safetensors. The crate's own writer takes several entries of metadata in any order, so that the same
/// weights would be other bytes each time.
fn file(stored: &BTreeMap<String, Stored>, entries: &BTreeMap<String, String>) -> serde_json::Result<Vec<u8>> {
    // Wider types first, so that each number lies at a multiple of its size.
    let mut ordered: Vec<(&String, &Stored)> = stored.iter().collect();
    ordered.sort_by_key(|(_, tensor)| Reverse(tensor.dtype));
    let (mut tensors, mut data) = (BTreeMap::new(), Vec::new());
    for (name, tensor) in ordered {
        let start = data.len();
        data.extend_from_slice(&tensor.bytes);
        let (shape, data_offsets) = (tensor.shape.clone(), (start, data.len()));
        tensors.insert(name.as_str(), TensorInfo { dtype: tensor.dtype, shape, data_offsets });
    }
    let mut header = serde_json::to_vec(&Header { entries, tensors })?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok([&(header.len() as u64).to_le_bytes()[..], &header, &data].concat())
}

/// Whole numbers, each in a byte, and the scales of their outputs.
struct Packed {
    integers: Vec<u8>,
    scales: Vec<f32>,
}

/// Packs values of which `outputs` rows lie one behind the other.
fn pack(values: &[f32], outputs: usize) -> Packed {
    let length = values.len() / outputs.max(1);
    let mut packed = Packed { integers: Vec::with_capacity(values.len()), scales: Vec::with_capacity(outputs) };
    for output in 0..outputs {
        let row = &values[output * length..][..length];
        let scale = row.iter().fold(0f32, |largest, v| largest.max(v.abs())) / LARGEST;
        // Of zeros, by 0, this is no number, which is cast to 0.
        let integer = |v: &f32| (v / scale).round_ties_even().clamp(-LARGEST, LARGEST) as i8;
        packed.integers.extend(row.iter().map(|v| integer(v).cast_unsigned()));
        packed.scales.push(scale);
    }
    packed
}

/// The values of whole numbers that lie as [`pack`] makes them, as many for each scale.
pub(super) fn unpack(integers: &[u8], scales: &[f32]) -> Vec<f32> {
    let length = integers.len() / scales.len().max(1);
    let row = |(output, scale): (usize, &f32)| {
        let scale = *scale;
        integers[output * length..][..length].iter().map(move |n| f32::from(n.cast_signed()) * scale)
    };
    scales.iter().enumerate().flat_map(row).collect()
}
