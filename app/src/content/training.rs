//! How an encoder came to be, epoch by epoch: the record of its pre-training, and the scores of
//! what was kept on the way.

use super::parts::table;
use super::{Facts, Training};
use crate::charts::figure;
use maud::{Markup, html};
use virboard_core::analysis::course::{Course, courses};
use virboard_core::analysis::{Dot, Marks, Matrix, Panel, Table, Trace};
use virboard_core::catalogue::Suite;
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::words::counted;

/// Loss and neighbours of the run that it was kept of; nothing for an encoder that was not made here.
pub fn record(e: &Encoder, facts: &Facts) -> Markup {
    let Some(file) = &e.record else { return html! {} };
    let Some(training) = &facts.training else {
        return html! {
            section {
                h2 { "Pre-training" }
                p.caveat { "Its record " code { (file) } " is not in this server’s data folder, or cannot be read; the log says why." }
            }
        };
    };
    let task = training.neighbours.as_deref().map(|k| facts.board.catalogue.task(k).map_or(k, |t| &*t.name));
    html! {
        section {
            h2 { "Pre-training" }
            p { (told(e, training)) }
            (siblings(e, facts))
            div.charts { @for panel in panels(training, task) { (figure(&panel)) } }
            details { summary { "Loss and neighbours as numbers" } (table(&numbers(training), "Epochs of pre-training")) }
        }
    }
}

fn told(e: &Encoder, training: &Training) -> String {
    let all = training.epochs.len();
    let kept =
        e.epochs.filter(|n| *n as usize != all).map_or_else(String::new, |n| format!(", kept after {n} of them"));
    let minutes = training.seconds / 60.0;
    let time = if minutes < 1.0 { format!("{:.0} seconds", training.seconds) } else { format!("{minutes:.0} minutes") };
    format!("A run of {}{kept}, {time} on {}.", counted(all, "epoch"), training.device)
}

/// The other encoders that were kept of the run.
fn siblings(e: &Encoder, facts: &Facts) -> Markup {
    let mut others: Vec<&Encoder> = facts
        .board
        .catalogue
        .encoders()
        .iter()
        .map(|o| &**o)
        .filter(|o| o.record == e.record && o.key != e.key)
        .collect();
    others.sort_by_key(|o| o.epochs);
    html! {
        @if !others.is_empty() {
            p { "Also kept of this run: " @for (i, o) in others.iter().enumerate() {
                @if i > 0 { ", " }
                a href={ "/encoders/" (o.key) } { (o.name) } @if let Some(n) = o.epochs { " (" (counted(n, "epoch")) ")" }
            } "." }
        }
    }
}

/// The curve of the loss, and that of the neighbours where they were asked.
fn panels(training: &Training, task: Option<&str>) -> Vec<Panel> {
    let line = |values: Vec<(u32, f64)>, what: &str| {
        let dot = |(epoch, y): (u32, f64)| {
            let label = format!("{what} after epoch {epoch}");
            Dot { key: String::new(), label, x: f64::from(epoch), y }
        };
        let dots: Vec<Dot> = values.into_iter().filter(|v| v.1.is_finite()).map(dot).collect();
        Marks::Lines { traces: vec![Trace { look: 0, dots }], doubling: false }
    };
    let loss = training.epochs.iter().map(|e| (e.epoch, e.train_loss)).collect();
    let mut panels = vec![Panel::new("Loss", "epoch", "mean of the epoch", line(loss, "loss"))];
    let right: Vec<(u32, f64)> =
        training.epochs.iter().filter_map(|e| Some((e.epoch, 100.0 * e.test_metric?))).collect();
    if !right.is_empty() {
        let title = format!("Nearest neighbours{}", task.map_or_else(String::new, |t| format!(" on {t}")));
        panels.push(Panel::new(title, "epoch", "right votes, %", line(right, "right votes in percent")));
    }
    panels
}

fn numbers(training: &Training) -> Table {
    let mut table = Table::new(&["epoch", "loss", "neighbours, %"]);
    for e in &training.epochs {
        let neighbours = e.test_metric.map_or_else(String::new, |n| format!("{:.1}", 100.0 * n));
        table.row([e.epoch.to_string(), format!("{:.4}", e.train_loss), neighbours]);
    }
    table
}

/// Its scores beside those of encoders that differ in epochs alone, by the scores of a suite;
/// nothing where there are none.
pub fn more_epochs(e: &Encoder, suite: &Suite, facts: &Facts) -> Markup {
    let matrix = Matrix::of(&facts.board.catalogue, &facts.board.results, &suite.key, None);
    let all = courses(&matrix);
    let own = matrix.encoder(&e.key).and_then(|row| all.iter().find(|c| c.has(row)));
    let Some(course) = own else { return html! {} };
    let progress = course.progress(&matrix);
    html! {
        section {
            h2 { "More epochs: " (suite.name) }
            ul.findings { @for words in &progress.findings { li { (words) } } }
            (points(course, &matrix, &e.key))
            div.charts { @for panel in &progress.panels { (figure(panel)) } }
            (table(&progress.table, "Scores by epochs"))
            p { a href={ "/analyses/epochs?suite=" (suite.key) } { "All methods by epochs" } }
        }
    }
}

