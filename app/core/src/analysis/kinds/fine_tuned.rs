//! Frozen encoders against the same ones trained along with the head.

use crate::analysis::Matrix;
use crate::analysis::caution;
use crate::analysis::change::{Change, Measured, Turns};
use crate::analysis::options::Options;
use crate::analysis::report::{Analysis, Dot, Marks, Panel, Series, Table, probability};
use crate::statistics::places;

/// An encoder with both scores of a task: its row among the fine-tuned ones, and the scores.
struct Pair {
    row: usize,
    frozen: Measured,
    tuned: Measured,
}

impl Pair {
    fn change(&self) -> Change {
        Change::between(self.frozen, self.tuned)
    }
}

/// Both scores of every encoder and task that has them, a panel a task.
pub fn against_frozen(frozen: &Matrix, options: &Options) -> Analysis {
    let tuned = &options.fine_tuned;
    if tuned.filled() == 0 {
        let none = if tuned.left_out > 0 { "by this protocol" } else { "on these tasks" };
        return Analysis::not_enough(format!(
            "There is no fine-tuned score {none} yet. “virboard evaluate --encoders ENCODER --tasks TASK --finetune” trains an encoder along with the head."
        ));
    }
    let mut table = Table::new(&[
        "task",
        "encoder",
        "frozen",
        "fine-tuned",
        "difference",
        "low",
        "high",
        "place frozen",
        "place fine-tuned",
    ]);
    let (mut panels, mut orders, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for t in 0..tuned.tasks.len() {
        let pairs = pairs(frozen, tuned, t);
        rows(&mut table, tuned, t, &pairs);
        if pairs.is_empty() {
            continue;
        }
        panels.push(panel(tuned, t, &pairs));
        orders.extend(order(tuned, t, &pairs));
        changes.extend(pairs.iter().map(|p| (t, p.row, p.change())));
    }
    let mut findings: Vec<String> = gains(tuned, &changes).into_iter().collect();
    findings.extend(orders);
    Analysis { panels, findings, missing: lacking(tuned, changes.len()), table }
}

/// The encoders that have both scores of a task.
fn pairs(frozen: &Matrix, tuned: &Matrix, task: usize) -> Vec<Pair> {
    let one = |row: usize| {
        let there = (frozen.encoder(&tuned.encoders[row].key)?, frozen.task(&tuned.tasks[task].key)?);
        Some(Pair { row, frozen: frozen.measured(there.0, there.1)?, tuned: tuned.measured(row, task)? })
    };
    (0..tuned.encoders.len()).filter_map(one).collect()
}

/// A row an encoder with a fine-tuned score; what needs the frozen one is empty without it.
fn rows(table: &mut Table, tuned: &Matrix, t: usize, pairs: &[Pair]) {
    let task = &tuned.tasks[t];
    let placed = |of: fn(&Pair) -> f64| places(&pairs.iter().map(of).collect::<Vec<_>>());
    let (before, after) = (placed(|p| p.frozen.good), placed(|p| p.tuned.good));
    for row in 0..tuned.encoders.len() {
        let Some(score) = tuned.score(row, t) else { continue };
        let mut cells = vec![task.name.clone(), tuned.encoders[row].name.clone()];
        if let Some(i) = pairs.iter().position(|p| p.row == row) {
            let (pair, change) = (&pairs[i], pairs[i].change());
            let [low, high] = change.ends(task.metric);
            cells.push(task.metric.format(task.metric.sign() * pair.frozen.good));
            cells.extend([task.metric.format(score), change.text(task.metric), low, high]);
            cells.extend([before[i].to_string(), after[i].to_string()]);
        } else {
            cells.extend([String::new(), task.metric.format(score)]);
            cells.resize(table.columns.len(), String::new());
        }
        table.row(cells);
    }
}

fn panel(tuned: &Matrix, t: usize, pairs: &[Pair]) -> Panel {
    let task = &tuned.tasks[t];
    let dots = pairs.iter().map(|p| {
        let encoder = &tuned.encoders[p.row];
        Dot { key: encoder.key.clone(), label: encoder.name.clone(), x: p.frozen.good, y: p.tuned.good }
    });
    let one = Series { name: task.name.clone(), dots: dots.collect(), level: true, ..Series::default() };
    let title = format!("{} · {}", task.category.name(), task.name);
    let (x, y) = (format!("{}, frozen", task.metric.name()), "fine-tuned, better →");
    Panel::new(title, x, y, Marks::Scatter(vec![one]))
}

/// On how many pairs of encoder and task it is better, and where most.
fn gains(tuned: &Matrix, changes: &[(usize, usize, Change)]) -> Option<String> {
    let count = |pass: fn(&Change) -> bool| changes.iter().filter(|c| pass(&c.2)).count();
    let known = count(|c| c.interval.is_some());
    let firm = if known == 0 {
        String::new()
    } else {
        format!(", {} of {known} beyond the spread of test samples", count(|c| c.by > 0.0 && c.is_firm()))
    };
    // Of several metrics amounts cannot be compared: those of shares can.
    let shares = changes.iter().filter(|c| tuned.tasks[c.0].metric.is_share());
    let most = shares.max_by(|a, b| a.2.by.total_cmp(&b.2.by)).map(|(t, e, change)| {
        let task = &tuned.tasks[*t];
        format!(" Most of all {} on {}: {} points.", tuned.encoders[*e].name, task.name, change.text(task.metric))
    });
    (!changes.is_empty()).then(|| {
        format!(
            "Fine-tuning is better in {} of {} cases{firm}, and worse in {}.{}",
            count(|c| c.by > 0.0),
            changes.len(),
            count(|c| c.by < 0.0),
            most.unwrap_or_default()
        )
    })
}

/// Whether the order of a task's encoders stays; nothing of one encoder.
fn order(tuned: &Matrix, t: usize, pairs: &[Pair]) -> Option<String> {
    let scores: Vec<(Measured, Measured)> = pairs.iter().map(|p| (p.frozen, p.tuned)).collect();
    let turns = Turns::of(&scores);
    let kendall = turns.kendall()?;
    let good = |of: fn(&Pair) -> f64| pairs.iter().map(of).collect::<Vec<f64>>();
    let spearman = caution::correlation(&good(|p| p.frozen.good), &good(|p| p.tuned.good), true)
        .map(|c| format!("; Spearman’s {:.2}, {}", c.r, probability(c.p)));
    let best = |of: fn(&Pair) -> f64| pairs.iter().max_by(|a, b| of(a).total_cmp(&of(b))).map(|p| p.row);
    let name = |row: Option<usize>| row.map_or("", |r| &*tuned.encoders[r].name);
    let (first, then) = (best(|p| p.frozen.good), best(|p| p.tuned.good));
    let lead = if first == then {
        format!("{} is best both ways", name(first))
    } else {
        format!("{} is best frozen, {} fine-tuned", name(first), name(then))
    };
    Some(format!(
        "{}: {lead}; {} of {} pairs of encoders change places{} (Kendall’s τ = {kendall:.2}{}).",
        tuned.tasks[t].name,
        turns.turned,
        turns.pairs,
        turns.beyond(),
        spearman.unwrap_or_default()
    ))
}

/// What is here and cannot be compared.
fn lacking(tuned: &Matrix, compared: usize) -> Option<String> {
    let mut said = Vec::new();
    let alone = tuned.filled() - compared;
    if alone > 0 {
        said.push(format!(
            "{alone} of {} fine-tuned scores have no frozen one of the same encoder, task and protocol beside them; “virboard evaluate” without “--finetune” makes it.",
            tuned.filled()
        ));
    }
    if tuned.left_out > 0 {
        said.push(format!("{} fine-tuned scores by the other protocol are left out.", tuned.left_out));
    }
    (!said.is_empty()).then(|| said.join(" "))
}
