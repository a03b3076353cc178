//! The memory of every picture's embedding (Wu et al. 2018, arXiv 1805.01978; as in PIRL).

use super::loss::normalised;
use super::saved::{State, of_shape};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use virboard_nn::seeded::Stream;

/// A row of length 1 for every picture of a run, found by the picture's number.
#[derive(Debug)]
pub struct Bank {
    rows: Tensor,
    momentum: f64,
}

/// Its name in states, and of its stream of random numbers.
const NAME: &str = "bank";

impl Bank {
    /// Random rows, `pictures x width`. A row keeps the share `momentum` of itself when its
    /// picture is seen.
    pub fn new(pictures: usize, width: usize, momentum: f64, seed: u64, device: &Device) -> Result<Self> {
        let mut stream = Stream::new(seed, NAME);
        let values: Vec<f32> = (0..pictures * width).map(|_| stream.range(-1.0, 1.0) as f32).collect();
        let rows = normalised(&Tensor::from_vec(values, (pictures, width), device)?)?;
        Ok(Self { rows, momentum })
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> &Tensor {
        &self.rows
    }

    /// The rows of these pictures, `N x D`, without gradients and apart from later changes.
    pub fn take(&self, pictures: &[usize]) -> Result<Tensor> {
        let count = self.rows.dim(0)?;
        if let Some(picture) = pictures.iter().find(|picture| **picture >= count) {
            return Err(Error::Unfit(format!(
                "picture {picture} is not among the {count} that this run began with; start a new run"
            )));
        }
        let at: Vec<u32> = pictures.iter().map(|picture| *picture as u32).collect();
        Ok(self.rows.index_select(&Tensor::new(at, self.rows.device())?, 0)?)
    }

    /// Moves the rows of `pictures` towards embeddings of length 1, `N x D`.
    pub fn follow(&mut self, pictures: &[usize], newest: &Tensor) -> Result<()> {
        let moved = ((self.take(pictures)? * self.momentum)? + (newest.detach() * (1.0 - self.momentum))?)?;
        let moved = normalised(&moved)?.contiguous()?;
        // In place: the bank is as large as the data, and no loss holds it itself.
        for (row, picture) in pictures.iter().enumerate() {
            self.rows.slice_set(&moved.narrow(0, row, 1)?.contiguous()?, 0, *picture)?;
        }
        Ok(())
    }

    /// Adds a copy of its rows.
    pub fn save(&self, state: &mut State) -> Result<()> {
        state.insert(format!("{NAME}.rows"), self.rows.copy()?);
        Ok(())
    }

    /// Takes up what [`Self::save`] added.
    pub fn restore(&mut self, state: &State) -> Result<()> {
        self.rows = of_shape(state, &format!("{NAME}.rows"), &self.rows)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_nn::testing::{assert_near, values};

    #[test]
    fn rows_are_found_and_moved_by_picture() {
        let mut bank = Bank::new(5, 2, 0.5, 0, &Device::Cpu).expect("a bank");
        let rows = Tensor::new(&[[1f32, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [0.6, 0.8]], &Device::Cpu);
        bank.restore(&State::from([("bank.rows".to_owned(), rows.expect("rows"))])).expect("restored");
        let taken = bank.take(&[4, 0]).expect("taken");
        let newest = Tensor::new(&[[0.8f32, 0.6], [0.0, 1.0]], &Device::Cpu).expect("rows");
        bank.follow(&[4, 0], &newest).expect("moved");
        let half = std::f64::consts::FRAC_1_SQRT_2;
        let wanted = [half, half, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0, half, half];
        assert_near("rows", &values(bank.rows()), &wanted, 1e-6);
        assert_eq!(values(&taken), [0.6, 0.8, 1.0, 0.0], "what was taken stays");
        assert!(bank.take(&[5]).expect_err("there is none").to_string().contains("picture 5"));
    }

    #[test]
    fn a_saved_bank_is_apart_from_later_steps() {
        let mut bank = Bank::new(3, 4, 0.5, 1, &Device::Cpu).expect("a bank");
        let lengths = bank.rows().sqr().and_then(|r| r.sum(1)).expect("lengths");
        assert_near("lengths", &values(&lengths), &[1f32; 3], 1e-6);
        let mut state = State::new();
        bank.save(&mut state).expect("saved");
        let before = values(bank.rows());
        bank.follow(&[1], &Tensor::new(&[[1f32, 0.0, 0.0, 0.0]], &Device::Cpu).expect("a row")).expect("moved");
        assert_ne!(values(bank.rows()), before);
        assert_eq!(values(&state["bank.rows"]), before);
    }
}
