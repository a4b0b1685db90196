//! Power cuts and disk failures at every single disk operation: everything reported as written exists, no partial file is read, and
//! resuming gives the same result as an uninterrupted run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// More operations than any of these runs performs.
const MANY: u64 = 400;

/// A method whose steps change the picture, with one figure.
const METHOD: &str = "//! Halves the picture at each step.
const PLUGIN = #{ group: \"attribution\" };
fn start(cx) { #{ x: cx.input, n: 0 } }
fn step(cx, s) { s.x *= 0.5; s.n += 1; if s.n == 4 { s.done = \"four steps\"; } s }
fn view(cx, s) { [heatmap(s.x.mean(1, true), \"half\")] }
";

fn gradscope(folder: &Path, args: &[&str], fault: Option<(&str, u64)>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(args).current_dir(folder).env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    command.env("XDG_CACHE_HOME", folder).env_remove("GRADSCOPE_DISK_FAULT").env_remove("RUST_BACKTRACE");
    if let Some((kind, number)) = fault {
        command.env("GRADSCOPE_DISK_FAULT", format!("{kind}:{number}"));
    }
    command.output().unwrap()
}

/// All files in a folder by name, except unfinished ones; results without their timings.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let bytes = fs::read(&path).unwrap_or_default();
        match name.as_str() {
            "result.json" => {
                let mut result: serde_json::Value = serde_json::from_slice(&bytes).expect("a result is whole");
                let own = result.as_object_mut().unwrap();
                ["timings", "date", "folder", "command"].iter().for_each(|key| drop(own.remove(*key)));
                all.insert(name, result.to_string().into_bytes());
            }
            _ if name.starts_with('.') => {}
            _ => drop(all.insert(name, bytes)),
        }
    }
    all
}

/// A command that writes to disk.
struct Use {
    args: &'static [&'static str],
    /// The argument that resumes after a fault, if one is needed.
    again: Option<&'static str>,
    /// The folder that is written to.
    into: &'static str,
    /// The message, and the file that must exist once it is printed.
    announced: (&'static str, &'static str),
}

const USES: [Use; 3] = [
    Use {
        args: &["run", "halves.rhai", "--out", "out"],
        again: Some("--resume"),
        into: "out",
        announced: ("files to out", "result.json"),
    },
    Use {
        args: &[
            "train",
            "-m",
            "moons",
            "--data",
            "made:moons",
            "--epochs",
            "2",
            "--patience",
            "9",
            "-o",
            "net/w.safetensors",
        ],
        again: Some("--resume"),
        into: "net",
        announced: ("weights to net/w.safetensors", "w.safetensors"),
    },
    Use {
        args: &["run", "neighbours", "-m", "moons", "--data", "made:moons", "--set", "count=12", "--out", "out"],
        again: None,
        into: "out",
        announced: ("files to out", "result.json"),
    },
];

fn prepared() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("halves.rhai"), METHOD).unwrap();
    fs::create_dir(folder.path().join("net")).unwrap();
    folder
}

/// Injects one kind of fault at each operation in turn; returns the number of operations.
fn disturb(case: &Use, kind: &str) -> u64 {
    let undisturbed = prepared();
    let out = gradscope(undisturbed.path(), case.args, None);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let wanted = files(&undisturbed.path().join(case.into));
    for number in 1..MANY {
        let folder = prepared();
        let place = folder.path().join(case.into);
        let out = gradscope(folder.path(), case.args, Some((kind, number)));
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let what = format!("{:?} with {kind} {number}: {said}", case.args);
        if kind == "cut" {
            assert!(out.status.success() || out.status.signal() == Some(9), "{what}");
        } else {
            let told = said.contains("error: ") && said.contains("no space left");
            assert!(out.status.success() || (out.status.code() == Some(1) && told), "{what}");
        }
        if out.status.success() && kind == "cut" {
            assert_eq!(files(&place), wanted, "{what}");
            return number - 1;
        }
        let left = files(&place);
        if said.contains(case.announced.0) {
            assert_eq!(left.get(case.announced.1), wanted.get(case.announced.1), "announced, {what}");
        }
        // A file under its final name is complete, in an earlier or later version, never partial.
        for (name, bytes) in left.iter().filter(|(name, _)| wanted.contains_key(*name)) {
            assert_eq!(Some(bytes), wanted.get(name), "{name}, {what}");
        }
        let more = case.again.filter(|_| !left.contains_key(case.announced.1) || case.into == "net");
        let args: Vec<_> = case.args.iter().copied().chain(more).collect();
        let out = gradscope(folder.path(), &args, None);
        assert!(out.status.success(), "afterwards: {what} {}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(files(&place), wanted, "afterwards, {what}");
        let unfinished =
            fs::read_dir(&place).unwrap().flatten().filter(|e| e.file_name().to_string_lossy().ends_with(".tmp"));
        assert_eq!(unfinished.count(), 0, "{what}");
        if kind == "fail" && number > 1 && !said.contains("no space left") {
            return number - 1;
        }
    }
    panic!("{:?} has no end", case.args);
}

#[test]
fn a_power_failure_at_any_operation_loses_nothing_reported() {
    for case in &USES {
        assert!(disturb(case, "cut") > 10, "{:?}", case.args);
    }
}

#[test]
fn a_disk_failure_at_any_operation_is_reported_and_leaves_no_partial_file() {
    for case in &USES {
        assert!(disturb(case, "fail") > 10, "{:?}", case.args);
    }
}
