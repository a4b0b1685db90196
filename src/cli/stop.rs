//! Signals that end a command: what is worth it is kept, then the program ends; a second signal ends it at once.

use crate::script::Guard;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

/// How long work may go on after SIGTERM or SIGHUP to come to a place where it can end.
pub const GRACE: Duration = Duration::from_millis(800);
/// The same for a training, which ends between two batches and then writes its checkpoint.
pub const GRACE_OF_TRAINING: Duration = Duration::from_secs(5);
/// How long work may go on before it notices that it is to end.
const AT_ONCE: Duration = Duration::from_millis(300);

/// The first signal that was taken; 0: none.
static TAKEN: AtomicI32 = AtomicI32::new(0);

/// The exit code of a program that a signal ended, as shells have it: 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP.
pub fn code() -> Option<u8> {
    u8::try_from(TAKEN.load(Ordering::SeqCst)).ok().filter(|signal| *signal > 0).map(|signal| 128 + signal)
}

/// Whether an end is wanted.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// From now on SIGINT, SIGTERM and SIGHUP are noticed, and cancel what `guard` guards. The program ends within `grace`,
    /// or five seconds after SIGINT, wherever it is. A SIGHUP that is ignored, as under `nohup`, stays ignored.
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
            // SAFETY: the handler stores into two atomics, which a signal handler may do.
            unsafe { signal_hook::low_level::register(signal, take) }?;
        }
        let (flag, guard) = (stop.0.clone(), guard.clone());
        std::thread::Builder::new().name("stop".into()).spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            guard.cancel();
            // One native step that takes long is not waited for; a training ends between two batches.
            std::thread::sleep(AT_ONCE);
            if grace < GRACE_OF_TRAINING && !guard.has_noticed() {
                end_within(Duration::ZERO);
            }
            // A person who waits can press the keys again.
            end_within(if code() == Some(130) { grace.max(GRACE_OF_TRAINING) } else { grace });
        })?;
        Ok(stop)
    }

    /// Elsewhere Ctrl-C ends the program at once.
    #[cfg(not(unix))]
    pub fn new(_: &Arc<Guard>, _: Duration) -> Result<Self> {
        Ok(Self::default())
    }

    /// Whether an end is wanted.
    pub fn wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Ends the program when its time is over, but for files that are being written then.
#[cfg(unix)]
fn end_within(grace: Duration) {
    std::thread::sleep(grace);
    crate::data::disk::wait_for_writes(Duration::from_secs(10));
    super::out::tell("error: ended by a signal while it was computing");
    signal_hook::low_level::exit(code().unwrap_or(1).into());
}

#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with no new action `sigaction` only writes the present one to the place given, which is large enough for it.
    let known = unsafe { libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) } == 0;
    // SAFETY: all bytes zero are a valid `sigaction`, and the call wrote over them.
    known && unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// A file that grows beyond the limit of the shell is an error of writing, not the end of the program.
#[cfg(unix)]
pub fn survive_limits() {
    // Where it cannot be registered, the default stays.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// Elsewhere there are no such limits.
#[cfg(not(unix))]
pub fn survive_limits() {}
