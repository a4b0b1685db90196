//! Convolutions and their input gradients, which are the same operation with transposed weights.

use crate::bf16;
use crate::depthwise::Depthwise;
use crate::direct::Direct;
use crate::few_channels::FewChannels;
use crate::im2col::{Patches, TapRun};
use crate::map::{Map, MapMut};
use crate::packed::Packed;
use crate::product::multiply;
use crate::simd;
use crate::size::{MOST_PADDING, MOST_TAPS, bounded, positive, product};
use crate::tile::Epilogue;
use crate::weight_view::WeightView;
use crate::winograd::Winograd;
use std::sync::Arc;

/// Kernel, stride, padding, dilation and groups of a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slide {
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Stride along height and width.
    pub stride: (usize, usize),
    /// Zero padding on both sides, along height and width.
    pub padding: (usize, usize),
    /// Dilation, the spacing between kernel elements, along height and width.
    pub dilation: (usize, usize),
    /// Number of channel groups.
    pub groups: usize,
}

impl Slide {
    /// Checks that the parameters are valid for a convolution of the given sizes.
    ///
    /// # Panics
    /// If a size is zero or too large, or the groups do not divide the channels.
    pub(crate) fn check(&self, sizes: Sizes) {
        let Sizes { input, output, from, to } = sizes;
        let [kernel, stride, dilation] = [self.kernel, self.stride, self.dilation];
        positive(&[kernel.0, kernel.1, stride.0, stride.1, dilation.0, dilation.1, self.groups, input, output]);
        bounded(&[from.0, from.1, to.0, to.1]);
        let whole = input.is_multiple_of(self.groups) && output.is_multiple_of(self.groups);
        assert!(whole, "{input} input and {output} output channels are not both divisible by {} groups", self.groups);
        let padding = self.padding.0.max(self.padding.1);
        let phases = stride.0.min(from.0) * stride.1.min(from.1);
        assert!(
            kernel.0 * kernel.1 <= MOST_TAPS && phases <= MOST_TAPS && padding <= MOST_PADDING,
            "the kernel, stride or padding of {self:?} is too large"
        );
    }
}

/// Sizes of a convolution's input and output for one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// Number of input channels.
    pub input: usize,
    /// Number of output channels.
    pub output: usize,
    /// Input height and width.
    pub from: (usize, usize),
    /// Output height and width.
    pub to: (usize, usize),
}

/// The algorithm used for convolutions.
///
/// Winograd transforms spread a NaN or infinity over the whole tile and, in a weight gradient, over all taps. Where a direct sum
/// is exactly 0, they may produce rounding noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Direct convolution, without transforms.
    Direct,
    /// Winograd transforms for 3x3 and 5x5 kernels with stride 1 and small batches: faster than direct convolution, but with larger
    /// rounding errors.
    SmallBatch,
    /// Winograd transforms for large batches: they need less arithmetic than those for small batches, but more memory for the
    /// weights.
    LargeBatch,
    /// Products of inputs and weights rounded to bf16, accumulated in f32, if the CPU [has an instruction](crate::simd::multiplies_bf16)
    /// for them and they are faster than products of f32 values; else the same as `SmallBatch`.
    Bf16,
}

/// Weights of a convolution, packed for either the convolution or its input gradient, and for one feature map size.
#[derive(Debug)]
pub struct Filter {
    prepared: Prepared,
    /// Number of channels of the input, and its height and width.
    from: (usize, (usize, usize)),
    /// Number of channels of the output, and its height and width.
    to: (usize, (usize, usize)),
}

/// Weights in the layout of one of the algorithms.
#[derive(Debug)]
enum Prepared {
    /// Patches and weights of a matrix product. The input gradient of a strided convolution has one product per phase of the
    /// stride.
    Patches(Vec<(Patches, Arc<Packed>)>, usize),
    Winograd(Winograd),
    Depthwise(Depthwise),
    FewChannels(FewChannels),
    Direct(Direct),
}

