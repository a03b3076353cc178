//! A reader for Python's pickles that builds data and never runs anything.
//!
//! candle's reader knows the opcodes of plain zip checkpoints only; published ones hold
//! optimiser states, numpy scalars and Python 2 strings. All containers live in one
//! arena, so that nesting and sharing cost neither stack nor copies, and what a pickle may
//! take of memory is bounded by its size. Opcodes: CPython, `Lib/pickletools.py`, protocols
//! 0 to 5.

pub mod array;
mod machine;
mod names;

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
    /// Short text, or short bytes that are text: Python 2 had one kind of both.
    Text(std::rc::Rc<str>),
    /// Other bytes, or long text: where they lie in the pickle.
    Bytes(std::ops::Range<usize>),
    /// `module.name`, not looked up.
    Global(std::rc::Rc<str>),
    /// A tuple, list, dict, object, storage or tensor in the arena.
    Ref(usize),
}

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A tuple, list or set.
    Sequence(Vec<Value>),
    /// A dictionary.
    Dict(Vec<(Value, Value)>),
    /// What the call of a class or of a function that rebuilds something stands for; it was not called.
    Object(Box<Object>),
    /// Bytes that do not lie in the pickle as they are.
    Bytes(Vec<u8>),
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

/// An object as it is described, not made.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// `module.name` of its class, or of the function that rebuilds it.
    pub class: std::rc::Rc<str>,
    /// What that is called with.
    pub arguments: Value,
    /// The state that is set afterwards.
    pub state: Value,
    /// The entries that are set afterwards, if it is a dictionary.
    pub entries: Vec<(Value, Value)>,
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

    /// The object that a value refers to.
    #[must_use]
    pub fn object(&self, value: &Value) -> Option<&Object> {
        match self.node(value)? {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The bytes that a value stands for; `input` is what was parsed.
    #[must_use]
    pub fn bytes<'a>(&'a self, value: &'a Value, input: &'a [u8]) -> Option<&'a [u8]> {
        match value {
            Value::Text(text) => Some(text.as_bytes()),
            Value::Bytes(range) => input.get(range.clone()),
            _ => match self.node(value)? {
                Node::Bytes(bytes) => Some(bytes),
                _ => None,
            },
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
        let entries = match self.node(value)? {
            Node::Dict(entries) => entries,
            Node::Object(object) => &object.entries,
            _ => return None,
        };
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
            (b"(S'ls'\nios\nsystem\n.".as_slice(), "os.system"),
            (b"(cos\nsystem\nS'ls'\no.".as_slice(), "os.system"),
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

    #[test]
    fn settings_of_other_packages_are_data_and_keep_their_entries() {
        let bytes = b"\x80\x02cpytorch_lightning.utilities.parsing\nAttributeDict\n)\x81(X\x02\x00\x00\x00lrG@\x04\x00\x00\x00\x00\x00\x00X\x01\x00\x00\x00tctyping\nAny\nu.";
        let (pickle, _) = Pickle::parse(bytes).expect("a pickle");
        let object = pickle.object(&pickle.root).expect("an object");
        assert_eq!(&*object.class, "pytorch_lightning.utilities.parsing.AttributeDict");
        assert_eq!(pickle.get(&pickle.root, "lr"), Some(&Value::Float(2.5)));
        assert_eq!(pickle.get(&pickle.root, "t"), Some(&Value::Global("typing.Any".into())));
    }

    #[test]
    fn small_pickles_that_unfold_to_much_are_refused() {
        let refused = |bytes: &[u8]| matches!(Pickle::parse(bytes), Err(Refusal::Malformed(_)));
        // Ten megabytes of values that a byte each makes.
        assert!(refused(&[&b"\x80\x02"[..], &vec![b'N'; 10 << 20], b"."].concat()));
        assert!(refused(&[&b"\x80\x02"[..], &vec![b']'; 10 << 20], b"."].concat()));
        // One list of pairs, of which a hundred thousand dictionaries are made.
        let pairs = b"K\x01K\x02\x86".repeat(100_000);
        let mut bytes = b"\x80\x02ccollections\nOrderedDict\nq\x00](".to_vec();
        bytes.extend(pairs);
        bytes.extend(b"e\x85q\x01");
        bytes.extend(b"h\x00h\x01R".repeat(100_000));
        bytes.push(b'.');
        assert!(refused(&bytes));
        // One text, of which bytes are made again and again.
        let mut bytes = b"\x80\x02c_codecs\nencode\nq\x00X\x00\x00\x10\x00".to_vec();
        bytes.extend(vec![b'a'; 1 << 20]);
        bytes.extend(b"X\x06\x00\x00\x00latin1\x86q\x01");
        bytes.extend(b"h\x00h\x01R".repeat(100_000));
        bytes.push(b'.');
        assert!(refused(&bytes));
    }
}
