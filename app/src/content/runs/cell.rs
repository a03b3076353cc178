//! What stands in a cell of the table of runs.

use maud::{Markup, html};
use virboard_core::catalogue::task::Metric;
use virboard_core::explorer::{Cell, Kind, Line, Reading, RunRow, Runs, State, Value, date_of};

/// Letters of a reason that are shown.
const REASON: usize = 70;
/// Letters of a hash that are shown.
const HASH: usize = 12;

/// A state with its sign.
pub fn state(state: State, reason: Option<&str>) -> Markup {
    html! { span class={ "state " (state.name()) } title=[reason] { span aria-hidden="true" { (state.sign()) } " " (state.name()) } }
}

/// What a line has in a column.
pub fn cell(line: &Line, column: &Reading, runs: &Runs, baseline: Option<&RunRow>) -> Markup {
    let first = line.rows(runs).next();
    match (line.only(runs), first) {
        (Some(run), _) => of_run(run, column, baseline),
        (None, Some(_)) if column.name() == "state" => {
            html! { @for (s, n) in line.states(runs) { span class={ "state " (s.name()) } title=(s.name()) { span aria-hidden="true" { (s.sign()) } span.hidden { (s.name()) } " " (n) } " " } }
        }
        (None, Some(first)) => match line.cell(column, runs) {
            Cell::One(value) => one(&value, column, first),
            Cell::Mean { mean, deviation, n } => html! {
                strong { (number(mean, column, first)) }
                @if let Some(deviation) = deviation { " ± " (number(deviation, column, first)) }
                @if n < line.runs.len() { span.about { "of " (n) } }
            },
            Cell::Several(n) => html! { span.about { (n) " different" } },
        },
        (None, None) => html! {},
    }
}

/// What a run has in a column.
pub fn of_run(run: &RunRow, column: &Reading, baseline: Option<&RunRow>) -> Markup {
    match column.name() {
        "state" => state(run.state, run.reason.as_deref()),
        "encoder" => html! { a href={ "/encoders/" (run.encoder) } { (run.encoder) } },
        "task" => html! { a href={ "/tasks/" (run.task) } { (run.task) } },
        "epoch" => {
            html! { @if let Some(epoch) = run.epoch { (epoch) @if let Some(of) = run.epochs { span.of { " / " (of) } } } }
        }
        "score" => score(run, baseline),
        _ => one(&column.read(run), column, run),
    }
}

/// A score with its interval, and how far it is from that of the baseline.
fn score(run: &RunRow, baseline: Option<&RunRow>) -> Markup {
    let Some(score) = run.score else { return html! {} };
    let between = run.interval.map(|i| format!("95 % between {} and {}", run.written(i.low), run.written(i.high)));
    html! {
        strong title=[between] { (run.written(score)) (unit(run)) }
        @if let Some((text, better)) = baseline.and_then(|b| difference(run, b)) {
            " " span class={ "delta " (if better { "better" } else { "worse" }) } { (text) span.hidden { (if better { " better" } else { " worse" }) } }
        }
    }
}

/// By how much a score differs from the baseline's on the same task, and whether it is better;
/// nothing where they are equal or not comparable.
fn difference(run: &RunRow, baseline: &RunRow) -> Option<(String, bool)> {
    let (metric, score, base) = (run.metric?, run.score?, baseline.score?);
    if run.task != baseline.task || run.id == baseline.id || score == base {
        return None;
    }
    let written = metric.format(score - base);
    let text = if score > base { format!("+{written}") } else { written.replace('-', "−") };
    Some((text, metric.is_better(score, base)))
}

/// The unit of a run's scores.
pub fn unit(run: &RunRow) -> &'static str {
    if run.metric.is_some_and(Metric::is_share) { " %" } else { "" }
}

/// What a metric's number is multiplied by for a picture: shares are drawn in percent.
pub fn factor(metric: Option<Metric>) -> f64 {
    if metric.is_some_and(Metric::is_share) { 100.0 } else { 1.0 }
}

fn one(value: &Value<'_>, column: &Reading, run: &RunRow) -> Markup {
    match (value, column.name()) {
        (Value::Nothing, _) => html! {},
        (Value::Number(n), _) if column.kind() == Kind::Moment => {
            let date = date_of(*n as i64);
            html! { time datetime={ (date.replace(' ', "T")) "Z" } { (date) } }
        }
        (Value::Number(n), _) => html! { (number(*n, column, run)) },
        (Value::Text(text), "key" | "weights" | "data") => html! { code title=(text) { (shortened(text, HASH)) } },
        (Value::Text(text), "reason") => html! { span title=(text) { (shortened(text, REASON)) } },
        (Value::Text(text), _) => html! { (text) },
    }
}

fn shortened(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let hash = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    text.chars().take(letters).chain((!hash).then_some('…')).collect()
}

/// A number as people read it in a column.
fn number(n: f64, column: &Reading, run: &RunRow) -> String {
    match column.kind() {
        Kind::Score => run.written(n),
        Kind::Seconds => duration(n),
        Kind::Number if n.fract() != 0.0 => format!("{n:.4}"),
        _ => n.to_string(),
    }
}

/// Seconds as people read them.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} m {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} m", whole / 3600, whole % 3600 / 60),
    }
}
