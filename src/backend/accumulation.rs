//! How convolutions accumulate products.

use gradscope_engine::Algorithm;

/// How a convolution accumulates products; stored in each [`Conv2d`](super::Conv2d).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Accumulation {
    /// Direct summation in the dtype of the tensors, with the smallest rounding errors.
    #[default]
    Direct,
    /// Winograd transforms for small kernels: faster, with larger rounding errors (Lavin & Gray 2015, arXiv:1509.09308). On a GPU, the
    /// algorithm preferred by cuDNN, in full f32.
    Winograd,
    /// On a CUDA device, products of f32 values rounded to TF32 (10 mantissa bits). On other devices, the same as `Winograd`.
    Tf32,
    /// On CPUs that multiply bf16, products of inputs and weights rounded to bf16 (7 mantissa bits), accumulated in f32, where they are
    /// faster than Winograd transforms. Elsewhere, the same as `Winograd`.
    Bf16,
}

impl From<Accumulation> for Algorithm {
    fn from(accumulation: Accumulation) -> Self {
        match accumulation {
            Accumulation::Direct => Self::Direct,
            Accumulation::Winograd | Accumulation::Tf32 => Self::SmallBatch,
            Accumulation::Bf16 => Self::Bf16,
        }
    }
}
