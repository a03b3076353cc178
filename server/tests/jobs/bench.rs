//! The queues under test.

use std::time::Duration;
use virboard::service::engine::{ANY, Asked, Beat, Card, Clock, Engine, Failed, Lease, Local, Outcome, Timing};
use virboard::store::{JobRow, JobState, Offered, Stage, Store};
use virboard_core::catalogue::Catalogue;
use virboard_core::run::{Evidence, Run, Score};
use virboard_lab::work::Job;

/// A queue under test, how its time passes, and where scores arrive.
pub struct Bench {
    pub engine: Engine,
    pub store: Store,
    /// Lets seconds pass.
    pub pass: Box<dyn Fn(i64) + Send + Sync>,
    _folder: tempfile::TempDir,
}

/// Every kind of queue, empty.
pub async fn benches() -> Vec<Bench> {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("virboard.db"), &Catalogue::builtin()).await.expect("it opens");
    let clock = Clock::default();
    let engine = Engine::Local(Local::with(store.clone(), Timing::default(), clock.clone()));
    vec![Bench { engine, store, pass: Box::new(move |seconds| clock.pass(seconds)), _folder: folder }]
}

/// Seconds that a lease lasts.
pub const LEASE: i64 = 60;
pub const NOTHING: Outcome<'static> = Outcome { begun: &[], runs: &[] };

pub fn work(number: u32) -> Job {
    Job {
        kind: "evaluate".to_owned(),
        key: format!("{number:016}"),
        title: format!("job {number}"),
        work: serde_json::json!({ "number": number }),
    }
}

pub fn asked(pool: &str, priority: i64) -> Asked {
    Asked { by: "ann".to_owned(), pool: pool.to_owned(), priority, anew: false, again: false }
}

pub fn worker(name: &str) -> Card {
    let pools = vec![ANY.to_owned()];
    Card { name: name.to_owned(), host: "host".to_owned(), device: "cpu".to_owned(), pools }
}

impl Bench {
    pub async fn offer(&self, number: u32) -> Offered {
        let offered = self.engine.offer(&[work(number)], &asked(ANY, 0)).await.expect("offered");
        offered[0]
    }

    pub async fn claim(&self, name: &str) -> Option<Lease> {
        self.engine.claim(&worker(name)).await.expect("asked")
    }

    pub async fn claimed(&self, name: &str) -> Lease {
        self.claim(name).await.expect("a job waits")
    }

    pub async fn row(&self, number: u32) -> JobRow {
        self.engine.job(&work(number).name()).await.expect("asked").expect("it is there")
    }

    pub async fn beat(&self, lease: &Lease) -> Beat {
        self.engine.beat(lease, &Stage::default()).await.expect("asked")
    }

    pub async fn fail(&self, lease: &Lease, again: Option<u64>) -> Option<JobState> {
        let (reason, lines) = ("the disk is on fire".to_owned(), vec!["it is warm".to_owned()]);
        let failed = Failed { reason, lines, again: again.map(Duration::from_secs) };
        self.engine.fail(lease, &failed).await.expect("told")
    }

    pub async fn kinds(&self) -> Vec<(i64, String)> {
        let events = self.engine.events(0, 1000).await.expect("read");
        assert!(events.windows(2).all(|e| e[0].id < e[1].id && e[0].at <= e[1].at), "in order");
        events.into_iter().map(|e| (e.attempt, e.kind)).collect()
    }
}

pub fn named(kinds: &[(i64, String)]) -> Vec<(i64, &str)> {
    kinds.iter().map(|(attempt, kind)| (*attempt, kind.as_str())).collect()
}

/// A run with a score on Pets.
pub fn run(encoder: &str, value: f64) -> Run {
    let evidence = Evidence { selected: true, key: "k".into(), configuration: "{}".into(), ..Evidence::default() };
    let score = Score { encoder: encoder.into(), task: "Pets".into(), value, evidence, ..Score::default() };
    Run { score, epochs: Vec::new() }
}
