//! A tiny network with random weights, and helpers to run scripts on it.
#![allow(dead_code)]

pub mod file_server;
pub mod imports;
pub mod png;
#[cfg(unix)]
pub mod pty;
pub mod random;
pub mod scan;
pub mod shared;
pub mod squeezenet;
pub mod table;

use candle_core::{DType, Device, Tensor};
use gradscope::backend::{Conv2d, Pool2d, Window};
use gradscope::data::Dataset;
use gradscope::graph::{Builder, op};
use gradscope::model::{Card, Model};
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
    let weights = graph.parameters().into_iter().enumerate().map(|(i, p)| {
        let count = p.shape.iter().product();
        let scale = (6.0 / p.shape[1..].iter().product::<usize>() as f64).sqrt().min(1.0);
        let values = uniform(i as u64 + 1, count);
        (p.name, (Tensor::from_vec(values, p.shape, &Device::Cpu).unwrap() * scale).unwrap())
    });
    let graph = graph.with_weights(weights.collect()).unwrap();
    let card = Card {
        name: "tiny".into(),
        summary: "a test network".into(),
        input: [3, 8, 8],
        resize: None,
        mean,
        std,
        labels: LABELS.map(String::from).to_vec().into(),
        synonyms: [].into(),
        picture: String::new(),
        channel_order: Default::default(),
        output: None,
        interpolation: Default::default(),
        sources: Default::default(),
    };
    Model { card: Arc::new(card), graph: Arc::new(graph), hash: "tiny".into(), taken: "".into() }
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
