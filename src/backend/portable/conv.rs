//! Convolution and its VJPs, implemented with candle's convolutions and matrix products.

use super::shift::{every, interleave, window};
use crate::backend::Conv2d;
#[cfg(feature = "cudnn")]
use crate::backend::cuda;
use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};

/// The sliding sum `y[i] = Σ w[t] x[start + i · stride + t · dilation]` for `i < out`, along height and width; `x` is 0 outside
/// the feature map.
struct Slide {
    start: [isize; 2],
    out: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
}

/// The input gradient at one phase of a stride (positions `phase, phase + stride, …` of an axis): the taps that read these
/// positions, in reverse order, and how they slide over the output gradient.
struct Phase {
    taps: Vec<u32>,
    start: isize,
    step: usize,
}

/// `y = x ∗ w + b` for `x` `(N, C, H, W)`, `w` `(O, C/groups, kh, kw)` and `b` `(O)`; PyTorch's `conv2d`.
pub fn conv2d(x: &Tensor, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if cuda::serves(x) {
        return cuda::conv2d(x, w, b, conv);
    }
    let slide = Slide::forward(x.dims(), w.dims(), conv)?;
    let y = slide.run(x, w)?;
    let Some(b) = b else { return Ok(y) };
    ensure!(b.dims() == [w.dims()[0]], "a bias of shape {:?} does not match {} channels", b.dims(), w.dims()[0]);
    Ok(y.broadcast_add(&b.reshape((1, b.elem_count(), 1, 1))?)?)
}

/// The VJP of [`conv2d`] with respect to `x`, of shape `input`. For each phase of the stride, this is a convolution of `dy` with
/// the flipped weight, which avoids multiplying by inserted zeros.
pub fn conv2d_input_vjp(dy: &Tensor, w: &Tensor, input: &[usize], conv: &Conv2d) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if cuda::serves(dy) {
        return cuda::conv2d_input_vjp(dy, w, input, conv);
    }
    check_gradient(dy, w.dims(), input, conv)?;
    let w = turned(w, conv.groups)?;
    let [rows, columns] = phases(w.dims(), conv);
    let out = [input[2].div_ceil(conv.stride.0), input[3].div_ceil(conv.stride.1)];
    let one = |row: &Phase, column: &Phase| -> Result<Tensor> {
        if row.taps.is_empty() || column.taps.is_empty() || dy.elem_count() == 0 {
            let shape = (input[0], input[1], out[0], out[1]);
            return Ok(Tensor::zeros(shape, dy.dtype(), dy.device())?);
        }
        let w = w.index_select(&Tensor::new(row.taps.as_slice(), dy.device())?, 2)?;
        let w = w.index_select(&Tensor::new(column.taps.as_slice(), dy.device())?, 3)?;
        let (start, dilation) = ([row.start, column.start], [row.step, column.step]);
        Slide { start, out, stride: [1, 1], dilation, groups: conv.groups }.run(dy, &w)
    };
    let line = |row: &Phase| -> Result<Tensor> {
        interleave(&columns.iter().map(|column| one(row, column)).collect::<Result<Vec<_>>>()?, 3)
    };
    let dx = interleave(&rows.iter().map(line).collect::<Result<Vec<_>>>()?, 2)?;
    Ok(dx.narrow(2, 0, input[2])?.narrow(3, 0, input[3])?.contiguous()?)
}

/// The VJP of [`conv2d`] with respect to `w`, of shape `weight`: one matrix product per tap, over the batch and all positions.
pub fn conv2d_weight_vjp(dy: &Tensor, x: &Tensor, weight: &[usize], conv: &Conv2d) -> Result<Tensor> {
    #[cfg(feature = "cudnn")]
    if cuda::serves(dy) {
        return cuda::conv2d_weight_vjp(dy, x, weight, conv);
    }
    check_gradient(dy, weight, x.dims(), conv)?;
    if dy.elem_count() == 0 {
        return Ok(Tensor::zeros(weight, dy.dtype(), dy.device())?);
    }
    let slide = Slide::forward(x.dims(), weight, conv)?;
    let dy = slide.grouped(&dy.transpose(0, 1)?)?;
    let x = slide.framed(x, weight)?.transpose(0, 1)?.contiguous()?;
    let of_tap = |tap| Ok(dy.matmul(&slide.seen(&x, tap)?.t()?)?);
    let taps = taps(weight).map(of_tap).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::stack(&taps, 3)?.reshape(weight)?)
}

impl Slide {
    fn forward(x: &[usize], weight: &[usize], conv: &Conv2d) -> Result<Self> {
        let (oh, ow) = conv.check(x, weight)?;
        Ok(Self {
            start: [-(conv.padding.0 as isize), -(conv.padding.1 as isize)],
            out: [oh, ow],
            stride: [conv.stride.0, conv.stride.1],
            dilation: [conv.dilation.0, conv.dilation.1],
            groups: conv.groups,
        })
    }

