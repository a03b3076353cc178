//! A reader for Python's pickles that builds data and never runs anything.
//!
//! candle's reader knows the opcodes of plain zip checkpoints only; published ones hold
//! optimiser states, numpy scalars and Python 2 strings. All containers live in one
//! arena, so that nesting and sharing cost neither stack nor copies. Opcodes: CPython,
//! `Lib/pickletools.py`, protocols 0 to 5.

mod machine;

use machine::Machine;

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
    /// Bytes, or a Python 2 string that is no text: where they lie in the pickle.
    Bytes(std::ops::Range<usize>),
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

/// Key of a numpy array's state in the dictionary that stands for the array.
pub const ARRAY_STATE: &str = "__array_state__";

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
        let mut machine = Machine::new(bytes);
        let root = machine.run()?;
        let length = machine.position();
        Ok((Self { nodes: machine.into_nodes(), root }, length))
    }

    /// The container that a value refers to.
    #[must_use]
    pub fn node(&self, value: &Value) -> Option<&Node> {
        match value {
            Value::Ref(i) => self.nodes.get(*i),
            _ => None,
        }
    }

    /// The items of the tuple or list that a value refers to.
    #[must_use]
    pub fn items(&self, value: &Value) -> Option<&[Value]> {
        match self.node(value)? {
            Node::Sequence(items) => Some(items),
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
        for bytes in [
            b"".as_slice(),
            b"hello",
            b"\x80\x02",
            b"\x80\x02R.",
            b"\x80\x02h\x05.",
            b"\x80\x02X\xff\xff\xff\xffx",
            b"(t",
        ] {
            assert!(matches!(Pickle::parse(bytes), Err(Refusal::Malformed(_))), "{bytes:?}");
        }
        // A hundred thousand nested lists cost neither stack nor time.
        let mut deep = b"\x80\x02".to_vec();
        deep.extend(std::iter::repeat_n(b']', 100_000));
        deep.extend(std::iter::repeat_n(b'a', 99_999));
        deep.push(b'.');
        assert!(Pickle::parse(&deep).is_ok());
    }
}
