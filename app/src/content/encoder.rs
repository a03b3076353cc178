//! An encoder: what it is, how it stands, where it comes from, its scores, how to get its weights.

use super::parts::{crumbs, evidence, score as value, unit};
use super::{Board, Facts, Page};
use super::{fine_tuned, published, training};
use crate::charts::{curve, figure};
use maud::{Markup, html};
use virboard_core::analysis::profile::{Profile, profile};
use virboard_core::analysis::standing::standings;
use virboard_core::analysis::{Bar, Marks, Matrix, Panel};
use virboard_core::catalogue::Suite;
use virboard_core::catalogue::encoder::{Encoder, EncoderRole, Licence, Method};
use virboard_core::catalogue::task::{Category, Task, TaskRole};
use virboard_core::run::{Probe, Score};
use virboard_core::words::counted;

/// The page.
pub fn page(key: &str, facts: &Facts) -> Option<Page> {
    let e = facts.board.catalogue.encoder(key)?;
    let body = html! {
        (crumbs(&[("/", "Leaderboard")], "encoder"))
        h1 { (e.name) }
        p.note { (e.note) }
        (facts_of(e))
        (weights(e, &facts.board))
        (training::record(e, facts))
        @for suite in facts.board.catalogue.suites() { (standing(e, suite, &facts.board)) }
        @for suite in facts.board.catalogue.suites() { (training::more_epochs(e, suite, facts)) }
        (scores(e, facts))
    };
    Some((e.name.clone(), body))
}

