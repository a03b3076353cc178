//! An end task: what it asks, who does it best, what it has in common with other tasks, what
//! was published, how to get its data.

use super::parts::{crumbs, table, unit};
use super::{Facts, Page};
use crate::charts::figure;
use maud::{Markup, html};
use virboard_core::analysis::kinds::correlations;
use virboard_core::analysis::{Bar, Marks, Matrix, Panel, Sample, Series, Table};
use virboard_core::catalogue::Catalogue;
use virboard_core::catalogue::published::{Published, published};
use virboard_core::catalogue::task::{Task, TaskRole};
use virboard_core::leaderboard::Column;
use virboard_core::protocol::Protocol;
use virboard_core::run::Score;
use virboard_core::words::counted;

/// The page.
pub fn page(key: &str, facts: &Facts) -> Option<Page> {
    let t = facts.board.catalogue.task(key)?;
    let results: Vec<&Score> = facts.board.results.iter().filter(|r| r.task == t.key).collect();
    let body = html! {
        (crumbs(&[("/", "Leaderboard")], t.category.name()))
        h1 { (t.name) }
        p { (t.description) }
        @if !t.caveat.is_empty() { p.caveat { (t.caveat) } }
        (facts_of(t))
        section {
            h2 { "Standing" }
            @if results.is_empty() {
                p.note { "No encoder has been measured on this task on this server." }
            } @else {
                (standing(t, &results, facts))
                @if let Some(panel) = distribution(t, &results, &facts.board.catalogue) { div.charts { (figure(&panel)) } }
            }
        }
        (super::fine_tuned::of_task(t, facts))
        (super::examples::section(t, facts))
        (related(t, facts))
        @if let Some(p) = published(&t.key) { section { h2 { "Published" } (reference(t, p)) } }
        (data(t))
    };
    Some((t.name.clone(), body))
}

fn facts_of(t: &Task) -> Markup {
    let or_unknown = |n: Option<String>| n.unwrap_or_else(|| "–".to_owned());
    let fact = |name: &str, value: &str| html! { div { dt { (name) } dd { (value) } } };
    let training = t.epochs.zip(t.learning_rate).zip(t.batch_size);
    html! {
        dl.facts {
            div { dt { "Key" } dd { code { (t.key) } } }
            div { dt { "Metric" } dd title=(t.metric.help()) { (t.metric.name()) @if !t.unit.is_empty() { ", " (t.unit) } } }
            (fact("Data set", &t.dataset))
            (fact("Training samples", &or_unknown(t.train_size.map(|n| n.to_string()))))
            (fact("Classes", &or_unknown(t.classes.map(|n| n.to_string()))))
            (fact("Images a sample", &t.images.to_string()))
            (fact("Head", &t.head_label()))
            (fact("Loss", &t.loss_label()))
            (fact("Input", &t.input_label()))
            (fact("Training", &or_unknown(training.map(|((e, lr), b)| format!("{}, Adam {lr}, batch {b}", counted(e, "epoch"))))))
        }
        p.note { (t.metric.help()) }
    }
}

fn name(key: &str, catalogue: &Catalogue) -> String {
    catalogue.encoder(key).map_or_else(|| key.to_owned(), |e| e.name.clone())
}

/// The encoders with a score, the best first; scores by ViRB's own protocol in a list of their
/// own, for they cannot be compared with the others.
fn standing(t: &Task, results: &[&Score], facts: &Facts) -> Markup {
    let of = |protocol: Protocol| {
        let mut own: Vec<Stand<'_>> = results
            .iter()
            .filter(|r| r.evidence.protocol == protocol)
            .filter_map(|cell| facts.place(&cell.encoder, &t.key).map(|(column, row)| Stand { cell, column, row }))
            .collect();
        own.sort_by_key(|s| (s.column.reference(s.row), s.column.rank(s.row)));
        own
    };
    let lists = [(Protocol::Standard, "Standard protocol"), (Protocol::Virb, "ViRB’s own protocol")];
    let lists: Vec<(Vec<Stand<'_>>, &str)> =
        lists.into_iter().map(|(p, name)| (of(p), name)).filter(|(own, _)| !own.is_empty()).collect();
    html! {
        div.standing {
            @for (own, name) in &lists {
                @if lists.len() > 1 { h3 { (name) } }
                ol { @for s in own { (s.line(t, &facts.board.catalogue)) } }
            }
            @if let Some(c) = results.iter().find_map(|r| r.constant) {
                p.note { "A constant answer reaches " (t.metric.format(c)) (unit(t)) "." }
            }
        }
    }
}

/// A score in its place.
struct Stand<'a> {
    cell: &'a Score,
    column: &'a Column,
    row: usize,
}

