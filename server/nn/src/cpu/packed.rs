//! Weights in the order in which [`product`](super::product) reads them.

use super::arch;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Values of a cache line.
const LINE: usize = 16;
/// Most pieces of a row: a 3x3 kernel, or what a 7x7 kernel of stride 2 makes of a pixel.
const TAPS: usize = 16;
/// Values of a piece that are packed at once, so that all their places stay near.
pub const NARROW: usize = 16;

/// Matrices of weights in the order in which products read them: panels of as many outputs as
/// fit into the registers, within a panel one tap after the other.
#[derive(Debug)]
pub struct Packed {
    outputs: usize,
    taps: usize,
    depth: usize,
    width: usize,
    values: Vec<f32>,
    /// Where they start, at the beginning of a cache line.
    start: usize,
}

/// One of the matrices.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a> {
    /// Outputs O.
    pub outputs: usize,
    /// Pieces of a row.
    pub(super) taps: usize,
    /// Values of a piece.
    pub(super) depth: usize,
    /// Outputs of a panel.
    pub(super) width: usize,
    pub(super) values: &'a [f32],
}

impl Packed {
    /// Packs a convolution's kernel, `O x I x taps`.
    pub fn of_kernel(weight: &[f32], outputs: usize, inputs: usize, taps: usize) -> Self {
        Self::new(1, outputs, taps, inputs, NARROW, |_, o, tap, k| weight[(o * inputs + k) * taps + tap])
    }

    /// Packs a convolution's kernel, `O x I x taps`, for the gradient of its input: turned
    /// round, and with O and I exchanged.
    pub fn of_turned_kernel(weight: &[f32], outputs: usize, inputs: usize, taps: usize) -> Self {
        // One k at a time, whose outputs lie side by side.
        Self::new(1, inputs, taps, outputs, 1, |_, i, tap, o| weight[(o * inputs + i) * taps + taps - 1 - tap])
    }

    /// Packs matrices of one size, `weight(matrix, output, tap, k)`, on all threads; `narrow` is
    /// how many k of an output lie near each other where the weights come from.
    pub fn new(
        matrices: usize,
        outputs: usize,
        taps: usize,
        depth: usize,
        narrow: usize,
        weight: impl Fn(usize, usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        assert!(taps <= TAPS, "rows have at most {TAPS} pieces");
        Self::written(matrices, outputs, taps, depth, |values, width| {
            let panels = outputs.div_ceil(width);
            values.par_chunks_mut(taps * depth * width).enumerate().for_each(|(panel, values)| {
                let (matrix, panel) = (panel / panels, panel % panels);
                let some = panel * width..((panel + 1) * width).min(outputs);
                for first in (0..depth).step_by(narrow) {
                    for o in some.clone() {
                        for k in first..(first + narrow).min(depth) {
                            for tap in 0..taps {
                                values[(tap * depth + k) * width + o - some.start] = weight(matrix, o, tap, k);
                            }
                        }
                    }
                }
            });
        })
    }

    /// Matrices of one piece that `write` packs: it gets zeros, matrix after matrix of panels,
    /// and the outputs of a panel.
    pub fn with(matrices: usize, outputs: usize, depth: usize, write: impl FnOnce(&mut [f32], usize)) -> Self {
        Self::written(matrices, outputs, 1, depth, write)
    }

    fn written(
        matrices: usize,
        outputs: usize,
        taps: usize,
        depth: usize,
        write: impl FnOnce(&mut [f32], usize),
    ) -> Self {
        let width = panel_width(outputs);
        let len = matrices * outputs.next_multiple_of(width) * taps * depth;
        let mut values = vec![0f32; len + LINE];
        let start = values.as_ptr().align_offset(4 * LINE).min(LINE);
        write(&mut values[start..][..len], width);
        Self { outputs, taps, depth, width, values, start }
    }

    /// Outputs of all panels, of which the last may be wider than there are outputs.
    pub fn padded(&self) -> usize {
        self.outputs.next_multiple_of(self.width)
    }

    /// The matrix with this number.
    pub fn matrix(&self, matrix: usize) -> Weights<'_> {
        let len = self.padded() * self.taps * self.depth;
        let Self { outputs, taps, depth, width, .. } = *self;
        Weights { outputs, taps, depth, width, values: &self.values[self.start + matrix * len..][..len] }
    }
}

impl<'a> Weights<'a> {
    /// Number of panels.
    pub fn panels(&self) -> usize {
        self.outputs.div_ceil(self.width)
    }

    /// The weights of a panel: taps, depth, outputs.
    pub(super) fn panel(&self, panel: usize) -> &'a [f32] {
        let len = self.taps * self.depth * self.width;
        &self.values[panel * len..][..len]
    }
}

/// Outputs of a panel: as many vectors as stay in the registers, if that leaves no gap.
fn panel_width(outputs: usize) -> usize {
    let (lanes, registers) = arch().dispatch(Registers);
    let most = if registers >= 32 { 4 } else { 3 };
    let vectors = [4, 2, 3].into_iter().find(|v| *v <= most && outputs.is_multiple_of(v * lanes)).unwrap_or(1);
    vectors * lanes
}

struct Registers;

impl WithSimd for Registers {
    type Output = (usize, usize);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> (usize, usize) {
        (S::F32_LANES, S::REGISTER_COUNT)
    }
}
