//! Channels-last feature maps `(N, H, W, C)`, in which the channels of a pixel are contiguous.

use crate::size::{MOST_TAPS, bounded, product};
use std::marker::PhantomData;

/// A read-only view of feature maps. The stride between pixels is `pitch`, so a view may contain only some channels of larger
/// maps.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    pub(crate) at: *const f32,
    /// Number of pictures.
    pub n: usize,
    /// Height of each feature map, in pixels.
    pub h: usize,
    /// Width of each feature map, in pixels.
    pub w: usize,
    /// Number of channels.
    pub c: usize,
    /// Stride between pixels, in elements; 0 without channels.
    pub pitch: usize,
    life: PhantomData<&'a [f32]>,
}

/// A mutable view of feature maps. The stride between pixels is `pitch`, so a view may contain only some channels of larger maps.
#[derive(Debug)]
pub struct MapMut<'a> {
    pub(crate) at: *mut f32,
    /// Number of pictures.
    pub n: usize,
    /// Height of each feature map, in pixels.
    pub h: usize,
    /// Width of each feature map, in pixels.
    pub w: usize,
    /// Number of channels.
    pub c: usize,
    /// Stride between pixels, in elements; 0 without channels.
    pub pitch: usize,
    life: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `Map` is a shared slice of f32.
unsafe impl Send for Map<'_> {}
// SAFETY: a `Map` is a shared slice of f32.
unsafe impl Sync for Map<'_> {}
// SAFETY: a `MapMut` is a mutable slice of f32.
unsafe impl Send for MapMut<'_> {}
// SAFETY: safe code can only read through a shared reference. Unsafe code that writes must ensure that no two threads
// write to the same element.
unsafe impl Sync for MapMut<'_> {}

/// Number of elements that feature maps span in memory, from the first to the last element.
///
/// # Panics
/// If pixels overlap, or the size exceeds the address space.
fn needed([n, h, w, c]: [usize; 4], pitch: usize) -> usize {
    bounded(&[n, h, w, c, pitch]);
    let numbers = product([n, h, w, pitch]);
    // Empty maps need no memory, but iterating over their rows and pixels takes time.
    let empty = [n, h, w, c].contains(&0);
    assert!(
        !empty || product([n, h, w].map(|size| size.max(1))) <= MOST_TAPS,
        "empty feature maps of {n}x{h}x{w}x{c} are too large"
    );
    assert!(pitch >= c, "a pitch of {pitch} is less than the number of channels, {c}");
    if product([n, h, w, c]) == 0 { 0 } else { numbers - pitch + c }
}

/// The stride between pixels of `c` channels. Pixels without channels need no memory, so all of them lie at the first address.
fn stride(c: usize, pitch: usize) -> usize {
    if c == 0 { 0 } else { pitch }
}

fn check(len: usize, [n, h, w, c]: [usize; 4], pitch: usize) {
    let needed = needed([n, h, w, c], pitch);
    assert!(
        len >= needed,
        "a slice of {len} elements is too short for feature maps of {n}x{h}x{w}x{c} with a pitch of {pitch}"
    );
}

impl<'a> Map<'a> {
    /// A view of feature maps of shape `[N, H, W, C]` in a slice that starts at their first element.
    ///
    /// # Panics
    /// If the slice is too short, or pixels overlap.
    pub fn new(data: &'a [f32], sizes: [usize; 4], pitch: usize) -> Self {
        check(data.len(), sizes, pitch);
        let [n, h, w, c] = sizes;
        Self { at: data.as_ptr(), n, h, w, c, pitch: stride(c, pitch), life: PhantomData }
    }

    /// Total number of pixels in the batch.
    pub fn pixels(&self) -> usize {
        self.n * self.h * self.w
    }
}

impl<'a> MapMut<'a> {
    /// A mutable view of feature maps of shape `[N, H, W, C]` in a slice that starts at their first element.
    ///
    /// # Panics
    /// If the slice is too short, or pixels overlap.
    pub fn new(data: &'a mut [f32], sizes: [usize; 4], pitch: usize) -> Self {
        check(data.len(), sizes, pitch);
        // SAFETY: the slice was checked.
        unsafe { Self::from_raw(data.as_mut_ptr(), sizes, pitch) }
    }

    /// A mutable view of feature maps of shape `[N, H, W, C]` in memory that may be uninitialized. Uninitialized elements must
    /// be written before they are read.
    ///
    /// # Safety
    /// For the lifetime of the view, `at` must be valid for writes of the channels of all pixels, with a pixel stride of `pitch` elements,
    /// and the memory must not be accessed through any other pointer.
    ///
    /// # Panics
    /// If pixels overlap, or the size exceeds the address space.
    pub unsafe fn from_raw(at: *mut f32, sizes: [usize; 4], pitch: usize) -> Self {
        needed(sizes, pitch);
        let [n, h, w, c] = sizes;
        Self { at, n, h, w, c, pitch: stride(c, pitch), life: PhantomData }
    }

    /// Total number of pixels in the batch.
    pub fn pixels(&self) -> usize {
        self.n * self.h * self.w
    }

    /// A read-only view of these feature maps.
    pub fn read(&self) -> Map<'_> {
        Map { at: self.at, n: self.n, h: self.h, w: self.w, c: self.c, pitch: self.pitch, life: PhantomData }
    }
}
