//! Connectionist temporal classification (Graves et al. 2006, "Connectionist temporal classification: labelling
//! unsegmented sequence data with recurrent neural networks").
//!
//! A network outputs scores of `C` labels, label 0 being the blank, at each of `T` steps. A path assigns one label to each
//! step; merging repeats and dropping blanks turns it into a sequence. The loss is `−log p(sequence)`, summed over all paths
//! that map to it.

use anyhow::{Result, ensure};

/// The CTC loss of a sequence, and its gradient with respect to the logits.
#[derive(Debug)]
pub struct Ctc {
    /// `−log p(target)`; infinite if there are too few steps for the target.
    pub loss: f64,
    /// `softmax(z) − occupancy`, in the layout of the logits; zeros if the loss is infinite.
    pub gradient: Vec<f64>,
}

/// `loss` and `∂loss/∂z` for logits `z`, `classes × steps` in row-major order: label `k` at step `t` is `z[k · steps + t]`.
///
/// PyTorch's `ctc_loss` of `log_softmax(z)` with `blank=0`.
///
/// Errors if the sizes do not match, or the target contains the blank or an unknown label.
pub fn ctc(z: &[f64], classes: usize, steps: usize, target: &[usize]) -> Result<Ctc> {
    ensure!(
        steps > 0 && classes > 1 && z.len() == classes * steps,
        "CTC expects logits of {classes} labels and {steps} steps"
    );
    let wrong = target.iter().find(|&&k| k == 0 || k >= classes);
    ensure!(wrong.is_none(), "CTC: label {} is not in 1..={}", wrong.unwrap_or(&0), classes - 1);
    if target.len() > steps {
        return Ok(Ctc { loss: f64::INFINITY, gradient: vec![0.0; z.len()] });
    }
    let logs = log_softmax(z, classes, steps);
    // Blanks around every label of the target: −, a, −, b, −.
    let path: Vec<_> = target.iter().flat_map(|&k| [0, k]).chain([0]).collect();
    // A blank between two labels may be skipped where they differ.
    let skips = |s: usize| s >= 2 && path[s] != 0 && path[s] != path[s - 2];
    let forward = run(steps, path.len(), |t, s| logs[path[s] * steps + t], skips);
    let backward = {
        let last = path.len() - 1;
        let reversed = |s: usize| skips_back(&path, s);
        let rows = run(steps, path.len(), |t, s| logs[path[last - s] * steps + steps - 1 - t], reversed);
        move |t: usize, s: usize| rows[steps - 1 - t][last - s]
    };
    let ends = &forward[steps - 1][path.len().saturating_sub(2)..];
    let loss = -log_sum(ends.iter().copied());
    if !loss.is_finite() {
        return Ok(Ctc { loss, gradient: vec![0.0; z.len()] });
    }
    let mut gradient: Vec<_> = logs.iter().map(|log| log.exp()).collect();
    for (t, row) in forward.iter().enumerate() {
        for (s, &before) in row.iter().enumerate() {
            let place = path[s] * steps + t;
            gradient[place] -= (before + backward(t, s) - logs[place] + loss).exp();
        }
    }
    Ok(Ctc { loss, gradient })
}

/// The same from the end: whether the blank after this position of the reversed path may be skipped.
fn skips_back(path: &[usize], s: usize) -> bool {
    let at = path.len() - 1 - s;
    s >= 2 && path[at] != 0 && path[at] != path[at + 2]
}

/// `log p` of all path prefixes that are at position `s` at step `t`.
fn run(steps: usize, places: usize, log: impl Fn(usize, usize) -> f64, skips: impl Fn(usize) -> bool) -> Vec<Vec<f64>> {
    let first = (0..places).map(|s| if s < 2 { log(0, s) } else { f64::NEG_INFINITY }).collect();
    let mut rows: Vec<Vec<f64>> = vec![first];
    for t in 1..steps {
        let before = &rows[t - 1];
        let from = |s: usize| {
            let stay = [Some(s), s.checked_sub(1), s.checked_sub(2).filter(|_| skips(s))];
            log_sum(stay.into_iter().flatten().map(|s| before[s])) + log(t, s)
        };
        rows.push((0..places).map(from).collect());
    }
    rows
}

