//! The innermost loop, which accumulates a tile of sums in registers, and the epilogue applied when the tile is written.

use crate::activation::{Activation, Region};
use crate::map::{Map, MapMut};
use crate::simd::Simd;

/// Operations applied to a sum before it is written, in field order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// The bias of each channel, added to the sum.
    pub bias: Option<&'a [f32]>,
    /// A scale and a shift for each channel: `scale · v + shift`.
    pub affine: Option<(&'a [f32], &'a [f32])>,
    /// Feature maps of the output's size to add to the sum.
    pub add: Option<Map<'a>>,
    /// Feature maps of the output's size in which to store the activation's input.
    pub save: Option<&'a MapMut<'a>>,
    /// The activation to apply.
    pub activation: Option<Activation>,
    /// An activation whose derivative multiplies the sum, and feature maps of the output's size with the values from which
    /// the derivative is computed.
    pub slope: Option<(Activation, Map<'a>)>,
}

impl<'a> Epilogue<'a> {
    /// The epilogue split in two: operations on sums in registers, and an activation that is applied to whole regions of the output. Only a
    /// ReLU and its derivative, which may precede another derivative, are applied in registers.
    pub(crate) fn split(self) -> (Self, Option<Later<'a>>) {
        let plain = |a: &Activation| *a == Activation::Relu;
        match (self.activation, self.slope) {
            (Some(activation), None) if !plain(&activation) => {
                (Self { activation: None, ..self }, Some(Later { activation, saved: None }))
            }
            (None, Some((activation, saved))) if !plain(&activation) => {
                (Self { slope: None, ..self }, Some(Later { activation, saved: Some(saved) }))
            }
            _ => (self, None),
        }
    }

    /// Whether the epilogue has no activation other than ReLU. Any other activation is a function call, around which the compiler
    /// spills all vector registers.
    pub(crate) fn is_plain(&self) -> bool {
        let plain = |activation: Option<Activation>| activation.is_none_or(|a| a == Activation::Relu);
        plain(self.activation) && plain(self.slope.map(|s| s.0))
    }

    /// Checks that the epilogue matches an output.
    ///
    /// # Panics
    /// If the size of a slice or map of the epilogue does not match the output.
    pub(crate) fn check(&self, y: &MapMut) {
        let saved = self.save.map(|map| (map.n, map.c, map.h, map.w));
        let read = [self.add, self.slope.map(|s| s.1)].into_iter().flatten().map(|map| (map.n, map.c, map.h, map.w));
        for sizes in read.chain(saved) {
            assert!(sizes == (y.n, y.c, y.h, y.w), "{sizes:?} and {y:?} do not match");
        }
        for numbers in [self.bias, self.affine.map(|a| a.0), self.affine.map(|a| a.1)] {
            assert!(numbers.is_none_or(|n| n.len() == y.c), "expected one element per channel of {y:?}");
        }
    }
}

/// An activation to apply after a region of the output is complete.
#[derive(Clone, Copy)]
pub(crate) struct Later<'a> {
    activation: Activation,
    /// The values from which the derivative is computed, if the region is to be multiplied by it.
    saved: Option<Map<'a>>,
}

impl Later<'_> {
    /// Applies the activation to `columns` channels of `rows` adjacent pixels of `y`, starting at channel `c` of pixel `pixel`.
    ///
    /// # Safety
    /// The CPU must support the instruction set `S`. These channels must be in bounds of `y`, and no other thread may access them.
    #[inline(always)]
    pub unsafe fn apply<S: Simd>(&self, y: &MapMut, (pixel, rows): (usize, usize), (c, columns): (usize, usize)) {
        // SAFETY: the caller guarantees that the region is in bounds, and the saved values have the output's size.
        unsafe {
            let saved = match &self.saved {
                Some(map) => (map.at.add(pixel * map.pitch + c), map.pitch),
                None => (std::ptr::null(), 0),
            };
            let value = (y.at.add(pixel * y.pitch + c), y.pitch);
            self.activation.on_region::<S>(Region { value, saved, rows, columns }, self.saved.is_some());
        }
    }
}

