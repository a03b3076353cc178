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
