//! Counter-based random numbers that Python computes alike, for reproducible weights,
//! scenes and test vectors: SplitMix64 over FNV-1a of `SEED/NAME` plus the position.

/// A named stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream {
    state: u64,
}

impl Stream {
    /// The stream `name` of `seed`. Streams of different names are independent.
    #[must_use]
    pub fn new(seed: u64, name: &str) -> Self {
        let hash = format!("{seed}/{name}")
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3));
        Self { state: hash }
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (-53f64).exp2()
    }

    /// Uniform in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in 0..n; `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.uniform() * n as f64) as usize
    }

    /// Standard normal (Box-Muller, the cosine branch).
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (self.uniform(), self.uniform());
        (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
    }

    /// A random order of 0..n (Fisher-Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

/// Lively values for the weights of any network, which neither vanish nor explode on the way
/// through it: `scripts/make_architecture_vectors.py` makes the same ones, so that outputs can be
/// compared.
#[must_use]
pub fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product::<usize>();
    let wide = shape.iter().filter(|d| **d > 1).count() > 1;
    let positions = ["pos", "token", "probe"].iter().any(|part| name.contains(part));
    let scales = ["running_var", "gamma", "lambda1"].iter().any(|end| name.ends_with(end));
    let (middle, reach) = if wide && !positions {
        (0.0, (3.0 / shape[1..].iter().product::<usize>() as f64).sqrt())
    } else if scales || (shape.len() == 1 && name.ends_with("weight")) {
        (1.0, 0.5)
    } else {
        (0.0, 0.2)
    };
    let mut stream = Stream::new(0, name);
    (0..count).map(|_| (middle + reach * (stream.uniform() * 2.0 - 1.0)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_name() {
        let take = |seed, name| {
            (0..4).map(|_| 0).scan(Stream::new(seed, name), |s, _: i32| Some(s.bits())).collect::<Vec<_>>()
        };
        assert_eq!(take(0, "a"), take(0, "a"));
        assert_ne!(take(0, "a"), take(0, "b"));
        assert_ne!(take(0, "a"), take(1, "a"));
    }

    #[test]
    fn a_permutation_has_every_index_once() {
        let mut p = Stream::new(3, "p").permutation(50);
        assert_ne!(p, (0..50).collect::<Vec<_>>());
        p.sort_unstable();
        assert_eq!(p, (0..50).collect::<Vec<_>>());
    }
}
