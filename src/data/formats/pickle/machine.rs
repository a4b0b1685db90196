//! The stack machine shared by all pickle readers: the bytes, the stack with its marks, and the memo.

use anyhow::{Context, Result, ensure};
use std::collections::HashMap;

/// Maximum number of opcodes in a pickle, enough for several hundred thousand tensors.
pub const MAX_STEPS: usize = 4_000_000;

/// The state of a pickle reader, except for the containers it has created.
pub struct Machine<'a, V> {
    bytes: &'a [u8],
    /// The position of the next byte.
    pub at: usize,
    stack: Vec<V>,
    /// Height of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u64, V>,
}

impl<'a, V: Copy> Machine<'a, V> {
    /// Creates a machine that starts at the beginning of a pickle.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() }
    }

    /// Executes an opcode that changes nothing but the stack, the marks and the memo; returns false for any other opcode.
    ///
    /// Errors if the pickle is damaged or truncated.
    pub fn common(&mut self, op: u8) -> Result<bool> {
        match op {
            0x80 => ensure!(self.byte()? <= 5, "the pickle has an unsupported protocol version"),
            0x95 => drop(self.array::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.since_mark()?),
            b'2' => self.push(self.top()?),
            b'p' | b'q' | b'r' | 0x94 => self.put(op)?,
            b'g' | b'h' | b'j' => self.get(op)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn put(&mut self, op: u8) -> Result<()> {
        let key = match op {
            b'q' => self.byte()?.into(),
            b'r' => u32::from_le_bytes(self.array()?).into(),
            b'p' => self.text_line()?.parse()?,
            _ => self.memo.len() as u64,
        };
        let value = self.top()?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn get(&mut self, op: u8) -> Result<()> {
        let key = match op {
            b'h' => self.byte()?.into(),
            b'j' => u32::from_le_bytes(self.array()?).into(),
            _ => self.text_line()?.parse()?,
        };
        let value = self.memo.get(&key).copied();
        self.push(value.with_context(|| format!("the pickle refers to memo entry {key}, which it never stored"))?);
        Ok(())
    }

    /// Pushes a value onto the stack.
    pub fn push(&mut self, value: V) {
        self.stack.push(value);
    }

    /// The value on top of the stack.
    pub fn top(&self) -> Result<V> {
        let above = self.stack.len() > self.marks.last().copied().unwrap_or(0);
        let top = self.stack.last().filter(|_| above);
        top.copied().context("the pickle pops from an empty stack")
    }

    /// Removes and returns the value on top of the stack.
    pub fn pop(&mut self) -> Result<V> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Removes the last mark and the values above it, and returns these values.
    pub fn since_mark(&mut self) -> Result<Vec<V>> {
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

    /// Reads `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    /// Reads a byte.
    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Removes and returns the top `count` values, lowest first.
    pub fn pop_many(&mut self, count: usize) -> Result<Vec<V>> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        items.reverse();
        Ok(items)
    }

    /// Reads bytes preceded by their length, which is stored in `N` bytes.
    pub fn sized<const N: usize>(&mut self) -> Result<&'a [u8]> {
        let mut size = [0; 8];
        size[..N].copy_from_slice(self.take(N)?);
        self.take(usize::try_from(u64::from_le_bytes(size))?)
    }

    /// Reads a line of text, without the newline.
    pub fn text_line(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.line()?).context("pickled text is not UTF-8; the file is damaged")
    }

    /// Reads the bytes of a line, without the newline.
    pub fn line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        let line = self.take(end)?;
        self.byte()?;
        Ok(line)
    }
}

/// Decodes an integer in little-endian two's complement; `None` if it has more than eight bytes.
pub fn long(bytes: &[u8]) -> Option<i64> {
    let mut wide = [if is_negative(bytes) { 0xff } else { 0 }; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide))
}

/// Whether an integer in little-endian two's complement is negative.
pub fn is_negative(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|b| b & 0x80 != 0)
}