/// How to write the sums of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Exit<'a> {
    pub epilogue: Epilogue<'a>,
    /// Whether to add to the sums already written.
    pub more: bool,
    /// Whether the sums are complete, so that the epilogue applies.
    pub last: bool,
}

/// Weights to prefetch for a later tile: an address and the stride between successive steps of a sum.
#[derive(Clone, Copy)]
pub(crate) struct Prefetch(pub *const f32, pub usize);

impl Prefetch {
    /// The weights that tile `t` of `tiles` prefetches: its share of those that follow the `count` rows of `width` elements at
    /// `b`.
    #[inline(always)]
    pub fn after(b: *const f32, (count, width): (usize, usize), (t, tiles): (usize, usize)) -> Self {
        let all = count * width;
        Self(b.wrapping_add(all + t * all / tiles), width / tiles)
    }
}

/// `a · b + c`, or with `PAIRS`, the products of pairs of bf16 values added to `c`.
///
/// # Safety
/// With `PAIRS`, the task must run with [`run_bf16`](crate::simd::run_bf16).
#[inline(always)]
pub(crate) unsafe fn multiply_add<S: Simd, const PAIRS: bool>(a: S::V, b: S::V, c: S::V) -> S::V {
    // SAFETY: guaranteed by the caller; the vectors exist, so the CPU supports the instruction set.
    unsafe { if PAIRS { S::dot_pairs(a, b, c) } else { S::fma(a, b, c) } }
}

/// Computes `sums[m][j] = Σₖ a(m, k) · b(k, j)`, where `a(m, k)` is at `a + m·am + k·ak` and the rows of `b` have stride `bk`. With
/// `PAIRS`, each element of `a` and `b` is a pair of bf16 values.
///
/// # Safety
/// The CPU must support the instruction set `S`; with `PAIRS`, the task must run with [`run_bf16`](crate::simd::run_bf16). `a` must be
/// valid for reads of `M` rows (stride `am`) of `k` elements (stride `ak`), and `b` for reads of `k` rows (stride `bk`) of `V` vectors.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Simd, const M: usize, const V: usize, const PAIRS: bool>(
    k: usize,
    (mut a, am, ak): (*const f32, usize, usize),
    (mut b, bk): (*const f32, usize),
    Prefetch(mut prefetch, step): Prefetch,
) -> [[S::V; V]; M] {
    // SAFETY: the caller guarantees that all elements that the loop reads are valid; prefetched addresses may be invalid.
    unsafe {
        let mut sums = [[S::splat(0.0); V]; M];
        for _ in 0..k {
            let mut row = [S::splat(0.0); V];
            for j in 0..V {
                row[j] = S::load(b.add(j * S::LANES));
            }
            S::prefetch(prefetch);
            prefetch = prefetch.wrapping_add(step);
            for m in 0..M {
                let v = S::splat(*a.add(m * am));
                for j in 0..V {
                    sums[m][j] = multiply_add::<S, PAIRS>(v, row[j], sums[m][j]);
                }
            }
            // After the last row, these may point past the end.
            a = a.wrapping_add(ak);
            b = b.wrapping_add(bk);
        }
        sums
    }
}

