//! torchvision's colour augmentations on pictures, with Pillow's arithmetic
//! (`torchvision.transforms.ColorJitter`, `RandomGrayscale`; `ImageEnhance.c`, `Convert.c`).

use image::RgbImage;
use virboard_nn::seeded::Stream;

/// One draw of `ColorJitter`: factors, and the order in which they are applied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// 1 leaves brightness as it is.
    pub brightness: f64,
    /// 1 leaves contrast as it is.
    pub contrast: f64,
    /// 1 leaves saturation as it is.
    pub saturation: f64,
    /// Share of a full turn of the hue, -0.5 to 0.5.
    pub hue: f64,
    /// 0 brightness, 1 contrast, 2 saturation, 3 hue.
    pub order: [usize; 4],
}

impl Jitter {
    /// Draws as `ColorJitter(brightness, contrast, saturation, hue)` does.
    pub fn draw(random: &mut Stream, brightness: f64, contrast: f64, saturation: f64, hue: f64) -> Self {
        let order = random.permutation(4);
        let mut around = |by: f64| random.range((1.0 - by).max(0.0), 1.0 + by);
        let (brightness, contrast, saturation) = (around(brightness), around(contrast), around(saturation));
        let hue = random.range(-hue, hue);
        Self { brightness, contrast, saturation, hue, order: [order[0], order[1], order[2], order[3]] }
    }

    /// Changes the colours of a picture.
    pub fn apply(&self, picture: &mut RgbImage) {
        for step in self.order {
            self.apply_once(picture, step);
        }
    }

    /// One of the four steps alone.
    pub fn apply_once(&self, picture: &mut RgbImage, step: usize) {
        match step {
            0 => blend_all(picture, 0, self.brightness),
            1 => {
                let sum: u64 = picture.pixels().map(|p| u64::from(luma(p.0))).sum();
                let pixels = u64::from(picture.width()) * u64::from(picture.height());
                let mean = (sum as f64 / pixels.max(1) as f64 + 0.5) as u8;
                blend_all(picture, mean, self.contrast);
            }
            2 => picture.pixels_mut().for_each(|p| {
                let grey = luma(p.0);
                p.0 = p.0.map(|v| blend(grey, v, self.saturation));
            }),
            _ => {
                let turn = ((self.hue * 255.0) as i32) as u8;
                picture.pixels_mut().for_each(|p| {
                    let [h, s, v] = to_hsv(p.0);
                    p.0 = from_hsv([h.wrapping_add(turn), s, v]);
                });
            }
        }
    }
}

/// Turns a picture grey; it keeps its three channels.
pub fn grey(picture: &mut RgbImage) {
    picture.pixels_mut().for_each(|p| p.0 = [luma(p.0); 3]);
}

/// Pillow's `convert("L")`.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// Pillow's `Image.blend`: truncated, not rounded.
fn blend(from: u8, to: u8, factor: f64) -> u8 {
    (f32::from(from) + factor as f32 * (f32::from(to) - f32::from(from))).clamp(0.0, 255.0) as u8
}

/// Blends every value with one grey. There are but 256 values.
fn blend_all(picture: &mut RgbImage, from: u8, factor: f64) {
    let blended: [u8; 256] = std::array::from_fn(|v| blend(from, v as u8, factor));
    picture.iter_mut().for_each(|v| *v = blended[usize::from(*v)]);
}

fn to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [0, 0, max];
    }
    let range = f32::from(max - min);
    let from = |v: u8| f32::from(max - v) / range;
    let (rc, gc, bc) = (from(r), from(g), from(b));
    let h = if r == max {
        bc - gc
    } else if g == max {
        2.0 + rc - bc
    } else {
        4.0 + gc - rc
    };
    // Between 0 and 2, so that this is the remainder that Pillow takes.
    let h = f64::from(h) / 6.0 + 1.0;
    let h = if h < 1.0 { h } else { h - 1.0 };
    let s = range / f32::from(max);
    [(h as f32 * 255.0) as u8, (s * 255.0) as u8, max]
}

fn from_hsv([h, s, v]: [u8; 3]) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sector = f64::from(h) * 6.0 / 255.0;
    let i = sector as u8;
    let f = sector - f64::from(i);
    let (s, value) = (f64::from(s) / 255.0, f64::from(v));
    // Halves up; what is rounded lies between 0 and 255.
    let round = |x: f64| {
        let whole = x as u8;
        whole + u8::from(x - f64::from(whole) >= 0.5)
    };
    let (p, q, t) = (round(value * (1.0 - s)), round(value * (1.0 - s * f)), round(value * (1.0 - s * (1.0 - f))));
    match i % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_drawn_evenly_and_in_any_order() {
        let draws: Vec<Jitter> =
            (0..4000).map(|i| Jitter::draw(&mut Stream::new(i, "jitter"), 0.4, 0.4, 0.4, 0.2)).collect();
        let check = |value: fn(&Jitter) -> f64, low: f64, high: f64| {
            let (mut sum, mut squares) = (0.0, 0.0);
            for v in draws.iter().map(value) {
                assert!((low..=high).contains(&v));
                sum += v;
                squares += v * v;
            }
            let mean = sum / 4000.0;
            let deviation = (squares / 4000.0 - mean * mean).sqrt();
            assert!((mean - f64::midpoint(low, high)).abs() < 0.02 * (high - low), "{mean}");
            assert!((deviation - (high - low) / 12f64.sqrt()).abs() < 0.02 * (high - low), "{deviation}");
        };
        check(|j| j.brightness, 0.6, 1.4);
        check(|j| j.contrast, 0.6, 1.4);
        check(|j| j.saturation, 0.6, 1.4);
        check(|j| j.hue, -0.2, 0.2);
        for first in 0..4 {
            let n = draws.iter().filter(|j| j.order[0] == first).count();
            assert!((900..=1100).contains(&n), "{first} comes first {n} times of 4000");
        }
    }
}
