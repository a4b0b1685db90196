//! `gradscope exec` runs several methods and trainings, reports where a program fails, and resumes where it was interrupted.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = r#"
//! A small network, its accuracy, and what one step of FGSM leaves of it.
let net = train("mnist_softmax", #{ data: "made:digits", batch: 100, optimizer: "sgd", rate: 0.01, epochs: 1, out: "net.safetensors" });
print(`accuracy ${evaluate(net, "made:digits").accuracy}`);
let swept = run("fgsm_curve", #{ model: net, data: "made:digits", set: #{ epsilons: args[0] }, out: "curve" });
for row in swept.tables["accuracy over epsilon"] { print(`${row[0]}: ${row[3]}%`); }
let map = run("saliency", #{ model: net, input: "made:digits[3]", target: 7 });
print(`${map.target} ${map.tensors["saliency"].shape}`);
save([table(["a"], [[1]], "numbers")], "tables");
"#;

fn exec(folder: &Path, program: &str, args: &[&str]) -> Output {
    std::fs::write(folder.join("program.rhai"), program).unwrap();
    command(folder).args(["exec", "program.rhai"]).args(args).output().unwrap()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.current_dir(folder).env("HOME", folder).env("XDG_CONFIG_HOME", folder).env_remove("RUST_BACKTRACE");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_program_trains_measures_runs_and_prints_and_trains_only_once() {
    let folder = TempDir::new().unwrap();
    let first = exec(folder.path(), PROGRAM, &["0 16"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let lines: Vec<_> = text(&first.stdout).lines().map(String::from).collect();
    let accuracy = |line: &str, before: &str, after: &str| -> f64 {
        line.strip_prefix(before).and_then(|l| l.strip_suffix(after)).unwrap().parse().unwrap()
    };
    let clean = accuracy(&lines[0], "accuracy ", "");
    assert!(clean > 0.8, "{lines:?}");
    assert!((accuracy(&lines[1], "0.0: ", "%") / 100.0 - clean).abs() < 1e-9, "{lines:?}");
    assert!(accuracy(&lines[2], "16.0: ", "%") < 60.0, "{lines:?}");
    assert_eq!(lines[3], "7 [1, 1, 28, 28]");
    assert!(folder.path().join("curve/result.json").exists() && folder.path().join("tables/01-numbers.txt").exists());
    let again = exec(folder.path(), PROGRAM, &["0 16"]);
    assert_eq!(again.stdout, first.stdout);
    assert!(
        text(&again.stderr).contains("mnist_softmax is already trained; using the weights in net.safetensors"),
        "{}",
        text(&again.stderr)
    );
}

#[test]
fn different_options_start_a_new_training() {
    let folder = TempDir::new().unwrap();
    exec(folder.path(), PROGRAM, &["0"]);
    let other = exec(folder.path(), &PROGRAM.replace("rate: 0.01", "rate: 0.02"), &["0"]);
    assert!(!text(&other.stderr).contains("already") && text(&other.stderr).contains("epoch 1/1"));
}

#[test]
fn a_failing_program_reports_the_position_of_its_error() {
    let folder = TempDir::new().unwrap();
    for (program, said) in [
        ("let a = 1;\nrun(\"gradcamm\");", "program:2:1: no method named \"gradcamm\""),
        ("train(\"mnist_softmax\", #{ dta: \"x\" });", "did you mean \"data\"?"),
        ("run(\"saliency\", #{ steps: 3 });", "this method has no steps"),
        ("print(args[0]);", "program:1:"),
        ("model(\"mnist_softmax\", \"absent.safetensors\");", "absent.safetensors"),
    ] {
        let out = exec(folder.path(), program, &[]);
        assert_eq!(out.status.code(), Some(1), "{program}");
        assert!(text(&out.stderr).contains(said), "{program}: {}", text(&out.stderr));
    }
    let absent = command(folder.path()).args(["exec", "absent.rhai"]).output().unwrap();
    assert_eq!(absent.status.code(), Some(2));
}

#[cfg(unix)]
#[test]
fn a_killed_program_resumes_and_gives_the_same_weights() {
    let program = r#"train("mnist_shallow", #{ data: "made:digits", epochs: 4, batch: 100, out: "net.safetensors" });"#;
    let [whole, killed] = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    assert!(exec(whole.path(), program, &[]).status.success());
    std::fs::write(killed.path().join("program.rhai"), program).unwrap();
    let mut child = command(killed.path()).args(["exec", "program.rhai"]).spawn().unwrap();
    let checkpoint = killed.path().join("net.checkpoint");
    while !checkpoint.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.path().join("net.safetensors").exists(), "it ended before it was killed");
    assert!(exec(killed.path(), program, &[]).status.success());
    let weights = |folder: &TempDir| std::fs::read(folder.path().join("net.safetensors")).unwrap();
    assert_eq!(weights(&whole), weights(&killed));
    assert!(!checkpoint.exists());
}

#[test]
fn a_surrogate_learns_from_a_teachers_outputs_not_from_labels() {
    let program = r#"
let teacher = train("mnist_softmax", #{ data: "made:digits", batch: 100, rate: 0.01, epochs: 1, adversary: 255.0, alpha: 0.0, out: "teacher.safetensors" });
let learn = |count| train("mnist_shallow", #{ data: "made:digits", teacher: teacher, count: count, batch: 50, epochs: 3, out: "surrogate.safetensors" });
let surrogate = learn.call(2000);
print(evaluate(teacher, "made:digits").accuracy);
print(evaluate(surrogate, "made:digits").accuracy);
learn.call(1000);
"#;
    let folder = TempDir::new().unwrap();
    let ran = exec(folder.path(), program, &[]);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let right: Vec<f64> = text(&ran.stdout).lines().map(|line| line.parse().unwrap()).collect();
    // The teacher, trained at an extreme epsilon, is often wrong; a surrogate trained on labels would be right.
    assert!(right[0] < 0.6 && (right[1] - right[0]).abs() < 0.15, "{right:?}");
    assert!(!text(&ran.stderr).contains("already"), "fewer answers are another training");
}
