//! Reads Python pickles of dictionaries of byte strings, numbers and NumPy arrays, such as CIFAR's.
//!
//! Nothing is imported or called: an object is a list of what it was created from.

use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;

/// Maximum number of opcodes in a pickle.
const MAX_STEPS: usize = 4_000_000;

/// A pickled value; containers are indices into the lists of a [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer or a boolean.
    Int(i64),
    /// A byte string, or the bytes of a text.
    Bytes(&'a [u8]),
    /// A list or a tuple, or what an object was created from.
    List(usize),
    /// A dictionary: a list of keys and values in turn.
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
    /// The value of a key of the outermost dictionary.
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

    /// The values of a byte string or a NumPy array in row-major order: the longest byte string that it was created from.
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
                    // An array is created from version, shape, dtype, whether it is column-major and values, or, in protocol 5,
                    // from values, dtype, shape and order.
                    let items = &self.lists[list][..];
                    if matches!(items, [_, _, _, Value::Int(1), Value::Bytes(_)] | [_, _, _, Value::Bytes(b"F")]) {
                        bail!("its array is in column-major order; save numpy.ascontiguousarray(data)");
                    }
                    waiting.extend(&self.lists[list]);
                }
                _ => {}
            }
        }
        longest.context("it is not an array of bytes")
    }
}

/// Parses a pickle of protocol 0 to 5.
///
/// Errors if it is damaged or truncated, uses an opcode that data sets do not need, or has more than four million opcodes.
pub fn load(bytes: &[u8]) -> Result<Pickle<'_>> {
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), lists: Vec::new() };
    for _ in 0..MAX_STEPS {
        match machine.byte()? {
            b'.' => return Ok(Pickle { root: machine.pop()?, lists: machine.lists }),
            op => machine.step(op)?,
        }
    }
    bail!("the pickle has more than {MAX_STEPS} opcodes")
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Height of the stack at each mark that is still open.
    marks: Vec<usize>,
    memo: HashMap<u64, Value<'a>>,
    lists: Vec<Vec<Value<'a>>>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, op: u8) -> Result<()> {
        let value = match op {
            b'N' => Value::Other,
            0x88 | 0x89 => Value::Int((op == 0x88).into()),
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'I' | b'L' => number(self.line()?),
            0x8a => long(self.sized::<1>()?),
            b'G' => self.array::<8>().map(|_| Value::Other)?,
            b'F' => self.line().map(|_| Value::Other)?,
            b'U' | b'C' | 0x8c => Value::Bytes(self.sized::<1>()?),
            b'T' | b'B' | b'X' => Value::Bytes(self.sized::<4>()?),
            0x8d | 0x8e | 0x96 => Value::Bytes(self.sized::<8>()?),
            b'S' | b'V' => Value::Bytes(unquoted(self.line()?)),
            b'c' => self.line().and_then(|_| self.line()).map(|_| Value::Other)?,
            0x93 => {
                self.pop()?;
                self.pop()?;
                Value::Other
            }
            b')' | b']' => self.list(Vec::new()),
            b'}' => self.dict(Vec::new()),
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.list(items)
            }
            b'd' => {
                let items = self.since_mark()?;
                ensure!(items.len() % 2 == 0, "the pickle has a key without a value");
                self.dict(items)
            }
            0x85..=0x87 => {
                let mut items = (0x84..op).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
                items.reverse();
                self.list(items)
            }
            // A call of a function or class, with its arguments.
            b'R' | 0x81 => {
                let (args, called) = (self.pop()?, self.pop()?);
                self.list(vec![called, args])
            }
            b'2' => self.top()?,
            b'h' => self.recall(|m| Ok(m.byte()?.into()))?,
            b'j' => self.recall(|m| Ok(u32::from_le_bytes(m.array()?).into()))?,
            b'g' => self.recall(|m| Ok(std::str::from_utf8(m.line()?)?.parse()?))?,
            _ => return self.change(op),
        };
        self.stack.push(value);
        Ok(())
    }

    /// Executes an opcode that pushes nothing onto the stack.
    fn change(&mut self, op: u8) -> Result<()> {
        match op {
            0x80 => ensure!(self.byte()? <= 5, "the pickle has an unsupported protocol"),
            0x95 => drop(self.array::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'q' => self.memorize(|m| Ok(m.byte()?.into()))?,
            b'r' => self.memorize(|m| Ok(u32::from_le_bytes(m.array()?).into()))?,
            b'p' => self.memorize(|m| Ok(std::str::from_utf8(m.line()?)?.parse()?))?,
            0x94 => self.memorize(|m| Ok(m.memo.len() as u64))?,
            b'a' => self.pop().and_then(|item| self.extend(vec![item]))?,
            b'e' => self.since_mark().and_then(|items| self.extend(items))?,
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend(vec![key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                ensure!(items.len() % 2 == 0, "the pickle has a key without a value");
                self.extend(items)?;
            }
            b'b' => {
                let state = self.pop()?;
                if matches!(self.top()?, Value::List(_)) {
                    self.extend(vec![state])?;
                }
            }
            _ => bail!("the pickle has an opcode 0x{op:02x} at byte {} that no data set needs", self.at - 1),
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
        match self.top()? {
            Value::List(list) | Value::Dict(list) => self.lists[list].extend(items),
            _ => bail!("the pickle adds items to something other than a container"),
        }
        Ok(())
    }

    fn memorize(&mut self, key: impl Fn(&mut Self) -> Result<u64>) -> Result<()> {
        let (key, value) = (key(self)?, self.top()?);
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: impl Fn(&mut Self) -> Result<u64>) -> Result<Value<'a>> {
        let key = key(self)?;
        let value = self.memo.get(&key).copied();
        value.with_context(|| format!("the pickle refers to memo entry {key}, which it never stored"))
    }

    fn top(&self) -> Result<Value<'a>> {
        let above = self.stack.len() > self.marks.last().copied().unwrap_or(0);
        let top = self.stack.last().filter(|_| above);
        top.copied().context("the pickle pops from an empty stack")
    }

    fn pop(&mut self) -> Result<Value<'a>> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn since_mark(&mut self) -> Result<Vec<Value<'a>>> {
        let mark = self.marks.pop().context("the pickle pops a mark that was never set")?;
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.context("the pickle ends too early; the file is damaged or truncated")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads bytes that are preceded by their number, stored in `N` bytes.
    fn sized<const N: usize>(&mut self) -> Result<&'a [u8]> {
        let mut size = [0; 8];
        size[..N].copy_from_slice(self.take(N)?);
        self.take(usize::try_from(u64::from_le_bytes(size))?)
    }

    fn line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        let line = self.take(end)?;
        self.byte()?;
        Ok(line)
    }
}

fn number<'a>(line: &[u8]) -> Value<'a> {
    let text = std::str::from_utf8(line).unwrap_or_default();
    text.trim_end_matches('L').parse().map_or(Value::Other, Value::Int)
}

/// Decodes an integer of at most eight bytes in little-endian two's complement.
fn long<'a>(bytes: &[u8]) -> Value<'a> {
    let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut wide = [sign; 8];
    let Some(low) = wide.get_mut(..bytes.len()) else { return Value::Other };
    low.copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

fn unquoted(line: &[u8]) -> &[u8] {
    match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => line,
    }
}
