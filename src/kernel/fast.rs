//! The engine behind tensors: f32 convolutions, channels-last inside and channels first outside.

use super::access::{read, tensor};
use super::conv::Conv2d;
use super::filters::{Way, filter};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use gradscope_engine::{
    Epilogue, Filter, Map, MapMut, Sizes, Slide, Sums, WeightGradient, to_channels_first, to_channels_last,
};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};

static EXACT: AtomicBool = AtomicBool::new(true);

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Sums 3x3 convolutions directly (`true`, as at first), or by Winograd's transforms, which are faster and round more.
pub fn set_exact(exact: bool) {
    EXACT.store(exact, Ordering::Relaxed);
}

/// Whether 3x3 convolutions that this thread asks for are summed directly.
pub fn exact() -> bool {
    EXACT.load(Ordering::Relaxed) || HERE.get()
}

/// How the engine takes the sums of convolutions.
pub fn sums(exact: bool) -> Sums {
    if exact { Sums::Exact } else { Sums::Few }
}

/// Calls `f`; where `exact` is said, convolutions that it asks for on this thread are summed directly.
pub fn exactly<O>(exact: bool, f: impl FnOnce() -> O) -> O {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _back = Back(HERE.replace(exact || HERE.get()));
    f()
}

/// What the engine calls a convolution of `x`, `(N, C, H, W)`, with a weight of this shape.
pub fn sizes(x: &[usize], weight: &[usize], conv: &Conv2d) -> Result<(Sizes, Slide)> {
    let to = conv.check(x, weight)?;
    let sizes = Sizes { input: x[1], output: weight[0], from: (x[2], x[3]), to };
    let slide = Slide {
        kernel: (weight[2], weight[3]),
        stride: conv.stride,
        padding: conv.padding,
        dilation: conv.dilation,
        groups: conv.groups,
    };
    Ok((sizes, slide))
}

pub(super) fn forward(x: &Tensor, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Result<Tensor> {
    let (sizes, slide) = sizes(x.dims(), w.dims(), conv)?;
    let filter = filter(w, Way::Forward, sizes, slide)?;
    let bias = b.map(|b| b.to_vec1::<f32>()).transpose()?;
    ensure!(
        bias.as_ref().is_none_or(|b| b.len() == sizes.output),
        "{:?} numbers of bias for {} channels",
        bias.map(|b| b.len()),
        sizes.output
    );
    let epilogue = Epilogue { bias: bias.as_deref(), ..Epilogue::default() };
    apply(x, &filter, [x.dims()[0], sizes.output, sizes.to.0, sizes.to.1], epilogue)
}

pub(super) fn input_vjp(dy: &Tensor, w: &Tensor, input: &[usize], conv: &Conv2d) -> Result<Tensor> {
    let (sizes, slide) = sizes(input, w.dims(), conv)?;
    check_gradient(dy, input[0], sizes)?;
    let filter = filter(w, Way::Backward, sizes, slide)?;
    apply(dy, &filter, [input[0], input[1], input[2], input[3]], Epilogue::default())
}

pub(super) fn weight_vjp(dy: &Tensor, x: &Tensor, weight: &[usize], conv: &Conv2d) -> Result<Tensor> {
    let (sizes, slide) = sizes(x.dims(), weight, conv)?;
    check_gradient(dy, x.dims()[0], sizes)?;
    let (mut dy_last, mut x_last) = (Scratch::new(dy.elem_count()), Scratch::new(x.elem_count()));
    channels_last(dy, &mut dy_last.0)?;
    channels_last(x, &mut x_last.0)?;
    let mut dw = vec![0f32; weight.iter().product()];
    WeightGradient::new(sizes, slide).run(&map(&dy_last.0, dy.dims()), &map(&x_last.0, x.dims()), &mut dw);
    tensor(dw, weight)
}

fn check_gradient(dy: &Tensor, batch: usize, sizes: Sizes) -> Result<()> {
    let expected = [batch, sizes.output, sizes.to.0, sizes.to.1];
    ensure!(dy.dims() == expected, "a gradient of shape {:?} for an output of {expected:?}", dy.dims());
    Ok(())
}

/// A filter on a tensor, to one of this shape.
fn apply(x: &Tensor, filter: &Filter, to: [usize; 4], epilogue: Epilogue) -> Result<Tensor> {
    let [n, c, h, w] = to;
    let mut y = vec![0f32; n * c * h * w];
    let mut from = Scratch::new(x.elem_count());
    channels_last(x, &mut from.0)?;
    let from = map(&from.0, x.dims());
    if c == 1 || h * w == 1 {
        filter.run(&from, &mut MapMut::new(&mut y, [n, h, w, c], c), epilogue);
        return tensor(y, &to);
    }
    let mut last = Scratch::new(y.len());
    filter.run(&from, &mut MapMut::new(&mut last.0, [n, h, w, c], c), epilogue);
    to_channels_first(&Map::new(&last.0, [n, h, w, c], c), &mut y);
    tensor(y, &to)
}

/// Numbers of any content; the thread keeps them for who asks next.
struct Scratch(Vec<f32>);

/// Numbers that a thread keeps at most.
const KEPT: usize = 1 << 24;

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(vec![]) };
}

impl Scratch {
    fn new(len: usize) -> Self {
        let mut numbers = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
        numbers.resize(len, 0.0);
        Self(numbers)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.0.len() <= KEPT {
            SCRATCH.with_borrow_mut(|all| all.push(std::mem::take(&mut self.0)));
        }
    }
}

/// Writes the numbers of `(N, C, H, W)` with the channels last.
fn channels_last(x: &Tensor, last: &mut [f32]) -> Result<()> {
    let (n, c, h, w) = x.dims4()?;
    read::<f32, _>(x, |x| {
        if c == 1 || h * w == 1 {
            last.copy_from_slice(x);
        } else {
            to_channels_last(x, &mut MapMut::new(last, [n, h, w, c], c));
        }
        Ok(())
    })
}

fn map<'a>(numbers: &'a [f32], dims: &[usize]) -> Map<'a> {
    Map::new(numbers, [dims[0], dims[2], dims[3], dims[1]], dims[1])
}
