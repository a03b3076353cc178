//! "Which one should I use?": weights and constraints, and an answer that follows them. Written
//! by the server, and by the browser while sliders move.

use crate::form::{choice, each, offered};
use maud::{Markup, html};
use virboard_core::catalogue::task::Category;
use virboard_core::leaderboard::{FEWEST, MOST, Sheet, Wish, Withheld};
use virboard_core::words::counted;

/// The page's title.
pub const TITLE: &str = "Which one should I use?";
/// Candidates that are shown.
const SHOWN: usize = 8;

/// Names and weights of the categories.
const PRESETS: [(&str, [u8; 4]); 5] = [
    ("Balanced", [1, 1, 1, 1]),
    ("What is it? (semantic)", [1, 0, 1, 0]),
    ("Where and how far? (structural)", [0, 1, 0, 1]),
    ("Pixel-wise", [0, 0, 1, 1]),
    ("Whole images", [1, 1, 0, 0]),
];

/// The page for the scores of one of `sheets`.
#[must_use]
pub fn page(sheets: &[Sheet], sheet: &Sheet, wish: &Wish) -> Markup {
    let suite = sheet.suite.key.as_str();
    let methods = each(sheet.rows.iter().map(|r| &r.method));
    let methods: Vec<(String, &str)> = methods.into_iter().map(|m| (m.slug(), m.name())).collect();
    let data = each(sheet.rows.iter().map(|r| &r.pretraining));
    let data: Vec<(String, &str)> = data.into_iter().map(|p| (p.slug(), p.name())).collect();
    let epochs = wish.epochs.map_or_else(String::new, |e| e.to_string());
    html! {
        nav.crumbs aria-label="Where you are" { a href="/" { "Leaderboard" } " / choose" }
        h1 { (TITLE) }
        p.lead { "Say what your tasks are like; the answer follows the scores on this server." }
        p.chips {
            @for (name, weights) in PRESETS {
                a href=(preset(suite, weights)) aria-current=[(wish.categories == weights && wish.tasks.is_empty()).then_some("true")] noscroll { (name) }
            }
        }
        div.choose {
            form.live #choose method="get" action="/choose" aria-label="What matters" {
                fieldset {
                    legend { "How much does each kind of task matter?" }
                    @for category in Category::ALL.into_iter().filter(|c| sheet.columns.iter().any(|t| t.category == *c)) {
                        (slider(category.slug(), category.name(), wish.categories[category as usize]))
                    }
                    details open[!wish.tasks.is_empty()] {
                        summary { "Single tasks" }
                        @for c in &sheet.columns { (slider(&format!("task-{}", c.key), &c.name, wish.of_task(&c.key))) }
                    }
                }
                fieldset {
                    legend { "Only encoders …" }
                    (choice("method", "trained by", wish.method.as_deref().unwrap_or_default(), offered("any method", &methods)))
                    (choice("dataset", "trained on", wish.pretraining.as_deref().unwrap_or_default(), offered("any data", &data)))
                    (choice("epochs", "for at most", &epochs, [("", "any number of epochs"), ("100", "100 epochs"), ("200", "200 epochs"), ("500", "500 epochs")]))
                    label.tick { input type="checkbox" name="commercial" value="1" checked[wish.commercial]; " licensed for commercial use" }
                    label.tick { input type="checkbox" name="ready" value="1" checked[wish.ready]; " whose weights are here" }
                    @if sheets.len() > 1 {
                        (choice("suite", "by the scores of", suite, sheets.iter().map(|s| (s.suite.key.as_str(), s.suite.short()))))
                    }
                }
                noscript { button { "Answer" } }
            }
            div #answer aria-live="polite" { (answer(sheet, wish)) }
        }
        p.note {
            "Scores are standardised task by task (0 is the average encoder, 1 a standard deviation better), errors turned round. "
            "A category’s weight is shared by its tasks. Drawing the tasks anew 400 times tells how much the answer hangs on their choice. "
            "A licence is that of the repository that publishes the weights, as each encoder’s page says; terms of the data it was trained on may narrow it."
        }
    }
}

