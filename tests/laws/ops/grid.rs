//! Sampling at arbitrary positions, against PyTorch's `affine_grid` and `grid_sample`.

use crate::common::random::numbers;
use candle_core::{Device, Tensor};
use gradscope::backend::{GridSample, affine_grid, grid_sample};
use serde_json::Value;

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn assert_near(ours: &Tensor, theirs: &Value, what: &Value) {
    let (ours, theirs) = (numbers(ours), list(theirs));
    assert_eq!(ours.len(), theirs.len());
    for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert!((a - b).abs() < 1e-12, "{what}: element {i} is {a} instead of {b}");
    }
}

#[test]
fn grids_and_samples_match_pytorch() {
    let file: Value = serde_json::from_str(include_str!("../../fixtures/grid.json")).unwrap();
    let x = Tensor::from_vec(list(&file["x"]), (2, 3, 5, 7), &Device::Cpu).unwrap();
    let theta = Tensor::from_vec(list(&file["theta"]), (2, 2, 3), &Device::Cpu).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let align_corners = case["align_corners"].as_bool().unwrap();
        let how =
            GridSample { nearest: case["mode"] == "nearest", border: case["padding_mode"] == "border", align_corners };
        let grid = affine_grid(&theta, (4, 6), align_corners).unwrap();
        assert_near(&grid, &case["grid"], &case["align_corners"]);
        assert_near(&grid_sample(&x, &grid, how).unwrap(), &case["y"], &case["mode"]);
    }
}

#[test]
fn grids_of_the_wrong_shape_are_errors() {
    let x = Tensor::zeros((1, 1, 2, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(affine_grid(&x, (2, 2), false).is_err());
    let three = Tensor::zeros((1, 1, 2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(grid_sample(&x, &three, GridSample::default()).is_err());
}
