//! Handles signals: the app exits cleanly, and the terminal is restored even if the app hangs.

use anyhow::Result;
#[cfg(unix)]
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU,
};

/// A signal that the app handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The app must quit.
    End,
    /// The app must suspend itself.
    Sleep,
}

/// Calls `take` on separate threads for every signal that the app handles.
#[cfg(unix)]
pub fn watch(take: impl Fn(Signal) + Clone + Send + 'static) -> Result<()> {
    let end = take.clone();
    on(&ENDING, move || {
        end(Signal::End);
        end_anyway();
    })?;
    on(&[SIGTSTP], move || take(Signal::Sleep))
}

/// Signals that would end the app without restoring the terminal but can be handled.
#[cfg(unix)]
const ENDING: [i32; 11] =
    [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGIO];

/// Does nothing; signals are handled only on Unix.
#[cfg(not(unix))]
pub fn watch(_: impl Fn(Signal) + Clone + Send + 'static) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn on(numbers: &[i32], act: impl Fn() + Send + 'static) -> Result<()> {
    use anyhow::Context;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    let (mut woken, wake) = UnixStream::pair().context("creating a pipe for signals")?;
    for &number in numbers {
        let wake = wake.try_clone().context("creating a pipe for signals")?;
        signal_hook::low_level::pipe::register(number, wake).context("watching for signals")?;
    }
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while woken.read_exact(&mut [0]).is_ok() {
            act();
        }
    })?;
    Ok(())
}

/// Restores the terminal and ends the app if it hangs, for example while writing to a stuck terminal.
#[cfg(unix)]
fn end_anyway() {
    std::thread::sleep(std::time::Duration::from_secs(2));
    // Does not write to stdout, because the hanging thread may hold its lock.
    super::rescue::give_back();
    let _ = signal_hook::low_level::emulate_default_handler(SIGTERM);
}

/// Suspends the app until the shell resumes it.
#[cfg(unix)]
pub fn sleep() {
    let _ = signal_hook::low_level::emulate_default_handler(SIGTSTP);
}

/// Does nothing; the app can be suspended only on Unix.
#[cfg(not(unix))]
pub fn sleep() {}
