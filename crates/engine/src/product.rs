//! Matrix products of patches and weights, parallelized over all cores.

use crate::bf16::{PairsTask, to_pairs};
use crate::buffer::Scratch;
use crate::gemm::{BLOCK, block, within_zeros};
use crate::im2col::{CHUNK, Patches, STRIDE, copy};
use crate::map::{Map, MapMut};
use crate::packed::{Packed, SharedPtr};
use crate::simd::{Simd, Task, run_with};
use crate::thread_team;
use crate::tile::{Epilogue, Exit, Later};
use std::ops::Range;

/// Maximum number of pixels for which all patches are copied before they are multiplied.
const FEW: usize = 4 * BLOCK;
/// Maximum number of weights that stay in the cache from one block to the next.
const NEAR: usize = 1 << 16;

/// Multiplies the patches of all pixels by the weights, block by block in parallel.
pub(crate) fn multiply(x: &Map, y: &MapMut, patches: &Patches, weights: &Packed, groups: usize, epilogue: Epilogue) {
    let pixels = x.n * patches.grid.0 * patches.grid.1;
    if pixels == 0 {
        return;
    }
    let (epilogue, later) = epilogue.split();
    let threads = thread_team::size();
    let panels = weights.panels();
    let work = pixels * patches.len().max(1) * weights.o * groups;
    let wanted = if work < 1 << 16 { 1 } else { threads };
    if pixels <= FEW && panels >= 2 * wanted && patches.len() * weights.o >= NEAR {
        return (0..groups).for_each(|g| in_stages((x, y), patches, (weights, g), (pixels, wanted), (epilogue, later)));
    }
    // Each thread gets whole blocks. With few pixels, the channels are split as well.
    let blocks = pixels.div_ceil(BLOCK).next_multiple_of(wanted).min(pixels.div_ceil(12)).max(1);
    let shares =
        if blocks * groups >= 2 * wanted || wanted == 1 { 1 } else { (2 * wanted).div_ceil(blocks).min(panels) };
    thread_team::run_some(wanted, blocks * groups * shares, |i| {
        let (b, g, share) = (i / shares / groups, i / shares % groups, i % shares);
        let range = thread_team::part(pixels, b, blocks);
        let panels = share * panels / shares..(share + 1) * panels / shares;
        weights.run(Block { x, y, patches, weights, g, range, panels, epilogue, later });
    });
}

/// Multiplies the patches of few pixels by many weights. All patches are copied first, so that each weight is read only once.
fn in_stages(
    (x, y): (&Map, &MapMut),
    patches: &Patches,
    (weights, g): (&Packed, usize),
    (pixels, threads): (usize, usize),
    (epilogue, later): (Epilogue, Option<Later>),
) {
    let mut scratch = Scratch::new(weights.k.div_ceil(CHUNK).max(1) * pixels * STRIDE);
    let a = SharedPtr(scratch.at());
    let mut places = [0; FEW];
    let places = &mut places[..pixels];
    places.iter_mut().enumerate().for_each(|(i, p)| *p = patches.pixel(patches.place(i)));
    let parts = (4 * threads).min(pixels);
    thread_team::run_some(threads, parts, |i| {
        let range = thread_team::part(pixels, i, parts);
        weights.run(Copies { x, patches, g, range, a: a.get(), pixels });
    });
    let chunks = Chunks { a: a.get(), pixels, k: weights.k, finite: weights.finite };
    let chunks = run_with(weights.level, chunks);
    thread_team::run_some(threads, weights.panels(), |panel| {
        weights.run(Panel { a: a.get(), places, chunks: &chunks, weights, g, panel, y, epilogue, later });
    });
}

/// Number of elements of a patch whose products are summed at a time: `CHUNK` f32 values or pairs of bf16 values.
const fn chunk<const PAIRS: bool>() -> usize {
    if PAIRS { 2 * CHUNK } else { CHUNK }
}

/// A task that copies the patches of some pixels, chunk by chunk.
struct Copies<'a> {
    x: &'a Map<'a>,
    patches: &'a Patches,
    g: usize,
    range: Range<usize>,
    a: *mut f32,
    pixels: usize,
}

impl PairsTask for Copies<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const PAIRS: bool>(self) {
        // SAFETY: `in_stages` allocated space for all chunks of all patches; the pixels of `range` lie within the grid, and each
        // patch is copied by one task. The scratch memory has room for a chunk of unrounded elements.
        unsafe {
            let (p, k) = (self.patches, self.patches.len());
            let size = chunk::<PAIRS>();
            let mut scratch = Scratch::new(size);
            for i in self.range {
                let place = p.place(i);
                for (chunk, from) in (0..k).step_by(size).enumerate() {
                    let to = self.a.add((chunk * self.pixels + i) * STRIDE);
                    let part = (from, (from + size).min(k));
                    if PAIRS {
                        p.gather::<S>(self.x, self.g * p.c, place, part, scratch.at());
                        to_pairs::<S>(scratch.at(), to, part.1 - part.0);
                    } else {
                        p.gather::<S>(self.x, self.g * p.c, place, part, to);
                    }
                }
            }
        }
    }
}

/// A task that finds the nonzero columns of each chunk of patches. It returns all columns if any weight is not finite.
struct Chunks {
    a: *const f32,
    pixels: usize,
    k: usize,
    finite: bool,
}

