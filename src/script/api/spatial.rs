//! Functions of pictures and feature maps, `(N, C, H, W)`: convolution, resizing, blur, shifts.

use super::options::CallOptions;
use super::{Guard, finite, number, out, size, sizes};
use crate::backend::{self, Conv2d, GridSample, Resize};
use crate::interrupt::now_and_then;
use crate::script::sandbox::bounded_text;
use crate::tensor::{like, numbers};
use anyhow::{Context, Result, bail, ensure};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Engine, INT, Map};
use std::sync::Arc;

/// Maximum height, width and padding in pixels. Resizing even an empty tensor builds tables with an entry per row and column.
const LARGEST: usize = 65_536;

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    let g = guard.clone();
    engine.register_fn("resize", move |x: Tensor, s: Array| out(resize(&g, &x, &s, "bilinear")));
    let g = guard.clone();
    engine.register_fn("resize", move |x: Tensor, s: Array, mode: &str| out(resize(&g, &x, &s, mode)));
    let g = guard.clone();
    engine.register_fn("conv2d", move |x: Tensor, w: Tensor| out(conv(&g, &x, &w, &Map::new())));
    let g = guard.clone();
    engine.register_fn("conv2d", move |x: Tensor, w: Tensor, options: Map| out(conv(&g, &x, &w, &options)));
    engine.register_fn("gaussian_blur", |x: Tensor, sigma: Dynamic| out(number(&sigma).and_then(|s| blur(&x, s))));
    let g = guard.clone();
    engine.register_fn("pad", move |x: Tensor, sides: Array| out(pad(&g, &x, &sides)));
    engine.register_fn("median_filter", |x: Tensor, s: INT| out(size(s, "a size").and_then(|s| median(&x, s))));
    let g = guard.clone();
    engine.register_fn("affine_grid", move |theta: Tensor, shape: Array| out(affine_grid(&g, &theta, &shape)));
    engine.register_fn("grid_sample", |x: Tensor, grid: Tensor| out(grid_sample(&x, &grid, &Map::new())));
    engine.register_fn("grid_sample", |x: Tensor, grid: Tensor, o: Map| out(grid_sample(&x, &grid, &o)));
    engine.register_fn("roll", |x: Tensor, shift: INT, d: INT| out(roll(&x, shift, d)));
    engine.register_fn("flip", |x: Tensor, d: INT| out(flip(&x, d)));
}

fn resize(guard: &Guard, x: &Tensor, to: &Array, mode: &str) -> Result<Tensor> {
    let to = sizes(to)?;
    ensure!(to.len() == 2, "a size must be [height, width], got {to:?}");
    ensure!(to.iter().all(|&n| n <= LARGEST), "height and width must be at most {LARGEST}, got {to:?}");
    let (n, c, _, _) =
        x.dims4().with_context(|| format!("resize expects a tensor of shape (N, C, H, W), got {:?}", x.dims()))?;
    guard.reserve(&[n, c, to[0], to[1]], x.dtype().size_in_bytes())?;
    let mode = match mode {
        "nearest" => Resize::Nearest,
        "bilinear" => Resize::Bilinear,
        "antialias" => Resize::BilinearAntialias,
        "corners" => Resize::BilinearCorners,
        other => bail!("no resize mode named \"{other}\"; use bilinear, nearest, antialias or corners"),
    };
    backend::interpolate(x, (to[0], to[1]), mode)
}

