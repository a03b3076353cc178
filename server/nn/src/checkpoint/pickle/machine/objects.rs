//! What calls, states and references of pickles become: data.

use super::super::{ARRAY_STATE, Node, Value};
use super::{Machine, Step, malformed};

impl Machine<'_> {
    fn sequence(&self, value: &Value) -> Vec<Value> {
        match value {
            Value::Ref(i) => match self.nodes.get(*i) {
                Some(Node::Sequence(items)) => items.clone(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn sizes(&self, value: Option<&Value>) -> Step<Vec<usize>> {
        value
            .map(|v| self.sequence(v))
            .unwrap_or_default()
            .into_iter()
            .map(|v| match v {
                Value::Int(n) if n >= 0 => Ok(n as usize),
                _ => malformed("a tensor's shape is not made of sizes"),
            })
            .collect()
    }

    /// A call becomes the data that it stands for.
    pub(super) fn reduce(&mut self, callable: &Value, arguments: &Value) -> Step<()> {
        let arguments = self.sequence(arguments);
        let Value::Global(name) = callable else { return malformed("its pickle calls something that is not a name") };
        match &**name {
            "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor" => {
                let (Some(Value::Ref(storage)), Some(Value::Int(offset))) = (arguments.first(), arguments.get(1))
                else {
                    return malformed("a tensor lacks its storage");
                };
                let (storage, offset) =
                    (*storage, usize::try_from(*offset).or_else(|_| malformed("a tensor starts before its storage"))?);
                let (shape, stride) = (self.sizes(arguments.get(2))?, self.sizes(arguments.get(3))?);
                if shape.len() != stride.len() {
                    return malformed("a tensor's shape and strides differ in length");
                }
                self.push_node(Node::Tensor { storage, offset, shape, stride });
            }
            "torch._utils._rebuild_parameter" => self.stack.push(arguments.into_iter().next().unwrap_or(Value::None)),
            "torch._tensor._rebuild_from_type_v2" => {
                let (Some(inner), Some(inner_arguments)) = (arguments.first().cloned(), arguments.get(2).cloned())
                else {
                    return malformed("a tensor lacks its parts");
                };
                // One level only: a wrapper of a wrapper would be a loop made by hand.
                if matches!(&inner, Value::Global(n) if &**n == "torch._tensor._rebuild_from_type_v2") {
                    return malformed("a tensor is wrapped twice");
                }
                self.reduce(&inner, &inner_arguments)?;
            }
            "collections.OrderedDict" => {
                let pairs = arguments.first().map(|p| self.sequence(p)).unwrap_or_default();
                let entries = pairs
                    .iter()
                    .map(|p| self.sequence(p))
                    .filter(|p| p.len() == 2)
                    .map(|p| (p[0].clone(), p[1].clone()))
                    .collect();
                self.push_node(Node::Dict(entries));
            }
            "numpy.core.multiarray._reconstruct" | "numpy._core.multiarray._reconstruct" => {
                self.push_node(Node::Dict(vec![(Value::Text(ARRAY_STATE.into()), Value::None)]));
            }
            _ => self.push_node(Node::Dict(Vec::new())),
        }
        Ok(())
    }

    /// BUILD: of the harmless classes only numpy's arrays keep what we need in their state.
    pub(super) fn build(&mut self) -> Step<()> {
        let state = self.pop()?;
        if let Some(Node::Dict(entries)) = self.top_node()?
            && let Some((Value::Text(key), value)) = entries.first_mut()
            && &**key == ARRAY_STATE
        {
            *value = state;
        }
        Ok(())
    }

    /// PyTorch's persistent ids: `("storage", class, key, device, elements, ...)`.
    pub(super) fn persistent(&mut self, id: &Value) -> Step<()> {
        let parts = self.sequence(id);
        match &parts[..] {
            [Value::Text(kind), Value::Global(class), Value::Text(key), _, Value::Int(len), ..]
                if &**kind == "storage" =>
            {
                let len = usize::try_from(*len).or_else(|_| malformed("a storage has a negative size"))?;
                let (class, key) = (class.clone(), key.clone());
                self.push_node(Node::Storage { class, key, len });
                Ok(())
            }
            _ => malformed("its pickle refers to something outside that is no tensor storage"),
        }
    }
}
