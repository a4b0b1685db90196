//! Convolution and its input and weight gradients, computed by the engine in f32 and by im2col and matrix products in f64.

use super::im2col::Patches;
use super::nhwc;
use crate::backend::storage::{Real, by_type, read, tensor};
use crate::backend::window::Conv2d;
use crate::interrupt::InterruptProbe;
use anyhow::Result;
use candle_core::{DType, Tensor};
use rayon::prelude::*;

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug)]
struct Shape {
    batch: usize,
    groups: usize,
    /// Number of output channels per group.
    out: usize,
    patches: Patches,
}

/// Maximum number of partial sums into which the weight gradient of a batch is split, independent of the number of cores.
const PARTS: usize = 8;

impl Shape {
    fn new(conv: &Conv2d, x: &[usize], weight: &[usize]) -> Result<Self> {
        let (oh, ow) = conv.check(x, weight)?;
        let (kh, kw) = conv.windows(weight);
        let g = conv.groups;
        let patches = Patches { channels: weight[1], h: x[2], w: x[3], oh, ow, kh, kw };
        Ok(Self { batch: x[0], groups: g, out: weight[0] / g, patches })
    }

    /// Number of input elements of one group of one picture.
    fn input(&self) -> usize {
        self.patches.channels * self.patches.h * self.patches.w
    }

    /// Number of output elements of one group of one picture.
    fn output(&self) -> usize {
        self.out * self.patches.columns()
    }

    /// Number of weight elements of one group.
    fn weight(&self) -> usize {
        self.out * self.patches.rows()
    }

    /// Whether to run one task per pair of picture and group. With fewer pairs than cores, each matrix product is parallelized
    /// instead.
    fn by_picture(&self) -> bool {
        self.batch * self.groups >= rayon::current_num_threads()
    }

    fn parallelism(&self) -> gemm::Parallelism {
        if self.by_picture() { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(0) }
    }
}

/// `y = x ∗ w + b` for `x` `(N, C, H, W)`, `w` `(O, C/groups, kh, kw)` and `b` `(O)`; PyTorch's `conv2d`.
pub fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Result<Tensor> {
    match x.dtype() {
        DType::F32 => nhwc::forward(x, w, b, conv),
        _ => by_type!(x, forward(x, w, b, conv)),
    }
}

/// The VJP of [`conv2d`] with respect to `x`, `dyᵀ · ∂y/∂x`, of shape `input`.
pub fn conv2d_input_vjp(dy: &Tensor, w: &Tensor, input: &[usize], conv: &Conv2d) -> Result<Tensor> {
    match dy.dtype() {
        DType::F32 => nhwc::input_vjp(dy, w, input, conv),
        _ => by_type!(dy, input_vjp(dy, w, input, conv)),
    }
}

/// The VJP of [`conv2d`] with respect to `w`, `dyᵀ · ∂y/∂w`, of shape `weight`, summed over the batch.
pub fn conv2d_weight_vjp(dy: &Tensor, x: &Tensor, weight: &[usize], conv: &Conv2d) -> Result<Tensor> {
    match dy.dtype() {
        DType::F32 => nhwc::weight_vjp(dy, x, weight, conv),
        _ => by_type!(dy, weight_vjp(dy, x, weight, conv)),
    }
}

