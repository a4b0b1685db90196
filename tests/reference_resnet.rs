//! Methods on ResNet-20 and sixteen pictures of CIFAR-10, against PyTorch, Captum and zennit: batch norms are folded, skip
//! connections share relevance.
//!
//! Weights, pictures and numbers are found in the folder that GRADSCOPE_SHARED names; without it these tests do nothing.
#![allow(clippy::unwrap_used)]

#[path = "common/random.rs"]
mod random;

use candle_core::{Device, Tensor};
use gradscope::data::{Dataset, source};
use gradscope::model::Model;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use random::numbers;
use std::collections::HashMap;
use std::path::PathBuf;

struct Desk {
    host: Host,
    model: Model,
    data: Dataset,
    reference: HashMap<String, Tensor>,
}

impl Desk {
    fn open() -> Option<Self> {
        let shared = PathBuf::from(std::env::var_os("GRADSCOPE_SHARED")?);
        let host = Host::new(Folders::plugins(None), Folders::models(None));
        let architectures = Architectures::new(host.models().clone(), host.guard());
        let model = architectures.open("resnet20", Some(&shared.join("models/resnet20_cifar10.safetensors"))).unwrap();
        let pictures = shared.join("data/cifar10/cifar10_test_2000.bin");
        let data = source::open(&format!("cifar10:{}", pictures.display())).unwrap();
        let file = shared.join("reference/resnet20_cifar10.safetensors");
        Some(Self { host, model, data, reference: candle_core::safetensors::load(file, &Device::Cpu).unwrap() })
    }

    /// What a method gives as its figure of this title, for each of the first sixteen pictures and its label.
    fn answers(&self, method: &str, set: &[(&str, &str)], title: &str) -> Vec<Vec<f64>> {
        let one = |i: usize| {
            let x = self.data.batch(&[i], &self.model.card.preprocess()).unwrap();
            let mut session = Session::new(&self.host, self.model.clone(), "picture", x).unwrap();
            session.open(self.host.method(method).unwrap());
            set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
            session.set_target(Some(self.data.label(i))).unwrap();
            let frame = session.run(&self.host).unwrap_or_else(|e| panic!("{e:#}"));
            let figure = frame.figures.iter().find(|f| f.title == title).unwrap();
            figure.values().unwrap().data.iter().map(|v| f64::from(*v)).collect()
        };
        (0..16).map(one).collect()
    }

    fn assert(&self, name: &str, ours: &[f64], bound: f64) {
        let expected = numbers(&self.reference[name]);
        assert_eq!(ours.len(), expected.len(), "{name}");
        let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let off = length(&mut ours.iter().zip(&expected).map(|(a, b)| a - b)) / length(&mut expected.iter().copied());
        assert!(off <= bound, "{name}: {off:e} off, {bound:e} allowed");
    }
}

/// Sums over the three colours.
fn plane(map: &[f64]) -> Vec<f64> {
    let size = map.len() / 3;
    (0..size).map(|p| (0..3).map(|c| map[c * size + p]).sum()).collect()
}

#[test]
fn gradients_and_grad_cam_agree_with_captum() {
    let Some(desk) = Desk::open() else { return };
    let std = &desk.model.card.std;
    let by_pixels = desk.answers("saliency", &[], "gradient").concat();
    let gradient: Vec<_> = by_pixels.iter().enumerate().map(|(i, v)| v * std[i / 1024 % 3]).collect();
    desk.assert("gradient", &gradient, 2e-3);
    let cams = desk.answers("gradcam", &[], "cam_raw").concat();
    desk.assert("gradcam.layer3", &cams.iter().map(|v| v.max(0.0)).collect::<Vec<_>>(), 2e-5);
}

#[test]
fn lrp_through_skip_connections_agrees_with_zennit() {
    let Some(desk) = Desk::open() else { return };
    for (composite, bound) in [("EpsilonPlusFlat", 2e-3), ("EpsilonAlpha2Beta1", 2e-2)] {
        let maps = desk.answers("lrp", &[("composite", composite)], "relevance");
        desk.assert(&format!("lrp.{composite}"), &maps.iter().flat_map(|m| plane(m)).collect::<Vec<_>>(), bound);
        let sums: Vec<f64> = maps.iter().map(|m| m.iter().sum()).collect();
        desk.assert(&format!("lrp.{composite}.sum"), &sums, 2e-3);
    }
}
