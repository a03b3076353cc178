//! What a view shows, as plain numbers and texts: what cells are made of and what is exported.

use super::{Column, Sheet, Show, View};
use crate::catalogue::task::Category;

/// Columns and rows as they are seen, on all pages.
#[derive(Debug, Clone, PartialEq)]
pub struct Extract {
    /// Names of the columns beside the encoder's, and what their numbers are.
    pub columns: Vec<(String, String)>,
    /// Key and name of an encoder, and its values.
    pub rows: Vec<(String, String, Vec<Value>)>,
}

/// A number and how it is written in a cell.
pub type Value = (Option<f64>, String);

impl Column {
    /// What a cell shows: in `Show::Score` the metric's own number.
    #[must_use]
    pub fn value(&self, row: usize, base: Option<usize>, show: Show) -> Option<f64> {
        let score = self.scores[row]?;
        match show {
            Show::Score => Some(score),
            Show::Rank => Some(self.rank(row) as f64).filter(|rank| *rank > 0.0),
            Show::Relative => base.and_then(|b| self.relative(row, b)).map(|r| 100.0 * r),
            Show::Normalised => self.normalised(row, base),
        }
    }

    /// [`Self::value`] as people read it: nothing without a score, a dash for what cannot be
    /// computed.
    #[must_use]
    pub fn text(&self, row: usize, base: Option<usize>, show: Show) -> String {
        match (self.scores[row], self.value(row, base, show)) {
            (None, _) => String::new(),
            (_, None) => "–".to_owned(),
            (_, Some(v)) => match show {
                Show::Score => self.metric.format(v),
                Show::Rank => format!("{v}"),
                Show::Relative | Show::Normalised => format!("{v:+.1}"),
            },
        }
    }
}

impl Sheet {
    /// What `view` shows of this sheet.
    #[must_use]
    pub fn extract(&self, view: &View) -> Extract {
        enum Kind<'a> {
            Place,
            Task(&'a Column),
            Folded(usize),
        }
        let mut kinds = Vec::new();
        let mut columns = Vec::new();
        if self.rows.iter().any(|r| r.place.is_some()) {
            kinds.push(Kind::Place);
            columns.push(("mean_rank".to_owned(), "mean rank".to_owned()));
        }
        for category in Category::ALL {
            let mut tasks = self.columns.iter().filter(|c| c.category == category).peekable();
            if view.folded.contains(&category) && tasks.peek().is_some() {
                kinds.push(Kind::Folded(category as usize));
                columns.push((category.slug().to_owned(), format!("{}: mean rank", category.name())));
                continue;
            }
            for c in tasks.filter(|c| !view.hidden.contains(&c.key)) {
                let unit = if c.metric.is_share() { "share" } else { c.unit.as_str() };
                let what = match view.show {
                    Show::Score => format!("{}, {unit}", c.metric.name()),
                    show => show.name().to_owned(),
                };
                kinds.push(Kind::Task(c));
                columns.push((c.key.clone(), format!("{}: {what}", c.name)));
            }
        }
        let base = self.base();
        let rows = self.ordered(view).into_iter().map(|r| {
            let row = &self.rows[r];
            let plain = |v: Option<f64>| (v, v.map_or_else(String::new, |v| format!("{v:.1}")));
            let values = kinds.iter().map(|kind| match kind {
                Kind::Place => plain(row.place.as_ref().map(|p| p.mean_rank)),
                Kind::Folded(c) => plain(row.place.as_ref().and_then(|p| p.categories[*c])),
                Kind::Task(c) => (c.value(r, base, view.show), c.text(r, base, view.show)),
            });
            (row.key.clone(), row.name.clone(), values.collect())
        });
        Extract { columns, rows: rows.collect() }
    }
}
