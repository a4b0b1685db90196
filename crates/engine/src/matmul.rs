//! Products of matrices that lie anywhere in memory, such as the queries and keys of each head.

use crate::activation::{Activation, Region};
use crate::bf16::{self, PairsTask, to_pairs};
use crate::buffer::{Scratch, odd_lines};
use crate::conv::Algorithm;
use crate::packed::SharedPtr;
use crate::simd::{self, Simd};
use crate::size::product;
use crate::thread_team;
use crate::tile::{Prefetch, multiply, with_rows};
use crate::transpose::transpose;
use crate::view::View;
use std::ops::Range;

/// Minimum number of terms of a sum for products in bf16. For shorter sums, rounding and packing take most of the time.
const SHORT: usize = 32;
/// Maximum number of rows per task.
const ROWS: usize = 192;

/// Computes `y = f(a b)` for each matrix of `a` `(…, M, K)` and `b` `(…, K, P)`; `y` is `(…, M, P)`, contiguous. [`Algorithm::Bf16`]
/// rounds `a` and `b` to bf16 where that is faster.
///
/// # Panics
/// If the shapes do not match, or a view exceeds its slice.
pub fn matmul(
    (a, at): (&[f32], &View),
    (b, bt): (&[f32], &View),
    y: &mut [f32],
    activation: Option<Activation>,
    algorithm: Algorithm,
) {
    let ([lead @ .., m, k], [other @ .., l, p]) = (&at.dims[..], &bt.dims[..]) else {
        panic!("expected matrices, got {at:?} and {bt:?}")
    };
    let (m, k, p) = (*m, *k, *p);
    assert!(lead == other && k == *l, "cannot multiply {at:?} and {bt:?}");
    let count: usize = lead.iter().product();
    assert!(at.extent() <= a.len() && bt.extent() <= b.len(), "{at:?} or {bt:?} exceeds its slice");
    assert!(y.len() == product([count, m, p]), "a slice of {} elements does not match {at:?} and {bt:?}", y.len());
    if y.is_empty() {
        return;
    }
    let blocks = m.div_ceil(ROWS).max(if count < 2 * thread_team::size() { 2.min(m) } else { 1 });
    let to = SharedPtr(y.as_mut_ptr());
    let work = product([count, m, p]).saturating_mul(k);
    let pairs = algorithm == Algorithm::Bf16 && simd::multiplies_bf16() && k >= SHORT;
    let level = simd::level();
    thread_team::run_some(if work < 1 << 15 { 1 } else { thread_team::size() }, count * blocks, |i| {
        let (matrix, block) = (i / blocks, i % blocks);
        let product = Product {
            a: Matrix::of(a, at, matrix),
            b: Matrix::of(b, bt, matrix),
            y: to.get().wrapping_add(matrix * m * p),
            sizes: (k, p),
            rows: thread_team::part(m, block, blocks),
            activation,
        };
        bf16::run(level, pairs, product);
    });
}

/// A matrix in memory, with its row and column strides.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    numbers: &'a [f32],
    rows: usize,
    columns: usize,
}

impl<'a> Matrix<'a> {
    /// Matrix `i` of a view of several.
    fn of(numbers: &'a [f32], view: &View, i: usize) -> Self {
        let rank = view.dims.len();
        let at = view.block(rank - 2, i);
        // An empty matrix may start past the end of the slice.
        Self {
            numbers: numbers.get(at..).unwrap_or_default(),
            rows: view.strides[rank - 2],
            columns: view.strides[rank - 1],
        }
    }
}

/// A task that computes some rows of one product.
struct Product<'a> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    y: *mut f32,
    /// Number of terms of each sum, and number of columns.
    sizes: (usize, usize),
    rows: Range<usize>,
    activation: Option<Activation>,
}