fn conv(guard: &Guard, x: &Tensor, w: &Tensor, options: &Map) -> Result<Tensor> {
    let [x, w] = &super::promoted([x, w])?;
    let known = ["stride", "padding", "dilation", "groups"];
    if let Some(wrong) = options.keys().find(|k| !known.contains(&k.as_str())) {
        bail!("conv2d has no option \"{wrong}\"; available: {}", known.join(", "));
    }
    let option = |name: &str, default: usize| match options.get(name) {
        None => Ok(default),
        Some(v) => match size(v.as_int().map_err(|t| anyhow::anyhow!("{name} must be an integer, got {t}"))?, name)? {
            v if v <= LARGEST => Ok(v),
            v => bail!("{name} must be at most {LARGEST}, got {v}"),
        },
    };
    let (stride, padding, dilation) = (option("stride", 1)?, option("padding", 0)?, option("dilation", 1)?);
    let slide = Conv2d {
        stride: (stride, stride),
        padding: (padding, padding),
        dilation: (dilation, dilation),
        groups: option("groups", 1)?,
        ..Conv2d::default()
    };
    let (n, _, h, width) =
        x.dims4().with_context(|| format!("conv2d expects a tensor of shape (N, C, H, W), got {:?}", x.dims()))?;
    let (out_channels, ..) =
        w.dims4().with_context(|| format!("a kernel must have shape (O, C, H, W), got {:?}", w.dims()))?;
    guard.reserve(&[n, out_channels, h + 2 * padding, width + 2 * padding], x.dtype().size_in_bytes())?;
    backend::conv2d(x, w, None, &slide)
}

/// Gaussian blur with standard deviation `sigma` in pixels, truncated at 4 σ, with mirrored borders, like SciPy's
/// `gaussian_filter`. A `sigma` of 0 leaves the picture unchanged.
fn blur(x: &Tensor, sigma: f64) -> Result<Tensor> {
    ensure!(
        (0.0..100.0).contains(&sigma),
        "the sigma of gaussian_blur must be at least 0 and below 100 pixels, got {sigma}"
    );
    let (_, c, h, w) = x
        .dims4()
        .with_context(|| format!("gaussian_blur expects a tensor of shape (N, C, H, W), got {:?}", x.dims()))?;
    ensure!(h * w > 0, "the picture has no pixels: its shape is {:?}", x.dims());
    let r = (4.0 * sigma + 0.5) as usize;
    if r == 0 {
        return Ok(x.clone());
    }
    let weight = |i: usize| (-(i as f64 - r as f64).powi(2) / (2.0 * sigma * sigma)).exp();
    let taps: Vec<f64> = (0..=2 * r).map(weight).collect();
    let sum = taps.iter().sum::<f64>();
    let taps = like(taps.iter().map(|tap| tap / sum).collect::<Vec<_>>(), 2 * r + 1, x)?;
    let slide = Conv2d { stride: (1, 1), padding: (0, 0), groups: c, ..Conv2d::default() };
    let across = taps.reshape((1, 1, 1, 2 * r + 1))?.repeat((c, 1, 1, 1))?;
    let down = taps.reshape((1, 1, 2 * r + 1, 1))?.repeat((c, 1, 1, 1))?;
    let beyond = |limit: usize| {
        let places: Vec<u32> = (0..limit + 2 * r).map(|at| mirrored(at, r, limit) as u32).collect();
        Tensor::new(places, x.device())
    };
    let padded = x.index_select(&beyond(h)?, 2)?.index_select(&beyond(w)?, 3)?;
    backend::conv2d(&backend::conv2d(&padded, &across, None, &slide)?, &down, None, &slide)
}

/// The source index of row or column `at` of a mirror-padded picture. Edge pixels are repeated, as in `dcba|abcd|dcba`.
fn mirrored(at: usize, pad: usize, limit: usize) -> usize {
    let place = (at as isize - pad as isize).rem_euclid(2 * limit as isize) as usize;
    place.min(2 * limit - 1 - place)
}

/// The median of each pixel's `size x size` neighborhood, with mirrored borders, like SciPy's `median_filter`.
fn median(x: &Tensor, size: usize) -> Result<Tensor> {
    ensure!((1..=15).contains(&size), "the size of median_filter must be 1 to 15 pixels, got {size}");
    let (n, c, h, w) = x
        .dims4()
        .with_context(|| format!("median_filter expects a tensor of shape (N, C, H, W), got {:?}", x.dims()))?;
    ensure!(h * w > 0, "the picture has no pixels: its shape is {:?}", x.dims());
    let mirrored = |at: usize, limit: usize| mirrored(at, size / 2, limit);
    let values = numbers(x)?;
    let mut around = Vec::with_capacity(size * size);
    let mut y = Vec::with_capacity(values.len());
    for plane in values.chunks_exact(h * w) {
        for (row, column) in (0..h).flat_map(|r| (0..w).map(move |c| (r, c))) {
            now_and_then();
            around.clear();
            let rows = (row..row + size).map(|r| mirrored(r, h) * w);
            around.extend(rows.flat_map(|r| (column..column + size).map(move |c| plane[r + mirrored(c, w)])));
            let nan = around.iter().any(|v| v.is_nan());
            let median = *around.select_nth_unstable_by(size * size / 2, f64::total_cmp).1;
            y.push(if nan { f64::NAN } else { median });
        }
    }
    like(y, (n, c, h, w), x)
}

