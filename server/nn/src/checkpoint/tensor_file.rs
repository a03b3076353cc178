//! Files of named tensors (safetensors), whose weights are floats, or packed ones that become such.

use super::layout::bad;
use super::packed::{DIMENSIONS, SCALE, is_packed, unpack};
use crate::error::PackedMistake;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

/// A file of which the names are known, and no number was read.
#[derive(Debug)]
pub struct TensorFile<'a> {
    path: &'a Path,
    metadata: Metadata,
    /// The bytes of all tensors.
    data: &'a [u8],
    packed: bool,
}

impl<'a> TensorFile<'a> {
    /// The tensors in the bytes of a file; its path is for messages.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for bytes that are something else or cut off, [`Error::PackedForm`] for a form of packed files
    /// that is not known here.
    pub fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let (length, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| bad(path, e))?;
        let packed = is_packed(path, metadata.metadata().as_ref())?;
        let data = bytes.get(size_of::<u64>() + length..).unwrap_or_default();
        Ok(Self { path, metadata, data, packed })
    }

    /// The names of its tensors, sorted; scales of packed ones are none.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.retain(|name| !name.strip_suffix(SCALE).is_some_and(|of| self.is_packed(of)));
        names.sort();
        names
    }

    /// The entries of its metadata.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<String, String> {
        self.metadata.metadata().iter().flatten().map(|(name, text)| (name.clone(), text.clone())).collect()
    }

    /// Reads a tensor as `f32`, on the CPU.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for one that is not there or holds whole numbers, [`Error::Packed`] for one that cannot be
    /// unpacked.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let failed = |e: &dyn Display| bad(self.path, format!("tensor `{name}`: {e}"));
        let info = self.metadata.info(name).ok_or_else(|| failed(&"it is not there"))?;
        if self.is_packed(name) {
            let scales = self.scales(name, info).map_err(|mistake| {
                let (path, name) = (self.path.to_path_buf(), name.to_owned());
                Error::Packed { path, name, mistake }
            })?;
            let values = unpack(self.bytes(info), &scales);
            return Tensor::from_vec(values, info.shape.as_slice(), &Device::Cpu).map_err(|e| failed(&e));
        }
        let dtype = DType::try_from(info.dtype).map_err(|e| failed(&e))?;
        if !dtype.is_float() {
            return Err(failed(&format!("it holds whole numbers ({dtype:?}); weights are floats")));
        }
        Tensor::from_raw_buffer(self.bytes(info), dtype, &info.shape, &Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(DType::F32))
            .map_err(|e| failed(&e))
    }

    /// Reads all tensors as `f32`, on the CPU.
    pub fn all(&self) -> Result<BTreeMap<String, Tensor>> {
        self.named(&self.names())
    }

    /// Reads the tensors of these names.
    pub fn named(&self, names: &[String]) -> Result<BTreeMap<String, Tensor>> {
        names.iter().map(|name| Ok((name.clone(), self.read(name)?))).collect()
    }

    /// Whether a tensor is there and packed.
    fn is_packed(&self, name: &str) -> bool {
        self.packed && self.metadata.info(name).is_some_and(|info| info.dtype == Dtype::I8)
    }

    fn bytes(&self, info: &TensorInfo) -> &'a [u8] {
        self.data.get(info.data_offsets.0..info.data_offsets.1).unwrap_or_default()
    }

    /// The scales of a packed tensor, one for each output.
    fn scales(&self, name: &str, info: &TensorInfo) -> std::result::Result<Vec<f32>, PackedMistake> {
        if info.shape.len() < DIMENSIONS {
            return Err(PackedMistake::Dimensions { shape: info.shape.clone(), wanted: DIMENSIONS });
        }
        let outputs = info.shape[0];
        let called = format!("{name}{SCALE}");
        let Some(scales) = self.metadata.info(&called) else { return Err(PackedMistake::NoScales { called }) };
        if scales.dtype != Dtype::F32 || scales.shape != [outputs] {
            let (dtype, shape) = (format!("{:?}", scales.dtype), scales.shape.clone());
            return Err(PackedMistake::OtherScales { dtype, shape, outputs });
        }
        let scales = self.bytes(scales).as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        scales
            .enumerate()
            .map(|(output, scale)| {
                // The smallest whole number of 8 bits, -128, must not make it infinite either.
                let sound = scale >= 0.0 && (scale * 128.0).is_finite();
                if sound { Ok(scale) } else { Err(PackedMistake::Scale { output, scale }) }
            })
            .collect()
    }
}