impl PairsTask for Product<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const PAIRS: bool>(self) {
        // SAFETY: `matmul` checked that the matrices and the output are in bounds, and each row belongs to one task. The scratch memory
        // has room for a panel and, with `PAIRS`, for the rows of `a` in pairs, the columns of a panel in pairs, and a row or column of
        // unrounded elements.
        unsafe {
            let (k, p) = self.sizes;
            let lanes = if PAIRS { bf16::lanes(k) } else { k };
            let (count, stride) = if PAIRS { (self.rows.len(), odd_lines(lanes)) } else { (0, 0) };
            let panel_size = (lanes * 2 * S::LANES).next_multiple_of(16);
            let mut scratch = Scratch::new(panel_size + (count + 2 * S::LANES + 2) * stride);
            let panel = scratch.at();
            let rows = panel.add(panel_size);
            let columns = rows.add(count * stride);
            let unrounded = columns.wrapping_add(2 * S::LANES * stride);
            for i in 0..count {
                let row = self.a.numbers.as_ptr().wrapping_add((self.rows.start + i) * self.a.rows);
                strided_to_pairs::<S>((row, self.a.columns), rows.add(i * stride), k, unrounded);
            }
            // The rows of the product, and the strides of their rows and columns.
            let own = self.a.numbers.as_ptr().wrapping_add(self.rows.start * self.a.rows);
            let a = if PAIRS { (rows.cast_const(), stride, 1) } else { (own, self.a.rows, self.a.columns) };
            for first in (0..p).step_by(2 * S::LANES) {
                let width = if p - first > S::LANES { 2 * S::LANES } else { S::LANES };
                if PAIRS {
                    self.pack_pairs::<S>(panel, (first, (p - first).min(width)), width, (columns, stride, unrounded));
                } else {
                    self.pack::<S>(panel, (first, (p - first).min(width)), width);
                }
                let limit = if width > S::LANES { S::ROWS } else { 12 };
                let tiles = self.rows.len().div_ceil(limit);
                for t in 0..tiles {
                    let rows = thread_team::part(self.rows.len(), t, tiles);
                    let a = (a.0.wrapping_add(rows.start * a.1), a.1, a.2);
                    let to = (self.rows.start + rows.start, first);
                    if width > S::LANES {
                        with_rows!(rows.len(), S, S::ROWS, tile::<2, PAIRS>(&self, a, (panel, lanes), to));
                    } else {
                        with_rows!(rows.len(), S, 12, tile::<1, PAIRS>(&self, a, (panel, lanes), to));
                    }
                }
            }
            if let Some(activation) = &self.activation {
                let value = (self.y.add(self.rows.start * p), p);
                let region = Region { value, saved: (std::ptr::null(), 0), rows: self.rows.len(), columns: p };
                activation.on_region::<S>(region, false);
            }
        }
    }
}

