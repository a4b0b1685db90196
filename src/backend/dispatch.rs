//! Kernels for both the CPU and other devices, selected by the device of the first argument.

use super::cpu;
use super::device::runs_portably;
use super::portable::{self, Portable};
use super::shares::Shares;
use super::taps::Resize;
use super::window::{Conv2d, Pool2d};
use crate::tensor::wide;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use gradscope_engine::{Activation, Pointwise, Real};

/// Defines functions that call the function of the same name in [`cpu`] or [`portable`], depending on the device of the first
/// argument.
macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident($x:ident $(, $argument:ident: $type:ty)*) -> $answer:ty;)*) => {$(
        $(#[$doc])*
        pub fn $name($x: &Tensor $(, $argument: $type)*) -> Result<$answer> {
            if runs_portably($x) { portable::$name($x $(, $argument)*) } else { cpu::$name($x $(, $argument)*) }
        }
    )*};
}

kernels! {
    /// `y = x ∗ w + b` for `x` `(N, C, H, W)`, `w` `(O, C/groups, kh, kw)` and `b` `(O)`; PyTorch's `conv2d`.
    conv2d(x, w: &Tensor, b: Option<&Tensor>, conv: &Conv2d) -> Tensor;
    /// The VJP of [`conv2d`] with respect to `x`, `dyᵀ · ∂y/∂x`, of shape `input`.
    conv2d_input_vjp(dy, w: &Tensor, input: &[usize], conv: &Conv2d) -> Tensor;
    /// The VJP of [`conv2d`] with respect to `w`, `dyᵀ · ∂y/∂w`, of shape `weight`, summed over the batch.
    conv2d_weight_vjp(dy, x: &Tensor, weight: &[usize], conv: &Conv2d) -> Tensor;

    /// The maximum of each window, `(N, C, oh, ow)`; −∞ for windows that lie entirely outside the feature map. PyTorch's
    /// `max_pool2d`.
    max_pool2d(x, pool: &Pool2d) -> Tensor;
    /// The VJP of [`max_pool2d`]: each window's gradient is routed to its maximum (in a tie, the first in row-major order).
    max_pool2d_vjp(dy, x: &Tensor, pool: &Pool2d) -> Tensor;
    /// The mean of each window, `(N, C, oh, ow)`; padding counts as zeros if `include_pad`. PyTorch's `avg_pool2d`.
    avg_pool2d(x, pool: &Pool2d, include_pad: bool) -> Tensor;
    /// The VJP of [`avg_pool2d`] for an `x` of shape `input`.
    avg_pool2d_vjp(dy, input: &[usize], pool: &Pool2d, include_pad: bool) -> Tensor;

    /// Resizes `(N, C, H, W)` to `(N, C, h, w)`; PyTorch's `interpolate`.
    interpolate(x, size: (usize, usize), mode: Resize) -> Tensor;
    /// The VJP of [`interpolate`] for an `x` of height and width `size`.
    interpolate_vjp(dy, size: (usize, usize), mode: Resize) -> Tensor;

    /// `max(0, x)`, elementwise. Propagates NaN.
    relu(x) -> Tensor;
    /// The VJP of [`relu`]: `dy` where `x` is positive, else 0.
    relu_vjp(dy, x: &Tensor) -> Tensor;
    /// `scale[c] · x + shift[c]` for each channel `c` of `(N, C, …)`.
    channel_affine(x, scale: &Tensor, shift: &Tensor) -> Tensor;
    /// `γ (x − μ) / √(σ² + ε) + β` for each channel of `(N, C, …)`; `parameters` are `[γ, β, μ, σ²]`.
    batch_norm(x, parameters: [&Tensor; 4], epsilon: f64) -> Tensor;
    /// The VJP of [`batch_norm`] with respect to `x`: `γ dy / √(σ² + ε)`.
    batch_norm_vjp(dy, gamma: &Tensor, variance: &Tensor, epsilon: f64) -> Tensor;

    /// The sum of all elements, computed in f64.
    sum(x) -> f64;
    /// Whether every element is 0.
    is_zero(x) -> bool;
    /// Whether no element is negative.
    is_nonnegative(x) -> bool;
}

/// The sum of the magnitudes of all elements, computed in f64.
pub fn sum_of_magnitudes(x: &Tensor) -> Result<f64> {
    if runs_portably(x) { portable::sum(&x.abs()?) } else { cpu::sum_of_magnitudes(x) }
}

/// The sum of the squares of all elements, computed in f64.
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    if runs_portably(x) { portable::sum(&wide(x)?.sqr()?) } else { cpu::sum_of_squares(x) }
}

/// Divides `r` by the stabilized `z`, both `(N, C, …)`, in one pass. Sums are computed in f64, in an order that does not depend
/// on the number of cores.
pub fn lrp_divide(r: &Tensor, z: &Tensor, bias: Option<&Tensor>, epsilon: f64) -> Result<Shares> {
    ensure!(r.dims() == z.dims(), "shapes {:?} and {:?} differ", r.dims(), z.dims());
    if let Some(b) = bias {
        ensure!(
            r.rank() >= 2 && b.dims() == [r.dims()[1]],
            "a tensor of shape {:?} needs one bias per channel, got shape {:?}",
            r.dims(),
            b.dims()
        );
    }
    if runs_portably(r) { portable::lrp_divide(r, z, bias, epsilon) } else { cpu::lrp_divide(r, z, bias, epsilon) }
}

/// Applies the formula `P` with `parameters` to each element of `x`; `activation` is the engine's version of the
/// same formula with the same parameters.
pub fn pointwise<P: Pointwise>(x: &Tensor, activation: Activation, parameters: [f64; 2]) -> Result<Tensor> {
    if runs_portably(x) {
        return Portable::run(x, |x| P::value(x, parameters.map(Portable::of)));
    }
    cpu::pointwise::<P>(x, activation, parameters)
}

/// The VJP of [`pointwise`], `f′ · dy`. The derivative `f′` is computed from the value that the formula saves: its input or its
/// output.
pub fn pointwise_vjp<P: Pointwise>(
    dy: &Tensor,
    saved: &Tensor,
    activation: Activation,
    parameters: [f64; 2],
) -> Result<Tensor> {
    ensure!(dy.dims() == saved.dims(), "shapes {:?} and {:?} differ", dy.dims(), saved.dims());
    if runs_portably(dy) {
        return Ok((Portable::run(saved, |saved| P::slope(saved, parameters.map(Portable::of)))? * dy)?);
    }
    cpu::pointwise_vjp::<P>(dy, saved, activation, parameters)
}
