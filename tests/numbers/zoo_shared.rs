//! Trained networks against PyTorch with the same weights and pictures.
//!
//! Weights and pictures come from the folder `GRADSCOPE_SHARED`; without it these tests are skipped.

use crate::common::shared::shared;
use candle_core::{DType, Device, Tensor};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

fn reference(shared: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(shared.join("models/reference_outputs.safetensors"), &Device::Cpu).unwrap()
}

/// Logits of `(N, C, H, W)` bytes; `model` is the name of an architecture with a weight file, or a weight file alone.
fn logits(model: &str, weights: Option<&Path>, pixels: &Tensor) -> Tensor {
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let model = architectures.open(model, weights).unwrap_or_else(|e| panic!("{e:#}"));
    let x = (pixels.to_dtype(DType::F32).unwrap() / 255.0).unwrap();
    model.graph.forward(&x).unwrap().logits().unwrap()
}

fn assert_close(what: &str, ours: &Tensor, theirs: &Tensor) {
    let difference = (ours.flatten_all().unwrap() - theirs.flatten_all().unwrap()).unwrap().abs().unwrap();
    let greatest = difference.max(0).unwrap().to_scalar::<f32>().unwrap();
    assert!(greatest < 1e-3, "{what}: logits differ by {greatest}");
}

/// The first 16 pictures of CIFAR-10's test set: a label byte, followed by three planes of 32x32 bytes each.
fn cifar(shared: &Path) -> Tensor {
    let bytes = std::fs::read(shared.join("data/cifar10/cifar10_test_2000.bin")).unwrap();
    let pixels = bytes.chunks(3073).take(16).flat_map(|picture| picture[1..].to_vec()).collect();
    Tensor::from_vec(pixels, (16, 3, 32, 32), &Device::Cpu).unwrap()
}

fn photo(shared: &Path, name: &str) -> Tensor {
    let picture = image::open(shared.join(format!("data/photos/{name}.png"))).unwrap().to_rgb8();
    let size = (picture.height() as usize, picture.width() as usize, 3);
    let rows = Tensor::from_vec(picture.into_raw(), size, &Device::Cpu).unwrap();
    rows.permute((2, 0, 1)).unwrap().unsqueeze(0).unwrap()
}

#[test]
fn cifar_networks_give_pytorchs_logits() {
    let Some(shared) = shared() else { return };
    let (pictures, reference) = (cifar(&shared), reference(&shared));
    let files = [
        ("resnet20", "resnet20_cifar10.safetensors"),
        ("resnet56", "resnet56_cifar10.safetensors"),
        ("convnetjs", "convnetjs_cifar10.safetensors"),
    ];
    for (name, file) in files {
        let ours = logits(name, Some(&shared.join("models").join(file)), &pictures);
        assert_close(name, &ours, &reference[&format!("cifar10_test_0_15.{name}.logits")]);
    }
}

#[test]
fn imagenet_networks_give_pytorchs_logits() {
    let Some(shared) = shared() else { return };
    let reference = reference(&shared);
    let files = [
        ("squeezenet1_0", "squeezenet1_0_imagenet.safetensors"),
        ("darknet_tiny", "darknet_tiny_imagenet_f16.safetensors"),
    ];
    for (name, file) in files {
        for picture in ["dog_cat_both", "king_snake_rgba", "kitten_rgba"] {
            let weights = shared.join("models").join(file);
            let ours = logits(name, Some(&weights), &photo(&shared, picture));
            assert_close(picture, &ours, &reference[&format!("{picture}.{name}.logits")]);
        }
    }
}

