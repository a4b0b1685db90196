//! f32 convolutions of candle tensors by the engine, with conversion between channels-first tensors and channels-last feature
//! maps.

use super::filters::{Direction, filter};
use crate::backend::storage::{read, tensor};
use crate::backend::window::Conv2d;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use gradscope_engine::{
    Epilogue, Filter, Map, MapMut, Sizes, Slide, WeightGradient, to_channels_first, to_channels_last,
};

/// The engine's parameters for a convolution of an input of shape `x`, `(N, C, H, W)`, with a weight of shape `weight`.
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
    let filter = filter(w, Direction::Forward, (sizes, slide), conv.accumulation)?;
    let bias = b.map(|b| b.to_vec1::<f32>()).transpose()?;
    ensure!(
        bias.as_ref().is_none_or(|b| b.len() == sizes.output),
        "a bias of shape {:?} does not match {} channels",
        bias.map(|b| b.len()),
        sizes.output
    );
    let epilogue = Epilogue { bias: bias.as_deref(), ..Epilogue::default() };
    apply(x, &filter, [x.dims()[0], sizes.output, sizes.to.0, sizes.to.1], epilogue)
}

pub(super) fn input_vjp(dy: &Tensor, w: &Tensor, input: &[usize], conv: &Conv2d) -> Result<Tensor> {
    let (sizes, slide) = sizes(input, w.dims(), conv)?;
    check_gradient(dy, input[0], sizes)?;
    let filter = filter(w, Direction::Backward, (sizes, slide), conv.accumulation)?;
    apply(dy, &filter, [input[0], input[1], input[2], input[3]], Epilogue::default())
}

pub(super) fn weight_vjp(dy: &Tensor, x: &Tensor, weight: &[usize], conv: &Conv2d) -> Result<Tensor> {
    let (sizes, slide) = sizes(x.dims(), weight, conv)?;
    check_gradient(dy, x.dims()[0], sizes)?;
    let (dy_last, x_last) = (channels_last(dy)?, channels_last(x)?);
    let mut dw = vec![0f32; weight.iter().product()];
    let gradient = WeightGradient::new(sizes, slide, conv.accumulation.into());
    gradient.run(&map(&dy_last, dy.dims()), &map(&x_last, x.dims()), &mut dw);
    tensor(dw, weight)
}

fn check_gradient(dy: &Tensor, batch: usize, sizes: Sizes) -> Result<()> {
    let expected = [batch, sizes.output, sizes.to.0, sizes.to.1];
    ensure!(dy.dims() == expected, "a gradient of shape {:?} does not match the output shape {expected:?}", dy.dims());
    Ok(())
}

/// Applies a filter to the tensor `x`; `to` is the output shape, `[N, C, H, W]`.
fn apply(x: &Tensor, filter: &Filter, to: [usize; 4], epilogue: Epilogue) -> Result<Tensor> {
    let [n, c, h, w] = to;
    let from = channels_last(x)?;
    let mut last = vec![0f32; n * c * h * w];
    filter.run(&map(&from, x.dims()), &mut MapMut::new(&mut last, [n, h, w, c], c), epilogue);
    if c == 1 || h * w == 1 {
        return tensor(last, &to);
    }
    let mut y = vec![0f32; last.len()];
    to_channels_first(&Map::new(&last, [n, h, w, c], c), &mut y);
    tensor(y, &to)
}

/// The elements of `x`, `(N, C, H, W)`, in channels-last order.
fn channels_last(x: &Tensor) -> Result<Vec<f32>> {
    let (n, c, h, w) = x.dims4()?;
    read::<f32, _>(x, |x| {
        if c == 1 || h * w == 1 {
            return Ok(x.to_vec());
        }
        let mut last = vec![0f32; x.len()];
        to_channels_last(x, &mut MapMut::new(&mut last, [n, h, w, c], c));
        Ok(last)
    })
}

fn map<'a>(numbers: &'a [f32], dims: &[usize]) -> Map<'a> {
    Map::new(numbers, [dims[0], dims[2], dims[3], dims[1]], dims[1])
}
