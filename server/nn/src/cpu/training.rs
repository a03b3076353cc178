//! Convolutions forward and backward, of weights that change with every call. Maps are
//! `N x H x W x C`; weights are `O x I x K x K`, PyTorch's layout.

mod scattered;
mod sums;

use super::Maps;
use super::convolution::{FEW, Strips, Window, padded};
use super::packed::{NARROW, Packed};
use super::product::{Finish, Plain, product};
use super::winograd::{Scheme, training as winograd};
use crate::taps::Geometry;
use sums::{Tap, Walk, weight_sums};

/// Rows and columns from which on tiles of 4 x 4 outputs pay.
const LARGE: usize = 20;
/// Channels from which on they do: those of few are moved more than multiplied.
const MANY: usize = 48;
/// Channels from which on they do for the gradient of the weights, which has more to transform.
const MANY_SUMS: usize = 128;

/// Size of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Of the input.
    pub from: Maps,
    /// Of the output.
    pub to: Maps,
    /// Input channels I.
    pub inputs: usize,
    /// Output channels O.
    pub outputs: usize,
    /// Side K of the kernel.
    pub kernel: usize,
    /// How it moves.
    pub geometry: Geometry,
}

impl Shape {
    /// The size for an input; none where the kernel does not fit.
    #[must_use]
    pub fn new(from: Maps, inputs: usize, outputs: usize, kernel: usize, geometry: Geometry) -> Option<Self> {
        let (height, width) = (geometry.outputs(from.height, kernel)?, geometry.outputs(from.width, kernel)?);
        Some(Self { from, to: Maps { height, width, ..from }, inputs, outputs, kernel, geometry })
    }

    fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// How Winograd's convolution is done, where it pays: the maps of an image must be large
    /// for what their kernels cost to be transformed.
    fn scheme(&self) -> Option<Scheme> {
        let least = self.from.height.min(self.from.width);
        match (self.kernel, self.geometry == Geometry::same(3, 1), least) {
            (3, true, LARGE..) if self.inputs.min(self.outputs) >= MANY => Some(Scheme::Four),
            _ => None,
        }
    }

    /// Whether every output is made of one pixel, the one at its place.
    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.geometry == Geometry::same(1, 1)
    }

    /// Whether the pixels of a kernel's row are taken as one piece, being of few channels.
    fn is_strips(&self) -> bool {
        self.kernel > 1 && self.inputs <= FEW && self.geometry.dilation == 1
    }

    fn winograd<'a>(&self, weight: &'a [f32]) -> winograd::Kernel<'a> {
        winograd::Kernel { weight, outputs: self.outputs, inputs: self.inputs }
    }

    /// The neighbours from which an output is made.
    fn window<'a>(&self, x: &'a [f32], zeros: &'a [f32]) -> Window<'a> {
        Window {
            x,
            zeros,
            from: self.from,
            to: self.to,
            channels: self.inputs,
            kernel: self.kernel,
            stride: self.geometry.stride,
            padding: [self.geometry.padding; 2],
            dilation: self.geometry.dilation,
        }
    }

    /// The input with its zeros around it, in `buffer`, as rows of a kernel's row each.
    fn strips<'a>(&self, x: &[f32], buffer: &'a mut Vec<f32>) -> Strips<'a> {
        let Geometry { stride, padding, .. } = self.geometry;
        // As many rows and columns as the last kernel reaches.
        let [rows, columns] = [self.to.height, self.to.width].map(|n| (n - 1) * stride + self.kernel);
        let size = Maps { images: self.from.images, height: rows, width: columns };
        let x = padded(x, self.from, self.inputs, [padding; 2], size, buffer);
        Strips {
            x,
            to: self.to,
            row: columns * self.inputs,
            rows,
            step: stride * self.inputs,
            stride,
            depth: self.kernel * self.inputs,
        }
    }

    /// Where the pixels lie that each tap reads.
    fn walk(&self) -> Walk {
        let Geometry { stride, padding, dilation } = self.geometry;
        // All pixels in one line, where each is read by its own output.
        let [from, to] = [self.from, self.to]
            .map(|maps| if self.is_pointwise() { Maps { images: 1, height: 1, width: maps.pixels() } } else { maps });
        let tap = |tap: usize| {
            let [down, right] =
                [tap / self.kernel, tap % self.kernel].map(|n| (n * dilation) as isize - padding as isize);
            // Columns whose pixel is neither left nor right of the picture.
            let first = right.min(0).unsigned_abs().div_ceil(stride);
            let end = (from.width as isize - right).max(0).unsigned_abs().div_ceil(stride).min(to.width);
            Tap { down, right: right * self.inputs as isize, columns: first..end.max(first) }
        };
        Walk {
            to,
            rows: from.height,
            row: from.width * self.inputs,
            stride,
            step: stride * self.inputs,
            taps: (0..self.taps()).map(tap).collect(),
        }
    }

    /// Where the weight of an output lies for a value of a strip.
    fn of_strip(&self, output: usize, row: usize, k: usize) -> usize {
        (output * self.inputs + k % self.inputs) * self.taps() + row * self.kernel + k / self.inputs
    }
}

