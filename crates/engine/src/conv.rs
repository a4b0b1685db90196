//! Convolution and the gradient of its input: one and the same, with other weights.

use crate::buffer::Scratch;
use crate::depthwise::Depthwise;
use crate::direct::Direct;
use crate::gemm::{BLOCK, block, within_zeros};
use crate::map::{Map, MapMut};
use crate::narrow::Narrow;
use crate::packed::{Packed, Raw};
use crate::patches::{CHUNK, Patches, Run, STRIDE, copy};
use crate::simd::{Simd, Task, run_with};
use crate::team;
use crate::tile::{Epilogue, Exit};
use crate::winograd::Winograd;
use std::sync::Arc;

/// How a convolution slides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slide {
    /// Height and width of the kernel.
    pub kernel: (usize, usize),
    /// Stride along height and width.
    pub stride: (usize, usize),
    /// Zeros on either side.
    pub padding: (usize, usize),
    /// Distance of taps.
    pub dilation: (usize, usize),
    /// Groups of channels.
    pub groups: usize,
}

/// Sizes of one convolution without its batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Channels read.
    pub input: usize,
    /// Channels given.
    pub output: usize,
    /// Height and width of what is read.
    pub from: (usize, usize),
    /// Height and width of what is given.
    pub to: (usize, usize),
}

/// How the sums of 3x3 and 5x5 convolutions of stride 1 are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// Directly.
    Exact,
    /// By Winograd's transforms, which are faster and round more: for a few pictures at a time.
    Few,
    /// The same, with more weights and less work: for many pictures.
    Many,
}

/// Weights of a convolution made ready for one direction and one size of maps.
#[derive(Debug)]
pub struct Filter {
    way: Way,
    /// Channels and size that it reads, and gives.
    from: (usize, (usize, usize)),
    to: (usize, (usize, usize)),
}

#[derive(Debug)]
enum Way {
    /// Patches times weights; one part, or one for each phase of a stride on the way back.
    Patches(Vec<(Patches, Arc<Packed>)>, usize),
    Winograd(Winograd),
    Depthwise(Depthwise),
    Narrow(Narrow),
    Direct(Direct),
}

