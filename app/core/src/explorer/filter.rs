//! The line of filters: `task:Pets state:failed lr<0.01 -encoder:/mini/ "two words"`.
//!
//! Terms stand beside each other and all have to hold; a minus before one turns it round; values
//! with commas between them are alternatives. `NAME:VALUE` asks whether a text contains the
//! value (a number is equal), `NAME=VALUE` whether it is the value, `<`, `<=`, `>` and `>=` compare
//! numbers, moments and lengths of time, and `has:NAME` asks whether there is anything. A bare word is looked for in
//! everything. Values between slashes are regular expressions, in whatever case.

mod reader;

use super::column::Reading;
use super::runs::Runs;
use reader::Reader;
use regex::Regex;
use std::fmt;

/// Most bytes of a line.
const LONGEST: usize = 2000;

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// A text contains the value, a number is it.
    Has,
    /// It is the value.
    Is,
    /// It is another one.
    IsNot,
    /// It is less.
    Less,
    /// It is at most the value.
    AtMost,
    /// It is more.
    More,
    /// It is at least the value.
    AtLeast,
}

impl Operator {
    /// Signs, those with two letters first.
    const ALL: [(Self, &'static str); 8] = [
        (Self::AtMost, "<="),
        (Self::AtLeast, ">="),
        (Self::IsNot, "!="),
        (Self::Is, "=="),
        (Self::Less, "<"),
        (Self::More, ">"),
        (Self::Is, "="),
        (Self::Has, ":"),
    ];

    fn sign(self) -> &'static str {
        Self::ALL.iter().rev().find(|o| o.0 == self).map_or(":", |o| o.1)
    }

    /// The operator at the start of a text, with the length of its sign.
    fn at(text: &str) -> Option<(Self, usize)> {
        Self::ALL.iter().find(|(_, sign)| text.starts_with(sign)).map(|(o, sign)| (*o, sign.len()))
    }

    const fn compares(self) -> bool {
        matches!(self, Self::Less | Self::AtMost | Self::More | Self::AtLeast)
    }
}

/// What is looked for.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// A text, in small letters, and as it was written.
    Text(String, String),
    /// A number, and as it was written.
    Number(f64, String),
    /// A regular expression.
    Regex(Regex, String),
}

impl Pattern {
    /// As it was written, without quotes.
    #[must_use]
    pub fn written(&self) -> &str {
        match self {
            Self::Text(_, written) | Self::Number(_, written) | Self::Regex(_, written) => written,
        }
    }
}

/// One condition.
#[derive(Debug, Clone)]
pub struct Term {
    /// Whether it must not hold.
    pub negated: bool,
    /// The column that it is about; nothing for a bare word.
    pub column: Option<Reading>,
    /// Whether it only asks that the column has something.
    pub present: bool,
    /// How they are compared.
    pub operator: Operator,
    /// Alternatives.
    pub patterns: Vec<Pattern>,
}

/// A line of filters. An empty one lets everything through.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// All of them have to hold.
    pub terms: Vec<Term>,
}

/// Why a line is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// At which letter, from 1.
    pub at: usize,
    /// What is wrong there and what to do.
    pub what: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter {} of the filter: {}", self.at, self.what)
    }
}

impl std::error::Error for FilterError {}

impl Filter {
    /// Reads a line; names are those of the columns that `runs` have.
    ///
    /// # Errors
    /// [`FilterError`] says where and what to write instead.
    pub fn parse(line: &str, runs: &Runs) -> Result<Self, FilterError> {
        if line.len() > LONGEST {
            return Err(FilterError { at: LONGEST, what: format!("it has more than {LONGEST} letters; shorten it") });
        }
        let mut reader = Reader::new(line, runs);
        let mut terms = Vec::new();
        while reader.skip() {
            if let Some(term) = reader.term()? {
                terms.push(term);
            }
        }
        Ok(Self { terms })
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The same without what is asked of a column.
    #[must_use]
    pub fn without(&self, column: &Reading) -> Self {
        Self { terms: self.terms.iter().filter(|t| t.column.as_ref() != Some(column)).cloned().collect() }
    }

    /// The values that a column may have by terms of the form `NAME=VALUE`.
    #[must_use]
    pub fn values(&self, column: &Reading) -> Vec<&str> {
        let about = |t: &&Term| {
            t.column.as_ref() == Some(column) && !t.negated && matches!(t.operator, Operator::Is | Operator::Has)
        };
        self.terms.iter().filter(about).flat_map(|t| t.patterns.iter().map(Pattern::written)).collect()
    }

    /// The same with this value of a column alone.
    #[must_use]
    pub fn only(&self, column: &Reading, value: &str) -> Self {
        self.without(column).toggled(column, value)
    }

    /// The same with a value of a column allowed too, or no more if it was the value.
    #[must_use]
    pub fn toggled(&self, column: &Reading, value: &str) -> Self {
        let mut values: Vec<&str> = self.values(column);
        match values.iter().position(|v| v.eq_ignore_ascii_case(value)) {
            Some(at) => drop(values.remove(at)),
            None => values.push(value),
        }
        let mut changed = self.without(column);
        if !values.is_empty() {
            let patterns = values.iter().map(|v| Pattern::Text(v.to_lowercase(), (*v).to_owned())).collect();
            let (column, operator) = (Some(column.clone()), Operator::Is);
            changed.terms.push(Term { negated: false, column, present: false, operator, patterns });
        }
        changed
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            write!(f, "{}{}", if i > 0 { " " } else { "" }, if term.negated { "-" } else { "" })?;
            match &term.column {
                Some(column) if term.present => {
                    write!(f, "has:{}", column.name())?;
                    continue;
                }
                Some(column) => write!(f, "{}{}", column.name(), term.operator.sign())?,
                None => {}
            }
            for (i, pattern) in term.patterns.iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                match pattern {
                    Pattern::Regex(_, written) => write!(f, "{comma}/{}/", written.replace('/', "\\/"))?,
                    Pattern::Text(_, written) | Pattern::Number(_, written) => {
                        write!(f, "{comma}{}", quoted(written))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A value as it has to be written, with quotes where it would be taken for something else.
pub(super) fn quoted(value: &str) -> String {
    let plain = !value.is_empty()
        && !value.starts_with(['-', '/'])
        && !matches!(value, "AND" | "OR")
        && !value.contains(|c: char| c.is_whitespace() || "\",:=<>!".contains(c));
    if plain { value.to_owned() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
}
