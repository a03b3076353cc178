//! What a reader asked to see of the runs: the query of the page's address.

use crate::leaderboard::encoded;
use crate::sorting::{self, Sorting};

/// How runs are laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// A line each.
    #[default]
    Table,
    /// Encoders beside tasks.
    Grid,
}

/// What colours the grid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shade {
    /// How the runs of a cell stand.
    #[default]
    State,
    /// The best score of a cell, within its task.
    Score,
}

/// Which runs, in which order, showing what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The line of filters, as it was written.
    pub filter: String,
    /// Names of columns to sort by, the first before the second, and whether the other way round.
    pub sort: Sorting,
    /// Names of columns whose values make groups; [`super::SEEDS`] for all but the seed.
    pub group: Vec<String>,
    /// Names of the columns that are shown; none for those in which runs differ.
    pub columns: Vec<String>,
    /// The page of lines, from 0.
    pub page: usize,
    /// Whether all lines are on one page.
    pub whole: bool,
    /// How runs are laid out.
    pub shape: Shape,
    /// What colours the grid.
    pub shade: Shade,
    /// Numbers of the runs that are ticked.
    pub ticked: Vec<i64>,
    /// Number of the run with which others of its task are compared.
    pub baseline: Option<i64>,
}

/// Most names in a list of the query.
const NAMES: usize = 64;
/// Most runs that can be ticked: an address has to be sent.
const TICKED: usize = 1000;
/// Most letters of a filter in an address.
const LETTERS: usize = 2000;

impl View {
    /// The fields of a query, in the order in which they are written.
    pub const FIELDS: [&str; 10] = ["q", "sort", "group", "columns", "page", "all", "view", "shade", "ids", "baseline"];

    /// Reads the query of an address; what it does not know is ignored.
    #[must_use]
    pub fn from_query(get: impl Fn(&str) -> Option<String>) -> Self {
        let list = |key: &str| -> Vec<String> {
            let text = get(key).unwrap_or_default();
            let fits = |s: &&str| !s.is_empty() && s.len() < 128;
            text.split(',').filter(fits).take(NAMES).map(str::to_owned).collect()
        };
        let mut ticked = Vec::new();
        for id in get("ids").unwrap_or_default().split(',').filter_map(|id| id.trim().parse().ok()).take(TICKED) {
            if !ticked.contains(&id) {
                ticked.push(id);
            }
        }
        Self {
            filter: get("q").unwrap_or_default().trim().chars().take(LETTERS).collect(),
            sort: sorting::read(list("sort")),
            group: list("group"),
            columns: list("columns"),
            page: get("page").and_then(|v| v.parse::<usize>().ok()).map_or(0, |p| p.saturating_sub(1)),
            whole: get("all").is_some_and(|v| v == "1"),
            shape: if get("view").is_some_and(|v| v == "grid") { Shape::Grid } else { Shape::Table },
            shade: if get("shade").is_some_and(|v| v == "score") { Shade::Score } else { Shade::State },
            ticked,
            baseline: get("baseline").and_then(|v| v.parse().ok()),
        }
    }

