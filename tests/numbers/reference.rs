//! All maps of SqueezeNet's reference file, by `gradscope run METHOD --out`, and a table of the errors.
//!
//! `just reference` prints the table. Pictures, weights and reference values come from the folder `GRADSCOPE_SHARED`; without
//! it these tests are skipped.

use crate::common::random::numbers;
use crate::common::shared::shared;
use crate::common::squeezenet::{Reference, blocks, model, raw, run};
use crate::common::table::Table;
use candle_core::{D, Device, Tensor};
use gradscope::data::{Picture, write_npy};
use gradscope::exec::Trace;
use gradscope::model::Model;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Tensors that no attribution method computes: attacks have their own test, and the noise is an input. pytorch-grad-cam's
/// Grad-CAM++ adds 1e-6 to a denominator that is smaller than that here; a test below checks the definition.
const ELSEWHERE: &[&str] = &["attack.", "smoothgrad.noise_u8", "target243.gradcam++", "target281.gradcam++"];

/// Runs the program on the picture of a dog and a cat, once for each query.
struct Desk {
    shared: PathBuf,
    model: Model,
    trace: Trace,
    noise: (TempDir, PathBuf),
    runs: HashMap<Vec<String>, TempDir>,
}

impl Desk {
    fn open(shared: &Path, table: &Table) -> Self {
        let model = model(shared);
        let picture = Picture::open(&shared.join("data/photos/dog_cat_both.png")).unwrap();
        let x = model.card.preprocess().apply(&picture, true).unwrap();
        let trace = model.graph.forward(&x).unwrap();
        let noise = noise(table, &model.card.std);
        Self { shared: shared.into(), model, trace, noise, runs: HashMap::new() }
    }

    fn run(&mut self, method: &str, more: &[&str]) -> &TempDir {
        let key = [&[method], more].concat().iter().map(ToString::to_string).collect();
        self.runs.entry(key).or_insert_with(|| run(&self.shared, method, more))
    }

    fn array(&mut self, method: &str, more: &[&str], file: &str) -> Vec<f64> {
        raw(self.run(method, more), file).1
    }

    /// Converts a gradient with respect to pixels to one with respect to the normalized input, as in PyTorch.
    fn gradient(&mut self, method: &str, more: &[&str], file: &str) -> Vec<f64> {
        let map = self.array(method, more, file);
        map.iter().enumerate().map(|(i, v)| v * self.model.card.std[i / (224 * 224)]).collect()
    }

    fn activation(&self, layer: &str) -> &Tensor {
        self.trace.get(layer).unwrap()
    }
}

/// The noise of the reference file in pixel units, `(4, 3, 224, 224)`, as a file.
fn noise(table: &Table, std: &[f64]) -> (TempDir, PathBuf) {
    let bytes = table.numbers("smoothgrad.noise_u8");
    let pixels = bytes.iter().enumerate().map(|(i, v)| ((v - 128.0) / 64.0 * std[i / (224 * 224) % 3]) as f32);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("noise.npy");
    write_npy(&file, &table.dims("smoothgrad.noise_u8"), &pixels.collect::<Vec<_>>()).unwrap();
    (folder, file)
}

/// A map in the form of the reference: as is, summed over colors, or also over blocks of 4x4 pixels.
fn form(map: &[f64], dims: &[usize]) -> Vec<f64> {
    let plane = 224 * 224;
    if map.len() < plane || dims == [3, 224, 224] {
        return map.to_vec();
    }
    let sum: Vec<f64> = (0..plane).map(|p| map.iter().skip(p).step_by(plane).sum()).collect();
    if dims == [56, 56] { blocks(&sum, 224) } else { sum }
}

/// Our value of a tensor of the file; `None` if its name is not known.
fn ours(desk: &mut Desk, table: &Table, name: &str) -> Option<Vec<f64>> {
    if let Some((target, what)) = name.strip_prefix("target").and_then(|rest| rest.split_once('.')) {
        let map = about_class(desk, target, what)?;
        return Some(form(&map, &table.dims(name)));
    }
    if let Some((layer, part)) = name.strip_prefix("activation.").and_then(|rest| rest.rsplit_once('.')) {
        return activation(desk, layer, part);
    }
    match name {
        "logits" => Some(numbers(&desk.trace.logits().unwrap())),
        "probabilities" => Some(numbers(&candle_nn::ops::softmax(&desk.trace.logits().unwrap(), D::Minus1).unwrap())),
        "input.rows100_107" => Some(numbers(&desk.activation("normalize").narrow(2, 100, 8).unwrap())),
        "occlusion.probability_drop" => Some(drops(desk, "probability")),
        "occlusion.logit_drop" => Some(drops(desk, "logit")),
        _ => None,
    }
}

