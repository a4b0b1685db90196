//! Traverses structs in Thrift's compact protocol, in which Parquet stores its metadata.

/// Maximum nesting depth of structs and lists.
const DEPTH: usize = 24;

/// Calls `on` for every integer in the struct at the beginning of `bytes`, with its path of field IDs and its value; elements of a
/// list have the ID of the list. Returns the length of the struct; `None` if it is damaged or truncated.
pub(super) fn integers(bytes: &[u8], on: &mut dyn FnMut(&[i16], i64)) -> Option<usize> {
    let mut walk = Walk { bytes, at: 0, path: Vec::new(), on };
    walk.structure(DEPTH)?;
    Some(walk.at)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    path: Vec<i16>,
    on: &'a mut dyn FnMut(&[i16], i64),
}

impl Walk<'_> {
    fn structure(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let mut id = 0i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            id = match head >> 4 {
                0 => self.zigzag()?.try_into().ok()?,
                step => id.checked_add(step.into())?,
            };
            self.path.push(id);
            // A boolean field is stored in its header.
            if !matches!(head & 15, 1 | 2) {
                self.value(head & 15, depth)?;
            }
            self.path.pop();
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1 | 2 => drop(self.byte()?),
            3 => {
                let value = self.byte()? as i8;
                (self.on)(&self.path, value.into());
            }
            4..=6 => {
                let value = self.zigzag()?;
                (self.on)(&self.path, value);
            }
            7 => self.skip(8)?,
            8 => {
                let length = self.varint()?;
                self.skip(length.try_into().ok()?)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                let depth = depth.checked_sub(1)?;
                for _ in 0..count {
                    self.value(head & 15, depth)?;
                }
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                let depth = depth.checked_sub(1)?;
                for _ in 0..count {
                    self.value(kinds >> 4, depth)?;
                    self.value(kinds & 15, depth)?;
                }
            }
            12 => self.structure(depth)?,
            13 => self.skip(16)?,
            _ => return None,
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|end| *end <= self.bytes.len())?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}
