//! Pictures made of predictions: index masks, depth maps and their coloured versions.

use super::{Result, ServiceError};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage, imageops};
use virboard_core::prediction::Output;
use virboard_lab::predict::Grid;

/// Longest side of pictures that are only looked at.
pub const SHOWN: u32 = 1280;
/// Longest side of the pixels on which shares are counted.
const COUNTED: u32 = 256;

/// The file of a per-pixel output's values, of which its pictures are made when they are asked for.
pub const VALUES: &str = "values.bin";

/// Every file that a per-pixel output can have; not each has all.
pub const FILES: [&str; 6] = ["mask.png", "map.png", "flow.png", "arrows.svg", "shown.png", "grid.bin"];

/// A grid as bytes: channels, height and width as little-endian `u32`, then `channels x height x width` values as
/// little-endian `f32`.
#[must_use]
pub fn values(grid: &Grid) -> Vec<u8> {
    let sides = [grid.channels, grid.height, grid.width].map(|side| (side as u32).to_le_bytes());
    sides.into_iter().chain(grid.values.iter().map(|v| v.to_le_bytes())).flatten().collect()
}

/// The grid of what [`values`] gave; an error for anything else.
pub fn grid_of(bytes: &[u8]) -> Result<Grid> {
    let (words, rest) = bytes.as_chunks::<4>();
    let whole = rest.is_empty().then_some(words).and_then(|words| words.split_first_chunk::<3>());
    let (sides, values) = whole.ok_or_else(|| ServiceError::internal("the values of an output are cut off"))?;
    let [channels, height, width] = sides.map(|side| u32::from_le_bytes(side) as usize);
    if channels * height * width != values.len() {
        return Err(ServiceError::internal("the values of an output are not as many as they say"));
    }
    Ok(Grid { channels, height, width, values: values.iter().map(|v| f32::from_le_bytes(*v)).collect() })
}

/// `width x height`, scaled down to at most [`SHOWN`] pixels a side.
#[must_use]
pub fn shown_size(width: u32, height: u32) -> (u32, u32) {
    scaled_down(width, height, SHOWN)
}

/// `width x height`, scaled down to at most `most` pixels a side.
fn scaled_down(width: u32, height: u32, most: u32) -> (u32, u32) {
    let scale = (f64::from(most) / f64::from(width.max(height))).min(1.0);
    let side = |s: u32| ((f64::from(s) * scale).round() as u32).max(1);
    (side(width), side(height))
}

/// The photo as it is shown: an upright JPEG without metadata.
pub fn photo(picture: &RgbImage) -> Result<Vec<u8>> {
    let (w, h) = shown_size(picture.width(), picture.height());
    let small = virboard_nn::preprocess::resize(picture, w, h, virboard_nn::preprocess::Filter::Bicubic);
    let mut out = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 88)
        .write_image(small.as_raw(), w, h, ExtendedColorType::Rgb8)
        .map_err(ServiceError::internal)?;
    Ok(out)
}

/// The share of each class in a segmentation, counted on at most [`COUNTED`] pixels a side: heads say less than that.
#[must_use]
pub fn shares(grid: &Grid, classes: usize, width: u32, height: u32) -> Vec<f32> {
    let (w, h) = scaled_down(width, height, COUNTED);
    let mut counts = vec![0u64; classes];
    for class in grid.classes_at(w, h) {
        if let Some(count) = counts.get_mut(usize::from(class)) {
            *count += 1;
        }
    }
    let all = (u64::from(w) * u64::from(h)).max(1);
    counts.iter().map(|n| *n as f32 / all as f32).collect()
}

/// The smallest and the largest value of a depth, apart by at least a millionth.
#[must_use]
pub fn range(grid: &Grid) -> (f32, f32) {
    let low = grid.values.iter().copied().fold(f32::INFINITY, f32::min);
    (low, grid.values.iter().copied().fold(f32::NEG_INFINITY, f32::max).max(low + 1e-6))
}

/// A flow in pixels of a photo of `width x height`, of one in pixels of a picture of `reference`.
#[must_use]
pub fn scaled(mut flow: Grid, reference: (u32, u32), width: u32, height: u32) -> Grid {
    let (right, down) = flow.values.split_at_mut(flow.height * flow.width);
    for u in right {
        *u *= width as f32 / reference.0 as f32;
    }
    for v in down {
        *v *= height as f32 / reference.1 as f32;
    }
    flow
}

