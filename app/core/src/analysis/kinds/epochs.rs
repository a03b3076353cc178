//! What more epochs bring, and whether they change which method is ahead.

use crate::analysis::Matrix;
use crate::analysis::change::{Change, Turns};
use crate::analysis::course::{Course, Point, courses};
use crate::analysis::report::{Analysis, Marks, Panel, Table, Trace};
use crate::statistics::mean;
use crate::words::counted;

/// A line a method and data set, a panel a task.
pub fn more(matrix: &Matrix) -> Analysis {
    let all = courses(matrix);
    if all.is_empty() {
        return Analysis::not_enough(
            "No method has scores after two numbers of epochs on the same data yet. Keep some of a run (“keep: [5, 10]” in its settings) with “virboard pretrain --config FILE --out KEY”, then “virboard evaluate --encoders KEY_5,KEY_10,KEY --tasks TASK”.",
        );
    }
    let legend: Vec<String> = all.iter().map(Course::name).collect();
    let mut panels: Vec<Panel> = overall(matrix, &all).into_iter().collect();
    panels.extend((0..matrix.tasks.len()).filter_map(|t| on_task(matrix, &all, t)));
    for panel in &mut panels {
        panel.legend.clone_from(&legend);
    }
    let rivals: Vec<Rivals<'_>> = rivals(matrix, &all);
    let mut findings: Vec<String> = headline(&rivals).into_iter().collect();
    findings.extend(rivals.iter().map(Rivals::words));
    findings.extend(all.iter().map(|c| format!("{}: {}", c.name(), c.words(matrix))));
    let missing = rivals.is_empty().then(|| {
        "No two methods have scores on one task after the same two numbers of epochs on the same data with the same network: there are no rankings to compare yet.".to_owned()
    });
    Analysis { panels, findings, missing, table: table(matrix, &all) }
}

/// The lines of one task; `None` without any.
fn on_task(matrix: &Matrix, all: &[Course], t: usize) -> Option<Panel> {
    let line = |(look, course): (usize, &Course)| {
        let dots: Vec<_> = course.scored(matrix, t).into_iter().map(|(p, m)| p.dot(matrix, m.good)).collect();
        (dots.len() > 1).then_some(Trace { look, dots })
    };
    let traces: Vec<Trace> = all.iter().enumerate().filter_map(line).collect();
    let task = &matrix.tasks[t];
    let title = format!("{} · {}", task.category.name(), task.name);
    let y = format!("{}, better →", task.metric.name());
    (!traces.is_empty()).then(|| panel(title, y, traces))
}

/// The lines over the tasks of which every encoder has a score; `None` for fewer than two.
fn overall(matrix: &Matrix, all: &[Course]) -> Option<Panel> {
    let rows = || all.iter().flat_map(|c| &c.points).flat_map(|p| &p.rows);
    let tasks: Vec<usize> = (0..matrix.tasks.len())
        .filter(|t| matrix.deviation(*t).is_some() && rows().all(|e| matrix.score(*e, *t).is_some()))
        .collect();
    if tasks.len() < 2 {
        return None;
    }
    let line = |(look, course): (usize, &Course)| {
        let dots = course.points.iter().filter_map(|p| {
            let cells = p.rows.iter().flat_map(|e| tasks.iter().filter_map(|t| matrix.standardised(*e, *t)));
            Some(p.dot(matrix, mean(&cells.collect::<Vec<_>>())?))
        });
        Trace { look, dots: dots.collect() }
    };
    let y = "sd above the average encoder";
    Some(panel(
        format!("Mean of the {} that all have", counted(tasks.len(), "task")),
        y,
        all.iter().enumerate().map(line).collect(),
    ))
}

fn panel(title: String, y: impl Into<String>, traces: Vec<Trace>) -> Panel {
    Panel::new(title, "epochs of training", y, Marks::Lines { traces, doubling: true })
}