/// The output for input `x`.
pub fn convolve(shape: Shape, x: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    if let Some(scheme) = shape.scheme() {
        let finish = Finish { bias: Some(bias), ..Finish::default() };
        return winograd::convolve(scheme, shape.winograd(weight), x, shape.from, finish, out);
    }
    let packed = if shape.is_strips() {
        let depth = shape.kernel * shape.inputs;
        Packed::new(1, shape.outputs, shape.kernel, depth, NARROW, |_, o, row, k| weight[shape.of_strip(o, row, k)])
    } else {
        Packed::of_kernel(weight, shape.outputs, shape.inputs, shape.taps())
    };
    let mut bias = bias.to_vec();
    bias.resize(packed.padded(), 0.0);
    let finish = Finish { bias: Some(&bias), ..Finish::default() };
    let (matrix, pixels) = (packed.matrix(0), shape.to.pixels());
    if shape.is_strips() {
        product(&shape.strips(x, &mut Vec::new()), matrix, pixels, finish, out);
    } else if shape.is_pointwise() {
        product(&Plain { values: x, depth: shape.inputs }, matrix, pixels, finish, out);
    } else {
        product(&shape.window(x, &vec![0.0; shape.inputs]), matrix, pixels, finish, out);
    }
}

/// The gradient of the input for that of the output; with `add` on top of what `out` holds.
pub fn input_gradient(shape: Shape, gradient: &[f32], weight: &[f32], add: bool, out: &mut [f32]) {
    let finish = Finish { add, ..Finish::default() };
    if let Some(scheme) = shape.scheme() {
        return winograd::input_gradient(scheme, shape.winograd(weight), gradient, shape.from, finish, out);
    }
    if shape.geometry.stride > 1 {
        return scattered::input_gradient(shape, gradient, weight, add, out);
    }
    // A convolution with the kernel turned round and its channels exchanged.
    let packed = Packed::of_turned_kernel(weight, shape.outputs, shape.inputs, shape.taps());
    let (matrix, pixels) = (packed.matrix(0), shape.from.pixels());
    if shape.is_pointwise() {
        return product(&Plain { values: gradient, depth: shape.outputs }, matrix, pixels, finish, out);
    }
    let Geometry { padding, dilation, .. } = shape.geometry;
    let window = Window {
        x: gradient,
        zeros: &vec![0.0; shape.outputs],
        from: shape.to,
        to: shape.from,
        channels: shape.outputs,
        kernel: shape.kernel,
        stride: 1,
        padding: [dilation * (shape.kernel - 1) - padding; 2],
        dilation,
    };
    product(&window, matrix, pixels, finish, out);
}

/// The gradient of the weights for that of the output.
pub fn weight_gradient(shape: Shape, x: &[f32], gradient: &[f32], out: &mut [f32]) {
    let (inputs, outputs, taps) = (shape.inputs, shape.outputs, shape.taps());
    assert_eq!(out.len(), outputs * inputs * taps, "there is room for each weight's gradient");
    if let Some(scheme) = shape.scheme().filter(|_| inputs.min(outputs) >= MANY_SUMS) {
        return winograd::weight_gradient(scheme, x, gradient, shape.from, out, inputs);
    }
    if shape.is_strips() {
        let mut buffer = Vec::new();
        let strips = shape.strips(x, &mut buffer);
        let tap = |row: usize| Tap { down: row as isize, right: 0, columns: 0..shape.to.width };
        let walk = Walk {
            to: shape.to,
            rows: strips.rows,
            row: strips.row,
            stride: strips.stride,
            step: strips.step,
            taps: (0..shape.kernel).map(tap).collect(),
        };
        let sizes = [outputs, strips.depth];
        weight_sums(&walk, strips.x, gradient, sizes, out, |o, row, k| shape.of_strip(o, row, k));
    } else {
        let walk = shape.walk();
        weight_sums(&walk, x, gradient, [outputs, inputs], out, |o, tap, k| (o * inputs + k) * taps + tap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_within};

    #[test]
    fn a_gradient_is_added_to_what_is_there() {
        let random = Random::new("added gradients");
        let values = |len: usize| crate::testing::values(&random.normal(1.0, &[len]));
        // A window, tiles, single pixels, skipped pixels and such as no output is made of.
        for (kernel, stride, side, channels) in [(3, 1, 7, 5), (3, 1, 20, 48), (1, 1, 6, 9), (3, 2, 9, 5), (1, 2, 7, 5)]
        {
            let maps = Maps { images: 2, height: side, width: side };
            let geometry = Geometry::strided(kernel, stride);
            let shape = Shape::new(maps, channels, channels + 1, kernel, geometry).expect("it fits");
            let weight = values(shape.outputs * shape.inputs * shape.taps());
            let gradient = values(shape.to.pixels() * shape.outputs);
            let held = values(maps.pixels() * channels);
            let mut alone = vec![f32::NAN; held.len()];
            input_gradient(shape, &gradient, &weight, false, &mut alone);
            let wanted: Vec<f32> = alone.iter().zip(&held).map(|(a, b)| a + b).collect();
            let mut added = held;
            input_gradient(shape, &gradient, &weight, true, &mut added);
            assert!(alone.iter().any(|v| *v != 0.0));
            assert_within(format!("kernel {kernel}, stride {stride}"), &added, &wanted, 2e-5);
        }
    }
}
