//! The newest embeddings of a run, as MoCo and SwAV keep them.

use super::saved::{number, of_shape};
use crate::Result;
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use virboard_nn::seeded::Stream;

/// A ring of K rows of length D: a new row takes the place of the oldest.
#[derive(Debug)]
pub struct Queue {
    name: String,
    rows: Tensor,
    /// Where the next row goes.
    next: usize,
    /// Rows that came in, up to K.
    filled: usize,
}

impl Queue {
    /// One that begins with random rows of length 1 of the stream NAME, as MoCo's authors begin;
    /// they count for nothing but a loss of the usual size, and leave as keys come in.
    pub fn seeded(name: &str, size: usize, width: usize, seed: u64, device: &Device) -> Result<Self> {
        let mut stream = Stream::new(seed, name);
        let values: Vec<f32> = (0..size * width).map(|_| stream.normal() as f32).collect();
        let rows = super::loss::normalised(&Tensor::from_vec(values, (size, width), device)?)?;
        Ok(Self { name: name.to_owned(), rows, next: 0, filled: 0 })
    }

    /// One that holds nothing yet.
    pub fn empty(name: &str, size: usize, width: usize, device: &Device) -> Result<Self> {
        let rows = Tensor::zeros((size, width), candle_core::DType::F32, device)?;
        Ok(Self { name: name.to_owned(), rows, next: 0, filled: 0 })
    }

    /// All rows, `K x D`, in no order that means anything.
    #[must_use]
    pub fn rows(&self) -> &Tensor {
        &self.rows
    }

    /// Whether all rows came in with [`Self::push`].
    pub fn is_full(&self) -> Result<bool> {
        Ok(self.filled == self.rows.dim(0)?)
    }

    /// Takes up `N x D` rows. Of more than K the last K stay.
    pub fn push(&mut self, rows: &Tensor) -> Result<()> {
        let (size, mut rows) = (self.rows.dim(0)?, rows.detach());
        let count = rows.dim(0)?;
        if count > size {
            rows = rows.narrow(0, count - size, size)?;
        }
        let count = rows.dim(0)?;
        let first = count.min(size - self.next);
        // A new tensor: the old one is still needed for the gradients of the loss.
        let mut ring = replaced(&self.rows, self.next, &rows.narrow(0, 0, first)?)?;
        if first < count {
            ring = replaced(&ring, 0, &rows.narrow(0, first, count - first)?)?;
        }
        self.rows = ring;
        self.next = (self.next + count) % size;
        self.filled = (self.filled + count).min(size);
        Ok(())
    }

    /// Adds everything that it is, under its name.
    pub fn save(&self, state: &mut BTreeMap<String, Tensor>) -> Result<()> {
        state.insert(format!("{}.rows", self.name), self.rows.copy()?);
        for (part, value) in [("next", self.next), ("filled", self.filled)] {
            state.insert(format!("{}.{part}", self.name), Tensor::new(&[value as u32], &Device::Cpu)?);
        }
        Ok(())
    }

    /// Takes up what [`Self::save`] added.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let size = self.rows.dim(0)?;
        let rows = of_shape(state, &format!("{}.rows", self.name), &self.rows)?;
        let next = number(state, &format!("{}.next", self.name), size - 1)?;
        let filled = number(state, &format!("{}.filled", self.name), size)?;
        *self = Self { name: std::mem::take(&mut self.name), rows, next, filled };
        Ok(())
    }
}

/// The ring with `rows` from row `at` on.
fn replaced(ring: &Tensor, at: usize, rows: &Tensor) -> Result<Tensor> {
    let (size, end) = (ring.dim(0)?, at + rows.dim(0)?);
    let mut parts = vec![rows.clone()];
    if at > 0 {
        parts.insert(0, ring.narrow(0, 0, at)?);
    }
    if end < size {
        parts.push(ring.narrow(0, end, size - end)?);
    }
    Ok(Tensor::cat(&parts, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_nn::testing::{assert_near, values};

    fn rows(numbers: &[f32]) -> Tensor {
        Tensor::new(numbers, &Device::Cpu).and_then(|t| t.unsqueeze(1)).expect("rows")
    }

    #[test]
    fn the_newest_take_the_places_of_the_oldest() {
        let mut queue = Queue::empty("queue", 5, 1, &Device::Cpu).expect("a queue");
        queue.push(&rows(&[1.0, 2.0, 3.0])).expect("pushed");
        assert!(!queue.is_full().expect("known"));
        let before = queue.rows().clone();
        queue.push(&rows(&[4.0, 5.0, 6.0])).expect("pushed");
        assert_eq!(values(queue.rows()), [6.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(values(&before), [1.0, 2.0, 3.0, 0.0, 0.0], "what gradients need stays");
        assert!(queue.is_full().expect("known"));
        queue.push(&rows(&[7.0, 8.0, 9.0, 10.0])).expect("pushed");
        assert_eq!(values(queue.rows()), [6.0, 7.0, 8.0, 9.0, 10.0]);
        queue.push(&rows(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])).expect("pushed");
        assert_eq!(values(queue.rows()), [3.0, 4.0, 5.0, 6.0, 7.0], "the last five stay");
    }

    #[test]
    fn a_saved_queue_goes_on() {
        let mut queue = Queue::seeded("keys", 4, 3, 7, &Device::Cpu).expect("a queue");
        let lengths = queue.rows().sqr().and_then(|r| r.sum(1)).expect("lengths");
        assert_near("lengths", &values(&lengths), &[1f32; 4], 1e-6);
        let of = |from: f32| Tensor::new(&[[from, 1.0, 2.0], [from, 3.0, 4.0], [from, 5.0, 6.0]], &Device::Cpu);
        queue.push(&of(1.0).expect("rows")).expect("pushed");
        let mut state = BTreeMap::new();
        queue.save(&mut state).expect("saved");
        let mut other = Queue::seeded("keys", 4, 3, 8, &Device::Cpu).expect("a queue");
        other.restore(&state).expect("restored");
        for queue in [&mut queue, &mut other] {
            queue.push(&of(9.0).expect("rows")).expect("pushed");
        }
        assert_eq!(values(queue.rows()), values(other.rows()));
        let mut longer = Queue::seeded("keys", 5, 3, 8, &Device::Cpu).expect("a queue");
        let said = longer.restore(&state).expect_err("another size").to_string();
        assert!(said.contains("keys.rows") && said.contains("[4, 3]") && said.contains("[5, 3]"), "{said}");
        state.remove("keys.next");
        assert!(other.restore(&state).expect_err("a part is missing").to_string().contains("keys.next"));
    }
}
