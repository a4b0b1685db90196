//! The list of all kinds of operations.

use super::spec::{Family, OpSpec};
use std::sync::LazyLock;

/// Declares the operations' modules and lists their specs.
macro_rules! operations {
    ($($file:ident::$op:ident),* $(,)?) => {
        $(pub use super::$file::$op;)*

        /// Every kind of operation, in documentation order.
        pub static SPECS: &[&OpSpec] = &[$(&super::$file::SPEC),*, &super::dropout::CHANNELS];
    };
}

operations![
    input::Input,
    parameter::Parameter,
    constant::Constant,
    normalize::Normalize,
    conv::Conv,
    conv_transpose::ConvTranspose,
    linear::Linear,
    batch_norm::BatchNorm,
    instance_norm::InstanceNorm,
    layer_norm::LayerNorm,
    group_norm::GroupNorm,
    rms_norm::RmsNorm,
    lrn::Lrn,
    relu::Relu,
    relu6::Relu6,
    leaky_relu::LeakyRelu,
    elu::Elu,
    gelu::Gelu,
    silu::Silu,
    mish::Mish,
    softplus::Softplus,
    sigmoid::Sigmoid,
    hard_sigmoid::HardSigmoid,
    hard_swish::HardSwish,
    hardtanh::Hardtanh,
    tanh::Tanh,
    sin::Sin,
    exp::Exp,
    max_pool::MaxPool,
    avg_pool::AvgPool,
    adaptive_avg_pool::AdaptiveAvgPool,
    global_avg_pool::GlobalAvgPool,
    mean::Mean,
    amax::Amax,
    sum::Sum,
    add::Add,
    sub::Sub,
    mul::Mul,
    div::Div,
    scale::Scale,
    pow::Pow,
    matmul::Matmul,
    concat::Concat,
    flatten::Flatten,
    reshape::Reshape,
    transpose::Transpose,
    permute::Permute,
    expand::Expand,
    slice::Slice,
    select::Select,
    ablate::Ablate,
    gather::Gather,
    pad::Pad,
    same_pad::SamePad,
    reflect_pad::ReflectPad,
    crop::Crop,
    interpolate::Interpolate,
    dropout::Dropout,
    softmax::Softmax,
    log_softmax::LogSoftmax,
];

/// The names of all kinds in selectors and scripts.
pub static KINDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| SPECS.iter().map(|spec| spec.kind).collect());

/// The kind of operation with this name, if there is one.
pub fn spec(kind: &str) -> Option<&'static OpSpec> {
    SPECS.iter().copied().find(|spec| spec.kind == kind)
}

/// The family of operations with this name, if there is one.
pub fn family(name: &str) -> Option<Family> {
    Family::ALL.into_iter().find(|family| family.name() == name)
}