#[test]
fn the_tensors_of_a_weight_file_tell_its_architecture() {
    let Some(shared) = shared() else { return };
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    for (file, name) in [
        ("resnet20_cifar10.safetensors", "resnet20"),
        ("resnet56_cifar10.safetensors", "resnet56"),
        ("convnetjs_cifar10.safetensors", "convnetjs"),
        ("squeezenet1_0_imagenet.safetensors", "squeezenet1_0"),
        ("darknet_tiny_imagenet_f16.safetensors", "darknet_tiny"),
    ] {
        let path = shared.join("models").join(file);
        let model = architectures.open(path.to_str().unwrap(), None).unwrap_or_else(|e| panic!("{e:#}"));
        assert_eq!(model.card.name, name);
    }
}

#[test]
fn pictures_of_other_sizes_get_pytorchs_logits() {
    let Some(shared) = shared() else { return };
    let file: serde_json::Value = serde_json::from_str(include_str!("../fixtures/small_pictures.json")).unwrap();
    let list = |v: &serde_json::Value| v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
    for case in file["cases"].as_array().unwrap() {
        let [h, w] = list(&case["size"])[..] else { panic!("{case}") };
        let (h, w, name) = (h as usize, w as usize, case["network"].as_str().unwrap());
        let weights = shared.join("models").join(case["file"].as_str().unwrap());
        let architectures = Architectures::new(Folders::models(None), &Arc::default());
        let model = architectures.open(name, Some(&weights)).unwrap_or_else(|e| panic!("{e:#}"));
        let x: Vec<_> = (0..3 * h * w).map(|i| (((i * 53 + 7) % 97) as f64 / 97.0) as f32).collect();
        let x = Tensor::from_vec(x, (1, 3, h, w), &Device::Cpu).unwrap();
        let logits: Vec<f32> =
            model.graph.forward(&x).unwrap().logits().unwrap().flatten_all().unwrap().to_vec1().unwrap();
        for (class, theirs) in list(&case["classes"]).into_iter().zip(list(&case["logits"])) {
            let ours = f64::from(logits[class as usize]);
            assert!((ours - theirs).abs() < 1e-3, "class {class} of {name} at {h}x{w}: {ours} instead of {theirs}");
        }
    }
}

/// The folder with the output of `stylize` for a picture.
fn styled(shared: &Path, picture: &Path) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gradscope"));
    command.args(["run", "stylize", "-m", "style_transformer", "--no-resize", "-w"]);
    command.arg(shared.join("models/style_candy.safetensors")).arg("-i").arg(picture).arg("--out").arg(out.path());
    let said = command.output().unwrap();
    assert!(said.status.success(), "{picture:?}: {}", String::from_utf8_lossy(&said.stderr));
    out
}

#[test]
fn a_style_is_drawn_at_the_size_of_the_picture() {
    let Some(shared) = shared() else { return };
    let ours = styled(&shared, &shared.join("data/photos/chelsea_cat.png"));
    let ours = image::open(ours.path().join("01-styled.png")).unwrap().to_rgb8();
    let theirs = image::open(shared.join("faults/f-stylize-at-any-size/chelsea_cat_candy.png")).unwrap().to_rgb8();
    assert_eq!(ours.dimensions(), theirs.dimensions());
    let apart = ours.iter().zip(theirs.iter()).map(|(a, b)| a.abs_diff(*b));
    assert!(apart.clone().max().unwrap() <= 2, "a value differs by {:?}", apart.max());
    let folder = tempfile::tempdir().unwrap();
    for (w, h) in [(1, 1), (2, 1), (3, 7), (8, 8), (41, 40), (63, 130), (101, 67)] {
        let file = folder.path().join(format!("{w}x{h}.png"));
        let shade = |x: u32, y: u32| image::Rgb([(x * 40 + y * 7) as u8, (y * 30) as u8, ((x + y) * 20) as u8]);
        image::RgbImage::from_fn(w, h, shade).save(&file).unwrap();
        let drawn = gradscope::data::read_npy(&styled(&shared, &file).path().join("styled.npy")).unwrap();
        assert!(drawn.shape.ends_with(&[3, h as usize, w as usize]), "{:?} of {w}x{h}", drawn.shape);
        assert!(drawn.values.iter().all(|v| (0.0..=1.0).contains(v)));
    }
}
