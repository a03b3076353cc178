//! Workers that take jobs of the queue, one after the other, until they are told to stop.

use super::engine::{ANY, Beat, Card, Engine, EngineError, Failed, Lease};
use super::precision::Choice;
use super::worker::{Claimed, Presence, WorkError, Worker};
use super::{Settings, kinds};
use crate::store::Store;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use virboard_lab::progress::Progress;
use virboard_lab::work::{Job, Lab};
use virboard_nn::encoder::Precision;

/// Time that work is given to stop before its job goes back without waiting for it.
const GRACE: Duration = Duration::from_secs(5);
/// Time after which a job is looked at again that another process works on, and after which a worker goes on for which
/// the disk was full.
const BUSY: Duration = Duration::from_secs(30);

/// Name of this machine.
#[must_use]
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The card of a worker in this process; without a name it is called after machine and process.
#[must_use]
pub fn card(name: Option<String>, device: &str, pools: Vec<String>) -> Card {
    let host = host();
    let name = name.unwrap_or_else(|| format!("{host}-{}", std::process::id()));
    Card { name, host, device: device.to_owned(), pools }
}

/// A worker and what it works with.
#[derive(Clone)]
pub struct Working {
    /// Data folder and device. Its precision is that of each job.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// Whom it asks for jobs.
    pub engine: Engine,
    /// Who it is.
    pub card: Card,
    /// After how long without a job it ends.
    pub idle_exit: Option<Duration>,
}

/// Says in the log what happens, and stops when the worker does.
struct Told {
    worker: String,
    stop: watch::Receiver<bool>,
}

impl Progress for Told {
    fn say(&self, sentence: &str) {
        tracing::info!(worker = self.worker, "{sentence}");
    }

    fn cancelled(&self) -> bool {
        *self.stop.borrow()
    }
}

/// What work has at hand, in one precision.
type Bench = Option<(Precision, Lab)>;

impl Working {
    /// Takes jobs until it is told to stop, or has waited long enough for one; gives how many it finished. What it has
    /// when it is told goes back to the queue at once.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<u64, WorkError> {
        let presence = Presence::begin(&self.engine, &self.card).await?;
        tracing::info!(worker = self.card.name, device = self.card.device, "waiting for jobs");
        let ended = self.take_jobs(&mut stop).await;
        presence.end().await;
        ended
    }

    async fn take_jobs(&self, stop: &mut watch::Receiver<bool>) -> Result<u64, WorkError> {
        let (mut bench, mut done, mut idle) = (Bench::None, 0, Instant::now());
        while !*stop.borrow() {
            let mut pause = self.engine.timing().look;
            match self.engine.claim(&self.card).await {
                Ok(Some(lease)) => {
                    match self.attempt(&lease, &mut bench, stop).await {
                        Ok(finished) => {
                            done += u64::from(finished);
                            pause = Duration::ZERO;
                        }
                        Err(error @ WorkError::Stuck(..)) => return Err(error),
                        Err(error) => {
                            tracing::warn!(worker = self.card.name, job = lease.row.name, %error, "a job was not done");
                            pause = if error.ends_all() { BUSY } else { Duration::ZERO };
                        }
                    }
                    idle = Instant::now();
                }
                Ok(None) if self.idle_exit.is_some_and(|most| idle.elapsed() >= most) => break,
                Ok(None) => {}
                Err(error) => tracing::warn!(worker = self.card.name, %error, "the queue could not be asked"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = told(stop) => {}
            }
        }
        Ok(done)
    }

    /// Does a job on a thread of its own; whether it was finished.
    async fn attempt(
        &self,
        lease: &Lease,
        bench: &mut Bench,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<bool, WorkError> {
        let mut thread = tokio::task::spawn_blocking({
            let (working, lease, mut bench) = (self.clone(), lease.clone(), bench.take());
            let (runtime, progress) = (Handle::current(), Told { worker: self.card.name.clone(), stop: stop.clone() });
            move || {
                let done = working.work(&lease, &mut bench, &runtime, &progress);
                (bench, done)
            }
        });
        let late = async {
            told(stop).await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            ended = &mut thread => match ended {
                Ok((again, done)) => {
                    *bench = again;
                    done
                }
                Err(panic) => {
                    let error = WorkError::Ended(panic);
                    self.fail(lease, &error).await?;
                    Err(error)
                }
            },
            () = late => {
                self.engine.release(lease, GRACE, "its worker was asked to stop").await?;
                Ok(false)
            }
            () = self.gone(lease) => {
                Err(WorkError::Stuck(lease.row.title.clone(), self.engine.timing().stall.as_secs() / 60))
            }
        }
    }

    /// Ends when a lease has been lost for so long that its work must be stuck.
    async fn gone(&self, lease: &Lease) {
        let timing = self.engine.timing();
        let mut lost: Option<Instant> = None;
        while lost.is_none_or(|since| since.elapsed() < timing.stall) {
            tokio::time::sleep(timing.beat).await;
            match self.engine.look(lease).await {
                Ok(Beat::Lost) => lost = lost.or(Some(Instant::now())),
                Ok(_) => lost = None,
                Err(_) => {}
            }
        }
    }

    async fn fail(&self, lease: &Lease, error: &WorkError) -> Result<(), EngineError> {
        let again = (!error.lasts()).then_some(BUSY);
        let failed = Failed { reason: error.to_string(), lines: Vec::new(), again };
        self.engine.fail(lease, &failed).await?;
        Ok(())
    }

    /// Does a job, on a thread that may block.
    fn work(
        &self,
        lease: &Lease,
        bench: &mut Bench,
        runtime: &Handle,
        progress: &dyn Progress,
    ) -> Result<bool, WorkError> {
        let ready = lease.job().map_err(WorkError::from).and_then(|job| {
            self.prepare(&job, bench)?;
            Ok((kinds::before(&job, &self.settings.folders())?, job.try_lock(&self.settings.folders())?, job))
        });
        let busy = |reason: &str| {
            runtime.block_on(self.engine.release(lease, BUSY, reason))?;
            Ok(false)
        };
        let (_names, lock, job) = match ready {
            Ok(ready) => ready,
            Err(WorkError::Lab(error @ virboard_lab::Error::NameBusy { .. })) => return busy(&error.to_string()),
            Err(error) => {
                runtime.block_on(self.fail(lease, &error))?;
                return Err(error);
            }
        };
        let Some(_lock) = lock else { return busy("another process in the data folder works on it") };
        let Some((_, lab)) = bench.as_ref() else { return Ok(false) };
        let worker =
            Worker { lab, store: &self.store, runtime, progress, engine: &self.engine, card: &self.card, person: None };
        let claimed = Claimed { job: &job, lease, title: job.title.clone(), again: lease.row.anew };
        worker.run(&claimed, &|record| Ok(kinds::after(&self.settings, lab, &job, record, progress)?))?;
        Ok(true)
    }

    /// Makes ready what the job needs: the precision that it asks for, and what has been declared since the last one.
    fn prepare(&self, job: &Job, bench: &mut Bench) -> Result<(), virboard_lab::Error> {
        let precision = kinds::precision(job);
        match bench {
            Some((had, lab)) if *had == precision => lab.registry.replace(self.settings.catalogue()),
            _ => {
                let precisely = Choice::Exactly(precision);
                *bench = Some((precision, Settings { precision: precisely, ..self.settings.clone() }.lab()?));
            }
        }
        Ok(())
    }
}

/// Ends when somebody tells to stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    // Whoever could tell has ended: nobody waits any more.
    let _ = stop.wait_for(|told| *told).await;
}

