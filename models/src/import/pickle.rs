//! Python's pickle, as far as files of weights need it: a reader that builds a tree and runs nothing.
//!
//! A pickle is a program for a stack machine that may call any Python function. Here calls stay what they are, nodes of
//! a tree; and a pickle that names a function which is not on the caller's list is refused as a whole.
//! Opcodes: CPython, `Lib/pickletools.py`; protocols 2 to 5.

use std::collections::HashMap;

/// Steps of a pickle. Each makes at most one node and a few references, of some 100 bytes together; the largest published
/// state dict takes a tenth of it.
const MAX_STEPS: usize = 1 << 21;

/// Axes of a tensor: a shape can be named by any number of tensors, so a long one would multiply.
const MAX_RANK: usize = 8;

/// Index of a node.
pub(crate) type NodeId = usize;

/// A value of the pickle; what weights have no use for is only named.
#[derive(Debug)]
pub(crate) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Text(String),
    Bytes,
    List(Vec<NodeId>),
    Tuple(Vec<NodeId>),
    Dict(Vec<(NodeId, NodeId)>),
    /// Its name; the module was compared with the list.
    Global(String),
    /// What the function makes of its arguments, a tuple; then it may be given a state (`__setstate__`).
    Call {
        callee: NodeId,
        args: NodeId,
        state: Option<NodeId>,
    },
    /// A reference to something outside the pickle.
    Persistent(NodeId),
}

/// A pickle, read.
#[derive(Debug)]
pub(crate) struct Pickle {
    nodes: Vec<Node>,
    root: NodeId,
}

/// Why a pickle is not read.
#[derive(Debug, PartialEq)]
pub(crate) enum PickleError {
    /// It is not on the list.
    Foreign { module: String, name: String },
    /// What is wrong.
    Malformed(String),
}

impl Pickle {
    /// Reads a pickle that may name the globals (module, name) in `known` and no others.
    pub fn parse(bytes: &[u8], known: &[(&str, &str)]) -> Result<Pickle, PickleError> {
        let machine =
            Machine { bytes, position: 0, known, nodes: vec![], stack: vec![], marks: vec![], memo: [].into() };
        machine.run()
    }

    /// The whole value.
    pub fn root(&self) -> &Node {
        &self.nodes[self.root]
    }

    /// A value within it.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    pub fn text(&self, id: NodeId) -> Option<&str> {
        if let Node::Text(text) = self.node(id) { Some(text) } else { None }
    }

    pub fn tuple(&self, id: NodeId) -> Option<&[NodeId]> {
        if let Node::Tuple(items) = self.node(id) { Some(items) } else { None }
    }

    /// The arguments of a call of that name, and the state of what it gives.
    pub fn call(&self, id: NodeId, name: &str) -> Option<(&[NodeId], Option<NodeId>)> {
        let Node::Call { callee, args, state } = self.node(id) else { return None };
        let is_named = matches!(self.node(*callee), Node::Global(global) if global == name);
        if is_named { Some((self.tuple(*args)?, *state)) } else { None }
    }

    /// A whole number that is not negative.
    pub fn count(&self, id: NodeId) -> Option<usize> {
        if let Node::Int(value) = self.node(id) { usize::try_from(*value).ok() } else { None }
    }

    /// A tuple of such, of a tensor's rank.
    pub fn counts(&self, id: NodeId) -> Option<Vec<usize>> {
        self.tuple(id).filter(|items| items.len() <= MAX_RANK)?.iter().map(|&item| self.count(item)).collect()
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    known: &'a [(&'a str, &'a str)],
    nodes: Vec<Node>,
    stack: Vec<NodeId>,
    /// Lengths of the stack at the marks.
    marks: Vec<usize>,
    memo: HashMap<u32, NodeId>,
}

type Step<T> = Result<T, PickleError>;

