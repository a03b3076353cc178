//! What a reader asked to see: the query of the page's address.

use crate::catalogue::task::Category;
use crate::sorting::{self, Sorting};

/// What cells show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Show {
    /// The metric's own number.
    #[default]
    Score,
    /// The rank on the task.
    Rank,
    /// The improvement over Supervised in percent.
    Relative,
    /// Standard deviations above Supervised, or above the mean without it.
    Normalised,
}

impl Show {
    /// All, in the order in which they are offered.
    pub const ALL: [Self; 4] = [Self::Score, Self::Rank, Self::Relative, Self::Normalised];

    /// Short form for addresses.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Rank => "rank",
            Self::Relative => "relative",
            Self::Normalised => "normalised",
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Score => "scores",
            Self::Rank => "ranks",
            Self::Relative => "% over Supervised",
            Self::Normalised => "deviations over Supervised",
        }
    }
}

/// Which rows and columns, in which order, showing what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Only this training method, by its slug.
    pub method: Option<String>,
    /// Only this training data, by its slug.
    pub pretraining: Option<String>,
    /// Only this number of epochs.
    pub epochs: Option<u32>,
    /// Only encoders whose name, method or data contains each of these words.
    pub search: String,
    /// Columns by which rows are sorted, the first before the second, and whether the other way
    /// round: a task's key, a category's slug, `place`, `name`, `method`, `dataset` or `epochs`.
    pub sort: Sorting,
    /// What cells show.
    pub show: Show,
    /// Categories of which only the mean rank is shown.
    pub folded: Vec<Category>,
    /// Keys of tasks that are not shown.
    pub hidden: Vec<String>,
    /// The page of rows, from 0.
    pub page: usize,
}

impl View {
    /// Reads the query of an address; what it does not know is ignored.
    #[must_use]
    pub fn from_query(get: impl Fn(&str) -> Option<String>) -> Self {
        let list = |key: &str| -> Vec<String> {
            let text = get(key).unwrap_or_default();
            text.split(',').filter(|s| safe(s)).map(str::to_owned).collect()
        };
        let folded = list("fold");
        Self {
            method: get("method").filter(|v| safe(v)),
            pretraining: get("dataset").filter(|v| safe(v)),
            epochs: get("epochs").and_then(|v| v.parse().ok()),
            search: get("q").unwrap_or_default().chars().take(80).collect(),
            sort: sorting::read(list("sort")),
            show: get("show").and_then(|v| Show::ALL.into_iter().find(|s| s.slug() == v)).unwrap_or_default(),
            folded: Category::ALL.into_iter().filter(|c| folded.iter().any(|f| f == c.slug())).collect(),
            hidden: list("hide"),
            page: get("page").and_then(|v| v.parse::<usize>().ok()).map_or(0, |p| p.saturating_sub(1)),
        }
    }

    /// The query that [`Self::from_query`] reads back, with its question mark; empty for the default.
    #[must_use]
    pub fn query(&self) -> String {
        let mut parts = Vec::new();
        let mut part = |key: &str, value: &str| {
            if !value.is_empty() {
                parts.push(format!("{key}={value}"));
            }
        };
        part("method", self.method.as_deref().unwrap_or_default());
        part("dataset", self.pretraining.as_deref().unwrap_or_default());
        part("epochs", &self.epochs.map_or_else(String::new, |e| e.to_string()));
        part("q", &encoded(&self.search));
        part("sort", &sorting::written(&self.sort));
        part("show", if self.show == Show::Score { "" } else { self.show.slug() });
        part("fold", &self.folded.iter().map(|c| c.slug()).collect::<Vec<_>>().join(","));
        part("hide", &self.hidden.join(","));
        part("page", &if self.page == 0 { String::new() } else { (self.page + 1).to_string() });
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }

    /// This view sorted by `column` alone; sorted by it already, the other way round.
    #[must_use]
    pub fn sorted_by(&self, column: &str) -> Self {
        let reverse = matches!(&self.sort[..], [(c, r)] if c == column && !r);
        Self { sort: vec![(column.to_owned(), reverse)], page: 0, ..self.clone() }
    }

    /// This view sorted by `column` where it was level before; sorted by it already, by it the
    /// other way round.
    #[must_use]
    pub fn then_by(&self, column: &str) -> Self {
        Self { sort: sorting::then_by(&self.sort, column), page: 0, ..self.clone() }
    }

    /// Whether rows are sorted by `column`: its place among the columns from 1, and whether
    /// the other way round.
    #[must_use]
    pub fn sorting(&self, column: &str) -> Option<(usize, bool)> {
        sorting::place(&self.sort, column)
    }

    /// This view with a category folded, or unfolded if it was.
    #[must_use]
    pub fn toggled(&self, category: Category) -> Self {
        let mut folded = self.folded.clone();
        match folded.iter().position(|c| *c == category) {
            Some(i) => drop(folded.remove(i)),
            None => folded.push(category),
        }
        folded.sort_unstable();
        Self { folded, ..self.clone() }
    }

    /// This view without a task, or with it if it was hidden.
    #[must_use]
    pub fn hiding(&self, task: &str) -> Self {
        let mut hidden = self.hidden.clone();
        match hidden.iter().position(|h| h == task) {
            Some(i) => drop(hidden.remove(i)),
            None => hidden.push(task.to_owned()),
        }
        Self { hidden, ..self.clone() }
    }
}

/// Whether a name can stand in an address as it is.
pub(super) fn safe(name: &str) -> bool {
    !name.is_empty() && name.len() < 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The text as it may stand in a query.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    text.bytes()
        .map(|b| match b {
            b' ' => "+".to_owned(),
            b if plain(b) => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_survives_its_address() {
        let view = View {
            method: Some("moco-v2".into()),
            pretraining: Some("half-imagenet".into()),
            epochs: Some(200),
            search: String::new(),
            sort: vec![("NYUDepth".into(), true), ("pixel-semantic".into(), false)],
            show: Show::Relative,
            folded: vec![Category::ImageSemantic, Category::PixelStructural],
            hidden: vec!["Pets".into(), "CIFAR-100".into()],
            page: 3,
        };
        let query = view.query();
        let get = |key: &str| {
            let pairs = query.trim_start_matches('?').split('&');
            pairs.filter_map(|p| p.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v.to_owned())
        };
        assert_eq!(View::from_query(get), view);
        assert_eq!(View { search: "a b&<é".into(), ..View::default() }.query(), "?q=a+b%26%3C%C3%A9");
        assert_eq!(View::default().query(), "");
        let hostile = View::from_query(|_| Some("<script>".into()));
        assert_eq!(hostile, View { search: "<script>".into(), ..View::default() });
    }

    #[test]
    fn sorting_turns_round_and_adds() {
        let view = View::default().sorted_by("Pets");
        assert_eq!(view.sorting("Pets"), Some((1, false)));
        assert_eq!(view.sorted_by("Pets").sorting("Pets"), Some((1, true)));
        let both = view.then_by("name").then_by("Pets");
        assert_eq!((both.sorting("Pets"), both.sorting("name")), (Some((1, true)), Some((2, false))));
        assert_eq!(both.sorted_by("Pets").sort, [("Pets".to_owned(), false)]);
    }

    #[test]
    fn folding_and_hiding_are_undone_by_doing_them_again() {
        let view = View::default().toggled(Category::PixelSemantic).hiding("Pets");
        assert_eq!((view.folded.len(), view.hidden.len()), (1, 1));
        assert_eq!(view.toggled(Category::PixelSemantic).hiding("Pets"), View::default());
    }
}
