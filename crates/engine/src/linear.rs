//! Fully connected layers on unpacked weights `(O, I)`; the forward pass and the VJP read the same copy.

use crate::activation::Activation;
use crate::buffer::Scratch;
use crate::im2col::zero;
use crate::outer_products::{Rows, outer_products};
use crate::packed::SharedPtr;
use crate::simd::{self, Level, Simd, Task, run_with};
use crate::size::product;
use crate::thread_team;
use crate::tile::{Prefetch, dot_products, multiply};
use std::ops::Range;

/// Number of weight rows per task.
const ROWS: usize = 16;
/// Number of elements of each row multiplied at a time.
const CHUNK: usize = 1024;
/// Number of rows of the batch whose products are summed at a time, so that they stay in the cache.
const SUMMED: usize = 256;

/// Computes `y = f(x wᵀ + b)` for `x` `(N, I)`, `w` `(O, I)` and `y` `(N, O)`.
///
/// # Panics
/// If a slice's length does not match its matrix.
pub fn linear(
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    (n, input, output): (usize, usize, usize),
    activation: Option<Activation>,
) {
    let [xs, ws, ys] = [[n, input], [output, input], [n, output]].map(product);
    assert!(
        (x.len(), w.len(), y.len()) == (xs, ws, ys),
        "the lengths of the slices do not match {n} rows of {input} inputs and {output} outputs"
    );
    assert!(bias.is_none_or(|b| b.len() == output));
    let at = SharedPtr(y.as_mut_ptr());
    let blocks = output.div_ceil(ROWS);
    // Large batches are split as well.
    let parts = n.div_ceil(64);
    let one = n.saturating_mul(input).saturating_mul(output) < 1 << 15;
    thread_team::run_some(if one { 1 } else { thread_team::size() }, blocks * parts, |i| {
        let (block, part) = (i / parts, i % parts);
        let outputs = block * ROWS..((block + 1) * ROWS).min(output);
        let rows = thread_team::part(n, part, parts);
        simd::run(Dots { x, w, bias, y: at.get(), sizes: (input, output), outputs, rows, activation });
    });
}

/// Computes the input gradient `dx = dy w` for `dy` `(N, O)`, `w` `(O, I)` and `dx` `(N, I)`.
///
/// # Panics
/// If a slice's length does not match its matrix.
pub fn linear_vjp(dy: &[f32], w: &[f32], dx: &mut [f32], (n, input, output): (usize, usize, usize)) {
    let [dxs, ws, dys] = [[n, input], [output, input], [n, output]].map(product);
    assert!(
        (dx.len(), w.len(), dy.len()) == (dxs, ws, dys),
        "the lengths of the slices do not match {n} rows of {input} inputs and {output} outputs"
    );
    let at = SharedPtr(dx.as_mut_ptr());
    let sizes = (n, input, output);
    by_columns(sizes, |level, columns| run_with(level, Back { dy, w, dx: at.get(), sizes, columns }));
}

/// Computes the weight gradient `dw = dyᵀ x` for `dy` `(N, O)`, `x` `(N, I)` and `dw` `(O, I)`. The result does not depend on the number
/// of cores.
///
/// # Panics
/// If a slice's length does not match its matrix.
pub fn linear_weight_gradient(dy: &[f32], x: &[f32], dw: &mut [f32], (n, input, output): (usize, usize, usize)) {
    let [dys, xs, ws] = [[n, output], [n, input], [output, input]].map(product);
    assert!(
        (dy.len(), x.len(), dw.len()) == (dys, xs, ws),
        "the lengths of the slices do not match {n} rows of {input} inputs and {output} outputs"
    );
    let at = SharedPtr(dw.as_mut_ptr());
    let sizes = (n, input, output);
    by_columns(sizes, |level, columns| run_with(level, Products { dy, x, dw: at.get(), sizes, columns }));
}

/// Splits `input` columns, in units of two vectors, into ranges of a similar amount of work, and calls `f` with the instruction set and
/// each range on all cores.
fn by_columns((n, input, output): (usize, usize, usize), f: impl Fn(Level, Range<usize>) + Sync) {
    let level = simd::level();
    let width = 2 * level.lanes();
    let grain = (1 << 15) / n.saturating_mul(output).saturating_mul(width).max(1) + 1;
    thread_team::ranges(input.div_ceil(width), grain, |columns| f(level, columns));
}

struct Dots<'a> {
    x: &'a [f32],
    w: &'a [f32],
    bias: Option<&'a [f32]>,
    y: *mut f32,
    sizes: (usize, usize),
    outputs: Range<usize>,
    rows: Range<usize>,
    activation: Option<Activation>,
}

