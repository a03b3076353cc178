//! Keys: SHA-256 of a canonical form of what was set, by which programs tell whether two
//! things are the same. The text of a JSON object does not do for that: it changes with the
//! order of fields, and with every setting that is added.
//!
//! The form, version 1: the line `virboard key 1 KIND`, then the settings as JSON without
//! spaces, the entries of every object sorted by name. Left out, at any depth, are entries that
//! are `null` and those that stand in [`DEFAULTS`] with this value.

use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use virboard_nn::files::sha256;

/// Settings that came after the first keys were made, each with the value that everything had
/// before, as JSON. Whoever adds a setting adds its line: then no key that exists changes.
pub const DEFAULTS: [(&str, &str); 1] = [("precision", "\"f32\"")];

/// The key of something of a kind.
pub fn of(kind: &str, settings: &impl Serialize) -> Result<String> {
    Ok(of_value(kind, &value(settings)?))
}

/// What stands among a score's settings and is none: the seed has a column of its own, and the
/// others say where an imported score was found.
pub const NO_SETTINGS: [&str; 4] = ["seed", "from", "note", "url"];

/// The key of one training's settings, or of another way of reading features, from the JSON
/// that stands beside its score, without [`NO_SETTINGS`]. Text that is no object, as old tables
/// have it, is taken as it is.
#[must_use]
pub fn of_settings(configuration: &str) -> String {
    match serde_json::from_str(configuration) {
        Ok(Value::Object(mut settings)) => {
            settings.retain(|name, _| !NO_SETTINGS.contains(&name.as_str()));
            of_value("settings", &Value::Object(settings))
        }
        _ => of_value("text", &Value::String(configuration.to_owned())),
    }
}

/// Settings as JSON text, for people.
pub fn text(settings: &impl Serialize) -> Result<String> {
    serde_json::to_string(settings).map_err(Error::json("settings"))
}

/// Settings as a JSON value.
pub fn value(settings: &impl Serialize) -> Result<Value> {
    serde_json::to_value(settings).map_err(Error::json("settings"))
}

fn of_value(kind: &str, settings: &Value) -> String {
    let mut form = format!("virboard key 1 {kind}\n");
    write(settings, &mut form);
    sha256(form.as_bytes())
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(entries) => {
            let left_out = |name: &str, v: &Value| v.is_null() || DEFAULTS.contains(&(name, v.to_string().as_str()));
            let mut entries: Vec<(&String, &Value)> = entries.iter().filter(|(n, v)| !left_out(n, v)).collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (i, (name, value)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(value, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Configuration;
    use crate::train::fine_tuning::FineTuning;
    use virboard_core::protocol::Protocol;

    /// As it stands beside scores since the first of them.
    const OLD: &str = "{\"name\":\"adam-0.001\",\"epochs\":200,\"batch_size\":32,\"test_batch_size\":32,\
        \"optimiser\":\"adam\",\"learning_rate\":0.001,\"schedule\":\"cosine\",\"standardise\":true,\"repeats\":1,\
        \"protocol\":\"standard\",\"selection\":\"last-epoch\",\"seed\":0}";

    /// Its key, computed by another program.
    const GOLDEN: &str = "7dd02b1047e2e333d31c503ac175efdcc59aefed96fd4ba4a1b2eae0ecd6a7c5";

    #[test]
    fn the_form_is_as_described() {
        let mut form = String::new();
        let settings = "{\"b\":[1,{\"z\":null,\"y\":0.5}],\"precision\":\"f32\",\"a\":\"x\\\"\"}";
        write(&serde_json::from_str(settings).expect("JSON"), &mut form);
        assert_eq!(form, "{\"a\":\"x\\\"\",\"b\":[1,{\"y\":0.5}]}");
    }

    #[test]
    fn keys_of_old_scores_never_change() {
        assert_eq!(of_settings(OLD), GOLDEN);
        let settings: Configuration = serde_json::from_str(OLD).expect("read");
        assert_eq!(
            of_settings(&text(&settings).expect("written")),
            GOLDEN,
            "a setting was added without a line in DEFAULTS"
        );
        // Spelt out, or in another order: the same.
        let spelt = OLD.replace("\"seed\":0", "\"precision\":\"f32\",\"seed\":7,\"views\":null");
        assert_eq!(of_settings(&spelt), GOLDEN);
        for other in [
            OLD.replace("0.001,", "0.002,"),
            OLD.replace("\"seed\":0", "\"precision\":\"bf16\",\"seed\":0"),
            OLD.replace("\"seed\":0", "\"views\":3,\"seed\":0"),
        ] {
            assert_ne!(of_settings(&other), GOLDEN, "{other}");
        }
        let found = "{\"name\":\"a\",\"from\":\"/tmp/a.csv\",\"note\":\"by mail\",\"url\":\"https://example.org\"}";
        assert_eq!(of_settings(found), of_settings("{\"name\":\"a\"}"), "where a score was found is no setting");
        assert_ne!(of_settings("adam-0.0001"), of_settings("sgd-0.01"));
        assert_ne!(of_settings("null"), of_settings("{}"));
    }

    #[test]
    fn every_setting_is_in_the_key() {
        let plain = Configuration::untrained("plain".to_owned(), 0, Protocol::Standard);
        let key = |c: &Configuration| of_settings(&text(c).expect("written"));
        assert_eq!(key(&plain), key(&Configuration { seed: 5, ..plain.clone() }), "the seed has its own column");
        let changed = [
            Configuration { name: "other".to_owned(), ..plain.clone() },
            Configuration { epochs: 1, ..plain.clone() },
            Configuration { batch_size: 1, ..plain.clone() },
            Configuration { test_batch_size: 1, ..plain.clone() },
            Configuration { learning_rate: 1.0, ..plain.clone() },
            Configuration { standardise: true, ..plain.clone() },
            Configuration { repeats: 2, ..plain.clone() },
            Configuration { protocol: Protocol::Virb, ..plain.clone() },
            Configuration { views: Some(2), ..plain.clone() },
            Configuration { fine_tuning: Some(FineTuning::at(0.1)), ..plain.clone() },
            Configuration {
                fine_tuning: Some(FineTuning { layer_decay: 0.5, ..FineTuning::at(0.1) }),
                ..plain.clone()
            },
        ];
        let mut keys: Vec<String> = changed.iter().chain([&plain]).map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 12);
    }
}
