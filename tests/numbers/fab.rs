//! FAB against the package autoattack (`scripts/reference/fab.py`), point by point, on a network with random weights.

use crate::common::{finished, host, method, scaled_random_weights, uniform};
use candle_core::{Device, Tensor};
use gradscope::backend::Conv2d;
use gradscope::graph::{Builder, op};
use gradscope::model::{Card, Model};
use gradscope::render::{Body, Figure};
use gradscope::script::session::Session;
use serde_json::Value;
use std::sync::Arc;

const NORMS: [&str; 3] = ["linf", "l2", "l1"];

fn reference() -> Value {
    serde_json::from_str(include_str!("../fixtures/fab.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Two convolutions and a linear layer over 3 x 12 x 12 pictures, with 12 classes.
fn network() -> Model {
    let mut b = Builder::new(&[3, 12, 12]);
    let conv = |input, output, stride| op::Conv {
        input,
        output,
        kernel: (3, 3),
        slide: Conv2d { stride: (stride, stride), ..Conv2d::default() },
        bias: true,
    };
    let x = b.add("conv1", conv(3, 6, 1), &[0]).unwrap();
    let x = b.add("relu1", op::Relu, &[x]).unwrap();
    let x = b.add("conv2", conv(6, 8, 2), &[x]).unwrap();
    let x = b.add("relu2", op::Relu, &[x]).unwrap();
    let x = b.add("flatten", op::Flatten, &[x]).unwrap();
    let x = b.add("fc", op::Linear { input: 128, output: 12, bias: true }, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let graph = scaled_random_weights(graph);
    let card = Card { labels: (0..12).map(|c| c.to_string()).collect(), ..Card::plain("fab", [3, 12, 12]) };
    Model { card: Arc::new(card), graph: Arc::new(graph), hash: "fab".into(), taken: "".into() }
}

fn picture() -> Tensor {
    let values = uniform(99, 3 * 12 * 12).into_iter().map(|v| (0.5 + 0.45 * f64::from(v)) as f32).collect::<Vec<_>>();
    Tensor::from_vec(values, (1, 3, 12, 12), &Device::Cpu).unwrap()
}

fn length(delta: &[f64], norm: &str) -> f64 {
    match norm {
        "linf" => delta.iter().fold(0.0, |most, v| v.abs().max(most)),
        "l2" => delta.iter().map(|v| v * v).sum::<f64>().sqrt(),
        _ => delta.iter().map(|v| v.abs()).sum(),
    }
}

fn values(figures: &[Figure], title: &str) -> Vec<f64> {
    let figure = figures.iter().find(|f| f.title == title).unwrap_or_else(|| panic!("no {title}"));
    figure.values().unwrap().data.iter().map(|v| f64::from(*v)).collect()
}

/// The figures of FAB after its last step.
fn fab(set: &[(&str, &str)]) -> Vec<Figure> {
    let host = host();
    let mut session = Session::new(&host, network(), "picture", picture()).unwrap();
    session.open(host.method("fab").unwrap());
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap_or_else(|e| panic!("{name}: {e:#}")));
    finished(&host, &mut session).unwrap_or_else(|e| panic!("{e:#}"))
}

#[test]
fn every_point_of_fab_agrees_with_autoattack() {
    let (host, reference) = (host(), reference());
    for norm in NORMS {
        let body = format!(
            r#"import "lib/fab" as fab;
            const PLUGIN = #{{ group: "test" }};
            fn run(cx) {{
                let others = []; for k in 0..cx.model.classes {{ if k != cx.target {{ others.push(k); }} }}
                let run = fab::start(cx.input, others);
                let all = [];
                for k in 0..13 {{
                    run = fab::step(cx, run, #{{ norm: "{norm}", alpha_max: 0.1, eta: 1.05, beta: 0.9 }});
                    all.push(run.x - cx.input);
                }}
                [sheet(cat(all, 0).flatten(1), "points")]
            }}"#
        );
        let mut session = Session::new(&host, network(), "picture", picture()).unwrap();
        session.open(method(&host, &body));
        let points = values(&session.run(&host).unwrap_or_else(|e| panic!("{e:#}")).figures, "points");
        for expected in reference[norm]["points"].as_array().unwrap() {
            let step = expected["step"].as_u64().unwrap() as usize;
            let ours = &points[(step - 1) * 432..step * 432];
            let far = expected["length"].as_f64().unwrap();
            assert!((length(ours, norm) - far).abs() < 1e-5 * far, "{norm}, step {step}: {}", length(ours, norm));
            for (ours, theirs) in ours.iter().zip(numbers(&expected["first"])) {
                assert!((ours - theirs).abs() < 1e-5, "{norm}, step {step}: {ours} instead of {theirs}");
            }
        }
    }
}

#[test]
fn the_closest_point_that_fab_finds_is_as_close_as_that_of_autoattack() {
    let reference = reference();
    for norm in NORMS {
        let figures = fab(&[("norm", norm), ("steps", "20"), ("classes", "11")]);
        let (ours, theirs) =
            (length(&values(&figures, "perturbation"), norm), reference[norm]["distance"].as_f64().unwrap());
        assert!((ours - theirs).abs() < 1e-4 * theirs, "{norm}: {ours} instead of {theirs}");
    }
}

#[test]
fn fab_t_finds_the_distances_to_the_most_likely_classes_that_autoattack_finds() {
    let reference = reference();
    for norm in NORMS {
        let figures = fab(&[("norm", norm), ("steps", "20"), ("targeted", "true")]);
        let table = figures.iter().find(|f| f.title == "distance to each class").unwrap();
        let Body::Table { rows, .. } = &table.body else { panic!("no table") };
        let classes: Vec<f64> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
        assert_eq!(classes, numbers(&reference[norm]["classes"]), "{norm}");
        for (row, theirs) in rows.iter().zip(numbers(&reference[norm]["targeted"])) {
            let ours = row[1].parse::<f64>().unwrap() / 255.0;
            assert!((ours - theirs).abs() < 6e-3 * theirs, "{norm}, class {}: {ours} instead of {theirs}", row[0]);
        }
    }
}

#[test]
fn restarts_never_find_a_farther_point() {
    let far = |restarts: &str| {
        length(&values(&fab(&[("norm", "l2"), ("steps", "5"), ("restarts", restarts)]), "perturbation"), "l2")
    };
    let (one, four) = (far("1"), far("4"));
    assert!(four <= one && four > 0.0, "{four} after {one}");
}
