//! Rendered scenes with exact truth: a small deterministic ray caster.
//!
//! A seed gives a ground plane under a sky with spheres, boxes, cylinders and cones on it,
//! each textured, lit by a sun with shadows, seen by a camera at eye height. The same rays
//! give the picture, the class of every pixel and its depth.

mod shape;
mod surface;
mod vector;

use image::RgbImage;
use rayon::prelude::*;
use shape::{Hit, Shape, ShapeKind};
use surface::Surface;
use vector::{V3, add, dot, normalise, scale, sub};
use virboard_nn::seeded::Stream;

/// Classes of the masks in label order, with their colours.
pub const CLASSES: [(&str, &str); 6] = [
    ("sky", "#88ccee"),
    ("ground", "#ddcc77"),
    ("sphere", "#cc6677"),
    ("box", "#4477aa"),
    ("cylinder", "#117733"),
    ("cone", "#aa4499"),
];

/// Distances are cut off here, in metres; the sky is at this distance.
pub const MAX_DEPTH: f32 = 20.0;

/// A picture with its truth.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The picture.
    pub picture: RgbImage,
    /// Index into [`CLASSES`] per pixel, in row order.
    pub classes: Vec<u8>,
    /// Distance along the optical axis in metres, in row order.
    pub depth: Vec<f32>,
    /// Objects that cover at least a thousandth of the picture.
    pub objects: usize,
}

/// How a camera moves between two views.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Motion {
    /// Metres forward along the ground.
    pub ahead: f64,
    /// Metres to the right.
    pub sideways: f64,
    /// Radians to the right.
    pub yaw: f64,
    /// Radians up.
    pub pitch: f64,
}

/// Everything that a seed decides.
#[derive(Debug, Clone)]
pub struct Scene {
    shapes: Vec<Shape>,
    ground: Surface,
    camera: Camera,
    sun: V3,
    sun_colour: V3,
    horizon: V3,
    zenith: V3,
    haze: f64,
}

#[derive(Debug, Clone, Copy)]
struct Camera {
    position: V3,
    right: V3,
    up: V3,
    forward: V3,
    half_width: f64,
}

impl Camera {
    fn looking(position: V3, forward: V3, half_width: f64) -> Self {
        let right = normalise([forward[2], 0.0, -forward[0]]);
        let up = [
            forward[1] * right[2] - forward[2] * right[1],
            forward[2] * right[0] - forward[0] * right[2],
            forward[0] * right[1] - forward[1] * right[0],
        ];
        Self { position, right, up, forward, half_width }
    }

    fn moved(&self, motion: Motion) -> Self {
        let flat = normalise([self.forward[0], 0.0, self.forward[2]]);
        let position = add(self.position, add(scale(flat, motion.ahead), scale(self.right, motion.sideways)));
        let (heading, level) = (self.forward[0].atan2(self.forward[2]), self.forward[1].asin());
        let (heading, level) = (heading + motion.yaw, (level + motion.pitch).clamp(-1.3, 1.3));
        let forward = [heading.sin() * level.cos(), level.sin(), heading.cos() * level.cos()];
        Self::looking(position, forward, self.half_width)
    }

    /// Where a direction from the camera appears; `None` behind it.
    fn project(&self, direction: V3, width: u32, height: u32) -> Option<(f64, f64)> {
        let along = dot(direction, self.forward);
        if along <= 1e-6 {
            return None;
        }
        let aspect = f64::from(height) / f64::from(width);
        let u = dot(direction, self.right) / along / self.half_width;
        let v = dot(direction, self.up) / along / (self.half_width * aspect);
        Some((f64::midpoint(u, 1.0) * f64::from(width), f64::midpoint(1.0, -v) * f64::from(height)))
    }
}

/// Colours, classes, depths, and the pixels of each shape.
type Row = (Vec<u8>, Vec<u8>, Vec<f32>, Vec<usize>);

