//! Activation patching against PyTorch's forward hooks, on small transformers and on the tiny network.
//!
//! The expected values are in `tests/fixtures/patching.json`, written by `scripts/reference/patching.py`.

use super::attnlrp::network;
use super::zoo::{numbers, uniform};
use crate::common::{self, finished, host, tiny};
use candle_core::{DType, Device, Tensor};
use gradscope::model::Model;
use gradscope::render::{Body, Figure};
use gradscope::script::session::Session;
use serde_json::Value;

/// Largest difference relative to the largest effect.
const TOLERANCE: f64 = 1e-4;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/patching.json")).unwrap()
}

/// A network of the fixture, the picture and the other picture.
fn pair(label: &str, dtype: DType) -> (Model, Tensor, Tensor) {
    if label == "tiny" {
        let other: Vec<f32> = common::uniform(98, 192).into_iter().map(|v| 0.5 + 0.4 * v).collect();
        return (tiny(), common::picture(), Tensor::from_vec(other, (1, 3, 8, 8), &Device::Cpu).unwrap());
    }
    let (model, x) = network(label, dtype);
    let other: Vec<f32> = uniform("other", x.elem_count()).into_iter().map(|u| (u * 0.5 + 0.5) as f32).collect();
    let other = Tensor::from_vec(other, x.dims(), &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    (model, x, other)
}

/// The figures of the last step, for the class of the fixture.
fn figures(label: &str, set: &[(&str, &str)]) -> Vec<Figure> {
    // The two probabilities differ by 3e-5 in one network: in f32, even PyTorch's difference is off by 6e-4.
    let dtype = if set.contains(&("measure", "probability")) { DType::F64 } else { DType::F32 };
    let (host, (model, x, other)) = (host(), pair(label, dtype));
    let mut session = Session::new(&host, model, "picture", x).unwrap();
    session.set_target(fixture()["class"].as_u64().map(|class| class as usize)).unwrap();
    session.open(host.method("patching").unwrap());
    session.give("other", other).unwrap();
    session.set("against", &fixture()["against"].to_string()).unwrap();
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
    finished(&host, &mut session).unwrap_or_else(|e| panic!("{label} {set:?}: {e:#}"))
}

fn raw(figures: &[Figure]) -> Vec<f64> {
    let values = figures.iter().find(|f| f.title == "patching").unwrap().values().unwrap();
    let columns = if values.shape.len() == 2 { values.shape[1] } else { 1 };
    values.data.iter().skip(columns - 1).step_by(columns).map(|&v| f64::from(v)).collect()
}

/// The effect of each whole layer, from the table `title`, whose rows begin with the layer.
fn whole(figures: &[Figure], title: &str) -> Vec<f64> {
    let Body::Table { rows, .. } = &figures.iter().find(|f| f.title == title).unwrap().body else { panic!("no table") };
    let mut rows: Vec<_> = rows.iter().map(|row| (row[0].clone(), row[1].parse::<f64>().unwrap())).collect();
    rows.dedup();
    rows.into_iter().map(|(_, effect)| effect).collect()
}

#[test]
fn patched_units_restore_what_they_restore_with_hooks() {
    for (label, kinds) in fixture()["networks"].as_object().unwrap() {
        for (kind, layers) in kinds.as_object().unwrap() {
            let [units, of, measure, direction]: [&str; 4] = kind.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let mut set = vec![("units", units), ("measure", measure), ("direction", direction)];
            if ["block", "attention", "mlp"].contains(&of) {
                set.push(("of", of));
            }
            let figures = figures(label, &set);
            let layers: Vec<_> = layers.as_array().unwrap().iter().map(numbers).collect();
            let theirs: Vec<f64> = layers.iter().flat_map(|layer| &layer[..layer.len() - 1]).copied().collect();
            let ours = raw(&figures);
            assert_eq!(ours.len(), theirs.len(), "{label}, {kind}");
            let greatest = theirs.iter().fold(1.0, |most: f64, v| most.max(v.abs()));
            let table = [("positions", "layers"), ("channels", "restored"), ("heads", "heads")];
            let title = table.iter().find(|(name, _)| *name == units).unwrap().1;
            let wholes = whole(&figures, title).into_iter().zip(layers.iter().map(|layer| layer[layer.len() - 1]));
            let pairs = ours.into_iter().zip(theirs).chain(wholes);
            let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("{label}, {kind}: {:e}", apart / greatest);
            assert!(apart <= TOLERANCE * greatest, "{label}, {kind}: {apart:e} of {greatest}");
        }
    }
}

#[test]
fn a_layer_that_everything_passes_through_restores_the_whole_score() {
    for (label, units, title) in [("timm vit", "positions", "layers"), ("tiny", "channels", "restored")] {
        for direction in ["denoising", "noising"] {
            let figures = figures(label, &[("units", units), ("direction", direction)]);
            for effect in whole(&figures, title) {
                assert!((effect - 1.0).abs() < 1e-4, "{label} {direction}: {effect}");
            }
        }
    }
}

#[test]
fn larger_maps_are_moved_in_blocks() {
    // The maps of the tiny network have 4x4 positions; with 3 cells per side, blocks of 2x2 remain.
    let figures = figures("tiny", &[("cells", "3")]);
    let maps = figures.iter().find(|f| f.title == "maps").unwrap().values().unwrap();
    assert_eq!(maps.shape, [2, 2, 2]);
    let one = self::figures("tiny", &[("cells", "1")]);
    let maps = one.iter().find(|f| f.title == "maps").unwrap().values().unwrap();
    assert!(maps.data.iter().all(|v| (v - 1.0).abs() < 1e-4), "a single cell is the whole layer: {:?}", maps.data);
}

#[test]
fn outside_the_box_the_pictures_are_the_same() {
    let (_, x, other) = pair("tiny", DType::F32);
    let figures = figures("tiny", &[("box", "2 3 6 8")]);
    let mixed = figures.iter().find(|f| f.title == "other").unwrap().values().unwrap().data.clone();
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (i, ((mixed, own), other)) in mixed.iter().zip(flat(&x)).zip(flat(&other)).enumerate() {
        let inside = (2..6).contains(&(i % 64 / 8)) && (3..8).contains(&(i % 8));
        assert_eq!(*mixed, if inside { other } else { own }, "at {i}");
    }
}
