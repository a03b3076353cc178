//! Batch normalisation, optionally with ReLU behind it, forward and backward in as few passes
//! over memory as there are. Maps are `pixels x C` values.

use super::{arch, load, store};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Values that are worked on at once, so that they stay in the first-level cache.
const VALUES: usize = 1 << 12;
/// Tasks that sum up, on any number of threads: what they find is the same then.
const TASKS: usize = 64;

/// Pixels that are worked on at once.
fn pixels(channels: usize) -> usize {
    (VALUES / channels).max(8)
}

/// Values that a task sums up, of so many in all: whole blocks of [`pixels`].
fn values_of_task(values: usize, channels: usize) -> usize {
    let block = pixels(channels) * channels;
    values.div_ceil(block * TASKS).max(1) * block
}

/// What becomes of each channel: `(x - mean) * scale + shift`, C numbers each.
#[derive(Debug, Clone)]
pub struct Normal {
    /// Subtracted.
    pub mean: Vec<f32>,
    /// Multiplied with: weight / deviation.
    pub scale: Vec<f32>,
    /// Added.
    pub shift: Vec<f32>,
    /// Whether what lies below zero becomes zero at last.
    pub relu: bool,
}

/// Sums over all pixels, C numbers each.
#[derive(Debug, Clone)]
pub struct Sums {
    /// Of the gradients that pass the ReLU.
    pub gradient: Vec<f32>,
    /// Of the same, each times `x - mean`.
    pub product: Vec<f32>,
}

/// Mean and biased variance of each channel.
pub fn moments(x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let values = values_of_task(x.len(), channels);
    let tasks = x.par_chunks(values).map(|x| arch().dispatch(Spread { x, channels }));
    let all = tasks.collect::<Vec<_>>().into_iter().reduce(|mut all, task| {
        all.join(task.count, &task.mean, &task.squares);
        all
    });
    let all = all.unwrap_or_else(|| Sample::new(channels));
    (narrow(&all.mean, 1.0), narrow(&all.squares, all.count))
}

fn narrow(values: &[f64], by: f64) -> Vec<f32> {
    values.iter().map(|v| (v / by) as f32).collect()
}

/// Moments of some pixels, C numbers each.
struct Sample {
    count: f64,
    mean: Vec<f64>,
    /// Sums of squared distances from the mean.
    squares: Vec<f64>,
}

impl Sample {
    fn new(channels: usize) -> Self {
        Self { count: 0.0, mean: vec![0.0; channels], squares: vec![0.0; channels] }
    }

    /// With those of `n` more pixels, by Chan's rule.
    #[inline(always)]
    fn join<T: Copy + Into<f64>>(&mut self, n: f64, mean: &[T], squares: &[T]) {
        let total = self.count + n;
        let (share, both) = (n / total, self.count * n / total);
        for (((mean, squares), of_mean), of_squares) in
            self.mean.iter_mut().zip(&mut self.squares).zip(mean).zip(squares)
        {
            let apart = (*of_mean).into() - *mean;
            *mean += apart * share;
            *squares += (*of_squares).into() + apart * apart * both;
        }
        self.count = total;
    }
}

impl Normal {
    /// Normalises `x` into `out`; where something is `added`, with ReLU behind the sum.
    pub fn forward(&self, x: &[f32], added: Option<&[f32]>, out: &mut [f32]) {
        let channels = self.mean.len();
        assert!(x.len() == out.len() && added.is_none_or(|a| a.len() == x.len()), "there is room for each value");
        let values = pixels(channels) * channels;
        out.par_chunks_mut(values).zip(x.par_chunks(values)).enumerate().for_each(|(nth, (out, x))| {
            let added = added.map(|added| &added[nth * values..][..x.len()]);
            arch().dispatch(Forward { normal: self, x, added, out });
        });
    }

