//! The stack machine behind [`super::Pickle::parse`].

mod objects;

use super::{Node, Refusal, Value, harmless};
use std::collections::HashMap;

/// Python's pickle machine, building data only.
pub(super) struct Machine<'a> {
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
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), nodes: Vec::new() }
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

    fn text(&mut self, n: usize) -> Step<Value> {
        let from = self.at;
        let bytes = self.take(n)?;
        Ok(std::str::from_utf8(bytes).map_or(Value::Bytes(from..from + n), |s| Value::Text(s.into())))
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

    /// Runs to the end and gives the value there.
    pub(super) fn run(&mut self) -> Step<Value> {
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
                b'b' => self.build()?,
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
                    let from = self.at;
                    self.take(n)?;
                    self.stack.push(Value::Bytes(from..from + n));
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
