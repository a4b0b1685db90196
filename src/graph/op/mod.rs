//! Operations, one a file: how to compute it, its gradient, and what else is known of it. [`SPECS`] lists them.

mod adaptive_avg_pool;
mod add;
mod attribute;
mod avg_pool;
mod batch_norm;
mod concat;
mod conv;
mod conv_transpose;
mod crop;
mod draw;
mod dropout;
mod flatten;
mod global_avg_pool;
mod input;
mod instance_norm;
mod leaky_relu;
mod linear;
mod log_softmax;
mod lrn;
mod max_pool;
mod mul;
mod normalize;
mod pad;
mod reflect_pad;
mod relu;
mod reshape;
mod sigmoid;
mod sin;
mod slice;
mod softmax;
mod spec;
mod tanh;
mod windows;

pub use attribute::{Attribute, Attributes};
pub use draw::{Case, Draw};
pub use spec::{Argument, Build, DefaultValue, Family, FromShapes, Inputs, OpSpec, Relevance, Shapes, table};

use super::node::Parameter;
use super::trace::Site;
use crate::kernel::{Conv2d, Pool2d};
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use gradscope_engine::StridedSlice;
use std::fmt::Debug;
use std::sync::{Arc, LazyLock};

/// Exports operations and lists their specs.
macro_rules! operations {
    ($($file:ident::$op:ident),* $(,)?) => {
        $(pub use $file::$op;)*

        /// Every kind of operation, in the order of documentation.
        pub static SPECS: &[&OpSpec] = &[$(&$file::SPEC),*, &dropout::CHANNELS];
    };
}

operations![
    input::Input,
    normalize::Normalize,
    conv::Conv,
    conv_transpose::ConvTranspose,
    linear::Linear,
    batch_norm::BatchNorm,
    instance_norm::InstanceNorm,
    lrn::Lrn,
    relu::Relu,
    leaky_relu::LeakyRelu,
    sigmoid::Sigmoid,
    tanh::Tanh,
    sin::Sin,
    max_pool::MaxPool,
    avg_pool::AvgPool,
    adaptive_avg_pool::AdaptiveAvgPool,
    global_avg_pool::GlobalAvgPool,
    add::Add,
    mul::Mul,
    concat::Concat,
    flatten::Flatten,
    reshape::Reshape,
    slice::Slice,
    pad::Pad,
    reflect_pad::ReflectPad,
    crop::Crop,
    dropout::Dropout,
    softmax::Softmax,
    log_softmax::LogSoftmax,
];

/// What selectors and scripts call the kinds of operations.
pub static KINDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| SPECS.iter().map(|spec| spec.kind).collect());

/// The kind of this name.
pub fn spec(kind: &str) -> Option<&'static OpSpec> {
    SPECS.iter().copied().find(|spec| spec.kind == kind)
}

/// The family of this name.
pub fn family(name: &str) -> Option<Family> {
    Family::ALL.into_iter().find(|family| family.name() == name)
}

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
    Pick(StridedSlice),
    /// `(N, …)` to `(N, features)`.
    Flatten,
    /// The value that it reads.
    Same,
    /// Anything else.
    Other,
}

/// What a node computes. Values are `(N, …)` tensors; every operation works for any `N ≥ 1` and for f32 and f64.
pub trait Op: Debug + Send + Sync {
    /// What is known of its kind.
    fn spec(&self) -> &'static OpSpec;

    /// What selectors and scripts call its kind.
    fn kind(&self) -> &'static str {
        self.spec().kind
    }

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

/// Dimension 1 of the first value that is read.
fn channels(x: &[&[usize]]) -> Result<usize> {
    x.first().and_then(|shape| shape.get(1)).copied().context("it reads a value without channels")
}

/// The `(N, C, H, W)` of the only input.
fn maps(x: &[&[usize]]) -> Result<[usize; 4]> {
    ensure!(x.len() == 1 && x[0].len() == 4, "it reads one (N, C, H, W) value, got {x:?}");
    Ok([x[0][0], x[0][1], x[0][2], x[0][3]])
}
