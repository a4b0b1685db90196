//! Signals: the program ends in order, and when it cannot, the terminal is given back all the same.

use anyhow::Result;

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
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
    for number in [SIGTERM, SIGHUP, SIGINT, SIGQUIT] {
        let take = take.clone();
        on(number, move || {
            take(Signal::End);
            end_anyway(number);
        })?;
    }
    on(SIGTSTP, move || take(Signal::Sleep))
}

/// Elsewhere there are none.
#[cfg(not(unix))]
pub fn watch(_: impl Fn(Signal) + Clone + Send + 'static) -> Result<()> {
    Ok(())
}

#[cfg(unix)]
fn on(number: i32, act: impl Fn() + Send + 'static) -> Result<()> {
    use anyhow::Context;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    let (mut woken, wake) = UnixStream::pair().context("making a pipe for signals")?;
    signal_hook::low_level::pipe::register(number, wake).context("watching for signals")?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while woken.read_exact(&mut [0]).is_ok() {
            act();
        }
    })?;
    Ok(())
}

/// A program that hangs (in writing to a terminal that takes nothing, say) gives the terminal back and ends.
#[cfg(unix)]
fn end_anyway(number: i32) {
    std::thread::sleep(std::time::Duration::from_secs(2));
    super::screen::restore();
    let _ = signal_hook::low_level::emulate_default_handler(number);
}

/// Puts the program to sleep until the shell wakes it.
#[cfg(unix)]
pub fn sleep() {
    let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP);
}

/// Elsewhere it stays awake.
#[cfg(not(unix))]
pub fn sleep() {}
