//! The sign test: does one side win more often than a coin would?

use statrs::distribution::{Binomial, DiscreteCDF};

/// Wins, losses and ties of pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignTest {
    /// Pairs in which the first side is better.
    pub wins: u64,
    /// Pairs in which it is worse.
    pub losses: u64,
    /// Pairs without a difference; they do not count.
    pub ties: u64,
    /// Probability of so uneven a result, either way, if both sides were alike.
    pub two_sided: f64,
    /// Probability of so many wins or more if both sides were alike.
    pub greater: f64,
}

/// Of differences, positive for a win (`scipy.stats.binomtest` with p = 0.5). `None` if there
/// is neither a win nor a loss.
#[must_use]
pub fn sign_test(differences: &[f64]) -> Option<SignTest> {
    let count = |f: fn(&f64) -> bool| differences.iter().filter(|d| f(d)).count() as u64;
    let (wins, losses) = (count(|d| *d > 0.0), count(|d| *d < 0.0));
    let coin = Binomial::new(0.5, wins + losses).ok().filter(|_| wins + losses > 0)?;
    let greater = if wins == 0 { 1.0 } else { coin.sf(wins - 1) };
    let two_sided = (2.0 * coin.cdf(wins.min(losses))).min(1.0);
    Some(SignTest { wins, losses, ties: differences.len() as u64 - wins - losses, two_sided, greater })
}
