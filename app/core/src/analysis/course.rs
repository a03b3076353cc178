//! Encoders by one method on one data set after several numbers of epochs: how scores go on with
//! training.

use super::Matrix;
use super::change::{Change, Measured};
use super::report::{Analysis, Dot, Marks, Panel, Table, Trace};
use crate::catalogue::architecture::Architecture;
use crate::catalogue::encoder::{Encoder, Method, Pretraining};
use crate::catalogue::task::{Category, Metric, Task};
use crate::words::counted;

/// Encoders that differ in their epochs alone, as far as is known: those kept of one run of pre-training, or runs of
/// their own by the same method with the same data and architecture.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// The method.
    pub method: Method,
    /// The data.
    pub data: Pretraining,
    /// The network.
    pub architecture: Option<Architecture>,
    /// The run's record, where several encoders were kept of one.
    pub run: Option<String>,
    /// The method, and what tells it from another course by it on the same data.
    pub label: String,
    /// Its encoders, from the fewest epochs to the most.
    pub points: Vec<Point>,
}

/// The encoders after a number of epochs: one, or runs that differ in what is not known, such as the seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Epochs of training.
    pub epochs: u32,
    /// Rows of the matrix.
    pub rows: Vec<usize>,
}

impl Point {
    /// The score on a task, the mean of those of its encoders; `None` without any.
    #[must_use]
    pub fn measured(&self, matrix: &Matrix, task: usize) -> Option<Measured> {
        Measured::mean(&self.rows.iter().filter_map(|e| matrix.measured(*e, task)).collect::<Vec<_>>())
    }

    /// Where it lies in a picture.
    #[must_use]
    pub fn dot(&self, matrix: &Matrix, y: f64) -> Dot {
        let (key, name) = match self.rows[..] {
            [row] => (matrix.encoders[row].key.clone(), matrix.encoders[row].name.clone()),
            _ => (String::new(), format!("mean of {} encoders", self.rows.len())),
        };
        Dot { key, label: format!("{name}, {}", counted(self.epochs, "epoch")), x: f64::from(self.epochs), y }
    }
}

/// All courses with scores of one task after two numbers of epochs, those with the same data together.
#[must_use]
pub fn courses(matrix: &Matrix) -> Vec<Course> {
    let mut all: Vec<Course> = Vec::new();
    for (row, e) in matrix.encoders.iter().enumerate() {
        let Some(epochs) = e.epochs.filter(|n| *n > 0 && trained(e)) else { continue };
        if (0..matrix.tasks.len()).all(|t| matrix.score(row, t).is_none()) {
            continue;
        }
        let run =
            e.record.clone().filter(|r| matrix.encoders.iter().filter(|o| o.record.as_ref() == Some(r)).count() > 1);
        let same = |c: &Course| {
            (&c.method, &c.data, c.architecture, &c.run) == (&e.method, &e.pretraining, e.architecture, &run)
        };
        let at = all.iter().position(same).unwrap_or_else(|| {
            all.push(Course {
                method: e.method.clone(),
                data: e.pretraining.clone(),
                architecture: e.architecture,
                run,
                label: e.method.name().to_owned(),
                points: Vec::new(),
            });
            all.len() - 1
        });
        all[at].add(epochs, row);
    }
    all.retain(|c| (0..matrix.tasks.len()).any(|t| c.scored(matrix, t).len() > 1));
    all.sort_by(|a, b| (&a.data, &a.method, &a.run).cmp(&(&b.data, &b.method, &b.run)));
    let names: Vec<String> = all.iter().map(Course::name).collect();
    for course in &mut all {
        let name = course.name();
        if names.iter().filter(|n| **n == name).count() > 1 {
            course.label = format!("{} ({})", course.label, course.mark());
        }
    }
    all
}

/// Whether it was trained by a method that has a name.
fn trained(e: &Encoder) -> bool {
    !matches!(e.method, Method::Random | Method::Unknown) && e.pretraining != Pretraining::Unknown
}

impl Course {
    fn add(&mut self, epochs: u32, row: usize) {
        match self.points.binary_search_by_key(&epochs, |p| p.epochs) {
            Ok(at) => self.points[at].rows.push(row),
            Err(at) => self.points.insert(at, Point { epochs, rows: vec![row] }),
        }
    }

    /// What tells it from others: the key of its run, or its network.
    fn mark(&self) -> &str {
        let file = self.run.as_deref().and_then(|r| r.rsplit('/').next()).map(|f| f.trim_end_matches(".json"));
        file.unwrap_or_else(|| self.architecture.map_or("network not known", Architecture::name))
    }

