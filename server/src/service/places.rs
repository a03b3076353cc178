//! Folders of this machine are nobody's business: what is answered to others has names of files alone.

use serde_json::Value;
use std::path::Path;
use virboard_core::run::Score;

/// Cuts every text of a value that is an absolute path down to its last name.
pub fn hide(value: &mut Value) {
    match value {
        Value::String(text) if Path::new(text).is_absolute() => {
            if let Some(name) = Path::new(text).file_name() {
                *text = name.to_string_lossy().into_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(fields) => fields.values_mut().for_each(hide),
        _ => {}
    }
}

/// A score whose configuration names no folder of this machine.
#[must_use]
pub(super) fn hidden(mut score: Score) -> Score {
    let configuration = &mut score.evidence.configuration;
    // Most have none, and keep their text to the letter.
    if configuration.contains("\"/")
        && let Ok(mut value) = serde_json::from_str(configuration)
    {
        hide(&mut value);
        *configuration = value.to_string();
    }
    score
}

/// A sentence whose absolute paths are cut down to their last names.
#[must_use]
pub(super) fn hidden_in(sentence: &str) -> String {
    let mut out = String::with_capacity(sentence.len());
    let ends = |c: char| c.is_whitespace() || "\"'`“”()[]{},;:".contains(c);
    for piece in sentence.split_inclusive(ends) {
        let (word, end) =
            piece.char_indices().last().filter(|(_, c)| ends(*c)).map_or((piece, ""), |(at, _)| piece.split_at(at));
        let name = Path::new(word).file_name().filter(|_| Path::new(word).is_absolute());
        out.push_str(&name.map_or_else(|| word.into(), |n| n.to_string_lossy()));
        out.push_str(end);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_keep_their_words_and_lose_their_folders() {
        let sentence = "/data/pets/a b.jpg: cannot be read (see `/var/log/x.log`), 3/4 done; and/or /";
        assert_eq!(hidden_in(sentence), "a b.jpg: cannot be read (see `x.log`), 3/4 done; and/or /");
        assert_eq!(hidden_in("in “/home/me/é.png”"), "in “é.png”");
        assert_eq!(hidden_in(""), "");
    }

    #[test]
    fn absolute_paths_are_cut_down_to_names() {
        let mut value =
            serde_json::json!({"from": "/home/me/scores.csv", "lr": 0.1, "parts": ["/a/b", "c/d"], "root": "/"});
        hide(&mut value);
        assert_eq!(value, serde_json::json!({"from": "scores.csv", "lr": 0.1, "parts": ["b", "c/d"], "root": "/"}));
    }
}
