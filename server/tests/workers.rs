//! Workers: they do what waits in the queue, and what a command does stands there, too.

mod common;

use common::program::{fails, run, virboard, works};
use common::{settings, two_classes};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use virboard::service::engine::{ANY, Asked, Engine};
use virboard::service::working::{Working, card};
use virboard::store::{JobRow, JobState, Store};
use virboard_core::catalogue::Catalogue;
use virboard_lab::pretrain::settings::Settings as Training;
use virboard_lab::work::Job;
use virboard_lab::work::evaluate::Evaluate;
use virboard_lab::work::pretrain::Pretrain;

/// A small pre-training of so many epochs; gives its settings.
fn small(data: &Path, epochs: u32) -> String {
    let text = format!(
        "method: {{supervised: {{}}}}\nviews: [{{count: 1, side: 32, scale: [0.3, 1.0]}}]\n\
         network: {{architecture: resnet18, width: 8, blocks: [1, 1, 1, 1]}}\ndata: {{sources: [\"{}\"]}}\n\
         optimiser: {{sgd: {{momentum: 0.9}}}}\nlearning_rate: 0.05\nschedule: {{cosine: {{}}}}\nweight_decay: 0.0001\n\
         batch: 8\nepochs: {epochs}\n",
        two_classes(data, 6).display()
    );
    let path = data.join("small.yaml");
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn pretraining(data: &Path, key: &str, epochs: u32) -> Job {
    let settings = Training::read(Path::new(&small(data, epochs))).expect("read");
    Job::of(&Pretrain { settings, encoder: key.to_owned(), from: None }).expect("a job")
}

fn asked() -> Asked {
    Asked { by: "ann".to_owned(), pool: ANY.to_owned(), priority: 0, anew: false, again: false }
}

async fn store(data: &Path) -> Store {
    Store::open(&data.join("virboard.db"), &Catalogue::builtin()).await.expect("it opens")
}

/// Puts jobs into the queue of a data folder.
fn offer(data: &Path, jobs: &[Job]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = store(data).await;
        settings(data).engine(&store).offer(jobs, &asked()).await.expect("offered");
        store.close().await;
    });
}

/// The jobs as the program lists them.
fn listed(data: &Path) -> Vec<serde_json::Value> {
    serde_json::from_str(&works(data, &["jobs", "list", "--json"])).expect("JSON")
}