    /// Method and data.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}, {}", self.label, self.data.name())
    }

    /// Whether an encoder belongs to it.
    #[must_use]
    pub fn has(&self, row: usize) -> bool {
        self.points.iter().any(|p| p.rows.contains(&row))
    }

    /// The points with a score on a task, of their encoders those that have one, and the score.
    #[must_use]
    pub fn scored(&self, matrix: &Matrix, task: usize) -> Vec<(Point, Measured)> {
        let one = |p: &Point| {
            let rows = p.rows.iter().copied().filter(|e| matrix.score(*e, task).is_some()).collect();
            Some((Point { epochs: p.epochs, rows }, p.measured(matrix, task)?))
        };
        self.points.iter().filter_map(one).collect()
    }

    /// What the most epochs bring over the fewest, on each task that has a score of two points.
    #[must_use]
    pub fn changes(&self, matrix: &Matrix) -> Vec<Change> {
        let one = |t: usize| {
            let scored = self.scored(matrix, t);
            let ((_, first), (_, last)) = (scored.first()?, scored.last()?);
            (scored.len() > 1).then(|| Change::between(*first, *last))
        };
        (0..matrix.tasks.len()).filter_map(one).collect()
    }

    /// What more epochs bring, in a sentence.
    #[must_use]
    pub fn words(&self, matrix: &Matrix) -> String {
        let changes = self.changes(matrix);
        let count = |pass: fn(&Change) -> bool| changes.iter().filter(|c| pass(c)).count();
        let (fewest, most) = (self.points.first(), self.points.last());
        let epochs = |p: Option<&Point>| p.map_or(0, |p| p.epochs);
        let firm = match count(|c| c.interval.is_some()) {
            0 => String::new(),
            known => {
                let (up, down) = (count(|c| c.is_firm() && c.by > 0.0), count(|c| c.is_firm() && c.by < 0.0));
                format!("; beyond the spread of test samples {up} and {down} of {known}")
            }
        };
        format!(
            "From {} to {} scores rise on {} and fall on {} of {}{firm}.",
            epochs(fewest),
            counted(epochs(most), "epoch"),
            count(|c| c.by > 0.0),
            count(|c| c.by < 0.0),
            counted(changes.len(), "task")
        )
    }

    /// Its scores by epochs: a picture a category and metric with a line a task, and all of them as a table.
    #[must_use]
    pub fn progress(&self, matrix: &Matrix) -> Analysis {
        let tasks: Vec<usize> = (0..matrix.tasks.len()).filter(|t| self.scored(matrix, *t).len() > 1).collect();
        let mut panels: Vec<(Category, Metric, Panel)> = Vec::new();
        for t in &tasks {
            let task = &matrix.tasks[*t];
            let place = panels.iter().position(|p| (p.0, p.1) == (task.category, task.metric));
            let at = place.unwrap_or_else(|| {
                panels.push((task.category, task.metric, blank(task)));
                panels.len() - 1
            });
            let panel = &mut panels[at].2;
            if let Marks::Lines { traces, .. } = &mut panel.marks {
                let value = |m: Measured| percent(task.metric) * task.metric.sign() * m.good;
                let dots = self.scored(matrix, *t).into_iter().map(|(p, m)| {
                    let mut dot = p.dot(matrix, value(m));
                    dot.label = format!("{}: {}", task.name, dot.label);
                    dot
                });
                traces.push(Trace { look: panel.legend.len(), dots: dots.collect() });
                panel.legend.push(task.name.clone());
            }
        }
        Analysis {
            panels: panels.into_iter().map(|p| p.2).collect(),
            findings: vec![self.words(matrix)],
            missing: None,
            table: self.table(matrix, &tasks),
        }
    }

    /// A row a task, a column a number of epochs.
    fn table(&self, matrix: &Matrix, tasks: &[usize]) -> Table {
        let mut heads = vec!["task".to_owned()];
        heads.extend(self.points.iter().map(|p| counted(p.epochs, "epoch")));
        heads.extend(["change", "low", "high"].map(str::to_owned));
        let mut table = Table::new(&heads.iter().map(String::as_str).collect::<Vec<_>>());
        for t in tasks {
            let (task, scored) = (&matrix.tasks[*t], self.scored(matrix, *t));
            let metric = task.metric;
            let written = |m: Measured| metric.format(metric.sign() * m.good);
            let mut cells = vec![task.name.clone()];
            cells.extend(self.points.iter().map(|p| p.measured(matrix, *t).map_or_else(String::new, written)));
            if let (Some((_, first)), Some((_, last))) = (scored.first(), scored.last()) {
                let change = Change::between(*first, *last);
                cells.push(change.text(metric));
                cells.extend(change.ends(metric));
            }
            table.row(cells);
        }
        table
    }
}

/// Shares are drawn as they are written elsewhere.
const fn percent(metric: Metric) -> f64 {
    if metric.is_share() { 100.0 } else { 1.0 }
}

/// The picture of a category's tasks by one metric, without their lines.
fn blank(task: &Task) -> Panel {
    let metric = task.metric;
    let unit = if metric.is_share() { ", %" } else { "" };
    let better = if metric.higher_is_better() { "" } else { " (less is better)" };
    let y = format!("{}{unit}{better}", metric.name());
    let title = format!("{} · {}", task.category.name(), metric.name());
    Panel::new(title, "epochs of training", y, Marks::Lines { traces: Vec::new(), doubling: true })
}
