//! The same products in plain code, so that packing, pieces and ends of rows are tested on
//! processors without the instructions.

use super::{Activation, Pairs, Rectangle, Rows, bf16};

impl<'a, R: Rows<'a, bf16>> Rectangle<'_, R> {
    /// # Safety
    /// No other thread may use these outputs meanwhile.
    pub unsafe fn run_plain(&self) {
        let Pairs { outputs, width, .. } = *self.weights;
        for panel in self.panels.clone() {
            let first = panel * width;
            for row in self.range.clone() {
                // SAFETY: no other row or panel has these outputs.
                let out = unsafe { self.out.part(row * outputs + first, width.min(outputs - first)) };
                for (o, out) in out.iter_mut().enumerate() {
                    let bias = self.finish.bias.map_or(0.0, |bias| bias[first + o]);
                    let held = if self.finish.add { out.to_f32() } else { 0.0 };
                    let sum = self.sum(row, panel, o) + bias + held;
                    let sum = if self.finish.activation == Activation::Relu { sum.max(0.0) } else { sum };
                    *out = bf16::from_f32(sum);
                }
            }
        }
    }

    /// The products of a row with an output of a panel.
    fn sum(&self, row: usize, panel: usize, o: usize) -> f32 {
        let Pairs { taps, depth, width, .. } = *self.weights;
        let (pairs, values, place) = (depth.div_ceil(2), self.weights.panel(panel), self.rows.place(row));
        let mut sum = 0f32;
        for tap in 0..taps {
            let piece = &self.rows.piece(place, tap)[..depth];
            for (k, xs) in piece.chunks(2).enumerate() {
                let pair = values[(tap * pairs + k) * width + o];
                for (x, w) in xs.iter().zip(pair) {
                    sum += x.to_f32() * w.to_f32();
                }
            }
        }
        sum
    }
}
