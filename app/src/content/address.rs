//! The address of a page: what a reader asked for.

use std::collections::BTreeMap;
use virboard_core::leaderboard::View;

/// A path and its query, without what is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// From the first slash.
    pub path: String,
    query: BTreeMap<String, String>,
}

impl Address {
    /// Reads a path and a query as it stands in an address. What stands there several times is
    /// joined by commas.
    #[must_use]
    pub fn new(path: &str, query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
        Self::of(path, pairs.map(|(key, value)| (key.into_owned(), value.into_owned())))
    }

    /// The same of the fields of a form.
    #[must_use]
    pub fn of(path: &str, fields: impl Iterator<Item = (String, String)>) -> Self {
        let mut read: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in fields.filter(|(_, value)| !value.is_empty()) {
            let all = read.entry(key).or_default();
            if !all.is_empty() {
                all.push(',');
            }
            all.push_str(&value);
        }
        Self { path: path.to_owned(), query: read }
    }

    /// What stands in the query.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str)
    }

    /// What the query says of the leaderboard.
    #[must_use]
    pub fn view(&self) -> View {
        View::from_query(|key| self.get(key).map(str::to_owned))
    }

    /// The query with its question mark and one thing more or changed; empty for none.
    #[must_use]
    pub fn query_with(&self, key: &str, value: &str) -> String {
        let mut query = self.query.clone();
        query.insert(key.to_owned(), value.to_owned());
        query.retain(|_, v| !v.is_empty());
        if query.is_empty() {
            return String::new();
        }
        format!("?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(&query).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_and_written_in_one_order() {
        let a = Address::new("/analyses", "?x=NYU+Depth&b=&a=%3Cb%3E&e=1&e=2");
        assert_eq!((a.get("x"), a.get("b"), a.get("a")), (Some("NYU Depth"), None, Some("<b>")));
        assert_eq!(a.query_with("x", ""), "?a=%3Cb%3E&e=1%2C2");
        assert_eq!(a.query_with("format", "csv"), "?a=%3Cb%3E&e=1%2C2&format=csv&x=NYU+Depth");
        assert_eq!(a, Address::new("/analyses", "a=%3Cb%3E&e=1%2C2&x=NYU%20Depth"));
        assert_eq!(Address::new("/", "").query_with("x", ""), "");
    }
}
