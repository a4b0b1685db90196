//! Feature spaces against PyTorch and scikit-learn: ResNet-20 on CIFAR-10's first 500 test pictures.
//!
//! Files come from the folder `GRADSCOPE_SHARED`; without it the tests that need them are skipped.

use crate::common::shared::shared;
use candle_core::{DType, Device, Tensor};
use gradscope::data::{Dataset, source};
use gradscope::math::pca_lowrank;
use gradscope::math::{Affinities, Descent, Metric, Tsne, neighbours};
use gradscope::model::{FeaturePooling, Features, Model};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

fn reference(shared: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(shared.join("reference/resnet20_cifar10.safetensors"), &Device::Cpu).unwrap()
}

fn model(name: &str, weights: Option<&Path>) -> Model {
    let host = Host::new(Folders::plugins(None).embedded_only(), Folders::models(None).embedded_only());
    Architectures::new(host.models().clone(), host.guard()).open(name, weights).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The largest difference of two tensors, relative to the largest magnitude of the second.
fn off(ours: &Tensor, theirs: &Tensor) -> f64 {
    let (a, b) = (numbers(ours), numbers(theirs));
    assert_eq!(a.len(), b.len());
    let most = b.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / most
}

#[test]
fn features_components_and_neighbors_match_pytorch_and_scikit_learn() {
    let Some(shared) = shared() else { return };
    let theirs = reference(&shared);
    let model = model("resnet20", Some(&shared.join("models/resnet20_cifar10.safetensors")));
    let data =
        source::open(&format!("cifar10:{}", shared.join("data/cifar10/cifar10_test_2000.bin").display())).unwrap();
    let first: Vec<_> = (0..500).collect();
    let layer = &model.graph.nodes[model.graph.logits].inputs.first().map(|&i| model.graph.nodes[i].name.clone());
    let layer = layer.as_deref().unwrap();
    let asked = Features { model: &model, data: &data, layer, pool: FeaturePooling::Mean, numbers: &first };
    let x = asked.rows(None, &mut |_| Ok(())).unwrap();
    assert!(off(&x, &theirs["features.first500"]) < 1e-4);

    let c = pca_lowrank(&x, 3, true).unwrap();
    let along = (c.s.sqr().unwrap() / 499.0).unwrap();
    assert!(off(&along, &theirs["pca.explained_variance"]) < 1e-4);
    // Directions are compared up to their sign.
    let cosines = (c.v.t().unwrap() * &theirs["pca.components"]).unwrap().sum(1).unwrap();
    assert!(numbers(&cosines).iter().all(|cosine| (cosine.abs() - 1.0).abs() < 1e-6), "{cosines}");
    let signs = cosines.sign().unwrap().reshape((3, 1)).unwrap();
    assert!(off(&c.v.t().unwrap().broadcast_mul(&signs).unwrap(), &theirs["pca.components"]) < 1e-3);

    for (name, metric) in [("euclidean", Metric::Euclidean), ("cosine", Metric::Cosine)] {
        let found = neighbours(&x.narrow(0, 0, 20).unwrap(), &x, 5, metric, true, &|_| Ok(())).unwrap();
        let index: Vec<f64> = found.index.iter().map(|&i| f64::from(i)).collect();
        assert_eq!(index, numbers(&theirs[&format!("neighbours.{name}.index")]), "{name}");
        let distance = Tensor::from_vec(found.distance, (20, 5), &Device::Cpu).unwrap();
        assert!(off(&distance, &theirs[&format!("neighbours.{name}.distance")]) < 1e-4, "{name}");
    }
}

/// The trustworthiness of a map: how many of each point's `k` nearest neighbors in the map are near in the original space,
/// weighted by rank (Venna & Kaski 2001).
fn trustworthiness(x: &Tensor, y: &Tensor, k: usize) -> f64 {
    let n = x.dims()[0];
    let all = neighbours(x, x, n - 1, Metric::Euclidean, true, &|_| Ok(())).unwrap();
    let near = neighbours(y, y, k, Metric::Euclidean, true, &|_| Ok(())).unwrap();
    let mut sum = 0.0;
    for i in 0..n {
        let order = &all.index[i * (n - 1)..(i + 1) * (n - 1)];
        for j in &near.index[i * k..(i + 1) * k] {
            let rank = 1 + order.iter().position(|o| o == j).unwrap();
            sum += rank.saturating_sub(k) as f64;
        }
    }
    1.0 - 2.0 * sum / (n * k * (2 * n - 3 * k - 1)) as f64
}

/// The accuracy of a `k`-nearest-neighbor classifier on the map.
fn accuracy(y: &Tensor, labels: &[usize], k: usize) -> f64 {
    let near = neighbours(y, y, k, Metric::Euclidean, true, &|_| Ok(())).unwrap();
    let right = |i: &usize| {
        let mut votes = [0; 10];
        near.index[i * k..(i + 1) * k].iter().for_each(|&j| votes[labels[j as usize]] += 1);
        let most = (0..10).max_by_key(|&c| (votes[c], 10 - c)).unwrap();
        most == labels[*i]
    };
    (0..labels.len()).filter(right).count() as f64 / labels.len() as f64
}

#[test]
fn the_map_of_the_reference_features_is_as_good_as_that_of_open_tsne() {
    let Some(shared) = shared() else { return };
    let x = &reference(&shared)["features.first500"];
    let text = std::fs::read_to_string(shared.join("reference/resnet20_cifar10.json")).unwrap();
    let quality: serde_json::Value = serde_json::from_str(&text).unwrap();
    let theirs = |what: &str| quality["tsne_quality_first500"]["openTSNE seed 0"][what].as_f64().unwrap();
    let data =
        source::open(&format!("cifar10:{}", shared.join("data/cifar10/cifar10_test_2000.bin").display())).unwrap();
    let labels: Vec<_> = (0..500).map(|i| data.label(i)).collect();

    let c = pca_lowrank(x, 2, true).unwrap();
    let first = c.u.broadcast_mul(&c.s).unwrap().to_dtype(DType::F64).unwrap().to_vec2::<f64>().unwrap();
    let width = (first.iter().map(|p| p[0] * p[0]).sum::<f64>() / 500.0).sqrt();
    let start = first.iter().map(|p| [p[0], p[1]].map(|v| v * 1e-4 / width)).collect();
    let near = neighbours(x, x, 90, Metric::Euclidean, true, &|_| Ok(())).unwrap();
    let mut map = Tsne::new(Arc::new(Affinities::of(&near, 30.0).unwrap()), start).unwrap();
    for (iterations, exaggeration) in [(250, 12.0), (500, 1.0)] {
        map.descend(Descent { iterations, exaggeration, rate: None, momentum: 0.8 }, &|_| Ok(())).unwrap();
    }
    let y = Tensor::from_vec(map.y.as_flattened().to_vec(), (500, 2), &Device::Cpu).unwrap();
    assert!(map.kl < 1.05 * theirs("kl_divergence"), "KL {}", map.kl);
    for (k, what) in [(5, "trustworthiness_k5"), (12, "trustworthiness_k12")] {
        let ours = trustworthiness(x, &y, k);
        assert!(ours >= theirs(what) - 0.01, "{what} {ours}");
    }
    for (k, what) in [(1, "knn1_accuracy"), (5, "knn5_accuracy"), (10, "knn10_accuracy")] {
        let ours = accuracy(&y, &labels, k);
        assert!(ours >= theirs(what) - 0.01, "{what} {ours}");
    }
    eprintln!("KL {} T5 {} knn10 {}", map.kl, trustworthiness(x, &y, 5), accuracy(&y, &labels, 10));
}

fn of(model: &Model, data: &Dataset, numbers: &[usize], folder: &Path, stop: usize) -> (Option<Tensor>, usize) {
    let asked = Features { model, data, layer: "avgpool", pool: FeaturePooling::Mean, numbers };
    let mut first = None;
    let rows = asked.rows(Some(folder), &mut |done| {
        first.get_or_insert(done);
        if done >= stop { anyhow::bail!("stopped") } else { Ok(()) }
    });
    (rows.ok(), first.unwrap())
}

#[test]
fn cached_features_are_reused_and_a_stopped_run_continues() {
    let (model, data) = (model("shapes", None), source::open("made:shapes").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<_> = (0..240).collect();
    let (none, known) = of(&model, &data, &all, folder.path(), 1);
    assert!(none.is_none() && known == 0);
    let (rows, known) = of(&model, &data, &all, folder.path(), usize::MAX);
    assert!(known > 0 && known < 240, "{known}");
    let (again, known) = of(&model, &data, &[5, 239, 5], folder.path(), usize::MAX);
    assert_eq!(known, 3);
    let chosen = Tensor::new(&[5u32, 239, 5], &Device::Cpu).unwrap();
    assert_eq!(numbers(&rows.unwrap().index_select(&chosen, 0).unwrap()), numbers(&again.unwrap()));
}

#[test]
fn other_weights_layers_and_pictures_have_separate_features() {
    let (model, data) = (model("shapes", None), source::open("made:shapes").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (_, known) = of(&model, &data, &[0, 1], folder.path(), usize::MAX);
    assert_eq!(known, 0);
    let mut graph = (*model.graph).clone();
    let weights = graph.nodes.iter_mut().find_map(|n| n.params.first_mut()).unwrap();
    *weights = (&*weights * 1.0001).unwrap();
    let other = Model { graph: graph.into(), ..model.clone() };
    assert_eq!(of(&other, &data, &[0, 1], folder.path(), usize::MAX).1, 0);
    assert_eq!(of(&model, &source::open("made:welcome").unwrap(), &[0, 1], folder.path(), usize::MAX).1, 0);
    assert_eq!(of(&model, &data, &[0, 1], folder.path(), usize::MAX).1, 2);
}

#[test]
fn a_map_is_pooled_by_mean_maximum_or_flattening() {
    let map = Tensor::new(&[[[[1f32, 2.], [3., 6.]], [[-1., -1.], [-1., -5.]]]], &Device::Cpu).unwrap();
    let of = |pool: FeaturePooling| numbers(&pool.rows(&map).unwrap());
    assert_eq!(of(FeaturePooling::Mean), [3.0, -2.0]);
    assert_eq!(of(FeaturePooling::Max), [6.0, -1.0]);
    assert_eq!(of(FeaturePooling::Flat), [1.0, 2.0, 3.0, 6.0, -1.0, -1.0, -1.0, -5.0]);
}
