//! Restores the terminal when the app cannot: from a signal handler if the app crashes, from a second process if the app is
//! killed.

#[cfg(unix)]
pub use unix::{RescueProcess, arm, disarm, give_back, guard, watch_crashes};

/// First argument of the rescue process, which restores the terminal if the app is killed.
pub const GUARD: &str = "--guard-terminal";

/// Stubs for systems other than Unix, where nothing needs to be restored.
#[cfg(not(unix))]
mod elsewhere {
    /// The rescue process, which is not used on this system.
    pub struct RescueProcess;

    impl RescueProcess {
        /// Returns `None`; there is no rescue process on this system.
        pub fn start() -> Option<Self> {
            None
        }
    }

    /// Does nothing; only Unix terminals need to be restored.
    pub fn arm(_: Vec<u8>) {}

    /// Does nothing; only Unix terminals need to be restored.
    pub fn disarm() {}

    /// Does nothing; only Unix terminals need to be restored.
    pub fn watch_crashes() {}

    /// Does nothing and returns false; only Unix terminals need to be restored.
    pub fn give_back() -> bool {
        false
    }

    /// Does nothing; only Unix terminals need to be restored.
    pub fn guard() {}
}

#[cfg(not(unix))]
pub use elsewhere::*;

#[cfg(unix)]
mod unix {
    use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
    use std::io::{Read, Write};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::ptr::null_mut;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};
    use std::time::Duration;

    /// Crash signals: faults, aborts (including stack overflows and failed allocations), and forbidden system calls.
    const CRASHES: [i32; 7] =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];

    /// Timeout for starting the rescue process.
    const BEGIN: Duration = Duration::from_secs(2);

    /// The bytes that restore the terminal; null if the terminal need not be restored.
    static BYTES: AtomicPtr<Vec<u8>> = AtomicPtr::new(null_mut());
    /// Descriptor of the socket to the rescue process; negative if there is none.
    static LINE: AtomicI32 = AtomicI32::new(-1);
    /// Mode of the terminal before the app started.
    static BEFORE: OnceLock<libc::termios> = OnceLock::new();
    /// The previous signal handlers, in the order of `CRASHES`.
    static OLD: OnceLock<[libc::sigaction; CRASHES.len()]> = OnceLock::new();

    /// Sets the bytes that restore the terminal, for the crash handlers and the rescue process.
    pub fn arm(bytes: Vec<u8>) {
        tell(&bytes);
        // The bytes are never freed, because a signal handler may be reading them.
        BYTES.store(Box::into_raw(Box::new(bytes)), Ordering::SeqCst);
    }

    /// Clears the bytes that restore the terminal, after it has been restored.
    pub fn disarm() {
        BYTES.store(null_mut(), Ordering::SeqCst);
        tell(&[]);
    }

    /// Sends the rescue process the bytes that restore the terminal, preceded by their length.
    fn tell(bytes: &[u8]) {
        let line = LINE.load(Ordering::SeqCst);
        if line >= 0 {
            let message = [&(bytes.len() as u32).to_le_bytes(), bytes].concat();
            write(line, &message);
        }
    }

    /// Writes all bytes, stopping at the first error. Async-signal-safe.
    fn write(file: i32, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // SAFETY: the pointer and the length come from the same slice.
            let written = unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) };
            match usize::try_from(written) {
                Ok(count) if count > 0 => bytes = &bytes[count.min(bytes.len())..],
                _ => return,
            }
        }
    }

    /// Writes without waiting for a stuck terminal: discards pending output, then writes as many bytes as fit. Async-signal-safe.
    fn write_at_once(out: i32, bytes: &[u8]) {
        // SAFETY: the arguments are only descriptors, integers and pointers to valid local values.
        unsafe {
            let mut room = libc::pollfd { fd: out, events: libc::POLLOUT, revents: 0 };
            if libc::poll(&mut room, 1, 50) != 1 {
                libc::tcflush(out, libc::TCOFLUSH);
            }
            let flags = libc::fcntl(out, libc::F_GETFL);
            libc::fcntl(out, libc::F_SETFL, flags | libc::O_NONBLOCK);
            write(out, bytes);
            libc::fcntl(out, libc::F_SETFL, flags);
        }
    }

    /// Installs the crash handlers. Must be called before the terminal is set up.
    pub fn watch_crashes() {
        // SAFETY: an all-zero termios is valid, and tcgetattr writes only to `before`.
        let before = unsafe {
            let mut before: libc::termios = std::mem::zeroed();
            (libc::tcgetattr(libc::STDOUT_FILENO, &mut before) == 0).then_some(before)
        };
        if let Some(before) = before {
            let _ = BEFORE.set(before);
        }
        OLD.get_or_init(|| CRASHES.map(handle));
    }

    /// Installs `crashed` as a signal handler on Rust's alternate signal stack. Returns the previous handler.
    fn handle(signal: i32) -> libc::sigaction {
        // SAFETY: both sigactions are fully initialized, and `crashed` has the signature required by SA_SIGINFO.
        unsafe {
            let mut new: libc::sigaction = std::mem::zeroed();
            let mut old: libc::sigaction = std::mem::zeroed();
            new.sa_sigaction = crashed as *const () as usize;
            new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut new.sa_mask);
            libc::sigaction(signal, &new, &mut old);
            old
        }
    }

    /// Restores the terminal if necessary, and returns whether it did. Async-signal-safe: does not allocate, and calls only
    /// async-signal-safe functions.
    pub fn give_back() -> bool {
        let bytes = BYTES.swap(null_mut(), Ordering::SeqCst);
        if bytes.is_null() {
            return false;
        }
        if let Some(before) = BEFORE.get() {
            // SAFETY: `before` was filled in by tcgetattr.
            unsafe { libc::tcsetattr(libc::STDOUT_FILENO, libc::TCSANOW, before) };
        }
        // SAFETY: `arm` leaked the bytes, so they are never freed or modified.
        write_at_once(libc::STDOUT_FILENO, unsafe { &*bytes });
        write(LINE.load(Ordering::SeqCst), &0u32.to_le_bytes());
        true
    }

    /// The signal handler for crashes. It uses only async-signal-safe functions and atomics.
    extern "C" fn crashed(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        if give_back() {
            write_at_once(libc::STDERR_FILENO, b"gradscope crashed; start it again to restore the session\n");
        }
        let old = OLD.get().zip(CRASHES.iter().position(|s| *s == signal)).map(|(old, at)| old[at]);
        // SAFETY: the previous handler is the default one or Rust's, which reports stack overflows.
        unsafe {
            match old {
                Some(old) if old.sa_sigaction != libc::SIG_DFL && old.sa_sigaction != libc::SIG_IGN => {
                    libc::sigaction(signal, &old, null_mut());
                    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                        std::mem::transmute(old.sa_sigaction);
                    handler(signal, info, context);
                }
                _ => {}
            }
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }

    /// A second process, which restores the terminal if the app is killed.
    #[derive(Debug)]
    pub struct RescueProcess {
        line: UnixStream,
    }

    impl RescueProcess {
        /// Starts the rescue process and waits until it has read the mode of the terminal. Must therefore be called before
        /// setting up the terminal. `None` if the process cannot be started.
        pub fn start() -> Option<Self> {
            let (mut line, other) = UnixStream::pair().ok()?;
            let mut command = Command::new(std::env::current_exe().ok()?);
            command.arg(super::GUARD).stdin(OwnedFd::from(other)).stdout(Stdio::inherit()).stderr(Stdio::inherit());
            // Starts the process in a new group, so that it survives a signal to the app's group.
            command.process_group(0).spawn().ok()?;
            line.set_read_timeout(Some(BEGIN)).ok()?;
            line.read_exact(&mut [0]).ok()?;
            // Writing to the rescue process must never block.
            line.set_nonblocking(true).ok()?;
            LINE.store(line.as_raw_fd(), Ordering::SeqCst);
            Some(Self { line })
        }
    }

    impl Drop for RescueProcess {
        fn drop(&mut self) {
            LINE.store(-1, Ordering::SeqCst);
            let _ = self.line.shutdown(std::net::Shutdown::Both);
        }
    }

    /// The main function of the rescue process: waits for the app to exit and restores the terminal if the app did not.
    pub fn guard() {
        for signal in
            [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP, libc::SIGTTOU, libc::SIGTTIN]
        {
            // SAFETY: SIG_IGN installs no handler. A background process must ignore SIGTTOU to change the terminal's mode.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        let Ok(before) = tcgetattr(rustix::stdio::stdout()) else { return };
        // SAFETY: nothing else in this process uses descriptor 0, which `RescueProcess::start` set to a socket.
        let mut line = unsafe { <UnixStream as std::os::fd::FromRawFd>::from_raw_fd(0) };
        if line.write_all(b"r").is_err() {
            return;
        }
        let mut bytes = vec![];
        while let Some(told) = message(&mut line) {
            bytes = told;
        }
        if !bytes.is_empty() {
            let _ = tcsetattr(rustix::stdio::stdout(), OptionalActions::Now, &before);
            write_at_once(libc::STDOUT_FILENO, &bytes);
            write_at_once(libc::STDERR_FILENO, b"gradscope was killed; start it again to restore the session\r\n");
        }
    }

    /// Reads the next message from the app; `None` once the app has exited.
    fn message(line: &mut UnixStream) -> Option<Vec<u8>> {
        let mut count = [0; 4];
        line.read_exact(&mut count).ok()?;
        let mut bytes = vec![0; u32::from_le_bytes(count).min(1 << 20) as usize];
        line.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::tui::terminal::screen::Screen;
    use crate::tui::terminal::screen::tests::{DIES_OF, assert_given_back, last_words};
    use std::alloc::{Layout, handle_alloc_error};
    use std::hint::black_box;

    fn deeper(n: u64) -> u64 {
        let page = black_box([n; 512]);
        if n == u64::MAX { page[7] } else { deeper(n + 1) + page[1] }
    }

    #[test]
    fn a_crash_restores_the_terminal_before_reporting() {
        let Ok(cause) = std::env::var(DIES_OF) else {
            let test = "tui::terminal::rescue::tests::a_crash_restores_the_terminal_before_reporting";
            assert_given_back(&last_words(test, "an overflow"), "overflowed its stack");
            for cause in ["memory", "a fault", "an abort", "a fault elsewhere"] {
                assert_given_back(&last_words(test, cause), "gradscope crashed");
            }
            return;
        };
        watch_crashes();
        let _screen = Screen::enter().unwrap();
        // SAFETY: this read is deliberately invalid; the process crashes here.
        let fault = || unsafe { black_box(8 as *const u8).read_volatile() };
        match cause.as_str() {
            "an overflow" => drop(std::thread::spawn(|| deeper(0)).join()),
            "memory" => handle_alloc_error(Layout::new::<[u8; 1 << 40]>()),
            "a fault" => drop(fault()),
            "a fault elsewhere" => drop(std::thread::spawn(fault).join()),
            _ => std::process::abort(),
        }
    }
}
