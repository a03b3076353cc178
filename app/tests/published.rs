//! Numbers that others published, on the leaderboard and on the pages of encoders.

#![cfg(feature = "ssr")]

use std::sync::Arc;
use virboard_app::content::{Address, Board, Facts, content};
use virboard_core::catalogue::{Catalogue, rows};
use virboard_core::leaderboard::Sheet;
use virboard_core::run::{Evidence, Score};

fn facts(catalogue: Arc<Catalogue>, results: Vec<Score>) -> Facts {
    let sheets = catalogue.suites().iter().map(|s| Sheet::of(&catalogue, s, &results, &[], |_| false)).collect();
    let board = Board { catalogue, results, ..Board::default() };
    Facts { board: Arc::new(board), sheets: Arc::new(sheets), ..Facts::default() }
}

fn nothing_measured() -> Facts {
    facts(Catalogue::builtin(), Vec::new())
}

fn html(path: &str, query: &str, facts: &Facts) -> String {
    let made = content(&Address::new(path, query), facts);
    assert!(made.found, "{path}?{query}");
    made.html
}

/// The section of published numbers on an encoder's page.
fn section(key: &str, facts: &Facts) -> Option<String> {
    let page = html(&format!("/encoders/{key}"), "", facts);
    let (_, from) = page.split_once("<h2>Published elsewhere</h2>")?;
    Some(from.split("</section>").next().unwrap_or_default().to_owned())
}

/// How many cells quote, and how many legends explain it.
fn quotes(page: &str) -> (usize, usize) {
    (page.matches(" quoted\"><a").count(), page.matches("class=\"quotes\"").count())
}

#[test]
fn an_empty_cell_shows_what_was_published_until_there_is_a_score() {
    let empty = html("/", "", &nothing_measured());
    assert_eq!(quotes(&empty), (16, 1));
    let title = "title=\"SwAV ImageNet 800 on CIFAR-100 Cls.: 79.6 % top-1, published elsewhere";
    assert!(empty.contains(title) && empty.contains("“79.6”") && empty.contains("Frozen encoder, multinomial"));
    let score = Score {
        encoder: "SWAV_800".into(),
        task: "CIFAR-100".into(),
        value: 0.5,
        evidence: Evidence { selected: true, test_samples: 1, ..Evidence::default() },
        ..Score::default()
    };
    let filled = facts(Catalogue::builtin(), vec![score]);
    let board = html("/", "", &filled);
    assert_eq!((quotes(&board), board.contains("“79.6”")), ((15, 1), false));
    assert!(section("SWAV_800", &filled).expect("a table").contains("“79.6”"), "it is still on the encoder's page");
}

#[test]
fn a_legend_is_there_only_with_what_it_explains() {
    let facts = nothing_measured();
    for query in ["show=rank", "show=relative", "show=normalised", "fold=image-semantic", "method=simclr", "q=places"] {
        assert_eq!(quotes(&html("/", query, &facts)), (0, 0), "{query}");
    }
    assert_eq!(quotes(&html("/", "hide=Imagenet", &facts)), (8, 1));
}

#[test]
fn all_numbers_of_an_encoder_are_on_its_page_alone() {
    let facts = nothing_measured();
    let supervised = section("Supervised", &facts).expect("a table");
    assert_eq!(supervised.matches("<th scope=\"row\">").count(), 9);
    assert!(supervised.contains("accuracy, mean over classes") && supervised.contains("arxiv.org/abs/2011.13377"));
    let at = |task: &str| supervised.find(&format!("/tasks/{task}\"")).unwrap_or_else(|| panic!("no {task}"));
    assert!(at("Imagenet") < at("Pets") && at("Pets") < at("dtd") && at("dtd") < at("Imagenetv2"));
    assert_eq!(section("SWAV_50", &facts), None);
    for path in ["/analyses/imagenet", "/choose", "/compare", "/tasks/CIFAR-100"] {
        let page = html(path, "suite=paper&e=SWAV_800,Supervised", &facts);
        assert!(!page.contains("“79.6”") && !page.to_lowercase().contains("published elsewhere"), "{path}");
    }
}

#[test]
fn a_task_that_the_catalogue_lacks_goes_by_its_data_set() {
    let mut catalogue = Catalogue::default();
    catalogue.add_encoder(rows::encoder("key = \"SWAV_800\"").expect("a row")).expect("added");
    let table = section("SWAV_800", &facts(Arc::new(catalogue), Vec::new())).expect("a table");
    assert_eq!(table.matches("<th scope=\"row\">").count(), 5);
    assert!(table.contains("<th scope=\"row\">DTD, split 1</th>") && !table.contains("/tasks/"), "{table}");
}
