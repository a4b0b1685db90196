//! Channels-last maps: `(N, H, W, C)` numbers, the channels of a pixel side by side.

use crate::size::{MOST_TAPS, bounded, product};
use std::marker::PhantomData;

/// Maps that are read. Pixels may stand `pitch` numbers apart: some channels of wider maps.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    pub(crate) at: *const f32,
    /// Pictures.
    pub n: usize,
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Numbers from one pixel to the next.
    pub pitch: usize,
    life: PhantomData<&'a [f32]>,
}

/// Maps that are written.
#[derive(Debug)]
pub struct MapMut<'a> {
    pub(crate) at: *mut f32,
    /// Pictures.
    pub n: usize,
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// Numbers from one pixel to the next.
    pub pitch: usize,
    life: PhantomData<&'a mut [f32]>,
}

// SAFETY: they are a slice and a mutable slice; who writes through the latter from many threads writes apart.
unsafe impl Send for Map<'_> {}
unsafe impl Sync for Map<'_> {}
unsafe impl Send for MapMut<'_> {}
unsafe impl Sync for MapMut<'_> {}

fn check(len: usize, [n, h, w, c]: [usize; 4], pitch: usize) {
    bounded(&[n, h, w, c, pitch]);
    let numbers = product([n, h, w, pitch]);
    // Maps without channels take no memory, but time.
    assert!(c > 0 || product([n, h, w]) <= MOST_TAPS, "maps of {n}x{h}x{w} without channels");
    let needed = if product([n, h, w, c]) == 0 { 0 } else { numbers - pitch + c };
    assert!(pitch >= c && len >= needed, "a slice of {len} numbers for maps of {n}x{h}x{w}x{c}, pitch {pitch}");
}

impl<'a> Map<'a> {
    /// Maps of sizes `[N, H, W, C]` in a slice that starts at their first number.
    ///
    /// # Panics
    /// Where the slice is too short.
    pub fn new(data: &'a [f32], sizes: [usize; 4], pitch: usize) -> Self {
        check(data.len(), sizes, pitch);
        let [n, h, w, c] = sizes;
        Self { at: data.as_ptr(), n, h, w, c, pitch, life: PhantomData }
    }

    /// Pixels of all pictures.
    pub fn pixels(&self) -> usize {
        self.n * self.h * self.w
    }
}

impl<'a> MapMut<'a> {
    /// Maps of sizes `[N, H, W, C]` in a slice that starts at their first number.
    ///
    /// # Panics
    /// Where the slice is too short.
    pub fn new(data: &'a mut [f32], sizes: [usize; 4], pitch: usize) -> Self {
        check(data.len(), sizes, pitch);
        // SAFETY: the slice was checked.
        unsafe { Self::from_raw(data.as_mut_ptr(), sizes, pitch) }
    }

    /// Maps in memory that may not be filled yet; every number of them is written before it is read.
    ///
    /// # Safety
    /// The memory of all pixels must be writable for the lifetime, and nobody else may use these channels meanwhile.
    pub unsafe fn from_raw(at: *mut f32, sizes: [usize; 4], pitch: usize) -> Self {
        let [n, h, w, c] = sizes;
        Self { at, n, h, w, c, pitch, life: PhantomData }
    }

    /// Pixels of all pictures.
    pub fn pixels(&self) -> usize {
        self.n * self.h * self.w
    }

    /// The same maps, for reading what was written.
    pub fn read(&self) -> Map<'_> {
        Map { at: self.at, n: self.n, h: self.h, w: self.w, c: self.c, pitch: self.pitch, life: PhantomData }
    }
}
