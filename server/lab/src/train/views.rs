//! A few augmented views of each picture, encoded once, instead of a new one every epoch.

use super::source::{Batch, Source, Streamed};
use super::truth::Truth;
use crate::features::{Cache, halved, widen};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

/// The name of what is random in an epoch: with `views`, names come round again.
#[must_use]
pub fn draw(epoch: u32, views: Option<u32>) -> String {
    format!("epoch {}", views.map_or(epoch, |v| epoch % v.max(1)))
}

/// Augmented pictures whose maps are kept, in half precision, in a file that is gone with it.
/// The first use reads them back, too, so that a training that is taken up again has the same
/// bits. Pictures that differ in size are encoded every time.
pub struct Kept<'a> {
    inner: Streamed<'a>,
    cache: &'a Cache,
    /// Most draws that are asked for.
    views: u64,
    store: Mutex<Option<Store>>,
}

struct Store {
    file: File,
    /// Shapes of a sample's maps.
    shapes: Vec<Vec<usize>>,
    /// Where a sample of a draw lies, counted in samples.
    places: HashMap<(String, usize), u64>,
}

impl<'a> Kept<'a> {
    /// Keeps what `inner` encodes under at most `views` names, within the cache's limit.
    #[must_use]
    pub fn new(inner: Streamed<'a>, cache: &'a Cache, views: u32) -> Self {
        Self { inner, cache, views: u64::from(views), store: Mutex::new(None) }
    }

    /// A file for maps of the shapes of `first`, `N x H x W x C` each.
    fn create(&self, first: &[Tensor]) -> Result<Store> {
        let shapes: Vec<Vec<usize>> = first.iter().map(|t| t.dims()[1..].to_vec()).collect();
        let each: usize = shapes.iter().map(|s| s.iter().product::<usize>()).sum();
        let bytes = 2 * self.views * (self.inner.len() * each) as u64;
        let folder = &self.cache.folder;
        if bytes > self.cache.limit {
            return Err(Error::CacheLimit { bytes, limit: self.cache.limit, folder: folder.clone() });
        }
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let file = tempfile::tempfile_in(folder).map_err(Error::io(folder))?;
        Ok(Store { file, shapes, places: HashMap::new() })
    }
}

impl Store {
    /// Bytes of a sample.
    fn bytes(&self) -> u64 {
        2 * self.shapes.iter().map(|s| s.iter().product::<usize>() as u64).sum::<u64>()
    }

    /// Keeps the maps of some samples of a draw.
    fn write(&mut self, draw: &str, indices: &[usize], maps: &[Tensor]) -> std::io::Result<()> {
        let mut all: Vec<Vec<u8>> = vec![Vec::new(); indices.len()];
        for map in maps {
            let values = virboard_nn::cpu::read(map, <[f32]>::to_vec).map_err(std::io::Error::other)?;
            let each = values.len() / indices.len();
            all.par_iter_mut().zip(values.par_chunks(each)).for_each(|(all, values)| {
                all.extend(values.iter().flat_map(|v| halved(*v)));
            });
        }
        for (index, bytes) in indices.iter().zip(all) {
            let place = self.places.len() as u64;
            self.file.seek(SeekFrom::Start(place * self.bytes()))?;
            self.file.write_all(&bytes)?;
            self.places.insert((draw.to_owned(), *index), place);
        }
        Ok(())
    }

    /// The maps of some samples, each `N x H x W x C`.
    fn read(&mut self, draw: &str, indices: &[usize], device: &Device) -> Result<Vec<Tensor>> {
        let bytes = self.bytes();
        let missing = || Error::Unfit("a view is not kept".to_owned());
        let mut samples = Vec::with_capacity(indices.len());
        for index in indices {
            let place = self.places.get(&(draw.to_owned(), *index)).ok_or_else(missing)?;
            let mut sample = vec![0u8; bytes as usize];
            let read = self.file.seek(SeekFrom::Start(place * bytes)).and_then(|_| self.file.read_exact(&mut sample));
            read.map_err(Error::io("the file of kept views"))?;
            samples.push(sample);
        }
        let mut at = 0;
        let map = |shape: &Vec<usize>| {
            let each: usize = shape.iter().product();
            let mut values = vec![0f32; each * indices.len()];
            values.par_chunks_mut(each).zip(&samples).for_each(|(values, sample)| {
                widen(&sample[2 * at..][..2 * each], values);
            });
            at += each;
            let full: Vec<usize> = std::iter::once(indices.len()).chain(shape.iter().copied()).collect();
            Ok(Tensor::from_vec(values, full, &Device::Cpu)?.to_device(device)?)
        };
        self.shapes.iter().map(map).collect()
    }
}

impl Source for Kept<'_> {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn batch(&self, indices: &[usize], draw: Option<&str>) -> Result<Batch> {
        if draw.is_none() && self.inner.varies() {
            return self.inner.batch(indices, draw);
        }
        let name = draw.unwrap_or("plain");
        let samples = self.inner.samples(indices, draw)?;
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |i: usize| store.as_ref().is_some_and(|s| s.places.contains_key(&(name.to_owned(), i)));
        // A sample can be in a batch twice.
        let mut new: Vec<usize> = (0..indices.len()).filter(|at| !known(indices[*at])).collect();
        new.sort_by_key(|at| indices[*at]);
        new.dedup_by_key(|at| indices[*at]);
        if !new.is_empty() {
            let maps = self.inner.encode(&new.iter().map(|at| &samples[*at]).collect::<Vec<_>>())?;
            let kept = match &mut *store {
                Some(kept) => kept,
                none => none.insert(self.create(&maps)?),
            };
            let new: Vec<usize> = new.iter().map(|at| indices[*at]).collect();
            kept.write(name, &new, &maps).map_err(Error::io(&self.cache.folder))?;
        }
        let Some(kept) = &mut *store else { return self.inner.batch(indices, draw) };
        let inputs = kept.read(name, indices, self.inner.device)?;
        self.inner.with_truth(inputs, samples)
    }

    fn varies(&self) -> bool {
        self.inner.varies()
    }

    fn truth(&self, indices: &[usize]) -> Result<Truth> {
        self.inner.truth(indices)
    }
}
