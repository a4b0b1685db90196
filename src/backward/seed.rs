//! Where a walk starts: the gradient of a question with respect to the logits, `(N, classes)`.

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
    let hot = one_hot(logits, class)?;
    let others = (candle_nn::ops::softmax(logits, D::Minus1)? * (1.0 - &hot)?)?;
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
}