impl Filter {
    /// `y = x ∗ w` with `w` `(O, C/groups, kh, kw)`.
    pub fn forward(w: &[f32], sizes: Sizes, slide: Slide, sums: Sums) -> Self {
        let Sizes { input, output, from, to } = sizes;
        let (kh, kw) = slide.kernel;
        let (c, o) = (input / slide.groups, output / slide.groups);
        assert!(w.len() == output * c * kh * kw, "a weight of {} numbers", w.len());
        let weight = |g: usize, ky: usize, kx: usize, c_in: usize, o_out: usize| {
            w[(((g * o + o_out) * c + c_in) * kh + ky) * kw + kx]
        };
        let dy = |ky: usize| (ky * slide.dilation.0) as isize - slide.padding.0 as isize;
        let dx = |kx: usize| (kx * slide.dilation.1) as isize - slide.padding.1 as isize;
        let taps = |_| (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))).collect();
        let part = |_| Part { first: (0, 0), grid: to, offset: (&dy, &dx) };
        let shape = Shape { groups: slide.groups, c, o, step: slide.stride, apart: (1, 1), out: to };
        let way = ready(shape, &[(0, 0)], part, taps, weight, (slide, from, sums));
        Self { way, from: (input, from), to: (output, to) }
    }

    /// `dyᵀ · ∂y/∂x`: reads gradients of the output, gives those of the input.
    pub fn backward(w: &[f32], sizes: Sizes, slide: Slide, sums: Sums) -> Self {
        let Sizes { input, output, from, to } = sizes;
        let (kh, kw) = slide.kernel;
        let (c, o) = (input / slide.groups, output / slide.groups);
        assert!(w.len() == output * c * kh * kw, "a weight of {} numbers", w.len());
        let weight = |g: usize, ky: usize, kx: usize, o_in: usize, c_out: usize| {
            w[(((g * o + o_in) * c + c_out) * kh + ky) * kw + kx]
        };
        let (s, p, d) = (slide.stride, slide.padding, slide.dilation);
        let phases: Vec<_> = (0..s.0.min(from.0)).flat_map(|r| (0..s.1.min(from.1)).map(move |q| (r, q))).collect();
        // Tap `k` of phase `r` reads output `(r + p − k d) / s` places on, where that is whole.
        let reads = |r: usize, p: usize, k: usize, d: usize, s: usize| {
            let place = (r + p) as isize - (k * d) as isize;
            (place.rem_euclid(s as isize) == 0).then(|| place.div_euclid(s as isize))
        };
        let taps = |(r, q): (usize, usize)| -> Vec<(usize, usize)> {
            let rows = (0..kh).rev().filter(move |&k| reads(r, p.0, k, d.0, s.0).is_some());
            let columns = move || (0..kw).rev().filter(move |&k| reads(q, p.1, k, d.1, s.1).is_some());
            rows.flat_map(|ky| columns().map(move |kx| (ky, kx))).collect()
        };
        let shape = Shape { groups: slide.groups, c: o, o: c, step: (1, 1), apart: s, out: from };
        let (mut ways, mut depthwise, mut narrow) = (vec![], vec![], None::<Narrow>);
        let mut direct = vec![];
        let flipped = Slide { padding: ((kh - 1).wrapping_sub(p.0), (kw - 1).wrapping_sub(p.1)), ..slide };
        for phase in phases {
            let dy = move |k: usize| reads(phase.0, p.0, k, d.0, s.0).unwrap_or_default();
            let dx = move |k: usize| reads(phase.1, p.1, k, d.1, s.1).unwrap_or_default();
            let grid = ((from.0 - phase.0).div_ceil(s.0), (from.1 - phase.1).div_ceil(s.1));
            let part = |_| Part { first: phase, grid, offset: (&dy, &dx) };
            match ready(shape, &[phase], part, taps, weight, (flipped, to, sums)) {
                Way::Patches(parts, _) => ways.extend(parts),
                Way::Depthwise(parts) => depthwise.extend(parts.parts),
                Way::Direct(parts) => direct.extend(parts.parts),
                Way::Narrow(parts) => match &mut narrow {
                    Some(narrow) => narrow.extend(parts),
                    None => narrow = Some(parts),
                },
                way => return Self { way, from: (output, to), to: (input, from) },
            }
        }
        let way = match narrow {
            Some(narrow) => Way::Narrow(narrow),
            None if !direct.is_empty() => Way::Direct(Direct { parts: direct }),
            None if depthwise.is_empty() => Way::Patches(ways, slide.groups),
            None => Way::Depthwise(Depthwise { parts: depthwise }),
        };
        Self { way, from: (output, to), to: (input, from) }
    }

    /// Computes `y` from `x`, both of the sizes that the filter was made for.
    ///
    /// # Panics
    /// Where they are not.
    pub fn run(&self, x: &Map, y: &mut MapMut, epilogue: Epilogue) {
        assert!(x.n == y.n && (x.c, (x.h, x.w)) == self.from, "a filter from {:?} got {x:?}", self.from);
        assert!((y.c, (y.h, y.w)) == self.to, "a filter to {:?} got {y:?}", self.to);
        for map in [epilogue.add, epilogue.mask].iter().flatten() {
            assert!((map.n, map.c, map.h, map.w) == (y.n, y.c, y.h, y.w), "{map:?} beside {y:?}");
        }
        for numbers in [epilogue.bias, epilogue.affine.map(|a| a.0), epilogue.affine.map(|a| a.1)] {
            assert!(numbers.is_none_or(|n| n.len() == y.c), "a number a channel of {y:?}");
        }
        match &self.way {
            Way::Patches(parts, groups) => {
                parts.iter().for_each(|(patches, weights)| multiply(x, y, patches, weights, *groups, epilogue));
            }
            Way::Winograd(winograd) => winograd.run(x, y, epilogue),
            Way::Depthwise(depthwise) => depthwise.run(x, y, epilogue),
            Way::Narrow(narrow) => narrow.run(x, y, epilogue),
            Way::Direct(direct) => direct.run(x, y, epilogue),
        }
    }

    /// The same weights, shared, for maps of another size and with so much less padding. For filters on the way forward.
    ///
    /// # Panics
    /// Where channels differ.
    pub fn fitted(&self, sizes: Sizes, less: (usize, usize)) -> Self {
        let Sizes { input, output, from, to } = sizes;
        assert!((input, output) == (self.from.0, self.to.0), "a filter of other channels than {sizes:?}");
        let fit = |p: &Patches| p.fitted((less.0 as isize, less.1 as isize), to);
        let way = match &self.way {
            Way::Patches(parts, groups) => {
                Way::Patches(parts.iter().map(|(p, w)| (fit(p), w.clone())).collect(), *groups)
            }
            Way::Winograd(winograd) => Way::Winograd(winograd.fitted(from, to, less)),
            Way::Depthwise(d) => {
                Way::Depthwise(Depthwise { parts: d.parts.iter().map(|(p, w)| (fit(p), w.clone())).collect() })
            }
            Way::Narrow(narrow) => Way::Narrow(narrow.fitted(fit)),
            Way::Direct(d) => Way::Direct(Direct { parts: d.parts.iter().map(|(p, w)| (fit(p), w.clone())).collect() }),
        };
        Self { way, from: (input, from), to: (output, to) }
    }

    /// Whether sums are taken by Winograd's transforms, which round more than direct ones.
    pub fn is_winograd(&self) -> bool {
        matches!(self.way, Way::Winograd(_))
    }

    /// Whether a filter for many pictures would be another one than this, which is for few.
    pub fn has_more(&self) -> bool {
        matches!(&self.way, Way::Winograd(w) if w.has_more())
    }

    /// Bytes that the weights hold.
    pub fn bytes(&self) -> usize {
        match &self.way {
            Way::Patches(parts, _) => parts.iter().map(|(_, w)| w.bytes()).sum(),
            Way::Winograd(w) => w.bytes(),
            Way::Depthwise(d) => d.bytes(),
            Way::Narrow(n) => n.bytes(),
            Way::Direct(d) => d.bytes(),
        }
    }
}

