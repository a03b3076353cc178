//! The columns of a run: a row each, and a column for each setting beside them.

use super::row::RunRow;
use super::value::Value;
use std::borrow::Cow;

/// What a column holds, which says how it is written and compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number that can be averaged.
    Number,
    /// A number, or a text, that names something or was set: its mean says nothing.
    Label,
    /// A number in the task's metric: a share from 0 to 1 is written in percent.
    Score,
    /// Seconds since 1970, UTC.
    Moment,
    /// Seconds.
    Seconds,
}

impl Kind {
    /// Whether larger and smaller are asked of it.
    #[must_use]
    pub const fn is_numeric(self) -> bool {
        !matches!(self, Self::Text)
    }
}

/// A column that every run has.
#[derive(Debug)]
pub struct Column {
    /// Its name in filters, addresses and files.
    pub name: &'static str,
    /// Its head.
    pub title: &'static str,
    /// What it is, with its unit.
    pub help: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it is shown by itself where runs differ in it.
    pub offered: bool,
    /// What a run has in it.
    pub read: for<'a> fn(&'a RunRow) -> Value<'a>,
}

macro_rules! column {
    ($name:literal, $title:literal, $kind:ident, $offered:literal, $help:literal, $read:expr) => {
        Column { name: $name, title: $title, help: $help, kind: Kind::$kind, offered: $offered, read: $read }
    };
}

fn yes(flag: bool) -> Value<'static> {
    Value::Text(Cow::Borrowed(if flag { "yes" } else { "no" }))
}

/// All columns that every run has, in the order in which they stand.
pub static KNOWN: &[Column] = &[
    column!("run", "Run", Label, false, "its number", |r| Value::Number(r.id as f64)),
    column!("state", "State", Text, false, "how it stands", |r| Value::text(r.state.name())),
    column!("encoder", "Encoder", Text, false, "key of the encoder", |r| Value::text(&r.encoder)),
    column!("task", "Task", Text, false, "key of the task", |r| Value::text(&r.task)),
    column!("score", "Score", Score, false, "in the task’s metric; shares from 0 to 1, or with %", |r| {
        Value::number(r.score)
    }),
    column!("reason", "Reason", Text, true, "why it stands so", |r| {
        Value::text(r.reason.as_deref().unwrap_or_default())
    }),
    column!("attempt", "Attempt", Label, true, "which try it is", |r| Value::number(r.attempt.map(f64::from))),
    column!("worker", "Worker", Text, true, "who works on it", |r| {
        Value::text(r.worker.as_deref().unwrap_or_default())
    }),
    column!("seed", "Seed", Label, true, "seed of everything random", |r| Value::Number(r.seed as f64)),
    column!("probe", "Probe", Text, true, "how features were read", |r| Value::text(r.probe.name())),
    column!("protocol", "Protocol", Text, true, "rules of training and scoring", |r| Value::text(r.protocol.name())),
    column!("epoch", "Epoch", Number, true, "the last that is done", |r| Value::number(r.epoch.map(f64::from))),
    column!("epochs", "of", Label, false, "how many epochs it has", |r| Value::number(r.epochs.map(f64::from))),
    column!("loss", "Loss", Number, true, "mean training loss of the last epoch", |r| Value::number(r.loss)),
    column!("last", "Last metric", Score, false, "after the last epoch that computed it", |r| Value::number(r.last)),
    column!("best", "Best metric", Score, true, "the best of all epochs", |r| Value::number(r.best)),
    column!("low", "Low", Score, false, "lower end of the score’s 95 %", |r| Value::number(
        r.interval.map(|i| i.low)
    )),
    column!("high", "High", Score, false, "upper end of the score’s 95 %", |r| {
        Value::number(r.interval.map(|i| i.high))
    }),
    column!("constant", "Constant", Score, false, "score of the best constant answer", |r| Value::number(r.constant)),
    column!("selected", "Answer", Text, true, "whether it is the answer of its job", |r| yes(r.selected)),
    column!("replaced", "Replaced", Text, true, "whether another score took its place", |r| yes(r.replaced)),
    column!("source", "Source", Text, true, "measured here or imported", |r| {
        Value::text(r.source.map_or("", |s| s.name()))
    }),
    column!("device", "Device", Text, true, "where it was computed", |r| Value::text(&r.device)),
    column!("precision", "Precision", Text, true, "how exactly the encoder computed", |r| Value::text(&r.precision)),
    column!("started", "Started", Moment, true, "when, UTC: 2026-11-28, or with a time", |r| {
        Value::Number(r.started as f64)
    }),
    column!("finished", "Finished", Moment, false, "when, UTC", |r| Value::number(r.finished.map(|t| t as f64))),
    column!("seconds", "Took", Seconds, true, "seconds; also 90s, 5m, 2h or 1d", |r| Value::number(r.seconds)),
    column!("samples", "Test samples", Number, false, "number of test samples", |r| {
        Value::number(r.samples.map(|n| n as f64))
    }),
    column!("job", "Job", Text, false, "name of its job", |r| Value::text(&r.job)),
    column!("version", "Version", Text, true, "version of Virboard", |r| Value::text(&r.version)),
    column!("tag", "Tags", Text, true, "what people tagged it with", |r| match &r.tags[..] {
        [] => Value::Nothing,
        [one] => Value::text(one),
        all => Value::Text(all.join(" ").into()),
    }),
    column!("note", "Note", Text, true, "whether somebody wrote one", |r| {
        if r.note { yes(true) } else { Value::Nothing }
    }),
    column!("key", "Key", Text, false, "hash of its settings but for the seed", |r| Value::text(&r.key)),
    column!("weights", "Weights", Text, false, "SHA-256 of the encoder’s weights", |r| Value::text(
        &r.encoder_sha256
    )),
    column!("data", "Data", Text, false, "SHA-256 of the data set", |r| Value::text(&r.dataset_sha256)),
];