impl Scene {
    /// The scene of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut r = Stream::new(seed, "scene");
        let elevation = r.range(0.35, 1.2);
        let azimuth = r.range(-2.4, 2.4);
        let sun = [azimuth.sin() * elevation.cos(), elevation.sin(), -azimuth.cos() * elevation.cos()];
        let warm = r.range(0.0, 1.0);
        let sun_colour = [1.25, 1.18 - 0.2 * warm, 1.05 - 0.4 * warm];
        let skies = [
            ([0.80, 0.88, 0.95], [0.25, 0.48, 0.82]),
            ([0.96, 0.80, 0.62], [0.36, 0.42, 0.68]),
            ([0.86, 0.87, 0.88], [0.58, 0.63, 0.70]),
            ([0.95, 0.86, 0.84], [0.42, 0.58, 0.80]),
        ];
        let (horizon, zenith) = skies[r.below(skies.len())];
        let height = r.range(0.9, 2.3);
        let aim = [r.range(-0.6, 0.6), r.range(0.1, 0.9), r.range(5.0, 8.0)];
        let position = [0.0, height, 0.0];
        let forward = normalise(sub(aim, position));
        let field = r.range(50.0, 66.0_f64).to_radians();
        let camera = Camera::looking(position, forward, (field / 2.0).tan());
        let ground = Surface::ground(&mut r);
        let wanted = 3 + r.below(6);
        let mut shapes: Vec<Shape> = Vec::new();
        for _ in 0..60 {
            if shapes.len() == wanted {
                break;
            }
            let z = r.range(2.6, 12.0);
            let x = r.range(-0.48, 0.48) * z;
            let size = r.range(0.28, 0.85) * (0.75 + 0.05 * z);
            let kind = [ShapeKind::Sphere, ShapeKind::Box, ShapeKind::Cylinder, ShapeKind::Cone][r.below(4)];
            let shape = Shape::on_ground(kind, [x, 0.0, z], size, &mut r);
            let apart = |o: &Shape| (o.base[0] - x).hypot(o.base[2] - z) > 1.05 * (o.radius() + shape.radius());
            if shapes.iter().all(apart) {
                shapes.push(shape);
            }
        }
        Self { shapes, ground, camera, sun: normalise(sun), sun_colour, horizon, zenith, haze: r.range(0.01, 0.045) }
    }

    /// The same scene seen after a motion of the camera.
    #[must_use]
    pub fn moved(&self, motion: Motion) -> Self {
        Self { camera: self.camera.moved(motion), ..self.clone() }
    }

    /// Metres straight ahead along the ground until something is in the way of a body of
    /// 0.7 m width; at most [`MAX_DEPTH`].
    #[must_use]
    pub fn free_path(&self) -> f64 {
        let flat = normalise([self.camera.forward[0], 0.0, self.camera.forward[2]]);
        let free = self.shapes.iter().filter_map(|shape| {
            let to = sub(shape.base, self.camera.position);
            let along = to[0] * flat[0] + to[2] * flat[2];
            let beside = (to[0] * flat[2] - to[2] * flat[0]).abs();
            let reach = shape.radius() + 0.35;
            (along > 0.0 && beside < reach).then(|| along - (reach * reach - beside * beside).sqrt())
        });
        free.fold(f64::from(MAX_DEPTH), f64::min).max(0.0)
    }

    /// Where each pixel's surface appears in the view after `motion`: displacements to the
    /// right and down in pixels, in row order; NaN for what is then behind the camera.
    #[must_use]
    pub fn flow(&self, motion: Motion, width: u32, height: u32) -> Vec<f32> {
        let to = self.camera.moved(motion);
        (0..height)
            .into_par_iter()
            .flat_map_iter(|y| (0..width).map(move |x| (f64::from(x) + 0.5, f64::from(y) + 0.5)))
            .flat_map_iter(|(x, y)| {
                let ray = self.ray(x, y, width, height);
                let direction = match self.first_hit(self.camera.position, ray) {
                    Some((hit, ..)) => sub(add(self.camera.position, scale(ray, hit.distance)), to.position),
                    // The sky is as good as endlessly far away: only turning moves it.
                    None => ray,
                };
                to.project(direction, width, height).map_or([f32::NAN; 2], |(u, v)| [(u - x) as f32, (v - y) as f32])
            })
            .collect()
    }

    /// Renders the scene with 2 x 2 rays a pixel. Class and depth are those of the pixel's
    /// middle.
    #[must_use]
    pub fn render(&self, width: u32, height: u32) -> Rendered {
        let rows: Vec<Row> = (0..height)
            .into_par_iter()
            .map(|y| {
                let (mut rgb, mut classes, mut depths) = (Vec::new(), Vec::new(), Vec::new());
                let mut pixels = vec![0usize; self.shapes.len()];
                for x in 0..width {
                    let mut colour = [0.0; 3];
                    for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                        let ray = self.ray(f64::from(x) + dx, f64::from(y) + dy, width, height);
                        colour = add(colour, scale(self.colour(ray), 0.25));
                    }
                    rgb.extend(colour.map(|c| (255.0 * tone(c)).round() as u8));
                    let ray = self.ray(f64::from(x) + 0.5, f64::from(y) + 0.5, width, height);
                    let (class, depth) =
                        self.first_hit(self.camera.position, ray).map_or((0, MAX_DEPTH), |(hit, class, surface)| {
                            if let Some(i) =
                                self.shapes.iter().position(|s| std::ptr::eq(&raw const s.surface, surface))
                            {
                                pixels[i] += 1;
                            }
                            (class, ((hit.distance * dot(ray, self.camera.forward)) as f32).min(MAX_DEPTH))
                        });
                    classes.push(class);
                    depths.push(depth);
                }
                (rgb, classes, depths, pixels)
            })
            .collect();
        let (mut rgb, mut classes, mut depth) = (Vec::new(), Vec::new(), Vec::new());
        let mut pixels = vec![0usize; self.shapes.len()];
        for (r, c, d, p) in rows {
            pixels.iter_mut().zip(p).for_each(|(sum, n)| *sum += n);
            rgb.extend(r);
            classes.extend(c);
            depth.extend(d);
        }
        let picture = RgbImage::from_raw(width, height, rgb).unwrap_or_default();
        let objects = pixels.iter().filter(|n| **n * 1000 >= (width * height) as usize).count();
        Rendered { picture, classes, depth, objects }
    }

    fn ray(&self, x: f64, y: f64, width: u32, height: u32) -> V3 {
        let c = &self.camera;
        let aspect = f64::from(height) / f64::from(width);
        let u = (2.0 * x / f64::from(width) - 1.0) * c.half_width;
        let v = (1.0 - 2.0 * y / f64::from(height)) * c.half_width * aspect;
        normalise(add(c.forward, add(scale(c.right, u), scale(c.up, v))))
    }

    /// The nearest surface: where, its class and its material.
    fn first_hit(&self, from: V3, ray: V3) -> Option<(Hit, u8, &Surface)> {
        let mut best: Option<(Hit, u8, &Surface)> = None;
        if ray[1] < -1e-9 {
            let distance = -from[1] / ray[1];
            if distance > 1e-4 && distance < 400.0 {
                best = Some((Hit { distance, normal: [0.0, 1.0, 0.0] }, 1, &self.ground));
            }
        }
        for shape in &self.shapes {
            if let Some(hit) = shape.hit(from, ray)
                && best.as_ref().is_none_or(|b| hit.distance < b.0.distance)
            {
                best = Some((hit, shape.kind.class(), &shape.surface));
            }
        }
        best
    }

    fn sky(&self, ray: V3) -> V3 {
        let t = ray[1].max(0.0).powf(0.55);
        let glow = dot(ray, self.sun).max(0.0).powi(60) * 0.5;
        add(add(scale(self.horizon, 1.0 - t), scale(self.zenith, t)), scale(self.sun_colour, glow))
    }

    fn colour(&self, ray: V3) -> V3 {
        let Some((hit, class, surface)) = self.first_hit(self.camera.position, ray) else { return self.sky(ray) };
        let point = add(self.camera.position, scale(ray, hit.distance));
        let albedo = surface.albedo(point, hit.distance);
        let lift = add(point, scale(hit.normal, 1e-3));
        let facing = dot(hit.normal, self.sun).max(0.0);
        let lit =
            if facing > 0.0 && !self.shapes.iter().any(|s| s.hit(lift, self.sun).is_some()) { facing } else { 0.0 };
        // Soft darkening where an object touches the ground.
        let contact = if class == 1 {
            self.shapes.iter().map(|s| s.contact(point)).product()
        } else {
            0.55 + 0.45 * (point[1] / 0.35).clamp(0.0, 1.0)
        };
        let sky_light = 0.38 + 0.22 * hit.normal[1];
        let ambient = scale(add(scale(self.zenith, 0.5), scale(self.horizon, 0.5)), sky_light * contact);
        let light = add(scale(self.sun_colour, 0.85 * lit), ambient);
        let half = normalise(sub(self.sun, ray));
        let shine = if lit > 0.0 { surface.gloss * dot(hit.normal, half).max(0.0).powf(40.0) } else { 0.0 };
        let shaded = [albedo[0] * light[0] + shine, albedo[1] * light[1] + shine, albedo[2] * light[2] + shine];
        let clear = (-self.haze * hit.distance).exp();
        add(scale(shaded, clear), scale(self.horizon, 1.0 - clear))
    }
}

