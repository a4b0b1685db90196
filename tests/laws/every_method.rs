//! Every shipped method on every network: either a result or an error that explains why there is none.
//!
//! Trained weights come from the folder `GRADSCOPE_SHARED`; without it only the embedded networks are tested.

use crate::common::FOR_OTHER_NETWORKS;
use crate::common::shared::shared_file;
use candle_core::{Device, Tensor};
use gradscope::backend::{Conv2d, Pool2d, Window};
use gradscope::data::{Dataset, source};
use gradscope::exec::RunOptions;
use gradscope::graph::{Builder, op};
use gradscope::model::Card;
use gradscope::model::Model;
use gradscope::model::card::{CardValues, Given, InputSize, Source};
use gradscope::render::Figure;
use gradscope::render::{Body, caption};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::method::data::Data;
use gradscope::script::session::Session;
use std::path::Path;

/// Networks that are run on smaller pictures, to save time, and the height and width of these.
const LARGE: [&str; 2] = ["squeezenet1_0", "darknet_tiny"];
const HALF: usize = 112;

/// Number of steps for stepping methods: enough to see that they advance.
const STEPS: usize = 2;

/// The exported network whose layers with a map are tokens, after a class token.
pub const TOKENS: &str = "small.dynamo.onnx";

/// Exported networks in the folder `GRADSCOPE_SHARED`.
const DINO: &str = "onnx/timm_dinov2_reg.dynamo.onnx";
const SWIN: &str = "onnx/timm_swin.pt2";
const CONVNEXT: &str = "onnx/tv_convnext.ts.onnx";
const EFFICIENTNET: &str = "onnx/timm_test_efficientnet.pt2";
const DENSENET: &str = "onnx/timm_densenet.dynamo.onnx";
const EMBEDDING: &str = "DINOv2 without a head";
const SEGMENTATION: &str = "trained/deeplabv3_mnv2_voc_legacy.onnx";

/// Methods that do not support a network, or any of these (`*`), and their error messages.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("excitation_backprop", TOKENS, "not defined for attention"),
    ("excitation_backprop", DINO, "not defined for attention"),
    // Their weights are random: they put every picture into the same class.
    ("boundary", TOKENS, "no starting point"),
    ("hopskipjump", TOKENS, "no starting point"),
    ("boundary", DINO, "no starting point"),
    ("hopskipjump", DINO, "no starting point"),
    ("boundary", DENSENET, "no starting point"),
    ("hopskipjump", DENSENET, "no starting point"),
    ("pca_map", "moons", "no map"),
    ("patching", "moons", "no layers with positions"),
    ("read_as", "*", "reads letter by letter"),
    ("road", "moons", "at least two pixels"),
    ("style_transfer", "moons", "compared on feature maps"),
    ("style_transfer", TOKENS, "compared on feature maps"),
    ("style_transfer", DINO, "compared on feature maps"),
    ("style_transfer", EMBEDDING, "compared on feature maps"),
    ("excitation_backprop", EMBEDDING, "not defined for attention"),
    ("boundary", EMBEDDING, "no starting point"),
    ("hopskipjump", EMBEDDING, "no starting point"),
    ("style_transfer", SWIN, "compared on feature maps"),
    ("style_transfer", CONVNEXT, "compared on feature maps"),
    ("style_transfer", EFFICIENTNET, "compared on feature maps"),
    ("style_transfer", "channels_last.dynamo.onnx", "compared on feature maps"),
    ("stylize", "*", "style_transformer"),
];

/// The error message that is expected of a method on a network, if any.
fn refusal(method: &str, name: &str, model: &Model) -> Option<&'static str> {
    let listed = REFUSALS.iter().find(|(m, n, _)| *m == method && [name, "*"].contains(n)).map(|(_, _, says)| *says);
    let layers = model.graph.attention();
    let windows = layers.iter().any(|layer| layer.sizes(&model.graph).windows > 1);
    let by_network = match method {
        "inaudible" if model.card.input[..2] != [1, 1] => Some("pictures with a single row"),
        "attention" | "attention_scope" | "chefer" | "gradient_attention" | "rollout" if layers.is_empty() => {
            Some("has no attention")
        }
        "attention_scope" if layers.iter().all(|layer| layer.sizes(&model.graph).windows > 1) => {
            Some("attention within windows")
        }
        "chefer" | "gradient_attention" | "rollout" if windows => Some("needs attention among all tokens"),
        _ => None,
    };
    listed.or(by_network)
}