/// What forward and backward differ in.
#[derive(Clone, Copy)]
struct Shape {
    groups: usize,
    c: usize,
    o: usize,
    step: (usize, usize),
    apart: (usize, usize),
    out: (usize, usize),
}

type Offset<'a> = &'a dyn Fn(usize) -> isize;

struct Part<'a> {
    first: (usize, usize),
    grid: (usize, usize),
    offset: (Offset<'a>, Offset<'a>),
}

/// The best way for these sizes.
fn ready<'a>(
    s: Shape,
    phases: &[(usize, usize)],
    part: impl Fn((usize, usize)) -> Part<'a>,
    taps: impl Fn((usize, usize)) -> Vec<(usize, usize)>,
    weight: impl Fn(usize, usize, usize, usize, usize) -> f32 + Sync,
    (slide, from, sums): (Slide, (usize, usize), Sums),
) -> Way {
    let plain = slide.stride == (1, 1) && slide.dilation == (1, 1) && s.groups == 1;
    let k = slide.kernel.0;
    let square = slide.kernel == (3, 3) || slide.kernel == (5, 5);
    if plain && sums != Sums::Exact && square && Winograd::pays(s.c, s.o, s.out) {
        let taps = taps(phases[0]);
        let at = |y: usize, x: usize, c: usize, o: usize| weight(0, taps[y * k + x].0, taps[y * k + x].1, c, o);
        return Way::Winograd(Winograd::new((s.c, s.o), k, slide.padding, (from, s.out, sums), at));
    }
    let parts = phases.iter().map(|&phase| {
        let (taps, part) = (taps(phase), part(phase));
        let places: Vec<_> = taps.iter().map(|&(ky, kx)| ((part.offset.0)(ky), (part.offset.1)(kx))).collect();
        let (first, grid) = (part.first, part.grid);
        let Shape { c, step, apart, out, .. } = s;
        let patches = Patches { runs: runs(&places), c, grid, step, first, apart, out };
        (taps, patches)
    });
    if s.groups > 1 && s.c == 1 && s.o == 1 {
        let parts = parts.map(|(taps, patches)| {
            let numbers = |(ky, kx): &(usize, usize)| (0..s.groups).map(|g| weight(g, *ky, *kx, 0, 0)).collect();
            (patches, taps.iter().map(numbers).collect())
        });
        return Way::Depthwise(Depthwise { parts: parts.collect() });
    }
    if s.groups == 1 && Narrow::pays(s.c, s.o) {
        let weight = &weight;
        let parts = parts.map(|(taps, patches)| {
            let of = move |k: usize, o: usize| weight(0, taps[k / s.c].0, taps[k / s.c].1, k % s.c, o);
            (patches, of)
        });
        return Way::Narrow(Narrow::new(s.o, parts));
    }
    let parts = parts.map(|(taps, patches)| {
        let of = |g: usize, k: usize, o: usize| weight(g, taps[k / s.c].0, taps[k / s.c].1, k % s.c, o);
        let weights = Arc::new(Packed::new(s.groups, patches.len(), s.o, of));
        (patches, weights)
    });
    let parts: Vec<_> = parts.collect();
    // All phases of a stride go one way.
    let direct = s.groups == 1 && phases.len() == 1 && s.apart == (1, 1);
    if direct && parts.iter().all(|(patches, _)| Direct::pays(patches, s.o)) {
        return Way::Direct(Direct { parts });
    }
    Way::Patches(parts, s.groups)
}

