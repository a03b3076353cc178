//! The runs of a server at one moment.

use super::column::{Reading, alias, known};
use super::row::RunRow;
use std::collections::{BTreeSet, HashMap};

/// All runs at one moment, the newest first, with what filters need to be quick.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    rows: Vec<RunRow>,
    haystacks: Vec<String>,
    places: HashMap<i64, usize>,
    settings: Vec<String>,
}

impl Runs {
    /// The runs, in any order; their settings are sorted by name here.
    #[must_use]
    pub fn new(mut rows: Vec<RunRow>) -> Self {
        rows.sort_by_key(|r| std::cmp::Reverse((r.started, r.id)));
        let mut names = BTreeSet::new();
        for row in &mut rows {
            // What has a column of its own is none.
            row.settings.retain(|(name, _)| known(name).is_none());
            row.settings.sort();
            row.settings.dedup_by(|a, b| a.0 == b.0);
            for (name, _) in &row.settings {
                if !names.contains(name) {
                    names.insert(name.clone());
                }
            }
        }
        let haystacks = rows.iter().map(RunRow::haystack).collect();
        let places = rows.iter().enumerate().map(|(at, r)| (r.id, at)).collect();
        Self { rows, haystacks, places, settings: names.into_iter().collect() }
    }

    /// All of them, the newest first.
    #[must_use]
    pub fn rows(&self) -> &[RunRow] {
        &self.rows
    }

    /// A run by its number.
    #[must_use]
    pub fn get(&self, id: i64) -> Option<&RunRow> {
        self.places.get(&id).map(|at| &self.rows[*at])
    }

    /// What bare words are looked for in.
    pub(super) fn haystack(&self, at: usize) -> &str {
        &self.haystacks[at]
    }

    /// Names of all settings, sorted.
    #[must_use]
    pub fn settings(&self) -> &[String] {
        &self.settings
    }

    /// The column of a name, in any case, or of another name for it; `None` for what no run has.
    #[must_use]
    pub fn reading(&self, name: &str) -> Option<Reading> {
        let name = name.to_lowercase();
        let name = alias(&name).unwrap_or(&name);
        if let Some(column) = known(name) {
            return Some(Reading::Known(column));
        }
        self.settings.iter().find(|s| s.to_lowercase() == name).map(|s| Reading::Setting(s.clone()))
    }

    /// Names of all columns.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        super::column::KNOWN.iter().map(|c| c.name).chain(self.settings.iter().map(String::as_str))
    }
}