/// `log Σ eˣ`.
fn log_sum(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = x.clone().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY { most } else { most + x.map(|x| (x - most).exp()).sum::<f64>().ln() }
}

/// Log-softmax over the labels at each step.
fn log_softmax(z: &[f64], classes: usize, steps: usize) -> Vec<f64> {
    let sums: Vec<_> = (0..steps).map(|t| log_sum((0..classes).map(|k| z[k * steps + t]))).collect();
    z.iter().enumerate().map(|(i, z)| z - sums[i % steps]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap()).map(|v| v.as_f64().unwrap()).collect()
    }

    /// Cases from `scripts/reference/reader.py`.
    #[test]
    fn loss_and_gradient_are_those_of_pytorch() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/fixtures/ctc.json")).unwrap();
        assert!(cases.len() >= 7);
        for case in &cases {
            let (logits, gradient) = (numbers(&case["logits"]), numbers(&case["gradient"]));
            let classes = case["logits"].as_array().unwrap().len();
            let target: Vec<_> =
                case["target"].as_array().unwrap().iter().map(|k| k.as_u64().unwrap() as usize).collect();
            let ours = ctc(&logits, classes, logits.len() / classes, &target).unwrap();
            match case["loss"].as_f64() {
                Some(loss) => {
                    assert!((ours.loss - loss).abs() < 1e-12 * loss.max(1.0), "{} instead of {loss}", ours.loss)
                }
                None => assert_eq!(ours.loss, f64::INFINITY),
            }
            for (ours, theirs) in ours.gradient.iter().zip(gradient) {
                assert!((ours - theirs).abs() < 1e-12, "{ours} instead of {theirs}");
            }
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences_and_sums_to_nothing_at_each_step() {
        let (classes, steps, target) = (4, 7, [2, 2, 3]);
        let z: Vec<_> = (0..classes * steps).map(|i| ((i * 37 % 19) as f64 / 5.0 - 1.8).sin() * 2.0).collect();
        let at = |z: &[f64]| ctc(z, classes, steps, &target).unwrap();
        let gradient = at(&z).gradient;
        for (i, &slope) in gradient.iter().enumerate() {
            let moved = |by: f64| {
                at(&z.iter().enumerate().map(|(j, z)| z + if i == j { by } else { 0.0 }).collect::<Vec<_>>()).loss
            };
            assert!((slope - (moved(1e-6) - moved(-1e-6)) / 2e-6).abs() < 1e-8);
        }
        (0..steps).for_each(|t| assert!((0..classes).map(|k| gradient[k * steps + t]).sum::<f64>().abs() < 1e-12));
    }

    #[test]
    fn probabilities_of_all_sequences_sum_to_one() {
        let (classes, steps) = (3, 3);
        let z: Vec<_> = (0..classes * steps).map(|i| (i as f64 * 0.7).cos()).collect();
        // Sequences of up to three labels out of two.
        let all = (0..=3u32)
            .flat_map(|n| (0..2usize.pow(n)).map(move |i| (0..n).map(|k| 1 + (i >> k & 1)).collect::<Vec<_>>()));
        let total: f64 = all.map(|target| (-ctc(&z, classes, steps, &target).unwrap().loss).exp()).sum();
        assert!((total - 1.0).abs() < 1e-12, "{total}");
    }

    #[test]
    fn targets_that_name_no_label_are_refused() {
        assert!(ctc(&[0.0; 6], 3, 2, &[0]).unwrap_err().to_string().contains("label 0 is not in 1..=2"));
        assert!(ctc(&[0.0; 6], 3, 2, &[3]).is_err() && ctc(&[], 3, 0, &[1]).is_err());
    }
}
