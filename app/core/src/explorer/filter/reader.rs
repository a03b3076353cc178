//! Reads a line of filters.

use super::{FilterError, Operator, Pattern, Term};
use crate::catalogue::nearest;
use crate::explorer::column::{Kind, Reading};
use crate::explorer::moment::moment_of;
use crate::explorer::runs::Runs;
use regex::RegexBuilder;

/// Most bytes that a compiled regular expression may have.
const LARGEST: usize = 1 << 18;

/// Reads terms one after the other.
pub(super) struct Reader<'a> {
    line: &'a str,
    at: usize,
    runs: &'a Runs,
}

impl<'a> Reader<'a> {
    /// At the start of a line; names are those of the columns that `runs` have.
    pub(super) const fn new(line: &'a str, runs: &'a Runs) -> Self {
        Self { line, at: 0, runs }
    }

    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn error(&self, at: usize, what: impl Into<String>) -> FilterError {
        FilterError { at: self.line[..at].chars().count() + 1, what: what.into() }
    }

    /// Passes over spaces; whether anything is left.
    pub(super) fn skip(&mut self) -> bool {
        self.at += self.rest().len() - self.rest().trim_start().len();
        !self.rest().is_empty()
    }

    /// One term; nothing for a word that only joins them.
    pub(super) fn term(&mut self) -> Result<Option<Term>, FilterError> {
        let start = self.at;
        let negated = self.rest().starts_with('-');
        if negated {
            self.at += 1;
            if self.rest().is_empty() || self.rest().starts_with(char::is_whitespace) {
                return Err(self.error(start, "a minus stands directly before what must not be: -state:failed"));
            }
        }
        let bare =
            |pattern| Term { negated, column: None, present: false, operator: Operator::Has, patterns: vec![pattern] };
        if self.rest().starts_with(['"', '/']) {
            return Ok(Some(bare(self.pattern(None)?)));
        }
        let from = self.at;
        let word = self.word();
        if word.is_empty() {
            return Err(self.error(from, "a value stands here without the name of a column before it"));
        }
        match word {
            "AND" if !negated => return Ok(None),
            "OR" if !negated => {
                return Err(self.error(from, "write alternatives with a comma: state:failed,interrupted"));
            }
            _ => {}
        }
        let Some(operator) = self.operator(word) else {
            return Ok(Some(bare(Pattern::Text(word.to_lowercase(), word.to_owned()))));
        };
        if word == "has" {
            self.skip();
            let at = self.at;
            let name = self.word();
            let column = Some(self.column(name, at)?);
            return Ok(Some(Term { negated, column, present: true, operator, patterns: Vec::new() }));
        }
        let column = self.column(word, from)?;
        if operator.compares() && !column.kind().is_numeric() {
            let what = format!("{word} is a text: write {word}:VALUE or {word}=VALUE");
            return Err(self.error(from, what));
        }
        let mut patterns = Vec::new();
        loop {
            self.skip();
            if self.rest().is_empty() {
                return Err(self.error(self.at, format!("a value is missing behind {word}{}", operator.sign())));
            }
            patterns.push(self.pattern(Some((&column, operator)))?);
            if !self.rest().starts_with(',') {
                break;
            }
            self.at += 1;
        }
        Ok(Some(Term { negated, column: Some(column), present: false, operator, patterns }))
    }

    /// The letters up to a space, a comma or an operator.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| c.is_whitespace() || ",:=<>!\"".contains(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// The operator behind a word, also with spaces before it where the word is a column.
    fn operator(&mut self, word: &str) -> Option<Operator> {
        let rest = self.rest();
        let spaces = rest.len() - rest.trim_start().len();
        if spaces > 0 && self.runs.reading(word).is_none() {
            return None;
        }
        let (operator, length) = Operator::at(&rest[spaces..])?;
        self.at += spaces + length;
        Some(operator)
    }

    fn column(&self, name: &str, at: usize) -> Result<Reading, FilterError> {
        if let Some(column) = self.runs.reading(name) {
            return Ok(column);
        }
        let perhaps = match nearest(name, self.runs.names()) {
            Some(near) => format!("; did you mean {near}?"),
            None => ". Put it in quotes to look for it as it is".to_owned(),
        };
        Err(self.error(at, format!("runs have no column “{name}”{perhaps}")))
    }

    /// A value: of a column, or a bare one.
    fn pattern(&mut self, column: Option<(&Reading, Operator)>) -> Result<Pattern, FilterError> {
        let from = self.at;
        match self.rest().chars().next() {
            Some('/') => {
                let source = self.until('/', "the regular expression is not closed: end it with /")?;
                let mut builder = RegexBuilder::new(&source);
                let built = builder.case_insensitive(true).size_limit(LARGEST).dfa_size_limit(LARGEST * 4).build();
                let regex = built.map_err(|e| {
                    let why = e.to_string();
                    let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    self.error(from, format!("this is no regular expression: {last}"))
                })?;
                Ok(Pattern::Regex(regex, source))
            }
            Some('"') => {
                let text = self.until('"', "the quote is not closed: end it with \"")?;
                // A moment has a space in it.
                let number = column.and_then(|(c, _)| number(&text, c.kind()));
                Ok(number.map_or_else(
                    || Pattern::Text(text.to_lowercase(), text.clone()),
                    |n| Pattern::Number(n, text.clone()),
                ))
            }
            _ => {
                let rest = self.rest();
                let end = rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len());
                let text = &rest[..end];
                if text.is_empty() {
                    return Err(self.error(from, "a value is missing before the comma"));
                }
                self.at += end;
                let Some((column, operator)) = column else {
                    return Ok(Pattern::Text(text.to_lowercase(), text.to_owned()));
                };
                match number(text, column.kind()) {
                    Some(number) => Ok(Pattern::Number(number, text.to_owned())),
                    None if operator.compares() || matches!(column, Reading::Known(c) if c.kind.is_numeric()) => {
                        Err(self.error(from, format!("“{text}” is no {}", wanted(column.kind()))))
                    }
                    None => Ok(Pattern::Text(text.to_lowercase(), text.to_owned())),
                }
            }
        }
    }

    /// The text up to a sign before which there is no backslash; both signs are passed.
    fn until(&mut self, sign: char, missing: &str) -> Result<String, FilterError> {
        let from = self.at;
        let mut text = String::new();
        let mut letters = self.line[from + 1..].char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, next)) if next == sign || (sign == '"' && next == '\\') => text.push(next),
                    Some((_, next)) => text.extend(['\\', next]),
                    None => break,
                },
                l if l == sign => {
                    self.at = from + 1 + at + 1;
                    return Ok(text);
                }
                l => text.push(l),
            }
        }
        Err(self.error(from, missing))
    }
}

const fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Moment => "moment: write 2026-11-28, or \"2026-11-28 14:05\"",
        Kind::Seconds => "length of time: write 90s, 5m, 2h or 1d",
        Kind::Score => "number: write 0.8 or 80%",
        Kind::Number | Kind::Label | Kind::Text => "number",
    }
}

/// A number as a column of a kind has it.
fn number(text: &str, kind: Kind) -> Option<f64> {
    if kind == Kind::Text {
        return None;
    }
    if kind == Kind::Moment {
        return moment_of(text).map(|m| m as f64);
    }
    let units: &[(&str, f64)] = match kind {
        Kind::Seconds => &[("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)],
        _ => &[("%", 0.01)],
    };
    let unit = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (digits, factor) = unit.unwrap_or((text, &1.0));
    // A decimal comma ends a value; words such as inf are names.
    let number: f64 = digits.parse().ok().filter(|n: &f64| n.is_finite())?;
    Some(number * factor)
}
