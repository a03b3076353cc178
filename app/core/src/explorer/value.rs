//! What stands in a column of a run.

use std::borrow::Cow;
use std::cmp::Ordering;

/// What a run has in a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A number; moments are seconds since 1970.
    Number(f64),
    /// Nothing.
    Nothing,
}

impl<'a> Value<'a> {
    /// Text; nothing if it is empty.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        if text.is_empty() { Self::Nothing } else { Self::Text(Cow::Borrowed(text)) }
    }

    /// A number, if there is one that is finite.
    #[must_use]
    pub fn number(number: Option<f64>) -> Self {
        number.filter(|n| n.is_finite()).map_or(Self::Nothing, Self::Number)
    }

    /// A setting: a number if it reads as one.
    #[must_use]
    pub fn setting(text: &'a str) -> Self {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number),
            _ => Self::text(text),
        }
    }

    /// The same, kept apart from where it was read.
    #[must_use]
    pub fn owned(&self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(Cow::Owned(text.clone().into_owned())),
            Self::Number(number) => Value::Number(*number),
            Self::Nothing => Value::Nothing,
        }
    }

    /// Whether there is anything.
    #[must_use]
    pub const fn is_something(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// Numbers by size, then texts by letters, whatever their case; what is nothing comes last,
    /// in either direction.
    #[must_use]
    pub fn order(&self, other: &Self, reverse: bool) -> Ordering {
        let turned = |o: Ordering| if reverse { o.reverse() } else { o };
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => turned(a.total_cmp(b)),
            (Self::Text(a), Self::Text(b)) => turned(letters(a, b)),
            (Self::Nothing, Self::Nothing) => Ordering::Equal,
            (Self::Nothing, _) => Ordering::Greater,
            (_, Self::Nothing) => Ordering::Less,
            (Self::Number(_), Self::Text(_)) => turned(Ordering::Less),
            (Self::Text(_), Self::Number(_)) => turned(Ordering::Greater),
        }
    }

    /// As it stands in files.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone().into_owned(),
            Self::Number(number) => number.to_string(),
            Self::Nothing => String::new(),
        }
    }
}

fn letters(a: &str, b: &str) -> Ordering {
    let small = |s: &str| s.chars().flat_map(char::to_lowercase).collect::<String>();
    small(a).cmp(&small(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_last_both_ways() {
        let order = |reverse: bool| {
            let mut all = [Value::Nothing, Value::text("b"), Value::Number(2.0), Value::text("A"), Value::Number(-1.0)];
            all.sort_by(|a, b| a.order(b, reverse));
            all.map(|v| v.plain()).join(",")
        };
        assert_eq!(order(false), "-1,2,A,b,");
        assert_eq!(order(true), "b,A,2,-1,");
        assert_eq!(Value::setting("0.5"), Value::Number(0.5));
        assert_eq!(Value::setting("NaN"), Value::text("NaN"));
        assert_eq!(Value::setting(""), Value::Nothing);
    }
}