impl Product<'_> {
    /// Like [`Product::pack`], rounded to pairs of bf16 values of two successive rows. `columns` is scratch memory for the columns in
    /// pairs, with the stride between them, and for one unrounded column.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`, and the task must run with [`simd::run_bf16`]. The panel must be valid for writes of
    /// `width` columns for each pair of rows of `b`, and the columns must be in bounds of `b`. The scratch memory must be valid for writes
    /// of `count` columns.
    #[inline(always)]
    unsafe fn pack_pairs<S: Simd>(
        &self,
        panel: *mut f32,
        (first, count): (usize, usize),
        width: usize,
        (columns, stride, unrounded): (*mut f32, usize, *mut f32),
    ) {
        // SAFETY: guaranteed by the caller; columns past the last one are zeros.
        unsafe {
            let (k, b) = (self.sizes.0, self.b.numbers.as_ptr().wrapping_add(first * self.b.columns));
            if self.b.columns == 1 {
                for row in (0..k).step_by(2) {
                    for j in (0..width).step_by(S::LANES) {
                        let n = count.saturating_sub(j);
                        let at = b.wrapping_add(row * self.b.rows + j);
                        let low = S::load_part(at, n);
                        let high = S::load_part(at.wrapping_add(self.b.rows), if row + 1 < k { n } else { 0 });
                        S::store(panel.add(row / 2 * width + j), S::zip_pairs(low, high));
                    }
                }
                return;
            }
            let lanes = bf16::lanes(k);
            for j in 0..count {
                let column = b.wrapping_add(j * self.b.columns);
                strided_to_pairs::<S>((column, self.b.rows), columns.add(j * stride), k, unrounded);
            }
            transpose::<S>((columns, stride), (panel, width), (count, lanes));
            for row in (0..lanes).take_while(|_| count < width) {
                std::ptr::write_bytes(panel.add(row * width + count), 0, width - count);
            }
        }
    }

    /// Copies `count` columns of `b`, starting at `first`, to a panel of `width` columns, padded with zeros.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. The panel must be valid for writes of `width` columns for each row of `b`, and the
    /// columns must be in bounds of `b`.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, panel: *mut f32, (first, count): (usize, usize), width: usize) {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let (k, b) = (self.sizes.0, self.b.numbers.as_ptr().wrapping_add(first * self.b.columns));
            if count < width {
                for row in 0..k {
                    std::ptr::write_bytes(panel.add(row * width + count), 0, width - count);
                }
            }
            if self.b.columns == 1 {
                for row in 0..k {
                    std::ptr::copy_nonoverlapping(b.wrapping_add(row * self.b.rows), panel.add(row * width), count);
                }
            } else if self.b.rows == 1 {
                transpose::<S>((b, self.b.columns), (panel, width), (count, k));
            } else {
                for (row, column) in (0..k).flat_map(|row| (0..count).map(move |column| (row, column))) {
                    *panel.add(row * width + column) = *b.wrapping_add(row * self.b.rows + column * self.b.columns);
                }
            }
        }
    }
}

/// Rounds `k` elements with the given stride to pairs of bf16 values at `to`.
///
/// # Safety
/// The CPU must support the instruction set `S`, and the task must run with [`simd::run_bf16`]. `from` must be valid for reads of these
/// elements, `to` for writes of half as many, rounded up, and `unrounded` for writes of `k` elements.
#[inline(always)]
unsafe fn strided_to_pairs<S: Simd>((from, stride): (*const f32, usize), to: *mut f32, k: usize, unrounded: *mut f32) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if stride == 1 {
            return to_pairs::<S>(from, to, k);
        }
        for i in 0..k {
            *unrounded.add(i) = *from.wrapping_add(i * stride);
        }
        to_pairs::<S>(unrounded, to, k);
    }
}

/// Computes `M` rows of one panel of the product, which starts at row `row` and column `first`. `a` comes with the strides of its rows and
/// columns, and `panel` with the number of its rows.
///
/// # Safety
/// The CPU must support the instruction set `S`; with `PAIRS`, the task must run with [`simd::run_bf16`]. `a` must be valid for reads of
/// `M` rows and `panel` for reads of `V` vectors of columns for each of its rows. Rows `row..row + M` must be in bounds of the output, and
/// no other thread may access them.
#[inline(always)]
unsafe fn tile<S: Simd, const M: usize, const V: usize, const PAIRS: bool>(
    product: &Product,
    a: (*const f32, usize, usize),
    (panel, k): (*mut f32, usize),
    (row, first): (usize, usize),
) {
    // SAFETY: guaranteed by the caller; the last vector of a row is stored partially.
    unsafe {
        let p = product.sizes.1;
        let panel = panel.cast_const();
        let sums = multiply::<S, M, V, PAIRS>(k, a, (panel, V * S::LANES), Prefetch(panel, 0));
        for m in 0..M {
            for j in 0..V {
                let column = first + j * S::LANES;
                S::store_part(product.y.add((row + m) * p + column), p - column, sums[m][j]);
            }
        }
    }
}
