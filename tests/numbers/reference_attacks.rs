//! Attacks on SqueezeNet, by the command line, against torchattacks, Foolbox and plain PyTorch.
//!
//! Pictures, weights and reference values come from the folder `GRADSCOPE_SHARED`; without it these tests are skipped.

use crate::common::random::numbers;
use crate::common::shared::shared;
use crate::common::squeezenet::{Reference, model, raw, run};
use candle_core::{Device, Tensor};
use gradscope::model::Model;
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

/// Asserts that an attack ends with the reference's logits and perturbation norms: L∞, L2, mean magnitude, fraction of changed
/// values.
fn assert_agrees(reference: &Reference, model: &Model, name: &str, out: &TempDir) {
    let (shape, adversarial) = raw(out, "adversarial.npy");
    let x = Tensor::from_vec(adversarial.iter().map(|v| *v as f32).collect(), shape, &Device::Cpu).unwrap();
    let logits = numbers(&model.graph.forward(&x).unwrap().logits().unwrap());
    reference.assert(&format!("attack.{name}.logits"), &logits);
    let (_, moved) = raw(out, "perturbation.npy");
    let mean = |f: &dyn Fn(f64) -> f64| moved.iter().map(|v| f(*v)).sum::<f64>() / moved.len() as f64;
    let largest = moved.iter().fold(0f64, |m, v| m.max(v.abs()));
    let l2 = (mean(&|v| v * v) * moved.len() as f64).sqrt();
    let changed = mean(&|v| f64::from(v.abs() > 1e-7));
    reference.assert(&format!("attack.{name}.norms"), &[largest, l2, mean(&f64::abs), changed]);
}

#[track_caller]
fn check(method: &str, set: &[&str], name: &str) {
    let Some(shared) = shared() else { return };
    let out = attack(&shared, method, set);
    assert_agrees(&Reference::read(&shared), &model(&shared), name, &out);
}

fn attack(shared: &Path, method: &str, set: &[&str]) -> TempDir {
    let set = set.iter().flat_map(|s| ["--set", s]);
    run(shared, method, &["-t", "243"].into_iter().chain(set).collect::<Vec<_>>())
}

#[test]
fn pgd_agrees_with_torchattacks_in_both_norms() {
    let whole = ["random_start=false", "stop=false"];
    check("pgd", &[&whole[..], &["epsilon=4", "step=1"]].concat(), "pgd");
    check("pgd", &[&whole[..], &["epsilon=255", "step=51", "norm=l2"]].concat(), "pgd_l2");
}

#[test]
fn mi_fgsm_agrees_with_torchattacks() {
    check("mi_fgsm", &["epsilon=8", "step=2", "stop=false"], "mifgsm");
}

#[test]
fn deepfool_agrees_with_foolbox() {
    check("deepfool", &[], "deepfool");
}

#[test]
fn a_targeted_attack_matches_the_reference_step_by_step() {
    let Some(shared) = shared() else { return };
    let (reference, model) = (Reference::read(&shared), model(&shared));
    for (goal, step) in [("281", "1"), ("281", "0.25"), ("340", "1"), ("340", "0.25")] {
        let name = format!("targeted_walk.to{goal}.step{step}");
        let out = attack(&shared, "fgsm", &["epsilon=255", &format!("goal={goal}"), &format!("step={step}")]);
        let result = std::fs::read_to_string(out.path().join("result.json")).unwrap();
        let result: Value = serde_json::from_str(&result).unwrap();
        let steps = result["steps"].as_array().unwrap();
        let of = |key: &str| steps.iter().map(|s| s[key].as_f64().unwrap()).collect::<Vec<_>>();
        assert_eq!(of("top"), numbers(&reference.tensors[&format!("attack.{name}.top_class")]), "{name}");
        // One row per step: the label's logit, which is not reported, the goal's, and the largest.
        let rows = numbers(&reference.tensors[&format!("attack.{name}.trajectory")]);
        for (i, row) in rows.chunks_exact(3).enumerate() {
            for (ours, theirs) in [(of("goal_logit")[i], row[1]), (of("top_logit")[i], row[2])] {
                assert!((ours - theirs).abs() <= 1e-2, "{name}, step {i}: {ours} instead of {theirs}");
            }
        }
        assert_agrees(&reference, &model, &name, &out);
    }
}

/// The result of a method for ResNet-20 on 2,000 pictures of CIFAR-10.
fn sweep(shared: &Path, method: &str, set: &[&str]) -> Value {
    let out = TempDir::new().unwrap();
    let data = format!("cifar10:{}", shared.join("data/cifar10/cifar10_test_2000.bin").display());
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_gradscope"))
        .args(["run", method, "-m", "resnet20", "--data", &data, "-w"])
        .arg(shared.join("models/resnet20_cifar10.safetensors"))
        .args(set.iter().flat_map(|s| ["--set", s]))
        .arg("--out")
        .arg(out.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_str(&std::fs::read_to_string(out.path().join("result.json")).unwrap()).unwrap()
}

/// The numbers of pictures that are classified correctly at the end of the sweep, before and after the attack.
fn right_and_robust(result: &Value) -> (f64, f64) {
    let last = result["steps"].as_array().unwrap().last().unwrap();
    (last["right"].as_f64().unwrap(), last["robust"].as_f64().unwrap())
}

#[test]
fn ten_steps_of_pgd_on_resnet_match_the_accuracy_under_an_unsaturated_loss() {
    let Some(shared) = shared() else { return };
    let about = std::fs::read_to_string(shared.join("reference/resnet20_cifar10.json")).unwrap();
    let about: Value = serde_json::from_str(&about).unwrap();
    let expected = &about["right_answers_of_2000"]["pgd10_float32_network_float64_loss"]["1/255"];
    let walk = "set=random_start=false stop=false epsilon=1 step=0.25";
    let (right, robust) = right_and_robust(&sweep(&shared, "robustness", &[walk]));
    assert_eq!(right, 1833.0);
    assert!((robust - expected.as_f64().unwrap()).abs() <= 3.0, "{robust} correct instead of {expected}");
}

#[test]
fn pgd_and_the_ensemble_fool_resnet_on_every_picture_at_eight_levels() {
    let Some(shared) = shared() else { return };
    let pgd = sweep(&shared, "robustness", &["count=500", "set=random_start=false epsilon=8 step=2"]);
    let (right, robust) = right_and_robust(&pgd);
    assert!(right > 450.0 && robust == 0.0, "{robust} of {right}");
    let ensemble = sweep(&shared, "robustness", &["count=200", "attack=autoattack"]);
    let (right, robust) = right_and_robust(&ensemble);
    assert!(right > 180.0 && robust == 0.0, "{robust} of {right}");
}

#[test]
fn one_step_of_fgsm_on_resnet_matches_the_accuracy_under_an_unsaturated_loss() {
    let Some(shared) = shared() else { return };
    let about = std::fs::read_to_string(shared.join("reference/resnet20_cifar10.json")).unwrap();
    let about: Value = serde_json::from_str(&about).unwrap();
    let expected = &about["right_answers_of_2000"]["fgsm_float64"]["right"];
    let result = sweep(&shared, "fgsm_curve", &[]);
    let last = result["steps"].as_array().unwrap().last().unwrap();
    for epsilon in ["0", "1", "2", "4", "8"] {
        let ours = last[format!("right_{epsilon}.0")].as_f64().unwrap();
        let theirs = expected[format!("{epsilon}/255")].as_f64().unwrap();
        assert!((ours - theirs).abs() <= 3.0, "{ours} correct at {epsilon}/255 instead of {theirs}");
    }
}