/// Two methods with the same data and network, at the fewest and the most epochs that both have.
struct Rivals<'a> {
    pair: (&'a Course, &'a Course),
    epochs: (u32, u32),
    /// Tasks with all four scores.
    tasks: usize,
    /// On how many of them the first is ahead: before and afterwards.
    ahead: (usize, usize),
    turns: Turns,
}

fn rivals<'a>(matrix: &Matrix, all: &'a [Course]) -> Vec<Rivals<'a>> {
    let mut out = Vec::new();
    for (i, a) in all.iter().enumerate() {
        let ground = |c: &&Course| c.data == a.data && c.architecture == a.architecture && c.method != a.method;
        out.extend(all[i + 1..].iter().filter(ground).filter_map(|b| Rivals::new(matrix, a, b)));
    }
    out
}

impl<'a> Rivals<'a> {
    fn new(matrix: &Matrix, a: &'a Course, b: &'a Course) -> Option<Self> {
        let shared: Vec<_> =
            a.points.iter().filter_map(|p| Some((p, b.points.iter().find(|q| q.epochs == p.epochs)?))).collect();
        let (first, last) = (shared.first()?, shared.last().filter(|_| shared.len() > 1)?);
        let (mut tasks, mut ahead, mut turns) = (0, (0, 0), Turns::default());
        for t in 0..matrix.tasks.len() {
            let change =
                |at: &(&Point, &Point)| Some(Change::between(at.0.measured(matrix, t)?, at.1.measured(matrix, t)?));
            let (Some(before), Some(after)) = (change(first), change(last)) else { continue };
            tasks += 1;
            ahead.0 += usize::from(before.by < 0.0);
            ahead.1 += usize::from(after.by < 0.0);
            turns.add(before, after);
        }
        let epochs = (first.0.epochs, last.0.epochs);
        (tasks > 0).then_some(Self { pair: (a, b), epochs, tasks, ahead, turns })
    }

    fn words(&self) -> String {
        let ((a, b), (fewest, most)) = (self.pair, self.epochs);
        format!(
            "{} and {} on {}: {} is ahead on {} of {} after {} and on {} after {most}; the order turns on {}{}.",
            a.label,
            b.label,
            a.data.name(),
            a.label,
            self.ahead.0,
            counted(self.tasks, "task"),
            counted(fewest, "epoch"),
            self.ahead.1,
            self.turns.turned,
            self.turns.beyond()
        )
    }
}

/// Whether rankings change, over all of them.
fn headline(rivals: &[Rivals<'_>]) -> Option<String> {
    let all = rivals.iter().fold(Turns::default(), |sum, r| sum.and(r.turns));
    let kendall = all.kendall()?;
    Some(format!(
        "Of {} orders of two methods on a task {} turn between the fewest and the most epochs that both have{}: Kendall’s τ = {kendall:.2}, where 1 is the same ranking and -1 the reverse.",
        all.pairs,
        all.turned,
        all.beyond()
    ))
}

/// A row an encoder and task.
fn table(matrix: &Matrix, all: &[Course]) -> Table {
    let mut table = Table::new(&["method", "data", "task", "epochs", "encoder", "score", "change", "low", "high"]);
    for course in all {
        for (t, task) in matrix.tasks.iter().enumerate() {
            let scored = course.scored(matrix, t);
            let Some((first, start)) = scored.first().filter(|_| scored.len() > 1) else { continue };
            for (point, row) in scored.iter().flat_map(|(p, _)| p.rows.iter().map(move |row| (p, *row))) {
                let (Some(score), Some(measured)) = (matrix.score(row, t), matrix.measured(row, t)) else { continue };
                let mut cells = vec![course.label.clone(), course.data.name().to_owned(), task.name.clone()];
                cells.extend([point.epochs.to_string(), matrix.encoders[row].name.clone(), task.metric.format(score)]);
                if point.epochs == first.epochs {
                    cells.resize(table.columns.len(), String::new());
                } else {
                    let change = Change::between(*start, measured);
                    cells.push(change.text(task.metric));
                    cells.extend(change.ends(task.metric));
                }
                table.row(cells);
            }
        }
    }
    table
}