/// `(13, 13, 2)`: for each window, for both targets.
fn drops(desk: &mut Desk, measure: &str) -> Vec<f64> {
    let measure = format!("measure={measure}");
    let set = ["--set", "patch=32", "--set", "stride=16", "--set", &measure];
    let drops = ["243", "281"].map(|t| desk.array("occlusion", &[&["-t", t], &set[..]].concat(), "drops.npy"));
    (0..drops[0].len()).flat_map(|i| [drops[0][i], drops[1][i]]).collect()
}

fn activation(desk: &Desk, layer: &str, part: &str) -> Option<Vec<f64>> {
    let a = desk.activation(layer);
    let channels = |list: &[u32]| a.index_select(&Tensor::new(list, &Device::Cpu).unwrap(), 1).unwrap();
    Some(numbers(&match (part, layer) {
        ("mean", _) => a.mean((2, 3)).unwrap(),
        ("max", _) => a.flatten_from(2).unwrap().max(2).unwrap(),
        ("channels", "features.3") => channels(&(0..8).collect::<Vec<_>>()),
        ("channels", "features.12") => channels(&(0..64).collect::<Vec<_>>()),
        ("channels", "classifier.1") => channels(&[0, 243, 246, 281, 282, 285, 999]),
        _ => return None,
    }))
}

/// The result of a method for a class.
fn about_class(desk: &mut Desk, target: &str, what: &str) -> Option<Vec<f64>> {
    let t = ["-t", target];
    let with = |set: &[&'static str]| {
        [&["-t", target][..], &set.iter().flat_map(|s| ["--set", s]).collect::<Vec<_>>()].concat()
    };
    if let Some(rest) = what.strip_prefix("integrated_gradients.") {
        return integrated_gradients(desk, target, rest);
    }
    if let Some(rest) = what.strip_prefix("lrp.") {
        return lrp(desk, target, rest);
    }
    Some(match what {
        "gradient" => desk.gradient("saliency", &t, "gradient.npy"),
        "saliency" => {
            let g = desk.gradient("saliency", &t, "gradient.npy");
            (0..224 * 224).map(|p| (0..3).map(|c| g[c * 224 * 224 + p].abs()).fold(0.0, f64::max)).collect()
        }
        "input_x_gradient" => desk.array("input_x_gradient", &t, "attribution.npy"),
        "guided_backprop" => desk.gradient("guided_backprop", &t, "gradient.npy"),
        "deconvnet" => desk.gradient("guided_backprop", &with(&["rule=deconvnet"]), "gradient.npy"),
        "gradcam.features.12" => desk.array("gradcam", &t, "cam_raw.npy"),
        "gradcam_resized.features.12" => desk.array("gradcam", &t, "cam.npy"),
        "layercam.features.12" => desk.array("gradcam", &with(&["variant=layercam"]), "cam_raw.npy"),
        "guided_gradcam_bilinear.features.12" => desk.gradient("guided_gradcam", &t, "attribution.npy"),
        "guided_gradcam_nearest.features.12" => {
            desk.gradient("guided_gradcam", &with(&["resize=nearest"]), "attribution.npy")
        }
        "scorecam.features.12" => desk.array("scorecam", &t, "cam_raw.npy"),
        "scorecam.features.12.weights" => desk.array("scorecam", &t, "weights.npy"),
        "smoothgrad" => {
            let given = format!("given={}", desk.noise.1.display());
            let set = ["-t", target, "--set", "samples=4", "--set", &given];
            desk.gradient("smoothgrad", &set, "gradient.npy")
        }
        _ => return None,
    })
}

/// `riemann_middle32`, and with `.completeness` the sum of the attributions and its expected value.
fn integrated_gradients(desk: &mut Desk, target: &str, what: &str) -> Option<Vec<f64>> {
    let (rule, sums) = what.strip_suffix(".completeness").map_or((what, false), |rule| (rule, true));
    let set = match rule {
        "riemann_middle32" => ["rule=midpoint", "steps=32"],
        "gausslegendre50" => ["rule=gauss_legendre", "steps=50"],
        _ => return None,
    };
    let more = ["-t", target, "--set", set[0], "--set", set[1]];
    if !sums {
        return Some(desk.array("integrated_gradients", &more, "attribution.npy"));
    }
    let text = words(desk.run("integrated_gradients", &more), "completeness");
    let value = |row: &str| text.lines().find_map(|l| l.trim().strip_prefix(row)?.trim().parse().ok()).unwrap();
    Some(["sum of the attributions", "logit(x) - logit(baseline)"].map(value).to_vec())
}

