//! What strangers hand in is changed at random, thousands of times, always the same ones: nothing may panic, take five
//! seconds or more than 300 MB. `VIRBOARD_FUZZ_CASES=50000` makes it minutes.

mod saved;

use candle_core::{DType, Device, Tensor};
use saved::{File, Tensors, dictionary, text};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use virboard_lab::data::declared::index;
use virboard_nn::checkpoint::pickle::Pickle;
use virboard_nn::checkpoint::{open_raw, packed};
use virboard_nn::load;
use virboard_nn::seeded::Stream;

/// Cases of each kind.
fn cases() -> u64 {
    std::env::var("VIRBOARD_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1000)
}

const LONGEST: Duration = Duration::from_secs(5);
const MOST_MEMORY: usize = 300 << 20;
/// Changed inputs are not made longer.
const LARGEST: usize = 1 << 20;

/// One at a time, so that memory is counted for one.
static TURN: Mutex<()> = Mutex::new(());

/// The most memory that this process has ever held.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("it is there");
    line.trim().trim_end_matches("kB").trim().parse::<usize>().expect("a number") << 10
}

/// The inputs in a folder, in the order of their names.
fn corpus(kind: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(kind);
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("listed").flatten().map(|e| e.path()).collect();
    files.sort();
    let inputs: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).expect("read")).collect();
    assert!(inputs.len() > 2, "{kind} has inputs");
    inputs
}

const BYTES: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'(', b'R', b'.', b']', b'N', b'"', b'\n'];
const NUMBERS: [u64; 8] = [0, 1, 255, 65_535, 1 << 31, u32::MAX as u64, 1 << 40, u64::MAX];

/// An input with a few changes.
fn changed(inputs: &[Vec<u8>], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = inputs[stream.below(inputs.len())].clone();
    for _ in 0..=stream.below(6) {
        let at = stream.below(bytes.len().max(1));
        let length = 1 + stream.below(32);
        let range = at..(at + length).min(bytes.len());
        match stream.below(8) {
            _ if bytes.is_empty() => bytes.push(BYTES[stream.below(BYTES.len())]),
            0 => bytes[at] ^= 1 << stream.below(8),
            1 => bytes[at] = stream.below(256) as u8,
            2 => bytes[at] = BYTES[stream.below(BYTES.len())],
            3 => drop(bytes.drain(range)),
            4 => {
                let part = bytes[range].repeat(1 + stream.below(2000));
                bytes.splice(at..at, part);
            }
            5 => {
                let other = &inputs[stream.below(inputs.len())];
                let from = stream.below(other.len().max(1));
                bytes.splice(at..at, other[from..(from + 64).min(other.len())].to_vec());
            }
            6 => bytes.truncate(at),
            _ => {
                let number = NUMBERS[stream.below(NUMBERS.len())].to_le_bytes();
                let width = [2, 4, 8][stream.below(3)];
                let end = (at + width).min(bytes.len());
                bytes.splice(at..end, number[..width].to_vec());
            }
        }
        bytes.truncate(LARGEST);
    }
    bytes
}

/// Hands changed inputs to `read`; gives how many it took.
fn fuzz(kind: &str, inputs: &[Vec<u8>], read: impl Fn(&[u8]) -> bool) -> u64 {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for input in inputs {
        read(input);
    }
    let mut taken = 0;
    for case in 0..cases() {
        let input = changed(inputs, &mut Stream::new(case, kind));
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&input)));
        assert!(outcome.is_ok(), "{kind} {case} panics");
        assert!(started.elapsed() < LONGEST, "{kind} {case} takes {:?}", started.elapsed());
        taken += u64::from(outcome.is_ok_and(|taken| taken));
    }
    let peak = peak();
    assert!(peak < MOST_MEMORY, "{kind}: {} MB", peak >> 20);
    println!("{kind}: {} cases, {taken} taken, at most {} MB", cases(), peak >> 20);
    taken
}

