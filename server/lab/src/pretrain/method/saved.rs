//! What is written of a method's tensors, and read back.

use crate::{Error, Result};
use candle_core::Tensor;
use std::collections::BTreeMap;
use virboard_nn::optimiser;
use virboard_nn::parameters::Parameters;

/// Named tensors of a state.
pub type State = BTreeMap<String, Tensor>;

/// Adds copies of all tensors, with `prefix` before their names.
pub fn save(parameters: &Parameters, prefix: &str, state: &mut State) -> Result<()> {
    for (name, var) in parameters.all() {
        state.insert(format!("{prefix}{name}"), var.as_tensor().copy()?.detach());
    }
    Ok(())
}

/// Gives tensors the values that [`save`] wrote.
pub fn restore(parameters: &Parameters, prefix: &str, state: &State) -> Result<()> {
    for (name, var) in parameters.all() {
        var.set(&of_shape(state, &format!("{prefix}{name}"), var.as_tensor())?)?;
    }
    Ok(())
}

/// Gives the tensors of `to` the values of those of the same names of `from`.
pub fn copy(from: &Parameters, to: &Parameters) -> Result<()> {
    let mut state = State::new();
    save(from, "", &mut state)?;
    restore(to, "", &state)
}

/// Moves the trained tensors of `to` towards those of `from`, of which they take up the share
/// `1 - momentum`. Running statistics follow their own batches.
pub fn follow(from: &Parameters, to: &Parameters, momentum: f64) -> Result<()> {
    for (name, var) in to.trainable() {
        let Some(newest) = from.trainable().get(name) else { return Err(missing(name)) };
        optimiser::follow(var, newest, momentum)?;
    }
    Ok(())
}

/// A tensor of a state, of the shape and on the device of `like`, with numbers of its own.
pub fn of_shape(state: &State, name: &str, like: &Tensor) -> Result<Tensor> {
    let tensor = state.get(name).ok_or_else(|| missing(name))?;
    if tensor.dims() != like.dims() || tensor.dtype() != like.dtype() {
        return Err(Error::SavedState {
            name: name.to_owned(),
            reason: format!(
                "has the shape {:?} of {:?}, and this run needs {:?} of {:?}",
                tensor.dims(),
                tensor.dtype(),
                like.dims(),
                like.dtype()
            ),
        });
    }
    Ok(tensor.to_device(like.device())?.copy()?.detach())
}

/// A whole number of a state, at most `most`.
pub fn number(state: &State, name: &str, most: usize) -> Result<usize> {
    let numbers: Vec<u32> = state.get(name).ok_or_else(|| missing(name))?.flatten_all()?.to_vec1()?;
    match numbers.as_slice() {
        [number] if *number as usize <= most => Ok(*number as usize),
        _ => Err(Error::SavedState {
            name: name.to_owned(),
            reason: format!("is {numbers:?}, and this run needs one number up to {most}"),
        }),
    }
}

fn missing(name: &str) -> Error {
    Error::SavedState { name: name.to_owned(), reason: "is missing".to_owned() }
}
