//! A pool of buffers that forward passes reuse.

use crate::sync::LockUnpoisoned;
use gradscope_engine::Buffer;
use std::sync::Mutex;

/// Buffers available for reuse.
static FREE: Mutex<Vec<Buffer>> = Mutex::new(vec![]);
/// Maximum total size of the free buffers, in bytes.
const MOST: usize = 512 << 20;

/// An uninitialized buffer that returns to the pool when dropped.
#[derive(Debug)]
pub(super) struct PooledBuffer(Buffer);

impl PooledBuffer {
    /// A buffer without elements, for a value that has not been computed.
    pub fn empty() -> Self {
        Self(Buffer::default())
    }

    /// A buffer of at least `len` elements from the pool.
    pub fn new(len: usize) -> Self {
        if len == 0 {
            return Self::empty();
        }
        let mut free = FREE.lock_unpoisoned();
        let fitting = free.iter().enumerate().filter(|(_, b)| (len..=2 * len + 1024).contains(&b.numbers().len()));
        match fitting.min_by_key(|(_, b)| b.numbers().len()).map(|(i, _)| i) {
            Some(i) => Self(free.swap_remove(i)),
            None => Self(Buffer::zeros(len)),
        }
    }

    pub fn numbers(&self) -> &[f32] {
        self.0.numbers()
    }

    pub fn numbers_mut(&mut self) -> &mut [f32] {
        self.0.numbers_mut()
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if buffer.numbers().is_empty() {
            return;
        }
        let mut free = FREE.lock_unpoisoned();
        free.push(buffer);
        let mut held: usize = free.iter().map(|b| size_of_val(b.numbers())).sum();
        while held > MOST {
            held -= size_of_val(free.remove(0).numbers());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_for_nothing_is_empty_even_if_small_ones_are_free() {
        drop(PooledBuffer::new(96));
        assert!(PooledBuffer::new(0).numbers().is_empty());
    }
}
