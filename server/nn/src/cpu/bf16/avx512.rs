//! Products of rows with packed pairs by AVX-512's instructions for bfloat16.

use super::super::product::TILE;
use super::{Activation, LANES, Pairs, Rectangle, Rows, bf16};
use std::arch::x86_64::{
    __m256bh, __m256i, __m512, __m512bh, __m512i, _mm256_loadu_si256, _mm256_mask_storeu_epi16,
    _mm256_maskz_loadu_epi16, _mm256_storeu_si256, _mm512_add_ps, _mm512_castsi512_ps, _mm512_cvtepu16_epi32,
    _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_slli_epi32,
};

impl<'a, R: Rows<'a, bf16>> Rectangle<'_, R> {
    /// # Safety
    /// The processor must have the instructions, and no other thread may use these outputs meanwhile.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub unsafe fn run(&self) {
        for panel in self.panels.clone() {
            match self.weights.width / LANES {
                4 => self.panel::<4>(panel),
                2 => self.panel::<2>(panel),
                _ => self.panel::<1>(panel),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    #[inline]
    fn panel<const V: usize>(&self, panel: usize) {
        for first in self.range.clone().step_by(TILE) {
            match self.range.end - first {
                1 => self.tile::<V, 1>(panel, first),
                2 => self.tile::<V, 2>(panel, first),
                3 => self.tile::<V, 3>(panel, first),
                4 => self.tile::<V, 4>(panel, first),
                5 => self.tile::<V, 5>(panel, first),
                _ => self.tile::<V, TILE>(panel, first),
            }
        }
    }

    /// M rows from `first` on times one panel.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    #[inline]
    fn tile<const V: usize, const M: usize>(&self, panel: usize, first: usize) {
        let Pairs { outputs, taps, depth, width, .. } = *self.weights;
        let (pairs, values) = (depth.div_ceil(2), self.weights.panel(panel));
        let mut sums = [[_mm512_setzero_ps(); V]; M];
        let places: [R::Place; M] = std::array::from_fn(|m| self.rows.place(first + m));
        for tap in 0..taps {
            let values = &values[tap * pairs * width..][..pairs * width];
            let pieces: [&[bf16]; M] = std::array::from_fn(|m| &self.rows.piece(places[m], tap)[..depth]);
            for k in 0..depth / 2 {
                let mut w = [_mm512_setzero_ps(); V];
                for (v, w) in w.iter_mut().enumerate() {
                    // SAFETY: there are `pairs x width` pairs.
                    *w = unsafe { _mm512_loadu_ps(values.as_ptr().add(k * width + v * LANES).cast()) };
                }
                for m in 0..M {
                    // SAFETY: a piece has `depth` values.
                    let x = unsafe { pieces[m].as_ptr().add(2 * k).cast::<i32>().read_unaligned() };
                    for v in 0..V {
                        sums[m][v] = dot(sums[m][v], x, w[v]);
                    }
                }
            }
            if depth % 2 == 1 {
                let last = &values[(pairs - 1) * width..];
                for m in 0..M {
                    let x = i32::from(pieces[m][depth - 1].to_bits());
                    for v in 0..V {
                        // SAFETY: as above.
                        let w = unsafe { _mm512_loadu_ps(last.as_ptr().add(v * LANES).cast()) };
                        sums[m][v] = dot(sums[m][v], x, w);
                    }
                }
            }
        }
        let at = panel * width;
        for (m, sums) in sums.into_iter().enumerate() {
            let row = (first + m) * outputs;
            for (v, sums) in sums.into_iter().enumerate() {
                let o = at + v * LANES;
                let len = LANES.min(outputs - o);
                // SAFETY: no other row or panel has these outputs.
                let out = unsafe { self.out.part(row + o, len) };
                self.finish(sums, o, out);
            }
        }
    }

    /// Bias, what is there already, ReLU, rounding.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    #[inline]
    fn finish(&self, mut sums: __m512, o: usize, out: &mut [bf16]) {
        if let Some(bias) = self.finish.bias {
            let bias = &bias[o..][..LANES];
            // SAFETY: it has as many values.
            sums = _mm512_add_ps(sums, unsafe { _mm512_loadu_ps(bias.as_ptr()) });
        }
        let mask = if out.len() == LANES { u16::MAX } else { (1 << out.len()) - 1 };
        if self.finish.add {
            // SAFETY: the masked values, or all, are in the slice.
            let held: __m256i = unsafe {
                if mask == u16::MAX {
                    _mm256_loadu_si256(out.as_ptr().cast())
                } else {
                    _mm256_maskz_loadu_epi16(mask, out.as_ptr().cast())
                }
            };
            let held: __m512i = _mm512_slli_epi32(_mm512_cvtepu16_epi32(held), 16);
            sums = _mm512_add_ps(sums, _mm512_castsi512_ps(held));
        }
        if self.finish.activation == Activation::Relu {
            sums = _mm512_max_ps(sums, _mm512_setzero_ps());
        }
        let rounded: __m256bh = _mm512_cvtneps_pbh(sums);
        // SAFETY: both are 256 bits; the masked values, or all, are in the slice.
        unsafe {
            let rounded = std::mem::transmute::<__m256bh, __m256i>(rounded);
            if mask == u16::MAX {
                _mm256_storeu_si256(out.as_mut_ptr().cast(), rounded);
            } else {
                _mm256_mask_storeu_epi16(out.as_mut_ptr().cast(), mask, rounded);
            }
        }
    }
}

/// Adds the products of a pair of values with 16 pairs.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn dot(sums: __m512, x: i32, w: __m512) -> __m512 {
    // SAFETY: vectors of 512 bits each.
    let (x, w) = unsafe {
        (std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(x)), std::mem::transmute::<__m512, __m512bh>(w))
    };
    _mm512_dpbf16_ps(sums, x, w)
}