impl Task for Dots<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `linear` checked the sizes; the scratch memory has `ROWS` vectors for each row, and each output belongs to one
        // task.
        unsafe {
            let (input, output) = self.sizes;
            let count = self.rows.len() * ROWS;
            let mut scratch = Scratch::new(count * S::LANES);
            let sums = scratch.at();
            zero::<S>(sums, count * S::LANES);
            // Chunks of weights and inputs stay in the cache while they are multiplied.
            for k in (0..input).step_by(CHUNK) {
                let k = (k, (k + CHUNK).min(input));
                for row in self.rows.clone().step_by(4) {
                    let rows = (self.rows.end - row).min(4);
                    let wide = if S::ROWS < 12 && rows == 4 { 3 } else { 4 };
                    for o in self.outputs.clone().step_by(wide) {
                        let outputs = (self.outputs.end - o).min(wide);
                        let sums = sums.add(((row - self.rows.start) * ROWS + o - self.outputs.start) * S::LANES);
                        match (rows, outputs) {
                            (1, 4) => self.dots::<S, 1, 4>((row, o), k, sums),
                            (2, 4) => self.dots::<S, 2, 4>((row, o), k, sums),
                            (3, 4) => self.dots::<S, 3, 4>((row, o), k, sums),
                            (4, 4) => self.dots::<S, 4, 4>((row, o), k, sums),
                            (4, 3) => self.dots::<S, 4, 3>((row, o), k, sums),
                            _ => {
                                for (r, j) in (0..rows).flat_map(|r| (0..outputs).map(move |j| (r, j))) {
                                    let sums = sums.add((r * ROWS + j) * S::LANES);
                                    self.dots::<S, 1, 1>((row + r, o + j), k, sums);
                                }
                            }
                        }
                    }
                }
            }
            for row in self.rows.clone() {
                let mut values = [0f32; ROWS];
                for (value, o) in values.iter_mut().zip(self.outputs.clone()) {
                    let at = ((row - self.rows.start) * ROWS + o - self.outputs.start) * S::LANES;
                    *value = S::sum(S::load(sums.add(at))) + self.bias.map_or(0.0, |b| b[o]);
                }
                if let Some(activation) = self.activation {
                    for at in (0..ROWS).step_by(S::LANES) {
                        let v = S::load(values.as_ptr().add(at));
                        S::store(values.as_mut_ptr().add(at), activation.apply::<S>(v));
                    }
                }
                let to = self.y.add(row * output + self.outputs.start);
                values[..self.outputs.len()].iter().enumerate().for_each(|(o, v)| *to.add(o) = *v);
            }
        }
    }
}

impl Dots<'_> {
    /// Adds the dot products of elements `k` of `R` rows of `x` and `O` rows of `w`, lane by lane.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. Rows `row..row + R` of `x`, rows `o..o + O` of `w`, and columns `start..end` of both
    /// must be in bounds. `to` must be valid for reads and writes of `R` rows of `ROWS` vectors.
    #[inline(always)]
    unsafe fn dots<S: Simd, const R: usize, const O: usize>(
        &self,
        (row, o): (usize, usize),
        (start, end): (usize, usize),
        to: *mut f32,
    ) {
        // SAFETY: the caller guarantees that these rows and columns are in bounds.
        unsafe {
            let input = self.sizes.0;
            let (x, w) = (self.x.as_ptr().add(row * input + start), self.w.as_ptr().add(o * input + start));
            let mut sums = [[S::splat(0.0); O]; R];
            for i in 0..R {
                for j in 0..O {
                    sums[i][j] = S::load(to.add((i * ROWS + j) * S::LANES));
                }
            }
            sums = dot_products::<S, R, O>(sums, (x, input), (w, input), end - start);
            for i in 0..R {
                for j in 0..O {
                    S::store(to.add((i * ROWS + j) * S::LANES), sums[i][j]);
                }
            }
        }
    }
}

struct Back<'a> {
    dy: &'a [f32],
    w: &'a [f32],
    dx: *mut f32,
    sizes: (usize, usize, usize),
    columns: Range<usize>,
}

impl Task for Back<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `linear_vjp` checked the sizes, and each column belongs to one task.
        unsafe {
            let (n, input, _) = self.sizes;
            let width = 2 * S::LANES;
            let (first, end) = (self.columns.start * width, (self.columns.end * width).min(input));
            let tiled = n / 4 * 4;
            for column in (first..end).step_by(width) {
                if column + width > end {
                    (0..tiled).for_each(|row| self.row::<S>(row, (column, end)));
                    continue;
                }
                (0..tiled).step_by(4).for_each(|row| self.tile::<S, 4>(row, column));
            }
            (tiled..n).for_each(|row| self.row::<S>(row, (first, end)));
        }
    }
}

