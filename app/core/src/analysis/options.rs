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
            alignments: alignments.clone(),
            fine_tuned: Matrix::of(catalogue, fine_tuned, &suite.key, Some(matrix.protocol)),
            catalogue: catalogue.clone(),
        };
        Self { suite, matrix, options }
    }
}
