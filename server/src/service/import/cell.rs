//! What people write into the cells of a table: numbers, dates, yes and no.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use virboard_core::catalogue::metric::Metric;

/// What programs write where there is no number: a run that diverged, a cell that is not known.
const NOTHING: [&str; 12] = ["", "-", "–", "—", "nan", "na", "n/a", "none", "null", "inf", "infinity", "#div/0!"];

/// The last second that a date may have: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// A number, `None` where the cell says that there is none. A comma may stand for the point, and
/// `%` for hundredths; `percent` says that the column's name has it.
pub fn number(text: &str, percent: bool) -> Result<Option<f64>, String> {
    let bad = || format!("`{text}` is no number");
    let plain = text.replace('\u{2212}', "-");
    let (plain, percent) = match plain.trim().strip_suffix('%') {
        Some(number) => (number.trim_end(), true),
        None => (plain.trim(), percent),
    };
    let word = plain.to_lowercase();
    if NOTHING.contains(&word.trim_start_matches(['+', '-'])) || NOTHING.contains(&word.as_str()) {
        return Ok(None);
    }
    let commas = plain.matches(',').count();
    let plain = match (commas, plain.contains('.')) {
        (0, _) => plain.to_owned(),
        (1, false) => plain.replace(',', "."),
        _ => return Err(format!("`{text}` may be read in two ways; write it without separators of thousands")),
    };
    let number: f64 = plain.parse().map_err(|_| bad())?;
    if !number.is_finite() {
        return Err(bad());
    }
    Ok(Some(if percent { number / 100.0 } else { number }))
}

/// A whole number that is not negative, also as `3.0`; `None` for an empty cell.
pub fn whole(text: &str) -> Result<Option<u64>, String> {
    if let Ok(number) = text.parse() {
        return Ok(Some(number));
    }
    // As a signed column holds the upper half.
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Some(number as u64));
    }
    match number(text, false)? {
        None => Ok(None),
        Some(n) if n >= 0.0 && n.fract() == 0.0 && n < 9e15 => Ok(Some(n as u64)),
        Some(_) => Err(format!("`{text}` is no whole number")),
    }
}

/// Yes or no, in the words of programs; `None` for an empty cell.
pub fn flag(text: &str) -> Result<Option<bool>, String> {
    match text.to_lowercase().as_str() {
        "" => Ok(None),
        "true" | "yes" | "y" | "1" | "1.0" | "x" => Ok(Some(true)),
        "false" | "no" | "n" | "0" | "0.0" => Ok(Some(false)),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

/// A time as seconds since 1970, from those seconds or from a date such as `2024-05-31` or
/// `2024-05-31T12:00:00Z`; `None` for an empty cell.
pub fn time(text: &str) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = || Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc().timestamp());
    let moment = || Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp());
    let local = |form| Some(NaiveDateTime::parse_from_str(text, form).ok()?.and_utc().timestamp());
    let seconds = || Some(number(text, false).ok()??.floor() as i64);
    let found = day().or_else(moment).or_else(|| local("%Y-%m-%d %H:%M:%S")).or_else(|| local("%Y-%m-%dT%H:%M:%S"));
    found
        .or_else(seconds)
        .filter(|s| (0..=LAST_SECOND).contains(s))
        .map(Some)
        .ok_or_else(|| format!("`{text}` is no date; write it as 2024-05-31"))
}

/// Whether a value can be a score by this metric: shares are from 0 to 1, errors are not negative.
pub fn fits(metric: Metric, value: f64) -> Result<(), String> {
    let name = metric.name();
    if metric.is_share() && (1.0..=100.0).contains(&value) && value > 1.0 {
        let share = value / 100.0;
        return Err(format!(
            "{value} is no {name}: shares are from 0 to 1; write {share}, or {value}% if it is meant so"
        ));
    }
    if metric.is_share() && !(0.0..=1.0).contains(&value) {
        return Err(format!("{value} is no {name}: shares are from 0 to 1"));
    }
    if value < 0.0 {
        return Err(format!("{value} is no {name}: an error is not negative; write {}", -value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_dress() {
        for (text, percent, wanted) in [
            ("0.91", false, Ok(Some(0.91))),
            (" 0,91", false, Ok(Some(0.91))),
            ("91 %", false, Ok(Some(0.91))),
            ("91,0%", false, Ok(Some(0.91))),
            ("91", true, Ok(Some(0.91))),
            ("1e-3", false, Ok(Some(0.001))),
            ("\u{2212}0.5", false, Ok(Some(-0.5))),
            ("NaN", false, Ok(None)),
            ("-inf", false, Ok(None)),
            ("Infinity", false, Ok(None)),
            ("", false, Ok(None)),
            ("N/A", false, Ok(None)),
        ] {
            assert_eq!(number(text, percent), wanted, "{text}");
        }
        assert!(number("1.234,5", false).is_err_and(|e| e.contains("two ways")));
        assert!(number("1,234,567", false).is_err() && number("0.9 ± 0.1", false).is_err());
        assert!(number("1e999", false).is_err() && number("[0.9]", false).is_err());
    }

    #[test]
    fn other_cells_too() {
        assert_eq!((whole("7"), whole("7.0"), whole("")), (Ok(Some(7)), Ok(Some(7)), Ok(None)));
        assert_eq!((whole("18446744073709551615"), whole("-1")), (Ok(Some(u64::MAX)), Ok(Some(u64::MAX))));
        assert!(whole("7.5").is_err() && whole("-1.5").is_err());
        for (yes, no) in [("true", "false"), ("TRUE", "False"), ("1", "0"), ("1.0", "0.0"), ("Yes", "no")] {
            assert_eq!((flag(yes), flag(no)), (Ok(Some(true)), Ok(Some(false))));
        }
        assert!(flag("maybe").is_err() && flag("") == Ok(None));
        for text in
            ["2024-05-31", "2024-05-31T00:00:00Z", "2024-05-31T02:00:00+02:00", "2024-05-31 00:00:00", "1717113600"]
        {
            assert_eq!(time(text), Ok(Some(1_717_113_600)), "{text}");
        }
        assert!(time("31.5.2024").is_err() && time("-5").is_err() && time("1e300").is_err() && time("") == Ok(None));
    }

    #[test]
    fn percents_are_no_shares_and_errors_are_not_negative() {
        assert!(fits(Metric::Top1, 91.0).is_err_and(|e| e.contains("write 0.91")));
        assert!(fits(Metric::Top1, -0.1).is_err() && fits(Metric::Top1, 9100.0).is_err());
        assert!(fits(Metric::Top1, 0.0).is_ok() && fits(Metric::Top1, 1.0).is_ok());
        assert!(fits(Metric::L1, -0.41).is_err_and(|e| e.contains("write 0.41")));
        assert!(fits(Metric::L1, 91.0).is_ok());
    }
}
