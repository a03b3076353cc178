//! Fields of the forms in markup, for whichever side writes them.

use maud::{Markup, html};

/// A choice: its values with their texts, `present` being the chosen value.
pub fn choice<'a>(
    name: &str,
    label: &str,
    present: &str,
    options: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Markup {
    html! {
        label {
            (label) " "
            select name=(name) {
                @for (value, text) in options { option value=(value) selected[value == present] { (text) } }
            }
        }
    }
}

/// Each value once, in order.
pub fn each<'a, T: Ord + 'a>(values: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut all: Vec<&T> = values.collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A choice's values with their texts, after one for all of them.
pub fn offered<'a>(all: &'a str, values: &'a [(String, &'a str)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    std::iter::once(("", all)).chain(values.iter().map(|(value, text)| (value.as_str(), *text)))
}
