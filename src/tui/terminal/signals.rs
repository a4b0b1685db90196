//! Signals: the program ends in order, and when it cannot, the terminal is given back all the same.

use anyhow::Result;
#[cfg(unix)]
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU,
};

/// A signal that the app cares for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End.
    End,
    /// Go to sleep.
    Sleep,
}

/// Calls `take` for every signal, on threads of their own.
#[cfg(unix)]
pub fn watch(take: impl Fn(Signal) + Clone + Send + 'static) -> Result<()> {
    let end = take.clone();
    on(&ENDING, move || {
        end(Signal::End);
        end_anyway();
    })?;
    on(&[SIGTSTP], move || take(Signal::Sleep))
}

/// Every signal that a program can take and that would end it on the spot, with the terminal as the app has it.
#[cfg(unix)]
const ENDING: [i32; 11] =
    [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGIO];

/// Elsewhere there are none.
#[cfg(not(unix))]
pub fn watch(_: impl Fn(Signal) + Clone + Send + 'static) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn on(numbers: &[i32], act: impl Fn() + Send + 'static) -> Result<()> {
    use anyhow::Context;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    let (mut woken, wake) = UnixStream::pair().context("making a pipe for signals")?;
    for &number in numbers {
        let wake = wake.try_clone().context("making a pipe for signals")?;
        signal_hook::low_level::pipe::register(number, wake).context("watching for signals")?;
    }
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while woken.read_exact(&mut [0]).is_ok() {
            act();
        }
    })?;
    Ok(())
}

/// A program that hangs (in writing to a terminal that takes nothing, say) gives the terminal back and ends.
#[cfg(unix)]
fn end_anyway() {
    std::thread::sleep(std::time::Duration::from_secs(2));
    // Not by stdout, whose lock may be held by the thread that hangs.
    super::rescue::give_back();
    let _ = signal_hook::low_level::emulate_default_handler(SIGTERM);
}

/// Puts the program to sleep until the shell wakes it.
#[cfg(unix)]
pub fn sleep() {
    let _ = signal_hook::low_level::emulate_default_handler(SIGTSTP);
}

/// Elsewhere it stays awake.
#[cfg(not(unix))]
pub fn sleep() {}
