//! The three methods on real pictures and real networks, from outside, against what PyTorch, Captum and torchattacks give.
//!
//! Pictures, weights and numbers are found in the folder that GRADSCOPE_SHARED names; without it these tests do nothing.
#![allow(clippy::unwrap_used)]

#[path = "common/squeezenet.rs"]
mod squeezenet;

use candle_core::{D, Device, Tensor};
use gradscope::data::Picture;
use serde_json::Value;
use squeezenet::{Reference, blocks, model, numbers, raw, run, shared};

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

/// Times the standard deviation of the normalisation: from the gradient by pixels to that by the normalised input.
fn normalised(map: &[f64], std: &[f64]) -> Vec<f64> {
    map.iter().enumerate().map(|(i, v)| v * std[i / (224 * 224)]).collect()
}

#[test]
fn guided_backpropagation_and_its_kin_agree_with_zennit_and_captum() {
    let Some(shared) = shared() else { return };
    let (reference, std) = (Reference::read(&shared), model(&shared).card.std.clone());
    let check = |method: &str, more: &[&str], file: &str, name: &str| {
        for target in ["243", "281"] {
            let (shape, map) = raw(&run(&shared, method, &[&["-t", target], more].concat()), file);
            assert_eq!(shape, [1, 3, 224, 224]);
            reference.assert_map(&format!("target{target}.{name}"), &normalised(&map, &std));
        }
    };
    check("guided_backprop", &[], "gradient.npy", "guided_backprop");
    check("guided_backprop", &["--set", "rule=deconvnet"], "gradient.npy", "deconvnet");
    check("guided_gradcam", &[], "attribution.npy", "guided_gradcam_bilinear.features.12");
    check("guided_gradcam", &["--set", "resize=nearest"], "attribution.npy", "guided_gradcam_nearest.features.12");
}

#[test]
fn gradients_times_inputs_agree_with_captum() {
    let Some(shared) = shared() else { return };
    let reference = Reference::read(&shared);
    let check = |method: &str, more: &[&str], name: &str| {
        for target in ["243", "281"] {
            let out = run(&shared, method, &[&["-t", target], more].concat());
            reference.assert_map(&format!("target{target}.{name}"), &raw(&out, "attribution.npy").1);
        }
    };
    check("input_x_gradient", &[], "input_x_gradient");
    check("integrated_gradients", &["--set", "steps=32"], "integrated_gradients.riemann_middle32");
    let gauss = ["-t", "243", "--set", "rule=gauss_legendre", "--set", "steps=50"];
    let out = run(&shared, "integrated_gradients", &gauss);
    reference.assert_map("target243.integrated_gradients.gausslegendre50", &raw(&out, "attribution.npy").1);
}

#[test]
fn layer_cam_agrees_with_its_library() {
    let Some(shared) = shared() else { return };
    let reference = Reference::read(&shared);
    for target in ["243", "281"] {
        let out = run(&shared, "gradcam", &["-t", target, "--set", "variant=layercam"]);
        reference.assert(&format!("target{target}.layercam.features.12"), &raw(&out, "cam_raw.npy").1);
    }
}

#[test]
fn occlusion_agrees_with_captum() {
    let Some(shared) = shared() else { return };
    let drops = ["243", "281"].map(|target| {
        let more = ["-t", target, "--set", "patch=32", "--set", "stride=16"];
        let (shape, drops) = raw(&run(&shared, "occlusion", &more), "drops.npy");
        assert_eq!(shape, [1, 1, 13, 13]);
        drops
    });
    let both: Vec<f64> = (0..169).flat_map(|i| [drops[0][i], drops[1][i]]).collect();
    Reference::read(&shared).assert("occlusion.probability_drop", &both);
}

/// Sums of relevance by layer, from the ledger that a run wrote.
fn ledger(folder: &tempfile::TempDir) -> std::collections::HashMap<String, f64> {
    let text = std::fs::read_to_string(folder.path().join("02-ledger.txt")).unwrap();
    let row = |line: &str| {
        let (layer, sum) = line.trim().split_once(' ')?;
        Some((layer.to_string(), sum.trim().parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn lrp_composites_agree_with_zennit() {
    let Some(shared) = shared() else { return };
    let reference = Reference::read(&shared);
    let layers = ["input", "features.0", "features.2", "features.3", "features.4", "features.5", "features.6"]
        .into_iter()
        .chain(["features.7", "features.8", "features.9", "features.10", "features.11", "features.12", "classifier.1"]);
    let check = |target: &str, name: &str, set: &[&str]| {
        let out = run(&shared, "lrp", &[&["-t", target], set].concat());
        let name = format!("target{target}.lrp.{name}");
        reference.assert_map(&name, &raw(&out, "relevance.npy").1);
        let sums = ledger(&out);
        let seed = numbers(&reference.tensors[&format!("{name}.layer_sums")])[14];
        let ours: Vec<_> = layers.clone().map(|l| sums[l]).chain([seed]).collect();
        reference.assert(&format!("{name}.layer_sums"), &ours);
    };
    let composites =
        ["EpsilonPlus", "EpsilonPlusFlat", "EpsilonAlpha2Beta1", "EpsilonAlpha2Beta1Flat", "EpsilonGammaBox"];
    for target in ["243", "281"] {
        for composite in composites {
            check(target, composite, &["--set", &format!("composite={composite}")]);
        }
        check(target, "Epsilon1e-6", &["--set", "composite=Epsilon"]);
        check(target, "Epsilon0.25", &["--set", "composite=Epsilon", "--set", "epsilon=0.25"]);
    }
}