impl Filter {
    /// Packs the weights `w`, `(O, C/groups, kh, kw)`, for the convolution `y = x ∗ w`.
    ///
    /// # Panics
    /// If `w` or `slide` does not fit `sizes`.
    pub fn forward(w: &[f32], sizes: Sizes, slide: Slide, algorithm: Algorithm) -> Self {
        slide.check(sizes);
        let Sizes { input, output, from, to } = sizes;
        let (kh, kw) = slide.kernel;
        let (c, o) = (input / slide.groups, output / slide.groups);
        assert!(
            w.len() == product([output, c, kh, kw]),
            "the number of weights, {}, does not match {sizes:?} and {slide:?}",
            w.len()
        );
        let weight =
            WeightView { numbers: w, group_stride: o * c * kh * kw, input_stride: kh * kw, output_stride: c * kh * kw };
        let dy = |ky: usize| (ky * slide.dilation.0) as isize - slide.padding.0 as isize;
        let dx = |kx: usize| (kx * slide.dilation.1) as isize - slide.padding.1 as isize;
        let taps = |_| (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))).collect();
        let part = |_| Part { first: (0, 0), grid: to, offset: (&dy, &dx) };
        let shape = Shape { groups: slide.groups, c, o, step: slide.stride, apart: (1, 1), out: to };
        let prepared = ready(shape, &[(0, 0)], part, taps, weight, (slide, from, algorithm));
        Self { prepared, from: (input, from), to: (output, to) }
    }

    /// Packs the weights `w`, `(O, C/groups, kh, kw)`, for the input gradient `dyᵀ · ∂y/∂x`, which maps `dy` to `dx`.
    ///
    /// # Panics
    /// If `w` or `slide` does not fit `sizes`.
    pub fn backward(w: &[f32], sizes: Sizes, slide: Slide, algorithm: Algorithm) -> Self {
        slide.check(sizes);
        let Sizes { input, output, from, to } = sizes;
        let (kh, kw) = slide.kernel;
        let (c, o) = (input / slide.groups, output / slide.groups);
        assert!(
            w.len() == product([output, c, kh, kw]),
            "the number of weights, {}, does not match {sizes:?} and {slide:?}",
            w.len()
        );
        let weight =
            WeightView { numbers: w, group_stride: o * c * kh * kw, input_stride: c * kh * kw, output_stride: kh * kw };
        let (s, p, d) = (slide.stride, slide.padding, slide.dilation);
        let phases: Vec<_> = (0..s.0.min(from.0)).flat_map(|r| (0..s.1.min(from.1)).map(move |q| (r, q))).collect();
        // For stride `s`, padding `p` and dilation `d`, tap `k` of phase `r` reads the output at offset `(r + p − k d) / s` if
        // that is an integer.
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
        let (mut products, mut depthwise, mut few_channels) = (vec![], vec![], None::<FewChannels>);
        let mut direct = vec![];
        let flipped = Slide { padding: ((kh - 1).wrapping_sub(p.0), (kw - 1).wrapping_sub(p.1)), ..slide };
        for phase in phases {
            let dy = move |k: usize| reads(phase.0, p.0, k, d.0, s.0).unwrap_or_default();
            let dx = move |k: usize| reads(phase.1, p.1, k, d.1, s.1).unwrap_or_default();
            let grid = ((from.0 - phase.0).div_ceil(s.0), (from.1 - phase.1).div_ceil(s.1));
            let part = |_| Part { first: phase, grid, offset: (&dy, &dx) };
            match ready(shape, &[phase], part, taps, weight, (flipped, to, algorithm)) {
                Prepared::Patches(parts, _) => products.extend(parts),
                Prepared::Depthwise(parts) => depthwise.extend(parts.parts),
                Prepared::Direct(parts) => direct.extend(parts.parts),
                Prepared::FewChannels(parts) => match &mut few_channels {
                    Some(few_channels) => few_channels.extend(parts),
                    None => few_channels = Some(parts),
                },
                prepared => return Self { prepared, from: (output, to), to: (input, from) },
            }
        }
        let prepared = match few_channels {
            Some(few_channels) => Prepared::FewChannels(few_channels),
            None if !direct.is_empty() => Prepared::Direct(Direct { parts: direct }),
            None if depthwise.is_empty() => Prepared::Patches(products, slide.groups),
            None => Prepared::Depthwise(Depthwise { parts: depthwise }),
        };
        Self { prepared, from: (output, to), to: (input, from) }
    }

    /// Applies the filter to `x` and writes the result to `y`.
    ///
    /// # Panics
    /// If the sizes of `x` or `y` differ from those for which the weights were packed.
    pub fn run(&self, x: &Map, y: &mut MapMut, epilogue: Epilogue) {
        assert!(
            x.n == y.n && (x.c, (x.h, x.w)) == self.from,
            "the weights are packed for an input of {:?}, not {x:?}",
            self.from
        );
        assert!((y.c, (y.h, y.w)) == self.to, "the weights are packed for an output of {:?}, not {y:?}", self.to);
        epilogue.check(y);
        match &self.prepared {
            Prepared::Patches(parts, groups) => {
                parts.iter().for_each(|(patches, weights)| multiply(x, y, patches, weights, *groups, epilogue));
            }
            Prepared::Winograd(winograd) => winograd.run(x, y, epilogue),
            Prepared::Depthwise(depthwise) => depthwise.run(x, y, epilogue),
            Prepared::FewChannels(few_channels) => few_channels.run(x, y, epilogue),
            Prepared::Direct(direct) => direct.run(x, y, epilogue),
        }
    }

    /// A filter with the same weights for feature maps of another size, with the padding reduced by `less`. Only for forward
    /// filters.
    ///
    /// # Panics
    /// If the channels differ, or the sizes are too large.
    pub fn fitted(&self, sizes: Sizes, less: (usize, usize)) -> Self {
        let Sizes { input, output, from, to } = sizes;
        assert!(
            (input, output) == (self.from.0, self.to.0),
            "the weights are packed for {} input and {} output channels, not {sizes:?}",
            self.from.0,
            self.to.0
        );
        bounded(&[from.0, from.1, to.0, to.1, less.0, less.1]);
        let fit = |p: &Patches| p.fitted((less.0 as isize, less.1 as isize), to);
        let prepared = match &self.prepared {
            Prepared::Patches(parts, groups) => {
                Prepared::Patches(parts.iter().map(|(p, w)| (fit(p), w.clone())).collect(), *groups)
            }
            Prepared::Winograd(winograd) => Prepared::Winograd(winograd.fitted(from, to, less)),
            Prepared::Depthwise(d) => {
                Prepared::Depthwise(Depthwise { parts: d.parts.iter().map(|(p, w)| (fit(p), w.clone())).collect() })
            }
            Prepared::FewChannels(few_channels) => Prepared::FewChannels(few_channels.fitted(fit)),
            Prepared::Direct(d) => {
                Prepared::Direct(Direct { parts: d.parts.iter().map(|(p, w)| (fit(p), w.clone())).collect() })
            }
        };
        Self { prepared, from: (input, from), to: (output, to) }
    }

    /// Whether the filter uses Winograd transforms, which have larger rounding errors than direct convolution.
    pub fn is_winograd(&self) -> bool {
        matches!(self.prepared, Prepared::Winograd(_))
    }

    /// Whether packing the weights for large batches would yield a different filter.
    pub fn has_more(&self) -> bool {
        matches!(&self.prepared, Prepared::Winograd(w) if w.has_more())
    }

    /// Size of the packed weights in bytes.
    pub fn bytes(&self) -> usize {
        match &self.prepared {
            Prepared::Patches(parts, _) => parts.iter().map(|(_, w)| w.bytes()).sum(),
            Prepared::Winograd(w) => w.bytes(),
            Prepared::Depthwise(d) => d.bytes(),
            Prepared::FewChannels(n) => n.bytes(),
            Prepared::Direct(d) => d.bytes(),
        }
    }
}

