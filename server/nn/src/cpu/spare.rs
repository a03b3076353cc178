//! Buffers of passes that have ended.

use std::sync::Mutex;

/// Buffers that grow to the largest batch and are then used again, a set for each pass at a time.
#[derive(Debug, Default)]
pub struct Spare<B>(Mutex<Vec<B>>);

impl<B: Default + Send> Spare<B> {
    /// A pass with buffers of its own.
    pub fn pass<R: Send>(&self, pass: impl FnOnce(&mut B) -> R + Send) -> R {
        let mut buffers = self.0.lock().ok().and_then(|mut idle| idle.pop()).unwrap_or_default();
        // Once on a thread of the pool, none waits to be woken for every convolution.
        let result = rayon::scope(|_| pass(&mut buffers));
        if let Ok(mut idle) = self.0.lock() {
            idle.push(buffers);
        }
        result
    }
}
