//! Which runs a filter lets through.

use super::column::Kind;
use super::filter::{Filter, Operator, Pattern, Term};
use super::row::RunRow;
use super::runs::Runs;
use super::value::Value;
use std::cmp::Ordering;

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// By how much of itself a number may differ from an equal one.
const NEAR: f64 = 1e-9;

impl Filter {
    /// Places of the runs that it lets through, in their order.
    #[must_use]
    pub fn through(&self, runs: &Runs) -> Vec<usize> {
        (0..runs.rows().len()).filter(|at| self.lets(runs, *at)).collect()
    }

    /// Whether it lets the run at a place through.
    pub(super) fn lets(&self, runs: &Runs, at: usize) -> bool {
        self.terms.iter().all(|t| t.holds(&runs.rows()[at], runs.haystack(at)) != t.negated)
    }
}

impl Term {
    fn holds(&self, run: &RunRow, haystack: &str) -> bool {
        let Some(column) = &self.column else {
            return self.patterns.iter().any(|p| match p {
                Pattern::Regex(regex, _) => regex.is_match(haystack),
                Pattern::Text(small, _) => haystack.contains(small.as_str()),
                Pattern::Number(_, written) => haystack.contains(written.as_str()),
            });
        };
        if column.name() == "tag" && !self.present {
            // Any of them will do.
            let has = |p: &Pattern| run.tags.iter().any(|t| fits(&Value::text(t), Kind::Text, Operator::Is, p));
            return self.patterns.iter().any(has) != (self.operator == Operator::IsNot);
        }
        let value = column.read(run);
        if self.present {
            return value.is_something();
        }
        let found = |p: &Pattern| fits(&value, column.kind(), self.operator, p);
        match self.operator {
            // None of the values may be it.
            Operator::IsNot => !self.patterns.iter().any(|p| fits(&value, column.kind(), Operator::Is, p)),
            _ => self.patterns.iter().any(found),
        }
    }
}

fn fits(value: &Value<'_>, kind: Kind, operator: Operator, pattern: &Pattern) -> bool {
    match (value, pattern) {
        (Value::Nothing, _) => false,
        (value, Pattern::Regex(regex, _)) => regex.is_match(&value.plain()),
        (Value::Number(a), Pattern::Number(b, written)) => match (operator, kind) {
            // A day holds all its moments.
            (Operator::Has | Operator::Is, Kind::Moment) if !written.contains(':') => (*b..b + DAY).contains(a),
            _ => compared(*a, *b, operator),
        },
        (value, pattern) => {
            let text = value.plain();
            match operator {
                Operator::Has => text.to_lowercase().contains(&pattern.written().to_lowercase()),
                Operator::Is => text.to_lowercase() == pattern.written().to_lowercase(),
                _ => false,
            }
        }
    }
}

fn compared(a: f64, b: f64, operator: Operator) -> bool {
    let order = if (a - b).abs() <= NEAR * a.abs().max(b.abs()) { Ordering::Equal } else { a.total_cmp(&b) };
    match operator {
        Operator::Has | Operator::Is => order.is_eq(),
        Operator::IsNot => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::AtMost => order.is_le(),
        Operator::More => order.is_gt(),
        Operator::AtLeast => order.is_ge(),
    }
}
