//! A tiny network with random weights, and helpers to run scripts on it.
#![allow(dead_code)]

pub mod file_server;
pub mod imports;
pub mod json_schema;
pub mod png;
#[cfg(unix)]
pub mod pty;
pub mod random;
pub mod scan;
pub mod shared;
pub mod squeezenet;
pub mod table;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use gradscope::backend::{Conv2d, Pool2d, Window};
use gradscope::data::Dataset;
use gradscope::graph::{Builder, Graph, op};
use gradscope::model::{Card, Model};
use gradscope::render::Figure;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::{Folders, ScriptSource};
use gradscope::script::host::Host;
use gradscope::script::method::Method;
use gradscope::script::method::data::Data;
use gradscope::script::session::Session;
use gradscope::script::summary::Report;
use std::sync::Arc;

/// Classes of the tiny network.
pub const LABELS: [&str; 5] = ["ant", "bee", "cat", "dog", "elk"];

/// Numbers in [-1, 1) from a seed: the upper 53 bits of SplitMix64.
pub fn uniform(seed: u64, count: usize) -> Vec<f32> {
    let number = |i: u64| {
        let z = seed.wrapping_mul(0xA24B_AED4_963E_E407).wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0) as f32
    };
    (1..=count as u64).map(number).collect()
}

/// Two convolutions, a max pool and a linear layer over 3 x 8 x 8 pictures.
pub fn tiny() -> Model {
    let mut b = Builder::new(&[3, 8, 8]);
    let conv = |input, output| op::Conv {
        input,
        output,
        kernel: (3, 3),
        slide: Conv2d { padding: (1, 1), ..Conv2d::default() },
        bias: true,
    };
    let (mean, std) = (vec![0.5, 0.4, 0.3], vec![0.25, 0.25, 0.5]);
    let x = b.add("normalize", op::Normalize { mean: mean.clone(), std: std.clone() }, &[0]).unwrap();
    let x = b.add("conv1", conv(3, 4), &[x]).unwrap();
    let x = b.add("relu1", op::Relu, &[x]).unwrap();
    let pool = Pool2d { h: Window::new(2, 2, 0, 1), w: Window::new(2, 2, 0, 1), ceil_mode: false };
    let x = b.add("pool1", op::MaxPool { pool }, &[x]).unwrap();
    let x = b.add("conv2", conv(4, 6), &[x]).unwrap();
    let x = b.add("relu2", op::Relu, &[x]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc", op::Linear { input: 96, output: 5, bias: true }, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let graph = scaled_random_weights(graph);
    let card = Card { mean, std, labels: LABELS.map(String::from).to_vec().into(), ..Card::plain("tiny", [3, 8, 8]) };
    Model { card: Arc::new(card), graph: Arc::new(graph), hash: "tiny".into(), taken: "".into() }
}

/// The network with random weights, scaled by the fan-in of each layer.
pub fn scaled_random_weights(graph: Graph) -> Graph {
    let weights = graph.parameters().into_iter().enumerate().map(|(i, p)| {
        let scale = (6.0 / p.shape[1..].iter().product::<usize>() as f64).sqrt().min(1.0);
        let values = uniform(i as u64 + 1, p.shape.iter().product());
        (p.name, (Tensor::from_vec(values, p.shape, &Device::Cpu).unwrap() * scale).unwrap())
    });
    graph.with_weights(weights.collect()).unwrap()
}

/// A network with random weights in f64 for pictures of 8 x 8 pixels, built by the body of `build(x)` in an architecture script, with these
/// class names.
pub fn built(host: &Host, labels: &str, build: &str) -> Model {
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("//! Mine.\nconst MODEL = #{{ input: [3, 8, 8], labels: {labels} }};\nfn build(x) {{ {build} }}\n");
    std::fs::write(folder.path().join("mine.rhai"), text).unwrap();
    let (card, graph) = Architectures::new(Folders::models(Some(folder.path())), host.guard()).build("mine").unwrap();
    let weights = graph.parameters().into_iter().enumerate().map(|(i, p)| {
        let values = uniform(i as u64 + 1, p.shape.iter().product());
        (p.name, Tensor::from_vec(values, p.shape, &Device::Cpu).unwrap())
    });
    let graph = graph.with_weights(weights.collect()).unwrap().to(DType::F64, &Device::Cpu).unwrap();
    Model { card: Arc::new(card), graph: Arc::new(graph), hash: "".into(), taken: "".into() }
}

/// Methods that need networks of another kind than a classifier of pictures without attention.
pub const FOR_OTHER_NETWORKS: [&str; 8] =
    ["stylize", "inaudible", "read_as", "attention", "attention_scope", "chefer", "gradient_attention", "rollout"];

/// Runs the session's method to its end and returns the figures.
pub fn finished(host: &Host, session: &mut Session) -> Result<Vec<Figure>> {
    let mut frame = session.run(host)?;
    while session.can_go_on() {
        frame = session.step(host)?;
    }
    Ok(frame.figures)
}

/// A picture of the tiny network's size.
pub fn picture() -> Tensor {
    let values = uniform(99, 3 * 8 * 8).into_iter().map(|v| 0.5 + 0.4 * v).collect::<Vec<_>>();
    Tensor::from_vec(values, (1, 3, 8, 8), &Device::Cpu).unwrap().to_dtype(DType::F32).unwrap()
}

/// A host that knows only the embedded scripts.
pub fn host() -> Host {
    Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only())
}

