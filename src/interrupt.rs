//! Whether long work on the lower floors is to go on: they ask, and whoever set them to work has said whom.
//!
//! A thread [asks within](within) a probe; kernels call [`check`] between their parts, or [`pass`] where they give no errors: it
//! unwinds to whoever began. Work that goes on in other threads takes an [`InterruptProbe`] with it. Tasks of the engine's thread team ask too.

use anyhow::Result;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

/// Says why the work is to end; none: it goes on. Asked often and by several threads.
pub type Probe = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// So many calls of [`now_and_then`] ask once.
const SELDOM: u32 = 1 << 12;

thread_local! {
    static PROBE: RefCell<Option<Probe>> = const { RefCell::new(None) };
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// What unwinds when work is broken off.
struct BrokenOff;

/// Why work had to stop; no script can catch it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stopped(pub String);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stopped {}

/// Calls `f`; what it does on this thread asks `probe` whether to go on. Where [`pass`] ends it, it unwinds: the caller catches that.
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

/// An error where the work is to end.
pub fn check() -> Result<()> {
    InterruptProbe::here().check()
}

/// Goes on, or unwinds to where the work was begun. No panic is reported.
pub fn pass() {
    let ends = PROBE.with_borrow(|probe| probe.as_ref().is_some_and(|probe| probe().is_some()));
    if ends && !std::thread::panicking() {
        resume_unwind(Box::new(BrokenOff));
    }
}

/// The same for loops whose rounds are short: asks at few of many calls.
pub fn now_and_then() {
    let calls = CALLS.get().wrapping_add(1);
    CALLS.set(calls);
    if calls.is_multiple_of(SELDOM) {
        pass();
    }
}

/// The question of the thread that made it, to be asked by others.
#[derive(Clone, Default)]
pub struct InterruptProbe(Option<Probe>);

impl InterruptProbe {
    /// Whom work on this thread asks.
    pub fn here() -> Self {
        Self(PROBE.with_borrow(Clone::clone))
    }

    /// Whether the work is to end.
    pub fn ends(&self) -> bool {
        self.0.as_ref().is_some_and(|probe| probe().is_some())
    }

    /// Goes on, or unwinds, like [`pass`].
    pub fn pass(&self) {
        if self.ends() && !std::thread::panicking() {
            resume_unwind(Box::new(BrokenOff));
        }
    }

    /// An error where the work is to end.
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
