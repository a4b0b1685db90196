//! However the app ends, the terminal is restored, no process is left behind, and the session file is complete.

use crate::common::pty::terminal;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Leaves the alternate screen: the last sequence sent to a terminal.
const LEFT: &str = "\u{1b}[?1049l";

/// The app in a pseudoterminal.
struct App {
    folder: Arc<tempfile::TempDir>,
    process: Child,
    master: Option<File>,
    slave: File,
    before: String,
    output: Receiver<Vec<u8>>,
    said: String,
    /// The bytes of `said` that came before the last key.
    seen: usize,
}

impl App {
    fn open() -> Self {
        let mut app = Self::start(Arc::new(tempfile::tempdir().unwrap()), &["--method", "saliency"]);
        app.wait_for("saliency");
        app.wait_for_session();
        app
    }

    /// Starts the app with its session in this folder, which may also contain methods.
    fn start(folder: Arc<tempfile::TempDir>, args: &[&str]) -> Self {
        Self::begin(folder, args, true)
    }

    fn begin(folder: Arc<tempfile::TempDir>, args: &[&str], read: bool) -> Self {
        let (master, slave) = terminal(100, 30);
        let before = format!("{:?}", tcgetattr(&slave).unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.args(args).args(["--graphics", "half", "--plugins"]).arg(folder.path());
        command.env("GRADSCOPE_STATE", folder.path());
        command.env("GRADSCOPE_CONFIG", "").env("TERM", "xterm-256color").env_remove("TMUX");
        let end = || Stdio::from(slave.try_clone().unwrap());
        let process = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let (send, output) = channel();
        let reader = read.then(|| master.try_clone().unwrap());
        std::thread::spawn(move || {
            let Some(mut reader) = reader else { return };
            let mut piece = [0; 1 << 16];
            while let Ok(count) = reader.read(&mut piece) {
                if count == 0 || send.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { folder, process, master: Some(master), slave, before, output, said: String::new(), seen: 0 }
    }

    /// Starts the app on a terminal that reads none of its output, so that it soon gets stuck.
    fn unread() -> Self {
        let mut app = Self::begin(Arc::new(tempfile::tempdir().unwrap()), &["--method", "saliency"], false);
        app.wait_for_session();
        for _ in 0..100 {
            app.press("\u{c}");
            std::thread::sleep(Duration::from_millis(10));
        }
        app
    }

    /// Waits until this text has been written since the last key, and not before it: much of what a key leads to stands somewhere on the
    /// screen already.
    fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.said[self.seen..].contains(text) {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.said += &String::from_utf8_lossy(&piece),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{text:?} never came in {} bytes", self.said.len())
                }
            }
        }
    }

    /// Waits until the log shows this word, ignoring spaces, which are not written to the screen. Redraws each time, since unchanged cells
    /// are not rewritten.
    fn wait_for_log(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.said.contains(text) {
            assert!(Instant::now() < end, "{text:?} never came");
            self.press("7\u{c}");
            std::thread::sleep(Duration::from_millis(200));
            self.output.try_iter().for_each(|piece| self.said += &String::from_utf8_lossy(&piece));
        }
    }

    /// Waits until the session is saved.
    fn wait_for_session(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.folder.path().join("last.json").exists() {
            assert!(Instant::now() < end, "no session is kept");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the session file contains this method; on a slow disk, this happens after its picture is on the screen.
    fn wait_for_method(&self, method: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.session()["method"] != method {
            assert!(Instant::now() < end, "{method:?} is not in the session file");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    fn press(&mut self, keys: &str) {
        self.output.try_iter().for_each(|piece| self.said += &String::from_utf8_lossy(&piece));
        self.seen = self.said.len();
        self.master.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for its exit status.
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

    /// The saved session, which must be complete.
    fn session(&self) -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(self.folder.path().join("last.json")).unwrap()).unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // It is still running only if the test failed.
        let _ = self.process.kill();
    }
}

#[test]
fn every_signal_that_ends_the_app_restores_the_terminal() {
    let other = [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF, Signal::XCPU, Signal::IO];
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT].into_iter().chain(other) {
        let mut app = App::open();
        app.signal(signal);
        assert_eq!(app.ended().code(), Some(0), "{signal:?}");
        app.assert_left();
        assert_eq!(app.session()["method"], "saliency");
    }
}

#[test]
fn the_latest_change_is_saved_on_termination() {
    let mut app = App::open();
    app.press(":method gradcam\r");
    app.wait_for("Grad-CAM");
    std::thread::sleep(Duration::from_millis(300));
    app.signal(Signal::TERM);
    app.ended();
    assert_eq!(app.session()["method"], "gradcam");
}

#[test]
fn the_app_ends_when_its_terminal_closes() {
    let mut app = App::open();
    // Close the other end, as when a window is closed or a connection is lost.
    let (_, output) = channel();
    app.output = output;
    app.master = None;
    app.signal(Signal::HUP);
    app.ended();
    assert_eq!(app.session()["method"], "saliency");
}

#[test]
fn a_stuck_terminal_delays_no_signal_and_is_restored() {
    for signal in [Signal::TERM, Signal::HUP] {
        let mut app = App::unread();
        app.signal(signal);
        let asked = Instant::now();
        app.ended();
        assert!(asked.elapsed() < Duration::from_secs(10), "{signal:?}: {:?}", asked.elapsed());
        assert_eq!(format!("{:?}", tcgetattr(&app.slave).unwrap()), app.before, "{signal:?}");
        assert_eq!(app.session()["method"], "saliency");
    }
    let mut app = App::unread();
    app.signal(Signal::KILL);
    app.ended();
    let end = Instant::now() + Duration::from_secs(10);
    while format!("{:?}", tcgetattr(&app.slave).unwrap()) != app.before {
        assert!(Instant::now() < end, "killed, it left the terminal as the app had it");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_terminal_that_hangs_up_unread_causes_no_panic() {
    let mut app = App::unread();
    app.slave = File::open("/dev/null").unwrap();
    app.master = None;
    app.signal(Signal::HUP);
    assert_ne!(app.ended().code(), Some(101));
}

#[test]
fn invalid_escape_sequences_are_ignored() {
    let mut app = App::open();
    for odd in ["\x1b[0;0R", "\x1b[<0;0;0M", "\x1b[M   ", "\x1b[<65536;1;1M", "\x1b[;;R", "\x1b[99999999999999999999u"]
    {
        app.press(odd);
        app.press("jk");
    }
    app.press("\x1b\x1b:method gradcam\r");
    app.wait_for("Grad-CAM");
    app.press("q");
    assert_eq!(app.ended().code(), Some(0));
}

#[test]
fn a_flood_of_keys_is_processed() {
    for keys in [format!(":{}", "x".repeat(100_000)), "j".repeat(50_000)] {
        let mut app = App::open();
        app.press(&keys);
        app.press("\x1b\x1b");
        std::thread::sleep(Duration::from_millis(200));
        app.press(":q\r");
        let asked = Instant::now();
        app.ended();
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    }
}

#[test]
fn a_crash_restores_the_terminal_and_keeps_the_session() {
    for signal in [Signal::SEGV, Signal::ABORT, Signal::BUS, Signal::FPE] {
        let mut app = App::open();
        app.press(":method gradcam\r");
        app.wait_for_method("gradcam");
        app.signal(signal);
        assert_eq!(app.ended().signal(), Some(signal.as_raw()), "as it would have died");
        app.assert_left();
        assert_eq!(app.session()["method"], "gradcam", "{signal:?}");
    }
}

#[test]
fn a_run_that_crashed_the_program_is_not_repeated_automatically() {
    let mut app = App::open();
    let script = "//! Goes on and on.\nconst PLUGIN = #{ group: \"x\" };\nfn run(cx) { loop {} }\n";
    fs::write(app.folder.path().join("endless.rhai"), script).unwrap();
    app.press(":method endless\r");
    app.wait_for_method("endless");
    app.signal(Signal::KILL);
    app.ended();
    assert!(app.session()["under_way"] == true, "{}", app.session());
    let mut again = App::start(app.folder.clone(), &[]);
    again.wait_for_log("crashed");
    again.press("q");
    again.ended();
    assert!(again.session()["method"] == "endless", "{}", again.session());
}

#[test]
fn quitting_does_not_wait_for_a_long_native_step() {
    let mut app = App::open();
    // A native step of several seconds that does not check for cancellation.
    let script = "//! Powers.\nconst PLUGIN = #{ group: \"x\" };\n\
        fn run(cx) { let x = cx.rand([60000000]); cx.progress(1, 2, \"powers\"); loop { x ** 2.5; } }\n";
    fs::write(app.folder.path().join("long.rhai"), script).unwrap();
    app.press(":method long\r");
    app.wait_for("powers");
    std::thread::sleep(Duration::from_millis(200));
    app.press("q");
    let asked = Instant::now();
    assert_eq!(app.ended().code(), Some(0));
    let late = asked.elapsed();
    assert!(late < Duration::from_secs(1), "it went on for {late:?}");
    app.assert_left();
    assert_eq!(app.session()["method"], "long");
}

#[test]
fn two_apps_do_not_write_one_session() {
    let app = App::open();
    let mut second = App::start(app.folder.clone(), &["--method", "gradcam"]);
    second.wait_for_log("another");
    second.signal(Signal::TERM);
    second.ended();
    assert_eq!(app.session()["method"], "saliency");
}

#[test]
fn the_session_is_complete_after_a_kill_at_any_moment() {
    for millis in [0, 30, 200, 900] {
        let mut app = App::open();
        app.press(":method fgsm\r ");
        std::thread::sleep(Duration::from_millis(millis));
        app.signal(Signal::KILL);
        app.ended();
        app.assert_left();
        assert!(["saliency", "fgsm"].contains(&app.session()["method"].as_str().unwrap()));
    }
}

#[test]
fn input_that_arrives_at_once_is_read_without_waiting_for_more() {
    let mut app = App::open();
    // Wheel events, as they pile up while a connection stalls, and then a command.
    let wheel = "\x1b[<65;40;10M\x1b[<64;40;10M".repeat(200);
    app.press(&format!("{wheel}:method gradcam\r"));
    app.wait_for("Grad-CAM");
    app.signal(Signal::TERM);
    app.ended();
    assert_eq!(app.session()["method"], "gradcam");
}

/// Runs `gradscope rerun` on a result that the app saved.
fn rerun(result: &Path) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_gradscope")).arg("rerun").arg(result).env("GRADSCOPE_CONFIG", "").output().unwrap()
}

#[test]
fn a_saved_result_is_repeated_by_its_command_unless_parameters_changed_between_steps() {
    let mut app = App::open();
    app.press(":method pgd\r");
    app.wait_for_method("pgd");
    app.press(":set epsilon 3\r..");
    let saved = app.folder.path().join("same");
    app.press(&format!(":save {}\r", saved.display()));
    wait_for_file(&saved.join("result.json"));
    let out = rerun(&saved);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && said.contains("all numbers are the same"), "{out:?}");
    app.press(":set epsilon 9\r.");
    let mixed = app.folder.path().join("mixed");
    app.press(&format!(":save {}\r", mixed.display()));
    wait_for_file(&mixed.join("result.json"));
    let out = rerun(&mixed);
    assert!(String::from_utf8_lossy(&out.stderr).contains("changed between steps"), "{out:?}");
    app.press("q");
    app.ended();
}

fn wait_for_file(file: &Path) {
    let end = Instant::now() + Duration::from_secs(60);
    while !file.exists() {
        assert!(Instant::now() < end, "{} is not written", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_terminal_of_implausible_size_can_be_drawn_on_and_left() {
    for (columns, rows, pixels) in [(65535, 65535, 65535), (1, 1, 0), (3000, 2, 65535)] {
        let mut app = App::open();
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: pixels, ws_ypixel: pixels };
        tcsetwinsize(app.master.as_ref().unwrap(), size).unwrap();
        app.signal(Signal::WINCH);
        app.press(":method gradcam\r");
        let end = Instant::now() + Duration::from_secs(60);
        while app.session()["method"] != "gradcam" {
            assert!(Instant::now() < end, "{columns}x{rows}");
            std::thread::sleep(Duration::from_millis(20));
        }
        app.signal(Signal::TERM);
        assert_eq!(app.ended().code(), Some(0), "{columns}x{rows}");
        app.assert_left();
    }
}

/// Environment variables about the terminal, which are cleared before a run.
const ENVIRONMENT: [&str; 8] =
    ["TERM", "COLORTERM", "NO_COLOR", "TMUX", "TERM_PROGRAM", "LC_TERMINAL", "KONSOLE_VERSION", "SSH_CONNECTION"];

/// A terminal that identifies as a VT220 with sixels, or one that never answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Sixel,
    Silent,
}

/// The output of `gradscope run` to a terminal, and how long it waited after querying that terminal.
struct Ran {
    said: String,
    waited: Duration,
}

impl Ran {
    /// Runs `gradscope run saliency` with these arguments; `environment` lists `NAME=VALUE`, separated by spaces.
    fn new(environment: &str, args: &[&str], kind: Kind, stdin: impl FnOnce(&File) -> Stdio) -> Self {
        let (mut master, slave) = terminal(100, 30);
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.args(["run", "saliency"]).args(args).env("GRADSCOPE_CONFIG", "");
        for name in ENVIRONMENT {
            command.env_remove(name);
        }
        command.envs(environment.split_whitespace().map(|pair| pair.split_once('=').unwrap()));
        let before = format!("{:?}", tcgetattr(&slave).unwrap());
        let end = || Stdio::from(slave.try_clone().unwrap());
        let mut process = command.stdin(stdin(&slave)).stdout(end()).stderr(end()).spawn().unwrap();
        let (send, output) = channel();
        let mut reader = master.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut piece = [0; 1 << 16];
            while let Ok(count @ 1..) = reader.read(&mut piece) {
                if send.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let (mut said, mut asked, mut waited) = (String::new(), None, Duration::ZERO);
        let end = Instant::now() + Duration::from_secs(60);
        let mut over = false;
        while !over {
            over = process.try_wait().unwrap().is_some();
            while let Ok(piece) = output.recv_timeout(Duration::from_millis(if over { 300 } else { 20 })) {
                if asked.is_some() && waited.is_zero() {
                    waited = asked.map(|at: Instant| at.elapsed()).unwrap_or_default();
                }
                said += &String::from_utf8_lossy(&piece);
                if asked.is_none() && said.contains("\u{1b}[c") {
                    asked = Some(Instant::now());
                    if kind == Kind::Sixel {
                        master.write_all(b"\x1b[?62;4;22c").unwrap();
                    }
                }
            }
            assert!(over || Instant::now() < end, "it hangs with {environment:?} {args:?}: {said:?}");
        }
        assert!(process.wait().unwrap().success(), "{environment} {args:?}: {said}");
        assert_eq!(format!("{:?}", tcgetattr(&slave).unwrap()), before, "the terminal is as it was");
        Self { said, waited }
    }

    fn on(environment: &str, args: &[&str], kind: Kind) -> Self {
        Self::new(environment, args, kind, |slave| slave.try_clone().unwrap().into())
    }

    /// Whether the terminal's capabilities were queried.
    fn asked(&self) -> bool {
        self.said.contains("\u{1b}[c")
    }

    /// Counts codes for 24-bit, 256 and sixteen colors, and pictures by sixel, kitty and iTerm2.
    fn counts(&self) -> ([usize; 3], [usize; 3]) {
        let count = |text: &str| self.said.matches(text).count();
        let both = |kind: &str| count(&format!("38;{kind};")) + count(&format!("48;{kind};"));
        let sixteen = |code: &&str| {
            let numbers: Vec<_> = code.split(';').filter_map(|n| n.parse::<u8>().ok()).collect();
            numbers.len() <= 2 && numbers.iter().any(|n| matches!(n, 30..=37 | 40..=47 | 90..=97 | 100..=107))
        };
        let codes = self.said.split("\u{1b}[").skip(1).filter_map(|rest| Some(rest.split_once('m')?.0));
        let pictures = ["\u{1b}P0;1q", "\u{1b}_Ga=T", "\u{1b}]1337;File="].map(count);
        ([both("2"), both("5"), codes.filter(sixteen).count()], pictures)
    }
}

#[test]
fn a_silent_terminal_is_awaited_only_if_the_answer_is_needed() {
    let silent = Ran::on("TERM=xterm-256color", &[], Kind::Silent);
    assert!(silent.asked() && silent.waited < Duration::from_secs(5), "{:?}", silent.waited);
    assert!(Ran::on("TERM=xterm COLORTERM=truecolor", &[], Kind::Sixel).asked());
    for (environment, args) in [
        ("TERM=dumb", &[][..]),
        ("", &[]),
        ("TERM=xterm-kitty NO_COLOR=1", &[]),
        ("TERM=xterm-256color", &["--graphics", "kitty"]),
        ("TERM=xterm-256color", &["--graphics", "iterm"]),
        ("TERM=linux", &["--graphics", "half"]),
        ("TERM=xterm-256color", &["--json"]),
    ] {
        assert!(!Ran::on(environment, args, Kind::Silent).asked(), "{environment} {args:?}");
    }
}

#[test]
fn a_run_uses_no_more_colors_than_the_environment_allows() {
    for (environment, [all, indexed, sixteen]) in [
        ("TERM=xterm-256color NO_COLOR=1", [false, false, false]),
        ("TERM=dumb COLORTERM=truecolor", [false, false, false]),
        ("TERM=vt100", [false, false, true]),
        ("TERM=xterm NO_COLOR=", [false, false, true]),
        ("TERM=screen-256color", [false, true, false]),
        ("TERM=xterm COLORTERM=24bit", [true, false, false]),
        ("TERM=alacritty", [true, false, false]),
    ] {
        for graphics in ["blocks", "half"] {
            let ran = Ran::on(environment, &["--graphics", graphics], Kind::Silent);
            let ([deep, of_256, of_16], pictures) = ran.counts();
            assert_eq!([deep > 99, of_256 > 99, of_16 > 99], [all, indexed, sixteen], "{environment} {graphics}");
            assert_eq!(
                ([deep > 0, of_256 > 0, of_16 > 0], pictures),
                ([all, indexed, sixteen], [0; 3]),
                "{environment}"
            );
        }
    }
    let letters = Ran::on("TERM=xterm NO_COLOR=1", &[], Kind::Sixel);
    let row = |line: &str| line.len() > 20 && line.trim_end().chars().all(|c| " .:-=+*#%@".contains(c));
    let rows = letters.said.lines().filter(|line| row(line)).count();
    assert!(!letters.asked() && rows > 10, "without colors a picture is letters: {}", letters.said);
}

#[test]
fn the_graphics_option_takes_precedence_over_the_terminal() {
    for kind in [Kind::Silent, Kind::Sixel] {
        for (graphics, pictures) in [
            ("sixel", [true, false, false]),
            ("kitty", [false, true, false]),
            ("iterm", [false, false, true]),
            ("half", [false; 3]),
            ("letters", [false; 3]),
            ("none", [false; 3]),
        ] {
            let ran = Ran::on("TERM=xterm-256color", &["--graphics", graphics], kind);
            let (_, counts) = ran.counts();
            assert_eq!(counts.map(|n| n > 0), pictures, "{graphics} on {kind:?}");
        }
    }
    let (colors, pictures) = Ran::on("TERM=vt100", &[], Kind::Sixel).counts();
    assert!(pictures[0] > 0 && colors == [0; 3], "a terminal that has sixels gets them: {colors:?} {pictures:?}");
}

#[test]
fn pictures_through_tmux_are_wrapped_or_not_sent() {
    let ran = Ran::on("TERM=tmux-256color TMUX=/nowhere,1,0", &["--graphics", "kitty"], Kind::Silent);
    assert!(ran.said.contains("\u{1b}Ptmux;\u{1b}\u{1b}_Ga=T") && ran.said.contains('\u{10EEEE}'));
    let (_, pictures) = Ran::on("TERM=tmux-256color TMUX=/nowhere,1,0", &[], Kind::Sixel).counts();
    assert_eq!(pictures, [0; 3], "tmux passes no sixels on");
}

#[test]
fn the_terminal_is_queried_on_stdout_if_stdin_is_not_one() {
    let ran = Ran::new("TERM=xterm-256color", &[], Kind::Sixel, |_| Stdio::null());
    assert!(ran.asked() && ran.counts().1[0] > 0);
}

#[test]
fn figures_are_drawn_side_by_side_with_their_captions_below() {
    for graphics in ["half", "blocks", "letters", "sixel", "kitty", "iterm"] {
        let ran = Ran::on("TERM=xterm-256color", &["--graphics", graphics], Kind::Silent);
        let captions = ran.said.lines().filter(|line| line.contains("saliency ") && line.contains("  gradient "));
        assert_eq!(captions.count(), 1, "{graphics}: {}", ran.said);
        let (_, pictures) = ran.counts();
        assert_eq!(
            pictures.iter().sum::<usize>(),
            if ["half", "blocks", "letters"].contains(&graphics) { 0 } else { 2 }
        );
    }
    let ran = Ran::on("TERM=xterm-256color", &["--graphics", "none"], Kind::Silent);
    assert!(ran.said.contains("\nsaliency  ") && ran.said.contains("\ngradient  "), "{}", ran.said);
}
