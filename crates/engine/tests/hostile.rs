//! Calls every public function with sizes that do not match. Each call must panic or stay within its slices. A sanitizer also
//! catches out-of-bounds reads: `just sanitize`.
#![allow(clippy::unwrap_used)]

#[path = "common/random.rs"]
mod random;

use gradscope_engine::simd::{Bf16, available, set_bf16, set_level};
use gradscope_engine::{
    Activation, Algorithm, Epilogue, Filter, Map, MapMut, Pool, RowNorm, Sizes, Slide, StridedSlice, View,
    WeightGradient, add_view, crop, gate_vjp, gather, linear, linear_vjp, linear_weight_gradient, matmul,
    multiply_maps, pass, scatter_add, softmax, softmax_vjp, sum_pictures, to_channels_first, to_channels_last,
    to_channels_last_scaled,
};
use random::Random;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The value of the fence elements around every slice that a call may write.
const FENCE: f32 = -12345.0;
/// Number of fence elements on either side.
const WIDTH: usize = 256;
/// Number of elements of the largest slice.
const MOST: usize = if cfg!(miri) { 1 << 10 } else { 1 << 13 };
/// Sizes that exceed any memory; some have products that overflow.
const HUGE: [usize; 7] = [1 << 31, (1 << 31) + 1, 1 << 32, 1 << 33, usize::MAX, usize::MAX / 2 + 1, usize::MAX / 3];

thread_local! {
    /// Whether this thread is in a call that may panic.
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// A random size, usually valid, occasionally 0 or too large.
    fn size(&mut self, most: usize) -> usize {
        match self.below(24) {
            0 => HUGE[self.below(HUGE.len())],
            1 => 0,
            // Under Miri, smaller sizes, so that more calls fit into the time.
            _ => 1 + self.below(if cfg!(miri) { most.div_ceil(2) } else { most }),
        }
    }

    fn two(&mut self, most: usize) -> (usize, usize) {
        (self.size(most), self.size(most))
    }

    fn signed(&mut self) -> isize {
        match self.below(20) {
            0 => [isize::MIN, isize::MAX, 1 << 40, -(1 << 40)][self.below(4)],
            _ => self.below(9) as isize - 4,
        }
    }

    fn maps(&mut self) -> [usize; 4] {
        [self.size(3), self.size(9), self.size(9), self.size(20)]
    }

    fn slide(&mut self) -> Slide {
        Slide {
            kernel: self.two(5),
            stride: self.two(3),
            padding: (self.size(4).saturating_sub(usize::from(self.below(2) == 0)), self.size(3)),
            dilation: self.two(2),
            groups: if self.below(2) == 0 { 1 } else { self.size(4) },
        }
    }

    /// Usually the number of elements that the sizes need, occasionally a random one.
    fn count(&mut self, sizes: &[usize]) -> usize {
        let wrapped = sizes.iter().fold(1usize, |product, &n| product.wrapping_mul(n));
        match self.below(12) {
            0 => self.below(MOST),
            _ => wrapped.min(MOST),
        }
    }
}

/// A slice that is surrounded by fence values.
struct Fenced(Vec<f32>);

impl Fenced {
    fn new(count: usize) -> Self {
        let mut all = vec![FENCE; count + 2 * WIDTH];
        all[WIDTH..WIDTH + count].fill(0.0);
        Self(all)
    }

    fn slice(&mut self) -> &mut [f32] {
        let end = self.0.len() - WIDTH;
        &mut self.0[WIDTH..end]
    }

    fn is_whole(&self) -> bool {
        let fences = self.0[..WIDTH].iter().chain(&self.0[self.0.len() - WIDTH..]);
        fences.into_iter().all(|v| *v == FENCE)
    }
}

