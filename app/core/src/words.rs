//! Numbers in sentences.

use std::fmt::Display;

/// A number and what is counted, with its plural where that is called for: `1 task`, `0 tasks`, `12 tasks`. `one` is a
/// word whose plural ends in s.
pub fn counted<N: Display + PartialEq + From<u8>>(n: N, one: &str) -> String {
    if n == N::from(1) { format!("{n} {one}") } else { format!("{n} {one}s") }
}

/// The day of a time in seconds since 1970, in UTC: `2026-11-28`.
#[must_use]
pub fn day(seconds: i64) -> String {
    // Days to a date by Howard Hinnant's method: years that begin in March end with the day that leaps.
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let date = of_year - (153 * from_march + 2) / 5 + 1;
    format!("{:04}-{month:02}-{date:02}", era * 400 + year + i64::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_795_824_000, "2026-11-28"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(day(seconds), date);
        }
    }

    #[test]
    fn one_alone_has_no_plural() {
        assert_eq!(counted(1usize, "epoch"), "1 epoch");
        assert_eq!(counted(0u32, "epoch"), "0 epochs");
        assert_eq!(counted(21u64, "task"), "21 tasks");
    }
}
