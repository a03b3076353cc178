//! Reading the truths of declared data sets: classes by index, distances, motion.

use super::description::{Kind, TaskForm};
use crate::data::listing::ReadTruth;
use crate::data::{Target, UNLABELLED, kitti, raster};
use crate::image::MAX_PIXELS;
use crate::{Error, Result};
use std::path::Path;

/// What a number in a mask becomes: a class, 255 for "not labelled", or nothing, which is an error.
type Table = [Option<u8>; 256];

/// How the truths of a task are read; distances in the task's unit, motion in pixels.
pub fn reader(form: &TaskForm) -> Box<ReadTruth> {
    match form.kind {
        Kind::Segmentation | Kind::Mask => {
            let table = table(form);
            let wanted = wanted(form);
            Box::new(move |path| classes(path, &table, &wanted))
        }
        Kind::Flow => Box::new(flow),
        Kind::Classification | Kind::Depth => {
            let (scale, zero) = (form.depth_scale, !form.zero_is_unlabelled);
            Box::new(move |path| depth(path, scale, zero))
        }
    }
}

/// Numbers in masks and what they mean; classes that are ignored leave no gap.
fn table(form: &TaskForm) -> Table {
    let mut table = [None; 256];
    if form.kind == Kind::Segmentation {
        let kept = (0..form.classes.len()).filter(|number| !form.ignores(*number as u8));
        for (class, number) in kept.enumerate() {
            table[number] = Some(class as u8);
        }
    } else if form.positive.is_empty() {
        (table[0], table[1], table[255]) = (Some(0), Some(1), Some(1));
    } else {
        table = [Some(0); 256];
        form.positive.iter().for_each(|number| table[usize::from(*number)] = Some(1));
    }
    for (number, place) in table.iter_mut().enumerate() {
        if form.ignores(number as u8) {
            *place = Some(UNLABELLED);
        }
    }
    table
}

/// What numbers a mask may hold, and how to allow others.
fn wanted(form: &TaskForm) -> String {
    match form.kind {
        Kind::Mask => "a mask holds 0 and 1, or 0 and 255; say in `positive` which numbers are the class".to_owned(),
        _ => format!(
            "the classes are 0 to {}; name it among `classes` or `ignored`",
            form.classes.len().saturating_sub(1)
        ),
    }
}

fn damaged(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Damaged { path: path.to_path_buf(), reason: reason.to_string() }
}

fn classes(path: &Path, table: &Table, wanted: &str) -> Result<Target> {
    let picture = raster::indices(path)?;
    let mut classes = Vec::with_capacity(picture.as_raw().len());
    for number in picture.as_raw() {
        match table[usize::from(*number)] {
            Some(class) => classes.push(class),
            None => {
                return Err(Error::Truth {
                    path: path.to_path_buf(),
                    reason: format!("it holds {number}, and {wanted}"),
                });
            }
        }
    }
    Ok(Target::Mask { width: picture.width(), height: picture.height(), classes })
}

/// Distances: stored numbers over `scale`. Without `zero`, 0 is no label.
fn depth(path: &Path, scale: f32, zero: bool) -> Result<Target> {
    let tiff = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tif") || e.eq_ignore_ascii_case("tiff"));
    let target = if tiff { raster::tiff(path)? } else { raster::sixteen_bit(path)? };
    let Target::Values { width, height, channels, mut values } = target else {
        return Err(damaged(path, "it holds no numbers"));
    };
    for value in &mut values {
        *value = if value.is_finite() && (zero || *value != 0.0) { *value / scale } else { f32::NAN };
    }
    Ok(Target::Values { width, height, channels, values })
}

/// The first four bytes of Middlebury's files.
const FLO: &[u8] = b"PIEH";

