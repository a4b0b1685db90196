//! Reads Python pickles as data. A stack machine handles containers, numbers, strings and PyTorch tensors.
//!
//! Nothing is imported or called. Only the few functions of [`Global`] are supported; any other function or class in a pickle
//! becomes an [`Object`], a placeholder that records its arguments.

pub use super::heap::{Heap, Object, PickleValue};

use super::torch::Global;
use crate::data::formats::pickle::machine::{MAX_STEPS, Machine, is_negative, long};
use crate::words;
use anyhow::{Result, bail, ensure};

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
/// Errors if the pickle is damaged or truncated, uses an unsupported opcode, or has more than four million opcodes.
pub fn load(bytes: &[u8]) -> Result<Pickle<'_>> {
    let mut reader = Reader { machine: Machine::new(bytes), heap: Heap::default() };
    for _ in 0..MAX_STEPS {
        match reader.machine.byte()? {
            b'.' => {
                return Ok(Pickle { root: reader.machine.pop()?, heap: reader.heap, length: reader.machine.at });
            }
            op => reader.step(op)?,
        }
    }
    bail!("the pickle has more than {MAX_STEPS} opcodes; save model.state_dict() alone")
}

struct Reader<'a> {
    machine: Machine<'a, PickleValue<'a>>,
    heap: Heap<'a>,
}

impl<'a> Reader<'a> {
    fn step(&mut self, op: u8) -> Result<()> {
        if self.machine.common(op)? {
            return Ok(());
        }
        let value = match op {
            b'N' | b'I' | b'J' | b'K' | b'M' | b'L' | b'F' | b'G' | 0x88..=0x8b => self.number(op)?,
            b'S' | b'V' | b'T' | b'U' | b'X' | b'B' | b'C' | 0x8c..=0x8e | 0x96 | 0x97 => self.text(op)?,
            b')' | b']' | b't' | b'l' | b'}' | b'd' | 0x85..=0x87 | 0x8f | 0x91 => self.container(op)?,
            b'c' | b'R' | b'P' | b'Q' | b'i' | b'o' | 0x81..=0x84 | 0x92 | 0x93 => self.object(op)?,
            _ => return self.change(op),
        };
        self.machine.push(value);
        Ok(())
    }

    /// Executes an opcode that pushes nothing onto the stack.
    fn change(&mut self, op: u8) -> Result<()> {
        match op {
            b'b' => self.build()?,
            // This opcode marks an out-of-band buffer as read-only. Such buffers are not stored in the pickle, so it has no
            // effect.
            0x98 => {}
            b'a' | b'e' | 0x90 => self.append(op)?,
            b's' | b'u' => self.set(op)?,
            _ => bail!("the pickle has the unsupported opcode 0x{op:02x} at byte {}", self.machine.at - 1),
        }
        Ok(())
    }

    fn number(&mut self, op: u8) -> Result<PickleValue<'a>> {
        Ok(match op {
            b'N' => PickleValue::None,
            0x88 | 0x89 => PickleValue::Bool(op == 0x88),
            b'K' => PickleValue::Int(self.machine.byte()?.into()),
            b'M' => PickleValue::Int(u16::from_le_bytes(self.machine.array()?).into()),
            b'J' => PickleValue::Int(i32::from_le_bytes(self.machine.array()?).into()),
            0x8a => integer(self.machine.sized::<1>()?),
            0x8b => integer(self.machine.sized::<4>()?),
            b'G' => self.machine.array::<8>().map(|_| PickleValue::Float)?,
            b'F' => self.machine.text_line().map(|_| PickleValue::Float)?,
            _ => match self.machine.text_line()?.trim_end_matches('L') {
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
            b'S' => PickleValue::Text(self.machine.text_line()?.trim_matches(['\'', '"'])),
            // Raw-unicode-escape stores Latin-1 characters as single bytes.
            b'V' => text(self.machine.line()?),
            // Python 2 had a single type for bytes and text.
            b'U' => text(self.machine.sized::<1>()?),
            b'T' => text(self.machine.sized::<4>()?),
            0x8c => text(self.machine.sized::<1>()?),
            b'X' => text(self.machine.sized::<4>()?),
            0x8d => text(self.machine.sized::<8>()?),
            b'C' => self.machine.sized::<1>().map(|_| PickleValue::Bytes)?,
            b'B' => self.machine.sized::<4>().map(|_| PickleValue::Bytes)?,
            0x97 => PickleValue::Bytes,
            _ => self.machine.sized::<8>().map(|_| PickleValue::Bytes)?,
        })
    }

