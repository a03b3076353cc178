//! The names of all tensors of a pickle, however deep they lie: `state_dict.module.conv1.weight` is the tensor
//! `module.conv1.weight` of the dictionary `state_dict`.

use super::super::layout::bad;
use crate::Result;
use crate::checkpoint::pickle::{Node, Pickle, Value};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// What is nested deeper is not looked at.
const DEPTH: usize = 16;
/// Bytes of all names together.
const NAMES: usize = 32 << 20;
/// Where PyTorch keeps the parts of a network that was saved as a whole; its state dictionary leaves these words out.
const PARTS: [&str; 3] = ["_modules", "_parameters", "_buffers"];

/// A container that is still to be looked at.
struct Place<'p> {
    name: String,
    node: &'p Node,
    depth: usize,
    /// Whether it is the state of an object.
    state: bool,
}

/// All tensors by their names. What several names lead to is visited under the first of them.
pub(super) fn tensors<'p>(path: &Path, pickle: &'p Pickle) -> Result<BTreeMap<String, &'p Node>> {
    let mut found: BTreeMap<String, &'p Node> = BTreeMap::new();
    let mut seen: HashSet<*const Node> = HashSet::new();
    let mut room = NAMES;
    let mut places = Vec::new();
    places.extend(pickle.node(&pickle.root).map(|node| Place { name: String::new(), node, depth: 0, state: false }));
    while let Some(place) = places.pop() {
        if place.depth == DEPTH || !seen.insert(std::ptr::from_ref(place.node)) {
            continue;
        }
        let mut deeper = Vec::new();
        let mut problem = None;
        inside(&place, |part, value, state| {
            let Some(node) = pickle.node(value).filter(|n| !matches!(n, Node::Storage { .. } | Node::Bytes(_))) else {
                return;
            };
            let name = part.within(&place.name);
            if let Some(left) = room.checked_sub(name.len()) {
                room = left;
            } else {
                problem = Some("the names of its tensors take more than they could".to_owned());
                return;
            }
            if !matches!(node, Node::Tensor { .. }) {
                deeper.push(Place { name, node, depth: place.depth + 1, state });
            } else if found.get(&name).is_some_and(|other| !std::ptr::eq(*other, node)) {
                problem = Some(format!("it has two tensors `{name}`"));
            } else {
                found.insert(name, node);
            }
        });
        if let Some(problem) = problem {
            return Err(bad(path, problem));
        }
        // What stands first is looked at first.
        places.extend(deeper.into_iter().rev());
    }
    Ok(found)
}

/// What something is called in its container.
enum Part<'p> {
    Name(&'p str),
    Number(i64),
    /// It counts as its container.
    None,
}

impl Part<'_> {
    /// The full name of a part of something.
    fn within(&self, whole: &str) -> String {
        let dot = if whole.is_empty() { "" } else { "." };
        match self {
            Self::Name(name) => format!("{whole}{dot}{name}"),
            Self::Number(number) => format!("{whole}{dot}{number}"),
            Self::None => whole.to_owned(),
        }
    }
}

/// Gives what lies directly in a container: its name there, the value, and whether it is the state of an object.
fn inside<'p>(place: &Place<'p>, mut each: impl FnMut(&Part<'p>, &'p Value, bool)) {
    let entries = |entries: &'p [(Value, Value)], each: &mut dyn FnMut(&Part<'p>, &'p Value, bool)| {
        for (key, value) in entries {
            match key {
                Value::Text(key) if place.state && PARTS.contains(&&**key) => each(&Part::None, value, false),
                Value::Text(key) => each(&Part::Name(key), value, false),
                Value::Int(key) => each(&Part::Number(*key), value, false),
                _ => {}
            }
        }
    };
    match place.node {
        Node::Dict(all) => entries(all, &mut each),
        // The state of objects with slots is a pair of dictionaries.
        Node::Sequence(items) if place.state => items.iter().for_each(|v| each(&Part::None, v, true)),
        Node::Sequence(items) => {
            items.iter().enumerate().for_each(|(i, v)| each(&Part::Number(i as i64), v, false));
        }
        Node::Object(object) => {
            entries(&object.entries, &mut each);
            each(&Part::None, &object.state, true);
        }
        Node::Bytes(_) | Node::Storage { .. } | Node::Tensor { .. } => {}
    }
}
