//! Whether 3x3 convolutions use direct sums or Winograd transforms.

use gradscope_engine::Algorithm;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

static EXACT: AtomicBool = AtomicBool::new(true);

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Selects direct sums (`true`, the default) or Winograd transforms for 3x3 convolutions. Winograd transforms are faster and
/// round more.
pub fn set_exact(exact: bool) {
    EXACT.store(exact, Ordering::Relaxed);
}

/// Whether 3x3 convolutions on this thread use direct sums.
pub fn exact() -> bool {
    EXACT.load(Ordering::Relaxed) || HERE.get()
}

/// The engine's algorithm for convolutions: direct sums if `exact`, else Winograd transforms.
pub fn sums(exact: bool) -> Algorithm {
    if exact { Algorithm::Direct } else { Algorithm::SmallBatch }
}

/// Calls `f`. With `exact`, convolutions that `f` runs on this thread use direct sums.
pub fn with_direct_sums<O>(exact: bool, f: impl FnOnce() -> O) -> O {
    struct Back(bool);
    impl Drop for Back {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _back = Back(HERE.replace(exact || HERE.get()));
    f()
}
