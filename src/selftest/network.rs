//! A case's network as a model that methods can be asked about.

use super::layer;
use super::value::{list, tensor, text};
use crate::graph::{Builder, NodeId, op};
use crate::model::{Card, Model};
use crate::tensor::device;
use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;

/// The most weights that keep an input still.
const LARGEST: usize = 1 << 24;

/// A case's network as a model, and one row of its inputs as the model's picture.
pub(super) struct Network {
    /// The model, which computes in f64.
    pub model: Model,
    /// `(1, C, H, W)`: the inputs as channels one behind the other; a vector is a row of pixels.
    pub picture: Tensor,
    /// The inputs that the picture holds, with their shapes.
    pub inputs: Vec<(String, Vec<usize>)>,
}

/// What a walk back starts from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum CaseSeed {
    /// One at the class.
    #[default]
    Class,
    /// One at every output: their sum.
    Sum,
    /// A number at every output.
    Weighted(Vec<f64>),
}

/// How a case's network becomes a model.
#[derive(Default)]
pub(super) struct ReadOptions<'a> {
    /// Which row of the inputs is the picture.
    pub row: usize,
    /// The only input that the picture holds; the others keep their values.
    pub only: Option<&'a str>,
    /// What the inputs are measured from, by input or one for all: the picture is what they differ from it by.
    pub origin: Option<&'a Value>,
    /// Bounds of the pixels: what a picture of 0 and one of 1 stand for.
    pub bounds: Option<(f64, f64)>,
    /// What is asked about.
    pub seed: CaseSeed,
    /// Whether the outputs are squared: the way of a growing o² is that of a growing log |o|.
    pub squared: bool,
}

impl Network {
    /// Reads the network and the inputs of a case.
    pub fn of(case: &Value, reading: &ReadOptions) -> Result<Self> {
        let mut inputs = vec![];
        for name in case["network"]["inputs"].as_object().context("a network has inputs")?.keys() {
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

    /// What a layer of the case is called in the graph; an input is the node that holds its channels, or its numbers.
    pub fn layer(&self, name: &str) -> String {
        match self.inputs.iter().find(|(input, _)| input == name) {
            Some((_, shape)) if shape.len() == 2 => format!("{name}.vector"),
            Some(_) if self.inputs.len() == 1 => "input".into(),
            Some(_) => format!("{name}.channels"),
            None => name.into(),
        }
    }

    /// The same in another type, on the device that was chosen.
    pub fn to(&self, dtype: DType) -> Result<(Model, Tensor)> {
        let graph = self.model.graph.to(dtype, &device())?;
        let picture = self.picture.to_dtype(dtype)?.to_device(&device())?;
        Ok((Model { graph: graph.into(), ..self.model.clone() }, picture))
    }
}

/// One row of a batch, as a batch of one.
fn row(x: &Tensor, row: usize) -> Result<Tensor> {
    ensure!(x.rank() == 2 || x.rank() == 4, "an input is (N, features) or (N, C, H, W) numbers, got {:?}", x.dims());
    ensure!(row < x.dims()[0], "an input has {} rows, another more", x.dims()[0]);
    Ok(x.narrow(0, row, 1)?)
}

/// A vector as a row of pixels.
fn map(x: &Tensor) -> Result<Tensor> {
    Ok(if x.rank() == 2 { x.unsqueeze(1)?.unsqueeze(1)? } else { x.clone() })
}

/// What an input is measured from, of its shape.
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

/// A network under construction, with its weights by their full names.
struct Plan {
    builder: Builder,
    known: BTreeMap<String, NodeId>,
    weights: BTreeMap<String, Tensor>,
    /// What the first input reads.
    picture: NodeId,
    /// Channels that inputs have taken.
    channels: usize,
}

impl Plan {
    fn new(shape: &[usize], bounds: Option<(f64, f64)>) -> Result<Self> {
        let mut builder = Builder::new(shape);
        let picture = match bounds {
            None => 0,
            Some(bounds) => {
                let (mean, std) = normalisation(bounds, shape[0])?;
                builder.add("normalize", op::Normalize { mean, std }, &[0])?
            }
        };
        Ok(Self { builder, known: BTreeMap::new(), weights: BTreeMap::new(), picture, channels: 0 })
    }

    /// The channels of an input, as the network's layers read them.
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

    /// An input that keeps its values.
    fn constant(&mut self, name: &str, x: &Tensor) -> Result<()> {
        let id = self.numbers(name, x)?;
        self.known.insert(name.into(), id);
        Ok(())
    }

    /// Numbers that do not depend on the picture: a bias behind weights of zero.
    fn numbers(&mut self, name: &str, x: &Tensor) -> Result<NodeId> {
        let (input, output) = (self.builder.shape(0).iter().product::<usize>(), x.elem_count());
        ensure!(input * output <= LARGEST, "the input \"{name}\" is too large to keep still");
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

    /// The model that ends at the layer `output`.
    fn finish(mut self, output: &str, picture: &[usize], reading: &ReadOptions) -> Result<Model> {
        let mut id = *self.known.get(output).with_context(|| format!("the output \"{output}\" is no layer"))?;
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
            Some(bounds) => normalisation(bounds, channels)?,
            None => (vec![0.0; channels], vec![1.0; channels]),
        };
        let input = [channels, picture[2], picture[3]];
        let card = Card {
            name: "case".into(),
            summary: String::new(),
            input,
            resize: None,
            mean,
            std,
            labels: [].into(),
            synonyms: [].into(),
            picture: String::new(),
        };
        Ok(Model { card: card.into(), graph: graph.into(), hash: "".into(), taken: "".into() })
    }
}

/// Mean and deviation of a normalisation that makes `low` of 0 and `high` of 1.
fn normalisation((low, high): (f64, f64), channels: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    ensure!(high > low, "pixels lie between {low} and {high}: the first must be less");
    Ok((vec![-low / (high - low); channels], vec![1.0 / (high - low); channels]))
}
