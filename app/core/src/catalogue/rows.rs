//! Rows as text: the form of the built-in tables and of files that declare encoders and tasks.

use super::architecture::Architecture;
use super::encoder::{Encoder, EncoderRole, Licence, Method, Pretraining};
use super::name::nearest;
use super::suite::Suite;
use super::task::Task;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// What is wrong with a row, in one sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line of the text, from 1, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
}

impl Mistake {
    /// A mistake that lies in no single line.
    #[must_use]
    pub fn of(what: impl Into<String>) -> Self {
        Self { line: None, what: what.into() }
    }

    /// The same, with the line of `text` in which the value of `key` first stands.
    #[must_use]
    pub fn at_key(self, text: &str, key: &str) -> Self {
        let is_it =
            |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
        Self { line: text.lines().position(is_it).map(|i| i + 1), ..self }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Mistake {}

/// Reads a TOML text of any form.
///
/// # Errors
/// [`Mistake`] with the line, and for a misspelt key with the one that may have been meant.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
        let message = error.message();
        // serde's sentence: unknown field `nmae`, expected one of `key`, `name`, ...
        let what = message.strip_prefix("unknown field ").map_or_else(
            || message.to_owned(),
            |rest| {
                let mut quoted = rest.split('`').skip(1).step_by(2);
                let field = quoted.next().unwrap_or_default();
                let known: Vec<&str> = quoted.collect();
                match nearest(field, known.iter().copied()) {
                    Some(near) => format!("there is no `{field}`; did you mean `{near}`?"),
                    None => format!("there is no `{field}`; known are {}", known.join(", ")),
                }
            },
        );
        Mistake { line, what: what.replace('\n', " ") }
    })
}

/// Reads a file that declares one encoder.
///
/// # Errors
/// [`Mistake`] for a text that is none.
pub fn encoder(text: &str) -> Result<Encoder, Mistake> {
    let encoder: Encoder = read(text)?;
    if encoder.role != EncoderRole::Declared {
        let what = "`role` is for built-in encoders; leave it out";
        return Err(Mistake::of(what).at_key(text, "role"));
    }
    Ok(encoder)
}

/// The file that declares an encoder, which [`encoder`] reads back.
#[must_use]
pub fn written(e: &Encoder) -> String {
    let mut lines = vec![format!("key = {}", quoted(&e.key)), format!("name = {}", quoted(&e.name))];
    let mut text = |key: &str, value: Option<&str>| {
        lines.extend(value.filter(|v| !v.is_empty()).map(|v| format!("{key} = {}", quoted(v))));
    };
    text("method", Some(e.method.name()).filter(|_| e.method != Method::Unknown));
    text("data", Some(e.pretraining.name()).filter(|_| e.pretraining != Pretraining::Unknown));
    text("architecture", Some(e.architecture.map_or("auto", Architecture::key)));
    text("checkpoint", e.checkpoint.as_deref());
    // An empty one means the top of the file, and is no default.
    lines.extend(e.prefix.as_ref().map(|prefix| format!("prefix = {}", quoted(prefix))));
    let mut text = |key: &str, value: Option<&str>| {
        lines.extend(value.filter(|v| !v.is_empty()).map(|v| format!("{key} = {}", quoted(v))));
    };
    text("licence", e.licence.as_ref().map(Licence::name));
    text("url", e.url.as_deref());
    text("note", Some(&e.note));
    lines.extend(e.images.map(|n| format!("images = {n}")));
    lines.extend(e.epochs.map(|n| format!("epochs = {n}")));
    lines.extend(e.side.map(|n| format!("side = {n}")));
    lines.extend(e.record.as_ref().map(|file| format!("record = {}", quoted(file))));
    lines.extend(e.stands_for.as_ref().map(|key| format!("stands_for = {}", quoted(key))));
    lines.extend(e.pictures.as_ref().map(|pictures| format!("pictures = {}", quoted(pictures))));
    if !e.suites.is_empty() {
        let suites: Vec<String> = e.suites.iter().map(|suite| quoted(suite)).collect();
        lines.push(format!("suites = [{}]", suites.join(", ")));
    }
    lines.join("\n") + "\n"
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Tables of rows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tables {
    #[serde(default, rename = "suite")]
    pub suites: Vec<Suite>,
    #[serde(default, rename = "encoder")]
    pub encoders: Vec<Encoder>,
    #[serde(default, rename = "task")]
    pub tasks: Vec<Task>,
}

/// The built-in tables, in the order in which they are added.
pub(super) const BUILTIN: [&str; 2] = [include_str!("tasks.toml"), include_str!("encoders.toml")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_needs_its_key_alone() {
        let e = encoder("key = \"Ours\"").expect("read");
        assert_eq!((e.architecture, e.licence, e.role), (None, None, EncoderRole::Declared));
        let text = "key = \"Ours\"\nmethod = \"moco v2\"\ndata = \"our pathology slides\"\nimages = 10_000_000_000\narchitecture = \"resnet-50\"\nlicence = \"mit\"";
        let e = encoder(text).expect("read");
        assert_eq!(
            (e.method, e.architecture, e.licence),
            (Method::MoCoV2, Some(Architecture::of("resnet50")), Some(Licence::Mit))
        );
        assert_eq!(e.pretraining, Pretraining::Other("our pathology slides".to_owned()));
        assert_eq!(e.pretraining.slug(), "our-pathology-slides");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = "key = \"Ours\"\nname = 'O\"u\\rs'\nmethod = \"DINOv2\"\ndata = \"our slides\"\narchitecture = \"resnet50\"\ncheckpoint = \"C:\\\\a.pt\"\nimages = 5\nepochs = 3\nlicence = \"own\"\nsuites = [\"paper\"]\nstands_for = \"SWAV_800\"\npictures = \"birds\"\nnote = \"\"\"two\nlines\"\"\"";
        let e = encoder(text).expect("read");
        assert_eq!(encoder(&written(&e)).expect("read back"), e, "{}", written(&e));
        let bare = encoder("key = \"A\"\nname = \"A\"").expect("read");
        assert_eq!(encoder(&written(&bare)).expect("read back"), bare);
    }

    #[test]
    fn mistakes_name_the_line_and_what_was_meant() {
        let say = |text: &str| encoder(text).expect_err("refused").to_string();
        assert_eq!(say("key = \"A\"\nnmae = \"B\""), "line 2: there is no `nmae`; did you mean `name`?");
        assert!(say("key = \"A\"\nshoesize = 3").starts_with("line 2: there is no `shoesize`; known are key, name"));
        assert!(say("key = \"A\"\n\nepochs = \"many\"").starts_with("line 3: invalid type"));
        assert!(
            say("key = \"A\"\narchitecture = \"VGG\"")
                .contains("line 2: there is no architecture `VGG`; known are auto, ")
        );
        assert!(say("key = A").starts_with("line 1: "));
        assert!(say("name = \"A\"").contains("missing field `key`"));
        assert_eq!(say("key = \"A\"\nrole = \"paper\""), "line 2: `role` is for built-in encoders; leave it out");
    }
}
