//! Converts the network of a test case to a model.

use super::layer;
use super::value::{list, tensor, text};
use crate::graph::{Builder, NodeId, op};
use crate::model::{Card, Model};
use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;

/// Maximum number of weights in a layer that produces a constant input.
const LARGEST: usize = 1 << 24;

/// A case's network as a model, and one row of its inputs as the model's picture.
pub(super) struct Network {
    /// The model, in f64.
    pub model: Model,
    /// The inputs as one picture `(1, C, H, W)`, concatenated along the channels; a vector input becomes one row of pixels.
    pub picture: Tensor,
    /// Names and shapes of the inputs that the picture contains, in order.
    pub inputs: Vec<(String, Vec<usize>)>,
}

/// The seed of the backward pass specified by a case.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum CaseSeed {
    /// 1 at the target class.
    #[default]
    Class,
    /// 1 at every output.
    Sum,
    /// A weight for every output.
    Weighted(Vec<f64>),
}

/// Options for converting the network of a case to a model.
#[derive(Default)]
pub(super) struct ReadOptions<'a> {
    /// Index of the row of the inputs that becomes the picture.
    pub row: usize,
    /// Name of the only input that the picture contains, while the other inputs are constants; `None` if it contains all inputs.
    pub only: Option<&'a str>,
    /// The origin subtracted from the inputs to obtain the picture, given per input or once for all inputs.
    pub origin: Option<&'a Value>,
    /// The input values represented by 0 and 1 in the picture.
    pub bounds: Option<(f64, f64)>,
    /// The seed of the backward pass.
    pub seed: CaseSeed,
    /// Whether to square each output o. The gradients of o² and log |o| have the same direction.
    pub squared: bool,
}

impl Network {
    /// Builds the model and the picture of a case.
    pub fn of(case: &Value, reading: &ReadOptions) -> Result<Self> {
        let mut inputs = vec![];
        for name in case["network"]["inputs"].as_object().context("the network has no inputs")?.keys() {
            inputs.push((name.clone(), row(&tensor(&case["inputs"][name.as_str()])?, reading.row)?));
        }
        let asked = |name: &str| reading.only.is_none_or(|only| only == name);
        let maps = inputs.iter().filter(|(name, _)| asked(name)).map(|(name, x)| map(&from_origin(name, x, reading)?));
        let mut picture = Tensor::cat(&maps.collect::<Result<Vec<_>>>()?, 1)?;
        if let Some((low, high)) = reading.bounds {
            picture = ((picture - low)? / (high - low))?;
        }
        let mut plan = Plan::new(&picture.dims()[1..], reading.bounds)?;
        for (name, x) in &inputs {
            match asked(name) {
                true => plan.input(name, x, reading)?,
                false => plan.constant(name, x)?,
            }
        }
        list(&case["network"]["layers"])?.iter().try_for_each(|layer| plan.layer(layer))?;
        let model = plan.finish(text(&case["network"], "output")?, picture.dims(), reading)?;
        let inputs = inputs.into_iter().filter(|(name, _)| asked(name)).map(|(name, x)| (name, x.dims().to_vec()));
        Ok(Self { model, picture, inputs: inputs.collect() })
    }

    /// The graph's name for the layer that the case calls `name`; for an input, the name of the node that holds its channels or
    /// vector.
    pub fn layer(&self, name: &str) -> String {
        match self.inputs.iter().find(|(input, _)| input == name) {
            Some((_, shape)) if shape.len() == 2 => format!("{name}.vector"),
            Some(_) if self.inputs.len() == 1 => "input".into(),
            Some(_) => format!("{name}.channels"),
            None => name.into(),
        }
    }

    /// Returns the model and the picture in the given dtype, on the given device.
    pub fn to(&self, dtype: DType, device: &Device) -> Result<(Model, Tensor)> {
        let graph = self.model.graph.to(dtype, device)?;
        let picture = self.picture.to_dtype(dtype)?.to_device(device)?;
        Ok((Model { graph: graph.into(), ..self.model.clone() }, picture))
    }
}

/// Extracts one row of a batch, as a batch of size 1.
fn row(x: &Tensor, row: usize) -> Result<Tensor> {
    ensure!(
        x.rank() == 2 || x.rank() == 4,
        "an input must have shape (N, features) or (N, C, H, W), got {:?}",
        x.dims()
    );
    ensure!(row < x.dims()[0], "all inputs must have the same number of rows, but one has only {}", x.dims()[0]);
    Ok(x.narrow(0, row, 1)?)
}

/// Converts vectors `(N, features)` to maps `(N, 1, 1, features)`. Maps are returned unchanged.
fn map(x: &Tensor) -> Result<Tensor> {
    Ok(if x.rank() == 2 { x.unsqueeze(1)?.unsqueeze(1)? } else { x.clone() })
}

/// The origin of the input `name`, in the input's shape; `None` if the case has no origin.
fn origin(name: &str, x: &Tensor, reading: &ReadOptions) -> Result<Option<Tensor>> {
    let Some(origin) = reading.origin else { return Ok(None) };
    let own = if origin.is_object() { &origin[name] } else { origin };
    let own = tensor(own).with_context(|| format!("the baseline of \"{name}\""))?;
    Ok(Some(own.broadcast_as(x.shape())?.contiguous()?))
}

