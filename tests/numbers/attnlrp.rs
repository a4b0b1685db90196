//! AttnLRP and CP-LRP of small transformers against LXT.
//!
//! The expected values are in `tests/fixtures/attnlrp.json`, written by `scripts/reference/attnlrp.py`; the networks are those of
//! `vision_transformers.json`.

use super::vision_transformers::{open, save};
use super::zoo::{numbers, uniform};
use crate::common::host;
use candle_core::{DType, Device, Tensor};
use gradscope::model::Model;
use gradscope::script::session::Session;
use serde_json::Value;
use std::sync::Arc;

/// Largest difference relative to the largest value, in f64 and in f32.
const TOLERANCES: [(DType, f64); 2] = [(DType::F64, 1e-6), (DType::F32, 1e-3)];

/// A network of `vision_transformers.json` with its weights by formula, and its picture.
pub fn network(label: &str, dtype: DType) -> (Model, Tensor) {
    let file: Value = serde_json::from_str(include_str!("../fixtures/vision_transformers.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    save(&path, &file["small"][label]["tensors"]);
    let mut model = open(&path);
    model.graph = Arc::new(model.graph.to(dtype, &Device::Cpu).unwrap());
    let [c, h, w] = model.card.input;
    let pixels = uniform("picture", c * h * w).into_iter().map(|u| (u * 0.5 + 0.5) as f32).collect();
    (model, Tensor::from_vec(pixels, (1, c, h, w), &Device::Cpu).unwrap().to_dtype(dtype).unwrap())
}

/// The relevance of the pixels by the plugin `lrp`, and the class.
fn relevance(model: &Model, x: &Tensor, set: &[(&str, String)]) -> (Vec<f64>, usize) {
    let host = host();
    let mut session = Session::new(&host, model.clone(), "picture", x.clone()).unwrap();
    session.open(host.method("lrp").unwrap());
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
    let frame = session.run(&host).unwrap_or_else(|e| panic!("{e:#}"));
    let map = frame.figures.iter().find(|f| f.title == "relevance").unwrap().values().unwrap();
    (map.data.iter().map(|&v| f64::from(v)).collect(), session.target().unwrap())
}

#[test]
fn attnlrp_and_cp_lrp_agree_with_lxt_on_small_transformers() {
    let file: Value = serde_json::from_str(include_str!("../fixtures/attnlrp.json")).unwrap();
    let number = |name: &str| file[name].as_f64().unwrap().to_string();
    let every = file["every"].as_u64().unwrap() as usize;
    for (label, composites) in file["networks"].as_object().unwrap() {
        for (dtype, tolerance) in TOLERANCES {
            let (model, x) = network(label, dtype);
            for (composite, expected) in composites.as_object().unwrap() {
                let set = [
                    ("composite", composite.clone()),
                    ("epsilon", number("epsilon")),
                    ("stabilizer", "plain".into()),
                    ("gamma", number("gamma")),
                    ("linear_gamma", number("linear_gamma")),
                ];
                let (ours, class) = relevance(&model, &x, &set);
                assert_eq!(class as u64, expected["class"].as_u64().unwrap(), "{label}");
                let greatest = expected["greatest"].as_f64().unwrap();
                let theirs = numbers(&expected["values"]);
                assert_eq!(theirs.len(), ours.len().div_ceil(every));
                let apart = ours.iter().step_by(every).zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                println!("{label} {composite} {dtype:?}: {:e}", apart / greatest);
                assert!(apart <= tolerance * greatest, "{label}, {composite}, {dtype:?}: {apart:e} of {greatest}");
            }
        }
    }
}