impl Machine<'_> {
    fn run(mut self) -> Step<Pickle> {
        for _ in 0..MAX_STEPS {
            let opcode = self.byte()?;
            match opcode {
                b'.' => {
                    let root = self.pop()?;
                    return Ok(Pickle { nodes: self.nodes, root });
                }
                0x80 => {
                    let protocol = self.byte()?;
                    if !(2..=5).contains(&protocol) {
                        return Err(self.malformed(&format!("protocol {protocol}; 2 to 5 are known")));
                    }
                }
                0x95 => self.take(8).map(|_| ())?,
                b'(' => self.marks.push(self.stack.len()),
                b'0' => self.pop().map(|_| ())?,
                _ => self.step(opcode)?,
            }
        }
        Err(self.malformed(&format!("more than {MAX_STEPS} steps, which no file of weights takes,")))
    }

    fn step(&mut self, opcode: u8) -> Step<()> {
        match opcode {
            b'N' => self.push(Node::None),
            0x88 | 0x89 => self.push(Node::Bool(opcode == 0x88)),
            b'K' => {
                let value = self.byte()?;
                self.push(Node::Int(value.into()));
            }
            b'M' => {
                let value = self.number::<2>().map(u16::from_le_bytes)?;
                self.push(Node::Int(value.into()));
            }
            b'J' => {
                let value = self.number::<4>().map(i32::from_le_bytes)?;
                self.push(Node::Int(value.into()));
            }
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                self.push(Node::Float);
            }
            b'X' => {
                let len = self.number::<4>().map(u32::from_le_bytes)?;
                self.text(len as usize)?;
            }
            0x8c => {
                let len = self.byte()?;
                self.text(len.into())?;
            }
            b'B' => {
                let len = self.number::<4>().map(u32::from_le_bytes)?;
                self.take(len as usize)?;
                self.push(Node::Bytes);
            }
            b'C' => {
                let len = self.byte()?;
                self.take(len.into())?;
                self.push(Node::Bytes);
            }
            b']' => self.push(Node::List(vec![])),
            b'}' => self.push(Node::Dict(vec![])),
            b')' => self.push(Node::Tuple(vec![])),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items));
            }
            0x85..=0x87 => {
                let len = usize::from(opcode - 0x84);
                let start = self.stack.len().checked_sub(len).ok_or_else(|| self.malformed("an empty stack"))?;
                let items = self.stack.split_off(start);
                self.push(Node::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.nodes[module], &self.nodes[name]) {
                    (Node::Text(module), Node::Text(name)) => {
                        let (module, name) = (module.clone(), name.clone());
                        self.global(module, name)?;
                    }
                    _ => return Err(self.malformed("a global without a name")),
                }
            }
            b'R' => {
                let (args, callee) = (self.pop()?, self.pop()?);
                self.call(callee, args);
            }
            // The state of an object: of an OrderedDict its attributes, of which torch uses `_metadata` for itself.
            b'b' => {
                let new = self.pop()?;
                let target = self.stack.last().copied().ok_or_else(|| self.malformed("an empty stack"))?;
                if let Node::Call { state, .. } = &mut self.nodes[target] {
                    *state = Some(new);
                }
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id));
            }
            b'q' => {
                let key = self.byte()?;
                self.remember(key.into())?;
            }
            b'r' => {
                let key = self.number::<4>().map(u32::from_le_bytes)?;
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => {
                let key = self.byte()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = self.number::<4>().map(u32::from_le_bytes)?;
                self.recall(key)?;
            }
            _ => return Err(self.malformed(&format!("opcode 0x{opcode:02x}, which files of weights have no need of"))),
        }
        Ok(())
    }

    fn malformed(&self, what: &str) -> PickleError {
        PickleError::Malformed(format!("{what} at byte {} of the pickle", self.position.saturating_sub(1)))
    }

    fn take(&mut self, len: usize) -> Step<&[u8]> {
        let end = self.position.checked_add(len).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(PickleError::Malformed(format!("the pickle ends after {} bytes", self.bytes.len())));
        };
        let taken = &self.bytes[self.position..end];
        self.position = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Step<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn number<const N: usize>(&mut self) -> Step<[u8; N]> {
        self.take(N).map(|bytes| bytes.try_into().expect("N bytes were taken"))
    }

    /// A whole number of up to eight bytes, two's complement.
    fn long(&mut self) -> Step<()> {
        let len = self.byte()?;
        let bytes = self.take(len.into())?;
        let mut value = [if bytes.last().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 }; 8];
        if bytes.len() > value.len() {
            return Err(self.malformed("a number beyond 64 bits"));
        }
        value[..bytes.len()].copy_from_slice(bytes);
        self.push(Node::Int(i64::from_le_bytes(value)));
        Ok(())
    }

    fn text(&mut self, len: usize) -> Step<()> {
        let text = std::str::from_utf8(self.take(len)?).map(str::to_owned);
        let text = text.map_err(|_| self.malformed("a text that is not UTF-8"))?;
        self.push(Node::Text(text));
        Ok(())
    }

    fn line(&mut self) -> Step<String> {
        let len = self.bytes[self.position..].iter().position(|byte| *byte == b'\n');
        let len = len.ok_or_else(|| self.malformed("a name without an end"))?;
        let line = String::from_utf8_lossy(self.take(len)?).into_owned();
        self.byte()?;
        Ok(line)
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    fn pop(&mut self) -> Step<NodeId> {
        // What lies below a mark cannot be popped.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.malformed("an empty stack"));
        }
        self.stack.pop().ok_or_else(|| self.malformed("an empty stack"))
    }

    fn pop_to_mark(&mut self) -> Step<Vec<NodeId>> {
        let mark = self.marks.pop().ok_or_else(|| self.malformed("no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: Vec<NodeId>) -> Step<()> {
        let target = self.stack.last().copied().ok_or_else(|| self.malformed("an empty stack"))?;
        match &mut self.nodes[target] {
            Node::List(list) => list.extend(items),
            _ => return Err(self.malformed("items for what is not a list")),
        }
        Ok(())
    }

    fn set(&mut self, items: &[NodeId]) -> Step<()> {
        let target = self.stack.last().copied().ok_or_else(|| self.malformed("an empty stack"))?;
        match &mut self.nodes[target] {
            Node::Dict(dict) if items.len().is_multiple_of(2) => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])))
            }
            _ => return Err(self.malformed("entries for what is not a dict")),
        }
        Ok(())
    }

    fn global(&mut self, module: String, name: String) -> Step<()> {
        if !self.known.contains(&(module.as_str(), name.as_str())) {
            return Err(PickleError::Foreign { module, name });
        }
        self.push(Node::Global(name));
        Ok(())
    }

    fn call(&mut self, callee: NodeId, args: NodeId) {
        let is_ordered_dict = matches!(&self.nodes[callee], Node::Global(name) if name == "OrderedDict");
        let has_args = !matches!(&self.nodes[args], Node::Tuple(items) if items.is_empty());
        self.push(if is_ordered_dict && !has_args {
            Node::Dict(vec![])
        } else {
            Node::Call { callee, args, state: None }
        });
    }

    fn remember(&mut self, key: u32) -> Step<()> {
        let top = self.stack.last().copied().ok_or_else(|| self.malformed("an empty stack"))?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Step<()> {
        let id = self.memo.get(&key).copied().ok_or_else(|| self.malformed("a reference to nothing"))?;
        self.stack.push(id);
        Ok(())
    }
}
