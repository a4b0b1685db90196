//! Selects the kernels for a tensor's device.

use candle_core::Tensor;
use std::sync::LazyLock;

/// Whether the environment variable `GRADSCOPE_PORTABLE` enables the portable kernels on the CPU, so that they can be tested
/// without another device.
static ASKED: LazyLock<bool> = LazyLock::new(|| std::env::var_os("GRADSCOPE_PORTABLE").is_some_and(|v| !v.is_empty()));

/// Whether operations on a tensor use the portable kernels instead of the CPU kernels.
pub fn runs_portably(x: &Tensor) -> bool {
    !x.device().is_cpu() || *ASKED
}
