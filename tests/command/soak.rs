//! A soak test of the app: it works, is resized, flooded with input, killed, disconnected and reopened. The terminal is restored every time,
//! memory stays flat, and an attack that was killed and resumed gives exactly the same bits.
//!
//! By default it runs a few rounds; `GRADSCOPE_SOAK_SECONDS=1200 cargo test --release --test command soak` (`just soak`) runs for that long.

use crate::common::pty::terminal;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The default number of rounds.
const ROUNDS: usize = 6;
/// Time limit for the app to end.
const END: Duration = Duration::from_secs(15);

struct App {
    process: Child,
    master: Option<File>,
    slave: File,
    before: String,
    written: Arc<AtomicUsize>,
    tail: Arc<Mutex<Vec<u8>>>,
}

impl App {
    fn open(state: &Path, args: &[&str]) -> Self {
        let (master, slave) = terminal(140, 40);
        let before = format!("{:?}", tcgetattr(&slave).unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.args(args).args(["--graphics", "half"]).env("GRADSCOPE_STATE", state).env("GRADSCOPE_CONFIG", "");
        command.env("TERM", "xterm-256color").env_remove("TMUX");
        let end = || Stdio::from(slave.try_clone().unwrap());
        let process = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let (written, tail) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(vec![])));
        let (mut reader, count, last) = (master.try_clone().unwrap(), written.clone(), tail.clone());
        std::thread::spawn(move || {
            let mut piece = [0; 1 << 16];
            while let Ok(length @ 1..) = reader.read(&mut piece) {
                count.fetch_add(length, Ordering::SeqCst);
                let mut last = last.lock().unwrap();
                last.extend_from_slice(&piece[..length]);
                let over = last.len().saturating_sub(1 << 16);
                last.drain(..over);
            }
        });
        let app = Self { process, master: Some(master), slave, before, written, tail };
        app.wait(|app| app.written.load(Ordering::SeqCst) > 2000, "it draws nothing");
        app
    }

    fn wait(&self, done: impl Fn(&Self) -> bool, why: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !done(self) {
            assert!(Instant::now() < end, "{why}: {}", String::from_utf8_lossy(&self.tail.lock().unwrap()));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn press(&mut self, keys: &str) {
        self.master.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(60));
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(self.master.as_ref().unwrap(), size).unwrap();
        self.signal(Signal::WINCH);
        std::thread::sleep(Duration::from_millis(30));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// The app's memory in MiB.
    fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or_default() >> 10
    }

    /// Ends the app in one of several ways and checks that the terminal is restored.
    fn end(mut self, way: usize) {
        match way % 6 {
            0 => self.press("\u{1b}\u{1b}q"),
            1 => self.signal(Signal::TERM),
            2 => self.signal(Signal::KILL),
            3 => self.signal(Signal::SEGV),
            4 => self.signal(Signal::HUP),
            _ => {
                // Close the other end, as when a connection is lost.
                self.master = None;
                self.signal(Signal::HUP);
            }
        }
        let begun = Instant::now();
        while self.process.try_wait().unwrap().is_none() {
            if way.is_multiple_of(6) && begun.elapsed() > Duration::from_secs(2) {
                self.press("q");
            }
            assert!(begun.elapsed() < END, "it goes on after the ending {}", way % 6);
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.master.is_some() {
            let left = |app: &Self| {
                let said = String::from_utf8_lossy(&app.tail.lock().unwrap()).contains("\u{1b}[?1049l");
                said && format!("{:?}", tcgetattr(&app.slave).unwrap()) == app.before
            };
            self.wait(left, &format!("the terminal is not given back after the ending {}", way % 6));
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

/// Uses the app: methods, steps, targets, sizes, bursts of keys and wheel events, pastes.
fn work(app: &mut App, round: usize) {
    let methods = ["gradcam", "saliency", "fgsm", "occlusion", "lrp", "integrated_gradients", "pgd", "deep_dream"];
    app.press(&format!(":method {}\r", methods[round % methods.len()]));
    for (keys, size) in
        [("   ", (140, 40)), ("...,,,", (80, 24)), ("t\r", (30, 8)), ("?\u{1b}", (200, 60)), ("zz", (140, 40))]
    {
        app.press(keys);
        app.resize(size.0, size.1);
    }
    app.press(&"\u{1b}[<65;40;10M\u{1b}[<64;20;12M".repeat(150));
    app.press(&format!("\u{1b}[200~{}\u{1b}[201~\u{1b}", "pasted ".repeat(200)));
    app.press(&"jk".repeat(300));
    app.press(" ");
    app.wait(|app| !app.tail.lock().unwrap().is_empty(), "it draws nothing");
}

#[test]
fn the_app_survives_work_floods_kills_and_hangups() {
    let seconds =
        std::env::var("GRADSCOPE_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).map(Duration::from_secs_f64);
    let state = tempfile::tempdir().unwrap();
    let (begun, mut round, mut opened) = (Instant::now(), 0, 0);
    let mut held: Vec<usize> = vec![];
    while seconds.map_or(round < ROUNDS, |limit| begun.elapsed() < limit) {
        // Most rounds restore the last session; some instances run for several rounds.
        let mut app = App::open(state.path(), if opened == 0 { &["--method", "gradcam"] } else { &[] });
        for _ in 0..if opened % 4 == 3 { 8 } else { 1 } {
            work(&mut app, round);
            held.push(app.memory());
            round += 1;
        }
        app.end(opened);
        opened += 1;
        let session = fs::read_to_string(state.path().join("last.json")).unwrap();
        let session: serde_json::Value = serde_json::from_str(&session).expect("the session is whole");
        assert!(session["method"].is_string());
        let names: Vec<_> = fs::read_dir(state.path()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert!(names.len() <= 4, "left behind: {names:?}");
    }
    let (early, late) = (&held[..held.len() / 2], &held[held.len() / 2..]);
    let most = |part: &[usize]| part.iter().copied().max().unwrap_or_default();
    println!("{round} rounds, {opened} apps, {} MiB at most early, {} late", most(early), most(late));
    if seconds.is_some() {
        assert!(most(late) as f64 <= 1.2 * most(early) as f64, "memory grows: {held:?}");
    }
}

#[test]
fn an_attack_killed_repeatedly_gives_the_same_bits() {
    let run = |folder: &Path, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.args([
            "run",
            "pgd",
            "--set",
            "stop=false",
            "--set",
            "steps=400",
            "--set",
            "random_start=true",
            "--steps",
            "400",
            "--out",
            "out",
        ]);
        command.args(more).current_dir(folder).env("HOME", folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let [whole, killed] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    assert!(run(whole.path(), &[]).wait().unwrap().success());
    for pause in [600, 1500, 1100, 2500] {
        let mut process = run(killed.path(), &["--resume"]);
        std::thread::sleep(Duration::from_millis(pause));
        let _ = process.kill();
        process.wait().unwrap();
    }
    assert!(run(killed.path(), &["--resume"]).wait().unwrap().success());
    let mut count = 0;
    for entry in fs::read_dir(whole.path().join("out")).unwrap().flatten() {
        if entry.path().extension().is_some_and(|e| e == "npy") {
            let other = killed.path().join("out").join(entry.file_name());
            assert_eq!(fs::read(entry.path()).unwrap(), fs::read(other).unwrap(), "{:?}", entry.file_name());
            count += 1;
        }
    }
    assert!(count > 1);
}
