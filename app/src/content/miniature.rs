//! The paper in miniature: what stands for what, and what becomes of the paper's claims.

use super::parts::table;
use super::{Address, Board, Facts, Page, analyses};
use maud::{Markup, html};
use std::sync::Arc;
use virboard_core::analysis::Table;
use virboard_core::analysis::kinds::kind;
use virboard_core::catalogue::MINIATURE;
use virboard_core::catalogue::encoder::Encoder;
use virboard_core::leaderboard::Sheet;

/// Key of the analysis of the claims.
const CLAIMS: &str = "claims";

/// How the miniature differs from the paper: there, and here.
const DIFFERENCES: [[&str; 3]; 7] = [
    ["network", "ResNet-50, 23.5 million parameters", "ResNet-18 of width 24, 1.58 million"],
    ["pictures", "224 pixels", "trained on crops of 48, measured at 64"],
    ["training data", "1.3 million pictures a source", "6,982 pictures a source"],
    ["epochs", "50, 100, 200, 800", "5, 10, 20, 80, each a run of its own"],
    ["settings", "as each method’s authors published", "one a method, searched for once on small data"],
    ["tasks", "20 public data sets", "small data sets and rendered scenes of the same four categories"],
    [
        "training all of them",
        "–",
        "13 minutes of an H200 with 16 threads for all but PIRL; all on two threads in about three hours",
    ],
];

/// The page.
pub fn page(_: &Address, facts: &Facts) -> Option<Page> {
    let sheet = facts.sheets.iter().find(|s| s.suite.key == MINIATURE)?;
    let title = "The paper in miniature";
    let body = html! {
        h1 { (title) }
        p.lead {
            "The paper’s thirty encoders are large, and most of its data may not be passed on. So all of it is made again here, small: "
            "its encoders by the same methods, trained from scratch on real pictures, and measured on tasks of the same four categories. "
            "Every number of the miniature was computed by this program; nothing is copied."
        }
        p { a.call href={ "/?suite=" (MINIATURE) } { "See the leaderboard" } }
        section {
            h2 { "How it differs from the paper" }
            (table(&differences(), "How the miniature differs from the paper"))
        }
        (claims(facts))
        section {
            h2 { "What stands for what" }
            p { "Analyses that name an encoder or a task of the paper take what stands for it here." }
            h3 { "Tasks" }
            (table(&tasks(sheet, &facts.board), "Tasks of the paper and of the miniature"))
            h3 { "Encoders" }
            (table(&encoders(&facts.board), "Encoders of the paper and of the miniature"))
        }
        section {
            h2 { "Make it again" }
            p { code { "make miniature" } " trains and measures all of it anew, from the same list, and compares: weights to the bit where the processor is of the same kind, scores within what another seed changes. "
                "An encoder of your own is measured on the same tasks with " code { "virboard evaluate" } "." }
        }
    };
    Some((title.to_owned(), body))
}

fn differences() -> Table {
    let mut table = Table::new(&["", "in the paper", "here"]);
    for row in DIFFERENCES {
        table.row(row);
    }
    table
}

/// The claims on the scores here and on the paper's published points.
fn claims(facts: &Facts) -> Markup {
    let address = Address::new("/analyses/claims", &format!("suite={MINIATURE}"));
    let selection = analyses::selection(&address, &facts.board);
    let Some(kind) = kind(CLAIMS) else { return html! {} };
    let answer = (kind.compute)(&selection.matrix, &selection.options);
    html! {
        section {
            h2 { "What becomes of the paper’s claims" }
            ul.findings { @for finding in &answer.findings { li { (finding) } } }
            (table(&answer.table, "The paper’s claims, here and on its published points"))
            p.note { "A claim that fails here fails at this scale: small networks, short training, few pictures. The paper’s published points are anonymous, so that most claims cannot be checked on them." }
        }
    }
}

fn tasks(sheet: &Sheet, board: &Board) -> Table {
    let mut table = Table::new(&["in the paper", "here", "category"]);
    for task in sheet.columns.iter().filter_map(|column| board.catalogue.task(&column.key)) {
        let original = task.stands_for.as_deref().and_then(|key| board.catalogue.task(key));
        let original = original.map_or("–", |original| original.name.as_str());
        table.row([original, &task.name, task.category.name()]);
    }
    table
}

fn encoders(board: &Board) -> Table {
    let mut table = Table::new(&["in the paper", "here", "trained on", "pictures", "epochs in the paper"]);
    let stands = |e: &&Arc<Encoder>| e.stands_for.is_some() && e.suites.iter().any(|s| s == MINIATURE);
    for encoder in board.catalogue.encoders().iter().filter(stands) {
        let original = encoder.stands_for.as_deref().and_then(|key| board.catalogue.encoder(key));
        let original = original.map_or("–", |original| original.name.as_str());
        let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
        table.row([
            original,
            &encoder.name,
            encoder.pictures.as_deref().unwrap_or("–"),
            &number(encoder.images),
            &number(encoder.epochs.map(u64::from)),
        ]);
    }
    table
}
