//! Operation kinds, one family a file; `forward` and `vjp` stand next to each other.

mod arithmetic;
mod conv;
mod input;
mod linear;
mod norm;
mod pointwise;
mod pool;
mod shape;
mod softmax;

pub use arithmetic::{Add, Mul};
pub use conv::{Conv, ConvTranspose};
pub use input::{Input, Normalize};
pub use linear::Linear;
pub use norm::{BatchNorm, InstanceNorm, Lrn};
pub use pointwise::{LeakyRelu, Relu, Sigmoid, Sin, Tanh};
pub use pool::{AdaptiveAvgPool, AvgPool, GlobalAvgPool, MaxPool};
pub use shape::{Concat, Crop, Dropout, Flatten, Pad, ReflectPad, Reshape, Slice};
pub use softmax::{LogSoftmax, Softmax};

use super::node::Parameter;
use super::trace::Site;
use crate::kernel::{Conv2d, Pool2d};
use anyhow::{Result, ensure};
use candle_core::Tensor;
use gradscope_engine::Pick;
use std::fmt::Debug;
use std::sync::Arc;

/// Every kind there is, as selectors and scripts call them.
pub const KINDS: &[&str] = &[
    "input",
    "normalize",
    "conv",
    "conv_transpose",
    "linear",
    "batch_norm",
    "instance_norm",
    "lrn",
    "relu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "sin",
    "max_pool",
    "avg_pool",
    "adaptive_avg_pool",
    "global_avg_pool",
    "add",
    "mul",
    "concat",
    "flatten",
    "reshape",
    "slice",
    "pad",
    "reflect_pad",
    "crop",
    "dropout",
    "softmax",
    "log_softmax",
];

/// What a fused run has to know of an operation; it computes the others one by one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// A convolution with these strides.
    Conv(Conv2d),
    /// `x wᵀ + b`.
    Linear,
    /// A factor and a summand a channel.
    Affine,
    /// `max(0, x)`.
    Relu,
    /// The greatest of each window.
    Max(Pool2d),
    /// The mean of each window, its padding included or not.
    Mean(Pool2d, bool),
    /// A sum of values.
    Add,
    /// Channels one behind the other.
    Concat,
    /// Some pixels, among channels of zeros.
    Pick(Pick),
    /// `(N, …)` to `(N, features)`.
    Flatten,
    /// The value that it reads.
    Same,
    /// Anything else.
    Other,
}

/// What a node computes. Values are `(N, …)` tensors; every operation works for any `N ≥ 1` and for f32 and f64.
pub trait Op: Debug + Send + Sync {
    /// The kind as selectors and scripts call it: one of [`KINDS`].
    fn kind(&self) -> &'static str;

    /// The shape of the value for inputs of these shapes, or why they do not fit.
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>>;

    /// The parameters it needs, by their names within the node: `weight`, `bias`, …
    fn params(&self) -> Vec<Parameter> {
        vec![]
    }

    /// What it is to a fused run, for a first input of this shape.
    fn form(&self, _x: &[usize]) -> Form {
        Form::Other
    }

    /// `y = f(x; w)`.
    fn forward(&self, x: &[&Tensor], w: &[Tensor]) -> Result<Tensor>;

    /// `dyᵀ · ∂y/∂xᵢ`, of the shape of `x[i]`.
    fn vjp(&self, at: &Site, w: &[Tensor], dy: &Tensor, i: usize) -> Result<Tensor>;

    /// `dyᵀ · ∂y/∂w` for each parameter, summed over the batch; those that are not trained may be left as zeros.
    fn vjp_params(&self, _at: &Site, _w: &[Tensor], _dy: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![])
    }

    /// A pool with the same windows that takes their mean.
    fn mean(&self) -> Option<Arc<dyn Op>> {
        None
    }

    /// What training drops of its value, if it does.
    fn dropout(&self) -> Option<Dropout> {
        None
    }

    /// The same operation with a bias, for those that may have one.
    fn with_bias(&self) -> Option<Arc<dyn Op>> {
        None
    }
}

/// A parameter that training changes.
fn trained(name: &str, shape: &[usize]) -> Parameter {
    Parameter { name: name.into(), shape: shape.to_vec(), trained: true }
}

/// The `(N, C, H, W)` of the only input.
fn maps(x: &[&[usize]]) -> Result<[usize; 4]> {
    ensure!(x.len() == 1 && x[0].len() == 4, "it reads one (N, C, H, W) value, got {x:?}");
    Ok([x[0][0], x[0][1], x[0][2], x[0][3]])
}
