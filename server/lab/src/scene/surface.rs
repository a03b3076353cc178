//! What surfaces look like: colours and patterns in space.

use super::vector::{V3, add, scale};
use virboard_nn::seeded::Stream;

#[derive(Debug, Clone, Copy)]
enum Pattern {
    Plain,
    Checker,
    Stripes,
    Rings,
    Speckle,
}

/// A material: two colours, a pattern of them and a gloss.
#[derive(Debug, Clone)]
pub struct Surface {
    pattern: Pattern,
    first: V3,
    second: V3,
    size: f64,
    turn: (f64, f64),
    origin: V3,
    /// Strength of the highlight.
    pub gloss: f64,
}

impl Surface {
    /// Something muted, as floors, lawns and sands are.
    pub fn ground(r: &mut Stream) -> Self {
        let tones =
            [[0.52, 0.47, 0.38], [0.36, 0.45, 0.28], [0.55, 0.55, 0.54], [0.66, 0.58, 0.45], [0.40, 0.38, 0.40]];
        let first = tones[r.below(tones.len())].map(|c: f64| c * r.range(0.85, 1.15));
        let factor = r.range(0.62, 0.9);
        let pattern =
            [Pattern::Checker, Pattern::Speckle, Pattern::Stripes, Pattern::Speckle, Pattern::Plain][r.below(5)];
        Self::new(pattern, first, scale(first, factor), r.range(0.5, 1.4), [0.0; 3], 0.0, r)
    }

    /// Something with a colour of its own.
    pub fn object(origin: V3, r: &mut Stream) -> Self {
        let first = colour(r);
        let second = if r.uniform() < 0.5 { [0.85, 0.83, 0.78] } else { scale(first, r.range(0.35, 0.6)) };
        let pattern =
            [Pattern::Plain, Pattern::Plain, Pattern::Checker, Pattern::Stripes, Pattern::Rings, Pattern::Speckle]
                [r.below(6)];
        let gloss = if r.uniform() < 0.5 { r.range(0.1, 0.5) } else { 0.0 };
        Self::new(pattern, first, second, r.range(0.18, 0.5), origin, gloss, r)
    }

    fn new(pattern: Pattern, first: V3, second: V3, size: f64, origin: V3, gloss: f64, r: &mut Stream) -> Self {
        let angle = r.range(0.0, std::f64::consts::TAU);
        Self { pattern, first, second, size, turn: (angle.cos(), angle.sin()), origin, gloss }
    }

    /// The colour at a point seen from `distance`; fine patterns fade into their mean.
    pub fn albedo(&self, point: V3, distance: f64) -> V3 {
        let p = add(point, scale(self.origin, -1.0));
        let (c, s) = self.turn;
        let (x, y, z) = ((c * p[0] + s * p[2]) / self.size, p[1] / self.size + 1e-6, (c * p[2] - s * p[0]) / self.size);
        let share = match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Checker => f64::from((x.floor() + y.floor() + z.floor()).rem_euclid(2.0) >= 1.0),
            Pattern::Stripes => f64::from(x.rem_euclid(1.0) >= 0.5),
            Pattern::Rings => f64::from(y.rem_euclid(1.0) >= 0.5),
            Pattern::Speckle => 0.6 * noise(2.0 * x, 2.0 * y, 2.0 * z) + 0.4 * noise(7.0 * x, 7.0 * y, 7.0 * z),
        };
        let sharp = (-(distance / (26.0 * self.size)).powi(2)).exp();
        let share = 0.5 + (share - 0.5) * if matches!(self.pattern, Pattern::Plain) { 1.0 } else { sharp };
        add(scale(self.first, 1.0 - share), scale(self.second, share))
    }
}

/// A saturated colour of any hue.
fn colour(r: &mut Stream) -> V3 {
    let (hue, saturation, value) = (r.range(0.0, 6.0), r.range(0.35, 0.9), r.range(0.45, 0.95));
    let channel = |shift: f64| {
        let h = (hue + shift).rem_euclid(6.0);
        let ramp = (2.0 - (h - 3.0).abs()).clamp(0.0, 1.0);
        value * (1.0 - saturation * ramp)
    };
    [channel(3.0), channel(1.0), channel(5.0)]
}

/// Smooth noise in 0..1 on the integer lattice.
fn noise(x: f64, y: f64, z: f64) -> f64 {
    let lattice = |i: f64, j: f64, k: f64| {
        let mut h = (i as i64 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ (j as i64 as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
            ^ (k as i64 as u64).wrapping_mul(0x1656_67B1_9E37_79F9);
        h = (h ^ (h >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((h ^ (h >> 29)) >> 40) as f64 / f64::from(1u32 << 24)
    };
    let smooth = |t: f64| t * t * (3.0 - 2.0 * t);
    let (i, j, k) = (x.floor(), y.floor(), z.floor());
    let (u, v, w) = (smooth(x - i), smooth(y - j), smooth(z - k));
    let mix = |a: f64, b: f64, t: f64| a + (b - a) * t;
    let edge = |j: f64, k: f64| mix(lattice(i, j, k), lattice(i + 1.0, j, k), u);
    mix(mix(edge(j, k), edge(j + 1.0, k), v), mix(edge(j, k + 1.0), edge(j + 1.0, k + 1.0), v), w)
}
