//! How convolutions compute their sums of products.

use gradscope_engine::Algorithm;

/// How a convolution computes its sums of products. Part of every [`Conv2d`](super::Conv2d).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Accumulation {
    /// Products are summed directly, in the dtype of the tensors: the smallest rounding errors.
    #[default]
    Direct,
    /// Winograd transforms for small kernels: faster, with larger rounding errors (Lavin and Gray 2016, arXiv:1509.09308). A GPU
    /// uses the algorithm that its library prefers, in full f32.
    Winograd,
    /// On a CUDA device, products of f32 values rounded to TF32 (10 mantissa bits); on other devices, the same as `Winograd`.
    Tf32,
}

impl From<Accumulation> for Algorithm {
    fn from(accumulation: Accumulation) -> Self {
        match accumulation {
            Accumulation::Direct => Self::Direct,
            Accumulation::Winograd | Accumulation::Tf32 => Self::SmallBatch,
        }
    }
}