/// The longest displacement of a flow.
#[must_use]
pub fn longest(flow: &Grid) -> f32 {
    displacements(flow, flow.width as u32, flow.height as u32).iter().map(|(u, v)| u.hypot(*v)).fold(0f32, f32::max)
}

/// A file of a per-pixel output of a photo of `width x height`, or nothing if it has no such file: the exact values as
/// a PNG at the photo's size (`mask.png`, `map.png`, `flow.png`), `shown.png` in colours at most [`SHOWN`] pixels long,
/// `grid.bin` for reading them under the pointer (width, height, then a value a pixel at the head's resolution, all
/// little-endian `u16`), and a flow's `arrows.svg`.
pub fn file(name: &str, output: &Output, grid: &Grid, width: u32, height: u32) -> Result<Option<Vec<u8>>> {
    let (w, h) = shown_size(width, height);
    let own = (grid.width as u32, grid.height as u32);
    let shown = |colours: Vec<u8>| png(&colours, w, h, ExtendedColorType::Rgb8);
    // The encoder of PNGs takes 16-bit samples in the machine's byte order.
    let bytes = match (output, name) {
        (Output::Segmentation { .. }, "mask.png") => {
            png(&grid.classes_at(width, height), width, height, ExtendedColorType::L8)?
        }
        (Output::Segmentation { labels, .. }, "shown.png") => {
            let colours: Vec<[u8; 3]> = labels.iter().map(|l| rgb(&l.colour)).collect();
            let colour = |class: u8| colours.get(usize::from(class)).copied().unwrap_or(UNKNOWN);
            shown(grid.classes_at(w, h).into_iter().flat_map(colour).collect())?
        }
        (Output::Segmentation { .. }, "grid.bin") => {
            grid_file(grid, grid.classes_at(own.0, own.1).into_iter().map(u16::from))
        }
        (Output::Depth { minimum, maximum, .. }, _) => {
            let share = |v: f32| ((v - minimum) / (maximum - minimum)).clamp(0.0, 1.0);
            let deep = |v: f32| (share(v) * 65535.0).round() as u16;
            match name {
                "map.png" => {
                    let exact = grid.values_at(0, width, height).into_iter().flat_map(|v| deep(v).to_ne_bytes());
                    png(&exact.collect::<Vec<u8>>(), width, height, ExtendedColorType::L16)?
                }
                "shown.png" => {
                    shown(grid.values_at(0, w, h).into_iter().flat_map(|v| scale_colour(1.0 - share(v))).collect())?
                }
                "grid.bin" => grid_file(grid, grid.values.iter().map(|v| deep(*v))),
                _ => return Ok(None),
            }
        }
        (Output::Flow { .. }, "flow.png") => {
            let deep = |v: f32| (v * FLOW_STEPS + 32768.0).round().clamp(0.0, 65535.0) as u16;
            let exact = displacements(grid, width, height).into_iter().flat_map(|(u, v)| [deep(u), deep(v), 1]);
            png(&exact.flat_map(u16::to_ne_bytes).collect::<Vec<u8>>(), width, height, ExtendedColorType::Rgb16)?
        }
        (Output::Flow { longest, .. }, "shown.png") => {
            shown(displacements(grid, w, h).into_iter().flat_map(|(u, v)| flow_colour(u, v, *longest)).collect())?
        }
        (Output::Flow { .. }, "grid.bin") => {
            let lengths = displacements(grid, own.0, own.1).into_iter().map(|(u, v)| u.hypot(v) * FLOW_STEPS);
            grid_file(grid, lengths.map(|length| length.min(65535.0) as u16))
        }
        (Output::Flow { longest, .. }, "arrows.svg") => arrows(grid, *longest, width, height).into_bytes(),
        _ => return Ok(None),
    };
    Ok(Some(bytes))
}

/// Columns and rows of arrows over a flow.
const ARROWS: (u32, u32) = (16, 12);
/// Steps of the stored length of a flow in a pixel: those of KITTI's flow files.
const FLOW_STEPS: f32 = 64.0;

/// Displacements to the right and down at every pixel of a `width x height` picture.
fn displacements(flow: &Grid, width: u32, height: u32) -> Vec<(f32, f32)> {
    flow.values_at(0, width, height).into_iter().zip(flow.values_at(1, width, height)).collect()
}