impl Back<'_> {
    /// Computes `R` rows and two vectors of columns of `dx`.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. Rows `row..row + R` and two vectors of columns starting at `column` must be in bounds
    /// of `dx`, and no other thread may access these elements.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize>(&self, row: usize, column: usize) {
        // SAFETY: `w` has `output` rows with these columns, and `dy` has these `R` rows of `output` elements.
        unsafe {
            let (_, input, output) = self.sizes;
            let dy = self.dy.as_ptr().add(row * output);
            let w = self.w.as_ptr().add(column);
            let sums = multiply::<S, R, 2, false>(
                output,
                (dy, output, 1),
                (w, input),
                Prefetch(w.wrapping_add(8 * input), input),
            );
            for i in 0..R {
                for j in 0..2 {
                    let at = (row + i) * input + column + j * S::LANES;
                    S::store(self.dx.add(at), sums[i][j]);
                }
            }
        }
    }

    /// Computes columns `first..end` of one row of `dx`, reading four rows of weights at a time in memory order.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. `row` and columns `first..end` must be in bounds of `dx`, and no other thread
    /// may access these elements.
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, row: usize, (first, end): (usize, usize)) {
        // SAFETY: `w` has `output` rows with these columns, and `dy` has this row of `output` elements.
        unsafe {
            let (_, input, output) = self.sizes;
            let (dy, to) = (self.dy.as_ptr().add(row * output), self.dx.add(row * input));
            zero::<S>(to.add(first), end - first);
            let mut o = 0;
            while o < output {
                let rows = (output - o).min(4);
                let w = self.w.as_ptr().add(o * input);
                match rows {
                    4 => add_rows::<S, 4>(to, (w, input), dy.add(o), (first, end)),
                    _ => (0..rows)
                        .for_each(|r| add_rows::<S, 1>(to, (w.add(r * input), input), dy.add(o + r), (first, end))),
                }
                o += rows;
            }
        }
    }
}

/// Adds `Σᵣ dy[r] · w[r]` to columns `first..end` of the row at `to`.
///
/// # Safety
/// The CPU must support the instruction set `S`. `to` must be valid for reads and writes of elements `first..end`, `w + r · apart` for
/// reads of these elements for each `r < R`, and `dy` for reads of `R` elements.
#[inline(always)]
unsafe fn add_rows<S: Simd, const R: usize>(
    to: *mut f32,
    (w, apart): (*const f32, usize),
    dy: *const f32,
    (first, end): (usize, usize),
) {
    // SAFETY: the loop stays within `first..end`; the last vector is loaded and stored partially.
    unsafe {
        let mut by = [S::splat(0.0); R];
        for r in 0..R {
            by[r] = S::splat(*dy.add(r));
        }
        let mut k = first;
        while k < end {
            let n = end - k;
            if n >= S::LANES {
                let mut v = S::load(to.add(k));
                for r in 0..R {
                    v = S::fma(by[r], S::load(w.add(r * apart + k)), v);
                }
                S::store(to.add(k), v);
            } else {
                let mut v = S::load_part(to.add(k), n);
                for r in 0..R {
                    v = S::fma(by[r], S::load_part(w.add(r * apart + k), n), v);
                }
                S::store_part(to.add(k), n, v);
            }
            k += S::LANES;
        }
    }
}

/// A task that computes some columns of the weight gradient. `columns` is in units of two vectors.
struct Products<'a> {
    dy: &'a [f32],
    x: &'a [f32],
    dw: *mut f32,
    sizes: (usize, usize, usize),
    columns: Range<usize>,
}

impl Task for Products<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `linear_weight_gradient` checked the sizes, and each column belongs to one task.
        unsafe {
            let (n, input, output) = self.sizes;
            let width = 2 * S::LANES;
            let (first, end) = (self.columns.start * width, (self.columns.end * width).min(input));
            let whole = (end - first) / S::LANES * S::LANES;
            for row in (0..n.max(1)).step_by(SUMMED) {
                let count = SUMMED.min(n - row);
                let dy = Rows { at: self.dy.as_ptr().add(row * output), apart: output };
                let x = Rows { at: self.x.as_ptr().add(row * input + first), apart: input };
                outer_products::<S>((output, whole, count), dy, x, (self.dw.add(first), input), row > 0);
            }
            let (first, rest) = (first + whole, end - first - whole);
            for o in (0..output).take_while(|_| rest > 0) {
                let mut sum = S::splat(0.0);
                for row in 0..n {
                    let x = S::load_part(self.x.as_ptr().add(row * input + first), rest);
                    sum = S::fma(S::splat(self.dy[row * output + o]), x, sum);
                }
                S::store_part(self.dw.add(o * input + first), rest, sum);
            }
        }
    }
}
