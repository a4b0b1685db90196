//! Commands under signals, with a closed or full stdout or stderr, and with pipes in place of files.

use crate::common::pty::terminal;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(args).current_dir(folder).env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    command.env("GRADSCOPE_CACHE", "").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a signal is ignored in this process, which child processes inherit.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0").trim().to_string();
    u64::from_str_radix(&mask, 16).unwrap_or(0) & 1 << (signal.as_raw() - 1) != 0
}

/// Waits until the process has installed its signal handlers, and a little longer.
fn begun(child: &Child) {
    let end = Instant::now() + Duration::from_secs(60);
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim().to_string();
        u64::from_str_radix(&mask, 16).unwrap_or(0) & 1 << 14 != 0
    };
    while cfg!(target_os = "linux") && !caught() {
        assert!(Instant::now() < end, "it takes no signals");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(700));
}

/// Sends a signal to a process that has started; returns its output and how long it took to end.
fn ended_by(signal: Signal, child: Child) -> (Output, Duration) {
    begun(&child);
    let at = Instant::now();
    kill_process(Pid::from_child(&child), signal).unwrap();
    let out = child.wait_with_output().unwrap();
    (out, at.elapsed())
}

/// A method inside one long native call.
const LONG: &str = "//! Long.\nconst PLUGIN = #{ group: \"attribution\" };\n\
                    fn run(cx) { let x = ones([4000, 4000]); loop { x.matmul(x); } }\n";
const PROGRAM: &str = "let x = ones([4000, 4000]); loop { x.matmul(x); }";
const TRAIN: [&str; 9] =
    ["train", "-m", "digits", "--data", "mnist:set", "--epochs", "100000", "--out", "w.safetensors"];

/// Writes a few digits as MNIST files, which load quickly.
fn write_digits(folder: &Path) {
    let set = folder.join("set");
    fs::create_dir(&set).unwrap();
    for part in ["train", "t10k"] {
        let images = [&[0, 0, 8, 3, 0, 0, 0, 64, 0, 0, 0, 28, 0, 0, 0, 28][..], &[99; 64 * 28 * 28]].concat();
        fs::write(set.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(set.join(format!("{part}-labels-idx1-ubyte")), [&[0, 0, 8, 1, 0, 0, 0, 64][..], &[3; 64]].concat())
            .unwrap();
    }
}

#[test]
fn every_command_ends_promptly_with_the_exit_code_of_its_signal() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        if is_ignored(signal) {
            eprintln!("skipped: {signal:?} is ignored here, as under nohup, and so it is by what the test starts");
            continue;
        }
        for args in [
            &["run", "long.rhai", "-m", "digits"][..],
            &["exec", "program.rhai"],
            &["eval", "-m", "shapes", "--data", "made:shapes#train"],
            &["check", "long.rhai"],
            &TRAIN,
        ] {
            let folder = TempDir::new().unwrap();
            fs::write(folder.path().join("long.rhai"), LONG).unwrap();
            fs::write(folder.path().join("program.rhai"), PROGRAM).unwrap();
            write_digits(folder.path());
            let (out, took) = ended_by(signal, command(folder.path(), args).spawn().unwrap());
            let said = text(&out.stderr);
            assert_eq!(out.status.code(), Some(code), "{signal:?} {args:?}: {said}");
            assert_eq!(
                said.lines().filter(|line| line.starts_with("error: ")).count(),
                1,
                "{signal:?} {args:?}: {said}"
            );
            let most = Duration::from_secs(if signal == Signal::INT || args[0] == "train" { 20 } else { 4 });
            assert!(took < most, "{signal:?} {args:?}: {took:?}");
            let kept = folder.path().join("w.checkpoint").exists();
            assert_eq!(kept, args[0] == "train", "{signal:?} {args:?} keeps a checkpoint where it trains: {said}");
        }
    }
}

#[test]
fn ctrl_c_keeps_the_complete_pictures_and_the_steps_so_far() {
    if is_ignored(Signal::INT) {
        eprintln!("skipped: SIGINT is ignored here, and so it is by what the test starts");
        return;
    }
    let folder = TempDir::new().unwrap();
    let slow = "const PLUGIN = #{ params: [] };\nfn run(cx) { if cx.input.mean() == 0.0 { loop { cx.input + 1.0; } } [image(cx.input, \"x\")] }\n";
    fs::write(folder.path().join("slow.rhai"), slow).unwrap();
    gradscope::data::write_npy(&folder.path().join("black.npy"), &[3, 64, 64], &[0.0; 3 * 64 * 64]).unwrap();
    let args = ["run", "slow.rhai", "-i", "made:shapes[0]", "-i", "black.npy", "--json", "--out", "two"];
    let out = interrupted_after(folder.path(), &args, |folder| {
        fs::read_dir(folder.join("two"))
            .is_ok_and(|mut all| all.any(|f| f.unwrap().path().join("result.json").exists()))
    });
    let said = text(&out.stderr);
    assert!(said.contains("error: cancelled; 1 of 2 pictures are complete"), "{said}");
    let complete: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((complete.as_array().unwrap().len(), &complete[0]["picture"]["name"]), (1, &"made:shapes[0]".into()));
    let args = ["run", "pgd", "--set", "stop=false", "--set", "steps=10000", "--steps", "10000", "--out", "o"];
    let out = interrupted_after(folder.path(), &args, |folder| folder.join("o/state.safetensors").exists());
    let said = text(&out.stderr);
    assert!(
        said.contains("error: cancelled after step ") && said.contains("; --resume continues from there"),
        "{said}"
    );
    assert!(folder.path().join("o/state.safetensors").exists());
}

