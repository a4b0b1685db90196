//! Whether 3x3 convolutions are summed directly or by Winograd's transforms.

use gradscope_engine::Algorithm;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

static EXACT: AtomicBool = AtomicBool::new(true);

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Sums 3x3 convolutions directly (`true`, as at first), or by Winograd's transforms, which are faster and round more.
pub fn set_exact(exact: bool) {
    EXACT.store(exact, Ordering::Relaxed);
}

/// Whether 3x3 convolutions that this thread asks for are summed directly.
pub fn exact() -> bool {
    EXACT.load(Ordering::Relaxed) || HERE.get()
}

/// How the engine takes the sums of convolutions.
pub fn sums(exact: bool) -> Algorithm {
    if exact { Algorithm::Direct } else { Algorithm::SmallBatch }
}

/// Calls `f`; where `exact` is said, convolutions that it asks for on this thread are summed directly.
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