impl Stand<'_> {
    fn line(&self, t: &Task, catalogue: &Catalogue) -> Markup {
        html! {
            li {
                span.rank { (self.column.rank_text(self.row)) }
                a href={ "/encoders/" (self.cell.encoder) "#" (t.key) } { (name(&self.cell.encoder, catalogue)) }
                span.bar aria-hidden="true" { i style=(format!("width: {:.0}%", 6.0 + 94.0 * self.column.heat(self.row))) {} }
                span.score {
                    (t.metric.format(self.cell.value)) (unit(t))
                    @if let Some(i) = self.cell.interval { span.about title="95 % of draws of test samples" { " " (t.metric.format(i.low)) "–" (t.metric.format(i.high)) } }
                    @if self.column.virb(self.row) { sup title="ViRB’s own protocol" { "v" } }
                }
            }
        }
    }
}

/// Scores beside each other, of the protocol that has more of them.
fn distribution(t: &Task, results: &[&Score], catalogue: &Catalogue) -> Option<Panel> {
    let most = Protocol::of_most(results.iter().map(|r| r.evidence.protocol));
    let results: Vec<&Score> = results.iter().filter(|r| r.evidence.protocol == most).copied().collect();
    let is_base = |key: &str| catalogue.encoder(key).is_some_and(|e| e.is("Supervised"));
    let base = results.iter().find(|r| is_base(&r.encoder)).map(|r| r.value);
    let middle = base.unwrap_or_else(|| results.iter().map(|r| r.value).sum::<f64>() / results.len() as f64);
    let dots = results.iter().map(|r| (name(&r.encoder, catalogue), r.value - middle)).collect();
    let zero = if base.is_some() { "0 is Supervised" } else { "0 is the mean" };
    let y =
        format!("{}{}, {zero}", t.metric.name(), if t.metric.higher_is_better() { "" } else { " (less is better)" });
    let violin = Marks::Violins(vec![Sample { label: t.name.clone(), dots }]);
    (results.len() > 2).then(|| Panel::new("How far apart the encoders are", "", y, violin))
}

/// Correlation with every other task of the suite.
fn related(t: &Task, facts: &Facts) -> Markup {
    let matrix = Matrix::of(&facts.board.catalogue, &facts.board.results, &t.suite, None);
    let (columns, values) = correlations(&matrix, false);
    let Some(own) = columns.iter().position(|c| matrix.tasks[*c].key == t.key) else { return html! {} };
    let mut pairs: Vec<_> = (0..columns.len())
        .filter(|o| *o != own)
        .filter_map(|o| Some((&matrix.tasks[columns[o]], values[own][o]?)))
        .collect();
    if pairs.is_empty() {
        return html! {};
    }
    pairs.sort_by(|a, b| b.1.r.total_cmp(&a.1.r));
    let bars = pairs.iter().map(|(o, c)| Bar {
        key: o.key.clone(),
        label: o.name.clone(),
        value: c.r,
        interval: None,
        text: format!("{:+.2}{}", c.r, if c.p < 0.05 { " *" } else { "" }),
        colour: if c.p < 0.05 { 0 } else { 7 },
    });
    let panel = Panel::new(
        format!("Do encoders that are good at {} do well elsewhere?", t.name),
        "Pearson’s r; * p < 0.05",
        "",
        Marks::Bars(bars.collect()),
    );
    html! {
        section {
            h2 { "Other tasks" }
            div.charts { (figure(&panel)) }
            p { a href={ "/analyses/imagenet?x=" (t.key) "&suite=" (t.suite) } { "Every task against " (t.name) ", point by point" } }
        }
    }
}

