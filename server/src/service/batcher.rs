//! The device's queue: one thread owns the device, groups waiting pictures by encoder and
//! drops those whose caller has left.

use super::heads::Heads;
use super::{Result, ServiceError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use virboard_core::prediction::Costs;
use virboard_lab::head::{Head, HeadSpec};
use virboard_lab::predict::{Answered, Output, predict};
use virboard_lab::registry::Registry;

/// How long a first picture waits for others.
const GATHER: Duration = Duration::from_millis(4);
/// Pictures of one encoder pass.
const MAX_BATCH: usize = 8;

/// The outputs of one picture.
#[derive(Debug)]
pub struct Answer {
    /// Each head's description with its output, in the order of the asked tasks.
    pub outputs: Vec<(Arc<HeadSpec>, Output)>,
    /// What the pass took that this picture was part of, and the wait before it.
    pub costs: Costs,
}

/// A picture that waits, or as many as the heads take.
struct Waiting {
    encoder: String,
    tasks: Vec<String>,
    /// The prepared pictures of one sample.
    input: Vec<Vec<f32>>,
    queued: Instant,
    reply: oneshot::Sender<Result<Answer>>,
}

/// A handle on the queue.
#[derive(Clone)]
pub struct Batcher {
    queue: SyncSender<Waiting>,
    alive: Arc<AtomicBool>,
    computed: Arc<Computed>,
}

/// What the device has done since the start.
#[derive(Debug, Default)]
pub struct Computed {
    /// Encoder passes.
    pub batches: AtomicU64,
    /// Pictures in them.
    pub pictures: AtomicU64,
}

/// Says that the device's thread has ended, however it did.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
        if std::thread::panicking() {
            tracing::error!("the device's thread has ended; nothing can be predicted until the server is restarted");
        }
    }
}

impl Batcher {
    /// Starts the device's thread. It ends when the last handle is dropped.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(registry: Arc<Registry>, heads: Arc<Heads>, capacity: usize) -> std::io::Result<Self> {
        let computed = Arc::new(Computed::default());
        let worker = Worker { registry, heads, computed: computed.clone() };
        Self::serving(capacity, computed, move |jobs| worker.run(&jobs))
    }

    fn serving(
        capacity: usize,
        computed: Arc<Computed>,
        serve: impl FnOnce(Receiver<Waiting>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(capacity.max(1));
        let alive = Arc::new(AtomicBool::new(true));
        let guard = Alive(alive.clone());
        std::thread::Builder::new().name("device".to_owned()).spawn(move || {
            let _guard = guard;
            serve(jobs);
        })?;
        Ok(Self { queue, alive, computed })
    }

    /// One whose thread has ended in a defect of its own.
    #[cfg(test)]
    pub(super) async fn ended() -> Self {
        let batcher = Self::serving(4, Arc::default(), |_| panic!("the device is gone")).expect("a thread");
        while batcher.is_alive() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        batcher
    }

    /// Whether the device's thread is there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// What the device has done since the start.
    #[must_use]
    pub fn computed(&self) -> &Computed {
        &self.computed
    }

    /// Runs the heads of `tasks` on a prepared picture, or on as many as they take.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] at once if the queue is full, [`ServiceError::Stopped`] if the
    /// device's thread has ended, or what was wrong with this picture, encoder or head.
    pub async fn predict(&self, encoder: &str, tasks: Vec<String>, input: Vec<Vec<f32>>) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { encoder: encoder.to_owned(), tasks, input, queued: Instant::now(), reply };
        self.queue.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(_) => ServiceError::Busy,
            TrySendError::Disconnected(_) => ServiceError::Stopped,
        })?;
        answer.await.map_err(|_| ServiceError::Stopped)?
    }
}

struct Worker {
    registry: Arc<Registry>,
    heads: Arc<Heads>,
    computed: Arc<Computed>,
}

