//! Pictures made of predictions: index masks, depth maps and their coloured versions.

use super::{Result, ServiceError};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage, imageops};
use virboard_lab::head::Label;
use virboard_lab::predict::Grid;

/// Longest side of pictures that are only looked at.
pub const SHOWN: u32 = 1280;

/// What is stored of a per-pixel output.
pub struct Files {
    /// The exact values at the photo's size: an 8-bit or 16-bit PNG.
    pub exact: Vec<u8>,
    /// Coloured, at most [`SHOWN`] pixels long.
    pub shown: Vec<u8>,
    /// Values at the head's resolution, for reading them under the pointer: width and
    /// height, then one value a pixel, all as little-endian `u16`.
    pub grid: Vec<u8>,
}

/// `width x height`, scaled down to at most [`SHOWN`] pixels a side.
#[must_use]
pub fn shown_size(width: u32, height: u32) -> (u32, u32) {
    let scale = (f64::from(SHOWN) / f64::from(width.max(height))).min(1.0);
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

/// The mask of a segmentation, and the share of each class.
pub fn mask(grid: &Grid, labels: &[Label], width: u32, height: u32) -> Result<(Files, Vec<f32>)> {
    let classes = grid.classes_at(width, height);
    let mut counts = vec![0u64; labels.len()];
    for class in &classes {
        if let Some(count) = counts.get_mut(usize::from(*class)) {
            *count += 1;
        }
    }
    let shares = counts.iter().map(|n| *n as f32 / classes.len().max(1) as f32).collect();
    let colours: Vec<[u8; 3]> = labels.iter().map(|l| rgb(&l.colour)).collect();
    let (w, h) = shown_size(width, height);
    let smaller = ((w, h) != (width, height)).then(|| grid.classes_at(w, h));
    let shown: Vec<u8> = smaller.as_ref().unwrap_or(&classes).iter().flat_map(|c| colours[usize::from(*c)]).collect();
    let small = grid.classes_at(grid.width as u32, grid.height as u32);
    let files = Files {
        exact: png(&classes, width, height, ExtendedColorType::L8)?,
        shown: png(&shown, w, h, ExtendedColorType::Rgb8)?,
        grid: grid_file(grid, small.into_iter().map(u16::from)),
    };
    Ok((files, shares))
}

/// The map of a depth, and its smallest and largest value.
pub fn depth(grid: &Grid, width: u32, height: u32) -> Result<(Files, f32, f32)> {
    let values = grid.values_at(0, width, height);
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max).max(low + 1e-6);
    let share = |v: f32| ((v - low) / (high - low)).clamp(0.0, 1.0);
    let deep = |v: f32| (share(v) * 65535.0).round() as u16;
    // The encoder takes 16-bit samples in the machine's byte order.
    let exact: Vec<u8> = values.iter().flat_map(|v| deep(*v).to_ne_bytes()).collect();
    let (w, h) = shown_size(width, height);
    let smaller = ((w, h) != (width, height)).then(|| grid.values_at(0, w, h));
    let shown: Vec<u8> =
        smaller.as_ref().unwrap_or(&values).iter().flat_map(|v| scale_colour(1.0 - share(*v))).collect();
    let files = Files {
        exact: png(&exact, width, height, ExtendedColorType::L16)?,
        shown: png(&shown, w, h, ExtendedColorType::Rgb8)?,
        grid: grid_file(grid, grid.values.iter().map(|v| deep(*v))),
    };
    Ok((files, low, high))
}

/// Columns and rows of arrows over a flow.
const ARROWS: (u32, u32) = (16, 12);
/// Steps of the stored length of a flow in a pixel: those of KITTI's flow files.
const FLOW_STEPS: f32 = 64.0;

/// The pictures of a flow, its longest displacement, and some arrows.
pub struct Flow {
    /// `flow.png`: KITTI's 16-bit RGB, `value * 64 + 32768` to the right and down, blue 1.
    /// The grid holds lengths in 64ths of a pixel.
    pub files: Files,
    /// Pixels of the longest displacement.
    pub longest: f32,
    /// Arrows as an SVG drawing of the photo's shape; the longest spans three of their columns.
    pub arrows: String,
}

