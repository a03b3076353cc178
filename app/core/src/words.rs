//! Numbers in sentences.

use std::fmt::Display;

/// A number and what is counted, with its plural where that is called for: `1 task`, `0 tasks`, `12 tasks`. `one` is a
/// word whose plural ends in s.
pub fn counted<N: Display + PartialEq + From<u8>>(n: N, one: &str) -> String {
    if n == N::from(1) { format!("{n} {one}") } else { format!("{n} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_has_no_plural() {
        assert_eq!(counted(1usize, "epoch"), "1 epoch");
        assert_eq!(counted(0u32, "epoch"), "0 epochs");
        assert_eq!(counted(21u64, "task"), "21 tasks");
    }
}