/// Interrupts a command as soon as `ready` holds; returns its output, whose exit code is that of the signal.
fn interrupted_after(folder: &Path, args: &[&str], ready: impl Fn(&Path) -> bool) -> Output {
    let child = command(folder, args).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !ready(folder) {
        assert!(Instant::now() < end, "{args:?} never gets there");
        std::thread::sleep(Duration::from_millis(10));
    }
    let (out, _) = ended_by(Signal::INT, child);
    assert_eq!(out.status.code(), Some(130), "{args:?}: {}", text(&out.stderr));
    out
}

#[test]
fn sighup_stays_ignored_under_nohup() {
    let folder = TempDir::new().unwrap();
    write_digits(folder.path());
    let script = format!("trap '' HUP; exec {} {}", env!("CARGO_BIN_EXE_gradscope"), TRAIN.join(" "));
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(folder.path()).env("HOME", folder.path());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    begun(&child);
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    let (out, _) = ended_by(Signal::TERM, child);
    assert_eq!(out.status.code(), Some(143), "{}", text(&out.stderr));
}

#[test]
fn a_full_or_closed_stderr_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for (args, code) in [
        (&["run", "saliency", "-m", "digits", "--out", "o"][..], 0),
        (&["run", "nonsense"], 2),
        (&["run", "saliency", "-i", "absent.png"], 1),
        (&["--nonsense"], 2),
        (&["eval"], 2),
    ] {
        let out = command(folder.path(), args).stderr(full()).output().unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}");
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let out = command(folder.path(), args).stderr(write).output().unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_full_stdout_is_an_error_and_a_closed_one_is_not() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("p.rhai"), "print(\"a\");").unwrap();
    for args in [
        &["methods"][..],
        &["methods", "--json"],
        &["layers", "-m", "digits"],
        &["run", "saliency", "-m", "digits"],
        &["run", "saliency", "-m", "digits", "--json"],
        &["run", "saliency", "-m", "digits", "--graphics", "half"],
        &["api", "matmul"],
        &["exec", "p.rhai"],
        &["--help"],
        &["--version"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let out = command(folder.path(), args).stdout(full).output().unwrap();
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("error: ") && said.contains("stdout"), "{args:?}: {said}");
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let out = command(folder.path(), args).stdout(write).output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{args:?}: {}", text(&out.stderr));
    }
}

#[test]
fn a_closed_terminal_changes_nothing() {
    let folder = TempDir::new().unwrap();
    for (args, code) in [
        (&["methods"][..], 0),
        (&["run", "saliency", "-m", "digits"], 0),
        (&["run", "nonsense"], 2),
        (&["--help"], 0),
        (&["eval"], 2),
    ] {
        let (master, slave) = terminal(80, 24);
        drop(master);
        let end = || Stdio::from(slave.try_clone().unwrap());
        let status = command(folder.path(), args).stdin(end()).stdout(end()).stderr(end()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

/// Every option that names a file: a pipe in its place is reported and never read.
#[test]
fn pipes_and_devices_are_rejected_wherever_a_file_is_expected() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("p.rhai");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    for name in ["p.npy", "p.png", "p.safetensors", "model.safetensors.index.json", "labels.txt", "p.bin", "p.json"] {
        std::os::unix::fs::symlink(&pipe, folder.path().join(name)).unwrap();
    }
    for args in [
        &["run", "saliency", "-m", "digits", "-i", "p.png"][..],
        &["run", "saliency", "-m", "digits", "-i", "p.npy"],
        &["run", "saliency", "-m", "digits", "-i", "/dev/zero"],
        &["run", "saliency", "-m", "digits", "-i", "."],
        &["run", "saliency", "-m", "squeezenet1_0", "-w", "p.safetensors"],
        &["run", "saliency", "-w", "p.safetensors"],
        &["run", "saliency", "-w", "model.safetensors.index.json"],
        &["run", "saliency", "-w", "/dev/zero"],
        &["run", "p.rhai"],
        &["check", "p.rhai"],
        &["exec", "p.rhai"],
        &["layers", "-m", "p.rhai"],
        &["eval", "-m", "digits", "--data", "cifar10:p.bin"],
        &["train", "-m", "digits", "--data", "cifar10:p.bin"],
        &["selftest", "--cases", "p.json"],
        &["run", "activation_maximization", "--set", "direction=p.npy", "-m", "digits"],
    ] {
        let begun = Instant::now();
        let child = command(folder.path(), args).process_group(0).spawn().unwrap();
        let id = Pid::from_child(&child);
        let watch = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(20));
            let _ = kill_process(id, Signal::KILL);
        });
        let out = child.wait_with_output().unwrap();
        drop(watch);
        let said = text(&out.stderr) + text(&out.stdout).as_str();
        assert!(begun.elapsed() < Duration::from_secs(15), "{args:?} waits");
        assert!(matches!(out.status.code(), Some(1 | 2)), "{args:?}: {:?} {said}", out.status);
        let known = ["a pipe", "a device", "a folder"];
        assert!(known.iter().any(|kind| said.contains(kind)), "{args:?}: {said}");
    }
}
