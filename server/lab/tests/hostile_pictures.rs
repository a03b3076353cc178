//! Decoders against pictures of strangers: no panic, no more than 5 seconds, no more than 300 MB, whatever the bytes are.
//!
//! `VIRBOARD_FUZZ_CASES=3000000 cargo test --release -p virboard-lab --test hostile_pictures` runs for about ten minutes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use virboard_lab::image::{ImageError, decode_upload, work};
use virboard_nn::seeded::Stream;

/// Longest time that one picture may take; 10 seconds is what a decoder is given, and no picture of the tests needs it.
const TIME: Duration = Duration::from_secs(5);
/// Most memory that one picture may take, in bytes.
const MEMORY: u64 = 300_000_000;

/// The pictures from which the tests start, by the names of their files.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).expect("listed").flatten().map(|e| e.path()).collect();
    files.sort();
    let name = |file: &Path| file.file_name().expect("a name").to_string_lossy().into_owned();
    let all: Vec<_> = files.iter().map(|f| (name(f), std::fs::read(f).expect("read"))).collect();
    assert!(all.len() >= 20, "{} files", all.len());
    all
}

/// One test at a time: the peak of memory is the process'.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A value of this process in bytes: `VmRSS` now, `VmHWM` at its peak.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|l| l.strip_prefix(name)).expect("a line");
    let number = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    number.parse::<u64>().expect("a number") * 1024
}

/// What memory and time it takes to decode a picture.
fn cost(bytes: &[u8]) -> (Result<(u32, u32), ImageError>, u64, Duration) {
    // The peak is forgotten.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux lets");
    let before = memory("VmRSS");
    let begun = Instant::now();
    let answer = decode_upload(bytes).map(|picture| picture.dimensions());
    (answer, memory("VmHWM").saturating_sub(before), begun.elapsed())
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xEDB8_8320 } else { c >> 1 })
    })
}

fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name.as_slice(), data].concat();
    [&(data.len() as u32).to_be_bytes(), body.as_slice(), &crc32(&body).to_be_bytes()].concat()
}

#[test]
fn what_phones_and_tools_make_is_read_or_named() {
    let _turn = alone();
    for (name, bytes) in corpus() {
        let answer = decode_upload(&bytes).map(|p| p.dimensions());
        let fits = match name.split('-').next() {
            Some("read") => answer == Ok((24, 18)),
            Some("kind") => matches!(answer, Ok((24, 18)) | Err(ImageError::Kind { .. })),
            _ => matches!(answer, Err(ImageError::Unread(_))),
        };
        assert!(fits, "{name}: {answer:?}");
    }
}

#[test]
fn a_profile_of_600_megabytes_is_not_unpacked() {
    let _turn = alone();
    let (_, png) = corpus().into_iter().find(|(n, _)| n == "read-transparent.png").expect("a PNG");
    let plain = decode_upload(&png).expect("decoded");
    let mut zeros = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..600 {
        std::io::Write::write_all(&mut zeros, &vec![0; 1_000_000]).expect("packed");
    }
    let packed = zeros.finish().expect("packed");
    for (name, head) in [(*b"iCCP", b"x\0\0".as_slice()), (*b"zTXt", b"x\0\0"), (*b"iTXt", b"x\0\x01\0\0\0")] {
        // Behind the header.
        let bomb = [&png[..33], &chunk(name, &[head, &packed].concat()), &png[33..]].concat();
        let (answer, bytes, _) = cost(&bomb);
        assert_eq!(answer, Ok(plain.dimensions()), "the picture is there without it");
        assert!(bytes < 50_000_000, "{bytes} bytes");
        assert!(decode_upload(&bomb).as_ref() == Ok(&plain));
    }
}

