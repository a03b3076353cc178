//! The address of a page: what a reader asked for.

use std::collections::BTreeMap;

/// A path and its query, without what is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// From the first slash.
    pub path: String,
    query: BTreeMap<String, String>,
}

impl Address {
    /// Reads a path and a query as it stands in an address. Of what stands there twice the
    /// last counts.
    #[must_use]
    pub fn new(path: &str, query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.trim_start_matches('?').as_bytes());
        let query = pairs.filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        Self { path: path.to_owned(), query }
    }

    /// What stands in the query.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str)
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
        let a = Address::new("/analyses", "?x=NYU+Depth&b=&a=%3Cb%3E&x=2");
        assert_eq!((a.get("x"), a.get("b"), a.get("a")), (Some("2"), None, Some("<b>")));
        assert_eq!(a.query_with("x", ""), "?a=%3Cb%3E");
        assert_eq!(a.query_with("format", "csv"), "?a=%3Cb%3E&format=csv&x=2");
        assert_eq!(a, Address::new("/analyses", "a=%3Cb%3E&x=2"));
        assert_eq!(Address::new("/", "").query_with("x", ""), "");
    }
}
