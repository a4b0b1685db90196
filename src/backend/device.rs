//! Which kernels a tensor's device takes.

use candle_core::Tensor;
use std::sync::LazyLock;

/// Whether the environment's `GRADSCOPE_PORTABLE` asks for the portable kernels on the CPU too, to try them where no other device is.
static ASKED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("GRADSCOPE_PORTABLE").is_some_and(|v| !v.is_empty()));

/// Whether a tensor is computed on by the portable kernels, not by those for the CPU.
pub fn runs_portably(x: &Tensor) -> bool {
    !x.device().is_cpu() || *ASKED
}
