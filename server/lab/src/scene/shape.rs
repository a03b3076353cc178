//! Solids that stand on the ground and their intersection with rays.

use super::surface::Surface;
use super::vector::{V3, add, dot, normalise, scale, sub};
use virboard_nn::seeded::Stream;

/// Where a ray meets a surface.
#[derive(Debug, Clone, Copy)]
pub struct Hit {
    pub distance: f64,
    pub normal: V3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShapeKind {
    Sphere,
    Box,
    Cylinder,
    Cone,
}

impl ShapeKind {
    /// Index into the scene's classes.
    pub fn class(self) -> u8 {
        match self {
            Self::Sphere => 2,
            Self::Box => 3,
            Self::Cylinder => 4,
            Self::Cone => 5,
        }
    }
}

/// A solid: its foot at `base`, `half` its half extents (y: half its height).
#[derive(Debug, Clone)]
pub struct Shape {
    pub kind: ShapeKind,
    pub base: V3,
    pub surface: Surface,
    half: V3,
    /// Cosine and sine of the turn about the vertical.
    turn: (f64, f64),
}

/// Rays that start on a surface must not meet it again.
const NEAR: f64 = 1e-4;

impl Shape {
    pub fn on_ground(kind: ShapeKind, base: V3, size: f64, r: &mut Stream) -> Self {
        let tall = size * r.range(0.7, 1.7);
        let half = match kind {
            ShapeKind::Sphere => [size, size, size],
            ShapeKind::Box => [size * r.range(0.6, 1.1), tall * 0.8, size * r.range(0.6, 1.1)],
            ShapeKind::Cylinder => [size * 0.75, tall, size * 0.75],
            ShapeKind::Cone => [size, tall, size],
        };
        let angle = r.range(0.0, std::f64::consts::TAU);
        Self { kind, base, surface: Surface::object(base, r), half, turn: (angle.cos(), angle.sin()) }
    }

    /// Radius of the foot.
    pub fn radius(&self) -> f64 {
        if self.kind == ShapeKind::Box { self.half[0].hypot(self.half[2]) } else { self.half[0] }
    }

    /// How much of the sky's light reaches a point of the ground: 0.45 below the solid to 1.
    pub fn contact(&self, point: V3) -> f64 {
        let gap = (point[0] - self.base[0]).hypot(point[2] - self.base[2]) / self.radius();
        0.45 + 0.55 * ((gap - 0.5) / 1.1).clamp(0.0, 1.0)
    }

    pub fn hit(&self, from: V3, ray: V3) -> Option<Hit> {
        let local = |v: V3| {
            let (c, s) = self.turn;
            [c * v[0] + s * v[2], v[1], c * v[2] - s * v[0]]
        };
        let back = |v: V3| {
            let (c, s) = self.turn;
            [c * v[0] - s * v[2], v[1], c * v[2] + s * v[0]]
        };
        let center = add(self.base, [0.0, self.half[1], 0.0]);
        let (o, d) = (local(sub(from, center)), local(ray));
        // A sphere around it all spares most rays the rest.
        let reach = dot(self.half, self.half);
        let along = -dot(o, d);
        if dot(o, o) - along * along > reach {
            return None;
        }
        let hit = match self.kind {
            ShapeKind::Sphere => sphere(o, d, self.half[0]),
            ShapeKind::Box => cuboid(o, d, self.half),
            ShapeKind::Cylinder => round(o, d, self.half, 0.0),
            ShapeKind::Cone => round(o, d, self.half, 1.0),
        }?;
        Some(Hit { distance: hit.distance, normal: back(hit.normal) })
    }
}

/// The two solutions of a t^2 + 2 b t + c = 0 in ascending order.
fn roots(a: f64, b: f64, c: f64) -> Option<(f64, f64)> {
    let disc = b * b - a * c;
    if disc < 0.0 || a.abs() < 1e-12 {
        return None;
    }
    let root = disc.sqrt();
    let (t, u) = ((-b - root) / a, (-b + root) / a);
    Some((t.min(u), t.max(u)))
}

fn sphere(o: V3, d: V3, radius: f64) -> Option<Hit> {
    let (near, far) = roots(1.0, dot(o, d), dot(o, o) - radius * radius)?;
    let distance = if near > NEAR { near } else { far };
    (distance > NEAR).then(|| Hit { distance, normal: normalise(add(o, scale(d, distance))) })
}

fn cuboid(o: V3, d: V3, half: V3) -> Option<Hit> {
    let (mut near, mut far, mut axis) = (f64::NEG_INFINITY, f64::INFINITY, 0);
    for i in 0..3 {
        let inverse = 1.0 / if d[i].abs() < 1e-12 { 1e-12 } else { d[i] };
        let (a, b) = ((-half[i] - o[i]) * inverse, (half[i] - o[i]) * inverse);
        if a.min(b) > near {
            near = a.min(b);
            axis = i;
        }
        far = far.min(a.max(b));
    }
    if near > far || near <= NEAR {
        return None;
    }
    let mut normal = [0.0; 3];
    normal[axis] = -d[axis].signum();
    Some(Hit { distance: near, normal })
}

/// A cylinder (`taper` 0) or a cone with its tip up (`taper` 1), with its flat ends.
fn round(o: V3, d: V3, half: V3, taper: f64) -> Option<Hit> {
    // Radius at height y: r (1 - taper (y + h) / 2h) = p - q y.
    let q = taper * half[0] / (2.0 * half[1]);
    let p = half[0] - q * half[1];
    let (k, m) = (p - q * o[1], -q * d[1]);
    let a = d[0] * d[0] + d[2] * d[2] - m * m;
    let b = o[0] * d[0] + o[2] * d[2] - k * m;
    let c = o[0] * o[0] + o[2] * o[2] - k * k;
    let mut best: Option<Hit> = None;
    let mut consider = |distance: f64, normal: V3| {
        if distance > NEAR && best.is_none_or(|h| distance < h.distance) {
            best = Some(Hit { distance, normal });
        }
    };
    if let Some((t, u)) = roots(a, b, c) {
        for distance in [t, u] {
            let at = add(o, scale(d, distance));
            // The mirrored half of the cone has a negative radius.
            if at[1].abs() <= half[1] && p - q * at[1] >= 0.0 {
                let out = at[0].hypot(at[2]).max(1e-9);
                consider(distance, normalise([at[0] / out, q, at[2] / out]));
            }
        }
    }
    for end in [-1.0, 1.0] {
        if d[1].abs() > 1e-12 {
            let distance = (end * half[1] - o[1]) / d[1];
            let at = add(o, scale(d, distance));
            if at[0].hypot(at[2]) <= p - q * at[1] {
                consider(distance, [0.0, end, 0.0]);
            }
        }
    }
    best
}
