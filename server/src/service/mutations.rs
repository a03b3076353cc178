//! Readers of what people write, on files that were damaged at random: each is read or refused
//! in words, in good time. `VIRBOARD_FUZZ_CASES` raises the number of cases for a longer run.

use super::import::read_table;
use super::virb_config::{Rules, tasks};
use std::path::Path;
use std::time::{Duration, Instant};
use virboard_core::catalogue::Catalogue;
use virboard_core::protocol::Protocol;
use virboard_nn::seeded::Stream;

/// Cases of each reader; a fraction of a second.
const CASES: usize = 500;

/// No case takes longer than this.
const LONGEST: Duration = Duration::from_secs(1);

/// Pieces that have been trouble somewhere.
const PIECES: [&str; 30] = [
    "\"",
    ",",
    ";",
    "\t",
    "\n",
    "\r\n",
    "\u{feff}",
    "NaN",
    "-inf",
    "1e999",
    "9223372036854775808",
    "-0",
    "%",
    "0x1p-3",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "? ",
    "|\n",
    "!!float ",
    "'",
    "\\u0000",
    "\u{0}",
    "é日",
];

fn cases() -> usize {
    std::env::var("VIRBOARD_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES)
}

/// The files of a folder of the corpus, by name.
fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("listed").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|p| std::fs::read(p).expect("read")).collect()
}

/// A file of the corpus with one to eight changes.
fn damaged(corpus: &[Vec<u8>], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = corpus[stream.below(corpus.len())].clone();
    for _ in 0..=stream.below(8) {
        let at = stream.below(bytes.len() + 1);
        let length = stream.below(12).min(bytes.len() - at);
        match stream.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..at + length)),
            2 => drop(bytes.splice(at..at, PIECES[stream.below(PIECES.len())].bytes())),
            3 => drop(bytes.splice(at..at + length, PIECES[stream.below(PIECES.len())].bytes())),
            4 => {
                let copy = bytes[at..at + length].to_vec();
                drop(bytes.splice(at..at, copy.repeat(1 + stream.below(3))));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << stream.below(8);
                }
            }
        }
    }
    bytes
}

/// Reads damaged files: none panics or takes long, and some are read and some refused.
fn survive(folder: &str, read: impl Fn(&Path) -> Result<(), String>) {
    let corpus = corpus(folder);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut stream = Stream::new(1, folder);
    let mut fine = 0;
    let cases = cases();
    for case in 0..cases {
        let bytes = damaged(&corpus, &mut stream);
        std::fs::write(file.path(), &bytes).expect("written");
        let started = Instant::now();
        match read(file.path()) {
            Ok(()) => fine += 1,
            Err(said) => assert!(!said.is_empty(), "case {case} is refused without a word"),
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(started.elapsed() < LONGEST, "case {case} took {:?}: {text}", started.elapsed());
    }
    assert!(fine > cases / 100 && fine < cases, "{fine} of {cases} are read");
}

#[test]
fn damaged_tables_are_read_or_refused_in_words() {
    let catalogue = Catalogue::builtin();
    survive("tables", |path| {
        let runs = read_table(&catalogue, path).map_err(|e| e.to_string())?;
        for run in runs {
            let s = &run.score;
            assert!(s.value.is_finite() && s.evidence.seconds >= 0.0 && s.evidence.finished_at >= 0, "{s:?}");
            let share = catalogue.task(&s.task).expect("a task").metric.is_share();
            assert!(s.value >= 0.0 && !(share && s.value > 1.0), "{s:?}");
        }
        Ok(())
    });
}

#[test]
fn damaged_configurations_are_read_or_refused_in_words() {
    let catalogue = Catalogue::builtin();
    let rules = Rules { seed: 0, protocol: Protocol::Standard, selection: None };
    survive("configurations", |path| {
        for plan in tasks(&catalogue, path, rules).map_err(|e| e.to_string())?.plans {
            for c in plan.configurations {
                let trained = plan.task.epochs.is_some();
                assert!(c.batch_size > 0 && c.test_batch_size > 0 && c.repeats > 0, "{c:?}");
                assert_eq!((c.epochs > 0, c.learning_rate > 0.0), (trained, trained), "{c:?}");
            }
        }
        Ok(())
    });
}