    /// Convolves `(N, C, H, W)` with `(O, C/groups, kh, kw)`. Returns `(N, O, oh, ow)`.
    fn run(&self, x: &Tensor, w: &Tensor) -> Result<Tensor> {
        let (n, outputs) = (x.dims()[0], w.dims()[0]);
        if n == 0 {
            return Ok(Tensor::zeros((0, outputs, self.out[0], self.out[1]), x.dtype(), x.device())?);
        }
        let padding = self.padding(x.dims(), w.dims());
        let x = if padding.is_some() { x.clone() } else { self.framed(x, w.dims())? };
        let alike = |pair: [usize; 2]| pair[0] == pair[1];
        if self.groups == 1 && alike(self.stride) && alike(self.dilation) && !is_mistaken(&x) {
            let padding = padding.unwrap_or(0);
            return Ok(x.contiguous()?.conv2d(&w.contiguous()?, padding, self.stride[0], self.dilation[0], 1)?);
        }
        let x = if padding.is_some() { self.framed(&x, w.dims())? } else { x };
        // Candle convolves groups one at a time and supports only equal strides. Use one product per tap instead, over all groups
        // at once.
        let x = x.transpose(0, 1)?.contiguous()?;
        let of_tap = |tap: (usize, usize)| -> Result<Tensor> {
            let w = w.narrow(2, tap.0, 1)?.narrow(3, tap.1, 1)?;
            let w = w.reshape((self.groups, outputs / self.groups, w.dims()[1]))?;
            Ok(w.contiguous()?.matmul(&self.seen(&x, tap)?)?)
        };
        let mut parts = taps(w.dims()).map(of_tap);
        let first = parts.next().expect("a convolution has at least one tap")?;
        let y = parts.try_fold(first, |sum, part| -> Result<_> { Ok((sum + part?)?) })?;
        Ok(y.reshape((outputs, n, self.out[0], self.out[1]))?.transpose(0, 1)?.contiguous()?)
    }

    /// The padding with which a plain convolution yields the same outputs. `None` if there is no such padding; then `x` must be
    /// cropped and zero-padded by [`framed`](Self::framed) first.
    fn padding(&self, x: &[usize], weight: &[usize]) -> Option<usize> {
        let padding = usize::try_from(-self.start[0]).ok()?;
        let fits = |axis: usize| {
            let reach = (weight[2 + axis] - 1) * self.dilation[axis];
            let room = (x[2 + axis] + 2 * padding).checked_sub(reach + 1);
            self.start[axis] == self.start[0] && room.is_some_and(|r| r / self.stride[axis] + 1 == self.out[axis])
        };
        (0..2).all(fits).then_some(padding)
    }

    /// The part of `x`, `(N, C, H, W)`, that the taps read, extended to a multiple of the stride, with zeros outside `x`.
    fn framed(&self, x: &Tensor, weight: &[usize]) -> Result<Tensor> {
        let size = |axis: usize| self.out[axis] * self.stride[axis] + (weight[2 + axis] - 1) * self.dilation[axis];
        window(&window(x, 2, self.start[0], size(0), 0.0)?, 3, self.start[1], size(1), 0.0)
    }

    /// The elements of a framed `(C, N, H, W)` tensor that one tap reads, as `(groups, C/groups, N · oh · ow)`.
    fn seen(&self, x: &Tensor, tap: (usize, usize)) -> Result<Tensor> {
        let rows = every(x, 2, tap.0 * self.dilation[0], self.stride[0], self.out[0])?;
        self.grouped(&every(&rows, 3, tap.1 * self.dilation[1], self.stride[1], self.out[1])?)
    }

    /// Reshapes `(C, N, oh, ow)` to `(groups, C/groups, N · oh · ow)`.
    fn grouped(&self, x: &Tensor) -> Result<Tensor> {
        let channels = x.dims()[0];
        Ok(x.contiguous()?.reshape((self.groups, channels / self.groups, x.elem_count() / channels))?)
    }
}

/// Whether candle 0.9.2 computes this convolution incorrectly or does not support it. On the CPU, it treats feature maps with equal numbers
/// of channels, rows and columns as channels last, and cuDNN has no algorithm for many f64 convolutions.
fn is_mistaken(x: &Tensor) -> bool {
    let even = x.dims()[1..].iter().all(|&n| n == x.dims()[1]);
    (x.device().is_cpu() && even) || (x.device().is_cuda() && x.dtype() == DType::F64)
}

fn taps(weight: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    let (kh, kw) = (weight[2], weight[3]);
    (0..kh).flat_map(move |a| (0..kw).map(move |b| (a, b)))
}

/// Swaps the input and output channels of a weight: `(O, C/groups, kh, kw)` becomes `(C, O/groups, kh, kw)`.
fn turned(w: &Tensor, groups: usize) -> Result<Tensor> {
    let (o, c, kh, kw) = w.dims4()?;
    let by_group = w.reshape((groups, o / groups, c, kh, kw))?.transpose(1, 2)?.contiguous()?;
    Ok(by_group.reshape((groups * c, o / groups, kh, kw))?)
}

/// The phases along height and width, one per position within the stride.
///
/// Input `m · s + r` is read by tap `t` of output `m + (r + p − t · d) / s` if that is an integer, for stride `s`, padding `p`,
/// dilation `d` and phase `r`.
fn phases(weight: &[usize], conv: &Conv2d) -> [Vec<Phase>; 2] {
    let axis = |kernel: usize, s: usize, p: usize, d: usize| {
        let phase = |r: usize| {
            let taps: Vec<_> = (0..kernel).rev().filter(|t| (r + p).abs_diff(t * d).is_multiple_of(s)).collect();
            let place = |t: usize| ((r + p) as isize - (t * d) as isize) / s as isize;
            let start = taps.first().map_or(0, |&t| place(t));
            let step = taps.get(1).map_or(1, |&t| (place(t) - start) as usize);
            Phase { taps: taps.into_iter().map(|t| t as u32).collect(), start, step }
        };
        (0..s).map(phase).collect()
    };
    [
        axis(weight[2], conv.stride.0, conv.padding.0, conv.dilation.0),
        axis(weight[3], conv.stride.1, conv.padding.1, conv.dilation.1),
    ]
}

fn check_gradient(dy: &Tensor, weight: &[usize], input: &[usize], conv: &Conv2d) -> Result<()> {
    let (oh, ow) = conv.check(input, weight)?;
    let expected = [input[0], weight[0], oh, ow];
    ensure!(dy.dims() == expected, "a gradient of shape {:?} does not match the output shape {expected:?}", dy.dims());
    Ok(())
}