/// The column with this name.
pub(super) fn known(name: &str) -> Option<&'static Column> {
    KNOWN.iter().find(|c| c.name == name)
}

/// What else people call columns.
const ALIASES: [(&str, &str); 14] = [
    ("id", "run"),
    ("status", "state"),
    ("error", "reason"),
    ("machine", "worker"),
    ("host", "worker"),
    ("lr", "learning_rate"),
    ("bs", "batch_size"),
    ("optimizer", "optimiser"),
    ("tags", "tag"),
    ("metric", "last"),
    ("began", "started"),
    ("took", "seconds"),
    ("duration", "seconds"),
    ("answer", "selected"),
];

/// The column that is meant by another name for it.
#[must_use]
pub fn alias(name: &str) -> Option<&'static str> {
    ALIASES.iter().find(|a| a.0 == name).map(|a| a.1)
}

/// A column that a run is asked for.
#[derive(Debug, Clone)]
pub enum Reading {
    /// One that every run has.
    Known(&'static Column),
    /// A setting by its name.
    Setting(String),
}

impl PartialEq for Reading {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Reading {
    /// Its name in filters, addresses and files.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Known(column) => column.name,
            Self::Setting(name) => name,
        }
    }

    /// Its head.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Known(column) => column.title,
            Self::Setting(name) => name,
        }
    }

    /// What it is.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Known(column) => column.help,
            Self::Setting(_) => "a setting",
        }
    }

    /// What it holds; settings hold numbers and texts alike.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Known(column) => column.kind,
            Self::Setting(_) => Kind::Label,
        }
    }

    /// What a run has in it.
    #[must_use]
    pub fn read<'a>(&self, run: &'a RunRow) -> Value<'a> {
        match self {
            Self::Known(column) => (column.read)(run),
            Self::Setting(name) => run.setting(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_small_and_nobody_has_two_of_them() {
        let mut names: Vec<&str> = KNOWN.iter().map(|c| c.name).chain(ALIASES.iter().map(|a| a.0)).collect();
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')), "{names:?}");
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