fn forward<T: Real>(x: &Tensor, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Result<Tensor> {
    let s = Shape::new(conv, x.dims(), w.dims())?;
    let mut y = vec![T::zero(); s.batch * s.groups * s.output()];
    if let Some(b) = b {
        read::<T, _>(b, |b| {
            let maps = y.par_chunks_mut(s.patches.columns()).enumerate();
            maps.for_each(|(i, map)| map.fill(b[i % b.len()]));
            Ok(())
        })?;
    }
    read::<T, _>(x, |x| {
        read::<T, _>(w, |w| {
            let part = |columns: &mut Vec<T>, i: usize, y: &mut [T]| {
                let x = &x[i * s.input()..][..s.input()];
                let w = &w[i % s.groups * s.weight()..][..s.weight()];
                let columns = gather(&s, x, columns);
                let (m, n, k) = (s.out, s.patches.columns(), s.patches.rows());
                product((m, n, k), y, (w, k, 1), (columns, n, 1), s.parallelism());
            };
            each_part(&s, &mut y, s.output(), part);
            Ok(())
        })
    })?;
    tensor(y, &[s.batch, s.groups * s.out, s.patches.oh, s.patches.ow])
}

fn input_vjp<T: Real>(dy: &Tensor, w: &Tensor, input: &[usize], conv: &Conv2d) -> Result<Tensor> {
    let s = Shape::new(conv, input, w.dims())?;
    let mut dx = vec![T::zero(); s.batch * s.groups * s.input()];
    read::<T, _>(dy, |dy| {
        read::<T, _>(w, |w| {
            let part = |columns: &mut Vec<T>, i: usize, dx: &mut [T]| {
                let dy = &dy[i * s.output()..][..s.output()];
                let w = &w[i % s.groups * s.weight()..][..s.weight()];
                let (m, n, k) = (s.patches.rows(), s.patches.columns(), s.out);
                if s.patches.is_map() {
                    return product((m, n, k), dx, (w, 1, m), (dy, n, 1), s.parallelism());
                }
                columns.clear();
                columns.resize(m * n, T::zero());
                product((m, n, k), columns, (w, 1, m), (dy, n, 1), s.parallelism());
                scatter(&s, columns, dx);
            };
            each_part(&s, &mut dx, s.input(), part);
            Ok(())
        })
    })?;
    tensor(dx, input)
}

fn weight_vjp<T: Real>(dy: &Tensor, x: &Tensor, weight: &[usize], conv: &Conv2d) -> Result<Tensor> {
    let s = Shape::new(conv, x.dims(), weight)?;
    let total = s.groups * s.weight();
    let sums = read::<T, _>(dy, |dy| {
        read::<T, _>(x, |x| {
            let share = s.batch.div_ceil(PARTS).max(1);
            let look = InterruptProbe::here();
            let sum = |part: usize| {
                let (mut dw, mut columns) = (vec![T::zero(); total], Vec::new());
                for i in part * share * s.groups..((part + 1) * share).min(s.batch) * s.groups {
                    look.pass();
                    let dy = &dy[i * s.output()..][..s.output()];
                    let columns = gather(&s, &x[i * s.input()..][..s.input()], &mut columns);
                    let (m, n, k) = (s.out, s.patches.rows(), s.patches.columns());
                    let dw = &mut dw[i % s.groups * s.weight()..][..s.weight()];
                    product((m, n, k), dw, (dy, k, 1), (columns, 1, k), gemm::Parallelism::None);
                }
                dw
            };
            Ok((0..s.batch.div_ceil(share)).into_par_iter().map(sum).collect::<Vec<_>>())
        })
    })?;
    let mut dw = vec![T::zero(); total];
    for sum in sums {
        dw.iter_mut().zip(sum).for_each(|(a, b)| *a += b);
    }
    tensor(dw, weight)
}

/// Calls `part` for each picture and group, with a scratch buffer, the index of the part, and its slice of `out`.
fn each_part<T: Real>(s: &Shape, out: &mut [T], size: usize, part: impl Fn(&mut Vec<T>, usize, &mut [T]) + Sync) {
    let look = InterruptProbe::here();
    let part = |buffer: &mut Vec<T>, i: usize, out: &mut [T]| {
        look.pass();
        part(buffer, i, out);
    };
    if s.by_picture() {
        out.par_chunks_mut(size).enumerate().for_each_init(Vec::new, |buffer, (i, out)| part(buffer, i, out));
    } else {
        let mut buffer = Vec::new();
        out.chunks_mut(size).enumerate().for_each(|(i, out)| part(&mut buffer, i, out));
    }
}

/// The patch matrix of `x`, built in `buffer` unless `x` already is that matrix.
fn gather<'a, T: Real>(s: &Shape, x: &'a [T], buffer: &'a mut Vec<T>) -> &'a [T] {
    if s.patches.is_map() {
        return x;
    }
    buffer.resize(s.patches.rows() * s.patches.columns(), T::zero());
    let rows = |(row, out): (usize, &mut [T])| s.patches.gather(x, row, out);
    if s.by_picture() {
        buffer.chunks_exact_mut(s.patches.columns()).enumerate().for_each(rows);
    } else {
        buffer.par_chunks_exact_mut(s.patches.columns()).enumerate().for_each(rows);
    }
    buffer
}

fn scatter<T: Real>(s: &Shape, columns: &[T], dx: &mut [T]) {
    let maps = |(c, map): (usize, &mut [T])| s.patches.scatter(columns, c, map);
    if s.by_picture() {
        dx.chunks_exact_mut(s.patches.h * s.patches.w).enumerate().for_each(maps);
    } else {
        dx.par_chunks_exact_mut(s.patches.h * s.patches.w).enumerate().for_each(maps);
    }
}

/// `out += a · b` for row-major `out` `(m, n)`, and for `a` `(m, k)` and `b` `(k, n)` with the given row and column strides.
fn product<T: Real>(
    (m, n, k): (usize, usize, usize),
    out: &mut [T],
    (a, a_row, a_column): (&[T], usize, usize),
    (b, b_row, b_column): (&[T], usize, usize),
    parallelism: gemm::Parallelism,
) {
    let holds = |len: usize, rows: usize, columns: usize| rows.checked_mul(columns).is_some_and(|count| count <= len);
    assert!(
        holds(out.len(), m, n) && holds(a.len(), m, k) && holds(b.len(), k, n),
        "the lengths of the slices do not match a product of {m}x{k} and {k}x{n} matrices"
    );
    if [m, n, k].contains(&0) {
        return;
    }
    // SAFETY: the strides address exactly m·n, m·k and k·n elements, which the slices hold.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            true,
            a.as_ptr(),
            a_column as isize,
            a_row as isize,
            b.as_ptr(),
            b_column as isize,
            b_row as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            parallelism,
        );
    }
}