impl Task for Chunks {
    type Out = Vec<Range<usize>>;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Self::Out {
        // SAFETY: `in_stages` copied `pixels` patches of `k` elements in chunks.
        unsafe {
            let mut all = Vec::with_capacity(self.k.div_ceil(CHUNK));
            for from in (0..self.k).step_by(CHUNK) {
                let a = self.a.add(from / CHUNK * self.pixels * STRIDE);
                let columns = (self.k - from).min(CHUNK);
                let some = if self.finite { within_zeros::<S>(a, self.pixels, columns) } else { 0..columns };
                all.push(from + some.start..from + some.end);
            }
            all
        }
    }
}

/// A task that multiplies all copied patches by one panel of weights.
struct Panel<'a> {
    a: *const f32,
    places: &'a [usize],
    chunks: &'a [Range<usize>],
    weights: &'a Packed,
    g: usize,
    panel: usize,
    y: &'a MapMut<'a>,
    epilogue: Epilogue<'a>,
    later: Option<Later<'a>>,
}

impl PairsTask for Panel<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const PAIRS: bool>(self) {
        // SAFETY: `in_stages` copied a patch for each of `places`, which are pixels of the output; each panel's channels belong
        // to one task.
        unsafe {
            for (chunk, some) in self.chunks.iter().enumerate() {
                let exit = Exit { epilogue: self.epilogue, more: chunk > 0, last: chunk + 1 == self.chunks.len() };
                let a = self.a.add(chunk * self.places.len() * STRIDE + some.start % CHUNK);
                let weights = (self.weights, self.g, self.panel..self.panel + 1);
                let y = (self.y, self.g * self.weights.o);
                block::<S, PAIRS>((a, self.places), weights, (some.start, some.len()), y, &exit);
            }
            activate::<S>(self.later, (self.y, self.places), (self.weights, self.g, self.panel..self.panel + 1));
        }
    }
}

/// A task that multiplies the patches of some pixels by some panels of weights.
struct Block<'a> {
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    patches: &'a Patches,
    weights: &'a Packed,
    g: usize,
    range: Range<usize>,
    panels: Range<usize>,
    epilogue: Epilogue<'a>,
    later: Option<Later<'a>>,
}

impl PairsTask for Block<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd, const PAIRS: bool>(self) {
        // SAFETY: the scratch memory has `BLOCK` rows of `STRIDE` elements and a chunk of unrounded elements; `range` holds at most `BLOCK`
        // pixels of the grid, whose channels of these panels are written by one task.
        unsafe {
            let (p, k) = (self.patches, self.patches.len());
            let mut places = [(0, 0, 0); BLOCK];
            let mut pixels = [0; BLOCK];
            let (start, count) = (self.range.start, self.range.len());
            let flat = p.is_pointwise(self.x);
            if flat {
                for i in 0..count {
                    pixels[i] = start + i;
                }
            } else {
                let mut place = p.place(start);
                for i in 0..count {
                    places[i] = place;
                    pixels[i] = p.pixel(place);
                    place = p.next(place);
                }
            }
            let mut scratch = Scratch::new(BLOCK * STRIDE + chunk::<PAIRS>());
            let a = scratch.at();
            let unrounded = a.add(BLOCK * STRIDE);
            let mut from = 0;
            loop {
                let to = (from + chunk::<PAIRS>()).min(k);
                for i in 0..count {
                    let (row, n) = (a.add(i * STRIDE), to - from);
                    let here = self.x.at.wrapping_add((start + i) * self.x.pitch + self.g * p.c + from);
                    match (flat, PAIRS) {
                        (true, true) => to_pairs::<S>(here, row, n),
                        (true, false) => copy::<S>(here, row, n),
                        (false, true) => {
                            p.gather::<S>(self.x, self.g * p.c, places[i], (from, to), unrounded);
                            to_pairs::<S>(unrounded, row, n);
                        }
                        (false, false) => p.gather::<S>(self.x, self.g * p.c, places[i], (from, to), row),
                    }
                }
                let (first, columns) = if PAIRS { (from / 2, (to - from).div_ceil(2)) } else { (from, to - from) };
                let exit = Exit { epilogue: self.epilogue, more: from > 0, last: to == k };
                let weights = (self.weights, self.g, self.panels.clone());
                let y = (self.y, self.g * self.weights.o);
                let some = if self.weights.finite { within_zeros::<S>(a, count, columns) } else { 0..columns };
                block::<S, PAIRS>(
                    (a.add(some.start), &pixels[..count]),
                    weights,
                    (first + some.start, some.len()),
                    y,
                    &exit,
                );
                from = to;
                if from >= k {
                    break;
                }
            }
            activate::<S>(self.later, (self.y, &pixels[..count]), (self.weights, self.g, self.panels));
        }
    }
}

/// Applies an activation to the output channels of some panels at the given pixels, which are complete.
///
/// # Safety
/// The CPU must support the instruction set `S`. The pixels must be in bounds of `y`, and no other thread may access these channels.
#[inline(always)]
unsafe fn activate<S: Simd>(
    later: Option<Later>,
    (y, pixels): (&MapMut, &[usize]),
    (weights, g, panels): (&Packed, usize, Range<usize>),
) {
    let Some(later) = later else { return };
    let first = panels.start * 2 * S::LANES;
    let columns = (panels.end * 2 * S::LANES).min(weights.o) - first;
    let mut start = 0;
    while start < pixels.len() {
        // Adjacent pixels form one region.
        let mut end = start + 1;
        while end < pixels.len() && pixels[end] == pixels[end - 1] + 1 {
            end += 1;
        }
        // SAFETY: guaranteed by the caller.
        unsafe { later.apply::<S>(y, (pixels[start], end - start), (g * weights.o + first, columns)) };
        start = end;
    }
}
