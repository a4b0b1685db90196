//! Reads Python pickles as data, by a stack machine with containers, numbers, strings and PyTorch's tensors.
//!
//! Nothing is imported or called. Only the few functions of [`Global`] are supported; any other function or class that a pickle
//! names becomes an [`Object`], a placeholder that records its arguments.

pub use super::heap::{Heap, Object, PickleValue};

use super::torch::Global;
use crate::words;
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;

/// Maximum number of opcodes in a pickle, enough for several hundred thousand tensors.
const MAX_STEPS: usize = 4_000_000;

/// A parsed pickle.
#[derive(Debug)]
pub struct Pickle<'a> {
    pub root: PickleValue<'a>,
    pub heap: Heap<'a>,
    /// Length of the pickle in bytes.
    pub length: usize,
}

/// Parses the pickle at the beginning of `bytes`; protocols 0 to 5 are supported.
///
/// Errors if the pickle is damaged or truncated, uses an opcode that tensors do not need, or has more than four million opcodes.
pub fn load(bytes: &[u8]) -> Result<Pickle<'_>> {
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), heap: Heap::default() };
    for _ in 0..MAX_STEPS {
        match machine.byte()? {
            b'.' => return Ok(Pickle { root: machine.pop()?, heap: machine.heap, length: machine.at }),
            op => machine.step(op)?,
        }
    }
    bail!("the pickle has more than {MAX_STEPS} opcodes; save model.state_dict() alone")
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<PickleValue<'a>>,
    /// Height of the stack at each mark that is still open.
    marks: Vec<usize>,
    memo: HashMap<u64, PickleValue<'a>>,
    heap: Heap<'a>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, op: u8) -> Result<()> {
        let value = match op {
            b'N' | b'I' | b'J' | b'K' | b'M' | b'L' | b'F' | b'G' | 0x88..=0x8b => self.number(op)?,
            b'S' | b'V' | b'T' | b'U' | b'X' | b'B' | b'C' | 0x8c..=0x8e | 0x96 | 0x97 => self.text(op)?,
            b')' | b']' | b't' | b'l' | b'}' | b'd' | 0x85..=0x87 | 0x8f | 0x91 => self.container(op)?,
            b'g' | b'h' | b'j' => self.get(op)?,
            b'c' | b'R' | b'P' | b'Q' | b'i' | b'o' | 0x81..=0x84 | 0x92 | 0x93 => self.object(op)?,
            b'2' => self.top()?,
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
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'b' => self.build()?,
            // This opcode marks an out-of-band buffer as read-only. Such buffers are not stored in the pickle, so it has no
            // effect.
            0x98 => {}
            b'1' => drop(self.since_mark()?),
            b'p' | b'q' | b'r' | 0x94 => self.put(op)?,
            b'a' | b'e' | 0x90 => self.append(op)?,
            b's' | b'u' => self.set(op)?,
            _ => bail!("the pickle has the unsupported opcode 0x{op:02x} at byte {}", self.at - 1),
        }
        Ok(())
    }

    fn number(&mut self, op: u8) -> Result<PickleValue<'a>> {
        Ok(match op {
            b'N' => PickleValue::None,
            0x88 | 0x89 => PickleValue::Bool(op == 0x88),
            b'K' => PickleValue::Int(self.byte()?.into()),
            b'M' => PickleValue::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => PickleValue::Int(i32::from_le_bytes(self.array()?).into()),
            0x8a => long(self.sized::<1>()?),
            0x8b => long(self.sized::<4>()?),
            b'G' => self.array::<8>().map(|_| PickleValue::Float)?,
            b'F' => self.line().map(|_| PickleValue::Float)?,
            _ => match self.line()?.trim_end_matches('L') {
                "00" | "01" if op == b'I' => PickleValue::Bool(true),
                line => match (line.parse(), line.parse()) {
                    (Ok(int), _) => PickleValue::Int(int),
                    (_, Ok(big)) => PickleValue::Big(big),
                    _ if line.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) => PickleValue::Other,
                    _ => bail!("the pickle has an invalid number \"{}\"", shown(line)),
                },
            },
        })
    }

    fn text(&mut self, op: u8) -> Result<PickleValue<'a>> {
        Ok(match op {
            b'S' => PickleValue::Text(self.line()?.trim_matches(['\'', '"'])),
            // Raw-unicode-escape stores Latin-1 characters as single bytes.
            b'V' => text(self.raw_line()?),
            // Python 2 had a single type for bytes and text.
            b'U' => text(self.sized::<1>()?),
            b'T' => text(self.sized::<4>()?),
            0x8c => text(self.sized::<1>()?),
            b'X' => text(self.sized::<4>()?),
            0x8d => text(self.sized::<8>()?),
            b'C' => self.sized::<1>().map(|_| PickleValue::Bytes)?,
            b'B' => self.sized::<4>().map(|_| PickleValue::Bytes)?,
            0x97 => PickleValue::Bytes,
            _ => self.sized::<8>().map(|_| PickleValue::Bytes)?,
        })
    }

    fn container(&mut self, op: u8) -> Result<PickleValue<'a>> {
        Ok(match op {
            b')' | b']' | 0x8f => self.heap.list(Vec::new()),
            b't' | b'l' | 0x91 => {
                let items = self.since_mark()?;
                self.heap.list(items)
            }
            0x85..=0x87 => {
                let mut items = (0x84..op).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
                items.reverse();
                self.heap.list(items)
            }
            b'd' => {
                let items = self.since_mark()?;
                self.heap.dict(pairs(&items)?)
            }
            _ => self.heap.dict(Vec::new()),
        })
    }

    /// Executes an opcode that pushes a global, the result of a call or one of PyTorch's storages.
    fn object(&mut self, op: u8) -> Result<PickleValue<'a>> {
        match op {
            b'c' => Ok(PickleValue::Global(Global::find(self.line()?, self.line()?))),
            0x93 => match (self.pop()?, self.pop()?) {
                (PickleValue::Text(name), PickleValue::Text(module)) => {
                    Ok(PickleValue::Global(Global::find(module, name)))
                }
                _ => bail!("the pickle has a global without a name"),
            },
            b'P' => self.line().map(|_| PickleValue::Other),
            b'Q' => {
                let id = self.pop()?;
                self.heap.persistent(id)
            }
            // Extension codes stand for classes in a registry that differs between programs.
            0x82 => self.array::<1>().map(|_| PickleValue::Other),
            0x83 => self.array::<2>().map(|_| PickleValue::Other),
            0x84 => self.array::<4>().map(|_| PickleValue::Other),
            b'i' => {
                let class = Global::find(self.line()?, self.line()?);
                let args = self.since_mark()?;
                let args = self.heap.place(args);
                self.heap.call(PickleValue::Global(class), args)
            }
            b'o' => {
                let mut args = self.since_mark()?;
                ensure!(!args.is_empty(), "the pickle creates an object without a class");
                let class = args.remove(0);
                let args = self.heap.place(args);
                self.heap.call(class, args)
            }
            _ => {
                if op == 0x92 {
                    self.pop()?;
                }
                let (args, called) = (self.pop()?, self.pop()?);
                let PickleValue::List(args) = args else {
                    bail!("the pickle calls a function without a tuple of arguments")
                };
                self.heap.call(called, args)
            }
        }
    }

    /// Sets the state of an object. For supported types it contains only attributes such as `_metadata`, which tensors do not need.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        if let PickleValue::Object(object) = self.top()? {
            self.heap.objects[object].state = Some(state);
        }
        Ok(())
    }

    fn put(&mut self, op: u8) -> Result<()> {
        let key = match op {
            b'q' => self.byte()?.into(),
            b'r' => u32::from_le_bytes(self.array()?).into(),
            b'p' => self.line()?.parse()?,
            _ => self.memo.len() as u64,
        };
        let value = self.top()?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn get(&mut self, op: u8) -> Result<PickleValue<'a>> {
        let key = match op {
            b'h' => self.byte()?.into(),
            b'j' => u32::from_le_bytes(self.array()?).into(),
            _ => self.line()?.parse()?,
        };
        self.memo
            .get(&key)
            .copied()
            .with_context(|| format!("the pickle refers to memo entry {key}, which it never stored"))
    }

    fn append(&mut self, op: u8) -> Result<()> {
        let items = if op == b'a' { vec![self.pop()?] } else { self.since_mark()? };
        match self.top()? {
            PickleValue::List(list) => self.heap.lists[list].extend(items),
            PickleValue::Object(_) | PickleValue::Other => {}
            _ => bail!("the pickle appends to something other than a list"),
        }
        Ok(())
    }

    fn set(&mut self, op: u8) -> Result<()> {
        let items = match op {
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                vec![key, value]
            }
            _ => self.since_mark()?,
        };
        let pairs = pairs(&items)?;
        match self.top()? {
            PickleValue::Dict(dict) => self.heap.dicts[dict].extend(pairs),
            PickleValue::Object(object) => self.heap.objects[object].items.extend(pairs),
            PickleValue::Other => {}
            _ => bail!("the pickle sets items of something other than a dict"),
        }
        Ok(())
    }

    fn top(&self) -> Result<PickleValue<'a>> {
        let above = self.stack.len() > self.marks.last().copied().unwrap_or(0);
        let top = self.stack.last().filter(|_| above);
        top.copied().context("the pickle pops from an empty stack")
    }

    fn pop(&mut self) -> Result<PickleValue<'a>> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn since_mark(&mut self) -> Result<Vec<PickleValue<'a>>> {
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

    fn line(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.raw_line()?).context("pickled text is not UTF-8; the file is damaged")
    }

    fn raw_line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        let line = self.take(end)?;
        self.byte()?;
        Ok(line)
    }
}

