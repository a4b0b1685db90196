//! However the app ends, the terminal is as it was, no process stays, and the session file is whole.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What leaves the alternate screen, the last that is asked of a terminal.
const LEFT: &str = "\u{1b}[?1049l";

/// The app on a terminal of its own.
struct App {
    folder: tempfile::TempDir,
    process: Child,
    master: Option<File>,
    slave: File,
    before: String,
    output: Receiver<Vec<u8>>,
    said: String,
}

impl App {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let before = format!("{:?}", tcgetattr(&slave).unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.args(["--method", "saliency", "--graphics", "half"]).env("GRADSCOPE_STATE", folder.path());
        command.env("GRADSCOPE_CONFIG", "").env("TERM", "xterm-256color").env_remove("TMUX");
        let end = || Stdio::from(slave.try_clone().unwrap());
        let process = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let master = File::from(master);
        let (send, output) = channel();
        let mut reader = master.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut piece = [0; 1 << 16];
            while let Ok(count) = reader.read(&mut piece) {
                if count == 0 || send.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut app = Self { folder, process, master: Some(master), slave, before, output, said: String::new() };
        app.wait_for("saliency");
        app.wait_for_session();
        app
    }

    /// Reads until this was written.
    fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.said.contains(text) {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.said += &String::from_utf8_lossy(&piece),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{text:?} never came in {} bytes", self.said.len())
                }
            }
        }
    }

    /// Waits until what is open was kept.
    fn wait_for_session(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.folder.path().join("last.json").exists() {
            assert!(Instant::now() < end, "no session is kept");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn press(&mut self, keys: &str) {
        self.master.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// How it ended, within a while.
    fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn assert_left(&mut self) {
        self.wait_for(LEFT);
        assert_eq!(format!("{:?}", tcgetattr(&self.slave).unwrap()), self.before);
    }

    /// The session that was kept, which must be whole.
    fn session(&self) -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(self.folder.path().join("last.json")).unwrap()).unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.process.kill();
    }
}

#[test]
fn every_signal_that_ends_it_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let mut app = App::open();
        app.signal(signal);
        assert_eq!(app.ended().code(), Some(0), "{signal:?}");
        app.assert_left();
        assert_eq!(app.session()["method"], "saliency");
    }
}

#[test]
fn what_was_done_last_is_kept_when_it_is_told_to_end() {
    let mut app = App::open();
    app.press(":method gradcam\r");
    app.wait_for("Grad-CAM");
    std::thread::sleep(Duration::from_millis(300));
    app.signal(Signal::TERM);
    app.ended();
    assert_eq!(app.session()["method"], "gradcam");
}

#[test]
fn without_its_terminal_it_ends_too() {
    let mut app = App::open();
    // The other end goes, as when a window is closed or a connection is lost.
    let (_, output) = channel();
    app.output = output;
    app.master = None;
    app.signal(Signal::HUP);
    app.ended();
    assert_eq!(app.session()["method"], "saliency");
}

#[test]
fn killed_at_any_moment_it_leaves_a_whole_session() {
    for millis in [0, 30, 200, 900] {
        let mut app = App::open();
        app.press(":method fgsm\r ");
        std::thread::sleep(Duration::from_millis(millis));
        app.signal(Signal::KILL);
        app.ended();
        assert!(["saliency", "fgsm"].contains(&app.session()["method"].as_str().unwrap()));
    }
}
