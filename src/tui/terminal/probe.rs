//! Queries the terminal's capabilities once, with a time limit, before anything else reads from the terminal.

#[cfg(unix)]
use super::caps::parse;
use super::caps::{Caps, Environment};
#[cfg(unix)]
use std::time::Duration;

/// Queries for support of kitty's protocol, the terminal's name, the cell size, and finally the device attributes, to which every
/// terminal responds.
#[cfg(unix)]
const QUESTIONS: &str = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[>q\x1b[16t\x1b[c";

/// Queries for use inside tmux, where the query for kitty's protocol is passed through to the outer terminal.
#[cfg(unix)]
const QUESTIONS_TMUX: &str = "\x1bPtmux;\x1b\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\x1b\\\x1b\\\x1b[16t\x1b[c";

/// Maximum number of bytes to read while waiting for responses, which may be preceded by typed keys.
#[cfg(unix)]
const ANSWERS: usize = 1 << 16;

/// Queries the terminal. Must be called before anything else reads from the terminal. Does not query a terminal that cannot be
/// read or has another process in the foreground.
#[cfg(unix)]
pub fn ask(environment: Environment) -> Caps {
    use std::io::Write;
    let Some(raw) = Raw::enter() else { return Caps::default() };
    let mut out = std::io::stdout();
    let questions = if environment.tmux { QUESTIONS_TMUX } else { QUESTIONS };
    if out.write_all(questions.as_bytes()).and_then(|()| out.flush()).is_err() {
        return Caps::default();
    }
    let limit = Duration::from_millis(if environment.ssh { 2500 } else { 1000 });
    let mut caps = parse(&raw.read_until(limit, |bytes| parse(bytes).answered));
    if environment.tmux {
        caps.sixel = false;
        caps.name = around_tmux();
    }
    caps
}

/// Returns no capabilities; terminals are queried only on Unix.
#[cfg(not(unix))]
pub fn ask(_: Environment) -> Caps {
    Caps::default()
}

/// The terminal to query, in raw mode until dropped, so that its responses are not echoed.
#[cfg(unix)]
struct Raw {
    input: std::os::fd::BorrowedFd<'static>,
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Raw {
    /// Opens stdin or, if it is not a terminal, stdout; `None` if neither is a terminal.
    fn enter() -> Option<Self> {
        use rustix::termios::{OptionalActions, isatty, tcgetattr, tcgetpgrp, tcsetattr};
        let ends = [rustix::stdio::stdin(), rustix::stdio::stdout()];
        let input = ends.into_iter().find(|end| isatty(end))?;
        // A background process would be stopped when accessing its terminal.
        if tcgetpgrp(input).is_ok_and(|group| group != rustix::process::getpgrp()) {
            return None;
        }
        let before = tcgetattr(input).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(input, OptionalActions::Now, &raw).ok()?;
        Some(Self { input, before })
    }

    /// Reads until `enough` accepts the bytes read so far or `limit` has passed.
    fn read_until(&self, limit: Duration, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let start = std::time::Instant::now();
        let mut bytes = Vec::new();
        while let Some(left) = limit.checked_sub(start.elapsed()).filter(|_| !enough(&bytes)) {
            let mut fds = [PollFd::new(&self.input, PollFlags::IN)];
            let Ok(left) = Timespec::try_from(left) else { break };
            let mut piece = [0; 512];
            let came = poll(&mut fds, Some(&left));
            match came.and_then(|n| if n > 0 { rustix::io::read(self.input, &mut piece) } else { Ok(0) }) {
                Ok(0) | Err(_) => break,
                Ok(count) => bytes.extend_from_slice(&piece[..count]),
            }
            // No response is this long.
            if bytes.len() > ANSWERS {
                break;
            }
        }
        bytes
    }
}

#[cfg(unix)]
impl Drop for Raw {
    fn drop(&mut self) {
        // A closed terminal need not be restored.
        let _ = rustix::termios::tcsetattr(self.input, rustix::termios::OptionalActions::Now, &self.before);
    }
}

/// Name of the outer terminal of tmux; empty if tmux does not pass pictures through to it.
#[cfg(unix)]
fn around_tmux() -> String {
    let format = "#{allow-passthrough} #{client_termtype}";
    let answer = std::process::Command::new("tmux").args(["display", "-p", format]).output();
    let answer = answer.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
    match answer.split_once(' ') {
        Some(("on" | "all", name)) => name.replace(' ', "(") + if name.contains('(') { "" } else { ")" },
        _ => String::new(),
    }
}
