//! Room for photos while they arrive and are answered. What takes room is bytes, not senders: whoever opens many uploads
//! and sends nothing holds nothing.

use super::{Result, ServiceError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of all uploads together: 64 of the largest.
const ROOM: usize = 64 * super::predictions::MAX_BYTES;

/// All uploads of the moment.
#[derive(Debug, Clone)]
pub struct Uploads {
    room: Arc<Semaphore>,
    count: Arc<AtomicUsize>,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(ROOM)), count: Arc::default() }
    }
}

impl Uploads {
    /// One more, of which nothing has arrived.
    pub(super) fn begin(&self) -> Upload {
        self.count.fetch_add(1, Ordering::Relaxed);
        Upload { all: self.clone(), held: None }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// An upload; its room is free again when it is dropped.
#[derive(Debug)]
pub struct Upload {
    all: Uploads,
    held: Option<OwnedSemaphorePermit>,
}

impl Upload {
    /// Takes room for bytes that have arrived.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] at once if there is none.
    pub fn take(&mut self, bytes: usize) -> Result<()> {
        let bytes = u32::try_from(bytes).map_err(|_| ServiceError::TooManyBytes)?;
        let more = self.all.room.clone().try_acquire_many_owned(bytes).map_err(|_| ServiceError::Busy)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    /// Gives all room back; what had arrived was dropped.
    pub fn release(&mut self) {
        self.held = None;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.all.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_that_send_nothing_hold_no_room() {
        let uploads = Uploads::default();
        let idle: Vec<Upload> = (0..10_000).map(|_| uploads.begin()).collect();
        let mut full: Vec<Upload> = (0..64).map(|_| uploads.begin()).collect();
        for upload in &mut full {
            upload.take(ROOM / 64).expect("there is room");
        }
        let mut late = uploads.begin();
        assert!(matches!(late.take(1), Err(ServiceError::Busy)), "64 photos of 20 MB are all");
        assert_eq!(uploads.count(), 10_065);
        drop(full);
        late.take(1).expect("there is room again");
        drop((idle, late));
        assert_eq!(uploads.count(), 0);
    }
}