fn facts_of(e: &Encoder) -> Markup {
    let number = |n: Option<u64>| n.map_or_else(|| "not known".to_owned(), thousands);
    let told = |fact: Option<String>| fact.unwrap_or_else(|| "as its checkpoint has it".to_owned());
    let fact = |name: &str, value: &str| html! { div { dt { (name) } dd { (value) } } };
    html! {
        dl.facts {
            div { dt { "Key" } dd { code { (e.key) } } }
            (fact("Architecture", e.architecture_name()))
            @if let Some(a) = e.architecture {
                (fact("Embedding", &told(a.embedding().map(|n| n.to_string()))))
                (fact("Parameters", &told(a.million_parameters().map(|n| format!("{n:.1} million")))))
            }
            (fact("Method", e.method.name()))
            (fact("Pretraining data", &e.data()))
            (fact("Images", &number(e.images)))
            (fact("Epochs", &number(e.epochs.map(u64::from))))
            (fact("Licence of the weights", e.licence.as_ref().map_or(if e.needs_no_file() { "none needed" } else { "not known" }, Licence::name)))
        }
    }
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

fn weights(e: &Encoder, board: &Board) -> Markup {
    let here = board.state(&e.key).is_some_and(|s| s.weights);
    let heads: Vec<&str> = board
        .state(&e.key)
        .map(|s| board.catalogue.tasks().iter().filter(|t| s.heads.contains(&t.key)).map(|t| &*t.name).collect())
        .unwrap_or_default();
    html! {
        section {
            h2 { "Weights" }
            @match (here, e.role, &e.method, &e.url) {
                (true, EncoderRole::Sample, ..) => p { "Its weights ship with Virboard." },
                (true, _, Method::Random, _) => p { "It needs no file: its weights come from a fixed seed." },
                (true, ..) => p { "Its weights are on this server." },
                (false, .., Some(url)) => {
                    p { "Its weights are not here. Download the checkpoint and put it into the data folder as shown; it is read strictly, as it is." }
                    p { a href=(url) rel="external noreferrer" { (url) } }
                    pre { (format!("curl -L -o data/checkpoints/{}.{} \\\n  {url}", e.key, ending(url))) }
                },
                (false, EncoderRole::Baseline, Method::Supervised, None) => {
                    p { "Its weights are not here. Save torchvision’s and put the file into the data folder:" }
                    pre { (format!("python -c \"import torch, torchvision; torch.save(torchvision.models.resnet50(weights='IMAGENET1K_V1').state_dict(), 'data/checkpoints/{}.pth')\"", e.key)) }
                },
                (false, EncoderRole::Declared, _, None) => p {
                    "Its weights are not here: it was declared for its scores. With its checkpoint, save it as "
                    code { "data/checkpoints/" (e.key) ".pth" } "."
                },
                (false, ..) => p {
                    "Its weights were never published at a fixed address. With a checkpoint of your own, save it as "
                    code { "data/checkpoints/" (e.key) ".pth" } "."
                },
            }
            @if !heads.is_empty() {
                p { "Heads here: " (heads.join(", ")) ". " a.call href={ "/try?encoder=" (e.key) } { "Try it on a photo" } }
            }
        }
    }
}

fn ending(url: &str) -> &str {
    ["safetensors", "pth.tar", "torch", "pth", "pt"].into_iter().find(|e| url.ends_with(e)).unwrap_or("pt")
}

/// Its place among all, its strengths, and who is like it, by the scores of a suite.
fn standing(e: &Encoder, suite: &Suite, board: &Board) -> Markup {
    let matrix = Matrix::of(&board.catalogue, &board.results, &suite.key, None);
    let Some(profile) = profile(&matrix, &e.key) else { return html! {} };
    let standings = standings(&matrix);
    html! {
        section {
            h2 { "Standing: " (suite.name) }
            @if let Some(s) = standings.of(&e.key) {
                p {
                    strong { "Place " (s.place) " of " (standings.places.len()) }
                    " by mean rank, " (format!("{:.1}", s.mean_rank))
                    @if let Some(i) = s.places { "; with tasks " @if standings.sampled { "and test samples " } "drawn anew, between place " (format!("{:.0}", i.low)) " and " (format!("{:.0}", i.high)) " in 95 % of draws" }
                    ", over the " (counted(standings.tasks.len(), "task")) " that all compared encoders have."
                }
            }
            ul.findings { @for words in profile.words() { li { (words) } } }
            div.charts { (figure(&bars(&profile))) }
            @if !profile.nearest.is_empty() {
                h3 { "Encoders with the most similar scores" }
                ol.cards.small {
                    @for (other, distance, tasks) in &profile.nearest {
                        li { a href={ "/encoders/" (other.key) } { (other.name) } p { "differs by " (format!("{distance:.2}")) " standard deviations, over " (counted(*tasks, "task")) } }
                    }
                }
                p { a href={ "/compare?e=" (e.key) "," (profile.nearest[0].0.key) } { "Compare it with " (profile.nearest[0].0.name) } }
            }
        }
    }
}

fn bars(profile: &Profile) -> Panel {
    let bars = profile.tasks.iter().map(|(t, z)| Bar {
        key: t.key.clone(),
        label: t.name.clone(),
        value: *z,
        interval: None,
        text: format!("{z:+.2}"),
        colour: t.category as usize,
    });
    let x = "standard deviations of the task; 0 is the average encoder, right is better";
    let mut panel = Panel::new("Each task, beside all other encoders", x, "", Marks::Bars(bars.collect()));
    panel.legend = Category::ALL.iter().map(|c| c.name().to_owned()).collect();
    panel
}

fn scores(e: &Encoder, facts: &Facts) -> Markup {
    let results = &facts.board.results;
    let score = |t: &Task| results.iter().find(|r| r.encoder == e.key && r.task == t.key);
    let (done, open): (Vec<&Task>, Vec<&Task>) =
        facts.board.catalogue.tasks().iter().map(|t| &**t).partition(|t| score(t).is_some());
    // What can be run with nothing fetched comes first.
    let (samples, others): (Vec<&Task>, Vec<&Task>) = open.into_iter().partition(|t| t.role == TaskRole::Sample);
    html! {
        @if !done.is_empty() {
            section {
                h2 { "Scores" }
                div.scroller tabindex="0" role="region" aria-label="Scores" {
                    table.list {
                        thead { tr { @for head in ["Task", "Score", "Constant", "Rank", "Second opinions, curve", "Evidence"] { th scope="col" { (head) } } } }
                        tbody { @for t in done { @if let Some(r) = score(t) { (row(t, r, facts)) } } }
                    }
                }
            }
        }
        (fine_tuned::of_encoder(e, facts))
        (published::of_encoder(e, &facts.board.catalogue))
        section {
            h2 { "Not measured yet" }
            p.note { "With the weights and the data here, the command fills the cell. " code { "virboard dataset list" } " says which data are missing." }
            ul.missing {
                @for t in samples.into_iter().chain(others) {
                    li id=(t.key) { a href={ "/tasks/" (t.key) } { (t.name) } code { "virboard evaluate --encoders " (e.key) " --tasks " (t.key) } }
                }
            }
        }
    }
}

fn row(t: &Task, r: &Score, facts: &Facts) -> Markup {
    let place = facts.place(&r.encoder, &t.key).filter(|(column, row)| column.rank(*row) > 0);
    let unit = unit(t);
    let epochs = facts.runs.iter().find(|run| run.score.task == t.key).map_or(&[][..], |run| &run.epochs);
    let opinions = facts.board.opinions.iter().filter(|o| o.encoder == r.encoder && o.task == t.key);
    html! {
        tr id=(t.key) {
            th scope="row" { a href={ "/tasks/" (t.key) } { (t.name) } span.about { (t.category.name()) } }
            td { (value(t, r)) span.about title=(t.metric.help()) { (t.metric.name()) } }
            td { @if let Some(c) = r.constant { (t.metric.format(c)) (unit) } }
            td { @if let Some((column, row)) = place { (column.rank(row)) " of " (column.of(row)) @if let Some((low, high)) = column.rank_between(row) { span.about { (low) @if high > low { "–" (high) } " in 95 %" } } } @else { "–" } }
            td { @for o in opinions { (opinion(t, o)) } (curve(epochs, t.metric)) }
            (evidence(r))
        }
    }
}

/// What another reader of the same features reached, under the head's score.
fn opinion(t: &Task, o: &Score) -> Markup {
    let name = match o.evidence.probe {
        Probe::Head => "head",
        Probe::Knn => "neighbours",
        Probe::Logistic => "regression",
        Probe::FineTuned => "fine-tuned",
    };
    html! { span.about { (name) " " (t.metric.format(o.value)) (unit(t)) } }
}