#[test]
fn a_tag_of_millions_of_values_takes_no_memory() {
    let _turn = alone();
    let (_, tiff) = corpus().into_iter().find(|(n, _)| n == "read-packbits.tif").expect("a TIFF");
    // The number of entries stands where the last four bytes of the head point to; each has 12 bytes.
    let directory = u32::from_le_bytes(tiff[4..8].try_into().expect("four bytes")) as usize;
    let count = u16::from_le_bytes(tiff[directory..directory + 2].try_into().expect("two bytes"));
    let entries = &tiff[directory + 2..directory + 2 + 12 * usize::from(count)];
    let start = tiff.len() as u32;
    let mut file = tiff.clone();
    file.resize(tiff.len() + 16_000_000, 1);
    // A new directory at the end, with an orientation of 16 million bytes.
    let at = file.len() as u32;
    file[4..8].copy_from_slice(&at.to_le_bytes());
    let mut all: Vec<[u8; 12]> = entries.chunks_exact(12).map(|e| e.try_into().expect("12 bytes")).collect();
    let mut orientation = [0; 12];
    orientation[..2].copy_from_slice(&274u16.to_le_bytes());
    orientation[2..4].copy_from_slice(&1u16.to_le_bytes());
    orientation[4..8].copy_from_slice(&16_000_000u32.to_le_bytes());
    orientation[8..].copy_from_slice(&start.to_le_bytes());
    all.push(orientation);
    all.sort_by_key(|e| u16::from_le_bytes([e[0], e[1]]));
    file.extend((all.len() as u16).to_le_bytes());
    file.extend(all.concat());
    file.extend([0; 4]);
    let (answer, bytes, _) = cost(&file);
    assert!(bytes < 100_000_000, "{bytes} bytes for {answer:?}");
}

#[test]
fn the_largest_pictures_stay_within_300_megabytes() {
    let _turn = alone();
    let picture = image::RgbaImage::from_pixel(7000, 5700, image::Rgba([10, 20, 30, 200]));
    for (format, picture) in [
        (image::ImageFormat::Png, image::DynamicImage::from(picture.clone())),
        (image::ImageFormat::Jpeg, image::DynamicImage::from(picture.clone()).into_rgb8().into()),
    ] {
        let mut file = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut file, format).expect("encoded");
        let file = file.into_inner();
        drop(picture);
        let (answer, bytes, time) = cost(&file);
        assert_eq!(answer, Ok((7000, 5700)), "{format:?}");
        assert!(bytes < MEMORY, "{format:?}: {bytes} bytes");
        assert!(time < TIME, "{format:?}: {time:?}");
    }
}

/// Changes a file as chance would: bits, numbers that are extremes, pieces that are cut, doubled or of another file.
fn changed(bytes: &[u8], other: &[u8], random: &mut Stream) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(out.len().max(1));
        match random.below(7) {
            0 => out.truncate(at),
            1 => out.extend_from_within(at..),
            2 => drop(out.splice(at.., other[random.below(other.len())..].iter().copied())),
            3 => {
                let to = (at + random.below(64)).min(out.len());
                out.drain(at..to);
            }
            4 => {
                let extreme = [0x00, 0x01, 0x7F, 0x80, 0xFF][random.below(5)];
                let to = (at + 1 + random.below(4)).min(out.len());
                out[at..to].fill(extreme);
            }
            // Heads decide most.
            5 => {
                if let Some(byte) = out.get_mut(at % 64) {
                    *byte ^= 1 << random.below(8);
                }
            }
            _ => {
                if let Some(byte) = out.get_mut(at) {
                    *byte = random.bits() as u8;
                }
            }
        }
        if out.is_empty() {
            break;
        }
    }
    out
}

#[test]
fn changed_pictures_neither_panic_nor_hang_nor_fill_the_memory() {
    let _turn = alone();
    let cases = std::env::var("VIRBOARD_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let corpus = corpus();
    let mut random = Stream::new(20_261_126, "pictures");
    let mut read = 0;
    for case in 0..cases {
        let (name, bytes) = &corpus[random.below(corpus.len())];
        let (_, other) = &corpus[random.below(corpus.len())];
        let file = changed(bytes, other, &mut random);
        let (answer, memory, time) = cost(&file);
        let keep = || {
            let path = std::env::temp_dir().join(format!("virboard-case-{case}"));
            let _ = std::fs::write(&path, &file);
            path.display().to_string()
        };
        assert!(time < TIME, "case {case} of {name} took {time:?}: {}", keep());
        assert!(memory < MEMORY, "case {case} of {name} took {memory} bytes: {}", keep());
        // Telling the work is quick, and says no other thing of what is refused by its header.
        if let (Err(header), Ok(_)) = (work(&file), &answer) {
            panic!("case {case} of {name} is decoded and refused by its header ({header}): {}", keep());
        }
        read += usize::from(answer.is_ok());
    }
    assert!(
        read > cases / 20 && read < cases,
        "{read} of {cases} were read: the changes are neither too few nor too many"
    );
}