#[test]
fn the_documentation_lists_every_refusal() {
    let document = include_str!("../../docs/methods.md");
    for (method, _, says) in REFUSALS {
        let row = document.lines().find(|line| line.contains(&format!("`{method}`")) && line.contains(says));
        assert!(row.is_some(), "docs/methods.md has no row for {method}: {says}");
    }
}

/// Two pictures of the network's size.
pub fn pictures(model: &Model) -> Dataset {
    let [c, h, w] = model.card.input;
    let pixels = (0..2 * c * h * w).map(|i| (i * 37 % 251) as u8).collect();
    Dataset::of_bytes("two", vec![], [c, h, w], pixels, vec![0, 1]).unwrap()
}

/// The embedded picture that fits the network best.
fn picture(model: &Model) -> Tensor {
    let (_, picture) = source::picture(&model.card.picture).unwrap();
    model.card.preprocess().apply(&picture, false).unwrap().to_device(&Device::Cpu).unwrap()
}

fn answer(host: &Host, session: &mut Session, method: &str) -> anyhow::Result<Vec<Figure>> {
    session.open(host.method(method)?);
    let mut frame = session.run(host)?;
    for _ in 0..STEPS {
        if session.can_go_on() {
            frame = session.step(host)?;
        }
    }
    Ok(frame.figures)
}

fn ask_all(name: &str, weights: Option<&Path>) {
    ask_all_with("f32", name, weights);
}