/// Arrows as an SVG drawing of the photo's shape; the longest spans three of their columns.
fn arrows(flow: &Grid, longest: f32, width: u32, height: u32) -> String {
    let stretch = 3.0 / ARROWS.0 as f32 * width as f32 / longest.max(1e-3);
    let path = displacements(flow, ARROWS.0, ARROWS.1)
        .into_iter()
        .enumerate()
        .map(|(i, (u, v))| {
            let start = |i: u32, n: u32, size: u32| (i as f32 + 0.5) / n as f32 * size as f32;
            let (x, y) = (start(i as u32 % ARROWS.0, ARROWS.0, width), start(i as u32 / ARROWS.0, ARROWS.1, height));
            let (dx, dy) = (u * stretch, v * stretch);
            // Two strokes at the tip, a quarter as long and turned by 30 degrees.
            let tip = |s: f32| ((-0.87 * dx + s * 0.5 * dy) * 0.25, (-0.87 * dy - s * 0.5 * dx) * 0.25);
            let ((ax, ay), (bx, by)) = (tip(1.0), tip(-1.0));
            format!("M{x:.1} {y:.1}l{dx:.1} {dy:.1}l{ax:.1} {ay:.1}m{:.1} {:.1}l{bx:.1} {by:.1}", -ax, -ay)
        })
        .collect::<Vec<_>>()
        .concat();
    let stroke = width as f32 / 300.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" fill=\"none\" stroke-linecap=\"round\"><path d=\"{path}\" stroke=\"#fff\" stroke-width=\"{:.1}\"/><path d=\"{path}\" stroke=\"#000\" stroke-width=\"{stroke:.1}\"/></svg>",
        2.2 * stroke
    )
}

/// The usual colours of flow: the hue tells the direction (red to the right), white is rest.
fn flow_colour(u: f32, v: f32, longest: f32) -> [u8; 3] {
    let strength = (u.hypot(v) / longest.max(1e-6)).min(1.0);
    let turn = (v.atan2(u) / std::f32::consts::TAU).rem_euclid(1.0) * 6.0;
    std::array::from_fn(|i| {
        // Red, green and blue peak at 0, 2 and 4 sixths of a turn.
        let away = (turn - 2.0 * i as f32).abs();
        let full = (2.0 - away.min(6.0 - away)).clamp(0.0, 1.0);
        (255.0 * (1.0 - strength * (1.0 - full))).round() as u8
    })
}

/// The segmentation laid over the photo, for downloading.
pub fn overlay(photo: &[u8], mask: &[u8], opacity: f32) -> Result<Vec<u8>> {
    let open =
        |bytes| image::load_from_memory(bytes).map(image::DynamicImage::into_rgb8).map_err(ServiceError::internal);
    let (mut base, mask) = (open(photo)?, open(mask)?);
    let mask = imageops::resize(&mask, base.width(), base.height(), imageops::FilterType::Nearest);
    for (b, m) in base.pixels_mut().zip(mask.pixels()) {
        let mix = |i: usize| (f32::from(b.0[i]) * (1.0 - opacity) + f32::from(m.0[i]) * opacity).round() as u8;
        *b = Rgb([mix(0), mix(1), mix(2)]);
    }
    png(base.as_raw(), base.width(), base.height(), ExtendedColorType::Rgb8)
}

fn png(bytes: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive)
        .write_image(bytes, width, height, colour)
        .map_err(ServiceError::internal)?;
    Ok(out)
}

fn grid_file(grid: &Grid, values: impl Iterator<Item = u16>) -> Vec<u8> {
    [grid.width as u16, grid.height as u16].into_iter().chain(values).flat_map(u16::to_le_bytes).collect()
}

/// Grey, for what has no colour.
const UNKNOWN: [u8; 3] = [128; 3];

/// The bytes of `#rrggbb`; grey for anything else.
fn rgb(colour: &str) -> [u8; 3] {
    let part = |at: usize| colour.get(at..at + 2).and_then(|p| u8::from_str_radix(p, 16).ok());
    match (part(1), part(3), part(5)) {
        (Some(r), Some(g), Some(b)) => [r, g, b],
        _ => UNKNOWN,
    }
}

/// Viridis (van der Walt and Smith 2015, CC0), 0 dark to 1 bright, at nine supports.
const VIRIDIS: [[f32; 3]; 9] = [
    [68.0, 1.0, 84.0],
    [71.0, 44.0, 122.0],
    [59.0, 81.0, 139.0],
    [44.0, 113.0, 142.0],
    [33.0, 144.0, 141.0],
    [39.0, 173.0, 129.0],
    [92.0, 200.0, 99.0],
    [170.0, 220.0, 50.0],
    [253.0, 231.0, 37.0],
];