/// PyTorch's `affine_grid` with `align_corners=False`, for pictures of shape `[N, C, H, W]`.
fn affine_grid(guard: &Guard, theta: &Tensor, shape: &Array) -> Result<Tensor> {
    let shape = sizes(shape)?;
    ensure!(shape.len() == 4, "affine_grid expects a shape [N, C, H, W], got {shape:?}");
    ensure!(shape[2].max(shape[3]) <= LARGEST, "height and width must be at most {LARGEST}, got {shape:?}");
    guard.reserve(&[theta.elem_count(), shape[2], shape[3], 4], 8)?;
    backend::affine_grid(theta, (shape[2], shape[3]), false)
}

/// PyTorch's `grid_sample` with `align_corners=False` and the options `#{ mode: "bilinear" | "nearest", padding_mode: "zeros" |
/// "border" }`.
fn grid_sample(x: &Tensor, grid: &Tensor, options: &Map) -> Result<Tensor> {
    let o = CallOptions::new("grid_sample", options.clone(), &["mode", "padding_mode"])?;
    let choice = |key: &str, [first, second]: [&str; 2]| match o.raw(key).map(bounded_text::text) {
        None => Ok(false),
        Some(name) if name == first || name == second => Ok(name == second),
        Some(other) => bail!("grid_sample has no {key} named \"{other}\"; use {first} or {second}"),
    };
    let nearest = choice("mode", ["bilinear", "nearest"])?;
    let border = choice("padding_mode", ["zeros", "border"])?;
    finite(grid, "grid_sample")?;
    backend::grid_sample(x, grid, GridSample { nearest, border, align_corners: false })
}

/// Pads a map with zeros; `sides` is `[left, right, top, bottom]` in pixels, in PyTorch's order.
pub(super) fn pad(guard: &Guard, x: &Tensor, sides: &Array) -> Result<Tensor> {
    let s = sizes(sides)?;
    ensure!(s.len() == 4 && x.rank() >= 2, "pad expects [left, right, top, bottom], got {s:?}");
    ensure!(s.iter().all(|&n| n <= LARGEST), "padding must be at most {LARGEST}, got {s:?}");
    let (h, w) = (x.rank() - 2, x.rank() - 1);
    let mut shape = x.dims().to_vec();
    (shape[w], shape[h]) = (shape[w] + s[0] + s[1], shape[h] + s[2] + s[3]);
    guard.reserve(&shape, x.dtype().size_in_bytes())?;
    Ok(x.pad_with_zeros(w, s[0], s[1])?.pad_with_zeros(h, s[2], s[3])?)
}

pub(super) fn roll(x: &Tensor, shift: INT, d: INT) -> Result<Tensor> {
    let d = super::dim(x, d)?;
    let total = x.dims()[d] as INT;
    let shift = if total > 0 { shift.rem_euclid(total) } else { 0 } as usize;
    if shift == 0 {
        return Ok(x.clone());
    }
    let rest = total as usize - shift;
    Ok(Tensor::cat(&[x.narrow(d, rest, shift)?, x.narrow(d, 0, rest)?], d)?)
}

pub(super) fn flip(x: &Tensor, d: INT) -> Result<Tensor> {
    let d = super::dim(x, d)?;
    let places: Vec<u32> = (0..x.dims()[d] as u32).rev().collect();
    Ok(x.index_select(&Tensor::new(places, x.device())?, d)?)
}
