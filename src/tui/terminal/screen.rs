//! Sets up the terminal and restores it, no matter how the app exits.

use super::bounds::{self, Bounded};
use super::caps::Caps;
use super::rescue;
use crate::panics;
use crate::sync::LockUnpoisoned;
use anyhow::{Context, Result};
use crossterm::style::force_color_output;
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use std::io::{BufWriter, IsTerminal, Stdout, Write, stdout};
use std::mem::ManuallyDrop;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The app's ratatui backend, buffered so that a frame needs few writes.
pub type Backend = Bounded<CrosstermBackend<Counted<BufWriter<Stdout>>>>;

/// The terminal while the app uses it.
pub struct Screen {
    /// The ratatui terminal. It is never dropped, because that would show the cursor, which [`restore`] does, and panic if the
    /// terminal is gone.
    pub terminal: ManuallyDrop<Terminal<Backend>>,
    /// Number of bytes written to the terminal.
    pub written: Arc<AtomicUsize>,
}

/// A writer that counts written bytes.
#[derive(Debug)]
pub struct Counted<W> {
    inner: W,
    count: Arc<AtomicUsize>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.count.fetch_add(count, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Escape codes that set up the terminal: alternate screen, hidden cursor, mouse buttons and wheel (motion only with a button
/// pressed), bracketed paste.
const ENTER: &str = "\x1b[?1049h\x1b[2J\x1b[?25l\x1b[?1002h\x1b[?1006h\x1b[?2004h";

/// Escape codes that undo [`ENTER`], after ending a synchronized update.
const LEAVE: &str = "\x1b[?2026l\x1b[?2004l\x1b[?1006l\x1b[?1002l\x1b[0m\x1b[2J\x1b[?25h\x1b[?1049l";

/// Whether the terminal is set up for the app.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The bytes that remove pictures from the terminal; empty if nothing needs to be removed.
static PICTURES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Whether stdout is a terminal.
pub fn is_there() -> bool {
    stdout().is_terminal()
}

/// Cell size in pixels as reported by the system; `None` if implausible.
pub fn cell() -> Option<(u16, u16)> {
    let size = crossterm::terminal::window_size().ok()?;
    bounds::cell(size.width / size.columns.max(1), size.height / size.rows.max(1))
}

/// Cell size in pixels, as reported by the terminal, otherwise by the system; typical values if neither reports it.
pub fn cell_size(caps: &Caps) -> (u16, u16) {
    caps.cell.or_else(cell).unwrap_or((8, 16))
}

impl Screen {
    /// Sets up the terminal for the app.
    pub fn enter() -> Result<Self> {
        take_over()?;
        let written = Arc::new(AtomicUsize::new(0));
        let inner = BufWriter::with_capacity(1 << 16, stdout());
        let backend = Bounded(CrosstermBackend::new(Counted { inner, count: written.clone() }));
        let terminal = Terminal::new(backend).inspect_err(|_| restore()).context("opening the terminal")?;
        Ok(Self { terminal: ManuallyDrop::new(terminal), written })
    }

    /// Restores the terminal, runs `to`, which may start another program, and sets the terminal up again.
    pub fn lend<T>(&mut self, to: impl FnOnce() -> T) -> Result<T> {
        restore();
        let result = to();
        take_over()?;
        self.redraw()?;
        Ok(result)
    }

    /// Clears the screen so that the next frame redraws it completely.
    pub fn redraw(&mut self) -> Result<()> {
        let size = self.terminal.size()?;
        Ok(self.terminal.resize(Rect::new(0, 0, size.width, size.height))?)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Switches the terminal to raw mode and the alternate screen. Must be called before querying the terminal.
pub fn take_over() -> Result<()> {
    force_color_output(true);
    enable_raw_mode().context("switching the terminal to raw mode")?;
    TAKEN.store(true, Ordering::SeqCst);
    rescue::arm(leave());
    let mut out = stdout();
    out.write_all(ENTER.as_bytes())
        .and_then(|()| out.flush())
        .inspect_err(|_| restore())
        .context("switching to the alternate screen")
}

/// Sets the bytes that remove pictures from the terminal when it is restored.
pub fn will_show(removal: Vec<u8>) {
    *PICTURES.lock_unpoisoned() = removal;
    if TAKEN.load(Ordering::SeqCst) {
        rescue::arm(leave());
    }
}

/// The bytes that restore the terminal, except for its mode.
fn leave() -> Vec<u8> {
    let mut bytes = PICTURES.lock_unpoisoned().clone();
    bytes.extend_from_slice(LEAVE.as_bytes());
    bytes
}

/// Restores the terminal. Subsequent calls have no effect. Errors are ignored, since they could not be shown.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = stdout();
    let _ = out.write_all(&leave()).and_then(|()| out.flush());
    let _ = disable_raw_mode();
    rescue::disarm();
}

/// While this guard exists, a panic in the thread that created it restores the terminal before the panic message is printed.
/// Panic messages from other threads are stored instead of printed, since the screen is in use.
pub struct PanicGuard {
    before: Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>,
    elsewhere: Arc<Mutex<Option<String>>>,
}

impl PanicGuard {
    /// Installs the panic hook.
    pub fn new() -> Self {
        let before: Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync> = std::panic::take_hook().into();
        let elsewhere = Arc::new(Mutex::new(None));
        let (hook, kept, here) = (before.clone(), elsewhere.clone(), std::thread::current().id());
        std::panic::set_hook(Box::new(move |info| {
            if panics::is_caught() {
                return;
            }
            if std::thread::current().id() == here {
                restore();
                hook(info);
            } else if let Ok(mut kept) = kept.lock() {
                *kept = Some(info.to_string());
            }
        }));
        Self { before, elsewhere }
    }

    /// Message of the latest panic in another thread, if any.
    pub fn elsewhere(&self) -> Option<String> {
        self.elsewhere.lock().ok()?.clone()
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let before = self.before.clone();
            std::panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
pub mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::fs::File;
    use std::io::Read;
    use std::process::{Command, Stdio};

    /// Name of the environment variable that specifies how a test crashes in a separate process and terminal.
    pub const DIES_OF: &str = "GRADSCOPE_TEST_DIES_OF";

    /// Output of a test that crashes due to `cause` in a separate process. Asserts that the terminal mode is restored.
    pub fn last_words(test: &str, cause: &str) -> String {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let before = format!("{:?}", rustix::termios::tcgetattr(&slave).unwrap());
        let end = || Stdio::from(slave.try_clone().unwrap());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(DIES_OF, cause);
        assert!(!command.stdin(end()).stdout(end()).stderr(end()).status().unwrap().success(), "{cause}");
        assert_eq!(format!("{:?}", rustix::termios::tcgetattr(&slave).unwrap()), before, "{cause}");
        drop(command);
        drop(slave);
        // The kernel delivers the output in pieces, followed by an error because the terminal is closed.
        let mut bytes = vec![];
        let _ = File::from(master).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asserts that the terminal was set up and restored, and that `words` were printed only afterwards.
    pub fn assert_given_back(said: &str, words: &str) {
        let place = |text: &str| said.find(text).unwrap_or_else(|| panic!("no {text:?} in {said:?}"));
        assert!(place("\x1b[?1049h") < place("\x1b[?1049l") && place("\x1b[?1049l") < place(words), "{said:?}");
    }

    #[test]
    fn a_panic_while_drawing_restores_the_terminal_before_its_message() {
        if std::env::var_os(DIES_OF).is_some() {
            let _guard = PanicGuard::new();
            let _screen = Screen::enter().unwrap();
            panic!("a panel broke");
        }
        let test = "tui::terminal::screen::tests::a_panic_while_drawing_restores_the_terminal_before_its_message";
        assert_given_back(&last_words(test, "a panic"), "a panel broke");
    }
}