/// Computes `sums[r][o] += Σₖ x(r, k) · w(o, k)` for `k < count`, lane by lane. Rows of `x` and `w` are contiguous; the row
/// strides are passed along with the pointers. This is a separate function so that the sums stay in registers.
///
/// # Safety
/// The CPU must support the instruction set `S`. `x` must be valid for reads of `R` rows of `count` elements, and `w`
/// for reads of `O` such rows.
#[inline(always)]
pub(crate) unsafe fn dot_products<S: Simd, const R: usize, const O: usize>(
    mut sums: [[S::V; O]; R],
    (x, x_apart): (*const f32, usize),
    (w, w_apart): (*const f32, usize),
    count: usize,
) -> [[S::V; O]; R] {
    // SAFETY: the loop stays below `count`; the last vector is loaded partially.
    unsafe {
        let mut k = 0;
        while k + S::LANES <= count {
            let mut ws = [S::splat(0.0); O];
            for o in 0..O {
                ws[o] = S::load(w.add(o * w_apart + k));
            }
            for r in 0..R {
                let v = S::load(x.add(r * x_apart + k));
                for o in 0..O {
                    sums[r][o] = S::fma(v, ws[o], sums[r][o]);
                }
            }
            k += S::LANES;
        }
        if k < count {
            for r in 0..R {
                let v = S::load_part(x.add(r * x_apart + k), count - k);
                for o in 0..O {
                    sums[r][o] = S::fma(v, S::load_part(w.add(o * w_apart + k), count - k), sums[r][o]);
                }
            }
        }
        sums
    }
}

/// Applies the epilogue to `v` and writes `n` of its lanes to `to`, which is channel `c` of pixel `pixel` of the output.
///
/// # Safety
/// The CPU must support the instruction set `S`. `to` must point to channel `c` of pixel `pixel` of the output and be valid for reads and
/// writes of `min(n, S::LANES)` elements, which no other thread may access. The epilogue must match the output.
#[inline(always)]
pub(crate) unsafe fn finish<S: Simd>(v: S::V, to: *mut f32, pixel: usize, c: usize, n: usize, exit: &Exit) {
    // SAFETY: guaranteed by the caller.
    unsafe { finish_row::<S, false, 1>([v], (to, 0), pixel, c, n, exit) }
}

/// Like [`finish`], for channel `c` of `N` adjacent pixels starting at `pixel`. `at` is the address in the first pixel and the
/// stride between pixels. If `PLAIN`, assumes that the epilogue is plain.
///
/// # Safety
/// Same as for [`finish`], for each pixel.
#[inline(always)]
pub(crate) unsafe fn finish_row<S: Simd, const PLAIN: bool, const N: usize>(
    v: [S::V; N],
    at: (*mut f32, usize),
    pixel: usize,
    c: usize,
    n: usize,
    exit: &Exit,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if n >= S::LANES {
            through::<S, true, PLAIN, N>(v, at, pixel, c, n, exit);
        } else {
            through::<S, false, PLAIN, N>(v, at, pixel, c, n, exit);
        }
    }
}

/// Loads `n` lanes, or a whole vector if `FULL`.
///
/// # Safety
/// The CPU must support the instruction set `S`, and `at` must be valid for reads of `n` elements, or of a whole vector if `FULL`.
#[inline(always)]
unsafe fn load<S: Simd, const FULL: bool>(at: *const f32, n: usize) -> S::V {
    // SAFETY: guaranteed by the caller.
    unsafe { if FULL { S::load(at) } else { S::load_part(at, n) } }
}

/// Stores `n` lanes, or a whole vector if `FULL`.
///
/// # Safety
/// The CPU must support the instruction set `S`, and `at` must be valid for writes of `n` elements, or of a whole vector if `FULL`.
#[inline(always)]
unsafe fn store<S: Simd, const FULL: bool>(at: *mut f32, n: usize, v: S::V) {
    // SAFETY: guaranteed by the caller.
    unsafe { if FULL { S::store(at, v) } else { S::store_part(at, n, v) } }
}

/// Applies the epilogue to channel `c` of `N` adjacent pixels and writes them, as [`finish_row`] does. Each operation is
/// applied to all pixels before the next operation, so that it is dispatched only once.
///
/// # Safety
/// The CPU must support the instruction set `S`. The `N` pixels starting at `pixel` must be in bounds of the output. For each of them, `to`
/// must be valid for reads and writes of `n` channels starting at `c`, or of a whole vector if `FULL`; no other thread may access these
/// channels. The epilogue must match the output.
#[inline(always)]
unsafe fn through<S: Simd, const FULL: bool, const PLAIN: bool, const N: usize>(
    mut v: [S::V; N],
    (to, apart): (*mut f32, usize),
    pixel: usize,
    c: usize,
    n: usize,
    exit: &Exit,
) {
    // SAFETY: the epilogue has an element for each channel and maps of the output's size, as `Epilogue::check` asserts.
    unsafe {
        if exit.more {
            for i in 0..N {
                v[i] = S::add(load::<S, FULL>(to.add(i * apart), n), v[i]);
            }
        }
        if exit.last {
            apply::<S, FULL, PLAIN, N>(&mut v, pixel, c, n, &exit.epilogue);
        }
        for i in 0..N {
            store::<S, FULL>(to.add(i * apart), n, v[i]);
        }
    }
}

