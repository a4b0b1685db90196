//! Winograd transforms `G w Gᵀ` of weights, with one group for each frequency.

use crate::packed::{MOST_WIDE, Packed};
use crate::simd::{self, Simd, Task};
use crate::weight_view::WeightView;

/// The evaluation points of F(4, 3) and F(2, 5) are 0, infinity, ±2/3 and ±3/2. Their rounding errors are less than half of those
/// of the usual ±1 and ±2, and since 2/3 · 3/2 = 1, the transforms stay short.
pub(crate) const P: f64 = 2.0 / 3.0;
pub(crate) const Q: f64 = 3.0 / 2.0;

/// Maximum number of points along a side.
const SIDE: usize = 6;
/// Maximum number of taps along a side.
const TAPS: usize = 5;

/// A vector with one value for each output channel of a panel.
type Lane<T> = [T; MOST_WIDE];

/// Transforms the weights `w` for tiles of `side` input rows and columns. `taps` are the offsets of the taps; `c` and `o` are the
/// numbers of input and output channels.
pub(crate) fn winograd_weights(side: usize, taps: &[usize], (c, o): (usize, usize), w: WeightView) -> Packed {
    let along = taps.len().isqrt();
    let g: [[f64; TAPS]; SIDE] = std::array::from_fn(|i| std::array::from_fn(|tap| g(side, i, tap, along)));
    Packed::by_row(side * side, c, o, |c, (first, count), to| {
        simd::run(Row { g: &g, side, along, taps, w, c, first, count, to });
    })
}

/// Entry `G[i][tap]` of the matrix that transforms `taps` taps, where `i` is the index of a point of tiles of `side` input rows.
pub(crate) fn g(side: usize, i: usize, tap: usize, taps: usize) -> f64 {
    let (point, n) = match (side, i) {
        (4, 1) => (1.0, 2.0),
        (4, 2) => (-1.0, 2.0),
        (6, 1 | 2) => (if i == 1 { P } else { -P }, 2.0 * P * P * (P * P - Q * Q)),
        (6, 3 | 4) => (if i == 3 { Q } else { -Q }, 2.0 * Q * Q * (Q * Q - P * P)),
        (_, 0) => return f64::from(u8::from(tap == 0)),
        _ => return f64::from(u8::from(tap + 1 == taps)),
    };
    point.powi(tap as i32) / n
}

/// A row of transformed weights, for one input channel and the output channels of a panel.
struct Row<'a> {
    g: &'a [[f64; TAPS]; SIDE],
    side: usize,
    along: usize,
    taps: &'a [usize],
    w: WeightView<'a>,
    c: usize,
    first: usize,
    count: usize,
    to: &'a mut [Lane<f32>],
}

impl Task for Row<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (side, along) = (self.side, self.along);
        let mut w = [[0.0; MOST_WIDE]; TAPS * TAPS];
        for j in 0..self.count {
            for (w, &tap) in w.iter_mut().zip(self.taps) {
                w[j] = f64::from(self.w.at(self.w.start(0, self.c, tap), self.first + j));
            }
        }
        let mut half = [[[0.0; MOST_WIDE]; TAPS]; SIDE];
        for (i, half) in half.iter_mut().enumerate().take(side) {
            for (x, half) in half.iter_mut().enumerate().take(along) {
                for y in 0..along {
                    add(half, self.g[i][y], &w[y * along + x]);
                }
            }
        }
        for (i, to) in self.to.iter_mut().enumerate() {
            let mut sum = [0.0; MOST_WIDE];
            for (x, half) in half[i / side].iter().enumerate().take(along) {
                add(&mut sum, self.g[i % side][x], half);
            }
            for (to, sum) in to.iter_mut().zip(sum) {
                *to = sum as f32;
            }
        }
    }
}

#[inline(always)]
fn add(to: &mut Lane<f64>, by: f64, from: &Lane<f64>) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += by * from;
    }
}
