//! Moments as people write them: `2026-11-28` or `2026-11-28 14:05`, UTC.

const DAY: i64 = 86_400;

/// The moment, seconds since 1970, as `2026-11-28 14:05`.
#[must_use]
pub fn date_of(moment: i64) -> String {
    let (year, month, day) = civil(moment.div_euclid(DAY));
    let minute = moment.rem_euclid(DAY) / 60;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minute / 60, minute % 60)
}

/// The first second of a day or of a minute; `None` for what is neither.
#[must_use]
pub fn moment_of(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ']).map_or((text, None), |(d, t)| (d, Some(t)));
    let mut parts = date.splitn(3, '-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<i64>().ok())?
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let days = days(year, month, day);
    // The thirtieth of February is no day.
    if civil(days) != (year, month, day) {
        return None;
    }
    let seconds = match time {
        None => 0,
        Some(time) => {
            let (hour, minute) = time.trim_end_matches('Z').split_once(':')?;
            let (hour, minute) = (hour.parse::<i64>().ok()?, minute.parse::<i64>().ok()?);
            ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some(hour * 3600 + minute * 60)?
        }
    };
    Some(days * DAY + seconds)
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant's algorithm for the
/// Gregorian calendar, whose years begin in March).
const fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let day = of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (year + era * 400 + (month <= 2) as i64, month, day)
}

/// Its inverse.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let m = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * m + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_they_are_written() {
        // From `date -u -d @N`.
        for (moment, text) in [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (1_795_644_127, "2026-11-25 22:02"),
            (4_107_542_399, "2100-02-28 23:59"),
            (-1, "1969-12-31 23:59"),
        ] {
            assert_eq!(date_of(moment), text);
            assert_eq!(moment_of(text), Some(moment - moment.rem_euclid(60)), "{text}");
        }
        assert_eq!(moment_of("2026-11-28"), moment_of("2026-11-28T00:00Z"));
        for no in ["", "2026", "2026-02-30", "2026-13-01", "26-01-01", "2026-01-01 25:00", "yesterday", "2026-01-0x"] {
            assert_eq!(moment_of(no), None, "{no}");
        }
    }
}
