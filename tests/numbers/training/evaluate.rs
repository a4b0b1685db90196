//! Evaluation of accuracy.

use crate::common::{tiny, uniform};
use gradscope::data::{Dataset, Preprocess};
use gradscope::model::{Accuracy, Model, correct, evaluate};

/// Pictures of the tiny network's size, with these labels.
fn pictures(labels: Vec<usize>) -> Dataset {
    let pixels = uniform(3, labels.len() * 192).into_iter().map(|v| (127.5 * (v + 1.0)) as u8).collect();
    Dataset::of_bytes("noise", vec![], [3, 8, 8], pixels, labels).unwrap()
}

/// The tiny network's prediction for each picture.
fn answers(count: usize) -> Vec<usize> {
    let preprocess = Preprocess::bilinear([3, 8, 8], None);
    let numbers: Vec<_> = (0..count).collect();
    let x = pictures(vec![0; count]).batch(&numbers, &preprocess).unwrap();
    let top = tiny().graph.forward(&x).unwrap().logits().unwrap().argmax(1).unwrap();
    top.to_vec1::<u32>().unwrap().into_iter().map(|c| c as usize).collect()
}

#[test]
fn accuracy_on_predicted_labels_is_one_except_for_changed_labels() {
    let mut labels = answers(300);
    for label in labels.iter_mut().step_by(3) {
        *label = (*label + 1) % 5;
    }
    let mut seen = vec![];
    let count = evaluate(&tiny(), &pictures(labels), &mut |count| {
        seen.push(count);
        Ok(())
    });
    let count = count.unwrap();
    assert_eq!(count, Accuracy { correct: 200, not_finite: 0, total: 300 });
    assert!((count.accuracy() - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(seen.first(), Some(&Accuracy::default()));
    assert_eq!(seen.last(), Some(&count));
    assert!(seen.len() >= 3, "{seen:?}");
}

/// The tiny network with its last layer's weights scaled by a factor at which some pictures' scores overflow.
fn overflowing(factor: f64) -> Model {
    let tiny = tiny();
    let mut weights = tiny.graph.weights();
    let fc = (&weights["fc.weight"] * factor).unwrap();
    weights.insert("fc.weight".into(), fc);
    Model { graph: tiny.graph.with_weights(weights).unwrap().into(), ..tiny }
}

#[test]
fn pictures_whose_scores_overflow_are_counted_and_never_correct() {
    let all = pictures(vec![0; 300]);
    let preprocess = Preprocess::bilinear([3, 8, 8], None);
    let x = all.batch(&(0..300).collect::<Vec<_>>(), &preprocess).unwrap();
    // At this factor, about half of the pictures have a score that exceeds the range of f32.
    let greatest = |row: &Vec<f32>| row.iter().map(|v| v.abs()).fold(0.0, f32::max);
    let mut sizes: Vec<_> = tiny().graph.logits(&x).unwrap().to_vec2::<f32>().unwrap().iter().map(greatest).collect();
    sizes.sort_by(f32::total_cmp);
    let model = overflowing(f64::from(f32::MAX) / f64::from(sizes[150]));
    let rows = model.graph.logits(&x).unwrap().to_vec2::<f32>().unwrap();
    let overflows = |row: &Vec<f32>| row.iter().any(|v| !v.is_finite());
    let expected = rows.iter().filter(|row| overflows(row)).count();
    assert!(expected > 10 && expected < 290, "{expected}");
    let labels = rows.iter().map(|row| (0..5).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap());
    let count = evaluate(&model, &pictures(labels.collect()), &mut |_| Ok(())).unwrap();
    assert_eq!(count, Accuracy { correct: 300 - expected, not_finite: expected, total: 300 });

    let error = evaluate(&overflowing(f64::INFINITY), &all, &mut |_| Ok(())).unwrap_err().to_string();
    assert!(error.starts_with("the network's scores are not finite for 300 of 300 pictures"), "{error}");
    assert!(error.contains("first in layer \"fc\" (linear)") && error.contains("\"fc.weight\""), "{error}");
}

#[test]
fn measuring_stops_when_the_caller_says_so() {
    let mut calls = 0;
    let stopped = evaluate(&tiny(), &pictures(vec![0; 600]), &mut |count| {
        calls += 1;
        anyhow::ensure!(count.total == 0, "stopped");
        Ok(())
    });
    assert_eq!(stopped.unwrap_err().to_string(), "stopped");
    assert_eq!(calls, 2);
}

#[test]
fn a_label_out_of_range_is_an_error_before_anything_runs() {
    let error = evaluate(&tiny(), &pictures(vec![1, 4, 5]), &mut |_| panic!("it ran")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "picture 2 of the data set \"noise\" has class 5, but the network \"tiny\" has only 5 classes, 0 to 4"
    );
}

#[test]
fn non_finite_logits_are_never_correct_and_the_first_of_equal_ones_wins() {
    let logits = candle_core::Tensor::new(
        &[[f32::NAN, 0.0, 1.0], [0.0, f32::NAN, 1.0], [2.0, 2.0, 1.0], [2.0, 2.0, 1.0]],
        &candle_core::Device::Cpu,
    );
    assert_eq!(correct(&logits.unwrap(), &[0, 1, 0, 1]).unwrap(), 1);
}