/// A random output size of a sliding window over a map, usually the correct one.
fn slid(r: &mut Random, from: (usize, usize), s: &Slide) -> (usize, usize) {
    let along = |size: usize, k: usize, step: usize, pad: usize, apart: usize| {
        let reach = apart.checked_mul(k.checked_sub(1)?)?.checked_add(1)?;
        let rest = size.checked_add(pad.checked_mul(2)?)?.checked_sub(reach)?;
        Some(rest.checked_div(step)? + 1)
    };
    let to = (
        along(from.0, s.kernel.0, s.stride.0, s.padding.0, s.dilation.0),
        along(from.1, s.kernel.1, s.stride.1, s.padding.1, s.dilation.1),
    );
    match usual(r) {
        true => (to.0.unwrap_or(1).min(4096), to.1.unwrap_or(1).min(4096)),
        false => r.two(9),
    }
}

fn usual(r: &mut Random) -> bool {
    r.below(8) > 0
}

/// Calls one function at random. Returns the slice that it writes to, the name of the function, and whether the call returned.
fn call(r: &mut Random) -> (Fenced, &'static str, bool) {
    let which = r.below(14);
    let [n, h, w, c] = r.maps();
    let slide = r.slide();
    let to = slid(r, (h, w), &slide);
    let output = if slide.groups > 1 && usual(r) { slide.groups } else { r.size(20) };
    let input = if slide.groups > 1 && usual(r) { slide.groups } else { c };
    let same = |r: &mut Random, sizes: [usize; 4]| if usual(r) { sizes } else { r.maps() };
    let pitch = |r: &mut Random, c: usize| c.wrapping_add(r.below(2) * r.size(3));
    let (x_sizes, y_sizes) = match which {
        0..=2 => ([n, h, w, input], same(r, [n, to.0, to.1, output])),
        3..=5 => ([n, h, w, c], same(r, [n, to.0, to.1, c])),
        6 | 7 => ([n, h, w, c], same(r, [n, h.div_ceil(2), w.div_ceil(2), c.wrapping_add(1)])),
        9 => ([n, h, w, c], same(r, [1, h, w, c])),
        _ => ([n, h, w, c], same(r, [n, h, w, c])),
    };
    let (xp, yp) = (pitch(r, x_sizes[3]), pitch(r, y_sizes[3]));
    let x_count = r.count(&[x_sizes[0], x_sizes[1], x_sizes[2], xp]);
    let y_count = r.count(&[y_sizes[0], y_sizes[1], y_sizes[2], yp]);
    let (x_count, y_count) = match which {
        10..=12 => (r.count(&[n, c]), r.count(&[n, output])),
        _ => (x_count, y_count),
    };
    let (x, ys) = (r.numbers(x_count), r.numbers(y_count));
    let weights = if (10..=12).contains(&which) {
        r.count(&[output, c])
    } else {
        r.count(&[output, input.checked_div(slide.groups).unwrap_or(1), slide.kernel.0, slide.kernel.1])
    };
    let weights = r.numbers(weights);
    let sums = [Algorithm::Direct, Algorithm::SmallBatch, Algorithm::LargeBatch, Algorithm::Bf16][r.below(4)];
    let sizes = Sizes { input, output, from: (h, w), to };
    let pool = Pool { kernel: slide.kernel, stride: slide.stride, padding: slide.padding, dilation: slide.dilation };
    let pick = StridedSlice {
        start: (r.size(2).saturating_sub(1), r.size(2).saturating_sub(1)),
        step: (2, r.size(2)),
        before: r.size(2),
    };
    let next = StridedSlice { start: r.two(2), step: r.two(9), before: r.size(3) };
    CALLING.set(true);
    let pick = if usual(r) { pick } else { catch_unwind(|| pick.then(next)).unwrap_or(pick) };
    let channels = r.numbers(r.0 as usize % 40);
    let epilogue = Epilogue {
        bias: (channels.len() == output && usual(r)).then_some(&channels),
        activation: usual(r).then_some(Activation::Relu),
        ..Epilogue::default()
    };
    // In the backward direction, the output has the size of the forward input.
    let backward = [1, 4, 5, 7].contains(&which);
    let count = match which {
        2 | 12 => weights.len(),
        10 => y_count,
        11 => x_count,
        _ if backward => x_count,
        _ => y_count,
    };
    let mut out = Fenced::new(count);
    let name = [
        "forward",
        "backward",
        "weights",
        "max",
        "max_vjp",
        "mean_vjp",
        "pick",
        "pick back",
        "pass",
        "sum",
        "linear",
        "linear_vjp",
        "linear_weight_gradient",
        "layout",
    ][which];
    let slice = out.slice();
    let went = catch_unwind(AssertUnwindSafe(|| match which {
        0 => Filter::forward(&weights, sizes, slide, sums).run(
            &Map::new(&x, x_sizes, xp),
            &mut MapMut::new(slice, y_sizes, yp),
            epilogue,
        ),
        1 => Filter::backward(&weights, sizes, slide, sums).run(
            &Map::new(&ys, y_sizes, yp),
            &mut MapMut::new(slice, x_sizes, xp),
            Epilogue::default(),
        ),
        2 => {
            WeightGradient::new(sizes, slide, sums).run(&Map::new(&ys, y_sizes, yp), &Map::new(&x, x_sizes, xp), slice)
        }
        3 => pool.max(&Map::new(&x, x_sizes, xp), &mut MapMut::new(slice, y_sizes, yp)),
        4 => {
            let y = Map::new(&ys, y_sizes, yp);
            pool.max_vjp(
                &Map::new(&x, x_sizes, xp),
                &y,
                &y,
                &mut MapMut::new(slice, x_sizes, xp),
                epilogue.activation.is_some(),
            );
        }
        5 => pool.mean_vjp(&Map::new(&ys, y_sizes, yp), &mut MapMut::new(slice, x_sizes, xp), |_, _| 2.0),
        6 => pick.forward(&Map::new(&x, x_sizes, xp), &mut MapMut::new(slice, y_sizes, yp)),
        7 => pick.backward(&Map::new(&ys, y_sizes, yp), &mut MapMut::new(slice, x_sizes, xp)),
        8 => pass(&Map::new(&x, x_sizes, xp), &mut MapMut::new(slice, y_sizes, yp), epilogue),
        9 => sum_pictures(&Map::new(&x, x_sizes, xp), &mut MapMut::new(slice, y_sizes, yp)),
        10 => linear(&x, &weights, epilogue.bias, slice, (n, c, output), epilogue.activation),
        11 => linear_vjp(&ys, &weights, slice, (n, c, output)),
        12 => linear_weight_gradient(&ys, &x, slice, (n, c, output)),
        _ => {
            let (at, from): (Vec<_>, Vec<_>) = (0..n.min(64)).map(|_| (r.two(3), (r.signed(), r.signed()))).unzip();
            let mut y = MapMut::new(slice, y_sizes, yp);
            match r.below(4) {
                0 => to_channels_last(&x, &mut y),
                1 => to_channels_last_scaled(&x, &mut y, &channels, &channels),
                2 => {
                    let mut back = vec![0.0; x.len()];
                    to_channels_first(&y.read(), &mut back);
                }
                _ => {
                    let changed = [n, h.div_ceil(2), w.div_ceil(2), c];
                    let base = Map::new(&x, [1, h, w, c], xp);
                    crop(&base, (&Map::new(&ys, changed, c), &at), &mut y, &from, 1.0);
                }
            }
        }
    }));
    CALLING.set(false);
    (out, name, went.is_ok())
}

