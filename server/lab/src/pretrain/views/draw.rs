//! What is random in a view, drawn as torchvision draws it.

use super::form::ViewForm;
use crate::train::colour::Jitter;
use virboard_nn::preprocess::Piece;
use virboard_nn::seeded::Stream;

/// Draws of a piece before the middle of the picture is taken.
const TRIES: usize = 10;

/// Where a view is cut out, and whether it is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What is cut out of the picture.
    pub piece: Piece,
    /// Whether it is mirrored.
    pub flip: bool,
}

impl Place {
    /// Draws for a picture of this size.
    pub fn draw(form: &ViewForm, size: (u32, u32), random: &mut Stream) -> Self {
        let piece = piece(size, form.scale, form.ratio, random);
        Self { piece, flip: random.uniform() < form.flip }
    }
}

/// `RandomResizedCrop.get_params`: a share of the area and a ratio whose logarithm is uniform, tried 10 times; then the
/// middle of the picture, as much of it as the ratio allows.
fn piece((width, height): (u32, u32), scale: (f64, f64), ratio: (f64, f64), random: &mut Stream) -> Piece {
    let (w, h) = (f64::from(width), f64::from(height));
    for _ in 0..TRIES {
        let area = w * h * random.range(scale.0, scale.1);
        let aspect = random.range(ratio.0.ln(), ratio.1.ln()).exp();
        let (cut_w, cut_h) = ((area * aspect).sqrt().round_ties_even(), (area / aspect).sqrt().round_ties_even());
        if (1.0..=w).contains(&cut_w) && (1.0..=h).contains(&cut_h) {
            let (cut_w, cut_h) = (cut_w as u32, cut_h as u32);
            let mut from = |left: u32| random.below(left as usize + 1) as u32;
            let (y, x) = (from(height - cut_h), from(width - cut_w));
            return Piece { x, y, width: cut_w, height: cut_h };
        }
    }
    let aspect = w / h;
    let (cut_w, cut_h) = if aspect < ratio.0 {
        (width, (w / ratio.0).round_ties_even() as u32)
    } else if aspect > ratio.1 {
        ((h * ratio.1).round_ties_even() as u32, height)
    } else {
        (width, height)
    };
    // Of a picture of one pixel's width, torchvision would take a piece without rows.
    let (cut_w, cut_h) = (cut_w.clamp(1, width), cut_h.clamp(1, height));
    Piece { x: (width - cut_w) / 2, y: (height - cut_h) / 2, width: cut_w, height: cut_h }
}

/// How the colours of a view change, and how it is blurred.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colours {
    /// Whether it becomes grey.
    pub grey: bool,
    /// How colours are changed.
    pub jitter: Option<Jitter>,
    /// The deviation of the blur, in pixels.
    pub blur: Option<f64>,
}

impl Colours {
    /// Draws what the form asks for.
    pub fn draw(form: &ViewForm, random: &mut Stream) -> Self {
        let jitter = form.jitter.filter(|jitter| random.uniform() < jitter.p);
        let jitter = jitter.map(|j| Jitter::draw(random, j.brightness, j.contrast, j.saturation, j.hue));
        let grey = random.uniform() < form.grey;
        let blur = form.blur.filter(|blur| random.uniform() < blur.p);
        Self { grey, jitter, blur: blur.map(|blur| random.range(blur.sigma.0, blur.sigma.1)) }
    }
}