    /// The sums that the gradients are made of.
    pub fn sums(&self, x: &[f32], gradient: &[f32]) -> Sums {
        let channels = self.mean.len();
        assert_eq!(x.len(), gradient.len(), "there is a gradient of each value");
        let values = values_of_task(x.len(), channels);
        let tasks = x.par_chunks(values).zip(gradient.par_chunks(values));
        let tasks: Vec<[Vec<f64>; 2]> = tasks.map(|(x, g)| arch().dispatch(Gather { normal: self, x, g })).collect();
        let mut all = [vec![0f64; channels], vec![0f64; channels]];
        for task in &tasks {
            for (all, task) in all.iter_mut().zip(task) {
                all.iter_mut().zip(task).for_each(|(all, task)| *all += task);
            }
        }
        Sums { gradient: narrow(&all[0], 1.0), product: narrow(&all[1], 1.0) }
    }

    /// The gradient of `x`: that of the output where it passes the ReLU, times the scale, less
    /// `offset + slope * (x - mean)`, C numbers each, which is what the batch's moments take.
    pub fn backward(&self, x: &[f32], gradient: &[f32], offset: &[f32], slope: &[f32], out: &mut [f32]) {
        let channels = self.mean.len();
        assert!(x.len() == gradient.len() && x.len() == out.len(), "there is a gradient of each value");
        let values = pixels(channels) * channels;
        let parts = out.par_chunks_mut(values).zip(x.par_chunks(values)).zip(gradient.par_chunks(values));
        parts.for_each(|((out, x), g)| {
            arch().dispatch(Backward { normal: self, x, g, offset, slope, out });
        });
    }

    /// Mean, scale and shift of a vector's channels.
    #[inline(always)]
    fn some<S: Simd>(&self, simd: S, some: Lanes) -> [S::f32s; 3] {
        [some.of_channels(simd, &self.mean), some.of_channels(simd, &self.scale), some.of_channels(simd, &self.shift)]
    }

    /// `x - mean`, and the gradient that passes the ReLU, if there is one.
    #[inline(always)]
    fn passed<S: Simd>(&self, simd: S, some: Lanes, x: &[f32], g: &[f32]) -> (S::f32s, S::f32s) {
        let [mean, scale, shift] = self.some(simd, some);
        let (apart, g) = (simd.sub_f32s(some.of(simd, x), mean), some.of(simd, g));
        if !self.relu {
            return (apart, g);
        }
        let zero = simd.splat_f32s(0.0);
        let y = simd.mul_add_f32s(apart, scale, shift);
        (apart, simd.select_f32s(simd.less_than_f32s(zero, y), g, zero))
    }
}

/// At most a vector of a pixel's values.
#[derive(Clone, Copy)]
struct Lanes {
    /// Of the first value, among those of all pixels.
    at: usize,
    /// Its channel.
    channel: usize,
    len: usize,
}

impl Lanes {
    #[inline(always)]
    fn of_channels<S: Simd>(self, simd: S, numbers: &[f32]) -> S::f32s {
        load(simd, &numbers[self.channel..][..self.len])
    }

    #[inline(always)]
    fn of<S: Simd>(self, simd: S, values: &[f32]) -> S::f32s {
        load(simd, &values[self.at..][..self.len])
    }

    #[inline(always)]
    fn keep<S: Simd>(self, simd: S, to: &mut [f32], vector: S::f32s) {
        store(simd, &mut to[self.at..][..self.len], vector);
    }

    /// Adds to the numbers of the channels.
    #[inline(always)]
    fn add<S: Simd>(self, simd: S, to: &mut [f32], vector: S::f32s) {
        let to = &mut to[self.channel..][..self.len];
        store(simd, to, simd.add_f32s(load(simd, to), vector));
    }
}

/// What is done with a vector.
trait Pass {
    fn run<S: Simd>(&mut self, simd: S, some: Lanes);
}

/// Does it with all `values`, in the order in which they lie in memory: taken channel by channel, lines would come
/// late, for a processor foresees only what is read in a row.
#[inline(always)]
fn all<S: Simd>(simd: S, values: usize, channels: usize, mut pass: impl Pass) {
    for pixel in (0..values).step_by(channels) {
        let mut channel = 0;
        while channel + S::F32_LANES <= channels {
            pass.run(simd, Lanes { at: pixel + channel, channel, len: S::F32_LANES });
            channel += S::F32_LANES;
        }
        if channel < channels {
            pass.run(simd, Lanes { at: pixel + channel, channel, len: channels - channel });
        }
    }
}

