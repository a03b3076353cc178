//! What a reader may turn on an analysis, and how a query says it.

use super::{Alignment, Matrix};
use crate::catalogue::{Catalogue, Suite};
use crate::protocol::Protocol;
use crate::run::Score;
use std::sync::Arc;

/// What a reader may turn on an analysis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Key of the task on the x axis; ImageNet's or the suite's first if it is not known.
    pub x: String,
    /// Ranks instead of values.
    pub ranks: bool,
    /// Whether the published figure's points are drawn too.
    pub reference: bool,
    /// What is measured of how alike layers are.
    pub alignments: Arc<Vec<Alignment>>,
    /// The suite's scores of encoders that were trained along with the head, by the protocol of the frozen ones.
    pub fine_tuned: Matrix,
    /// Whose layers they are.
    pub catalogue: Arc<Catalogue>,
}

/// The scores that a query asks for, and how to look at them.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The suite.
    pub suite: Suite,
    /// Its scores by one protocol.
    pub matrix: Matrix,
    /// How to look at them.
    pub options: Options,
}

impl Selection {
    /// Reads a query, of which `get` gives a field: pages and the REST interface ask alike. `results` are scores of
    /// frozen encoders by their heads.
    pub fn from_query<'q>(
        get: impl Fn(&str) -> Option<&'q str>,
        catalogue: &Arc<Catalogue>,
        results: &[Score],
        fine_tuned: &[Score],
        alignments: &Arc<Vec<Alignment>>,
    ) -> Self {
        let asked = get("suite").and_then(|key| catalogue.suite(key));
        let suite = asked.or_else(|| catalogue.suite_with_scores(results)).cloned();
        let suite = suite.unwrap_or_else(|| Suite::named("none"));
        let protocol = get("protocol").and_then(Protocol::of);
        let on = |key: &str| matches!(get(key), Some("1" | "true"));
        let matrix = Matrix::of(catalogue, results, &suite.key, protocol);
        // Without scores the published points are all there is to see.
        let reference = on("reference") || (matrix.filled() == 0 && get("reference").is_none());
        let options = Options {
            x: get("x").unwrap_or_default().to_owned(),
            ranks: on("ranks"),
            reference,
            alignments: Arc::new(of_suite(alignments, catalogue, &suite)),
            fine_tuned: Matrix::of(catalogue, fine_tuned, &suite.key, Some(matrix.protocol)),
            catalogue: catalogue.clone(),
        };
        Self { suite, matrix, options }
    }
}

/// Alignments between encoders of a suite, or of none, as those are that somebody brought.
fn of_suite(alignments: &[Alignment], catalogue: &Catalogue, suite: &Suite) -> Vec<Alignment> {
    let shown = |key: &str| catalogue.encoder(key).is_none_or(|e| e.suites.is_empty() || e.suites.contains(&suite.key));
    alignments.iter().filter(|a| shown(&a.encoders.0) && shown(&a.encoders.1)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignments_are_shown_with_their_encoders_suite() {
        let catalogue = Arc::new(Catalogue::builtin());
        let suites = |key: &str| catalogue.encoder(key).map(|e| e.suites.clone());
        assert_eq!(suites("SWAV_200"), Some(vec!["paper".to_owned()]));
        let between = |a: &str, b: &str| Alignment {
            encoders: (a.to_owned(), b.to_owned()),
            images: 1,
            rows: vec!["conv".into()],
            columns: vec!["conv".into()],
            cka: vec![vec![1.0]],
        };
        let all = Arc::new(vec![between("SWAV_200", "SWAV_800"), between("Mine", "Mine"), between("Mine", "SWAV_200")]);
        let shown = |suite: &str| {
            let get = |key: &str| (key == "suite").then_some(suite);
            let chosen = Selection::from_query(get, &catalogue, &[], &[], &all);
            chosen.options.alignments.iter().map(|a| a.encoders.clone()).collect::<Vec<_>>()
        };
        assert_eq!(shown("paper").len(), 3);
        let other = catalogue.suites().iter().find(|s| s.key != "paper").expect("another suite").key.clone();
        assert_eq!(shown(&other), [("Mine".to_owned(), "Mine".to_owned())]);
    }
}
