//! Scores of encoders that were trained along with the head: in a table of their own on the pages
//! of encoders and tasks, each beside the frozen one.

use super::Facts;
use super::parts::{evidence, score};
use maud::{Markup, html};
use virboard_core::analysis::change::{Change, Measured};
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::catalogue::task::{Metric, Task};
use virboard_core::run::Score;

/// A fine-tuned score, and the frozen one of the same encoder on the same task by the same protocol.
struct Pair<'a> {
    task: &'a Task,
    encoder: &'a Encoder,
    tuned: &'a Score,
    frozen: Option<&'a Score>,
}

/// Those of an encoder on all tasks, in the catalogue's order; nothing without any.
pub fn of_encoder(e: &Encoder, facts: &Facts) -> Markup {
    let mut pairs = pairs(facts, |s| s.encoder == e.key);
    let place = |p: &Pair<'_>| facts.board.catalogue.tasks().iter().position(|t| t.key == p.task.key);
    pairs.sort_by_key(place);
    let name = |p: &Pair<'_>| html! { a href={ "/tasks/" (p.task.key) } { (p.task.name) } span.about { (p.task.metric.name()) } };
    section(&pairs, "Task", name)
}

/// Those of all encoders on a task, the best first; nothing without any.
pub fn of_task(t: &Task, facts: &Facts) -> Markup {
    let mut pairs = pairs(facts, |s| s.task == t.key);
    pairs.sort_by(|a, b| (t.metric.sign() * b.tuned.value).total_cmp(&(t.metric.sign() * a.tuned.value)));
    section(&pairs, "Encoder", |p| html! { a href={ "/encoders/" (p.encoder.key) } { (p.encoder.name) } })
}

fn pairs<'a>(facts: &'a Facts, wanted: impl Fn(&Score) -> bool) -> Vec<Pair<'a>> {
    let board = &facts.board;
    let one = |tuned: &'a Score| {
        let (task, encoder) = (board.catalogue.task(&tuned.task)?, board.catalogue.encoder(&tuned.encoder)?);
        let same = |r: &&Score| {
            (&r.encoder, &r.task, r.evidence.protocol) == (&tuned.encoder, &tuned.task, tuned.evidence.protocol)
        };
        Some(Pair { task, encoder, tuned, frozen: board.results.iter().find(same) })
    };
    board.fine_tuned.iter().filter(|s| wanted(s)).filter_map(one).collect()
}

fn section(pairs: &[Pair<'_>], head: &str, name: impl Fn(&Pair<'_>) -> Markup) -> Markup {
    let Some(first) = pairs.first() else { return html! {} };
    html! {
        section {
            h2 { "Fine-tuned" }
            p.note {
                "The whole encoder trained along with the head. These scores say nothing of the frozen encoder and count in no rank; "
                a href={ "/analyses/fine-tuned?suite=" (first.task.suite) } { "all frozen and fine-tuned ones" } "."
            }
            div.scroller tabindex="0" role="region" aria-label="Fine-tuned" {
                table.list {
                    thead { tr { @for head in [head, "Frozen", "Fine-tuned", "Difference", "Evidence"] { th scope="col" { (head) } } } }
                    tbody {
                        @for p in pairs {
                            tr {
                                th scope="row" { (name(p)) }
                                td { @if let Some(frozen) = p.frozen { (score(p.task, frozen)) } @else { "–" } }
                                td { (score(p.task, p.tuned)) }
                                td { @if let Some(frozen) = p.frozen { (difference(p.task.metric, frozen, p.tuned)) } @else { "–" } }
                                (evidence(p.tuned))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// How much better it is fine-tuned; more is better under every metric.
fn difference(metric: Metric, frozen: &Score, tuned: &Score) -> Markup {
    let change = Change::between(Measured::of(metric, frozen), Measured::of(metric, tuned));
    let [low, high] = change.ends(metric);
    let word = if change.by > 0.0 {
        "better"
    } else if change.by < 0.0 {
        "worse"
    } else {
        "level"
    };
    html! {
        (change.text(metric)) " " (word)
        @if change.interval.is_some() { span.about title="95 % of draws of test samples, for each of both its own" { (low) " to " (high) } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Board, Facts, encoder, task};
    use std::sync::Arc;
    use virboard_core::catalogue::Catalogue;
    use virboard_core::leaderboard::Sheet;
    use virboard_core::protocol::Protocol;
    use virboard_core::run::{Evidence, Probe, Score};
    use virboard_core::statistics::Interval;

    fn score(encoder: &str, value: f64, probe: Probe) -> Score {
        let evidence = Evidence { protocol: Protocol::Standard, selected: true, probe, seed: 7, ..Evidence::default() };
        let interval = Some(Interval { low: value - 0.01, high: value + 0.01 });
        Score { encoder: encoder.into(), task: "CIFAR-100".into(), value, interval, evidence, ..Score::default() }
    }

    fn facts() -> Facts {
        let catalogue = Catalogue::builtin();
        let results = vec![score("Supervised", 0.5, Probe::Head), score("SWAV_800", 0.6, Probe::Head)];
        let mut alone = score("Random", 0.3, Probe::FineTuned);
        alone.interval = None;
        let fine_tuned =
            vec![score("Supervised", 0.8, Probe::FineTuned), score("SWAV_800", 0.7, Probe::FineTuned), alone];
        let sheets = catalogue.suites().iter().map(|s| Sheet::of(&catalogue, s, &results, &[], |_| false)).collect();
        let board = Board { catalogue, results, fine_tuned, ..Board::default() };
        Facts { board: Arc::new(board), sheets: Arc::new(sheets), ..Facts::default() }
    }

    #[test]
    fn they_stand_beside_the_frozen_ones_and_in_no_rank() {
        let facts = facts();
        let body = encoder::page("Supervised", &facts).expect("an encoder").1.into_string();
        let (before, own) = body.split_once("<h2>Fine-tuned</h2>").expect("a section");
        assert!(own.contains("80.0") && own.contains("+30.0 better") && own.contains("seed 7"), "{own}");
        // 1.96 x sqrt(2) x 0.0051 = 1.4 points.
        assert!(own.contains("+28.6 to +31.4"), "{own}");
        assert!(before.contains("2 of 2") && !before.contains("80.0"), "the frozen one alone has a rank");
        // Without a frozen score nothing is compared, and the score is there all the same.
        let random = encoder::page("Random", &facts).expect("an encoder").1.into_string();
        let (_, own) = random.split_once("<h2>Fine-tuned</h2>").expect("a section");
        assert!(own.contains("30.0") && own.contains("–") && !own.contains(" better"), "{own}");
        assert!(!encoder::page("SWAV_200", &facts).expect("an encoder").1.into_string().contains("Fine-tuned"));
    }

    #[test]
    fn a_task_lists_them_from_the_best() {
        let body = task::page("CIFAR-100", &facts()).expect("a task").1.into_string();
        let (before, own) = body.split_once("<h2>Fine-tuned</h2>").expect("a section");
        let at = |key: &str| own.find(&format!("/encoders/{key}\"")).unwrap_or_else(|| panic!("no {key}"));
        assert!(at("Supervised") < at("SWAV_800") && at("SWAV_800") < at("Random"));
        assert!(
            !before.contains("80.0") && before.find("SWAV_800") < before.find("Supervised"),
            "the order of frozen ones"
        );
    }
}
