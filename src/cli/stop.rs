//! Ctrl-C: the first asks the work to end, the second ends the program.

use crate::script::Guard;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether the person wants an end.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on Ctrl-C and SIGTERM are noticed, and cancel what `guard` guards.
    #[cfg(unix)]
    pub fn new(guard: &Arc<Guard>) -> Result<Self> {
        let stop = Self::default();
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, stop.0.clone())?;
            signal_hook::flag::register(signal, stop.0.clone())?;
        }
        let (flag, guard) = (stop.0.clone(), guard.clone());
        std::thread::Builder::new().name("stop".into()).spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            guard.cancel();
        })?;
        Ok(stop)
    }

    /// Elsewhere Ctrl-C ends the program at once.
    #[cfg(not(unix))]
    pub fn new(_: &Arc<Guard>) -> Result<Self> {
        Ok(Self::default())
    }

    /// Whether the person wants an end.
    pub fn wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