/// Runs every method on a network in the given precision.
fn ask_all_with(precision: &str, name: &str, weights: Option<&Path>) {
    let (plugins, models) = (Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    let options = RunOptions { device: Device::Cpu, precision: precision.parse().unwrap() };
    let host = Host::with_options(plugins, models, options);
    let size = Some(Given { value: InputSize([HALF; 2]), source: Source::Flag });
    let flags = CardValues { size: size.filter(|_| LARGE.contains(&name)), ..CardValues::default() };
    let model = Architectures::new(host.models().clone(), host.guard()).open_with(name, weights, &flags).unwrap();
    let x = picture(&model);
    ask_all_of(precision, name, &host, model, x);
}

/// Runs every method on an exported network in `tests/fixtures/graphs`.
fn ask_all_of_exported(file: &str) {
    let (host, model) = exported(file);
    let x = pictures(&model).batch(&[0], &model.card.preprocess()).unwrap();
    ask_all_of("f32", file, &host, model, x);
}

/// A host, and an exported network in `tests/fixtures/graphs`.
pub fn exported(file: &str) -> (Host, Model) {
    let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/graphs").join(file);
    let model = Architectures::new(host.models().clone(), host.guard()).open(path.to_str().unwrap(), None).unwrap();
    (host, model)
}

/// A host, and an exported network of the folder `GRADSCOPE_SHARED`; `None` if the folder is not set.
fn shared_export(file: &str) -> Option<(Host, Model)> {
    let path = shared_file(file)?;
    let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    let model = Architectures::new(host.models().clone(), host.guard()).open(path.to_str().unwrap(), None).unwrap();
    Some((host, model))
}

/// Runs every method on an exported network of the folder `GRADSCOPE_SHARED`.
fn ask_all_of_shared_export(file: &str) {
    let Some((host, model)) = shared_export(file) else { return };
    let x = pictures(&model).batch(&[0], &model.card.preprocess()).unwrap();
    ask_all_of("f32", file, &host, model, x);
}

fn ask_all_of(precision: &str, name: &str, host: &Host, model: Model, x: Tensor) {
    let mut session = Session::new(host, model.clone(), "picture", x).unwrap();
    session.set_data(Data::of(pictures(&model)));
    let mut wrong = vec![];
    for method in host.plugins().names() {
        match (answer(host, &mut session, &method), refusal(&method, name, &model)) {
            (Ok(figures), None) => {
                // Positions that no patch or mask has covered yet have no value.
                let pending = ["occlusion", "rise"].contains(&&*method) && session.can_go_on();
                let may = |v: f32| v.is_finite() || (pending && v.is_nan());
                let bad = |f: &&Figure| f.values().is_some_and(|v| !v.data.iter().all(|&v| may(v)));
                wrong.extend(
                    figures.iter().filter(bad).map(|f| format!("{method}: \"{}\" has non-finite values", f.title)),
                );
                if figures.is_empty() {
                    wrong.push(format!("{method} shows nothing"));
                }
            }
            // Networks for segmentation have classes at each position only.
            (Err(error), None) if model.classes() == 0 && format!("{error:#}").contains("has no class scores") => {}
            (Err(error), Some(says)) if format!("{error:#}").contains(says) => {}
            (Err(error), _) => wrong.push(format!("{method}: {error:#}")),
            (Ok(_), Some(_)) => wrong.push(format!("{method} succeeds, but an error is expected")),
        }
    }
    assert!(wrong.is_empty(), "on {name} in {precision}:\n{}", wrong.join("\n"));
}

fn ask_all_of_shared(name: &str, file: &str) {
    if let Some(weights) = shared_file(Path::new("models").join(file)) {
        ask_all(name, Some(&weights));
    }
}

#[test]
fn every_method_runs_on_shapes() {
    ask_all("shapes", None);
}

#[test]
fn every_method_runs_on_digits() {
    ask_all("digits", None);
}

#[test]
fn every_method_runs_on_an_exported_transformer() {
    ask_all_of_exported(TOKENS);
}

#[test]
fn every_method_runs_on_exported_convolutional_networks() {
    ask_all_of_exported("channels_last.dynamo.onnx");
    ask_all_of_exported("two_outputs.onnx");
}

#[test]
fn every_method_runs_on_an_exported_vision_transformer() {
    ask_all_of_shared_export(DINO);
}

#[test]
fn every_method_runs_on_an_exported_swin_transformer() {
    ask_all_of_shared_export(SWIN);
}

#[test]
fn every_method_runs_on_an_exported_convnext() {
    ask_all_of_shared_export(CONVNEXT);
}

#[test]
fn every_method_runs_on_an_exported_efficientnet() {
    ask_all_of_shared_export(EFFICIENTNET);
}

#[test]
fn every_method_runs_on_an_exported_densenet() {
    ask_all_of_shared_export(DENSENET);
}

/// The exported DINOv2 network without its head: its output is an embedding.
fn embedding() -> Option<(Host, Model)> {
    let (host, model) = shared_export(DINO)?;
    let end = model.graph.find("gather").unwrap();
    let nodes = &model.graph.nodes[..=end];
    let mut builder = Builder::new(&nodes[0].shape[1..]);
    for node in &nodes[1..] {
        let id = builder.add_shared(&node.name, node.op.clone(), &node.inputs).unwrap();
        node.renamed.iter().for_each(|(parameter, full)| builder.rename(id, parameter, full).unwrap());
    }
    let graph = builder.finish(end).unwrap();
    let names: Vec<_> = graph.parameters().into_iter().map(|p| p.name).collect();
    let mut weights = model.graph.weights();
    weights.retain(|name, _| names.contains(name));
    let card = Card { labels: [].into(), ..(*model.card).clone() };
    Some((host, Model { card: card.into(), graph: graph.with_weights(weights).unwrap().into(), ..model }))
}

#[test]
fn every_method_runs_on_an_embedding_network() {
    let Some((host, model)) = embedding() else { return };
    let x = pictures(&model).batch(&[0], &model.card.preprocess()).unwrap();
    ask_all_of("f32", EMBEDDING, &host, model, x);
}

#[test]
fn every_method_runs_on_an_exported_segmentation_network() {
    ask_all_of_shared_export(SEGMENTATION);
}

#[test]
fn every_method_runs_in_every_precision() {
    for precision in ["f64", "bf16", "f16"] {
        ask_all_with(precision, "digits", None);
    }
}

#[test]
fn every_method_runs_on_convnetjs() {
    ask_all_of_shared("convnetjs", "convnetjs_cifar10.safetensors");
}

#[test]
fn every_method_runs_on_a_resnet() {
    ask_all_of_shared("resnet20", "resnet20_cifar10.safetensors");
}

#[test]
fn every_method_runs_on_lenet() {
    ask_all_of_shared("lenet_captum", "lenet_cifar10_captum.pt");
}

#[test]
fn every_method_runs_on_darknet() {
    ask_all_of_shared("darknet_tiny", "darknet_tiny_imagenet_f16.safetensors");
}

#[test]
fn every_method_runs_on_squeezenet() {
    ask_all_of_shared("squeezenet1_0", "squeezenet1_0_imagenet.safetensors");
}

#[test]
fn every_method_runs_on_waveforms() {
    ask_all("waves", None);
}

#[test]
fn every_method_runs_on_lines_of_text() {
    ask_all("words", None);
}

#[test]
fn every_method_runs_on_points_in_the_plane() {
    ask_all("moons", None);
}

/// A network with 330 filters and channels, 1010 features and 321 classes, on pictures of 9x9.
fn wide() -> Model {
    let mut b = Builder::new(&[3, 9, 9]);
    let conv = |input, output| {
        let slide = Conv2d { padding: (1, 1), ..Conv2d::default() };
        op::Conv { input, output, kernel: (3, 3), slide, bias: true }
    };
    let x = b.add("normalize", op::Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] }, &[0]).unwrap();
    let x = b.add("conv1", conv(3, 330), &[x]).unwrap();
    let x = b.add("relu1", op::Relu, &[x]).unwrap();
    let x = b.add("conv2", conv(330, 5), &[x]).unwrap();
    let x = b.add("relu2", op::Relu, &[x]).unwrap();
    let pool = Pool2d { h: Window::new(3, 3, 0, 1), w: Window::new(3, 3, 0, 1), ceil_mode: false };
    let x = b.add("pool", op::MaxPool { pool }, &[x]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc1", op::Linear { input: 45, output: 1010, bias: true }, &[x]).unwrap();
    let x = b.add("relu3", op::Relu, &[x]).unwrap();
    let x = b.add("fc2", op::Linear { input: 1010, output: 321, bias: true }, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let weights = graph.parameters().into_iter().enumerate().map(|(i, p)| {
        let count: usize = p.shape.iter().product();
        let width = (3.0 / p.shape[1..].iter().product::<usize>().max(1) as f32).sqrt();
        let value = |j: usize| width * (2.0 * (((j + 1) * (j + 7 + i)) as f64 * 0.754_877_666).fract() as f32 - 1.0);
        (p.name, Tensor::from_vec((0..count).map(value).collect::<Vec<_>>(), p.shape, &Device::Cpu).unwrap())
    });
    let graph = graph.with_weights(weights.collect()).unwrap();
    let card = Card { mean: vec![0.5; 3], std: vec![0.25; 3], ..Card::plain("wide", [3, 9, 9]) };
    Model { card: card.into(), graph: graph.into(), hash: "wide".into(), taken: "".into() }
}

/// Typical truncation limits; no dimension of the wide network and its seven pictures has one of these sizes.
const CUTS: [usize; 6] = [16, 32, 64, 100, 256, 512];

/// Montages that have such a size by design: four changes at four strengths.
const MEANT: [(&str, &str); 2] = [("invariance", "changed"), ("invariance", "nearest")];

#[test]
fn no_method_truncates_raw_values_and_partial_pictures_are_labeled() {
    let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    let (model, input) =
        (wide(), Tensor::from_iter((0..243).map(|i| (i * 37 % 251) as f32 / 255.0), &Device::Cpu).unwrap());
    let mut session = Session::new(&host, model, "picture", input.reshape((1, 3, 9, 9)).unwrap()).unwrap();
    let pixels = (0..7 * 243).map(|i| (i * 37 % 251) as u8).collect();
    session.set_data(Data::of(Dataset::of_bytes("seven", vec![], [3, 9, 9], pixels, (0..7).collect()).unwrap()));
    let (mut wrong, mut parts) = (vec![], 0);
    let others = |m: &String| m == "training" || FOR_OTHER_NETWORKS.contains(&m.as_str());
    for method in host.plugins().names().into_iter().filter(|m| !others(m)) {
        for figure in answer(&host, &mut session, &method).unwrap_or_else(|e| panic!("{method}: {e:#}")) {
            let meant = MEANT.contains(&(&method, &figure.title));
            if let (Body::Montage { tiles, .. }, false) = (&figure.body, meant)
                && CUTS.contains(&tiles.shape[0])
            {
                wrong.push(format!("{method}: \"{}\" has {:?}", figure.title, tiles.shape));
            }
            if let Some(part) = figure.part() {
                parts += 1;
                assert!(caption(&figure).contains(&part), "{method}: {}", caption(&figure));
            }
        }
    }
    assert!(wrong.is_empty(), "these are truncated:\n{}", wrong.join("\n"));
    assert!(parts > 3, "no montage showed only a part");
    let whole = [
        ("conv1", "conv1", vec![330, 9, 9]),
        ("conv1", "conv1.weight", vec![330, 3, 3, 3]),
        ("conv1", "conv1.weight.gradient", vec![330, 3, 3, 3]),
        ("conv2", "conv2.weight", vec![1650, 3, 3]),
        ("fc1", "fc1", vec![1010, 1, 1]),
        ("fc1", "fc1.gradient", vec![1010, 1, 1]),
        ("fc2", "fc2.weight", vec![321, 1010]),
        ("", "conv1", vec![330, 9, 9]),
    ];
    for (layer, title, shape) in whole {
        session.open(host.method("network").unwrap());
        session.set("layer", layer).unwrap();
        let figures = session.run(&host).unwrap().figures;
        let figure = figures.iter().find(|f| f.title == title).unwrap();
        assert_eq!(figure.values().unwrap().shape, shape, "{layer} {title}");
    }
}

#[test]
fn values_lowered_by_a_script_are_reported() {
    // A parameter is limited by `cx.at_most`, which reports it, or `cx.used`; batch sizes and step counts do not affect the
    // result.
    let silent = |line: &str| {
        let capped = ["min(cx.params.", "min(p."].iter().any(|open| {
            let words = line.split(open).skip(1).filter_map(|rest| rest.split([',', ' ', ')']).next());
            words.into_iter().any(|name| !["batch", "samples", "steps"].contains(&name))
        });
        capped
            || line.split("min(").skip(1).any(|rest| {
                let inside = rest.split(')').next().unwrap_or_default();
                let own =
                    |word: &str| (word.starts_with("p.") || word.starts_with("cx.params.")) && !word.contains(' ');
                inside.split(", ").skip(1).any(own)
            })
    };
    assert!(silent("let k = min(cx.params.k, n);") && silent("min(n, p.k)") && !silent("cx.at_most(\"k\", min(n, 3))"));
    // Its `most` is itself a limit.
    let allowed = ["plugins/attack/hopskipjump.rhai"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![];
    for folder in std::fs::read_dir(root.join("plugins")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        for file in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            let name = file.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if name.ends_with(".rhai") && !allowed.contains(&name.as_str()) {
                let text = std::fs::read_to_string(&file).unwrap();
                let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
                found.extend(code.filter(|(_, l)| silent(l)).map(|(i, l)| format!("{name}:{}: {}", i + 1, l.trim())));
            }
        }
    }
    assert!(found.is_empty(), "these limit a parameter silently:\n{}", found.join("\n"));
}
