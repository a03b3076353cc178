//! The gradient of the input of a convolution that skips pixels. Input pixels whose rows and
//! columns leave the same rest are reached by the same taps: for each rest it is a convolution
//! of the outputs' gradients by those taps.

use super::Shape;
use crate::cpu::Maps;
use crate::cpu::packed::Packed;
use crate::cpu::product::{Finish, Rows, product};
use rayon::prelude::*;

/// A tap of the kernel, and where the output that it comes from lies, counted from the place of
/// the input pixel among those of its rest.
#[derive(Debug, Clone, Copy)]
struct Tap {
    number: usize,
    row: isize,
    column: isize,
}

/// The input pixels of one rest.
struct Phase<'a> {
    gradient: &'a [f32],
    zeros: &'a [f32],
    channels: usize,
    /// Of the output.
    to: Maps,
    /// Of the pixels of this rest.
    size: Maps,
    taps: Vec<Tap>,
}

/// See [`super::input_gradient`].
pub fn input_gradient(shape: Shape, gradient: &[f32], weight: &[f32], add: bool, out: &mut [f32]) {
    let (stride, inputs) = (shape.geometry.stride, shape.inputs);
    if shape.kernel < stride && !add {
        // No output is made of the pixels between.
        out.par_chunks_mut(shape.from.width * inputs).for_each(|line| line.fill(0.0));
    }
    let zeros = vec![0.0; shape.outputs];
    let mut sums = Vec::new();
    for rest in 0..stride * stride {
        let (row, column) = (rest / stride, rest % stride);
        let taps = taps(shape, row, column);
        let [height, width] = [(shape.from.height, row), (shape.from.width, column)]
            .map(|(n, rest)| n.saturating_sub(rest).div_ceil(stride));
        let size = Maps { images: shape.from.images, height, width };
        if taps.is_empty() || size.pixels() == 0 {
            continue;
        }
        let packed = Packed::new(1, inputs, taps.len(), shape.outputs, 1, |_, i, nth, o| {
            weight[(o * inputs + i) * shape.taps() + taps[nth].number]
        });
        let phase = Phase { gradient, zeros: &zeros, channels: shape.outputs, to: shape.to, size, taps };
        sums.resize(size.pixels() * inputs, 0.0);
        product(&phase, packed.matrix(0), size.pixels(), Finish::default(), &mut sums);
        let lines = out.par_chunks_mut(shape.from.width * inputs).enumerate();
        lines.filter(|(line, _)| line % shape.from.height % stride == row).for_each(|(line, out)| {
            let (image, y) = (line / shape.from.height, line % shape.from.height / stride);
            let sums = &sums[(image * height + y) * width * inputs..][..width * inputs];
            let pixels = out.chunks_exact_mut(inputs).skip(column).step_by(stride);
            for (out, sums) in pixels.zip(sums.chunks_exact(inputs)) {
                if add {
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
                } else {
                    out.copy_from_slice(sums);
                }
            }
        });
    }
}

/// The taps that reach input pixels of this rest.
fn taps(shape: Shape, row: usize, column: usize) -> Vec<Tap> {
    let (stride, padding) = (shape.geometry.stride as isize, shape.geometry.padding as isize);
    // The first output of a rest under a tap, if it is one.
    let first = |rest: usize, tap: usize| {
        let at = rest as isize + padding - tap as isize;
        (at.rem_euclid(stride) == 0).then_some(at.div_euclid(stride))
    };
    let all = (0..shape.kernel).flat_map(|y| (0..shape.kernel).map(move |x| (y, x)));
    all.filter_map(|(y, x)| Some(Tap { number: y * shape.kernel + x, row: first(row, y)?, column: first(column, x)? }))
        .collect()
}

impl<'a> Phase<'a> {
    #[inline(always)]
    fn inside(&self, (image, y, x): (usize, usize, usize), tap: usize) -> Option<&'a [f32]> {
        let tap = self.taps[tap];
        // Above and left of the output the sum wraps to a number beyond its other side.
        let (y, x) = (y.wrapping_add_signed(tap.row), x.wrapping_add_signed(tap.column));
        let pixel = (image * self.to.height).wrapping_add(y).wrapping_mul(self.to.width).wrapping_add(x);
        (y < self.to.height && x < self.to.width).then(|| &self.gradient[pixel * self.channels..][..self.channels])
    }
}

impl<'a> Rows<'a> for Phase<'a> {
    /// Image, row and column.
    type Place = (usize, usize, usize);

    #[inline(always)]
    fn place(&self, row: usize) -> Self::Place {
        self.size.place(row)
    }

    #[inline(always)]
    fn next(&self, place: Self::Place, _: usize) -> Self::Place {
        self.size.next(place)
    }

    #[inline(always)]
    fn piece(&self, place: Self::Place, tap: usize) -> &'a [f32] {
        self.inside(place, tap).unwrap_or(self.zeros)
    }

    #[inline(always)]
    fn outside(&self, piece: &[f32]) -> bool {
        std::ptr::eq(piece.as_ptr(), self.zeros.as_ptr())
    }
}