/// Score against ImageNet top-1 of every published point; anonymous but for the baseline.
fn reference(t: &Task, p: &Published) -> Markup {
    let series = Series {
        name: t.name.clone(),
        reference: p.points.iter().map(|(v, x)| (*x, *v)).collect(),
        supervised: p.supervised_point().map(|(v, x)| (x, v)),
        ..Series::default()
    };
    let (low, high) = p.range();
    let mut facts = Table::new(&["", t.metric.name()]);
    facts.row(["lowest", &t.metric.format(low)]);
    facts.row(["highest", &t.metric.format(high)]);
    if let Some(s) = p.supervised {
        facts.row(["supervised", &t.metric.format(s)]);
    }
    let title = format!("{} published points", p.points.len());
    let panel = Panel::new(title, "ImageNet top-1 of the same encoder", t.metric.name(), Marks::Scatter(vec![series]));
    html! {
        p.note { "Points read off the paper’s figure. Which point is whose was not published, but for the supervised baseline (the thick ring). Reading quality " (p.quality) " of A to C." }
        div.charts { (figure(&panel)) div { (table(&facts, "Published range")) } }
    }
}

fn data(t: &Task) -> Markup {
    html! {
        section {
            h2 { "Data" }
            @match (t.role, &t.url) {
                (TaskRole::Sample, _) => {
                    p { "Its data ships with Virboard. Measure every encoder that is here:" }
                    pre { "virboard evaluate --encoders all --tasks " (t.key) }
                },
                (TaskRole::Declared, url) => {
                    p {
                        "Its data is declared by a file in this server’s data folder."
                        @if let Some(url) = url { " It comes from " a href=(url) rel="external noreferrer" { (url) } "." }
                    }
                    pre { "virboard evaluate --encoders all --tasks " (t.key) }
                },
                (_, Some(url)) => {
                    p { "Its data lives with its authors, under their terms: " a href=(url) rel="external noreferrer" { (url) } }
                    p { "Put it into the data folder in the layout of ViRB’s README. The first command says where it belongs and what is missing, the second measures:" }
                    pre { (format!("virboard dataset list {0}\nvirboard evaluate --encoders all --tasks {0}", t.key)) }
                },
                _ => {},
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use virboard_core::leaderboard::Sheet;
    use virboard_core::run::Evidence;

    fn cell(encoder: &str, score: f64, protocol: Protocol) -> Score {
        let evidence = Evidence { protocol, selected: true, test_samples: 1, ..Evidence::default() };
        Score { encoder: encoder.into(), task: "CIFAR-100".into(), value: score, evidence, ..Score::default() }
    }

    #[test]
    fn scores_of_two_protocols_are_ranked_apart() {
        let results = vec![
            cell("Supervised", 0.5, Protocol::Standard),
            cell("Random", 0.1, Protocol::Standard),
            cell("SWAV_800", 0.9, Protocol::Virb),
        ];
        let catalogue = Catalogue::builtin();
        let sheets: Vec<Sheet> =
            catalogue.suites().iter().map(|s| Sheet::of(&catalogue, s, &results, &[], |_| false)).collect();
        let board = super::super::Board { catalogue, results, ..Default::default() };
        let facts = Facts { board: Arc::new(board), sheets: Arc::new(sheets), ..Facts::default() };
        let (_, body) = page("CIFAR-100", &facts).expect("a task");
        let body = body.into_string();
        let (standard, virb) = body.split_once("ViRB’s own protocol</h3>").expect("two lists");
        assert!(standard.contains("Standard protocol</h3>"), "{body}");
        let first = |list: &str| list.split("class=\"rank\">").nth(1).map(|r| r.chars().next());
        assert_eq!((first(standard), first(virb)), (Some(Some('1')), Some(Some('1'))));
        let (_, own) = super::super::encoder::page("SWAV_800", &facts).expect("an encoder");
        assert!(own.into_string().contains("1 of 1"));
        let (_, last) = super::super::encoder::page("Random", &facts).expect("an encoder");
        assert!(last.into_string().contains("2 of 2"));
    }
}
