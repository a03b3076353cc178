//! A reader for Python's pickles that builds data and never runs anything.
//!
//! candle's reader knows the opcodes of plain zip checkpoints only; published ones hold
//! optimiser states, numpy scalars and Python 2 strings. All containers live in one
//! arena, so that nesting and sharing cost neither stack nor copies. Opcodes: CPython,
//! `Lib/pickletools.py`, protocols 0 to 5.

use std::collections::HashMap;

/// A value; containers are positions in [`Pickle`]'s arena.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`, and whatever has no meaning for us.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer that fits 64 bits; larger ones become `None`.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text, or a Python 2 string.
    Text(std::rc::Rc<str>),
    /// Bytes are never needed; they are skipped.
    Bytes,
    /// `module.name`, not looked up.
    Global(std::rc::Rc<str>),
    /// A tuple, list, dict, storage or tensor in the arena.
    Ref(usize),
}

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A tuple, list or set.
    Sequence(Vec<Value>),
    /// A dictionary, or an object of a harmless class.
    Dict(Vec<(Value, Value)>),
    /// PyTorch's storage: element type, key of its bytes, number of elements.
    Storage {
        /// Class such as `torch.FloatStorage`.
        class: std::rc::Rc<str>,
        /// Name of the record that holds the bytes.
        key: std::rc::Rc<str>,
        /// Elements.
        len: usize,
    },
    /// PyTorch's tensor: a view into a storage.
    Tensor {
        /// The storage's position.
        storage: usize,
        /// First element.
        offset: usize,
        /// Shape.
        shape: Vec<usize>,
        /// Elements between neighbours in each dimension.
        stride: Vec<usize>,
    },
}

/// Why a pickle was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It asks for something that a checkpoint does not need.
    Unsafe(String),
    /// It is not a pickle, or a damaged one.
    Malformed(String),
}

/// A parsed pickle.
#[derive(Debug)]
pub struct Pickle {
    nodes: Vec<Node>,
    /// The value at its end.
    pub root: Value,
}

/// Names that stand for data. Everything else is refused by name.
const HARMLESS: [&str; 30] = [
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.Counter",
    "argparse.Namespace",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "numpy.ndarray",
    "_codecs.encode",
    "builtins.set",
    "__builtin__.set",
    "builtins.dict",
    "__builtin__.dict",
    "builtins.list",
    "__builtin__.list",
    "builtins.int",
    "__builtin__.int",
    "torch.Size",
    "torch.device",
    "torch.dtype",
    "torch.nn.parameter.Parameter",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch._tensor._rebuild_from_type_v2",
    "torch.Tensor",
    "torch.serialization._get_layout",
    "omegaconf.dictconfig.DictConfig",
];
/// Packages whose configuration classes occur in published checkpoints. They become
/// dictionaries; nothing of them is imported.
const HARMLESS_PACKAGES: [&str; 4] = ["vissl.", "classy_vision.", "fvcore.", "omegaconf."];

fn harmless(name: &str) -> bool {
    HARMLESS.contains(&name)
        || HARMLESS_PACKAGES.iter().any(|p| name.starts_with(p))
        || name.strip_prefix("torch.").is_some_and(|rest| rest.ends_with("Storage") && !rest.contains('.'))
        || (name.starts_with("torch.") && name.matches('.').count() == 1 && DTYPES.contains(&&name[6..]))
}

const DTYPES: [&str; 8] = ["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"];

impl Pickle {
    /// Parses the pickle at the start of `bytes`; also gives its length in bytes.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), Refusal> {
        let mut machine = Machine { input: bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), nodes: Vec::new() };
        let root = machine.run()?;
        Ok((Self { nodes: machine.nodes, root }, machine.at))
    }

    /// The container that a value refers to.
    #[must_use]
    pub fn node(&self, value: &Value) -> Option<&Node> {
        match value {
            Value::Ref(i) => self.nodes.get(*i),
            _ => None,
        }
    }

    /// The storage at a position.
    #[must_use]
    pub fn storage(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)
    }

    /// Class, key and length of every storage that the pickle names.
    pub fn storages(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.nodes.iter().filter_map(|n| match n {
            Node::Storage { class, key, len } => Some((&**class, &**key, *len)),
            _ => None,
        })
    }

    /// The entry `key` of the dictionary that a value refers to.
    #[must_use]
    pub fn get(&self, value: &Value, key: &str) -> Option<&Value> {
        let Node::Dict(entries) = self.node(value)? else { return None };
        entries.iter().rev().find(|(k, _)| matches!(k, Value::Text(t) if &**t == key)).map(|(_, v)| v)
    }
}

struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    nodes: Vec<Node>,
}

type Step<T> = Result<T, Refusal>;

fn malformed<T>(reason: impl Into<String>) -> Step<T> {
    Err(Refusal::Malformed(reason.into()))
}

impl<'a> Machine<'a> {
    fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|e| *e <= self.input.len());
        let Some(end) = end else { return malformed("its pickle is cut off") };
        let bytes = &self.input[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn number(&mut self, n: usize) -> Step<usize> {
        let bytes = self.take(n)?;
        Ok(bytes.iter().rev().fold(0usize, |v, b| (v << 8) | usize::from(*b)))
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = &self.input[self.at..];
        let Some(n) = rest.iter().position(|b| *b == b'\n') else { return malformed("its pickle is cut off") };
        self.at += n + 1;
        std::str::from_utf8(&rest[..n]).map(|s| s.trim_end_matches('\r')).or_else(|_| malformed("a name is not text"))
    }

    fn text(&mut self, n: usize) -> Step<Value> {
        let bytes = self.take(n)?;
        Ok(std::str::from_utf8(bytes).map_or(Value::Bytes, |s| Value::Text(s.into())))
    }

    fn pop(&mut self) -> Step<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return malformed("its pickle pops from an empty stack");
        }
        Ok(self.stack.pop().unwrap_or(Value::None))
    }

    fn popped_to_mark(&mut self) -> Step<Vec<Value>> {
        let Some(mark) = self.marks.pop() else { return malformed("its pickle lacks a mark") };
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn push_node(&mut self, node: Node) {
        self.nodes.push(node);
        self.stack.push(Value::Ref(self.nodes.len() - 1));
    }

    fn tuple(&mut self, n: usize) -> Step<()> {
        let mut items = Vec::with_capacity(n);
        for _ in 0..n {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push_node(Node::Sequence(items));
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Step<()> {
        let full = format!("{module}.{name}");
        if !harmless(&full) {
            return Err(Refusal::Unsafe(full));
        }
        self.stack.push(Value::Global(full.into()));
        Ok(())
    }

    fn top_node(&mut self) -> Step<Option<&mut Node>> {
        match self.stack.last() {
            Some(Value::Ref(i)) => Ok(self.nodes.get_mut(*i)),
            Some(_) => Ok(None),
            None => malformed("its pickle adds to an empty stack"),
        }
    }

    fn append(&mut self, items: Vec<Value>) -> Step<()> {
        if let Some(Node::Sequence(list)) = self.top_node()? {
            list.extend(items);
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Value>) -> Step<()> {
        if let Some(Node::Dict(entries)) = self.top_node()? {
            let mut items = items.into_iter();
            while let (Some(k), Some(v)) = (items.next(), items.next()) {
                entries.push((k, v));
            }
        }
        Ok(())
    }

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
    fn reduce(&mut self, callable: &Value, arguments: &Value) -> Step<()> {
        let arguments = self.sequence(arguments);
        let Value::Global(name) = callable else { return malformed("its pickle calls something that is not a name") };
        match &**name {
            "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor" => {
                let (Some(Value::Ref(storage)), Some(Value::Int(offset))) = (arguments.first(), arguments.get(1)) else {
                    return malformed("a tensor lacks its storage");
                };
                let (storage, offset) = (*storage, usize::try_from(*offset).or_else(|_| malformed("a tensor starts before its storage"))?);
                let (shape, stride) = (self.sizes(arguments.get(2))?, self.sizes(arguments.get(3))?);
                if shape.len() != stride.len() {
                    return malformed("a tensor's shape and strides differ in length");
                }
                self.push_node(Node::Tensor { storage, offset, shape, stride });
            }
            "torch._utils._rebuild_parameter" => self.stack.push(arguments.into_iter().next().unwrap_or(Value::None)),
            "torch._tensor._rebuild_from_type_v2" => {
                let (Some(inner), Some(inner_arguments)) = (arguments.first().cloned(), arguments.get(2).cloned()) else {
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
                let entries = pairs.iter().map(|p| self.sequence(p)).filter(|p| p.len() == 2).map(|p| (p[0].clone(), p[1].clone())).collect();
                self.push_node(Node::Dict(entries));
            }
            _ => self.push_node(Node::Dict(Vec::new())),
        }
        Ok(())
    }

    /// PyTorch's persistent ids: `("storage", class, key, device, elements, ...)`.
    fn persistent(&mut self, id: &Value) -> Step<()> {
        let parts = self.sequence(id);
        match &parts[..] {
            [Value::Text(kind), Value::Global(class), Value::Text(key), _, Value::Int(len), ..] if &**kind == "storage" => {
                let len = usize::try_from(*len).or_else(|_| malformed("a storage has a negative size"))?;
                let (class, key) = (class.clone(), key.clone());
                self.push_node(Node::Storage { class, key, len });
                Ok(())
            }
            _ => malformed("its pickle refers to something outside that is no tensor storage"),
        }
    }

    fn memoize(&mut self, key: usize) -> Step<()> {
        let Some(top) = self.stack.last() else { return malformed("its pickle remembers nothing") };
        self.memo.insert(key, top.clone());
        Ok(())
    }

    fn recall(&mut self, key: usize) -> Step<()> {
        let Some(value) = self.memo.get(&key) else { return malformed("its pickle recalls what it never remembered") };
        self.stack.push(value.clone());
        Ok(())
    }

    fn long(&mut self, n: usize) -> Step<()> {
        let bytes = self.take(n)?;
        let value = if n > 8 {
            Value::None
        } else {
            let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
            let start = if negative { -1i64 } else { 0 };
            Value::Int(bytes.iter().rev().fold(start, |v, b| (v << 8) | i64::from(*b)))
        };
        self.stack.push(value);
        Ok(())
    }

    fn run(&mut self) -> Step<Value> {
        if self.input.first() != Some(&0x80) && self.input.first() != Some(&b'(') {
            return malformed("it does not begin like a pickle");
        }
        loop {
            let op = self.take(1)?[0];
            match op {
                b'.' => return self.pop(),
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.popped_to_mark()?),
                b'2' => {
                    let top = self.pop()?;
                    self.stack.extend([top.clone(), top]);
                }
                b'N' => self.stack.push(Value::None),
                0x88 => self.stack.push(Value::Bool(true)),
                0x89 => self.stack.push(Value::Bool(false)),
                b'I' | b'L' => {
                    let line = self.line()?;
                    self.stack.push(match line {
                        "00" => Value::Bool(false),
                        "01" => Value::Bool(true),
                        _ => line.trim_end_matches('L').parse().map_or(Value::None, Value::Int),
                    });
                }
                b'J' => {
                    let n = self.number(4)?;
                    self.stack.push(Value::Int(i64::from(n as u32 as i32)));
                }
                b'K' => {
                    let n = self.number(1)?;
                    self.stack.push(Value::Int(n as i64));
                }
                b'M' => {
                    let n = self.number(2)?;
                    self.stack.push(Value::Int(n as i64));
                }
                0x8a => {
                    let n = self.number(1)?;
                    self.long(n)?;
                }
                0x8b => {
                    let n = self.number(4)?;
                    self.long(n)?;
                }
                b'F' => {
                    let line = self.line()?;
                    self.stack.push(line.parse().map_or(Value::None, Value::Float));
                }
                b'G' => {
                    let bits = self.take(8)?.iter().fold(0u64, |v, b| (v << 8) | u64::from(*b));
                    self.stack.push(Value::Float(f64::from_bits(bits)));
                }
                b'S' | b'V' => {
                    let line = self.line()?;
                    self.stack.push(Value::Text(line.trim_matches(['\'', '"']).into()));
                }
                b'U' | 0x8c => {
                    let n = self.number(1)?;
                    let text = self.text(n)?;
                    self.stack.push(text);
                }
                b'T' | b'X' => {
                    let n = self.number(4)?;
                    let text = self.text(n)?;
                    self.stack.push(text);
                }
                0x8d => {
                    let n = self.number(8)?;
                    let text = self.text(n)?;
                    self.stack.push(text);
                }
                b'C' | b'B' | 0x8e | 0x96 => {
                    let n = self.number(match op {
                        b'C' => 1,
                        b'B' => 4,
                        _ => 8,
                    })?;
                    self.take(n)?;
                    self.stack.push(Value::Bytes);
                }
                b')' => self.tuple(0)?,
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b't' | b'l' | 0x91 => {
                    let items = self.popped_to_mark()?;
                    self.push_node(Node::Sequence(items));
                }
                b']' | 0x8f => self.push_node(Node::Sequence(Vec::new())),
                b'}' => self.push_node(Node::Dict(Vec::new())),
                b'd' => {
                    let items = self.popped_to_mark()?;
                    self.push_node(Node::Dict(Vec::new()));
                    self.set_items(items)?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' | 0x90 => {
                    let items = self.popped_to_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set_items(vec![key, value])?;
                }
                b'u' => {
                    let items = self.popped_to_mark()?;
                    self.set_items(items)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(module, name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let (Value::Text(name), Value::Text(module)) = (name, module) else {
                        return malformed("a name in its pickle is not text");
                    };
                    self.global(&module, &name)?;
                }
                b'R' | 0x81 => {
                    let (arguments, callable) = (self.pop()?, self.pop()?);
                    self.reduce(&callable, &arguments)?;
                }
                0x92 => {
                    let (_, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                    self.reduce(&callable, &arguments)?;
                }
                // An object's state: of the classes above none keeps tensors in it.
                b'b' => drop(self.pop()?),
                b'Q' => {
                    let id = self.pop()?;
                    self.persistent(&id)?;
                }
                b'p' | b'g' => {
                    let line = self.line()?;
                    let key = line.parse().or_else(|_| malformed("a memo number is not a number"))?;
                    if op == b'p' { self.memoize(key)? } else { self.recall(key)? }
                }
                b'q' | b'r' => {
                    let key = self.number(if op == b'q' { 1 } else { 4 })?;
                    self.memoize(key)?;
                }
                b'h' | b'j' => {
                    let key = self.number(if op == b'h' { 1 } else { 4 })?;
                    self.recall(key)?;
                }
                0x94 => {
                    let key = self.memo.len();
                    self.memoize(key)?;
                }
                b'i' | b'o' => return Err(Refusal::Unsafe("the creation of an object of any class".to_owned())),
                0x82..=0x84 => return Err(Refusal::Unsafe("a name from the extension registry".to_owned())),
                _ => return malformed(format!("its pickle has the unknown opcode {op:#04x}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_data_is_read() {
        // {"a": (1, 2.5, None, True), "b": [300]}, protocol 2.
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01(K\x01G@\x04\x00\x00\x00\x00\x00\x00N\x88tq\x02X\x01\x00\x00\x00bq\x03]q\x04M\x2c\x01au.";
        let (pickle, length) = Pickle::parse(bytes).expect("a pickle");
        assert_eq!(length, bytes.len());
        let a = pickle.get(&pickle.root, "a").expect("an entry");
        let wanted = Node::Sequence(vec![Value::Int(1), Value::Float(2.5), Value::None, Value::Bool(true)]);
        assert_eq!(pickle.node(a), Some(&wanted));
        let b = pickle.get(&pickle.root, "b").expect("an entry");
        assert_eq!(pickle.node(b), Some(&Node::Sequence(vec![Value::Int(300)])));
    }

    #[test]
    fn what_would_run_code_is_refused_by_name() {
        for (bytes, name) in [
            (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.".as_slice(), "os.system"),
            (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.".as_slice(), "posix.system"),
            (b"\x80\x02cbuiltins\neval\n.".as_slice(), "builtins.eval"),
            (b"\x80\x02ctorch.hub\nload\n.".as_slice(), "torch.hub.load"),
        ] {
            assert_eq!(Pickle::parse(bytes).err(), Some(Refusal::Unsafe(name.to_owned())));
        }
    }

    #[test]
    fn garbage_and_bombs_end_in_an_error() {
        for bytes in [b"".as_slice(), b"hello", b"\x80\x02", b"\x80\x02R.", b"\x80\x02h\x05.", b"\x80\x02X\xff\xff\xff\xffx", b"(t"] {
            assert!(matches!(Pickle::parse(bytes), Err(Refusal::Malformed(_))), "{bytes:?}");
        }
        // A hundred thousand nested lists cost neither stack nor time.
        let mut deep = b"\x80\x02".to_vec();
        deep.extend([b']'; 100_000]);
        deep.extend([b'a'; 99_999]);
        deep.push(b'.');
        assert!(Pickle::parse(&deep).is_ok());
    }
}