/// Applies the epilogue to channel `c` of `N` adjacent pixels; if `PLAIN`, assumes that it is plain.
///
/// # Safety
/// Same as for [`through`].
#[inline(always)]
unsafe fn apply<S: Simd, const FULL: bool, const PLAIN: bool, const N: usize>(
    v: &mut [S::V; N],
    pixel: usize,
    c: usize,
    n: usize,
    e: &Epilogue,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if let Some(bias) = e.bias {
            let bias = load::<S, FULL>(bias.as_ptr().add(c), n);
            for i in 0..N {
                v[i] = S::add(v[i], bias);
            }
        }
        if let Some((scale, shift)) = e.affine {
            let (scale, shift) = (load::<S, FULL>(scale.as_ptr().add(c), n), load::<S, FULL>(shift.as_ptr().add(c), n));
            for i in 0..N {
                v[i] = S::add(S::mul(v[i], scale), shift);
            }
        }
        if let Some(map) = e.add {
            for i in 0..N {
                v[i] = S::add(v[i], load::<S, FULL>(map.at.add((pixel + i) * map.pitch + c), n));
            }
        }
        if let Some(map) = e.save {
            for i in 0..N {
                store::<S, FULL>(map.at.add((pixel + i) * map.pitch + c), n, v[i]);
            }
        }
        if let Some(activation) = &e.activation {
            for i in 0..N {
                v[i] = if PLAIN { Activation::Relu } else { *activation }.apply::<S>(v[i]);
            }
        }
        if let Some((activation, map)) = &e.slope {
            for i in 0..N {
                let saved = load::<S, FULL>(map.at.add((pixel + i) * map.pitch + c), n);
                v[i] = if PLAIN { Activation::Relu } else { *activation }.times_slope::<S>(v[i], saved);
            }
        }
    }
}

/// Calls a function that is generic over the number of rows of a tile, with `$m` rows (1 to 12).
macro_rules! with_rows {
    ($m:expr, $S:ident, $limit:expr, $f:ident::<$V:literal $(, $P:ident)?>($($arg:expr),*)) => {
        match $m {
            1 => $f::<$S, 1, $V $(, $P)?>($($arg),*),
            2 => $f::<$S, 2, $V $(, $P)?>($($arg),*),
            3 => $f::<$S, 3, $V $(, $P)?>($($arg),*),
            4 => $f::<$S, 4, $V $(, $P)?>($($arg),*),
            5 if $limit >= 5 => $f::<$S, 5, $V $(, $P)?>($($arg),*),
            6 if $limit >= 6 => $f::<$S, 6, $V $(, $P)?>($($arg),*),
            7 if $limit >= 7 => $f::<$S, 7, $V $(, $P)?>($($arg),*),
            8 if $limit >= 8 => $f::<$S, 8, $V $(, $P)?>($($arg),*),
            9 if $limit >= 9 => $f::<$S, 9, $V $(, $P)?>($($arg),*),
            10 if $limit >= 10 => $f::<$S, 10, $V $(, $P)?>($($arg),*),
            11 if $limit >= 11 => $f::<$S, 11, $V $(, $P)?>($($arg),*),
            12 if $limit >= 12 => $f::<$S, 12, $V $(, $P)?>($($arg),*),
            _ => unreachable!("a tile has at most {} rows", $limit),
        }
    };
}
pub(crate) use with_rows;