impl Worker {
    fn run(&self, jobs: &Receiver<Waiting>) {
        let mut waiting: Vec<Waiting> = Vec::new();
        loop {
            if waiting.is_empty() {
                match jobs.recv() {
                    Ok(job) => waiting.push(job),
                    Err(_) => return,
                }
                gather(jobs, &mut waiting);
            } else {
                waiting.extend(jobs.try_iter());
            }
            waiting.retain(|job| !job.reply.is_closed());
            let Some(first) = waiting.first() else { continue };
            let (encoder, tasks) = (first.encoder.clone(), first.tasks.clone());
            let mut batch = Vec::new();
            let mut rest = Vec::new();
            for job in waiting.drain(..) {
                if batch.len() < MAX_BATCH && job.encoder == encoder && job.tasks == tasks {
                    batch.push(job);
                } else {
                    rest.push(job);
                }
            }
            waiting = rest;
            self.serve(&encoder, &tasks, batch);
        }
    }

    /// Answers pictures together. Where that fails each is tried alone, so that everyone gets
    /// an answer or the own reason, and nobody another's.
    fn serve(&self, encoder: &str, tasks: &[String], batch: Vec<Waiting>) {
        let started = Instant::now();
        let inputs: Vec<&[Vec<f32>]> = batch.iter().map(|job| job.input.as_slice()).collect();
        self.computed.batches.fetch_add(1, Ordering::Relaxed);
        // A defect in one batch must not take the device away from all others.
        let result = catch_unwind(AssertUnwindSafe(|| self.compute(encoder, tasks, &inputs)))
            .unwrap_or_else(|_| Err(ServiceError::internal("the prediction panicked")));
        if result.is_err() && batch.len() > 1 {
            for job in batch {
                self.serve(encoder, tasks, vec![job]);
            }
            return;
        }
        self.computed.pictures.fetch_add(batch.len() as u64, Ordering::Relaxed);
        match result {
            Ok((specs, answered)) => {
                let (pass, heads) = (milliseconds(answered.encoder), milliseconds(answered.heads));
                tracing::debug!(encoder, pictures = batch.len(), pass, heads, "batch done");
                for (job, outputs) in batch.into_iter().zip(answered.outputs) {
                    let outputs = specs.iter().cloned().zip(outputs).collect();
                    let wait = milliseconds(started - job.queued);
                    let costs = Costs { wait, encoder: pass, heads, ..Costs::default() };
                    let _ = job.reply.send(Ok(Answer { outputs, costs }));
                }
            }
            Err(error) => {
                if let Some(job) = batch.into_iter().next() {
                    let _ = job.reply.send(Err(error));
                }
            }
        }
    }

    fn compute(
        &self,
        encoder: &str,
        tasks: &[String],
        inputs: &[&[Vec<f32>]],
    ) -> Result<(Vec<Arc<HeadSpec>>, Answered)> {
        let loaded = self.registry.get(encoder)?;
        let device = self.registry.device();
        let heads: Vec<Arc<Head>> = tasks
            .iter()
            .map(|task| {
                self.heads
                    .get(&loaded, task, device)?
                    .ok_or_else(|| ServiceError::NoHead { encoder: encoder.to_owned(), task: task.clone() })
            })
            .collect::<Result<_>>()?;
        let answered = predict(&loaded, &heads, inputs, device)?;
        let specs = heads.iter().map(|h| Arc::new(h.spec.clone())).collect();
        Ok((specs, answered))
    }
}

/// A duration as the answers give it.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Waits a moment for more pictures.
fn gather(jobs: &Receiver<Waiting>, waiting: &mut Vec<Waiting>) {
    let until = Instant::now() + GATHER;
    while waiting.len() < MAX_BATCH {
        match jobs.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(job) => waiting.push(job),
            // Nobody came in time, or nobody is left who could.
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_device_that_has_ended_is_told_to_everyone() {
        // It takes one picture and ends in a defect of its own.
        let serve = |jobs: Receiver<Waiting>| {
            let _taken = jobs.recv();
            panic!("the device is gone");
        };
        let batcher = Batcher::serving(4, Arc::default(), serve).expect("a thread");
        assert!(batcher.is_alive());
        let taken = batcher.predict("Random", Vec::new(), Vec::new()).await;
        assert!(matches!(taken, Err(ServiceError::Stopped)), "whose picture was on the device");
        while batcher.is_alive() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let later = batcher.predict("Random", Vec::new(), Vec::new()).await;
        assert!(matches!(later, Err(ServiceError::Stopped)), "who comes later");
    }
}