/// The encoders on the line.
fn points(course: &Course, matrix: &Matrix, here: &str) -> Markup {
    let rows = course.points.iter().flat_map(|p| p.rows.iter().map(move |row| (p.epochs, &matrix.encoders[*row])));
    html! {
        p { "Encoders on these lines: " @for (i, (epochs, e)) in rows.enumerate() {
            @if i > 0 { ", " }
            @if e.key == here { strong { (e.name) } } @else { a href={ "/encoders/" (e.key) } { (e.name) } }
            " (" (epochs) ")"
        } "." }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Board, Facts, Training, encoder};
    use std::sync::Arc;
    use virboard_core::catalogue::{Catalogue, rows};
    use virboard_core::leaderboard::Sheet;
    use virboard_core::run::{Epoch, Evidence, Score};

    fn facts() -> Facts {
        let mut catalogue = (*Catalogue::builtin()).clone();
        for (key, epochs) in [("Mine_5", 5), ("Mine_10", 10), ("Mine", 20)] {
            let text = format!(
                "key = \"{key}\"\nmethod = \"SimCLR\"\ndata = \"birds\"\nepochs = {epochs}\nrecord = \"pretraining/Mine.json\"\n"
            );
            catalogue.add_encoder(rows::encoder(&text).expect("a row")).expect("added");
        }
        let score = |encoder: &str, task: &str, value: f64| {
            let evidence = Evidence { selected: true, test_samples: 1, ..Evidence::default() };
            Score { encoder: encoder.into(), task: task.into(), value, evidence, ..Score::default() }
        };
        let results = vec![
            score("Mine_5", "Pets", 0.3),
            score("Mine_10", "Pets", 0.4),
            score("Mine", "Pets", 0.456),
            score("Mine_5", "NYUDepth", 0.5),
            score("Mine", "NYUDepth", 0.7),
            score("Mine", "CIFAR-100", 0.2),
        ];
        let sheets = catalogue.suites().iter().map(|s| Sheet::of(&catalogue, s, &results, &[], |_| false)).collect();
        let board = Board { catalogue: Arc::new(catalogue), results, ..Board::default() };
        Facts { board: Arc::new(board), sheets: Arc::new(sheets), ..Facts::default() }
    }

    #[test]
    fn kept_epochs_are_lines_and_a_table() {
        let body = encoder::page("Mine_10", &facts()).expect("an encoder").1.into_string();
        let (_, own) = body.split_once("More epochs: ").expect("a section");
        // Pets rises; depth, an error, rises too and is worse; CIFAR-100 has one point and no line.
        assert!(own.contains("From 5 to 20 epochs scores rise on 1 and fall on 1 of 2 tasks."), "{own}");
        assert_eq!(own.matches("figure class=\"chart lines\"").count(), 2, "a picture a metric");
        for cell in ["30.0", "45.6", "+15.6", "-0.200", "L1 error (less is better)"] {
            assert!(own.contains(cell), "{cell}: {own}");
        }
        assert!(own.contains("<strong>Mine_10</strong>") && own.contains("/encoders/Mine_5\""), "{own}");
        assert!(
            !own.contains("NaN") && body.contains("Its record <code>pretraining/Mine.json</code> is not"),
            "{body}"
        );
        let alone = encoder::page("SWAV_50", &facts()).expect("an encoder").1.into_string();
        assert!(!alone.contains("More epochs") && !alone.contains("Pre-training"));
    }

    #[test]
    fn the_record_of_a_run_is_drawn() {
        let epoch = |i: u32| Epoch {
            epoch: i,
            train_loss: if i == 3 { f64::NAN } else { 5.0 / f64::from(i) },
            test_metric: i.is_multiple_of(10).then(|| 0.02 * f64::from(i)),
        };
        let training = Training {
            epochs: (1..=20).map(epoch).collect(),
            neighbours: Some("Pets".into()),
            seconds: 300.0,
            device: "cpu".into(),
        };
        let facts = Facts { training: Some(training), ..facts() };
        let body = encoder::page("Mine_10", &facts).expect("an encoder").1.into_string();
        let (_, own) = body.split_once("<h2>Pre-training</h2>").expect("a section");
        assert!(own.contains("A run of 20 epochs, kept after 10 of them, 5 minutes on cpu."), "{own}");
        assert!(own.contains("/encoders/Mine_5\"") && own.contains("/encoders/Mine\""));
        assert!(
            own.contains("Nearest neighbours on Pets Cls.")
                && own.contains("right votes in percent after epoch 20: 40.0"),
            "{own}"
        );
        let picture =
            own.split("<figcaption>Loss").nth(1).and_then(|p| p.split("</figure>").next()).expect("a picture");
        assert_eq!(picture.matches("class=\"mark").count(), 19, "what is no number is not drawn");
        assert!(!picture.contains("NaN"), "{picture}");
    }
}
