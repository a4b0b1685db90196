//! Weights, packed in the order in which tiles read them.

use crate::bf16::{self, PairsTask};
use crate::buffer::Buffer;
use crate::simd::{self, Level};
use crate::thread_team;
use crate::weight_view::WeightView;
use std::sync::atomic::{AtomicBool, Ordering};

/// Width of the widest panel of any instruction set, in columns.
pub(crate) const MOST_WIDE: usize = 32;
/// Number of rows packed at a time.
const ROWS: usize = 16;

/// Matrices `(groups, k, o)`, stored in panels of columns that are two vectors wide. The `k` rows of a panel are contiguous. The
/// last panel is padded with zeros, or only one vector wide if that suffices. Elements are f32 values, or pairs of bf16 values of two
/// successive rows, which then count as one.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub level: Level,
    lanes: usize,
    /// Number of rows.
    pub k: usize,
    pub o: usize,
    /// Whether the elements are pairs of bf16 values.
    pub pairs: bool,
    /// Whether all elements are finite. Only then can rows with zero input be skipped, since 0 · NaN is NaN.
    pub finite: bool,
    numbers: Buffer,
}

/// Whether all elements are finite. Relies on `0 · v` being 0 only for finite `v`.
fn all_finite(numbers: &[f32]) -> bool {
    let mut sums = [0.0; 16];
    let (chunks, rest) = numbers.as_chunks::<16>();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, v)| *sum += 0.0 * v);
    }
    sums.iter().sum::<f32>() + rest.iter().map(|v| 0.0 * v).sum::<f32>() == 0.0
}

/// The columns of a panel: its group, its first column, the number of columns, and the number including those of padding.
#[derive(Clone, Copy)]
struct Columns {
    group: usize,
    first: usize,
    count: usize,
    width: usize,
}

impl Packed {
    /// Runs a task on the weights with the instruction set for which they are packed.
    pub fn run(&self, task: impl PairsTask) {
        bf16::run(self.level, self.pairs, task);
    }

    /// Packs a matrix whose row `k` holds the weights for the input channel and tap that `of(k)` returns.
    pub fn new(groups: usize, k: usize, o: usize, w: WeightView, of: impl Fn(usize) -> (usize, usize) + Sync) -> Self {
        let packed = Self::zeros(groups, k, o);
        packed.by_panel(groups, |panel, Columns { group, first, count, width }| {
            // Packs several rows at a time because they are contiguous in `w` in one of the two directions.
            for (block, rows) in panel.chunks_mut(width * ROWS).enumerate() {
                let starts: [usize; ROWS] = std::array::from_fn(|row| {
                    let (c, tap) = of((block * ROWS + row).min(k - 1));
                    w.start(group, c, tap)
                });
                for j in 0..count {
                    for (row, start) in rows.chunks_exact_mut(width).zip(starts) {
                        row[j] = w.at(start, first + j);
                    }
                }
            }
            all_finite(panel)
        })
    }

    /// Packs a matrix as pairs of bf16 values. Row `i` holds rows `2i` and `2i + 1`, which are the weights for the input channel and tap
    /// that `of` returns, or zeros if it returns `None`. `k` is the number of pairs.
    pub fn in_pairs(
        groups: usize,
        k: usize,
        o: usize,
        w: WeightView,
        of: impl Fn(usize) -> Option<(usize, usize)> + Sync,
    ) -> Self {
        let packed = Self { pairs: true, ..Self::zeros(groups, k, o) };
        packed.by_panel(groups, |panel, Columns { group, first, count, width }| {
            let mut finite = true;
            for (block, rows) in panel.chunks_mut(width * ROWS).enumerate() {
                let starts: [[Option<usize>; 2]; ROWS] = std::array::from_fn(|row| {
                    [0, 1].map(|half| of(2 * (block * ROWS + row) + half).map(|(c, tap)| w.start(group, c, tap)))
                });
                for j in 0..count {
                    for (row, starts) in rows.chunks_exact_mut(width).zip(starts) {
                        let [low, high] = starts.map(|start| start.map_or(0.0, |start| w.at(start, first + j)));
                        row[j] = bf16::pair(low, high);
                        finite &= bf16::is_finite(row[j]);
                    }
                }
            }
            finite
        })
    }

