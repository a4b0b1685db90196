//! Reads Python pickles of dictionaries of byte strings, numbers and NumPy arrays, such as CIFAR's.
//!
//! Nothing is imported or called: an object becomes the list of its constructor's arguments.

pub mod machine;

use anyhow::{Context, Result, bail, ensure};
use machine::{MAX_STEPS, Machine, long};

/// A pickled value; containers are indices into the lists of a [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer or a boolean.
    Int(i64),
    /// A byte string, or the bytes of a text string.
    Bytes(&'a [u8]),
    /// A list or a tuple, or the constructor arguments of an object.
    List(usize),
    /// A dictionary: a list of alternating keys and values.
    Dict(usize),
    /// Any other value.
    Other,
}

/// A parsed pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    root: Value<'a>,
    lists: Vec<Vec<Value<'a>>>,
}

impl<'a> Pickle<'a> {
    /// The value for a key in the outermost dictionary; `None` if there is no such key.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        let Value::Dict(dict) = self.root else { return None };
        let (pairs, _) = self.lists[dict].as_chunks();
        pairs.iter().find(|[name, _]| *name == Value::Bytes(key.as_bytes())).map(|[_, value]| *value)
    }

    /// The keys of the outermost dictionary.
    pub fn keys(&self) -> Vec<String> {
        let Value::Dict(dict) = self.root else { return Vec::new() };
        let text = |value: &Value| {
            if let Value::Bytes(b) = value { String::from_utf8_lossy(b).into_owned() } else { "?".into() }
        };
        self.lists[dict].iter().step_by(2).map(text).collect()
    }

    /// The items of a list or tuple.
    pub fn items(&self, value: Value) -> &[Value<'a>] {
        if let Value::List(list) = value { &self.lists[list] } else { &[] }
    }

    /// The values of a byte string or a NumPy array in row-major order: the longest byte string among its constructor's
    /// arguments.
    ///
    /// Errors if there is none, or if an array is column-major.
    pub fn array(&self, value: Value<'a>) -> Result<&'a [u8]> {
        let mut longest: Option<&[u8]> = None;
        let mut waiting = vec![value];
        let mut seen = vec![false; self.lists.len()];
        while let Some(value) = waiting.pop() {
            match value {
                Value::Bytes(bytes) if longest.is_none_or(|known| bytes.len() > known.len()) => longest = Some(bytes),
                Value::List(list) if !std::mem::replace(&mut seen[list], true) => {
                    // The arguments of an array are version, shape, dtype, whether it is column-major and values, or, in protocol
                    // 5, values, dtype, shape and order.
                    let items = &self.lists[list][..];
                    if matches!(items, [_, _, _, Value::Int(1), Value::Bytes(_)] | [_, _, _, Value::Bytes(b"F")]) {
                        bail!("the array is in column-major order; save numpy.ascontiguousarray(data)");
                    }
                    waiting.extend(&self.lists[list]);
                }
                _ => {}
            }
        }
        longest.context("the pickled value is not an array of bytes")
    }
}

/// Parses a pickle of protocol 0 to 5.
///
/// Errors if it is damaged or truncated, uses an unsupported opcode, or has more than four million opcodes.
pub fn load(bytes: &[u8]) -> Result<Pickle<'_>> {
    let mut reader = Reader { machine: Machine::new(bytes), lists: Vec::new() };
    for _ in 0..MAX_STEPS {
        match reader.machine.byte()? {
            b'.' => return Ok(Pickle { root: reader.machine.pop()?, lists: reader.lists }),
            op => reader.step(op)?,
        }
    }
    bail!("the pickle has more than {MAX_STEPS} opcodes")
}

struct Reader<'a> {
    machine: Machine<'a, Value<'a>>,
    lists: Vec<Vec<Value<'a>>>,
}

impl<'a> Reader<'a> {
    fn step(&mut self, op: u8) -> Result<()> {
        if self.machine.common(op)? {
            return Ok(());
        }
        let value = match op {
            b'N' => Value::Other,
            0x88 | 0x89 => Value::Int((op == 0x88).into()),
            b'K' => Value::Int(self.machine.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.machine.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.machine.array()?).into()),
            b'I' | b'L' => number(self.machine.line()?),
            0x8a => long(self.machine.sized::<1>()?).map_or(Value::Other, Value::Int),
            b'G' => self.machine.array::<8>().map(|_| Value::Other)?,
            b'F' => self.machine.line().map(|_| Value::Other)?,
            b'U' | b'C' | 0x8c => Value::Bytes(self.machine.sized::<1>()?),
            b'T' | b'B' | b'X' => Value::Bytes(self.machine.sized::<4>()?),
            0x8d | 0x8e | 0x96 => Value::Bytes(self.machine.sized::<8>()?),
            b'S' | b'V' => Value::Bytes(unquoted(self.machine.line()?)),
            b'c' => self.machine.line().and_then(|_| self.machine.line()).map(|_| Value::Other)?,
            0x93 => {
                self.machine.pop()?;
                self.machine.pop()?;
                Value::Other
            }
            b')' | b']' => self.list(Vec::new()),
            b'}' => self.dict(Vec::new()),
            b't' | b'l' => {
                let items = self.machine.since_mark()?;
                self.list(items)
            }
            b'd' => {
                let items = self.machine.since_mark()?;
                ensure!(items.len() % 2 == 0, "the pickle has a key without a value");
                self.dict(items)
            }
            0x85..=0x87 => {
                let items = self.machine.pop_many(usize::from(op - 0x84))?;
                self.list(items)
            }
            // A call of a function or class with its arguments.
            b'R' | 0x81 => {
                let (args, called) = (self.machine.pop()?, self.machine.pop()?);
                self.list(vec![called, args])
            }
            _ => return self.change(op),
        };
        self.machine.push(value);
        Ok(())
    }

    /// Executes an opcode that pushes nothing onto the stack.
    fn change(&mut self, op: u8) -> Result<()> {
        match op {
            b'a' => self.machine.pop().and_then(|item| self.extend(vec![item]))?,
            b'e' => self.machine.since_mark().and_then(|items| self.extend(items))?,
            b's' => {
                let (value, key) = (self.machine.pop()?, self.machine.pop()?);
                self.extend(vec![key, value])?;
            }
            b'u' => {
                let items = self.machine.since_mark()?;
                ensure!(items.len() % 2 == 0, "the pickle has a key without a value");
                self.extend(items)?;
            }
            b'b' => {
                let state = self.machine.pop()?;
                if matches!(self.machine.top()?, Value::List(_)) {
                    self.extend(vec![state])?;
                }
            }
            _ => bail!("the pickle has the unsupported opcode 0x{op:02x} at byte {}", self.machine.at - 1),
        }
        Ok(())
    }

    fn list(&mut self, items: Vec<Value<'a>>) -> Value<'a> {
        self.lists.push(items);
        Value::List(self.lists.len() - 1)
    }

    fn dict(&mut self, items: Vec<Value<'a>>) -> Value<'a> {
        self.lists.push(items);
        Value::Dict(self.lists.len() - 1)
    }

    /// Adds items to the container on top of the stack.
    fn extend(&mut self, items: Vec<Value<'a>>) -> Result<()> {
        match self.machine.top()? {
            Value::List(list) | Value::Dict(list) => self.lists[list].extend(items),
            _ => bail!("the pickle adds items to a value that is not a container"),
        }
        Ok(())
    }
}

fn number<'a>(line: &[u8]) -> Value<'a> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    text.trim_end_matches('L').parse().map_or(Value::Other, Value::Int)
}

fn unquoted(line: &[u8]) -> &[u8] {
    match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => line,
    }
}
