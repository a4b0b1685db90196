//! The three methods on real pictures and real networks, from outside, against what PyTorch, Captum and torchattacks give.
//!
//! Pictures, weights and numbers are found in the folder that GRADSCOPE_SHARED names; without it these tests do nothing.
#![allow(clippy::unwrap_used)]

#[path = "common/random.rs"]
mod random;

use candle_core::{D, Device, Tensor};
use gradscope::data::{Picture, read_npy};
use gradscope::model::Model;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use random::numbers;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

fn shared() -> Option<PathBuf> {
    std::env::var_os("GRADSCOPE_SHARED").map(PathBuf::from)
}

fn squeezenet(shared: &Path) -> PathBuf {
    shared.join("models/squeezenet1_0_imagenet.safetensors")
}

fn model(shared: &Path) -> Model {
    Architectures::new(Folders::models(None), &Default::default())
        .open("squeezenet1_0", Some(&squeezenet(shared)))
        .unwrap_or_else(|e| panic!("{e:#}"))
}

/// Tensors and tolerances of SqueezeNet on the picture of a dog and a cat.
struct Reference {
    tensors: HashMap<String, Tensor>,
    about: Value,
}

impl Reference {
    fn read(shared: &Path) -> Self {
        let file = |ending: &str| shared.join(format!("reference/squeezenet1_0.dog_cat_both.{ending}"));
        let tensors = candle_core::safetensors::load(file("safetensors"), &Device::Cpu).unwrap();
        Self { tensors, about: serde_json::from_str(&std::fs::read_to_string(file("json")).unwrap()).unwrap() }
    }

    /// Asserts that `ours` is within the tolerance of the tensor of this name.
    fn assert(&self, name: &str, ours: &[f64]) {
        let expected = numbers(&self.tensors[name]);
        let bound = self.about["tensors"][name]["tolerance"]["rel_l2"].as_f64().unwrap();
        assert_eq!(ours.len(), expected.len(), "{name}");
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let off = square(&mut ours.iter().zip(&expected).map(|(a, b)| a - b)) / square(&mut expected.iter().copied());
        assert!(off <= bound, "{name}: {off:e} off, {bound:e} allowed");
    }
}

/// Runs a method on the dog and the cat, and gives the folder with its files.
fn run(shared: &Path, method: &str, more: &[&str]) -> TempDir {
    let out = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(["run", method, "-m", "squeezenet1_0", "--no-resize", "-w"]).arg(squeezenet(shared));
    command.arg("-i").arg(shared.join("data/photos/dog_cat_both.png")).arg("--out").arg(out.path()).args(more);
    let said = command.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    out
}

fn raw(folder: &TempDir, name: &str) -> (Vec<usize>, Vec<f64>) {
    let array = read_npy(&folder.path().join(name)).unwrap();
    (array.shape, array.values.into_iter().map(f64::from).collect())
}

/// Sums over blocks of 4 x 4 pixels.
fn blocks(map: &[f64], size: usize) -> Vec<f64> {
    let mut sums = vec![0.0; (size / 4) * (size / 4)];
    for (place, value) in map.iter().enumerate() {
        sums[place / size / 4 * (size / 4) + place % size / 4] += value;
    }
    sums
}

#[test]
fn saliency_agrees_with_the_gradient_of_pytorch() {
    let Some(shared) = shared() else { return };
    let reference = Reference::read(&shared);
    // PyTorch's is the gradient by the normalised input: ours times the standard deviation.
    let std = model(&shared).card.std.clone();
    for (target, whole) in [("243", true), ("281", false)] {
        let (shape, values) = raw(&run(&shared, "saliency", &["-t", target]), "gradient.npy");
        assert_eq!(shape, [1, 3, 224, 224]);
        let plane = 224 * 224;
        let gradient: Vec<f64> = values.iter().enumerate().map(|(i, v)| v * std[i / plane]).collect();
        let most = |p: usize| (0..3).map(|c| gradient[c * plane + p].abs()).fold(0.0, f64::max);
        let saliency: Vec<f64> = (0..plane).map(most).collect();
        let sum: Vec<f64> = (0..plane).map(|p| (0..3).map(|c| gradient[c * plane + p]).sum()).collect();
        let (gradient, saliency) =
            if whole { (gradient, saliency) } else { (blocks(&sum, 224), blocks(&saliency, 224)) };
        reference.assert(&format!("target{target}.gradient"), &gradient);
        reference.assert(&format!("target{target}.saliency"), &saliency);
    }
}