/// Starts workers in this process, one a device, and ends leases of workers elsewhere that have died.
pub fn start(
    settings: &Settings,
    store: &Store,
    engine: &Engine,
    workers: u32,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, virboard_lab::Error> {
    let mut tasks = vec![tokio::spawn(sweep(engine.clone(), stop.clone()))];
    for number in 0..workers {
        let settings = Settings { device: device(&settings.device, number)?, ..settings.clone() };
        let name = format!("{}-{}-{number}", host(), std::process::id());
        let card = card(Some(name), &settings.device, vec![ANY.to_owned()]);
        let working = Working { settings, store: store.clone(), engine: engine.clone(), card, idle_exit: None };
        let stop = stop.clone();
        tasks.push(tokio::spawn(async move {
            if let Err(error) = working.run(stop).await {
                tracing::error!(%error, "a worker has ended; restart the server to have it again");
            }
        }));
    }
    Ok(tasks)
}

/// Waits until the workers have given back what they had, but no longer than this.
pub async fn wait(tasks: Vec<JoinHandle<()>>, most: Duration) {
    if tokio::time::timeout(most, futures::future::join_all(tasks)).await.is_err() {
        tracing::warn!("a worker was still at work and was left; its job goes back to the queue by itself");
    }
}

async fn sweep(engine: Engine, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(engine.timing().beat) => {}
            () = told(&mut stop) => return,
        }
        if let Err(error) = engine.sweep().await {
            tracing::warn!(%error, "leases could not be looked after");
        }
    }
}

/// The device of the worker of this number: of several GPUs each has one; the CPU is all workers'.
fn device(first: &str, number: u32) -> Result<String, virboard_lab::Error> {
    let gpu = match first {
        "auto" if virboard_nn::device::open(first)?.is_cuda() => Some(0),
        _ => first.strip_prefix("cuda:").and_then(|gpu| gpu.parse::<u32>().ok()),
    };
    Ok(gpu.map_or_else(|| first.to_owned(), |gpu| format!("cuda:{}", gpu + number)))
}