fn from_origin(name: &str, x: &Tensor, reading: &ReadOptions) -> Result<Tensor> {
    Ok(match origin(name, x, reading)? {
        Some(origin) => (x - origin)?,
        None => x.clone(),
    })
}

/// A network under construction and the weights added so far, by full name.
struct Plan {
    builder: Builder,
    known: BTreeMap<String, NodeId>,
    weights: BTreeMap<String, Tensor>,
    /// The node that holds the picture.
    picture: NodeId,
    /// Number of channels of the picture already assigned to inputs.
    channels: usize,
}

impl Plan {
    fn new(shape: &[usize], bounds: Option<(f64, f64)>) -> Result<Self> {
        let mut builder = Builder::new(shape);
        let picture = match bounds {
            None => 0,
            Some(bounds) => {
                let (mean, std) = normalization(bounds, shape[0])?;
                builder.add("normalize", op::Normalize { mean, std }, &[0])?
            }
        };
        Ok(Self { builder, known: BTreeMap::new(), weights: BTreeMap::new(), picture, channels: 0 })
    }

    /// Adds a network input, extracted from its channels of the picture and converted to the shape that the layers expect.
    fn input(&mut self, name: &str, x: &Tensor, reading: &ReadOptions) -> Result<()> {
        let count = if x.rank() == 4 { x.dims()[1] } else { 1 };
        let (start, end) = (self.channels, self.channels + count);
        self.channels = end;
        let mut id = self.picture;
        if self.builder.shape(0)[1] > count {
            id = self.builder.add(
                &format!("{name}.channels"),
                op::Slice { dim: 1, start: start as i64, end: Some(end as i64), step: 1 },
                &[id],
            )?;
        }
        if x.rank() == 2 {
            id = self.builder.add(&format!("{name}.vector"), op::Flatten, &[id])?;
        }
        if let Some(origin) = origin(name, x, reading)? {
            let origin = self.numbers(&format!("{name}.origin"), &origin)?;
            id = self.builder.add(&format!("{name}.whole"), op::Add, &[id, origin])?;
        }
        self.known.insert(name.into(), id);
        Ok(())
    }

    /// Adds a constant input, independent of the picture.
    fn constant(&mut self, name: &str, x: &Tensor) -> Result<()> {
        let id = self.numbers(name, x)?;
        self.known.insert(name.into(), id);
        Ok(())
    }

    /// Adds a node with constant values: the bias of a linear layer with zero weights.
    fn numbers(&mut self, name: &str, x: &Tensor) -> Result<NodeId> {
        let (input, output) = (self.builder.shape(0).iter().product::<usize>(), x.elem_count());
        ensure!(input * output <= LARGEST, "the input \"{name}\" is too large to be kept constant");
        let (flat, linear) = (format!("{name}.flat"), format!("{name}.numbers"));
        self.weights.insert(format!("{linear}.weight"), Tensor::zeros((output, input), DType::F64, &Device::Cpu)?);
        self.weights.insert(format!("{linear}.bias"), x.flatten_all()?);
        let id = self.builder.add(&flat, op::Flatten, &[0])?;
        let id = self.builder.add(&linear, op::Linear { input, output, bias: true }, &[id])?;
        self.builder.add(name, op::Reshape { dims: x.dims()[1..].iter().copied().map(Some).collect() }, &[id])
    }

    fn layer(&mut self, layer: &Value) -> Result<()> {
        let (name, id) = layer::add(&mut self.builder, layer, &self.known, &mut self.weights)?;
        self.known.insert(name, id);
        Ok(())
    }

    /// Finishes the model, with the layer `output` as its output.
    fn finish(mut self, output: &str, picture: &[usize], reading: &ReadOptions) -> Result<Model> {
        let mut id = *self.known.get(output).with_context(|| format!("no layer named \"{output}\" for the output"))?;
        match &reading.seed {
            CaseSeed::Class => {}
            CaseSeed::Sum => id = layer::sum(&mut self.builder, &mut self.weights, "the sum", id, None)?,
            CaseSeed::Weighted(w) => id = layer::sum(&mut self.builder, &mut self.weights, "the sum", id, Some(w))?,
        }
        if reading.squared {
            id = self.builder.add("the square", op::Mul, &[id, id])?;
        }
        self.builder.set_logits(id);
        let graph = self.builder.finish(id)?.with_weights(self.weights)?;
        let channels = picture[1];
        let (mean, std) = match reading.bounds {
            Some(bounds) => normalization(bounds, channels)?,
            None => (vec![0.0; channels], vec![1.0; channels]),
        };
        let input = [channels, picture[2], picture[3]];
        let card = Card { mean, std, ..Card::plain("case", input) };
        Ok(Model { card: card.into(), graph: graph.into(), hash: "".into(), taken: "".into() })
    }
}

/// The per-channel mean and standard deviation of a normalization that maps 0 to `low` and 1 to `high`.
fn normalization((low, high): (f64, f64), channels: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    ensure!(high > low, "the lower bound {low} must be below the upper bound {high}");
    Ok((vec![-low / (high - low); channels], vec![1.0 / (high - low); channels]))
}