fn scale_colour(share: f32) -> [u8; 3] {
    let position = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f32;
    let low = (position as usize).min(VIRIDIS.len() - 2);
    let t = position - low as f32;
    std::array::from_fn(|i| (VIRIDIS[low][i] + (VIRIDIS[low + 1][i] - VIRIDIS[low][i]) * t).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use virboard_core::prediction::MaskLabel;

    fn made(name: &str, output: &Output, grid: &Grid, size: (u32, u32)) -> Vec<u8> {
        file(name, output, grid, size.0, size.1).expect("encoded").expect("it has such a file")
    }

    fn opened(name: &str, output: &Output, grid: &Grid, size: (u32, u32)) -> image::DynamicImage {
        image::load_from_memory(&made(name, output, grid, size)).expect("a PNG")
    }

    #[test]
    fn a_depth_map_spans_sixteen_bits_linearly() {
        let grid = Grid { channels: 1, height: 1, width: 3, values: vec![1.0, 2.0, 5.0] };
        let (minimum, maximum) = range(&grid);
        assert_eq!((minimum, maximum), (1.0, 5.0));
        let depth = Output::Depth { minimum, maximum, unit: "m".to_owned(), map: "map.png".to_owned() };
        assert_eq!(opened("map.png", &depth, &grid, (3, 1)).into_luma16().as_raw(), &[0, 16384, 65535]);
        assert_eq!(made("grid.bin", &depth, &grid, (3, 1)), [3, 0, 1, 0, 0, 0, 0, 64, 255, 255]);
        assert!(file("mask.png", &depth, &grid, 3, 1).expect("no fault").is_none(), "a depth has no mask");
    }

    #[test]
    fn a_flow_is_scaled_to_the_photo_and_told_in_colours() {
        // Everything moves 2 pixels to the right in a picture of 4 x 2.
        let grid = Grid { channels: 2, height: 1, width: 2, values: vec![2.0, 2.0, 0.0, 0.0] };
        let (grid, size) = (scaled(grid, (4, 2), 8, 4), (8, 4));
        let longest = longest(&grid);
        assert!((longest - 4.0).abs() < 1e-6);
        let flow = Output::Flow { longest, map: "flow.png".to_owned() };
        let exact = opened("flow.png", &flow, &grid, size).into_rgb16();
        assert_eq!((exact.dimensions(), exact.get_pixel(3, 2).0), (size, [32768 + 4 * 64, 32768, 1]));
        assert_eq!(opened("shown.png", &flow, &grid, size).into_rgb8().get_pixel(0, 0).0, [255, 0, 0]);
        assert_eq!(flow_colour(0.0, 0.0, 1.0), [255; 3]);
        let arrows = String::from_utf8(made("arrows.svg", &flow, &grid, size)).expect("a text");
        assert!(arrows.starts_with("<svg") && arrows.matches('M').count() == 2 * 192);
    }

    #[test]
    fn a_mask_holds_class_indices() {
        let labels = [("a", "#ff0000"), ("b", "#00ff00")].into_iter().enumerate().map(|(index, (name, colour))| {
            MaskLabel { index: index as u8, name: name.into(), colour: colour.into(), share: 0.5 }
        });
        let masks = Output::Segmentation { labels: labels.collect(), mask: "mask.png".to_owned() };
        let grid = Grid { channels: 2, height: 1, width: 2, values: vec![1.0, 0.0, 0.0, 1.0] };
        assert_eq!(opened("mask.png", &masks, &grid, (4, 2)).into_luma8().as_raw(), &[0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(shares(&grid, 2, 4, 2), [0.5, 0.5]);
        assert_eq!(opened("shown.png", &masks, &grid, (4, 2)).into_rgb8().get_pixel(3, 0).0, [0, 255, 0]);
    }

    #[test]
    fn values_come_back_as_they_were_kept_and_cut_off_ones_are_refused() {
        let grid = Grid { channels: 2, height: 1, width: 2, values: vec![1.5, -2.0, 0.25, 1e9] };
        let kept = values(&grid);
        assert_eq!(grid_of(&kept).expect("whole"), grid);
        for cut in [0, 5, 12, kept.len() - 4, kept.len() - 1] {
            assert!(grid_of(&kept[..cut]).is_err(), "{cut} bytes of {}", kept.len());
        }
    }

    #[test]
    fn pictures_are_only_made_smaller() {
        assert_eq!(shown_size(640, 480), (640, 480));
        assert_eq!(shown_size(6000, 3000), (1280, 640));
    }
}