#[test]
fn grad_cam_agrees_with_captum_and_moves_from_the_dog_to_the_cat() {
    let Some(shared) = shared() else { return };
    let reference = Reference::read(&shared);
    let mut hottest = vec![];
    for (target, whole) in [("243", true), ("281", false)] {
        let out = run(&shared, "gradcam", &["-t", target]);
        let (shape, values) = raw(&out, "cam_raw.npy");
        assert_eq!(shape, [1, 1, 13, 13]);
        reference.assert(&format!("target{target}.gradcam.features.12"), &values);
        let (shape, cam) = raw(&out, "cam.npy");
        assert_eq!(shape, [1, 1, 224, 224]);
        let resized = if whole { cam.clone() } else { blocks(&cam, 224) };
        reference.assert(&format!("target{target}.gradcam_resized.features.12"), &resized);
        let place = (0..cam.len()).max_by(|&a, &b| cam[a].total_cmp(&cam[b])).unwrap();
        hottest.push((place / 224, place % 224));
    }
    let [(dog_y, _), (cat_y, cat_x)] = hottest[..] else { panic!("two targets") };
    assert!(dog_y < 90 && cat_y > 120 && cat_x > 112, "the dog's face is above, the cat below: {hottest:?}");
}

#[test]
fn grad_cam_plus_plus_agrees_with_its_library() {
    let Some(shared) = shared() else { return };
    let out = run(&shared, "gradcam", &["-t", "243", "--set", "variant=gradcam++"]);
    Reference::read(&shared).assert("target243.gradcam++.features.12", &raw(&out, "cam_raw.npy").1);
}

#[test]
fn one_step_of_fgsm_agrees_with_torchattacks() {
    let Some(shared) = shared() else { return };
    let (reference, model) = (Reference::read(&shared), model(&shared));
    for size in ["1", "2", "8"] {
        let set = [format!("epsilon={size}"), format!("step={size}")];
        let out = run(&shared, "fgsm", &["-t", "243", "--set", &set[0], "--set", &set[1], "--steps", "1"]);
        let (shape, adversarial) = raw(&out, "adversarial.npy");
        let x = Tensor::from_vec(adversarial.iter().map(|v| *v as f32).collect(), shape, &Device::Cpu).unwrap();
        let logits = numbers(&model.graph.forward(&x).unwrap().logits().unwrap());
        reference.assert(&format!("attack.fgsm.{size}.logits"), &logits);
        let (_, moved) = raw(&out, "perturbation.npy");
        let (count, sum) = (moved.len() as f64, |f: &dyn Fn(f64) -> f64| moved.iter().map(|v| f(*v)).sum::<f64>());
        let largest = moved.iter().fold(0f64, |m, v| m.max(v.abs()));
        let changed = sum(&|v| f64::from(v.abs() > 1e-7)) / count;
        let norms = [largest, sum(&|v| v * v).sqrt(), sum(&f64::abs) / count, changed];
        reference.assert(&format!("attack.fgsm.{size}.norms"), &norms);
    }
}

#[test]
fn all_photos_are_named_as_pytorch_names_them() {
    let Some(shared) = shared() else { return };
    let model = model(&shared);
    let list = std::fs::read_to_string(shared.join("data/photos/photos.json")).unwrap();
    let photos: Value = serde_json::from_str(&list).unwrap();
    let photos = photos.as_array().unwrap();
    assert_eq!(photos.len(), 17);
    for photo in photos {
        let file = photo["file"].as_str().unwrap();
        let picture = Picture::open(&shared.join("data/photos").join(file)).unwrap();
        let x = model.card.preprocess().apply(&picture, false).unwrap();
        let logits = model.graph.forward(&x).unwrap().logits().unwrap();
        let top = logits.argmax(D::Minus1).unwrap().to_vec1::<u32>().unwrap()[0];
        assert_eq!(u64::from(top), photo["top5"]["squeezenet1_0"][0][0].as_u64().unwrap(), "{file}");
    }
}
