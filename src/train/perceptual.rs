//! The perceptual loss for training an image transformation network. A second, pretrained network measures how much the first
//! network's output, a drawing, differs from the input picture in content and from a painting in style.
//!
//! Johnson, Alahi & Fei-Fei 2016, arXiv:1603.08155. Each term is divided by the squared norm of its target, so that the same loss weights
//! can be used with any loss network.

use crate::exec::Trace;
use crate::explain::Walk;
use crate::graph::{Graph, NodeId};
use crate::model::Model;
use crate::tensor::wide;
use anyhow::{Result, ensure};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Weights of the terms of the perceptual loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossWeights {
    /// Weight of the content term `‖F − F₀‖² / ‖F₀‖²`, for the features `F` of the drawing and `F₀` of the picture.
    pub content: f64,
    /// Weight of the style term, the mean over layers of `‖G − G₀‖² / ‖G₀‖²`, for the Gram matrices `G` of the drawing and `G₀`
    /// of the painting.
    pub style: f64,
    /// Weight of the total variation: the mean squared difference of adjacent pixels.
    pub variation: f64,
}

/// A loss network, and the Gram matrices of a painting at some layers of this network.
#[derive(Clone, Debug)]
pub struct Perceptual {
    graph: Arc<Graph>,
    content: NodeId,
    styles: Vec<(NodeId, Tensor)>,
    weights: LossWeights,
    /// A string that identifies the loss: network, weights, painting and loss weights.
    fingerprint: String,
}

/// A term of the perceptual loss, and its gradients at layers of the loss network.
struct Part {
    loss: f64,
    seeds: Vec<(NodeId, Tensor)>,
}

impl Perceptual {
    /// Computes the style of a painting, `(1, C, H, W)` in `[0, 1]`, at up to four layers in the first two thirds of `loss_network`.
    /// Content is compared at the second of these layers. `name` identifies the painting in the fingerprint.
    ///
    /// Errors if the network has no ReLU layer whose output is a feature map.
    pub fn new(loss_network: &Model, painting: &Tensor, name: &str, weights: LossWeights) -> Result<Self> {
        let graph = loss_network.graph.clone();
        let layers = spread(&graph)?;
        let trace = graph.forward(painting)?;
        let gram = |&id: &NodeId| -> Result<_> { Ok((id, gram(trace.value(id)?)?.0.squeeze(0)?)) };
        let styles = layers.iter().map(gram).collect::<Result<Vec<_>>>()?;
        let fingerprint = format!("{} {} {name} {weights:?}", loss_network.card.name, loss_network.hash);
        Ok(Self { content: layers[1.min(layers.len() - 1)], graph, styles, weights, fingerprint })
    }

    /// A string that identifies the loss: network, weights, painting and loss weights.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The mean loss of the drawings `drawn`, `(N, C, H, W)`, that a network produced from `pictures`, and its gradient with
    /// respect to the drawings.
    pub fn loss(&self, drawn: &Tensor, pictures: &Tensor) -> Result<(f64, Tensor)> {
        let seen = self.graph.forward(drawn)?;
        let (content, style) = (self.content(&seen, &self.graph.forward(pictures)?)?, self.style(&seen)?);
        let seeds = [content.seeds, style.seeds].concat();
        let gradient = Walk { keep: false, ..Walk::gradient(&seen, seeds) }.run()?.input()?.clone();
        let (variation, rough) = variation(drawn)?;
        let loss = content.loss + style.loss + self.weights.variation * variation;
        Ok((loss, (gradient + (rough * self.weights.variation)?)?))
    }

    fn content(&self, seen: &Trace, goal: &Trace) -> Result<Part> {
        let goal = goal.value(self.content)?;
        let scale = ratio(self.weights.content, squares(goal)?);
        let apart = (seen.value(self.content)? - goal)?;
        Ok(Part { loss: scale * squares(&apart)?, seeds: vec![(self.content, (apart * (2.0 * scale))?)] })
    }

    /// The style term and its gradients, by `∂/∂F ‖F Fᵀ/n − G₀‖² = 4/n (G − G₀) F`.
    fn style(&self, seen: &Trace) -> Result<Part> {
        let mut part = Part { loss: 0.0, seeds: vec![] };
        for (id, goal) in &self.styles {
            let value = seen.value(*id)?;
            let (gram, size) = gram(value)?;
            let apart = gram.broadcast_sub(goal)?;
            let pictures = value.dim(0)? * self.styles.len();
            let scale = ratio(self.weights.style, squares(goal)? * pictures as f64);
            let gradient = (apart.matmul(&value.flatten_from(2)?.contiguous()?)? * (4.0 * scale / size))?;
            part.loss += scale * squares(&apart)?;
            part.seeds.push((*id, gradient.reshape(value.dims())?));
        }
        Ok(part)
    }
}

/// The Gram matrices `F Fᵀ / (C H W)` of each picture's features, `(N, C, C)`, and the divisor `C H W`.
fn gram(value: &Tensor) -> Result<(Tensor, f64)> {
    let (_, c, h, w) = value.dims4()?;
    let f = value.flatten_from(2)?.contiguous()?;
    let size = (c * h * w) as f64;
    Ok(((f.matmul(&f.t()?.contiguous()?)? / size)?, size))
}