/// A random view, usually of contiguous or transposed elements, occasionally with any dimensions and strides.
fn view(r: &mut Random, dims: &[usize]) -> View {
    let mut view = catch_unwind(|| View::dense(dims)).unwrap_or(View { offset: 0, dims: vec![2], strides: vec![1] });
    let rank = view.dims.len();
    match r.below(8) {
        0 => {
            let d = r.below(rank);
            view.strides[d] = r.size(9);
        }
        1 => view.offset = r.size(9),
        2 => {
            view.strides.pop();
        }
        3 | 4 if rank > 1 => view = view.transpose(rank - 2, rank - 1),
        _ => {}
    }
    view
}

/// Like [`call`], for the kernels of transformers.
fn call_on_tokens(r: &mut Random) -> (Fenced, &'static str, bool) {
    let names = ["matmul", "gather", "scatter_add", "add_view", "softmax", "softmax_vjp", "norm", "norm_vjp", "gates"];
    let which = r.below(names.len());
    let [n, m, k, p] = r.maps();
    CALLING.set(true);
    let (a, b) = (view(r, &[n, m, k]), if usual(r) { view(r, &[n, k, p]) } else { view(r, &[n, p, p]) });
    let count = |r: &mut Random, view: &View| {
        let needed = catch_unwind(|| view.extent()).unwrap_or(0).min(MOST);
        if usual(r) { needed } else { r.below(MOST) }
    };
    let (xs, ws) = (count(r, &a), count(r, &b));
    let ys = match which {
        0 => r.count(&[n, m, p]),
        1 => r.count(&[n, m, k]),
        _ => xs,
    };
    let others = if usual(r) { r.count(&[n, m, k]) } else { ws };
    let [x, w, y] = [xs, ws, others].map(|count| r.numbers(count));
    let algorithm = [Algorithm::Direct, Algorithm::Bf16][r.below(2)];
    let parameters = if usual(r) { r.count(&[k]) } else { r.below(40) };
    let gamma = r.numbers(parameters);
    let norm = RowNorm { columns: k, centered: usual(r), epsilon: 1e-5 };
    let mut out = Fenced::new(ys);
    let slice = out.slice();
    let went = catch_unwind(AssertUnwindSafe(|| match which {
        0 => matmul((&x, &a), (&w, &b), slice, Some(Activation::Relu).filter(|_| xs > 9), algorithm),
        1 => gather(&x, &a, slice),
        2 => scatter_add(&y, &a, slice),
        3 => add_view(&y, &w, &a, slice),
        4 => softmax(&x, slice, k),
        5 => softmax_vjp(&x, &y, slice, k),
        6 => norm.forward(&x, slice, Some(&gamma), Some(&gamma[..]).filter(|_| xs > 9)),
        7 => {
            norm.vjp(&x, &y, slice, Some(&gamma), xs > 9);
            norm.parameter_vjp(&x, &y);
        }
        _ => {
            let map = Map::new(&x, [n, m, 1, k], k);
            multiply_maps(
                &map,
                &Map::new(&w, [n, 1, 1, k], k),
                &mut MapMut::new(slice, [n, m, 1, k], k),
                Epilogue::default(),
            );
            gate_vjp(&map, &map, &mut slice[..n.saturating_mul(k).min(ys)]);
        }
    }));
    CALLING.set(false);
    (out, names[which], went.is_ok())
}

