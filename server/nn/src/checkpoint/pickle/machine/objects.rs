//! What calls, states and references of pickles become: data.

use super::super::{Node, Object, Value};
use super::{Machine, Step, VALUE, malformed};
use std::rc::Rc;

/// Most dimensions of a tensor, as in PyTorch.
const DIMENSIONS: usize = 64;

impl Machine<'_> {
    fn sequence(&self, value: &Value) -> &[Value] {
        match value {
            Value::Ref(i) => match self.nodes.get(*i) {
                Some(Node::Sequence(items)) => items,
                _ => &[],
            },
            _ => &[],
        }
    }

    fn sizes(&self, value: Option<&Value>) -> Step<Vec<usize>> {
        let sizes = value.map_or(&[][..], |v| self.sequence(v));
        if sizes.len() > DIMENSIONS {
            return malformed(format!("a tensor has {} dimensions", sizes.len()));
        }
        let size = |v: &Value| match v {
            Value::Int(n) if *n >= 0 => Ok(*n as usize),
            _ => malformed("a tensor's shape is not made of sizes"),
        };
        sizes.iter().map(size).collect()
    }

    /// A call becomes the data that it stands for.
    pub(super) fn reduce(&mut self, callable: &Value, arguments: &Value) -> Step<()> {
        let Value::Global(name) = callable else { return malformed("its pickle calls something that is not a name") };
        let given = self.sequence(arguments);
        let (first, third) = (given.first().cloned(), given.get(2).cloned());
        match &**name {
            "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor" => {
                let (Some(Value::Ref(storage)), Some(Value::Int(offset))) = (first, given.get(1)) else {
                    return malformed("a tensor lacks its storage");
                };
                let offset = usize::try_from(*offset).or_else(|_| malformed("a tensor starts before its storage"))?;
                let (shape, stride) = (self.sizes(third.as_ref())?, self.sizes(given.get(3))?);
                if shape.len() != stride.len() {
                    return malformed("a tensor's shape and strides differ in length");
                }
                self.spend(2 * size_of::<usize>() * shape.len())?;
                self.push_node(Node::Tensor { storage, offset, shape, stride })
            }
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
                self.push(first.unwrap_or(Value::None))
            }
            "torch._tensor._rebuild_from_type_v2" => {
                let (Some(inner), Some(inner_arguments)) = (first, third) else {
                    return malformed("a tensor lacks its parts");
                };
                // One level only: a wrapper of a wrapper would be a loop made by hand.
                if matches!(&inner, Value::Global(n) if &**n == "torch._tensor._rebuild_from_type_v2") {
                    return malformed("a tensor is wrapped twice");
                }
                self.reduce(&inner, &inner_arguments)
            }
            "collections.OrderedDict" => {
                let pairs = first.as_ref().map_or(&[][..], |p| self.sequence(p));
                let count = pairs.len();
                self.spend(2 * VALUE * count)?;
                let pairs = first.as_ref().map_or(&[][..], |p| self.sequence(p));
                let pair = |p| match self.sequence(p) {
                    [key, value] => Some((key.clone(), value.clone())),
                    _ => None,
                };
                let entries = pairs.iter().filter_map(pair).collect();
                self.push_node(Node::Dict(entries))
            }
            // Protocol 2 writes bytes of Python 3 as text in which each letter is a byte.
            "_codecs.encode" | "builtins.bytearray" | "builtins.bytes"
                if matches!(first, None | Some(Value::Text(_) | Value::Bytes(_))) =>
            {
                let bytes = first.map_or(Ok(Vec::new()), |text| self.latin(&text))?;
                self.made(bytes)
            }
            _ => self.push_object(name.clone(), arguments.clone()),
        }
    }

    fn push_object(&mut self, class: Rc<str>, arguments: Value) -> Step<()> {
        self.spend(2 * size_of::<Object>())?;
        let object = Object { class, arguments, state: Value::None, entries: Vec::new() };
        self.push_node(Node::Object(Box::new(object)))
    }

    fn latin(&mut self, text: &Value) -> Step<Vec<u8>> {
        let input = self.input;
        let bytes = match text {
            Value::Text(text) => text.as_bytes(),
            Value::Bytes(range) => input.get(range.clone()).unwrap_or_default(),
            _ => &[],
        };
        self.spend(bytes.len())?;
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(bytes.to_vec()) };
        text.chars()
            .map(|c| u8::try_from(u32::from(c)).or_else(|_| malformed("bytes are written as other text")))
            .collect()
    }

    /// BUILD: what is no object has no state that matters.
    pub(super) fn build(&mut self) -> Step<()> {
        let state = self.pop()?;
        if let Some(Node::Object(object)) = self.top_node()? {
            object.state = state;
        }
        Ok(())
    }

    /// PyTorch's persistent ids: `("storage", class, key, device, elements, view)`, and in old files of whole
    /// networks `("module", class, file, source)`.
    pub(super) fn persistent(&mut self, id: &Value) -> Step<()> {
        let parts = self.sequence(id);
        match parts {
            [Value::Text(kind), Value::Global(class), Value::Text(key), _, Value::Int(len), rest @ ..]
                if &**kind == "storage" =>
            {
                if rest.first().is_some_and(|view| *view != Value::None) {
                    return malformed("a storage is a part of another; load it with PyTorch and save it again");
                }
                let len = usize::try_from(*len).or_else(|_| malformed("a storage has a negative size"))?;
                let (class, key) = (class.clone(), key.clone());
                self.push_node(Node::Storage { class, key, len })
            }
            [Value::Text(kind), class @ Value::Global(_), ..] if &**kind == "module" => {
                let class = class.clone();
                self.push(class)
            }
            _ => malformed("its pickle refers to something outside that is no tensor storage"),
        }
    }
}
