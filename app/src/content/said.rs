//! What is told above a page of the form that was sent to it.

use maud::{Markup, html};

/// What came of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It was refused; why.
    Refused(String),
    /// A token was made; its secret, which is shown this once.
    Token(String),
}

/// The sentence about it.
pub fn told(said: Option<&Said>) -> Markup {
    html! {
        @match said {
            Some(Said::Refused(why)) => p.problem role="alert" { (why) },
            Some(Said::Token(secret)) => div.done role="status" {
                p { "This is your new token. It is shown this once: copy it to where it is used." }
                pre { code { (secret) } }
                p.note { "Send it as " code { "Authorization: Bearer " (secret.get(..8).unwrap_or_default()) "…" } "." }
            },
            None => {},
        }
    }
}