/// The sizes for which weights are packed. They differ between a convolution and its input gradient.
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

/// Minimum number of elements of a patch for products in bf16. For shorter sums, reading and writing the maps takes most of the time.
const SHORT: usize = 32;

/// Packs weights for the algorithm that is fastest for the given sizes.
fn ready<'a>(
    s: Shape,
    phases: &[(usize, usize)],
    part: impl Fn((usize, usize)) -> Part<'a>,
    taps: impl Fn((usize, usize)) -> Vec<(usize, usize)>,
    weight: WeightView,
    (slide, from, algorithm): (Slide, (usize, usize), Algorithm),
) -> Prepared {
    let plain = slide.stride == (1, 1) && slide.dilation == (1, 1) && s.groups == 1;
    let place = |&(ky, kx): &(usize, usize)| ky * slide.kernel.1 + kx;
    let square = slide.kernel == (3, 3) || slide.kernel == (5, 5);
    let bf16 = algorithm == Algorithm::Bf16 && simd::multiplies_bf16();
    // On large maps, Winograd transforms save more arithmetic than products in bf16.
    let large = !bf16 || s.out.0.min(s.out.1) >= 8;
    if plain && algorithm != Algorithm::Direct && square && large && Winograd::pays(s.c, s.o, s.out) {
        let taps: Vec<_> = taps(phases[0]).iter().map(place).collect();
        return Prepared::Winograd(Winograd::new((s.c, s.o), &taps, slide.padding, (from, s.out, algorithm), weight));
    }
    let parts = phases.iter().map(|&phase| {
        let (taps, part) = (taps(phase), part(phase));
        let offsets: Vec<_> = taps.iter().map(|&(ky, kx)| ((part.offset.0)(ky), (part.offset.1)(kx))).collect();
        let (first, grid) = (part.first, part.grid);
        let Shape { c, step, apart, out, .. } = s;
        let patches = Patches { runs: runs(&offsets), c, grid, step, first, apart, out };
        (taps.iter().map(place).collect::<Vec<_>>(), patches)
    });
    if s.groups > 1 && s.c == 1 && s.o == 1 {
        let parts = parts.map(|(taps, patches)| {
            let numbers = |tap: &usize| (0..s.groups).map(|g| weight.at(weight.start(g, 0, *tap), 0)).collect();
            (patches, taps.iter().map(numbers).collect())
        });
        return Prepared::Depthwise(Depthwise { parts: parts.collect() });
    }
    if s.groups == 1 && FewChannels::pays(s.c, s.o) {
        let parts = parts.map(|(taps, patches)| {
            let of = move |k: usize, o: usize| weight.at(weight.start(0, k % s.c, taps[k / s.c]), o);
            (patches, of)
        });
        return Prepared::FewChannels(FewChannels::new(s.o, parts));
    }
    let parts: Vec<_> = parts.collect();
    // All phases of a stride use the same algorithm.
    let direct = s.groups == 1 && phases.len() == 1 && s.apart == (1, 1);
    let direct = direct && parts.iter().all(|(_, patches)| Direct::pays(patches, s.o));
    let pack = |(taps, patches): (Vec<usize>, Patches)| {
        let pairs = bf16 && patches.len() >= SHORT;
        // Where the elements of a patch are padded to `c` channels per tap.
        let of = |k: usize, c: usize| (k % c, taps[k / c]);
        match (pairs, direct) {
            (false, _) => {
                let weights = Packed::new(s.groups, patches.len(), s.o, weight, |k| of(k, s.c));
                (patches, Arc::new(weights))
            }
            (true, false) => {
                let some = |k: usize| (k < patches.len()).then(|| of(k, s.c));
                let weights = Packed::in_pairs(s.groups, bf16::lanes(patches.len()), s.o, weight, some);
                (patches, Arc::new(weights))
            }
            (true, true) => {
                let patches = Patches { c: bf16::lanes(s.c), ..patches };
                let some = |k: usize| (k < 2 * patches.len()).then(|| of(k, 2 * patches.c)).filter(|(c, _)| *c < s.c);
                let weights = Packed::in_pairs(1, patches.len(), s.o, weight, some);
                (patches, Arc::new(weights))
            }
        }
    };
    let parts = parts.into_iter().map(pack).collect();
    if direct { Prepared::Direct(Direct { parts }) } else { Prepared::Patches(parts, s.groups) }
}

/// The input patches from which a convolution computes its output pixels.
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

/// Merges horizontally adjacent taps into runs.
fn runs(places: &[(isize, isize)]) -> Vec<TapRun> {
    let mut runs: Vec<TapRun> = vec![];
    for &(dy, dx) in places {
        match runs.last_mut() {
            Some(run) if run.dy == dy && run.dx + run.taps as isize == dx => run.taps += 1,
            _ => runs.push(TapRun { dy, dx, taps: 1 }),
        }
    }
    runs
}