/// Escapes a name from a file for error messages.
pub fn shown(text: &str) -> String {
    words::name(text).into_owned()
}

fn pairs<'a>(items: &[PickleValue<'a>]) -> Result<Vec<(PickleValue<'a>, PickleValue<'a>)>> {
    let (pairs, rest) = items.as_chunks();
    ensure!(rest.is_empty(), "the pickle sets a key without a value");
    Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
}

/// Decodes an integer in little-endian two's complement.
fn long<'a>(bytes: &[u8]) -> PickleValue<'a> {
    let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xFF } else { 0 };
    let mut wide = [sign; 8];
    match wide.get_mut(..bytes.len()) {
        Some(low) => low.copy_from_slice(bytes),
        None => return big(bytes, sign),
    }
    PickleValue::Int(i64::from_le_bytes(wide))
}

fn big<'a>(bytes: &[u8], sign: u8) -> PickleValue<'a> {
    let mut wide = [0; 16];
    match wide.get_mut(..bytes.len()) {
        Some(low) if sign == 0 => low.copy_from_slice(bytes),
        _ => return PickleValue::Other,
    }
    PickleValue::Big(u128::from_le_bytes(wide))
}

/// A pickled string; bytes that are not UTF-8, such as paths in other encodings and surrogates, become [`PickleValue::Bytes`].
fn text(bytes: &[u8]) -> PickleValue<'_> {
    std::str::from_utf8(bytes).map_or(PickleValue::Bytes, PickleValue::Text)
}