/// The flow of a photo of `width x height`, of a grid in pixels of a picture of `reference`.
pub fn flow(grid: &Grid, reference: (u32, u32), width: u32, height: u32) -> Result<Flow> {
    let (sx, sy) = (width as f32 / reference.0 as f32, height as f32 / reference.1 as f32);
    let at = |w, h| -> Vec<(f32, f32)> {
        let (u, v) = (grid.values_at(0, w, h), grid.values_at(1, w, h));
        u.into_iter().zip(v).map(|(u, v)| (u * sx, v * sy)).collect()
    };
    let full = at(width, height);
    let longest = full.iter().map(|(u, v)| u.hypot(*v)).fold(0f32, f32::max);
    let deep = |v: f32| (v * FLOW_STEPS + 32768.0).round().clamp(0.0, 65535.0) as u16;
    let exact: Vec<u8> = full.iter().flat_map(|(u, v)| [deep(*u), deep(*v), 1]).flat_map(u16::to_ne_bytes).collect();
    let (w, h) = shown_size(width, height);
    let smaller = ((w, h) != (width, height)).then(|| at(w, h));
    let shown: Vec<u8> =
        smaller.as_ref().unwrap_or(&full).iter().flat_map(|(u, v)| flow_colour(*u, *v, longest)).collect();
    let small = at(grid.width as u32, grid.height as u32);
    let stretch = 3.0 / ARROWS.0 as f32 * width as f32 / longest.max(1e-3);
    let path = at(ARROWS.0, ARROWS.1)
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
    let arrows = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" fill=\"none\" stroke-linecap=\"round\"><path d=\"{path}\" stroke=\"#fff\" stroke-width=\"{:.1}\"/><path d=\"{path}\" stroke=\"#000\" stroke-width=\"{stroke:.1}\"/></svg>",
        2.2 * stroke
    );
    let files = Files {
        exact: png(&exact, width, height, ExtendedColorType::Rgb16)?,
        shown: png(&shown, w, h, ExtendedColorType::Rgb8)?,
        grid: grid_file(grid, small.iter().map(|(u, v)| (u.hypot(*v) * FLOW_STEPS).min(65535.0) as u16)),
    };
    Ok(Flow { files, longest, arrows })
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

/// The bytes of `#rrggbb`; grey for anything else.
fn rgb(colour: &str) -> [u8; 3] {
    let part = |at: usize| colour.get(at..at + 2).and_then(|p| u8::from_str_radix(p, 16).ok());
    match (part(1), part(3), part(5)) {
        (Some(r), Some(g), Some(b)) => [r, g, b],
        _ => [128; 3],
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

    #[test]
    fn a_depth_map_spans_sixteen_bits_linearly() {
        let grid = Grid { channels: 1, height: 1, width: 3, values: vec![1.0, 2.0, 5.0] };
        let (files, low, high) = depth(&grid, 3, 1).expect("encoded");
        assert_eq!((low, high), (1.0, 5.0));
        let map = image::load_from_memory(&files.exact).expect("a PNG").into_luma16();
        assert_eq!(map.as_raw(), &[0, 16384, 65535]);
        assert_eq!(files.grid, [3, 0, 1, 0, 0, 0, 0, 64, 255, 255]);
    }

    #[test]
    fn a_flow_is_scaled_to_the_photo_and_told_in_colours() {
        // Everything moves 2 pixels to the right in a picture of 4 x 2.
        let grid = Grid { channels: 2, height: 1, width: 2, values: vec![2.0, 2.0, 0.0, 0.0] };
        let flow = flow(&grid, (4, 2), 8, 4).expect("encoded");
        assert!((flow.longest - 4.0).abs() < 1e-6);
        let exact = image::load_from_memory(&flow.files.exact).expect("a PNG").into_rgb16();
        assert_eq!((exact.dimensions(), exact.get_pixel(3, 2).0), ((8, 4), [32768 + 4 * 64, 32768, 1]));
        let shown = image::load_from_memory(&flow.files.shown).expect("a PNG").into_rgb8();
        assert_eq!(shown.get_pixel(0, 0).0, [255, 0, 0]);
        assert_eq!(flow_colour(0.0, 0.0, 1.0), [255; 3]);
        assert!(flow.arrows.starts_with("<svg") && flow.arrows.matches('M').count() == 2 * 192);
    }

    #[test]
    fn a_mask_holds_class_indices() {
        let labels = [("a", "#ff0000"), ("b", "#00ff00")].map(|(n, c)| Label { name: n.into(), colour: c.into() });
        let grid = Grid { channels: 2, height: 1, width: 2, values: vec![1.0, 0.0, 0.0, 1.0] };
        let (files, shares) = mask(&grid, &labels, 4, 2).expect("encoded");
        let mask = image::load_from_memory(&files.exact).expect("a PNG").into_luma8();
        assert_eq!(mask.as_raw(), &[0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(shares, [0.5, 0.5]);
        let shown = image::load_from_memory(&files.shown).expect("a PNG").into_rgb8();
        assert_eq!(shown.get_pixel(3, 0).0, [0, 255, 0]);
    }

    #[test]
    fn pictures_are_only_made_smaller() {
        assert_eq!(shown_size(640, 480), (640, 480));
        assert_eq!(shown_size(6000, 3000), (1280, 640));
    }
}