/// Motion in pixels: a 16-bit PNG as KITTI has it, or Middlebury's `.flo`.
fn flow(path: &Path) -> Result<Target> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let Some(rest) = bytes.strip_prefix(FLO) else { return kitti::flow(path) };
    let word = |i: usize| rest.get(4 * i..4 * i + 4).map(|b| [b[0], b[1], b[2], b[3]]);
    let (width, height) = match (word(0).map(i32::from_le_bytes), word(1).map(i32::from_le_bytes)) {
        (Some(w @ 1..), Some(h @ 1..)) => (w as u32, h as u32),
        _ => return Err(damaged(path, "its header is cut off")),
    };
    let numbers = 2 * u64::from(width) * u64::from(height);
    if numbers > 2 * MAX_PIXELS || rest.len() as u64 != 8 + 4 * numbers {
        return Err(damaged(path, format!("{} bytes do not fit {width} x {height} pixels", bytes.len())));
    }
    // Middlebury marks what is not known by a huge number.
    let pixel = |p: &[u8]| {
        let of = |at: usize| f32::from_le_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]]);
        let (u, v) = (of(0), of(4));
        if u.abs() < 1e9 && v.abs() < 1e9 { [u, v] } else { [f32::NAN; 2] }
    };
    let values = rest[8..].chunks_exact(8).flat_map(pixel).collect();
    Ok(Target::Values { width, height, channels: 2, values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::declared::description;
    use std::io::Write;

    /// A task of this kind with more lines.
    fn form(kind: &str, more: &str) -> TaskForm {
        let text = format!("name = \"a\"\nlicence = \"b\"\n[[task]]\nkey = \"K\"\nkind = \"{kind}\"\n{more}\n");
        let set = description::read(Path::new("dataset.toml"), &text).expect("it is sound");
        set.tasks[0].get_ref().clone()
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    fn png(width: u32, height: u32, colour: png::ColorType, depth: png::BitDepth, rows: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == png::ColorType::Indexed {
            encoder.set_palette([9, 9, 9, 200, 0, 0, 0, 200, 0, 0, 0, 200].to_vec());
        }
        encoder.write_header().and_then(|mut w| w.write_image_data(rows)).expect("encoded");
        out
    }

    fn read(form: &TaskForm, bytes: &[u8]) -> Result<Target> {
        reader(form)(file(bytes).path())
    }

    #[test]
    fn palettes_are_read_by_number_and_ignored_classes_leave_no_gap() {
        let form = form("segmentation", "classes = [\"void\", \"a\", \"b\", \"c\"]\nignored = [0, 2]");
        // Two bits a pixel: 0 1 2 3, then 3 and a rest that is filled up.
        let rows = [0b00_01_10_11, 0b11_00_00_00];
        for colour in [png::ColorType::Indexed, png::ColorType::Grayscale] {
            let target = read(&form, &png(4, 2, colour, png::BitDepth::Two, &rows)).expect("read");
            let classes = vec![255, 0, 255, 1, 1, 255, 255, 255];
            assert_eq!(target, Target::Mask { width: 4, height: 2, classes });
        }
        let said = read(&form, &png(2, 1, png::ColorType::Grayscale, png::BitDepth::Eight, &[1, 13]));
        let said = said.expect_err("refused").to_string();
        assert!(said.contains("it holds 13, and the classes are 0 to 3"), "{said}");
        let said = read(&form, &png(1, 1, png::ColorType::Rgb, png::BitDepth::Eight, &[1, 1, 1])).expect_err("refused");
        assert!(said.to_string().contains("not their colours"), "{said}");
        let said = read(&form, b"\xff\xd8\xff").expect_err("refused").to_string();
        assert!(said.contains("JPEG"), "{said}");
    }

    #[test]
    fn masks_hold_one_class_in_either_form_or_by_number() {
        let grey = |values: &[u8]| png(values.len() as u32, 1, png::ColorType::Grayscale, png::BitDepth::Eight, values);
        let classes = |form: &TaskForm, values: &[u8]| match read(form, &grey(values)) {
            Ok(Target::Mask { classes, .. }) => Ok(classes),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        };
        let plain = form("mask", "");
        assert_eq!(classes(&plain, &[0, 255, 1]), Ok(vec![0, 1, 1]));
        assert!(classes(&plain, &[0, 7]).is_err_and(|e| e.contains("it holds 7") && e.contains("`positive`")));
        let floor = form("mask", "positive = [1, 3]\nignored = [39]");
        assert_eq!(classes(&floor, &[0, 1, 2, 3, 39, 40]), Ok(vec![0, 1, 0, 1, 255, 0]));
    }

    #[test]
    fn distances_are_scaled_and_zero_may_be_one() {
        let values = |form: &TaskForm, bytes: &[u8]| match read(form, bytes).expect("read") {
            Target::Values { channels: 1, values, .. } => values,
            other => panic!("{other:?}"),
        };
        let eight = png(3, 1, png::ColorType::Grayscale, png::BitDepth::Eight, &[0, 51, 255]);
        let metres = values(&form("depth", "depth_scale = 25.5\nunit = \"m\""), &eight);
        assert!(metres[0].is_nan() && metres[1..] == [2.0, 10.0], "{metres:?}");
        let sixteen = png(2, 1, png::ColorType::Grayscale, png::BitDepth::Sixteen, &[0, 0, 3, 232]);
        assert_eq!(values(&form("depth", "depth_scale = 1000\nzero_is_unlabelled = false"), &sixteen), [0.0, 1.0]);
    }

    #[test]
    fn motion_comes_as_kitti_or_as_middlebury_has_it() {
        let form = form("flow", "");
        let mut flo = b"PIEH".to_vec();
        flo.extend([2i32, 1].iter().flat_map(|v| v.to_le_bytes()));
        flo.extend([1.5f32, -2.0, 1e10, 0.0].iter().flat_map(|v| v.to_le_bytes()));
        let kitti: Vec<u8> = [32768u16 + 96, 32768 - 128, 1, 0, 0, 0].iter().flat_map(|v| v.to_be_bytes()).collect();
        let kitti = png(2, 1, png::ColorType::Rgb, png::BitDepth::Sixteen, &kitti);
        for bytes in [&flo, &kitti] {
            let Target::Values { width: 2, height: 1, channels: 2, values } = read(&form, bytes).expect("read") else {
                panic!("motion of two pixels")
            };
            assert!(values[..2] == [1.5, -2.0] && values[2].is_nan() && values[3].is_nan(), "{values:?}");
        }
        for (cut, says) in [(&flo[..10], "cut off"), (&flo[..20], "do not fit")] {
            let said = read(&form, cut).expect_err("refused").to_string();
            assert!(said.contains(says), "{said}");
        }
    }
}