/// `EpsilonPlus`, `Epsilon0.25`, and with `.layer_sums` the relevance sums from the input to the seed.
fn lrp(desk: &mut Desk, target: &str, what: &str) -> Option<Vec<f64>> {
    let (composite, sums) = what.strip_suffix(".layer_sums").map_or((what, false), |name| (name, true));
    let set = match composite.strip_prefix("Epsilon").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        Some(epsilon) => vec!["composite=Epsilon".to_string(), format!("epsilon={epsilon}")],
        None => vec![format!("composite={composite}")],
    };
    let more: Vec<&str> = ["-t", target].into_iter().chain(set.iter().flat_map(|s| ["--set", s])).collect();
    if !sums {
        return Some(desk.array("lrp", &more, "relevance.npy"));
    }
    let sums = ledger(desk.run("lrp", &more));
    let layers = ["input", "features.0", "features.2", "features.3", "features.4", "features.5", "features.6"]
        .into_iter()
        .chain(["features.7", "features.8", "features.9", "features.10", "features.11", "features.12", "classifier.1"]);
    let class: usize = target.parse().unwrap();
    Some(layers.map(|l| sums[l]).chain([numbers(&desk.trace.logits().unwrap())[class]]).collect())
}

/// The text of a figure that a run wrote.
fn words(folder: &TempDir, title: &str) -> String {
    let mut files = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().path());
    let file = files.find(|f| f.to_string_lossy().ends_with(&format!("-{title}.txt")));
    std::fs::read_to_string(file.unwrap()).unwrap()
}

/// Relevance sums by layer, from the ledger that a run wrote.
fn ledger(folder: &TempDir) -> HashMap<String, f64> {
    let row = |line: &str| {
        let mut cells = line.split_whitespace();
        Some((cells.next()?.to_string(), cells.next()?.parse().ok()?))
    };
    words(folder, "ledger").lines().filter_map(row).collect()
}

/// Whether Score-CAM is implemented; if not, its tensors are skipped.
fn has_score_cam() -> bool {
    gradscope::script::folders::Folders::plugins(None).names().iter().any(|n| n == "scorecam")
}

#[test]
fn every_map_of_the_file_is_reproduced() {
    let Some(shared) = shared() else { return };
    let mut table = Table::read(&shared, "squeezenet1_0.dog_cat_both");
    let mut desk = Desk::open(&shared, &table);
    let later = if has_score_cam() { ELSEWHERE.to_vec() } else { [ELSEWHERE, &["target243.scorecam"]].concat() };
    for name in table.names(&later) {
        let ours = ours(&mut desk, &table, &name).unwrap_or_else(|| panic!("nothing computes \"{name}\""));
        table.compare(&name, &ours);
    }
    table.finish();
}

#[test]
fn grad_cam_plus_plus_matches_its_definition_at_any_scale_of_the_head() {
    let Some(shared) = shared() else { return };
    let fault = shared.join("faults/09-gradcampp-epsilon");
    let file: Value = serde_json::from_str(include_str!("../fixtures/gradcampp.json")).unwrap();
    let (folder, own) = (TempDir::new().unwrap(), model(&shared).graph.weights());
    for (name, theirs) in file["maps"].as_object().unwrap() {
        let scale: f64 = name.parse().unwrap();
        let head = |name: &str| if name.starts_with("classifier.1.") { scale } else { 1.0 };
        let scaled = own.iter().map(|(name, w)| (name.clone(), (w * head(name)).unwrap()));
        let (weights, out) = (folder.path().join("head.safetensors"), TempDir::new().unwrap());
        candle_core::safetensors::save(&scaled.collect::<HashMap<_, _>>(), &weights).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gradscope"));
        command.args(["run", "gradcam", "-m", "squeezenet1_0", "--no-resize", "-t", "258", "--set", "relu=false"]);
        command.args(["--set", "variant=gradcam++", "--set", "layer=features.12", "-w"]).arg(&weights);
        command.arg("-i").arg(fault.join("samoyed_224.png")).arg("--out").arg(out.path());
        let said = command.output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let theirs: Vec<_> = theirs.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let ours = raw(&out, "cam_raw.npy").1;
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let apart: Vec<_> = ours.iter().zip(&theirs).map(|(a, b)| a - b).collect();
        let far = (dot(&apart, &apart) / dot(&theirs, &theirs)).sqrt();
        assert!(far < 1e-4, "head times {name}: {far:e}");
    }
}

#[test]
fn grad_cam_moves_from_the_dog_to_the_cat() {
    let Some(shared) = shared() else { return };
    let hottest = ["243", "281"].map(|target| {
        let (shape, cam) = raw(&run(&shared, "gradcam", &["-t", target]), "cam.npy");
        assert_eq!(shape, [1, 1, 224, 224]);
        let place = (0..cam.len()).max_by(|&a, &b| cam[a].total_cmp(&cam[b])).unwrap();
        (place / 224, place % 224)
    });
    let [(dog_y, _), (cat_y, cat_x)] = hottest;
    assert!(
        dog_y < 90 && cat_y > 120 && cat_x > 112,
        "the dog's face is at the top, the cat at the bottom: {hottest:?}"
    );
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
fn all_photos_are_classified_as_by_pytorch() {
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