/// Waits until a job is as it should be.
fn until(data: &Path, what: &str, is: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let begun = Instant::now();
    loop {
        let jobs = listed(data);
        if let Some(job) = jobs.iter().find(|job| is(job)) {
            return job.clone();
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "never {what}: {jobs:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn terminate(child: &mut Child) -> Duration {
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("it runs").success());
    while child.try_wait().expect("a child").is_none() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it does not end at all");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

#[test]
fn told_to_stop_a_worker_gives_its_job_back_at_once_and_the_next_ends_it() {
    let data = tempfile::tempdir().expect("a folder");
    offer(data.path(), &[pretraining(data.path(), "Long", 1_000_000)]);
    let mut first = virboard(data.path()).args(["worker", "--name", "first"]).spawn().expect("it starts");
    // What it logs is read, so that it never waits for us.
    let mut log = first.stderr.take().expect("piped");
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    until(data.path(), "running", |job| job["state"] == "running" && job["worker"] == "first");
    let state = data.path().join("runs");
    let begun = Instant::now();
    let saved = |path: &Path| {
        let files = std::fs::read_dir(path).into_iter().flatten().flatten();
        files.into_iter().any(|f| f.file_name().to_string_lossy().ends_with(".state.safetensors"))
    };
    while !saved(&state) {
        assert!(begun.elapsed() < Duration::from_mins(2), "no epoch ends");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(terminate(&mut first) < Duration::from_secs(10));
    assert!(first.wait().expect("a child").success());
    let job = &listed(data.path())[0];
    assert_eq!((job["state"].as_str(), job["attempt"].as_i64()), (Some("queued"), Some(1)));
    assert_eq!(job["error"], "its worker was asked to stop");

    let mut second = virboard(data.path()).args(["worker", "--name", "second"]).spawn().expect("it starts");
    let mut log = second.stderr.take().expect("piped");
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let job = until(data.path(), "taken over", |job| job["state"] == "running" && job["worker"] == "second");
    works(data.path(), &["jobs", "cancel", job["name"].as_str().expect("a name")]);
    let job = until(data.path(), "cancelled", |job| job["state"] == "cancelled");
    assert_eq!(job["attempt"], 2);
    terminate(&mut second);
}

#[test]
fn a_worker_does_what_waits_and_ends_when_nothing_is_left() {
    let data = tempfile::tempdir().expect("a folder");
    offer(data.path(), &[pretraining(data.path(), "Short", 2)]);
    let output = run(data.path(), &["worker", "--idle-exit", "1s"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 job done"), "{said}");
    let jobs = listed(data.path());
    let (state, asked_by) = (jobs[0]["state"].as_str(), jobs[0]["asked_by"].as_str());
    assert_eq!((jobs.len(), state, asked_by), (1, Some("finished"), Some("ann")));
    assert!(data.path().join("encoders/Short.toml").is_file(), "what came of it is declared");
    let name = jobs[0]["name"].as_str().expect("a name");
    assert!(fails(data.path(), &["jobs", "retry", name]).contains("is finished"));
    assert!(fails(data.path(), &["jobs", "cancel", name]).contains("nothing to cancel"));
}

#[test]
fn what_a_command_does_stands_in_the_same_list() {
    let data = tempfile::tempdir().expect("a folder");
    let config = small(data.path(), 1);
    let mut command = virboard(data.path());
    command.args(["pretrain", "--config", &config, "--out", "Mine"]).env("USER", "carol");
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let jobs = listed(data.path());
    let said = |entry: &str| jobs[0][entry].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (jobs.len(), said("state"), said("asked_by"), said("kind")),
        (1, "finished".into(), "carol".into(), "pretrain".into())
    );
    // What fails is there with its reason.
    let nobody = ["cka", "--encoders", "OpenNsfw", "--images", "nowhere"];
    let sentence = fails(data.path(), &nobody);
    let jobs = listed(data.path());
    let failed = jobs.iter().find(|job| job["kind"] == "cka").expect("it is there");
    assert_eq!(failed["state"], "failed");
    assert_eq!(sentence, format!("virboard: {}", failed["error"].as_str().expect("a reason")));
}

async fn rows(engine: &Engine, jobs: &[Job]) -> Vec<JobRow> {
    let mut rows = Vec::new();
    for job in jobs {
        rows.push(engine.job(&job.name()).await.expect("asked").expect("it is there"));
    }
    rows
}

#[tokio::test]
async fn a_job_that_cannot_be_done_fails_with_its_reason_and_the_worker_goes_on() {
    let data = tempfile::tempdir().expect("a folder");
    let (store, settings) = (store(data.path()).await, settings(data.path()));
    let engine = settings.engine(&store);
    let evaluate = |encoder: &str| {
        let (encoder, task) = (encoder.to_owned(), "SamplePhotos".to_owned());
        let work = Evaluate { encoder, task, configurations: Vec::new(), skip_broken: false, probes: false };
        Job::of(&work).expect("a job")
    };
    let unknown = Job { kind: "juggle".to_owned(), ..evaluate("Random") };
    let unread = Job { work: serde_json::json!([1]), key: "f".repeat(64), ..evaluate("Random") };
    let jobs = [evaluate("Nobody"), unknown, unread];
    engine.offer(&jobs, &asked()).await.expect("offered");
    let card = card(Some("w".to_owned()), "cpu", vec![ANY.to_owned()]);
    let idle_exit = Some(Duration::ZERO);
    let working = Working { settings, store: store.clone(), engine: engine.clone(), card, idle_exit };
    let (_tell, told) = watch::channel(false);
    assert_eq!(working.run(told).await.expect("it ends"), 0);
    let rows = rows(&engine, &jobs).await;
    for (row, reason) in rows.iter().zip(["no encoder `Nobody`", "no kind of work called `juggle`", "a job"]) {
        let error = row.error.as_deref().unwrap_or_default();
        assert_eq!((row.state, row.attempt), (JobState::Failed, 1), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    assert_eq!(engine.workers().await.expect("asked"), [], "it has left");
}

#[tokio::test]
async fn a_job_on_which_another_process_works_is_given_back() {
    let data = tempfile::tempdir().expect("a folder");
    let (store, settings) = (store(data.path()).await, settings(data.path()));
    let engine = settings.engine(&store);
    let job = pretraining(data.path(), "Busy", 1);
    let _lock = job.lock(&settings.folders()).expect("locked");
    engine.offer(std::slice::from_ref(&job), &asked()).await.expect("offered");
    let card = card(Some("w".to_owned()), "cpu", vec![ANY.to_owned()]);
    let idle_exit = Some(Duration::ZERO);
    let working = Working { settings, store: store.clone(), engine: engine.clone(), card, idle_exit };
    let (_tell, told) = watch::channel(false);
    working.run(told).await.expect("it ends");
    let row = &rows(&engine, std::slice::from_ref(&job)).await[0];
    assert_eq!(row.state, JobState::Queued);
    assert!(row.not_before > row.asked_at + 20, "for later");
    assert!(row.error.as_deref().is_some_and(|e| e.contains("another process")), "{:?}", row.error);
}
