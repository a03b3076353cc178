//! PyTorch's two file formats: the zip archive (since 1.6) and the legacy stream of pickles.

mod names;
mod storages;

use super::layout::bad;
use super::pickle::{Node, Pickle};
use crate::Result;
use candle_core::{DType, Device, Tensor};
use std::collections::BTreeMap;
use std::path::Path;
use storages::Storages;

/// A file whose pickle is read, and of whose tensors no number is.
pub(super) struct Opened<'a> {
    path: &'a Path,
    pickle: Pickle,
    storages: Storages<'a>,
    /// Bytes that may still be unfolded.
    room: usize,
}

/// Bytes that any file may unfold to, besides several times its own length: weights are hardly compressed, so that
/// a file that asks for more is made to use up memory.
const ROOM: usize = 64 << 20;
const TIMES: usize = 16;

impl<'a> Opened<'a> {
    /// Reads the pickle of a file. If it is to be `thorough`, the checksum of every part of an archive is compared.
    pub(super) fn new(path: &'a Path, bytes: &'a [u8], thorough: bool) -> Result<Self> {
        let room = ROOM.saturating_add(bytes.len().saturating_mul(TIMES));
        let (pickle, storages) = if bytes.starts_with(b"PK\x03\x04") {
            storages::archive(path, bytes, thorough.then_some(room as u64))?
        } else {
            storages::legacy(path, bytes)?
        };
        Ok(Self { path, pickle, storages, room })
    }

    /// The names of all tensors, sorted, whatever lists and dictionaries they lie in.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        Ok(names::tensors(self.path, &self.pickle)?.into_keys().collect())
    }

    /// Reads tensors as `f32`. A storage that several of them share is read once.
    pub(super) fn read(mut self, wanted: &[String]) -> Result<BTreeMap<String, Tensor>> {
        let path = self.path;
        let all = names::tensors(path, &self.pickle)?;
        let mut shared: BTreeMap<&str, Vec<View<'_>>> = BTreeMap::new();
        for name in wanted {
            let node = all.get(name).ok_or_else(|| bad(path, format!("there is no tensor `{name}`")))?;
            let view = View::of(&self.pickle, name, node).map_err(|e| bad(path, format!("tensor `{name}`: {e}")))?;
            shared.entry(view.key).or_default().push(view);
        }
        let mut read = BTreeMap::new();
        for (key, views) in shared {
            let [first, ..] = &views[..] else { continue };
            let failed = |reason: String| bad(path, format!("tensor `{}`: {reason}", first.name));
            let bytes = self.storages.read(key, first.bytes, self.room).map_err(failed)?;
            for view in &views {
                let failed = |reason: String| bad(path, format!("tensor `{}`: {reason}", view.name));
                let size = view.count().and_then(|n| n.checked_mul(4)).filter(|n| *n <= self.room);
                self.room -= size.ok_or_else(|| failed(storages::UNFOLDS.to_owned()))?;
                let tensor = view.tensor(&bytes, self.storages.big_endian()).map_err(failed)?;
                read.insert(view.name.to_owned(), tensor);
            }
        }
        Ok(read)
    }
}

/// A tensor as a view into its storage.
struct View<'p> {
    name: &'p str,
    key: &'p str,
    dtype: DType,
    /// Bytes of an element, and of the whole storage.
    width: usize,
    bytes: usize,
    offset: usize,
    shape: &'p [usize],
    stride: &'p [usize],
}

impl<'p> View<'p> {
    fn of(pickle: &'p Pickle, name: &'p str, node: &'p Node) -> std::result::Result<Self, String> {
        let Node::Tensor { storage, offset, shape, stride } = node else { return Err("is no tensor".to_owned()) };
        let Some(Node::Storage { class, key, len }) = pickle.storage(*storage) else {
            return Err("it has no storage".to_owned());
        };
        let (dtype, width) = match storages::element(class) {
            Some((Some(dtype), width)) => (dtype, width),
            Some((None, _)) => return Err(format!("it holds whole numbers ({class}); weights are floats")),
            None => return Err(format!("it has the unknown type {class}")),
        };
        let too_large = || "it is too large".to_owned();
        let bytes = len.checked_mul(width).ok_or_else(too_large)?;
        let view = Self { name, key, dtype, width, bytes, offset: *offset, shape, stride };
        let count = view.count().ok_or_else(too_large)?;
        let reach = |at: usize, (d, s): (&usize, &usize)| at.checked_add(d.saturating_sub(1).checked_mul(*s)?);
        let last = shape.iter().zip(stride).try_fold(*offset, reach);
        if count > 0 && last.is_none_or(|last| last >= *len) {
            return Err("it reaches beyond its storage".to_owned());
        }
        Ok(view)
    }

    /// Numbers in it.
    fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
    }

    /// Whether its numbers lie one behind the other.
    fn is_row(&self) -> bool {
        let mut wanted = 1;
        self.shape.iter().zip(self.stride).rev().all(|(d, s)| {
            let as_wanted = *d == 1 || *s == wanted;
            wanted = wanted.saturating_mul(*d);
            as_wanted
        })
    }

    fn tensor(&self, storage: &[u8], big_endian: bool) -> std::result::Result<Tensor, String> {
        let size = self.count().unwrap_or(0) * self.width;
        let start = self.offset.saturating_mul(self.width);
        let row = storage.get(start..start.saturating_add(size)).filter(|_| self.is_row());
        let swap = big_endian && self.width > 1;
        let mut gathered = Vec::new();
        let bytes = match row {
            Some(row) if !swap => row,
            Some(row) => {
                gathered.extend_from_slice(row);
                &gathered
            }
            None => {
                gathered = self.gathered(storage, size)?;
                &gathered
            }
        };
        let mut swapped;
        let bytes = if swap {
            swapped = bytes.to_vec();
            swapped.chunks_exact_mut(self.width).for_each(<[u8]>::reverse);
            &swapped
        } else {
            bytes
        };
        Tensor::from_raw_buffer(bytes, self.dtype, self.shape, &Device::Cpu)
            .and_then(|t| t.to_dtype(DType::F32))
            .map_err(|e| e.to_string())
    }

    /// Its numbers, which lie anywhere in the storage, in the order of rows.
    fn gathered(&self, storage: &[u8], size: usize) -> std::result::Result<Vec<u8>, String> {
        let mut gathered = Vec::with_capacity(size);
        let mut index = vec![0usize; self.shape.len()];
        let mut element = self.offset;
        while gathered.len() < size {
            let number = storage.get(element * self.width..(element + 1) * self.width);
            gathered.extend_from_slice(number.ok_or("it reaches beyond its storage")?);
            for ((i, d), s) in index.iter_mut().zip(self.shape).zip(self.stride).rev() {
                *i += 1;
                element += s;
                if *i < *d {
                    break;
                }
                element -= s * d;
                *i = 0;
            }
        }
        Ok(gathered)
    }
}