/// Keeps highlights from clipping and applies the display's gamma, roughly.
fn tone(c: f64) -> f64 {
    let c = c.max(0.0);
    (c * (1.0 + 0.12 * c) / (1.0 + 0.32 * c)).powf(0.85).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_renders_the_same_bytes_and_another_seed_others() {
        let (a, b, c) = (Scene::new(1).render(48, 36), Scene::new(1).render(48, 36), Scene::new(2).render(48, 36));
        assert_eq!(a.picture, b.picture);
        assert_eq!(a.depth, b.depth);
        assert_ne!(a.picture, c.picture);
    }

    #[test]
    fn flow_leads_to_the_same_surface_in_the_second_view() {
        let (w, h) = (64, 48);
        let motion = Motion { ahead: 0.2, sideways: 0.1, yaw: 0.03, pitch: -0.02 };
        let (mut same, mut all) = (0, 0);
        for seed in 0..8 {
            let scene = Scene::new(seed);
            let (first, second) = (scene.render(w, h), scene.moved(motion).render(w, h));
            for (i, d) in scene.flow(motion, w, h).chunks(2).enumerate() {
                let (x, y) = ((i as u32 % w) as f32 + 0.5 + d[0], (i as u32 / w) as f32 + 0.5 + d[1]);
                if x >= 0.0 && y >= 0.0 && x < w as f32 && y < h as f32 {
                    all += 1;
                    same += usize::from(first.classes[i] == second.classes[(y as u32 * w + x as u32) as usize]);
                }
            }
            assert!(scene.flow(Motion::default(), w, h).iter().all(|d| d.abs() < 1e-3));
        }
        // Edges and what was hidden differ.
        assert!(same * 100 > all * 93, "{same} of {all}");
    }

    #[test]
    fn turning_right_moves_the_picture_left_and_looking_up_moves_it_down() {
        let mean = |motion, c| {
            let flow = Scene::new(3).flow(motion, 32, 24);
            flow.iter().skip(c).step_by(2).sum::<f32>() / 768.0
        };
        assert!(mean(Motion { yaw: 0.1, ..Motion::default() }, 0) < -1.0);
        assert!(mean(Motion { pitch: 0.1, ..Motion::default() }, 1) > 1.0);
    }

    #[test]
    fn truth_is_plausible_over_many_seeds() {
        let mut seen = [0usize; CLASSES.len()];
        for seed in 0..40 {
            let r = Scene::new(seed).render(40, 30);
            assert!(r.depth.iter().all(|d| *d > 0.3 && *d <= MAX_DEPTH), "seed {seed}");
            for (class, depth) in r.classes.iter().zip(&r.depth) {
                seen[*class as usize] += 1;
                assert!(*class != 0 || *depth == MAX_DEPTH, "the sky is far away");
            }
        }
        let total: usize = seen.iter().sum();
        for (n, (name, _)) in seen.iter().zip(CLASSES) {
            assert!(*n * 100 > total, "{name} covers less than 1 % of the pixels: {seen:?}");
        }
    }
}
