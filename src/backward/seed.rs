//! Where a walk starts: the gradient of a question with respect to the logits, `(N, classes)`.

use crate::tensor::log_softmax;
use anyhow::{Result, ensure};
use candle_core::{D, DType, Tensor};

/// `∂ logit[class]`: one at the class, zero elsewhere.
pub fn logit(logits: &Tensor, class: usize) -> Result<Tensor> {
    one_hot(logits, class)
}

/// `∂ CE(softmax(logits), class) = p − onehot(class)`, for each picture of the batch.
///
/// The class's own term is minus the sum of the other probabilities, so that it does not vanish where float32 rounds
/// its probability to 1.
pub fn cross_entropy(logits: &Tensor, class: usize) -> Result<Tensor> {
    cross_entropy_to(logits, &one_hot(logits, class)?)
}

/// `∂ mean CE(softmax(logits), labels)`, a label a row: what PyTorch's `CrossEntropyLoss` gives back.
///
/// Errors where there are not as many labels as rows, or a label is no class.
pub fn cross_entropy_labels(logits: &Tensor, labels: &[usize]) -> Result<Tensor> {
    Ok((cross_entropy_to(logits, &one_hot_labels(logits, labels)?)? / labels.len() as f64)?)
}

/// `mean CE(softmax(logits), labels)`, a label a row: PyTorch's `CrossEntropyLoss`.
pub fn cross_entropy_loss(logits: &Tensor, labels: &[usize]) -> Result<f64> {
    let hot = one_hot_labels(logits, labels)?;
    let own = (log_softmax(logits)? * hot)?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    Ok(-own / labels.len() as f64)
}

fn cross_entropy_to(logits: &Tensor, hot: &Tensor) -> Result<Tensor> {
    let others = (candle_nn::ops::softmax(logits, D::Minus1)? * (1.0 - hot)?)?;
    let own = hot.broadcast_mul(&others.sum_keepdim(D::Minus1)?)?;
    Ok((others - own)?)
}

/// `∂ (logit[class] − max of the others)`: the margin by which a class leads (Carlini & Wagner 2017).
pub fn margin(logits: &Tensor, class: usize) -> Result<Tensor> {
    let hot = one_hot(logits, class)?;
    let rest = (logits - (&hot * 1e30)?)?;
    let best = rest.argmax(D::Minus1)?.to_vec1::<u32>()?;
    let rows: Vec<_> =
        best.iter().enumerate().map(|(n, &c)| one_hot(&logits.narrow(0, n, 1)?, c as usize)).collect::<Result<_>>()?;
    Ok((hot - Tensor::cat(&rows, 0)?)?)
}

fn one_hot(logits: &Tensor, class: usize) -> Result<Tensor> {
    let (batch, classes) = logits.dims2()?;
    ensure!(class < classes, "class {class} of a network with {classes} classes; the last is {}", classes - 1);
    let ids = Tensor::arange(0u32, classes as u32, logits.device())?;
    let hot = ids.eq(class as u32)?.to_dtype(DType::F32)?.to_dtype(logits.dtype())?;
    Ok(hot.reshape((1, classes))?.broadcast_as((batch, classes))?.contiguous()?)
}

/// One at its label in each row of `(N, classes)`.
fn one_hot_labels(logits: &Tensor, labels: &[usize]) -> Result<Tensor> {
    let (batch, classes) = logits.dims2()?;
    ensure!(batch == labels.len() && batch > 0, "{} labels for {batch} rows of logits", labels.len());
    let mut hot = vec![0f32; batch * classes];
    for (row, &label) in hot.chunks_exact_mut(classes).zip(labels) {
        ensure!(label < classes, "class {label} of a network with {classes} classes; the last is {}", classes - 1);
        row[label] = 1.0;
    }
    Ok(Tensor::from_vec(hot, (batch, classes), logits.device())?.to_dtype(logits.dtype())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn cross_entropy_keeps_its_gradient_where_float32_rounds_the_probability_to_one() {
        let logits = Tensor::new(&[[40f32, 0.0, 1.0]], &Device::Cpu).expect("logits");
        let seed = cross_entropy(&logits, 0).expect("seed").to_vec2::<f32>().expect("values");
        assert!(seed[0][0] < 0.0);
        assert!((seed[0].iter().sum::<f32>()).abs() < 1e-20);
    }

    #[test]
    fn margin_points_from_the_runner_up_to_the_class() {
        let logits = Tensor::new(&[[1f32, 3.0, 2.0]], &Device::Cpu).expect("logits");
        assert_eq!(margin(&logits, 1).expect("seed").to_vec2::<f32>().expect("values"), [[0.0, 1.0, -1.0]]);
    }

    #[test]
    fn the_gradient_for_labels_is_that_of_each_row_over_the_batch() {
        let logits = Tensor::new(&[[1f32, -2.0, 0.5], [0.0, 3.0, 1.0]], &Device::Cpu).expect("logits");
        let both = cross_entropy_labels(&logits, &[2, 0]).expect("seed").to_vec2::<f32>().expect("values");
        for (row, class) in [2, 0].into_iter().enumerate() {
            let one = cross_entropy(&logits.narrow(0, row, 1).expect("row"), class).expect("seed");
            let one = one.to_vec2::<f32>().expect("values");
            assert!(both[row].iter().zip(&one[0]).all(|(a, b)| (a - b / 2.0).abs() < 1e-7));
        }
        assert!(cross_entropy_labels(&logits, &[0]).is_err());
        assert!(cross_entropy_labels(&logits, &[0, 3]).is_err());
    }

    #[test]
    fn the_gradient_for_labels_is_the_slope_of_the_loss() {
        let values = [[1f64, -2.0, 0.5], [0.0, 3.0, 1.0]];
        let loss = |v: &[[f64; 3]; 2]| cross_entropy_loss(&Tensor::new(v, &Device::Cpu).expect("logits"), &[2, 0]);
        let seed = cross_entropy_labels(&Tensor::new(&values, &Device::Cpu).expect("logits"), &[2, 0]).expect("seed");
        let seed = seed.to_vec2::<f64>().expect("values");
        for (row, column) in (0..2).flat_map(|r| (0..3).map(move |c| (r, c))) {
            let (mut up, mut down) = (values, values);
            up[row][column] += 1e-6;
            down[row][column] -= 1e-6;
            let slope = (loss(&up).expect("loss") - loss(&down).expect("loss")) / 2e-6;
            assert!((slope - seed[row][column]).abs() < 1e-8, "{slope} and {}", seed[row][column]);
        }
    }
}
