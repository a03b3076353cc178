//! The stack machine behind [`super::Pickle::parse`].

mod objects;
mod text;

use super::names::{harmless, today};
use super::{Node, Refusal, Value};
use std::collections::HashMap;
use text::written;

/// Python's pickle machine, building data only.
pub(super) struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    nodes: Vec<Node>,
    /// Bytes of memory that may still be taken.
    allowance: usize,
}

/// Bytes of memory that any pickle may take, besides its own length.
const ALLOWANCE: usize = 96 << 20;
/// What a value, a container and something remembered take, while lists grow.
const VALUE: usize = 2 * size_of::<Value>();
const NODE: usize = 2 * size_of::<Node>();
const REMEMBERED: usize = 96;
/// Longer texts stay where they are: no name is as long.
const LONGEST_TEXT: usize = 4096;
/// Bytes with which a pickle can begin: its protocol, or what makes a container or names something.
const STARTS: [u8; 5] = [0x80, b'(', b'}', b']', b'c'];

type Step<T> = Result<T, Refusal>;

fn malformed<T>(reason: impl Into<String>) -> Step<T> {
    Err(Refusal::Malformed(reason.into()))
}

impl<'a> Machine<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            nodes: Vec::new(),
            allowance: ALLOWANCE.saturating_add(input.len()),
        }
    }

    /// Takes from the allowance. Without it a few bytes could ask for all memory.
    fn spend(&mut self, bytes: usize) -> Step<()> {
        match self.allowance.checked_sub(bytes) {
            Some(left) => {
                self.allowance = left;
                Ok(())
            }
            None => malformed("its pickle unfolds to far more than it holds"),
        }
    }

    fn push(&mut self, value: Value) -> Step<()> {
        self.spend(VALUE)?;
        self.stack.push(value);
        Ok(())
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

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

    /// Text or bytes of a length that the next `width` bytes tell.
    fn text(&mut self, width: usize) -> Step<()> {
        let n = self.number(width)?;
        let from = self.at;
        let bytes = self.take(n)?;
        let short = if n <= LONGEST_TEXT { std::str::from_utf8(bytes).ok() } else { None };
        self.spend(short.map_or(0, str::len))?;
        self.push(short.map_or(Value::Bytes(from..from + n), |s| Value::Text(s.into())))
    }

    /// Bytes that are not in the pickle as they are; as text if they are short and text.
    fn made(&mut self, bytes: Vec<u8>) -> Step<()> {
        if bytes.len() <= LONGEST_TEXT
            && let Ok(text) = std::str::from_utf8(&bytes)
        {
            return self.push(Value::Text(text.into()));
        }
        self.push_node(Node::Bytes(bytes))
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

    fn push_node(&mut self, node: Node) -> Step<()> {
        self.spend(NODE)?;
        self.nodes.push(node);
        self.push(Value::Ref(self.nodes.len() - 1))
    }

    fn tuple(&mut self, n: usize) -> Step<()> {
        let mut items = Vec::with_capacity(n);
        for _ in 0..n {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push_node(Node::Sequence(items))
    }

    fn global(&mut self, module: &str, name: &str) -> Step<()> {
        let full = today(module, name);
        if !harmless(&full) {
            return Err(Refusal::Unsafe(format!("{module}.{name}")));
        }
        self.spend(full.len())?;
        self.push(Value::Global(full.into()))
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
        let entries = match self.top_node()? {
            Some(Node::Dict(entries)) => entries,
            Some(Node::Object(object)) => &mut object.entries,
            _ => return Ok(()),
        };
        let mut items = items.into_iter();
        while let (Some(k), Some(v)) = (items.next(), items.next()) {
            entries.push((k, v));
        }
        Ok(())
    }

    fn memoize(&mut self, key: usize) -> Step<()> {
        let Some(top) = self.stack.last().cloned() else { return malformed("its pickle remembers nothing") };
        self.spend(REMEMBERED)?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: usize) -> Step<()> {
        let Some(value) = self.memo.get(&key) else { return malformed("its pickle recalls what it never remembered") };
        let value = value.clone();
        self.push(value)
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
        self.push(value)
    }

    /// Runs to the end and gives the value there.
    pub(super) fn run(&mut self) -> Step<Value> {
        if self.input.first().is_none_or(|first| !STARTS.contains(first)) {
            return malformed("it does not begin like a pickle");
        }
        loop {
            match self.take(1)?[0] {
                b'.' => return self.pop(),
                op => self.step(op)?,
            }
        }
    }

    fn step(&mut self, op: u8) -> Step<()> {
        match op {
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => {
                self.spend(VALUE)?;
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?),
            b'1' => drop(self.popped_to_mark()?),
            b'2' => {
                let top = self.pop()?;
                self.push(top.clone())?;
                self.push(top)?;
            }
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'I' | b'L' => {
                let value = match self.line()? {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    line => line.trim_end_matches('L').parse().map_or(Value::None, Value::Int),
                };
                self.push(value)?;
            }
            b'J' => {
                let n = self.number(4)?;
                self.push(Value::Int(i64::from(n as u32 as i32)))?;
            }
            b'K' | b'M' => {
                let n = self.number(if op == b'K' { 1 } else { 2 })?;
                self.push(Value::Int(n as i64))?;
            }
            0x8a | 0x8b => {
                let n = self.number(if op == 0x8a { 1 } else { 4 })?;
                self.long(n)?;
            }
            b'F' => {
                let value = self.line()?.parse().map_or(Value::None, Value::Float);
                self.push(value)?;
            }
            b'G' => {
                let bits = self.take(8)?.iter().fold(0u64, |v, b| (v << 8) | u64::from(*b));
                self.push(Value::Float(f64::from_bits(bits)))?;
            }
            b'S' | b'V' => {
                let line = self.line()?;
                self.spend(line.len())?;
                self.made(written(line, op == b'V'))?;
            }
            b'U' | 0x8c | b'C' => self.text(1)?,
            b'T' | b'X' | b'B' => self.text(4)?,
            0x8d | 0x8e | 0x96 => self.text(8)?,
            b')' => self.tuple(0)?,
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b't' | b'l' | 0x91 => {
                let items = self.popped_to_mark()?;
                self.push_node(Node::Sequence(items))?;
            }
            b']' | 0x8f => self.push_node(Node::Sequence(Vec::new()))?,
            b'}' => self.push_node(Node::Dict(Vec::new()))?,
            b'd' => {
                let items = self.popped_to_mark()?;
                self.push_node(Node::Dict(Vec::new()))?;
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
            _ => self.object(op)?,
        }
        Ok(())
    }

    /// What names something, calls it, or sets its state.
    fn object(&mut self, op: u8) -> Step<()> {
        match op {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(name), Value::Text(module)) = (name, module) else {
                    return malformed("a name in its pickle is not text");
                };
                self.global(&module, &name)
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let arguments = self.popped_to_mark()?;
                self.global(module, name)?;
                let callable = self.pop()?;
                self.call(&callable, arguments)
            }
            b'o' => {
                let mut arguments = self.popped_to_mark()?;
                if arguments.is_empty() {
                    return malformed("its pickle calls nothing");
                }
                let callable = arguments.remove(0);
                self.call(&callable, arguments)
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.reduce(&callable, &arguments)
            }
            0x92 => {
                let (_, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.reduce(&callable, &arguments)
            }
            b'b' => self.build(),
            b'Q' => {
                let id = self.pop()?;
                self.persistent(&id)
            }
            0x82..=0x84 => Err(Refusal::Unsafe("a name from the extension registry".to_owned())),
            _ => malformed(format!("its pickle has the unknown opcode {op:#04x}")),
        }
    }

    fn call(&mut self, callable: &Value, arguments: Vec<Value>) -> Step<()> {
        self.push_node(Node::Sequence(arguments))?;
        let arguments = self.pop()?;
        self.reduce(callable, &arguments)
    }
}
