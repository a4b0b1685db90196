//! Batched FFTs. Each step of Stockham's algorithm processes sixteen lines in parallel.

use rayon::prelude::*;

/// Number of lines that are transformed in parallel.
const LANES: usize = 16;

/// An FFT plan for one length, a product of powers of two and three.
#[derive(Clone, Debug)]
pub struct Fourier {
    /// Length of a line.
    pub length: usize,
    radices: Vec<usize>,
    /// The roots of unity `exp(-2πi k / length)` as `(re, im)`.
    roots: Vec<(f32, f32)>,
}

/// Lines of complex numbers, stored in tiles of sixteen lines.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Length of a line.
    pub length: usize,
    re: Vec<f32>,
    im: Vec<f32>,
}

/// Sixteen input lines of complex numbers; element `i` of line `lane` is at `i * LANES + lane`.
pub struct Block<'a> {
    re: &'a mut [f32],
    im: &'a mut [f32],
}

impl Block<'_> {
    /// Sets element `i` of line `lane` to the complex number `(re, im)`.
    pub fn set(&mut self, lane: usize, i: usize, (re, im): (f32, f32)) {
        self.re[i * LANES + lane] = re;
        self.im[i * LANES + lane] = im;
    }
}

impl Lines {
    /// Element `i` of line `line` as `(re, im)`.
    pub fn get(&self, line: usize, i: usize) -> (f32, f32) {
        let at = (line / LANES * self.length + i) * LANES + line % LANES;
        (self.re[at], self.im[at])
    }
}

impl Fourier {
    /// A plan for the smallest supported length that is at least `length`; the supported lengths are `2ⁿ`, `3·2ⁿ` and
    /// `9·2ⁿ`.
    pub fn at_least(length: usize) -> Self {
        let twos = |threes: usize| (0..).map(move |k| threes << k).find(|&n| n >= length).unwrap_or(threes);
        let length = [1, 3, 9].map(twos).into_iter().min().unwrap_or(1);
        let (mut rest, mut radices) = (length, vec![]);
        for radix in [4, 3, 2] {
            while rest.is_multiple_of(radix) && rest > 1 {
                radices.push(radix);
                rest /= radix;
            }
        }
        let angle = |k: usize| -std::f64::consts::TAU * k as f64 / length as f64;
        let roots = (0..length).map(|k| (angle(k).cos() as f32, angle(k).sin() as f32)).collect();
        Self { length, radices, roots }
    }

    /// Computes the transforms `Σⱼ xⱼ exp(-2πi jk / length)` of `count` lines and stores the first `kept` elements of each.
    /// `fill` writes the input to a zeroed block, given the index of the first line and the number of lines.
    pub fn lines(&self, count: usize, kept: usize, fill: impl Fn(usize, usize, &mut Block) + Sync) -> Lines {
        let (tiles, size) = (count.div_ceil(LANES), kept * LANES);
        let (mut re, mut im) = (vec![0f32; tiles * size], vec![0f32; tiles * size]);
        let tile = |scratch: &mut [Vec<f32>; 4], (tile, (re, im)): (usize, (&mut [f32], &mut [f32]))| {
            let [a, b, c, d] = scratch;
            a.fill(0.0);
            b.fill(0.0);
            let first = tile * LANES;
            fill(first, LANES.min(count - first), &mut Block { re: a, im: b });
            self.transform([a, b], [c, d]);
            re.copy_from_slice(&a[..size]);
            im.copy_from_slice(&b[..size]);
        };
        let scratch = || [(); 4].map(|()| vec![0f32; self.length * LANES]);
        re.par_chunks_mut(size).zip(im.par_chunks_mut(size)).enumerate().for_each_init(scratch, tile);
        Lines { length: kept, re, im }
    }

    /// Transforms the lines in `x` in place, with `y` as scratch space, by Stockham's autosort algorithm: the output is in
    /// natural order without bit reversal.
    fn transform(&self, x: [&mut Vec<f32>; 2], y: [&mut Vec<f32>; 2]) {
        let (mut n, mut stride) = (self.length, 1);
        let ([x_re, x_im], [y_re, y_im]) = (x, y);
        for &radix in &self.radices {
            n /= radix;
            let run = stride * LANES;
            for p in 0..n {
                let from = |k: usize| (p + k * n) * run..(p + k * n + 1) * run;
                let root = |k: usize| self.roots[k * p * stride];
                let to = radix * p * run..radix * (p + 1) * run;
                let (re, im) = (&mut y_re[to.clone()], &mut y_im[to]);
                let part = |k: usize| (&x_re[from(k)], &x_im[from(k)]);
                match radix {
                    4 => four([0, 1, 2, 3].map(part), (re, im), [1, 2, 3].map(root)),
                    3 => three([0, 1, 2].map(part), (re, im), [1, 2].map(root)),
                    _ => two([0, 1].map(part), (re, im), root(1)),
                }
            }
            std::mem::swap(x_re, y_re);
            std::mem::swap(x_im, y_im);
            stride *= radix;
        }
    }
}

