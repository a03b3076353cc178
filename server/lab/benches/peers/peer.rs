//! The peers' process, and taking turns with it.

use crate::Failure;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

/// The peers' process.
pub struct Peers {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Their names and versions.
    pub versions: String,
}

impl Peers {
    /// Starts it, if `VIRBOARD_BENCH_PYTHON` names a Python.
    pub fn start(folder: &Path) -> Result<Option<Self>, Failure> {
        let Some(python) = std::env::var_os("VIRBOARD_BENCH_PYTHON") else { return Ok(None) };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/bench_peers.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(rayon::current_num_threads().to_string())
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(ask), Some(answers)) = (child.stdin.take(), child.stdout.take()) else { return Ok(None) };
        let mut peers = Self { child, ask, answers: BufReader::new(answers), versions: String::new() };
        peers.versions = peers.line()?;
        Ok(Some(peers))
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() { Err("the peers' process has ended".into()) } else { Ok(line.trim().to_owned()) }
    }

    /// Seconds that a peer takes, if it is there.
    pub fn time(&mut self, request: &str) -> Result<Option<f64>, Failure> {
        writeln!(self.ask, "{request}")?;
        self.ask.flush()?;
        let answer = self.line()?;
        Ok(if answer == "none" { None } else { Some(answer.parse()?) })
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the system says of this process's memory, in megabytes.
pub fn megabytes(field: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|l| l.starts_with(field)).ok_or("the system tells no memory")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse::<f64>()? / 1024.0)
}

/// Seconds of several runs.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn median(&mut self) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0[self.0.len() / 2]
    }

    /// Half the distance between the quartiles, as a share of the median.
    fn spread(&mut self) -> f64 {
        let median = self.median();
        (self.0[self.0.len() * 3 / 4] - self.0[self.0.len() / 4]) / 2.0 / median
    }
}

/// Something of ours to be timed, and its name.
pub type Ours<'a> = (&'a str, &'a mut dyn FnMut() -> Result<(), Failure>);

/// Runs ours and the peers in turns, and prints a row each: `amount` things took so long. The
/// first of ours is what the others are compared with.
pub fn compare(
    peers: &mut Option<Peers>,
    title: &str,
    unit: &str,
    amount: f64,
    rounds: usize,
    requests: &[(&str, String)],
    ours: &mut [Ours<'_>],
) -> Result<(), Failure> {
    let mut all: Vec<(&str, Times)> = ours.iter().map(|(name, _)| (*name, Times::default())).collect();
    all.extend(requests.iter().map(|(name, _)| (*name, Times::default())));
    for round in 0..=rounds {
        for (i, (_, times)) in all.iter_mut().enumerate() {
            // Whoever ran before may still spin.
            std::thread::sleep(std::time::Duration::from_millis(100));
            let seconds = if let Some((_, run)) = ours.get_mut(i) {
                let start = Instant::now();
                run()?;
                Some(start.elapsed().as_secs_f64())
            } else {
                peers.as_mut().map(|p| p.time(&requests[i - ours.len()].1)).transpose()?.flatten()
            };
            // The first round warms up.
            times.0.extend(seconds.filter(|_| round > 0));
        }
    }
    println!("| {title} | {unit} | spread | times as fast |\n|---|---|---|---|");
    let own = all[0].1.median();
    for (name, times) in &mut all {
        if times.0.is_empty() {
            println!("| {name} | not installed | | |");
        } else {
            let median = times.median();
            let (rate, spread) = (amount / median, 100.0 * times.spread());
            println!("| {name} | {rate:.1} | ± {spread:.0} % | {:.2} |", own / median);
        }
    }
    println!();
    Ok(())
}
