//! The device's queue: one thread owns the device, groups waiting pictures by encoder and
//! drops those whose caller has left.

use super::heads::Heads;
use super::{Result, ServiceError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use virboard_core::prediction::Costs;
use virboard_lab::head::{Head, HeadSpec};
use virboard_lab::predict::{Answered, Output, predict};
use virboard_lab::registry::Registry;

/// How long a first picture waits for others.
const GATHER: Duration = Duration::from_millis(4);
/// Pictures of one encoder pass.
const MAX_BATCH: usize = 8;

/// The outputs of one picture.
pub struct Answer {
    /// Each head's description with its output, in the order of the asked tasks.
    pub outputs: Vec<(Arc<HeadSpec>, Output)>,
    /// What the pass took that this picture was part of, and the wait before it.
    pub costs: Costs,
}

struct Job {
    encoder: &'static str,
    tasks: Vec<String>,
    /// The prepared pictures of one sample.
    input: Vec<Vec<f32>>,
    queued: Instant,
    reply: oneshot::Sender<Result<Answer>>,
}

/// A handle on the queue.
#[derive(Clone)]
pub struct Batcher {
    queue: mpsc::Sender<Job>,
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

impl Batcher {
    /// Starts the device's thread. It ends when the last handle is dropped.
    #[must_use]
    pub fn start(registry: Arc<Registry>, heads: Arc<Heads>, capacity: usize) -> Self {
        let (queue, jobs) = mpsc::channel(capacity.max(1));
        let computed = Arc::new(Computed::default());
        let worker = Worker { registry, heads, computed: computed.clone() };
        let spawned = std::thread::Builder::new().name("device".to_owned()).spawn(move || worker.run(jobs));
        if let Err(error) = spawned {
            tracing::error!(%error, "the device's thread could not be started");
        }
        Self { queue, computed }
    }

    /// What the device has done since the start.
    #[must_use]
    pub fn computed(&self) -> &Computed {
        &self.computed
    }

    /// Runs the heads of `tasks` on a prepared picture, or on as many as they take.
    ///
    /// # Errors
    /// [`ServiceError::Busy`] at once if the queue is full.
    pub async fn predict(&self, encoder: &'static str, tasks: Vec<String>, input: Vec<Vec<f32>>) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        self.queue
            .try_send(Job { encoder, tasks, input, queued: Instant::now(), reply })
            .map_err(|_| ServiceError::Busy)?;
        answer.await.map_err(|_| ServiceError::Busy)?
    }
}

struct Worker {
    registry: Arc<Registry>,
    heads: Arc<Heads>,
    computed: Arc<Computed>,
}

impl Worker {
    fn run(&self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting: Vec<Job> = Vec::new();
        loop {
            if waiting.is_empty() {
                match jobs.blocking_recv() {
                    Some(job) => waiting.push(job),
                    None => return,
                }
                gather(&mut jobs, &mut waiting);
            } else {
                while let Ok(job) = jobs.try_recv() {
                    waiting.push(job);
                }
            }
            waiting.retain(|job| !job.reply.is_closed());
            let Some(first) = waiting.first() else { continue };
            let (encoder, tasks) = (first.encoder, first.tasks.clone());
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
            self.serve(encoder, &tasks, batch);
        }
    }

    fn serve(&self, encoder: &str, tasks: &[String], batch: Vec<Job>) {
        let started = Instant::now();
        let (inputs, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|job| (job.input, (job.reply, started - job.queued))).unzip();
        self.computed.batches.fetch_add(1, Ordering::Relaxed);
        self.computed.pictures.fetch_add(inputs.len() as u64, Ordering::Relaxed);
        // A defect in one batch must not take the device away from all others.
        let result = catch_unwind(AssertUnwindSafe(|| self.compute(encoder, tasks, &inputs)));
        match result {
            Ok(Ok((specs, answered))) => {
                let (pass, heads) = (milliseconds(answered.encoder), milliseconds(answered.heads));
                tracing::debug!(encoder, pictures = inputs.len(), pass, heads, "batch done");
                for ((reply, waited), outputs) in replies.into_iter().zip(answered.outputs) {
                    let outputs = specs.iter().cloned().zip(outputs).collect();
                    let costs = Costs { wait: milliseconds(waited), encoder: pass, heads, ..Costs::default() };
                    let _ = reply.send(Ok(Answer { outputs, costs }));
                }
            }
            Ok(Err(error)) => {
                let mut error = Some(error);
                for (reply, _) in replies {
                    // The first gets the cause, so that it is logged once.
                    let error = error.take().unwrap_or(ServiceError::Busy);
                    let _ = reply.send(Err(error));
                }
            }
            Err(_) => {
                for (reply, _) in replies {
                    let _ = reply.send(Err(ServiceError::internal("the prediction panicked")));
                }
            }
        }
    }

    fn compute(
        &self,
        encoder: &str,
        tasks: &[String],
        inputs: &[Vec<Vec<f32>>],
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
fn gather(jobs: &mut mpsc::Receiver<Job>, waiting: &mut Vec<Job>) {
    let until = Instant::now() + GATHER;
    while waiting.len() < MAX_BATCH && Instant::now() < until {
        match jobs.try_recv() {
            Ok(job) => waiting.push(job),
            Err(TryRecvError::Empty) => std::thread::sleep(Duration::from_micros(300)),
            Err(TryRecvError::Disconnected) => return,
        }
    }
}
