//! The weight gradient of a convolution, as a sum of products over pixels.

use crate::buffer::Scratch;
use crate::conv::{Algorithm, Sizes, Slide, forward_patches};
use crate::im2col::{CHUNK, Patches, STRIDE, copy, zero};
use crate::map::Map;
use crate::outer_products::{Rows, outer_products};
use crate::packed::SharedPtr;
use crate::row_gradient::RowGradient;
use crate::simd::{self, Simd, Task, run_with};
use crate::size::product;
use crate::thread_team;
use crate::winograd_gradient::WinogradGradient;

/// Number of pixels processed at a time.
const BLOCK: usize = 96;
/// Maximum number of partial sums into which a batch is split, independent of the number of cores.
const PARTS: usize = 8;
/// Maximum total number of elements in all partial sums, if there are several.
const SUMS: usize = 1 << 23;

/// Computes the weight gradient of a convolution, `Σ dy · xᵀ` over all pixels of a batch.
#[derive(Debug)]
pub struct WeightGradient {
    patches: Patches,
    sizes: Sizes,
    slide: Slide,
    algorithm: Algorithm,
}

impl WeightGradient {
    /// Prepares to compute the weight gradient of a convolution of the given sizes.
    ///
    /// # Panics
    /// If `slide` does not fit `sizes`.
    pub fn new(sizes: Sizes, slide: Slide, algorithm: Algorithm) -> Self {
        slide.check(sizes);
        Self { patches: forward_patches(sizes, slide), sizes, slide, algorithm }
    }

    /// Writes the weight gradient, summed over the batch, to `dw`, `(O, C/groups, kh, kw)`. The result does not depend on the
    /// number of cores.
    ///
    /// # Panics
    /// If the sizes of the feature maps or of `dw` do not match the convolution.
    pub fn run(&self, dy: &Map, x: &Map, dw: &mut [f32]) {
        let Sizes { input, output, from, to } = self.sizes;
        assert!((x.c, (x.h, x.w)) == (input, from) && (dy.c, (dy.h, dy.w)) == (output, to) && x.n == dy.n);
        let (k, groups) = (self.patches.len(), self.slide.groups);
        let (c, o) = (input / groups, output / groups);
        assert!(dw.len() == product([output, k]), "got {} weight gradients for {} output channels", dw.len(), output);
        if x.pixels() == 0 || dy.pixels() == 0 {
            return dw.fill(0.0);
        }
        if self.algorithm != Algorithm::Direct && WinogradGradient::pays(self.sizes, self.slide) {
            return WinogradGradient::new(self.sizes, self.slide).run(dy, x, dw);
        }
        let level = simd::level();
        let width = o.next_multiple_of(level.lanes());
        let elements = product([groups, k, width]);
        let parts = PARTS.min(x.n).min(SUMS / elements).max(1);
        let by_rows = groups == 1 && RowGradient::pays(&self.patches, width);
        let chunks = if by_rows { 1 } else { k.div_ceil(CHUNK) };
        let count = product([parts, elements]);
        let mut sums = Scratch::new(count);
        let at = SharedPtr(sums.at());
        thread_team::run(parts * groups * chunks, |i| {
            let (part, g, chunk) = (i / groups / chunks, i / chunks % groups, i % chunks);
            let range = thread_team::part(x.n, part, parts);
            if by_rows {
                // SAFETY: each part belongs to one task.
                let sums = unsafe { at.get().add(part * elements) };
                return run_with(level, RowGradient { patches: &self.patches, dy, x, range, sums, width });
            }
            let k = (chunk * CHUNK, ((chunk + 1) * CHUNK).min(k));
            // SAFETY: each part, group and chunk belongs to one task.
            let sums = unsafe { at.get().add(((part * groups + g) * self.patches.len() + k.0) * width) };
            run_with(level, Part { of: self, dy, x, g, range, k, sums, width });
        });
        // SAFETY: all sums were written.
        let sums = unsafe { std::slice::from_raw_parts(sums.at(), count) };
        let taps = k / c;
        thread_team::parts(dw, k, |out, dw| {
            for (i, dw) in dw.iter_mut().enumerate() {
                let row = i % taps * c + i / taps;
                let at = |part: usize| sums[((part * groups + out / o) * k + row) * width + out % o];
                *dw = (1..parts).fold(at(0), |sum, part| sum + at(part));
            }
        });
    }
}

/// A task that computes some rows of the gradient for some pictures.
struct Part<'a> {
    of: &'a WeightGradient,
    dy: &'a Map<'a>,
    x: &'a Map<'a>,
    g: usize,
    range: std::ops::Range<usize>,
    k: (usize, usize),
    sums: *mut f32,
    width: usize,
}

impl Task for Part<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `WeightGradient::run` checked the sizes; the scratch memory has `BLOCK` rows for `a` and for `b`, and these
        // rows of sums belong to one task.
        unsafe {
            let patches = &self.of.patches;
            let pixels = patches.grid.0 * patches.grid.1;
            let (start, end) = (self.range.start * pixels, self.range.end * pixels);
            let o = self.dy.c / self.of.slide.groups;
            let mut scratch = Scratch::new(BLOCK * (STRIDE + self.width));
            let a = scratch.at();
            let b = a.add(BLOCK * STRIDE);
            let mut first = start;
            while first < end {
                let count = BLOCK.min(end - first);
                for i in 0..count {
                    let place = patches.place(first + i);
                    patches.gather::<S>(self.x, self.g * patches.c, place, self.k, a.add(i * STRIDE));
                    let from = self.dy.at.add((first + i) * self.dy.pitch + self.g * o);
                    copy::<S>(from, b.add(i * self.width), o);
                    zero::<S>(b.add(i * self.width + o), self.width - o);
                }
                let k = self.k.1 - self.k.0;
                let (a, b) = (Rows { at: a, apart: STRIDE }, Rows { at: b, apart: self.width });
                outer_products::<S>((k, self.width, count), a, b, (self.sums, self.width), first > start);
                first += count;
            }
        }
    }
}
