//! Methods with the portable kernels, on the embedded network: the results agree with the CPU kernels.
//!
//! `GRADSCOPE_PORTABLE` selects the portable kernels on the CPU. With `GRADSCOPE_DEVICE=cuda:0` (or metal) and a build that
//! supports it, the same is tested on the device.

use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Methods and their parameters: gradients, rules, noise, many passes, attacks, resized maps.
const METHODS: &[(&str, &[&str])] = &[
    ("saliency", &[]),
    ("gradcam", &[]),
    ("guided_backprop", &[]),
    ("lrp", &["composite=EpsilonPlus"]),
    ("lrp", &["composite=EpsilonAlpha2Beta1Flat"]),
    ("smoothgrad", &["samples=4"]),
    ("integrated_gradients", &["steps=8"]),
    ("occlusion", &[]),
    ("fullgrad", &[]),
    ("eigencam", &[]),
    ("lime", &["samples=40"]),
    ("fgsm", &[]),
    ("pgd", &[]),
];

/// Methods that step by the sign of the gradient, which is arbitrary where the gradient is zero up to rounding, and the
/// fraction of elements where this may happen.
const SIGNS: ([&str; 2], f64) = (["fgsm", "pgd"], 0.01);

/// What a method writes: file names and their elements.
fn answer(method: &str, set: &[&str], args: &[&str], portable: bool) -> Vec<(String, Vec<f32>)> {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(["run", method, "--out", "answer"]).args(args).current_dir(folder.path());
    command.env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path()).env("GRADSCOPE_CACHE", "");
    set.iter().for_each(|pair| _ = command.args(["--set", pair]));
    if portable {
        command.env("GRADSCOPE_PORTABLE", "1")
    } else {
        command.env_remove("GRADSCOPE_PORTABLE")
    };
    let out = command.output().unwrap();
    assert!(out.status.success(), "{method} {set:?} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    arrays(&folder.path().join("answer"))
}

fn arrays(folder: &Path) -> Vec<(String, Vec<f32>)> {
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let arrays = files.filter(|path| path.extension().is_some_and(|e| e == "npy"));
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut all: Vec<_> = arrays.map(|p| (name(&p), gradscope::data::read_npy(&p).unwrap().values)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Methods on the tokens of an exported network.
const ON_TOKENS: &[(&str, &[&str])] =
    &[("lrp", &["composite=alpha1beta0"]), ("lrp", &["composite=EpsilonPlus", "epsilon=0.1"]), ("ablationcam", &[])];

#[test]
fn methods_give_the_same_results_as_on_the_cpu() {
    assert_same(METHODS, &[]);
}

#[test]
fn methods_on_tokens_give_the_same_results_as_on_the_cpu() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/graphs/small.dynamo.onnx");
    assert_same(ON_TOKENS, &["-m", file, "-i", "made:shapes[3]"]);
}

fn assert_same(methods: &[(&str, &[&str])], args: &[&str]) {
    let device = std::env::var("GRADSCOPE_DEVICE").ok();
    let on_device: Vec<&str> = device.iter().flat_map(|device| ["--device", device]).collect();
    for (method, set) in methods {
        let expected = answer(method, set, args, false);
        let ours = answer(method, set, &[args, &on_device].concat(), device.is_none());
        assert!(!expected.is_empty() && ours.len() == expected.len(), "{method}");
        for ((name, ours), (other, expected)) in ours.iter().zip(&expected) {
            assert_eq!((name, ours.len()), (other, expected.len()), "{method}");
            let size = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            let far = |(a, b): &(&f32, &f32)| (*a - *b).abs() > 1e-4 * size || (*a - *b).is_nan();
            let far = ours.iter().zip(expected).filter(far).count();
            let may = if SIGNS.0.contains(method) { SIGNS.1 * ours.len() as f64 } else { 0.0 };
            assert!(far as f64 <= may, "{method} {set:?}: {far} of {} numbers of {name} differ", ours.len());
        }
    }
}
