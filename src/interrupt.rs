//! Cancellation of long computations.
//!
//! A caller installs a probe on its thread with [`within`], and kernels call [`check`] between chunks of work. A kernel that cannot
//! return an error calls [`pass`], which unwinds to the caller. Work handed to other threads carries an [`InterruptProbe`] with it.
//! Tasks of the engine's thread team check the probe as well.

use anyhow::Result;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

/// Returns the reason to stop, or `None` to continue. It is called often and from several threads.
pub type Probe = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Number of calls to [`now_and_then`] per check of the probe.
const SELDOM: u32 = 1 << 12;

thread_local! {
    static PROBE: RefCell<Option<Probe>> = const { RefCell::new(None) };
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// The panic payload with which cancelled work unwinds.
struct BrokenOff;

/// The error returned by cancelled work, with the reason. Scripts cannot catch it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stopped(pub String);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stopped {}

/// Calls `f` with `probe` installed on this thread. If [`pass`] cancels the work, its panic unwinds out of this function; the
/// caller must catch it.
pub fn within<T>(probe: Probe, f: impl FnOnce() -> T) -> T {
    struct Back(Option<Probe>);
    impl Drop for Back {
        fn drop(&mut self) {
            PROBE.set(self.0.take());
        }
    }
    let _back = Back(PROBE.replace(Some(probe)));
    gradscope_engine::thread_team::before_each_task(pass);
    f()
}

/// Returns [`Stopped`] as an error if this thread's probe says to stop.
pub fn check() -> Result<()> {
    InterruptProbe::here().check()
}

/// Unwinds to the caller of [`within`] if the work should stop, without reporting a panic.
pub fn pass() {
    let ends = PROBE.with_borrow(|probe| probe.as_ref().is_some_and(|probe| probe().is_some()));
    if ends && !std::thread::panicking() {
        resume_unwind(Box::new(BrokenOff));
    }
}

/// Like [`pass`], for short loop bodies: checks the probe once every 4,096 calls.
pub fn now_and_then() {
    let calls = CALLS.get().wrapping_add(1);
    CALLS.set(calls);
    if calls.is_multiple_of(SELDOM) {
        pass();
    }
}

/// The probe of one thread, for use on other threads.
#[derive(Clone, Default)]
pub struct InterruptProbe(Option<Probe>);

impl InterruptProbe {
    /// Returns the probe installed on this thread, or one that never stops the work.
    pub fn here() -> Self {
        Self(PROBE.with_borrow(Clone::clone))
    }

    /// Calls `f` with the probe installed on this thread, like [`within`](within()).
    pub fn within<T>(&self, f: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(probe) => within(probe.clone(), f),
            None => f(),
        }
    }

    /// Whether the probe says to stop.
    pub fn ends(&self) -> bool {
        self.0.as_ref().is_some_and(|probe| probe().is_some())
    }

    /// Unwinds like [`pass`](pass()) if the probe says to stop.
    pub fn pass(&self) {
        if self.ends() && !std::thread::panicking() {
            resume_unwind(Box::new(BrokenOff));
        }
    }

    /// Returns [`Stopped`] as an error if the probe says to stop.
    pub fn check(&self) -> Result<()> {
        match self.0.as_ref().and_then(|probe| probe()) {
            Some(why) => Err(Stopped(why).into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_asks_the_innermost_probe_of_its_thread() {
        let says = |why: &'static str| -> Probe { Arc::new(move || Some(why.into())) };
        assert!(check().is_ok());
        within(says("outer"), || {
            within(says("inner"), || assert_eq!(check().unwrap_err().to_string(), "inner"));
            let look = InterruptProbe::here();
            assert!(std::thread::spawn(move || check().is_ok() && look.ends()).join().unwrap());
            assert_eq!(check().unwrap_err().to_string(), "outer");
        });
        assert!(check().is_ok());
    }
}