    fn container(&mut self, op: u8) -> Result<PickleValue<'a>> {
        Ok(match op {
            b')' | b']' | 0x8f => self.heap.list(Vec::new()),
            b't' | b'l' | 0x91 => {
                let items = self.machine.since_mark()?;
                self.heap.list(items)
            }
            0x85..=0x87 => {
                let items = self.machine.pop_many(usize::from(op - 0x84))?;
                self.heap.list(items)
            }
            b'd' => {
                let items = self.machine.since_mark()?;
                self.heap.dict(pairs(&items)?)
            }
            _ => self.heap.dict(Vec::new()),
        })
    }

    /// Executes an opcode that pushes a global, the result of a call or one of PyTorch's storages.
    fn object(&mut self, op: u8) -> Result<PickleValue<'a>> {
        match op {
            b'c' => Ok(PickleValue::Global(Global::find(self.machine.text_line()?, self.machine.text_line()?))),
            0x93 => match (self.machine.pop()?, self.machine.pop()?) {
                (PickleValue::Text(name), PickleValue::Text(module)) => {
                    Ok(PickleValue::Global(Global::find(module, name)))
                }
                _ => bail!("the pickle has a global without a name"),
            },
            b'P' => self.machine.text_line().map(|_| PickleValue::Other),
            b'Q' => {
                let id = self.machine.pop()?;
                self.heap.persistent(id)
            }
            // Extension codes stand for classes in a registry that differs between programs.
            0x82 => self.machine.array::<1>().map(|_| PickleValue::Other),
            0x83 => self.machine.array::<2>().map(|_| PickleValue::Other),
            0x84 => self.machine.array::<4>().map(|_| PickleValue::Other),
            b'i' => {
                let class = Global::find(self.machine.text_line()?, self.machine.text_line()?);
                let args = self.machine.since_mark()?;
                let args = self.heap.place(args);
                self.heap.call(PickleValue::Global(class), args)
            }
            b'o' => {
                let mut args = self.machine.since_mark()?;
                ensure!(!args.is_empty(), "the pickle creates an object without a class");
                let class = args.remove(0);
                let args = self.heap.place(args);
                self.heap.call(class, args)
            }
            _ => {
                if op == 0x92 {
                    self.machine.pop()?;
                }
                let (args, called) = (self.machine.pop()?, self.machine.pop()?);
                let PickleValue::List(args) = args else {
                    bail!("the pickle calls a function without a tuple of arguments")
                };
                self.heap.call(called, args)
            }
        }
    }

    /// Sets the state of an object. For supported types it contains only attributes such as `_metadata`, which tensors do not need.
    fn build(&mut self) -> Result<()> {
        let state = self.machine.pop()?;
        if let PickleValue::Object(object) = self.machine.top()? {
            self.heap.objects[object].state = Some(state);
        }
        Ok(())
    }

    fn append(&mut self, op: u8) -> Result<()> {
        let items = if op == b'a' { vec![self.machine.pop()?] } else { self.machine.since_mark()? };
        match self.machine.top()? {
            PickleValue::List(list) => self.heap.lists[list].extend(items),
            PickleValue::Object(_) | PickleValue::Other => {}
            _ => bail!("the pickle appends to something other than a list"),
        }
        Ok(())
    }

    fn set(&mut self, op: u8) -> Result<()> {
        let items = match op {
            b's' => {
                let (value, key) = (self.machine.pop()?, self.machine.pop()?);
                vec![key, value]
            }
            _ => self.machine.since_mark()?,
        };
        let pairs = pairs(&items)?;
        match self.machine.top()? {
            PickleValue::Dict(dict) => self.heap.dicts[dict].extend(pairs),
            PickleValue::Object(object) => self.heap.objects[object].items.extend(pairs),
            PickleValue::Other => {}
            _ => bail!("the pickle sets items of something other than a dict"),
        }
        Ok(())
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

/// Decodes an integer in little-endian two's complement of at most 16 bytes, or of 8 if it is negative.
fn integer<'a>(bytes: &[u8]) -> PickleValue<'a> {
    let mut wide = [0; 16];
    match (long(bytes), wide.get_mut(..bytes.len())) {
        (Some(int), _) => PickleValue::Int(int),
        (None, Some(low)) if !is_negative(bytes) => {
            low.copy_from_slice(bytes);
            PickleValue::Big(u128::from_le_bytes(wide))
        }
        _ => PickleValue::Other,
    }
}

/// A pickled string; bytes that are not UTF-8, such as paths in other encodings and surrogates, become [`PickleValue::Bytes`].
fn text(bytes: &[u8]) -> PickleValue<'_> {
    std::str::from_utf8(bytes).map_or(PickleValue::Bytes, PickleValue::Text)
}