fn preset(suite: &str, weights: [u8; 4]) -> String {
    let parts =
        Category::ALL.into_iter().zip(weights).filter(|(_, w)| *w != 1).map(|(c, w)| format!("&{}={w}", c.slug()));
    format!("/choose?suite={suite}{}", parts.collect::<String>())
}

fn slider(name: &str, label: &str, value: u8) -> Markup {
    html! {
        label.slider {
            span { (label) }
            input type="range" name=(name) min="0" max=(MOST) step="1" value=(value) data-default="1";
        }
    }
}

/// The answer in two sentences, and the candidates behind it.
#[must_use]
pub fn answer(sheet: &Sheet, wish: &Wish) -> Markup {
    let advice = sheet.advise(wish);
    let recommended = sheet.recommended(&advice);
    let Some(best) = advice.candidates.first() else {
        let why = match (sheet.filled(), advice.incomplete) {
            (0, _) => {
                "There are no scores yet to choose by. Import some with “virboard import” or measure some with “virboard evaluate”."
            }
            (_, 0) => {
                "Nothing counts: give a kind of task some weight, allow more encoders, or measure a second encoder on the same tasks."
            }
            _ => "No allowed encoder has a score on every task that counts. Give less weight to tasks with few scores.",
        };
        return html! { p.caveat { (why) } };
    };
    let name = |row: usize| &sheet.rows[row].name;
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let last = advice.candidates.iter().take(SHOWN).next_back().map_or(0.0, |c| c.score);
    let bar = |score: f64| 8.0 + 92.0 * (score - last) / (best.score - last).max(0.1);
    html! {
        h2.hidden { "Answer" }
        @match recommended {
            Ok(_) | Err(Withheld::Nothing) => p.verdict-line {
            "Use " a href={ "/encoders/" (sheet.rows[best.row].key) } { strong { (name(best.row)) } } ": "
            @if let Some(second) = advice.candidates.get(1) {
                "it leads " (name(second.row)) " by " (format!("{:.2}", best.score - second.score)) " standard deviations over the " (advice.tasks.len())
                " tasks that count, and comes first in " (percent(best.wins)) " of the draws of tasks."
            } @else {
                "it is the only allowed encoder with a score on every task that counts."
            }
            },
            Err(Withheld::Few) => p.caveat {
                "Nothing is recommended: " (counted(advice.compared, "encoder")) (if advice.compared == 1 { " has" } else { " have" })
                " a score on every task that counts, and the best of fewer than " (FEWEST) " says little of what is good. This is their order so far."
            },
            Err(Withheld::Baseline) => p.caveat {
                "Nothing is recommended: no allowed encoder is better than " a href={ "/encoders/" (sheet.rows[best.row].key) } { (name(best.row)) }
                ", which is there to be compared with. This is their order."
            },
        }
        @if let Some((strong, weak)) = best.extremes {
            p {
                "What speaks most for it is " a href={ "/tasks/" (sheet.columns[strong].key) } { (sheet.columns[strong].name.trim_end_matches('.')) }
                @if strong != weak { "; what speaks least is " a href={ "/tasks/" (sheet.columns[weak].key) } { (sheet.columns[weak].name.trim_end_matches('.')) } }
                "." @if best.wins < 0.5 && advice.candidates.len() > 1 { " The choice is not firm: the next ones are as good for many sets of tasks." }
            }
        }
        ol.candidates {
            @for c in advice.candidates.iter().take(SHOWN) {
                li {
                    a href={ "/encoders/" (sheet.rows[c.row].key) } { (name(c.row)) }
                    span.bar aria-hidden="true" { i style={ "width:" (format!("{:.0}%", bar(c.score))) } {} }
                    span.score { (format!("{:+.2}", c.score)) }
                    span.note { "first in " (percent(c.wins)) }
                }
            }
        }
        @if advice.incomplete > 0 { p.note { (advice.incomplete) " encoders lack a score on a task that counts and are left out." } }
        @if let [first, second, ..] = &advice.candidates[..] {
            p { a href={ "/compare?suite=" (sheet.suite.key) "&e=" (sheet.rows[first.row].key) "," (sheet.rows[second.row].key) } { "Compare the first two task by task" } }
        }
    }
}