/// A few tensors that look like a network's.
fn tensors() -> Tensors {
    let tensor = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).expect("ones");
    Tensors::from([
        ("module.conv1.weight".to_owned(), tensor(&[2, 3, 2, 2])),
        ("module.layer4.0.conv1.weight".to_owned(), tensor(&[2, 2])),
        ("module.fc.weight".to_owned(), tensor(&[3, 2])),
        ("module.fc.bias".to_owned(), tensor(&[3])),
    ])
}

fn pickle(content: &[u8]) -> Vec<u8> {
    [b"\x80\x02", content, b"."].concat()
}

/// Pickles of checkpoints.
fn checkpoints() -> Vec<Vec<u8>> {
    let file = File::of(&tensors());
    let settings = saved::object("omegaconf.dictconfig", "DictConfig", &dictionary(&[("a", text("b"))]));
    vec![
        pickle(&file.dictionary()),
        pickle(&dictionary(&[("state_dict", file.dictionary()), ("settings", settings)])),
        pickle(&saved::object("__main__", "Net", &dictionary(&[("_modules", file.dictionary())]))),
    ]
}

/// Reads a file in every way in which checkpoints are read.
fn load(path: &Path, bytes: &[u8]) -> bool {
    std::fs::write(path, bytes).expect("written");
    let _ = load::has_classifier(path, None);
    let _ = open_raw(path);
    load::open(path, None).is_ok()
}

#[test]
fn no_pickle_panics_hangs_or_takes_all_memory() {
    let inputs = [corpus("pickle"), checkpoints()].concat();
    assert!(fuzz("pickle", &inputs, |bytes| Pickle::parse(bytes).is_ok()) > 0);
}

#[test]
fn no_archive_panics_hangs_or_takes_all_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.pt");
    let file = File::of(&tensors());
    // Behind a right checksum, so that the pickle is read.
    assert!(fuzz("pickle of an archive", &checkpoints(), |bytes| load(&path, &file.archive(bytes))) > 0);
    let archives: Vec<Vec<u8>> = checkpoints().iter().map(|pickle| file.archive(pickle)).collect();
    fuzz("archive", &archives, |bytes| load(&path, bytes));
}

#[test]
fn no_legacy_file_panics_hangs_or_takes_all_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.pt");
    let file = File::of(&tensors());
    let inputs = vec![
        file.legacy(&file.dictionary(), 4),
        file.legacy(&dictionary(&[("state_dict", file.dictionary())]), 4),
        std::fs::read(saved::checkpoints().join("malicious_legacy.pt")).expect("read"),
    ];
    assert!(load(&path, &inputs[0]) && load(&path, &inputs[1]));
    assert!(fuzz("legacy", &inputs, |bytes| load(&path, bytes)) > 0);
}

#[test]
fn no_safetensors_panic_hang_or_take_all_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.safetensors");
    let inputs: Vec<Vec<u8>> = [DType::F32, DType::F16, DType::F64]
        .into_iter()
        .map(|dtype| {
            let tensors = tensors().into_iter().map(|(n, t)| (n, t.to_dtype(dtype).expect("converted"))).collect();
            saved::save_safetensors(&tensors, &path);
            std::fs::read(&path).expect("read")
        })
        .collect();
    assert!(fuzz("safetensors", &inputs, |bytes| load(&path, bytes)) > 0);
}

#[test]
fn no_packed_file_panics_hangs_or_takes_all_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.safetensors");
    let inputs: Vec<Vec<u8>> = [tensors(), saved::under("state_dict.", &tensors())]
        .iter()
        .map(|tensors| {
            packed::write(&path, tensors, &[("made_by".to_owned(), "a test".to_owned())].into()).expect("written");
            std::fs::read(&path).expect("read")
        })
        .collect();
    assert!(inputs.iter().all(|bytes| load(&path, bytes)));
    assert!(fuzz("packed", &inputs, |bytes| load(&path, bytes)) > 0);
}

#[test]
fn no_index_panics_hangs_or_takes_all_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.csv");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        index::read(&path).is_ok()
    };
    assert!(fuzz("index", &corpus("index"), read) > 0);
}