    /// Fills all panels in parallel. `fill` writes a panel's rows and returns whether all its elements are finite.
    fn by_panel(mut self, groups: usize, fill: impl Fn(&mut [f32], Columns) -> bool + Sync) -> Self {
        let at = SharedPtr(self.numbers.numbers_mut().as_mut_ptr());
        let (k, panels) = (self.k, self.panels());
        let grain = (1 << 15) / (k * 2 * self.lanes).max(1) + 1;
        let bad = AtomicBool::new(false);
        thread_team::ranges(groups * panels, grain, |range| {
            for i in range {
                let (group, b) = (i / panels, i % panels);
                let (width, first) = (self.width(b), b * 2 * self.lanes);
                let count = (self.o - first).min(width);
                // SAFETY: each panel is written by one task.
                let panel = unsafe {
                    let start = at.get().add(group * self.group() + first * k);
                    std::slice::from_raw_parts_mut(start, width * k)
                };
                if !fill(panel, Columns { group, first, count, width }) {
                    bad.store(true, Ordering::Relaxed);
                }
            }
        });
        self.finite = !bad.into_inner();
        self
    }

    /// Packs a matrix whose rows are written by `of(k, columns, entries)`, for all groups at once. `columns` holds the first
    /// column and the number of columns.
    pub fn by_row(
        groups: usize,
        k: usize,
        o: usize,
        of: impl Fn(usize, (usize, usize), &mut [[f32; MOST_WIDE]]) + Sync,
    ) -> Self {
        let mut packed = Self::zeros(groups, k, o);
        let at = SharedPtr(packed.numbers.numbers_mut().as_mut_ptr());
        let bad = AtomicBool::new(false);
        thread_team::ranges(k * packed.panels(), (1 << 12) / (groups * packed.lanes).max(1) + 1, |range| {
            let mut entries = vec![[0.0; MOST_WIDE]; groups];
            for i in range {
                let (b, row) = (i / k, i % k);
                let (width, first) = (packed.width(b), b * 2 * packed.lanes);
                of(row, (first, (o - first).min(width)), &mut entries);
                if !all_finite(entries.as_flattened()) {
                    bad.store(true, Ordering::Relaxed);
                }
                for (g, from) in entries.iter().enumerate() {
                    // SAFETY: each row of a panel is written by one task and fits the widest panel.
                    unsafe {
                        let to = at.get().add(g * packed.group() + first * k + row * width);
                        std::ptr::copy_nonoverlapping(from.as_ptr(), to, width);
                    }
                }
            }
        });
        packed.finite = !bad.into_inner();
        packed
    }

    fn zeros(groups: usize, k: usize, o: usize) -> Self {
        let level = simd::level();
        let mut packed =
            Self { level, lanes: level.lanes(), k, o, pairs: false, finite: true, numbers: Buffer::default() };
        packed.numbers = Buffer::zeros(groups * packed.group());
        packed
    }

    /// Number of elements of one group, including the zeros that pad panels.
    fn group(&self) -> usize {
        self.k * self.o.next_multiple_of(self.lanes)
    }

    pub fn panels(&self) -> usize {
        self.o.div_ceil(2 * self.lanes)
    }

    /// Number of columns of a panel, including the zeros that pad it.
    #[inline(always)]
    pub fn width(&self, panel: usize) -> usize {
        (self.o - panel * 2 * self.lanes).next_multiple_of(self.lanes).min(2 * self.lanes)
    }

    /// The address of row `k` of a panel.
    #[inline(always)]
    pub fn row(&self, group: usize, panel: usize, k: usize) -> *const f32 {
        let row = group * self.group() + panel * 2 * self.lanes * self.k + k * self.width(panel);
        self.numbers.at().wrapping_add(row)
    }

    /// Size of the packed matrix in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(self.numbers.numbers())
    }
}

/// A pointer shared by threads that write to disjoint elements.
#[derive(Clone, Copy)]
pub(crate) struct SharedPtr(pub *mut f32);

// SAFETY: sending a pointer is harmless. Each dereference is unsafe and must ensure that no two threads write to the same element.
unsafe impl Send for SharedPtr {}
// SAFETY: a reference to the pointer allows no more than a copy of it, which is safe to send.
unsafe impl Sync for SharedPtr {}

impl SharedPtr {
    #[inline(always)]
    pub fn get(&self) -> *mut f32 {
        self.0
    }
}
