//! Queries of the REST interface: what is not understood is refused with the choices there are.

use crate::service::ServiceError;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::collections::BTreeMap;
use virboard_core::catalogue::nearest;

/// The fields of a query that are not empty. What stands in it several times is joined by commas.
#[derive(Debug, Default)]
pub struct Fields(BTreeMap<String, String>);

/// What a parameter may be.
#[derive(Debug)]
pub enum Choice<'a> {
    /// One of these.
    One(Vec<&'a str>),
    /// Some of these, separated by commas.
    Some(Vec<&'a str>),
    /// The same, each perhaps with a minus before it.
    Signed(Vec<&'a str>),
    /// A whole number from 1.
    Number,
    /// Any text.
    Text,
}

/// Yes and no.
pub const SWITCH: [&str; 4] = ["0", "1", "false", "true"];

impl<S: Sync> FromRequestParts<S> for Fields {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ServiceError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let pairs = pairs.map_err(|_| ServiceError::Request("The query cannot be read.".to_owned()))?;
        let mut all = BTreeMap::<String, String>::new();
        for (key, value) in pairs.0.into_iter().filter(|(_, value)| !value.is_empty()) {
            all.entry(key).and_modify(|held| *held = format!("{held},{value}")).or_insert(value);
        }
        Ok(Self(all))
    }
}

impl Fields {
    /// A field.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Refuses a field that is not among `known`, and a value that is none of its choices.
    pub fn check(&self, known: &[(&str, Choice<'_>)]) -> Result<(), ServiceError> {
        for (name, value) in &self.0 {
            let Some((_, choice)) = known.iter().find(|k| k.0 == name) else {
                let names: Vec<&str> = known.iter().map(|k| k.0).collect();
                return Err(refused("There is no parameter", name, &names));
            };
            let each = |known: &[&str], sign: bool| {
                let bare = |v: &'_ str| if sign { v.strip_prefix('-').unwrap_or(v).to_owned() } else { v.to_owned() };
                let stranger = value.split(',').map(bare).find(|v| !v.is_empty() && !known.contains(&v.as_str()));
                stranger.map_or(Ok(()), |v| Err(refused(&format!("`{name}` cannot be"), &v, known)))
            };
            match choice {
                Choice::Text => {}
                Choice::One(known) if known.contains(&value.as_str()) => {}
                Choice::One(known) => return Err(refused(&format!("`{name}` cannot be"), value, known)),
                Choice::Some(known) => each(known, false)?,
                Choice::Signed(known) => each(known, true)?,
                Choice::Number if value.parse::<u32>().is_ok_and(|n| n > 0) => {}
                Choice::Number => {
                    return Err(ServiceError::Request(format!("`{name}` is a whole number from 1, not `{value}`.")));
                }
            }
        }
        Ok(())
    }
}

/// The sentence about a name that is not among the known ones.
fn refused(what: &str, name: &str, known: &[&str]) -> ServiceError {
    let perhaps = nearest(name, known.iter().copied()).map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
    let choices = if known.is_empty() {
        "There is none at this address.".to_owned()
    } else {
        format!("Choose from {}.", known.join(", "))
    };
    let end = if perhaps.is_empty() { "." } else { "" };
    ServiceError::Request(format!("{what} `{name}`{perhaps}{end} {choices}"))
}