    /// What it has of each field that is not at its default, in their order.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let all = [
            self.filter.clone(),
            sorting::written(&self.sort),
            self.group.join(","),
            self.columns.join(","),
            if self.page == 0 { String::new() } else { (self.page + 1).to_string() },
            if self.whole { "1".to_owned() } else { String::new() },
            if self.shape == Shape::Grid { "grid".to_owned() } else { String::new() },
            if self.shade == Shade::Score { "score".to_owned() } else { String::new() },
            self.ticked.iter().map(i64::to_string).collect::<Vec<_>>().join(","),
            self.baseline.map_or_else(String::new, |b| b.to_string()),
        ];
        Self::FIELDS.into_iter().zip(all).filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The query that [`Self::from_query`] reads back, with its question mark; empty for the default.
    #[must_use]
    pub fn query(&self) -> String {
        let parts: Vec<String> = self
            .fields()
            .into_iter()
            // Commas between names need no signs of their own.
            .map(|(key, value)| format!("{key}={}", encoded(&value).replace("%2C", ",")))
            .collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    /// The address of its page.
    #[must_use]
    pub fn address(&self) -> String {
        format!("/runs{}", self.query())
    }

    /// This view of other runs, from the first page.
    #[must_use]
    pub fn filtered(&self, filter: impl Into<String>) -> Self {
        Self { filter: filter.into(), page: 0, ..self.clone() }
    }

    /// This view sorted by `column` alone; sorted by it already, the other way round, and after
    /// that as it comes.
    #[must_use]
    pub fn sorted_by(&self, column: &str) -> Self {
        let sort = match &self.sort[..] {
            [(c, true)] if c == column => Vec::new(),
            [(c, false)] if c == column => vec![(column.to_owned(), true)],
            _ => vec![(column.to_owned(), false)],
        };
        Self { sort, page: 0, ..self.clone() }
    }

    /// This view sorted by `column` where it was level before; sorted by it already, by it the
    /// other way round.
    #[must_use]
    pub fn then_by(&self, column: &str) -> Self {
        Self { sort: sorting::then_by(&self.sort, column), page: 0, ..self.clone() }
    }

    /// Whether lines are sorted by `column`: its place among the columns from 1, and whether the
    /// other way round.
    #[must_use]
    pub fn sorting(&self, column: &str) -> Option<(usize, bool)> {
        sorting::place(&self.sort, column)
    }
}

/// A view with a name, for everybody.
#[derive(Debug)]
pub struct Named {
    /// What it is called.
    pub name: &'static str,
    /// Its query, with the question mark.
    pub query: &'static str,
}

/// The views that are offered, first the one that opens.
pub static NAMED: &[Named] = &[
    Named { name: "All, newest first", query: "" },
    Named { name: "Running", query: "?q=state=running,queued" },
    Named { name: "Failed", query: "?q=state=failed,interrupted&sort=reason" },
    Named { name: "Seeds folded", query: "?sort=encoder,task&group=seeds" },
    Named { name: "By encoder", query: "?sort=encoder&group=encoder" },
    Named { name: "Slowest", query: "?sort=-seconds" },
    Named { name: "Replaced", query: "?q=replaced=yes" },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> View {
        let pairs: Vec<(&str, &str)> =
            query.trim_start_matches('?').split('&').filter_map(|p| p.split_once('=')).collect();
        View::from_query(|key| {
            let value = pairs.iter().find(|(k, _)| *k == key)?.1;
            // Undoes what `encoded` does.
            let mut bytes = Vec::new();
            let mut rest = value.bytes();
            while let Some(b) = rest.next() {
                bytes.push(match b {
                    b'+' => b' ',
                    b'%' => {
                        let hex: String = rest.by_ref().take(2).map(char::from).collect();
                        u8::from_str_radix(&hex, 16).expect("hexadecimal")
                    }
                    b => b,
                });
            }
            String::from_utf8(bytes).ok()
        })
    }

    #[test]
    fn a_view_survives_its_address() {
        let view = View {
            filter: "task:Pets,dtd lr<=0.01 -\"a & b\" /é+/".into(),
            sort: vec![("score".into(), true), ("fine_tuning.rate".into(), false)],
            group: vec!["encoder".into(), "learning_rate".into()],
            columns: vec!["state".into(), "batch_size".into()],
            page: 3,
            whole: true,
            shape: Shape::Grid,
            shade: Shade::Score,
            ticked: vec![7, 2, 9],
            baseline: Some(7),
        };
        assert_eq!(read(&view.query()), view, "{}", view.query());
        assert_eq!(View::default().query(), "");
        assert_eq!(read("?page=0&ids=3,x,3,-1&view=cake&sort=,,"), View { ticked: vec![3, -1], ..View::default() });
        for named in NAMED {
            assert_eq!(read(named.query).query().replace("%3D", "="), named.query, "{}", named.name);
        }
    }

    #[test]
    fn a_head_sorts_up_then_down_then_not() {
        let view = View { page: 4, ..View::default() };
        let up = view.sorted_by("score");
        assert_eq!((up.sorting("score"), up.page), (Some((1, false)), 0));
        let down = up.sorted_by("score");
        assert_eq!(down.sorting("score"), Some((1, true)));
        assert_eq!(down.sorted_by("score").sort, []);
        assert_eq!(up.then_by("seed").then_by("seed").sorting("seed"), Some((2, true)));
    }
}
