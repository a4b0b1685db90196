//! Memory that starts at a cache line, and scratch memory that each thread keeps.

use std::cell::RefCell;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code)] [f32; 16]);

/// Numbers that start at a cache line.
#[derive(Clone, Default)]
pub struct Buffer(Vec<Line>);

impl Buffer {
    /// `len` zeros.
    ///
    /// # Panics
    /// Where there is no memory for them.
    pub fn zeros(len: usize) -> Self {
        let lines = len.div_ceil(16);
        let mut all = Vec::new();
        all.try_reserve_exact(lines).unwrap_or_else(|_| panic!("no memory for {len} numbers"));
        in_large_pages(&mut all);
        all.resize(lines, Line([0.0; 16]));
        Self(all)
    }

    /// The numbers; a few more than were asked for.
    pub fn numbers(&self) -> &[f32] {
        // SAFETY: a line is 16 numbers without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) }
    }

    /// The numbers, to change.
    pub fn numbers_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 16) }
    }

    /// Where they start.
    pub(crate) fn at(&self) -> *const f32 {
        self.0.as_ptr().cast()
    }
}

/// Asks for the system's large pages under what a vector has room for, before it is written: weights of a whole network are then
/// read a quarter to a third faster. Nothing happens where the system has none.
pub fn in_large_pages<T>(all: &mut Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 2 << 20;
        let start = all.as_mut_ptr() as usize;
        let end = (start + all.capacity() * size_of::<T>()) / PAGE * PAGE;
        let start = start.next_multiple_of(PAGE);
        if start < end {
            // SAFETY: whole pages inside the vector's own memory; advice changes no content.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
        }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} numbers", self.0.len() * 16)
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<Buffer>> = const { RefCell::new(vec![]) };
}

/// Scratch memory with any content; the thread keeps it for the next one who asks.
///
/// A value and no function that takes a closure: a closure is compiled without the instruction set of its surroundings.
pub(crate) struct Scratch(Buffer);

impl Scratch {
    /// Room for `len` numbers.
    pub fn new(len: usize) -> Self {
        let buffer = SCRATCH.with_borrow_mut(|all| all.pop().unwrap_or_default());
        Self(if buffer.0.len() * 16 < len { Buffer::zeros(len) } else { buffer })
    }

    /// Where it starts.
    pub fn at(&mut self) -> *mut f32 {
        self.0.0.as_mut_ptr().cast()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        SCRATCH.with_borrow_mut(|all| all.push(buffer));
    }
}
