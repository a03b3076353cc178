//! Signs of life: of a worker, and of the job that it does.

use crate::service::engine::{Beat, Card, Engine, EngineError, Lease};
use crate::store::Stage;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// What was heard of a lease while its work went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// Somebody, by name, asked that it stops.
    Cancel(String),
    /// It was lost.
    Lost,
    /// The work did not advance for so long that the lease was left to itself.
    Stuck,
}

/// What the work and the signs of its life share.
struct Shared {
    stops: AtomicBool,
    heard: Mutex<Heard>,
    stage: Mutex<Stage>,
    advanced: Mutex<Instant>,
}

/// A worker that panicked in another thread has left whole values.
fn whole<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a lease while its work advances, and hears when it should stop. Ends when it is dropped.
pub struct Pulse {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Pulse {
    /// Begins for a lease.
    pub fn start(runtime: &Handle, engine: &Engine, lease: &Lease) -> Self {
        let shared = Arc::new(Shared {
            stops: AtomicBool::new(false),
            heard: Mutex::new(Heard::Nothing),
            stage: Mutex::new(Stage::default()),
            advanced: Mutex::new(Instant::now()),
        });
        let task = runtime.spawn(beat(engine.clone(), lease.clone(), shared.clone()));
        Self { shared, task }
    }

    /// The work advances.
    pub fn advance(&self) {
        *whole(&self.shared.advanced) = Instant::now();
    }

    /// The work advances, and this is what it does.
    pub fn stage(&self, change: impl FnOnce(&mut Stage)) {
        self.advance();
        change(&mut whole(&self.shared.stage));
    }

    /// Whether the work should stop.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.shared.stops.load(Ordering::Relaxed)
    }

    /// What was heard so far.
    #[must_use]
    pub fn heard(&self) -> Heard {
        whole(&self.shared.heard).clone()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn beat(engine: Engine, lease: Lease, shared: Arc<Shared>) {
    let timing = engine.timing();
    let mut beaten = Instant::now();
    loop {
        tokio::time::sleep(timing.look.min(timing.beat)).await;
        let heard = if whole(&shared.advanced).elapsed() > timing.stall {
            Ok(Heard::Stuck)
        } else if beaten.elapsed() >= timing.beat {
            let stage = whole(&shared.stage).clone();
            let beat = engine.beat(&lease, &stage).await;
            if beat.is_ok() {
                beaten = Instant::now();
            }
            beat.map(Heard::from)
        } else {
            engine.look(&lease).await.map(Heard::from)
        };
        match heard {
            Ok(Heard::Nothing) => {}
            Ok(heard) => {
                // What is cancelled is kept until the work has stopped, so that it is known to run as long as it does.
                let ends = !matches!(heard, Heard::Cancel(_));
                *whole(&shared.heard) = heard;
                shared.stops.store(true, Ordering::Relaxed);
                if ends {
                    return;
                }
            }
            Err(error) => tracing::warn!(job = lease.row.name, %error, "a sign of life was not taken"),
        }
    }
}

impl From<Beat> for Heard {
    fn from(beat: Beat) -> Self {
        match beat {
            Beat::Goes => Self::Nothing,
            Beat::Cancel(by) => Self::Cancel(by),
            Beat::Lost => Self::Lost,
        }
    }
}

/// A worker that is known while it lives. While it is, leases of others that have died are ended, too.
pub struct Presence {
    engine: Engine,
    name: String,
    task: JoinHandle<()>,
}

impl Presence {
    /// Makes a worker known.
    pub async fn begin(engine: &Engine, card: &Card) -> Result<Self, EngineError> {
        engine.seen(card).await?;
        let task = tokio::spawn({
            let (engine, card) = (engine.clone(), card.clone());
            async move {
                loop {
                    tokio::time::sleep(engine.timing().beat).await;
                    let told = async {
                        engine.seen(&card).await?;
                        engine.sweep().await
                    };
                    if let Err(error) = told.await {
                        tracing::warn!(worker = card.name, %error, "a sign of life was not taken");
                    }
                }
            }
        });
        Ok(Self { engine: engine.clone(), name: card.name.clone(), task })
    }

    /// Lets it be forgotten.
    pub async fn end(&self) {
        self.task.abort();
        if let Err(error) = self.engine.leave(&self.name).await {
            tracing::warn!(worker = self.name, %error, "a worker that ends is still listed");
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.task.abort();
    }
}
