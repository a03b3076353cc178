//! Threads that decode pictures and make pictures of predictions: few at a time, for each may take a few hundred
//! megabytes, and in two lanes, so that small photos never wait behind those that take seconds.

use super::{Result, ServiceError};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Pixels, times the passes over them, up to which a picture is small: a phone's photo in one pass.
const SMALL: u64 = 16_000_000;

/// Who may use such a thread.
#[derive(Debug, Clone)]
pub struct Decoders {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Decoders {
    /// As many as a machine with so many cores carries: a small picture a core, a large one for every second.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        let lane = |threads: usize| Arc::new(Semaphore::new(threads.max(1)));
        Self { small: lane(cores), large: lane(cores / 2) }
    }

    /// Does something with a picture of so many pixels (times passes) when it is its turn.
    pub async fn run<T: Send + 'static>(&self, pixels: u64, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let lane = if pixels <= SMALL { &self.small } else { &self.large };
        let permit = lane.clone().acquire_owned().await.map_err(ServiceError::internal)?;
        Ok(tokio::task::spawn_blocking(move || {
            // Held until the thread is done, even if nobody waits for it any more.
            let _permit = permit;
            job()
        })
        .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn small_pictures_do_not_wait_for_large_ones() {
        let decoders = Decoders::new(2);
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let large = tokio::spawn({
            let decoders = decoders.clone();
            async move { decoders.run(SMALL + 1, move || wait.recv().is_ok()).await }
        });
        while decoders.large.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let mut second = Box::pin(decoders.run(SMALL + 1, || ()));
        assert!(futures::poll!(&mut second).is_pending(), "one large picture at a time on two cores");
        assert_eq!(decoders.run(SMALL, || 7).await.expect("it runs"), 7, "beside it");
        release.send(()).expect("it waits");
        large.await.expect("no panic").expect("it ran");
        second.await.expect("its turn");
    }
}
