//! Signals that end a command. The command saves its work and exits; a second signal terminates it immediately.

use crate::script::Guard;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

/// Grace period for work to stop cleanly after SIGTERM or SIGHUP.
pub const GRACE: Duration = Duration::from_millis(800);
/// Grace period for training after a signal: training stops between two batches and then writes a checkpoint.
pub const GRACE_OF_TRAINING: Duration = Duration::from_secs(5);
/// Time after a signal within which work should react to its cancellation.
const AT_ONCE: Duration = Duration::from_millis(300);

/// Number of the first signal received; 0 if none.
static TAKEN: AtomicI32 = AtomicI32::new(0);

/// Exit code after a signal, 128 plus its number as in shells: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP. `None` if no
/// signal was received.
pub fn code() -> Option<u8> {
    u8::try_from(TAKEN.load(Ordering::SeqCst)).ok().filter(|signal| *signal > 0).map(|signal| 128 + signal)
}

/// A flag that is set when a signal to stop arrives.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Installs handlers for SIGINT, SIGTERM and SIGHUP that cancel the work under `guard`. The program exits within `grace`, or
    /// within five seconds after SIGINT, even if the work does not stop. Signals that are ignored, as SIGHUP is under `nohup`,
    /// stay ignored.
    #[cfg(unix)]
    pub fn new(guard: &Arc<Guard>, grace: Duration) -> Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)) {
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, stop.0.clone())?;
            let flag = stop.0.clone();
            let take = move || {
                let _ = TAKEN.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
                flag.store(true, Ordering::SeqCst);
            };
            // SAFETY: the handler only writes to two atomics, which is async-signal-safe.
            unsafe { signal_hook::low_level::register(signal, take) }?;
        }
        let (flag, guard) = (stop.0.clone(), guard.clone());
        std::thread::Builder::new().name("stop".into()).spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            guard.cancel();
            // Do not wait for a long native step; training stops between two batches.
            std::thread::sleep(AT_ONCE);
            if grace < GRACE_OF_TRAINING && !guard.has_noticed() {
                end_within(Duration::ZERO);
            }
            // After Ctrl-C, work gets more time, because the user can press Ctrl-C again.
            end_within(if code() == Some(130) { grace.max(GRACE_OF_TRAINING) } else { grace });
        })?;
        Ok(stop)
    }

    /// Returns a flag that is never set: on systems other than Unix, Ctrl-C terminates the program immediately.
    #[cfg(not(unix))]
    pub fn new(_: &Arc<Guard>, _: Duration) -> Result<Self> {
        Ok(Self::default())
    }

    /// Whether a signal to stop has arrived.
    pub fn wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Exits after `grace`, once the files being written are complete.
#[cfg(unix)]
fn end_within(grace: Duration) {
    std::thread::sleep(grace);
    crate::data::disk::wait_for_writes(Duration::from_secs(10));
    super::out::tell("error: terminated by a signal during a computation");
    signal_hook::low_level::exit(code().unwrap_or(1).into());
}

#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, `sigaction` only writes the current one to `now`, which is valid for a `sigaction`.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) } == 0;
    // SAFETY: an all-zero `sigaction` is valid, and the call has overwritten it.
    known && unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Turns exceeding the file size limit (`ulimit -f`) into a write error; by default, SIGXFSZ would terminate the program.
#[cfg(unix)]
pub fn survive_limits() {
    // If registering fails, SIGXFSZ keeps its default action.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Does nothing: systems other than Unix have no such limit on file sizes.
#[cfg(not(unix))]
pub fn survive_limits() {}