#[test]
fn mismatched_sizes_panic_and_no_call_writes_outside_its_slice() {
    let seconds = std::env::var("GRADSCOPE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let limit = Duration::from_secs(seconds.unwrap_or(5));
    // The called functions are expected to panic, so their messages are suppressed.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !CALLING.get() {
            before(info);
        }
    }));
    let (begun, mut went) = (Instant::now(), std::collections::BTreeMap::<_, (usize, usize)>::new());
    let mut r = Random(0x9E37_79B9_7F4A_7C15);
    let levels = available();
    while begun.elapsed() < limit {
        set_level(levels[r.below(levels.len())]);
        set_bf16([Bf16::Detected, Bf16::Emulated, Bf16::Off][r.below(3)]);
        let seed = r.0;
        let (out, name, ok) = if r.below(3) == 0 { call_on_tokens(&mut r) } else { call(&mut r) };
        assert!(out.is_whole(), "{name} wrote outside its slice with seed {seed}");
        let counts = went.entry(name).or_default();
        *(if ok { &mut counts.0 } else { &mut counts.1 }) += 1;
    }
    let both = went.values().filter(|(ok, panics)| *ok > 0 && *panics > 0).count();
    // Miri makes too few calls to see all outcomes.
    assert!(cfg!(miri) || went.len() == 23 && both > 16, "{went:?}");
}