/// What is no number stays none, so that a training that diverged is seen to.
#[inline(always)]
fn relu<S: Simd>(simd: S, y: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(y, zero), zero, y)
}

/// The moments of some pixels.
struct Spread<'a> {
    x: &'a [f32],
    channels: usize,
}

impl WithSimd for Spread<'_> {
    type Output = Sample;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sample {
        let channels = self.channels;
        let (mut mean, mut squares) = (vec![0f32; channels], vec![0f32; channels]);
        let mut sample = Sample::new(channels);
        for x in self.x.chunks(pixels(channels) * channels) {
            mean.fill(0.0);
            squares.fill(0.0);
            all(simd, x.len(), channels, Add { x, to: &mut mean });
            let count = (x.len() / channels) as f32;
            for mean in &mut mean {
                *mean /= count;
            }
            all(simd, x.len(), channels, AddSquares { x, mean: &mean, to: &mut squares });
            sample.join(f64::from(count), &mean, &squares);
        }
        sample
    }
}

struct Add<'a> {
    x: &'a [f32],
    to: &'a mut [f32],
}

impl Pass for Add<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, some: Lanes) {
        some.add(simd, self.to, some.of(simd, self.x));
    }
}

struct AddSquares<'a> {
    x: &'a [f32],
    mean: &'a [f32],
    to: &'a mut [f32],
}

impl Pass for AddSquares<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, some: Lanes) {
        let apart = simd.sub_f32s(some.of(simd, self.x), some.of_channels(simd, self.mean));
        some.add(simd, self.to, simd.mul_f32s(apart, apart));
    }
}

struct Forward<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    added: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        all(simd, self.x.len(), self.normal.mean.len(), self);
    }
}

impl Pass for Forward<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, some: Lanes) {
        let [mean, scale, shift] = self.normal.some(simd, some);
        let mut y = simd.mul_add_f32s(simd.sub_f32s(some.of(simd, self.x), mean), scale, shift);
        if let Some(added) = self.added {
            y = simd.add_f32s(y, some.of(simd, added));
        }
        if self.normal.relu || self.added.is_some() {
            y = relu(simd, y);
        }
        some.keep(simd, self.out, y);
    }
}

/// The sums of [`Normal::sums`] over some pixels.
struct Gather<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    g: &'a [f32],
}

impl WithSimd for Gather<'_> {
    type Output = [Vec<f64>; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [Vec<f64>; 2] {
        let channels = self.normal.mean.len();
        let mut sums = Sums { gradient: vec![0.0; channels], product: vec![0.0; channels] };
        let mut total = [vec![0f64; channels], vec![0f64; channels]];
        let block = pixels(channels) * channels;
        for (x, g) in self.x.chunks(block).zip(self.g.chunks(block)) {
            sums.gradient.fill(0.0);
            sums.product.fill(0.0);
            all(simd, x.len(), channels, AddBoth { normal: self.normal, x, g, sums: &mut sums });
            for (total, sum) in total[0].iter_mut().zip(&sums.gradient) {
                *total += f64::from(*sum);
            }
            for (total, sum) in total[1].iter_mut().zip(&sums.product) {
                *total += f64::from(*sum);
            }
        }
        total
    }
}

struct AddBoth<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    g: &'a [f32],
    sums: &'a mut Sums,
}

impl Pass for AddBoth<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, some: Lanes) {
        let (apart, g) = self.normal.passed(simd, some, self.x, self.g);
        some.add(simd, &mut self.sums.gradient, g);
        some.add(simd, &mut self.sums.product, simd.mul_f32s(apart, g));
    }
}

struct Backward<'a> {
    normal: &'a Normal,
    x: &'a [f32],
    g: &'a [f32],
    offset: &'a [f32],
    slope: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        all(simd, self.x.len(), self.normal.mean.len(), self);
    }
}

impl Pass for Backward<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, some: Lanes) {
        let (apart, g) = self.normal.passed(simd, some, self.x, self.g);
        let slope = some.of_channels(simd, self.slope);
        let taken = simd.mul_add_f32s(slope, apart, some.of_channels(simd, self.offset));
        let scale = some.of_channels(simd, &self.normal.scale);
        some.keep(simd, self.out, simd.mul_add_f32s(scale, g, simd.neg_f32s(taken)));
    }
}
