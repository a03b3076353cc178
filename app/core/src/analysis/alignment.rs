//! How alike the layers of encoders are: linear CKA (Kornblith et al. 2019), measured by
//! `virboard cka`.

use super::report::{Analysis, Marks, Panel, Table};
use crate::catalogue::Catalogue;
use crate::catalogue::encoder::Method;
use crate::statistics::mean;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The measured alignment of all layers of an encoder with all layers of another, or its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// Keys of both.
    pub encoders: (String, String),
    /// Pictures on which it was measured.
    pub images: usize,
    /// Layers of the first, from the picture to the embedding.
    pub rows: Vec<String>,
    /// Layers of the second.
    pub columns: Vec<String>,
    /// A row a layer of the first, 0 to 1.
    pub cka: Vec<Vec<f64>>,
}

impl Alignment {
    /// Whether the table is whole.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.rows.is_empty()
            && self.cka.len() == self.rows.len()
            && self.cka.iter().all(|r| r.len() == self.columns.len() && r.iter().all(|v| v.is_finite()))
    }

    /// The agreement of the first layer with the last of an encoder with itself.
    fn early_late(&self) -> Option<f64> {
        (self.encoders.0 == self.encoders.1).then(|| self.cka.first()?.last().copied()).flatten()
    }

    fn method<'a>(&self, catalogue: &'a Catalogue) -> Option<&'a Method> {
        catalogue.encoder(&self.encoders.0).map(|e| &e.method)
    }

    fn title(&self, catalogue: &Catalogue) -> String {
        let name = |key: &str| catalogue.encoder(key).map_or_else(|| key.to_owned(), |e| e.name.clone());
        let (a, b) = (name(&self.encoders.0), name(&self.encoders.1));
        if a == b { a } else { format!("{a} (down) and {b}") }
    }

    fn panel(&self, title: String) -> Panel {
        let marks = Marks::Heat {
            rows: self.rows.clone(),
            columns: self.columns.clone(),
            values: self.cka.iter().flatten().map(|v| Some(*v)).collect(),
            low: 0.0,
        };
        Panel::new(title, "", "", marks)
    }
}

/// Mean agreement of early and late layers of MoCo v2 and of SwAV encoders, if both are there.
#[must_use]
pub fn early_late(all: &[Alignment], catalogue: &Catalogue) -> Option<(f64, f64)> {
    let of = |method: &Method| {
        let values: Vec<f64> =
            all.iter().filter(|a| a.method(catalogue) == Some(method)).filter_map(Alignment::early_late).collect();
        mean(&values)
    };
    Some((of(&Method::MoCoV2)?, of(&Method::SwAv)?))
}

/// The mean over encoders of a method whose layers are the same.
fn averaged(all: &[Alignment], method: &Method, catalogue: &Catalogue) -> Option<(Alignment, usize)> {
    let own: Vec<&Alignment> =
        all.iter().filter(|a| a.method(catalogue) == Some(method) && a.early_late().is_some()).collect();
    let first = own.first()?;
    let same: Vec<&&Alignment> = own.iter().filter(|a| a.rows == first.rows && a.columns == first.columns).collect();
    let cell = |r: usize, c: usize| same.iter().map(|a| a.cka[r][c]).sum::<f64>() / same.len() as f64;
    let cka = (0..first.rows.len()).map(|r| (0..first.columns.len()).map(|c| cell(r, c)).collect()).collect();
    (same.len() > 1).then(|| (Alignment { cka, ..(*first).clone() }, same.len()))
}

/// Heat maps of each encoder, between encoders and averaged by method, and whether early layers
/// agree with late ones.
#[must_use]
pub fn analysis(all: &[Alignment], catalogue: &Catalogue) -> Analysis {
    let all: Vec<Alignment> = all.iter().filter(|a| a.is_sound()).cloned().collect();
    if all.is_empty() {
        return Analysis::not_enough(
            "No alignment has been measured here yet: “virboard cka --encoders KEY,KEY --images FOLDER --keep” measures one.",
        );
    }
    let mut table = Table::new(&["first encoder", "second encoder", "pictures", "first layer", "last layer", "CKA"]);
    for a in &all {
        for (row, values) in a.rows.iter().zip(&a.cka) {
            for (column, value) in a.columns.iter().zip(values) {
                table.row([
                    a.encoders.0.clone(),
                    a.encoders.1.clone(),
                    a.images.to_string(),
                    row.clone(),
                    column.clone(),
                    format!("{value:.4}"),
                ]);
            }
        }
    }
    let methods: BTreeSet<&Method> = all.iter().filter_map(|a| a.method(catalogue)).collect();
    let mut panels: Vec<Panel> = methods
        .into_iter()
        .filter_map(|m| {
            let (mean, n) = averaged(&all, m, catalogue)?;
            Some(mean.panel(format!("{}: mean of {n} encoders", m.name())))
        })
        .collect();
    let (own, between): (Vec<&Alignment>, Vec<&Alignment>) = all.iter().partition(|a| a.encoders.0 == a.encoders.1);
    panels.extend(own.iter().chain(&between).map(|a| a.panel(a.title(catalogue))));
    let mut findings: Vec<String> = own
        .iter()
        .filter_map(|a| {
            Some(format!("{}: the first and the last layer agree to {:.3}.", a.title(catalogue), a.early_late()?))
        })
        .collect();
    if let Some((moco, swav)) = early_late(&all, catalogue) {
        let more = if moco > swav { "more" } else { "less" };
        findings.insert(
            0,
            format!("Early and late layers agree {more} in MoCo v2 ({moco:.3}) than in SwAV ({swav:.3}), on average."),
        );
    }
    Analysis { panels, findings, missing: None, table }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(key: &str, corner: f64) -> Alignment {
        Alignment {
            encoders: (key.to_owned(), key.to_owned()),
            images: 10,
            rows: vec!["conv".into(), "embedding".into()],
            columns: vec!["conv".into(), "embedding".into()],
            cka: vec![vec![1.0, corner], vec![corner, 1.0]],
        }
    }

    #[test]
    fn methods_are_averaged_and_compared() {
        let all = [own("SWAV_200", 0.2), own("SWAV_800", 0.4), own("MoCov2_200", 0.5)];
        let catalogue = Catalogue::builtin();
        assert_eq!(early_late(&all, &catalogue).map(|(m, s)| (m, (s * 1e6).round() / 1e6)), Some((0.5, 0.3)));
        let answer = analysis(&all, &catalogue);
        assert_eq!(answer.panels.len(), 4, "one mean, three encoders");
        assert!(answer.findings[0].contains("agree more in MoCo v2"), "{:?}", answer.findings);
        assert_eq!(answer.table.rows.len(), 12);
    }

    #[test]
    fn without_measurements_it_says_how_to_make_them() {
        let catalogue = Catalogue::builtin();
        assert!(analysis(&[], &catalogue).missing.is_some_and(|m| m.contains("virboard cka")));
        let broken = Alignment { cka: vec![vec![1.0]], ..own("SWAV_200", 0.1) };
        assert!(analysis(&[broken], &catalogue).missing.is_some());
        assert_eq!(early_late(&[own("SWAV_200", 0.2)], &catalogue), None);
    }
}