/// What each output pixel reads.
pub(crate) fn forward_patches(sizes: Sizes, slide: Slide) -> Patches {
    let (kh, kw) = slide.kernel;
    let dy = |ky: usize| (ky * slide.dilation.0) as isize - slide.padding.0 as isize;
    let dx = |kx: usize| (kx * slide.dilation.1) as isize - slide.padding.1 as isize;
    let places: Vec<_> = (0..kh).flat_map(|ky| (0..kw).map(move |kx| (dy(ky), dx(kx)))).collect();
    Patches {
        runs: runs(&places),
        c: sizes.input / slide.groups,
        grid: sizes.to,
        step: slide.stride,
        first: (0, 0),
        apart: (1, 1),
        out: sizes.to,
    }
}

/// Taps side by side in one run.
fn runs(places: &[(isize, isize)]) -> Vec<Run> {
    let mut runs: Vec<Run> = vec![];
    for &(dy, dx) in places {
        match runs.last_mut() {
            Some(run) if run.dy == dy && run.dx + run.taps as isize == dx => run.taps += 1,
            _ => runs.push(Run { dy, dx, taps: 1 }),
        }
    }
    runs
}

/// Pixels that are multiplied in stages at most.
const FEW: usize = 4 * BLOCK;
/// Weights that stay near while block after block goes through them.
const NEAR: usize = 1 << 16;

/// Patches times weights for all pixels, blocks of them side by side.
fn multiply(x: &Map, y: &MapMut, patches: &Patches, weights: &Packed, groups: usize, epilogue: Epilogue) {
    let pixels = x.n * patches.grid.0 * patches.grid.1;
    if pixels == 0 {
        return;
    }
    let threads = team::size();
    let panels = weights.panels();
    let work = pixels * patches.len().max(1) * weights.o * groups;
    let wanted = if work < 1 << 16 { 1 } else { threads };
    if pixels <= FEW && panels >= 2 * wanted && patches.len() * weights.o >= NEAR {
        return (0..groups).for_each(|g| in_stages((x, y), patches, (weights, g), (pixels, wanted), epilogue));
    }
    // Whole blocks for each thread; where there are few pixels, the channels are split too.
    let blocks = pixels.div_ceil(BLOCK).next_multiple_of(wanted).min(pixels.div_ceil(12)).max(1);
    let shares =
        if blocks * groups >= 2 * wanted || wanted == 1 { 1 } else { (2 * wanted).div_ceil(blocks).min(panels) };
    team::run_some(wanted, blocks * groups * shares, |i| {
        let (b, g, share) = (i / shares / groups, i / shares % groups, i % shares);
        let range = b * pixels / blocks..(b + 1) * pixels / blocks;
        let panels = share * panels / shares..(share + 1) * panels / shares;
        run_with(weights.level, Block { x, y, patches, weights, g, range, panels, epilogue });
    });
}

