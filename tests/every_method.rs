//! Every method of the folder on every network: an answer, or a sentence that says why there is none.
//!
//! Weights are found in the folder that GRADSCOPE_SHARED names; without it only the program's own networks are asked.
#![allow(clippy::unwrap_used)]

use candle_core::{Device, Tensor};
use gradscope::data::{Dataset, source};
use gradscope::model::Model;
use gradscope::render::Figure;
use gradscope::script::architecture::Architectures;
use gradscope::script::data::Data;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use std::path::{Path, PathBuf};

/// Steps that steppers are given: enough to see that they go on.
const STEPS: usize = 2;

/// Methods that cannot be asked about a network, or any of these, and what they say.
const REFUSALS: &[(&str, &str, &str)] = &[
    ("pca_map", "moons", "no map"),
    ("style_transfer", "moons", "compared on maps"),
    ("stylize", "*", "style_transformer"),
    ("training", "darknet_tiny", "running statistics"),
    ("training", "resnet20", "running statistics"),
    ("training", "resnet56", "running statistics"),
];

/// Two pictures that fit the network.
fn pictures(model: &Model) -> Dataset {
    let [c, h, w] = model.card.input;
    let pixels = (0..2 * c * h * w).map(|i| (i * 37 % 251) as u8).collect();
    Dataset::of_bytes("two", vec![], [c, h, w], pixels, vec![0, 1]).unwrap()
}

/// The picture of the program that fits the network best.
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
    let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    let model = Architectures::new(host.models().clone(), host.guard()).open(name, weights).unwrap();
    let mut session = Session::new(&host, model.clone(), "picture", picture(&model)).unwrap();
    session.set_data(Data::of(pictures(&model)));
    let mut wrong = vec![];
    for method in host.plugins().names() {
        let refusal = REFUSALS.iter().find(|(m, n, _)| *m == method && [name, "*"].contains(n));
        match (answer(&host, &mut session, &method), refusal) {
            (Ok(figures), None) => {
                let bad = |f: &&Figure| f.values().is_some_and(|v| v.data.iter().any(|v| !v.is_finite()));
                wrong.extend(figures.iter().filter(bad).map(|f| format!("{method}: \"{}\" has no numbers", f.title)));
                if figures.is_empty() {
                    wrong.push(format!("{method} shows nothing"));
                }
            }
            (Err(error), Some((_, _, says))) if format!("{error:#}").contains(says) => {}
            (Err(error), _) => wrong.push(format!("{method}: {error:#}")),
            (Ok(_), Some(_)) => wrong.push(format!("{method} answers, though it is said to refuse")),
        }
    }
    assert!(wrong.is_empty(), "on {name}:\n{}", wrong.join("\n"));
}

fn ask_all_of_shared(name: &str, file: &str) {
    if let Some(shared) = std::env::var_os("GRADSCOPE_SHARED") {
        ask_all(name, Some(&PathBuf::from(shared).join("models").join(file)));
    }
}

#[test]
fn every_method_answers_on_shapes() {
    ask_all("shapes", None);
}

#[test]
fn every_method_answers_on_digits() {
    ask_all("digits", None);
}

#[test]
fn every_method_answers_on_convnetjs() {
    ask_all_of_shared("convnetjs", "convnetjs_cifar10.safetensors");
}

#[test]
fn every_method_answers_on_resnets() {
    ask_all_of_shared("resnet20", "resnet20_cifar10.safetensors");
    ask_all_of_shared("resnet56", "resnet56_cifar10.safetensors");
}

#[test]
fn every_method_answers_on_lenet() {
    ask_all_of_shared("lenet_captum", "lenet_cifar10_captum.pt");
}

#[test]
fn every_method_answers_on_darknet() {
    ask_all_of_shared("darknet_tiny", "darknet_tiny_imagenet_f16.safetensors");
}

#[test]
fn every_method_answers_on_squeezenet() {
    ask_all_of_shared("squeezenet1_0", "squeezenet1_0_imagenet.safetensors");
}

#[test]
fn every_method_answers_on_waveforms() {
    ask_all("waves", None);
}

#[test]
fn every_method_answers_on_lines_of_text() {
    ask_all("words", None);
}

#[test]
fn every_method_answers_on_points_of_the_plane() {
    ask_all("moons", None);
}