type Part<'a> = (&'a [f32], &'a [f32]);
type Out<'a> = (&'a mut [f32], &'a mut [f32]);
type Root = (f32, f32);

fn times((re, im): (f32, f32), (c, s): Root) -> (f32, f32) {
    (re * c - im * s, re * s + im * c)
}

fn two([a, b]: [Part; 2], (re, im): Out, root: Root) {
    let run = a.0.len();
    let ((re0, re1), (im0, im1)) = (re.split_at_mut(run), im.split_at_mut(run));
    let (a, b) = ((&a.0[..run], &a.1[..run]), (&b.0[..run], &b.1[..run]));
    for i in 0..run {
        (re0[i], im0[i]) = (a.0[i] + b.0[i], a.1[i] + b.1[i]);
        (re1[i], im1[i]) = times((a.0[i] - b.0[i], a.1[i] - b.1[i]), root);
    }
}

fn three([a, b, c]: [Part; 3], (re, im): Out, [w1, w2]: [Root; 2]) {
    const H: f32 = 0.866_025_4;
    let run = a.0.len();
    let [a, b, c] = [a, b, c].map(|p| (&p.0[..run], &p.1[..run]));
    let (re0, re) = re.split_at_mut(run);
    let (re1, re2) = re.split_at_mut(run);
    let (im0, im) = im.split_at_mut(run);
    let (im1, im2) = im.split_at_mut(run);
    for i in 0..run {
        let (sum, diff) = ((b.0[i] + c.0[i], b.1[i] + c.1[i]), (b.0[i] - c.0[i], b.1[i] - c.1[i]));
        let half = (a.0[i] - 0.5 * sum.0, a.1[i] - 0.5 * sum.1);
        (re0[i], im0[i]) = (a.0[i] + sum.0, a.1[i] + sum.1);
        (re1[i], im1[i]) = times((half.0 + H * diff.1, half.1 - H * diff.0), w1);
        (re2[i], im2[i]) = times((half.0 - H * diff.1, half.1 + H * diff.0), w2);
    }
}

fn four([a, b, c, d]: [Part; 4], (re, im): Out, [w1, w2, w3]: [Root; 3]) {
    let run = a.0.len();
    let [a, b, c, d] = [a, b, c, d].map(|p| (&p.0[..run], &p.1[..run]));
    let ((re0, re), (im0, im)) = (re.split_at_mut(run), im.split_at_mut(run));
    let ((re1, re), (im1, im)) = (re.split_at_mut(run), im.split_at_mut(run));
    let ((re2, re3), (im2, im3)) = (re.split_at_mut(run), im.split_at_mut(run));
    let (re3, im3) = (&mut re3[..run], &mut im3[..run]);
    for i in 0..run {
        let (s, t) = ((a.0[i] + c.0[i], a.1[i] + c.1[i]), (a.0[i] - c.0[i], a.1[i] - c.1[i]));
        let (u, v) = ((b.0[i] + d.0[i], b.1[i] + d.1[i]), (b.0[i] - d.0[i], b.1[i] - d.1[i]));
        (re0[i], im0[i]) = (s.0 + u.0, s.1 + u.1);
        (re1[i], im1[i]) = times((t.0 + v.1, t.1 - v.0), w1);
        (re2[i], im2[i]) = times((s.0 - u.0, s.1 - u.1), w2);
        (re3[i], im3[i]) = times((t.0 - v.1, t.1 + v.0), w3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_equals_the_sum_that_defines_it() {
        for length in [1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 36, 48, 72, 96, 144] {
            let plan = Fourier::at_least(length);
            assert_eq!(plan.length, length);
            let value =
                |line: usize, i: usize| (((line * 7 + i * i * 3) % 11) as f32 - 4.0, ((line + i * 5) % 7) as f32);
            let lines = plan.lines(19, length, |first, count, block| {
                (0..count).for_each(|l| (0..length).for_each(|i| block.set(l, i, value(first + l, i))));
            });
            for line in [0, 15, 18] {
                for k in 0..length {
                    let (mut re, mut im) = (0f64, 0f64);
                    for i in 0..length {
                        let angle = -std::f64::consts::TAU * (i * k % length) as f64 / length as f64;
                        let (a, b) = value(line, i);
                        re += f64::from(a) * angle.cos() - f64::from(b) * angle.sin();
                        im += f64::from(a) * angle.sin() + f64::from(b) * angle.cos();
                    }
                    let (a, b) = lines.get(line, k);
                    let far = (f64::from(a) - re).hypot(f64::from(b) - im);
                    assert!(far < 1e-3, "{length}: {far} at {k} of line {line}");
                }
            }
        }
    }

    #[test]
    fn lengths_are_products_of_twos_and_threes() {
        assert_eq!([1, 5, 126, 130, 300, 1000].map(|n| Fourier::at_least(n).length), [1, 6, 128, 144, 384, 1024]);
    }
}