/// Few pixels and many weights: all patches are copied, then each weight is read by one thread, once.
fn in_stages(
    (x, y): (&Map, &MapMut),
    patches: &Patches,
    (weights, g): (&Packed, usize),
    (pixels, threads): (usize, usize),
    epilogue: Epilogue,
) {
    let mut scratch = Scratch::new(patches.len().div_ceil(CHUNK).max(1) * pixels * STRIDE);
    let a = Raw(scratch.at());
    let mut places = [0; FEW];
    let places = &mut places[..pixels];
    places.iter_mut().enumerate().for_each(|(i, p)| *p = patches.pixel(patches.place(i)));
    let parts = (4 * threads).min(pixels);
    team::run_some(threads, parts, |i| {
        let range = i * pixels / parts..(i + 1) * pixels / parts;
        run_with(weights.level, Copies { x, patches, g, range, a: a.get(), pixels });
    });
    let chunks = run_with(weights.level, Chunks { a: a.get(), pixels, k: patches.len() });
    team::run_some(threads, weights.panels(), |panel| {
        run_with(weights.level, Panel { a: a.get(), places, chunks: &chunks, weights, g, panel, y, epilogue });
    });
}

/// Some patches, copied in chunks of all pixels.
struct Copies<'a> {
    x: &'a Map<'a>,
    patches: &'a Patches,
    g: usize,
    range: std::ops::Range<usize>,
    a: *mut f32,
    pixels: usize,
}

impl Task for Copies<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (p, k) = (self.patches, self.patches.len());
        for i in self.range {
            let place = p.place(i);
            for (chunk, from) in (0..k).step_by(CHUNK).enumerate() {
                let to = self.a.add((chunk * self.pixels + i) * STRIDE);
                p.gather::<S>(self.x, self.g * p.c, place, (from, (from + CHUNK).min(k)), to);
            }
        }
    }
}

/// What of each chunk is not 0.
struct Chunks {
    a: *const f32,
    pixels: usize,
    k: usize,
}

impl Task for Chunks {
    type Out = Vec<std::ops::Range<usize>>;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> Self::Out {
        let mut all = Vec::with_capacity(self.k.div_ceil(CHUNK));
        for from in (0..self.k).step_by(CHUNK) {
            let a = self.a.add(from / CHUNK * self.pixels * STRIDE);
            let some = within_zeros::<S>(a, self.pixels, (self.k - from).min(CHUNK));
            all.push(from + some.start..from + some.end);
        }
        all
    }
}

/// All copied patches and one panel.
struct Panel<'a> {
    a: *const f32,
    places: &'a [usize],
    chunks: &'a [std::ops::Range<usize>],
    weights: &'a Packed,
    g: usize,
    panel: usize,
    y: &'a MapMut<'a>,
    epilogue: Epilogue<'a>,
}

impl Task for Panel<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (chunk, some) in self.chunks.iter().enumerate() {
            let exit = Exit { epilogue: self.epilogue, more: chunk > 0, last: chunk + 1 == self.chunks.len() };
            let a = self.a.add(chunk * self.places.len() * STRIDE + some.start % CHUNK);
            let weights = (self.weights, self.g, self.panel..self.panel + 1);
            let y = (self.y, self.g * self.weights.o);
            block::<S>((a, self.places), weights, (some.start, some.len()), y, &exit);
        }
    }
}

/// Some pixels and some panels.
struct Block<'a> {
    x: &'a Map<'a>,
    y: &'a MapMut<'a>,
    patches: &'a Patches,
    weights: &'a Packed,
    g: usize,
    range: std::ops::Range<usize>,
    panels: std::ops::Range<usize>,
    epilogue: Epilogue<'a>,
}

impl Task for Block<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
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
        let mut scratch = Scratch::new(BLOCK * STRIDE);
        let a = scratch.at();
        let mut from = 0;
        loop {
            let to = (from + CHUNK).min(k);
            for i in 0..count {
                let to_row = a.add(i * STRIDE);
                if flat {
                    copy::<S>(self.x.at.add((start + i) * self.x.pitch + self.g * p.c + from), to_row, to - from);
                } else {
                    p.gather::<S>(self.x, self.g * p.c, places[i], (from, to), to_row);
                }
            }
            let exit = Exit { epilogue: self.epilogue, more: from > 0, last: to == k };
            let weights = (self.weights, self.g, self.panels.clone());
            let y = (self.y, self.g * self.weights.o);
            let some = within_zeros::<S>(a, count, to - from);
            block::<S>((a.add(some.start), &pixels[..count]), weights, (from + some.start, some.len()), y, &exit);
            from = to;
            if from >= k {
                break;
            }
        }
    }
}
