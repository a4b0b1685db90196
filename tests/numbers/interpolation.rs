//! Scaling and cropping against torchvision and Pillow (scripts/reference/interpolation.py).

use candle_core::{Device, Tensor};
use gradscope::data::{Interpolation, Picture, Preprocess};
use image::RgbImage;
use serde_json::Value;

/// The source picture of the script: a pattern with bands of 0 and 255.
fn noise(h: usize, w: usize) -> Vec<u8> {
    let mut values: Vec<u8> = (0..h * w * 3).map(|i| ((i * i * 37 + 11 * i) % 256) as u8).collect();
    for (i, value) in values.iter_mut().enumerate() {
        let (y, x, c) = (i / 3 / w, i / 3 % w, i % 3);
        match c {
            0 if (h / 3..h / 2).contains(&y) => *value = 255,
            1 if (w / 3..w / 2).contains(&x) => *value = 0,
            _ => {}
        }
    }
    values
}

fn sizes(value: &Value) -> [usize; 2] {
    [0, 1].map(|i| value[i].as_u64().unwrap() as usize)
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn largest_difference(x: &Tensor, wanted: &[f32]) -> f32 {
    let values: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(values.len(), wanted.len());
    values.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn pictures_are_scaled_as_by_torchvision() {
    let all: Value = serde_json::from_str(include_str!("../fixtures/interpolation.json")).unwrap();
    let (mut bytes_seen, mut floats_seen) = (0, 0);
    for case in all["cases"].as_array().unwrap() {
        let ([h, w], [height, width]) = (sizes(&case["shape"]), sizes(&case["size"]));
        let interpolation: Interpolation = case["filter"].as_str().unwrap().parse().unwrap();
        let resize = case["short"].as_u64().map(|short| short as usize);
        let preprocess = Preprocess { input: [3, height, width], resize, interpolation };
        let what = format!("{interpolation} of {h}x{w} to {height}x{width}");

        let image = RgbImage::from_raw(w as u32, h as u32, noise(h, w)).unwrap();
        let x = preprocess.apply(&Picture::Image(image.into()), false).unwrap();
        let wanted: Vec<f32> = numbers(&case["bytes"]).iter().map(|v| v / 255.0).collect();
        assert_eq!(largest_difference(&x, &wanted), 0.0, "{what}, bytes");
        bytes_seen += 1;

        if case["floats"].is_array() {
            let values: Vec<f32> = noise(h, w).iter().map(|v| f32::from(*v) / 255.0).collect();
            let values = Tensor::from_vec(values, (h, w, 3), &Device::Cpu).unwrap().permute((2, 0, 1)).unwrap();
            let x = preprocess.apply(&Picture::Values(values), false).unwrap();
            let difference = largest_difference(&x, &numbers(&case["floats"]));
            assert!(difference < 1e-6, "{what}, floats: {difference}");
            floats_seen += 1;
        }
    }
    assert_eq!((bytes_seen, floats_seen), (24, 12));
}
