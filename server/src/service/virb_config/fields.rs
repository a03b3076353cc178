//! The keys of one table of a configuration, each read once and none passed over.

use serde_json::{Map, Value};
use virboard_core::catalogue::nearest;

/// A table of a file with the keys that it may have.
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// A table whose keys are all among `known`, or the sentence that names one that is not.
    pub fn of(map: &'a Map<String, Value>, known: &[&str]) -> Result<Self, String> {
        match map.keys().find(|k| !known.contains(&k.as_str())) {
            Some(stranger) => Err(unknown(stranger, known)),
            None => Ok(Self { map }),
        }
    }

    /// The value of a key that is there and not empty.
    fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    /// A text.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        self.read(key, "a text", |v| v.as_str().filter(|t| !t.trim().is_empty()))
    }

    /// A table.
    pub fn map(&self, key: &str) -> Result<Option<&'a Map<String, Value>>, String> {
        self.read(key, "a table of keys and values", Value::as_object)
    }

    /// Yes or no.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        self.read(key, "true or false", |v| match v.as_str().map(str::to_lowercase).as_deref() {
            Some("yes" | "on") => Some(true),
            Some("no" | "off") => Some(false),
            _ => v.as_bool(),
        })
    }

    /// A whole number from 1.
    pub fn count(&self, key: &str) -> Result<Option<u32>, String> {
        let whole = |n: f64| (n.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&n)).then_some(n as u32);
        self.read(key, "a whole number from 1", |v| number(v).and_then(whole))
    }

    /// A number that passes; `what` says which do.
    pub fn real(&self, key: &str, what: &str, passes: fn(f64) -> bool) -> Result<Option<f64>, String> {
        self.read(key, what, |v| number(v).filter(|n| n.is_finite() && passes(*n)))
    }

    fn read<T>(&self, key: &str, what: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>, String> {
        let Some(value) = self.value(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| {
            let list = if value.is_array() { ", no list: write a configuration for each" } else { "" };
            format!("`{key}` is {}, and has to be {what}{list}", shown(value))
        })
    }
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A value as a sentence shows it.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 40 { format!("{}…", text.chars().take(40).collect::<String>()) } else { text }
}

/// The sentence about a name that is not known, with the one that may have been meant.
pub fn unknown(name: &str, known: &[&str]) -> String {
    let perhaps = nearest(name, known.iter().copied()).map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
    format!("`{name}` is not known{perhaps}; known are {}", known.join(", "))
}
