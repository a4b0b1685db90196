//! Weights in the order in which tiles read them.

use crate::buffer::Buffer;
use crate::simd::{self, Level};
use crate::team;

/// A matrix `(groups, k, o)` in panels of two vectors' width: for each panel its `k` rows, one behind the other; zeros
/// fill up the last panel, which has one vector's width where that is enough.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub level: Level,
    lanes: usize,
    pub k: usize,
    pub o: usize,
    numbers: Buffer,
}

impl Packed {
    /// The matrix whose entry is `of(group, k, o)`.
    pub fn new(groups: usize, k: usize, o: usize, of: impl Fn(usize, usize, usize) -> f32 + Sync) -> Self {
        let level = simd::level();
        let lanes = level.lanes();
        let mut packed = Self { level, lanes, k, o, numbers: Buffer::default() };
        packed.numbers = Buffer::zeros(groups * packed.group());
        let at = Raw(packed.numbers.numbers_mut().as_mut_ptr());
        let panels = packed.panels();
        let grain = (1 << 15) / (k * 2 * lanes).max(1) + 1;
        team::ranges(groups * panels, grain, |range| {
            for i in range {
                let (g, b) = (i / panels, i % panels);
                let (width, first) = (packed.width(b), b * 2 * lanes);
                let count = (o - first).min(width);
                // SAFETY: each panel is written by one task.
                let panel = unsafe {
                    let start = at.get().add(g * packed.group() + first * k);
                    std::slice::from_raw_parts_mut(start, width * k)
                };
                for (row, numbers) in panel.chunks_exact_mut(width).enumerate() {
                    numbers[..count].iter_mut().enumerate().for_each(|(j, v)| *v = of(g, row, first + j));
                }
            }
        });
        packed
    }

    /// The matrix of which `of(k, o, entries)` writes the entries of all groups at once.
    pub fn by_entry(groups: usize, k: usize, o: usize, of: impl Fn(usize, usize, &mut [f32]) + Sync) -> Self {
        let level = simd::level();
        let lanes = level.lanes();
        let mut packed = Self { level, lanes, k, o, numbers: Buffer::default() };
        packed.numbers = Buffer::zeros(groups * packed.group());
        let at = Raw(packed.numbers.numbers_mut().as_mut_ptr());
        let panels = packed.panels();
        team::ranges(k * panels, (1 << 12) / (groups * lanes).max(1) + 1, |range| {
            let mut entries = vec![0f32; groups];
            for i in range {
                let (row, b) = (i / panels, i % panels);
                let (width, first) = (packed.width(b), b * 2 * lanes);
                for j in 0..(o - first).min(width) {
                    of(row, first + j, &mut entries);
                    for (g, v) in entries.iter().enumerate() {
                        // SAFETY: each row of a panel is written by one task.
                        unsafe { *at.get().add(g * packed.group() + first * k + row * width + j) = *v };
                    }
                }
            }
        });
        packed
    }

    /// Numbers of one group.
    fn group(&self) -> usize {
        self.k * self.o.next_multiple_of(self.lanes)
    }

    pub fn panels(&self) -> usize {
        self.o.div_ceil(2 * self.lanes)
    }

    /// Columns of a panel, the zeros included.
    #[inline(always)]
    pub fn width(&self, panel: usize) -> usize {
        (self.o - panel * 2 * self.lanes).next_multiple_of(self.lanes).min(2 * self.lanes)
    }

    /// Row `k` of a panel.
    #[inline(always)]
    pub fn row(&self, group: usize, panel: usize, k: usize) -> *const f32 {
        // SAFETY: it stands inside, or right behind the end where nothing is read.
        unsafe { self.numbers.at().add(group * self.group() + panel * 2 * self.lanes * self.k + k * self.width(panel)) }
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        size_of_val(self.numbers.numbers())
    }
}

/// A pointer that threads share, writing apart.
#[derive(Clone, Copy)]
pub(crate) struct Raw(pub *mut f32);

// SAFETY: who uses it writes apart.
unsafe impl Send for Raw {}
unsafe impl Sync for Raw {}

impl Raw {
    #[inline(always)]
    pub fn get(&self) -> *mut f32 {
        self.0
    }
}
