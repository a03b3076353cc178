//! Which rows a view shows, and in which order.

use super::{Sheet, View};
use crate::catalogue::task::Category;
use std::cmp::Ordering;

/// Most rows of a page.
const ROWS: usize = 60;
/// Cells that a browser lays out in no noticeable time.
const CELLS: usize = 1600;

/// The rows that are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Indices of rows, in order.
    pub rows: Vec<usize>,
    /// Rows that pass the filters.
    pub found: usize,
    /// The page, from 0.
    pub page: usize,
    /// Pages.
    pub pages: usize,
}

impl Sheet {
    /// The rows that `view` asks for. Rows without a value come last, whatever the direction;
    /// rows that are level keep the order of places, then of the catalogue.
    #[must_use]
    pub fn page(&self, view: &View) -> Page {
        let rows = self.ordered(view);
        let found = rows.len();
        let size = self.page_rows();
        let pages = found.div_ceil(size).max(1);
        let page = view.page.min(pages - 1);
        Page { rows: rows.into_iter().skip(page * size).take(size).collect(), found, page, pages }
    }

    /// Rows of a page: fewer where there are many columns.
    #[must_use]
    pub fn page_rows(&self) -> usize {
        (CELLS / self.columns.len().max(1)).clamp(15, ROWS)
    }

    /// All rows that pass the filters, in order.
    #[must_use]
    pub fn ordered(&self, view: &View) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.rows.len()).filter(|r| self.passes(*r, view)).collect();
        let by_place = [("place".to_owned(), false)];
        let keys: Vec<(Vec<Option<f64>>, bool)> =
            view.sort.iter().chain(&by_place).map(|(column, reverse)| (self.keys(column), *reverse)).collect();
        rows.sort_by(|a, b| {
            let one = |(keys, reverse): &(Vec<Option<f64>>, bool)| match (keys[*a], keys[*b]) {
                (Some(x), Some(y)) if *reverse => y.total_cmp(&x),
                (Some(x), Some(y)) => x.total_cmp(&y),
                (x, y) => y.is_some().cmp(&x.is_some()),
            };
            keys.iter().map(one).find(|o| *o != Ordering::Equal).unwrap_or(Ordering::Equal)
        });
        rows
    }

    fn passes(&self, row: usize, view: &View) -> bool {
        let r = &self.rows[row];
        let words = view.search.to_lowercase();
        view.method.as_ref().is_none_or(|m| *m == r.method.slug())
            && view.pretraining.as_ref().is_none_or(|p| *p == r.pretraining.slug())
            && view.epochs.is_none_or(|e| Some(e) == r.epochs)
            && (words.is_empty() || {
                let text = format!("{} {} {} {}", r.key, r.name, r.method.name(), r.pretraining.name()).to_lowercase();
                words.split_whitespace().all(|w| text.contains(w))
            })
    }

    /// A number a row that grows from what is to come first.
    fn keys(&self, column: &str) -> Vec<Option<f64>> {
        let alphabetical = |text: &dyn Fn(usize) -> String| {
            let texts: Vec<String> = (0..self.rows.len()).map(text).collect();
            let mut sorted: Vec<&String> = texts.iter().collect();
            sorted.sort_unstable();
            sorted.dedup();
            texts.iter().map(|t| sorted.binary_search(&t).ok().map(|i| i as f64)).collect()
        };
        if let Some(c) = self.columns.iter().find(|c| c.key == column) {
            return c.scores.iter().map(|s| s.map(|s| -c.metric.sign() * s)).collect();
        }
        if let Some(c) = Category::ALL.into_iter().find(|c| c.slug() == column) {
            return self.rows.iter().map(|r| r.place.as_ref()?.categories[c as usize]).collect();
        }
        match column {
            "name" => alphabetical(&|r| self.rows[r].name.clone()),
            "method" => alphabetical(&|r| self.rows[r].method.name().to_owned()),
            "dataset" => alphabetical(&|r| self.rows[r].pretraining.name().to_owned()),
            "epochs" => self.rows.iter().map(|r| r.epochs.map(|e| -f64::from(e))).collect(),
            "place" => self.rows.iter().map(|r| r.place.as_ref().map(|p| p.mean_rank)).collect(),
            _ => vec![None; self.rows.len()],
        }
    }
}
