//! Mistakes of YAML as sentences.

use crate::Error;
use serde_saphyr::Error as Yaml;
use std::path::Path;
use virboard_core::catalogue::nearest;

/// What is wrong with a file, where, and what may have been meant.
pub fn of(path: &Path, error: &Yaml) -> Error {
    let place = error.location().filter(|at| at.line() > 0);
    let place = place.map_or_else(String::new, |at| format!(", line {}, column {}", at.line(), at.column()));
    Error::Settings { path: path.to_path_buf(), place, reason: reason(error) }
}

fn reason(error: &Yaml) -> String {
    match error {
        Yaml::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        Yaml::SerdeUnknownVariant { variant, expected, .. } => unknown("name", variant, expected),
        Yaml::SerdeMissingField { field, .. } => format!("`{field}` is missing"),
        Yaml::DuplicateMappingKey { key: Some(key), .. } => format!("`{key}` stands there twice; keep one of them"),
        Yaml::ExpectedMappingEndAfterEnumVariantValue { .. } => {
            "a second name stands beside the first, and only one can be; keep one of them".to_owned()
        }
        Yaml::Message { msg, .. } => msg.clone(),
        // A sentence stays on one line.
        other => other.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

fn unknown(what: &str, said: &str, known: &[&'static str]) -> String {
    match nearest(said, known.iter().copied()) {
        Some(near) => format!("there is no {what} `{said}` here; did you mean `{near}`?"),
        None if known.is_empty() => format!("there is no {what} `{said}` here; nothing can be set"),
        None => format!("there is no {what} `{said}` here; known are {}", known.join(", ")),
    }
}