/// A session of the tiny network on the test picture.
pub fn session(host: &Host) -> Session {
    let mut session = Session::new(host, tiny(), "picture", picture()).unwrap();
    session.set_data(Data::of(pictures()));
    session
}

/// Five pictures of the tiny network's size.
fn pictures() -> Dataset {
    let pixels = (0..5 * 3 * 8 * 8).map(|i| (i * 37 % 251) as u8).collect();
    Dataset::of_bytes("five", vec![], [3, 8, 8], pixels, vec![0, 1, 2, 0, 1]).unwrap()
}

/// Compiles a method from its source.
pub fn method(host: &Host, text: &str) -> Method {
    host.compile(source(text)).unwrap_or_else(|e| panic!("{e:#}"))
}

/// A script named `probe`.
pub fn source(text: &str) -> ScriptSource {
    ScriptSource::of_text("probe", text)
}

/// A one-shot script with this body. Its declarations fill the first two lines.
pub fn one_shot(body: &str) -> String {
    format!("const PLUGIN = #{{ group: \"test\" }};\nfn run(cx) {{\n{body}\n}}\n")
}

/// The error report of a one-shot script with this body, which starts on line 3.
pub fn failure(body: &str) -> Report {
    let host = host();
    let mut session = session(&host);
    let error = match host.compile(source(&one_shot(body))) {
        Ok(method) => {
            session.open(method);
            session.run(&host).err().unwrap_or_else(|| panic!("this should have failed:\n{body}"))
        }
        Err(error) => error,
    };
    error.downcast::<Report>().unwrap_or_else(|e| panic!("not a report: {e:#}"))
}

/// The text of the only figure, `text(…, "answer")`, of a one-shot script that evaluates this body.
pub fn answer(body: &str) -> String {
    answer_of(tiny(), body)
}

/// Like [`answer`], for a network that takes pictures of the tiny network's size.
pub fn answer_of(model: Model, body: &str) -> String {
    let host = host();
    let mut session = Session::new(&host, model, "picture", picture()).unwrap();
    session.set_data(Data::of(pictures()));
    session.open(method(&host, &one_shot(&format!("let answer = {{ {body} }};\ntext(`${{answer}}`, \"answer\")"))));
    let frame = session.run(&host).unwrap_or_else(|e| panic!("{e}"));
    match &frame.figures[0].body {
        gradscope::render::Body::Text { text } => text.clone(),
        other => panic!("{other:?}"),
    }
}
