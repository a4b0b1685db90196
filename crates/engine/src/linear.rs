//! Fully connected layers on weights as they come, `(O, I)`: one copy serves both directions.

use crate::packed::Raw;
use crate::simd::{self, Simd, Task};
use crate::team;
use crate::tile::multiply;

/// Rows of weights that one task takes.
const ROWS: usize = 16;

/// `y = x wᵀ + b`, then `max(0, ·)` if asked: `x` `(N, I)`, `w` `(O, I)`, `y` `(N, O)`.
///
/// # Panics
/// Where sizes do not fit one another.
pub fn linear(
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    (n, input, output): (usize, usize, usize),
    relu: bool,
) {
    assert!(x.len() == n * input && w.len() == output * input && y.len() == n * output);
    assert!(bias.is_none_or(|b| b.len() == output));
    let at = Raw(y.as_mut_ptr());
    let blocks = output.div_ceil(ROWS);
    // Many pictures are a second way to share the work of few rows.
    let parts = if blocks >= 4 { 1 } else { n.div_ceil(32) };
    let one = n * input * output < 1 << 15;
    team::run_some(if one { 1 } else { team::size() }, blocks * parts, |i| {
        let (block, part) = (i / parts, i % parts);
        let outputs = block * ROWS..((block + 1) * ROWS).min(output);
        let rows = part * n / parts..(part + 1) * n / parts;
        simd::run(Dots { x, w, bias, y: at.get(), sizes: (input, output), outputs, rows, relu });
    });
}

/// `dx = dy w`, zero where `mask` is not positive.
///
/// # Panics
/// Where sizes do not fit one another.
pub fn linear_vjp(
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    (n, input, output): (usize, usize, usize),
    mask: Option<&[f32]>,
) {
    assert!(dx.len() == n * input && w.len() == output * input && dy.len() == n * output);
    assert!(mask.is_none_or(|m| m.len() == dx.len()));
    let at = Raw(dx.as_mut_ptr());
    let width = 2 * simd::lanes();
    let grain = (1 << 15) / (n * output * width).max(1) + 1;
    team::ranges(input.div_ceil(width), grain, |columns| {
        simd::run(Back { dy, w, dx: at.get(), sizes: (n, input, output), columns, mask });
    });
}

struct Dots<'a> {
    x: &'a [f32],
    w: &'a [f32],
    bias: Option<&'a [f32]>,
    y: *mut f32,
    sizes: (usize, usize),
    outputs: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    relu: bool,
}

impl Task for Dots<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut row = self.rows.start;
        while row < self.rows.end {
            let rows = (self.rows.end - row).min(4);
            let mut o = self.outputs.start;
            while o < self.outputs.end {
                let outputs = (self.outputs.end - o).min(4);
                match (rows, outputs) {
                    (4, 4) => self.dots::<S, 4, 4>(row, o),
                    (1, 4) => self.dots::<S, 1, 4>(row, o),
                    (2, 4) => self.dots::<S, 2, 4>(row, o),
                    (3, 4) => self.dots::<S, 3, 4>(row, o),
                    _ => {
                        for (r, o) in (row..row + rows).flat_map(|r| (o..o + outputs).map(move |o| (r, o))) {
                            self.dots::<S, 1, 1>(r, o);
                        }
                    }
                }
                o += outputs;
            }
            row += rows;
        }
    }
}

impl Dots<'_> {
    /// `R` rows of `x` times `O` rows of `w`.
    #[inline(always)]
    unsafe fn dots<S: Simd, const R: usize, const O: usize>(&self, row: usize, o: usize) {
        let (input, output) = self.sizes;
        let (x, w) = (self.x.as_ptr().add(row * input), self.w.as_ptr().add(o * input));
        let mut sums = [[S::splat(0.0); O]; R];
        let whole = input / S::LANES * S::LANES;
        let mut k = 0;
        while k < whole {
            let mut ws = [S::splat(0.0); O];
            for j in 0..O {
                ws[j] = S::load(w.add(j * input + k));
            }
            for i in 0..R {
                let v = S::load(x.add(i * input + k));
                for j in 0..O {
                    sums[i][j] = S::fma(v, ws[j], sums[i][j]);
                }
            }
            k += S::LANES;
        }
        if k < input {
            for i in 0..R {
                let v = S::load_part(x.add(i * input + k), input - k);
                for j in 0..O {
                    sums[i][j] = S::fma(v, S::load_part(w.add(j * input + k), input - k), sums[i][j]);
                }
            }
        }
        for i in 0..R {
            for j in 0..O {
                let mut v = S::sum(sums[i][j]);
                if let Some(bias) = self.bias {
                    v += bias[o + j];
                }
                if self.relu && v < 0.0 {
                    v = 0.0;
                }
                *self.y.add((row + i) * output + o + j) = v;
            }
        }
    }
}

struct Back<'a> {
    dy: &'a [f32],
    w: &'a [f32],
    dx: *mut f32,
    sizes: (usize, usize, usize),
    columns: std::ops::Range<usize>,
    mask: Option<&'a [f32]>,
}

impl Task for Back<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (n, input, _) = self.sizes;
        for block in self.columns.start..self.columns.end {
            let column = block * 2 * S::LANES;
            if column + 2 * S::LANES > input {
                self.rest(column);
                continue;
            }
            let mut row = 0;
            while row < n {
                if n - row >= 4 {
                    self.tile::<S, 4>(row, column);
                    row += 4;
                } else {
                    self.tile::<S, 1>(row, column);
                    row += 1;
                }
            }
        }
    }
}

impl Back<'_> {
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize>(&self, row: usize, column: usize) {
        let (_, input, output) = self.sizes;
        let dy = self.dy.as_ptr().add(row * output);
        let sums = multiply::<S, R, 2>(output, (dy, output, 1), (self.w.as_ptr().add(column), input));
        for i in 0..R {
            for j in 0..2 {
                let at = (row + i) * input + column + j * S::LANES;
                let v = match self.mask {
                    Some(mask) => S::where_positive(S::load(mask.as_ptr().add(at)), sums[i][j]),
                    None => sums[i][j],
                };
                S::store(self.dx.add(at), v);
            }
        }
    }

    /// The last columns, which fill no tile.
    #[inline(always)]
    unsafe fn rest(&self, column: usize) {
        let (n, input, output) = self.sizes;
        for row in 0..n {
            let to = std::slice::from_raw_parts_mut(self.dx.add(row * input + column), input - column);
            to.fill(0.0);
            for o in 0..output {
                let dy = self.dy[row * output + o];
                let w = &self.w[o * input + column..(o + 1) * input];
                for k in 0..to.len() {
                    to[k] += dy * w[k];
                }
            }
            if let Some(mask) = self.mask {
                let mask = &mask[row * input + column..(row + 1) * input];
                for k in 0..to.len() {
                    to[k] = if mask[k] > 0.0 { to[k] } else { 0.0 };
                }
            }
        }
    }
}