/// The mean squared difference of vertically and horizontally adjacent pixels, and the gradient with respect to the pixels.
fn variation(x: &Tensor) -> Result<(f64, Tensor)> {
    let (mut loss, mut gradient, count) = (0.0, x.zeros_like()?, x.elem_count() as f64);
    for dim in [2, 3] {
        let size = x.dim(dim)?;
        if size < 2 {
            continue;
        }
        let apart = (x.narrow(dim, 1, size - 1)? - x.narrow(dim, 0, size - 1)?)?;
        loss += squares(&apart)? / count;
        let (later, earlier) = (apart.pad_with_zeros(dim, 1, 0)?, apart.pad_with_zeros(dim, 0, 1)?);
        gradient = (gradient + ((later - earlier)? * (2.0 / count))?)?;
    }
    Ok((loss, gradient))
}

/// `a / b`, or 0 if `b` is 0, so that a term whose target is zero does not contribute.
fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

fn squares(x: &Tensor) -> Result<f64> {
    Ok(wide(&x.sqr()?.sum_all()?)?.to_scalar()?)
}

/// Up to four layers spread over the first two thirds of the candidates. If a network has more than three concatenations, the
/// candidates are its first ReLU and its concatenations; otherwise, they are all its ReLUs.
fn spread(graph: &Graph) -> Result<Vec<NodeId>> {
    let maps = |kinds: &[&str]| -> Vec<NodeId> {
        let fits = |id: &NodeId| graph.nodes[*id].shape.len() == 4 && kinds.contains(&graph.nodes[*id].op.kind());
        (0..graph.nodes.len()).filter(fits).collect()
    };
    let (joined, relus) = (maps(&["concat"]), maps(&["relu", "leaky_relu"]));
    ensure!(
        !relus.is_empty(),
        "the loss network has no relu layer that outputs a feature map; use a convolutional network with relu layers"
    );
    let all = if joined.len() > 3 { [&relus[..1], &joined].concat() } else { relus };
    let last = (2 * all.len()).div_ceil(3) - 1;
    let count = (last + 1).min(4);
    Ok((0..count).map(|i| all[i * last / (count - 1).max(1)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Conv2d;
    use crate::graph::{Builder, op};
    use crate::model::Card;
    use candle_core::{DType, Device};

    fn sees() -> Model {
        let mut builder = Builder::new(&[3, 8, 8]);
        let slide = Conv2d { padding: (1, 1), ..Conv2d::default() };
        let mut before = 0;
        for (i, (input, output)) in [(3, 4), (4, 5), (5, 3)].into_iter().enumerate() {
            let conv = op::Conv { input, output, kernel: (3, 3), slide, bias: true };
            let conv = builder.add(&format!("conv{i}"), conv, &[before]).unwrap();
            before = builder.add(&format!("relu{i}"), op::Relu, &[conv]).unwrap();
        }
        let graph = builder.finish(before).unwrap();
        let graph = crate::train::init::draw(&graph, crate::train::Init::He, 3).unwrap();
        let weights = graph.weights().into_iter().map(|(n, t)| (n, t.to_dtype(DType::F64).unwrap())).collect();
        let card = Card::plain("sees", [3, 8, 8]);
        Model {
            card: card.into(),
            graph: graph.with_weights(weights).unwrap().into(),
            hash: "".into(),
            taken: "".into(),
        }
    }

    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        let drawn = |shape: (usize, usize, usize, usize)| Tensor::rand(0f64, 1.0, shape, &Device::Cpu).unwrap();
        let (x, y) = (drawn((2, 3, 8, 8)), drawn((2, 3, 8, 8)));
        let weights = LossWeights { content: 0.7, style: 2.0, variation: 0.3 };
        let judge = Perceptual::new(&sees(), &drawn((1, 3, 9, 7)), "painting", weights).unwrap();
        let (_, gradient) = judge.loss(&y, &x).unwrap();
        let direction = (drawn((2, 3, 8, 8)) - 0.5).unwrap();
        let step = 1e-6;
        let at = |t: f64| judge.loss(&(&y + (&direction * t).unwrap()).unwrap(), &x).unwrap().0;
        let slope = (at(step) - at(-step)) / (2.0 * step);
        let ours = (gradient * &direction).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
        assert!((ours - slope).abs() < 1e-5 * slope.abs().max(1e-3), "{ours} instead of {slope}");
    }

    #[test]
    fn the_painting_has_zero_style_loss_and_the_picture_zero_content_loss() {
        let x = Tensor::rand(0f64, 1.0, (1, 3, 8, 8), &Device::Cpu).unwrap();
        let judge = |weights| Perceptual::new(&sees(), &x, "painting", weights).unwrap();
        let only = LossWeights { content: 1.0, style: 0.0, variation: 0.0 };
        assert!(judge(only).loss(&x, &x).unwrap().0 < 1e-20);
        assert!(judge(LossWeights { content: 0.0, style: 1.0, ..only }).loss(&x, &x).unwrap().0 < 1e-20);
        assert!(judge(only).loss(&(&x * 0.5).unwrap(), &x).unwrap().0 > 1e-3);
    }
}
