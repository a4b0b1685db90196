//! Runs plugins on a test case, which provides the network and its inputs. Each run uses one row of the inputs and one dtype.

use super::network::{CaseSeed, Network, ReadOptions};
use crate::graph::Scores;
use crate::model::Model;
use crate::render::{Body, Figure};
use crate::script::folders::ScriptSource;
use crate::script::host::Host;
use crate::script::method::Method;
use crate::script::session::Session;
use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;

/// Results of a test case in f64, keyed by their names in the case.
pub(super) type Answer = BTreeMap<String, Tensor>;

/// One row of a test case to compute in one dtype, and the host that runs the plugins.
#[derive(Clone, Copy)]
pub(super) struct Harness<'a> {
    pub host: &'a Host,
    pub case: &'a Value,
    pub row: usize,
    pub dtype: DType,
}

/// A method to run and its parameter values.
pub(super) struct PluginCall<'a> {
    pub method: Method,
    pub set: Vec<(&'a str, String)>,
    /// Name and value of the tensor-valued parameter, if any.
    pub given: Option<(&'a str, Tensor)>,
}

impl<'a> Harness<'a> {
    /// A copy of this harness for the first row of another case.
    pub fn with(self, case: &'a Value) -> Self {
        Self { case, row: 0, ..self }
    }

    pub fn params(&self) -> &'a Value {
        &self.case["params"]
    }

    pub fn param(&self, name: &str) -> Result<&'a str> {
        self.params()[name].as_str().with_context(|| format!("the case needs the parameter \"{name}\""))
    }

    /// The target class of this row. A case specifies one class for all rows or a list with one class per row [default: 0].
    pub fn target(&self) -> usize {
        let target = &self.case["target"];
        let class = target.as_u64().or_else(|| target.get(self.row)?.as_u64());
        class.and_then(|class| usize::try_from(class).ok()).unwrap_or(0)
    }

    /// The seed of the backward pass, which is the target class unless the case specifies a seed for the outputs.
    pub fn seed(&self) -> Result<CaseSeed> {
        let seed = &self.params()["seed"];
        if let Some(weights) = seed.as_array() {
            let weights =
                weights.iter().map(|w| w.as_f64().context("the weights of a seed must be numbers, one per output"));
            return Ok(CaseSeed::Weighted(weights.collect::<Result<_>>()?));
        }
        match seed.as_str() {
            None if seed.is_null() => Ok(CaseSeed::Class),
            Some("target" | "class" | "logit" | "one_hot" | "onehot") => Ok(CaseSeed::Class),
            Some("sum" | "ones" | "all" | "sum_of_outputs") => Ok(CaseSeed::Sum),
            _ => bail!("unknown seed {seed} for the method {}", self.case["method"]),
        }
    }

    /// The index of the target class among the classes of `model`; a network with a single output has two classes, and the output is the
    /// score of the second one.
    pub fn class(&self, model: &Model) -> usize {
        if model.graph.scores == Scores::Pair { 1 } else { self.target() }
    }

    /// Builds the case's network, extended so that its seed becomes a class score, with this row of the inputs as the picture.
    pub fn network(&self, reading: ReadOptions) -> Result<Network> {
        Network::of(self.case, &ReadOptions { row: self.row, seed: self.seed()?, ..reading })
    }

    /// Builds the case's network without extensions, with this row of the inputs as the picture.
    pub fn bare(&self, reading: ReadOptions) -> Result<Network> {
        Network::of(self.case, &ReadOptions { row: self.row, seed: CaseSeed::Class, ..reading })
    }

    /// A call to the built-in plugin `name` with the parameters `set`.
    pub fn plugin(&self, name: &str, set: &[(&'static str, String)]) -> Result<PluginCall<'static>> {
        Ok(PluginCall { method: self.host.method(name)?, set: set.to_vec(), given: None })
    }

    /// A call to a script with source code `text` and the parameters `set`. The script may import the plugins' libraries.
    pub fn script(&self, text: &str, set: &[(&'static str, String)]) -> Result<PluginCall<'static>> {
        let source = ScriptSource::of_text("case", text);
        Ok(PluginCall { method: self.host.compile(source)?, set: set.to_vec(), given: None })
    }

    /// Runs a method on `network` to completion and returns its figures.
    pub fn ask(&self, network: &Network, question: PluginCall) -> Result<Vec<Figure>> {
        let (model, picture) = network.to(self.dtype, self.host.guard().device())?;
        let single = model.graph.scores == Scores::Pair;
        let known = single || !self.case["target"].is_null() || self.seed()? != CaseSeed::Class;
        ensure!(known, "the case needs a \"target\": the index of one of the network's {} outputs", model.classes());
        let target = self.class(&model);
        let mut session = Session::new(self.host, model, "case", picture)?;
        session.open(question.method);
        session.set_target(Some(target))?;
        question.set.iter().try_for_each(|(name, value)| session.set(name, value))?;
        if let Some((name, tensor)) = question.given {
            session.give(name, tensor.to_dtype(self.dtype)?)?;
        }
        let mut frame = session.run(self.host)?;
        while session.can_go_on() {
            frame = session.step(self.host)?;
        }
        Ok(frame.figures)
    }

    /// Runs a method on `network` and returns the values of the figure titled `title`.
    pub fn map(&self, network: &Network, question: PluginCall, title: &str) -> Result<Tensor> {
        map(&self.ask(network, question)?, title)
    }

    /// Runs a method on `network` and splits the values of the figure titled `title` by input.
    pub fn by_input(&self, network: &Network, question: PluginCall, title: &str) -> Result<Answer> {
        by_input(network, &self.map(network, question, title)?)
    }
}

/// The values of the figure titled `title`. Errors if there is no such figure.
pub(super) fn map(figures: &[Figure], title: &str) -> Result<Tensor> {
    let figure = figures
        .iter()
        .find(|f| f.title == title)
        .with_context(|| format!("the method returned no figure \"{title}\""))?;
    let values = figure.values().with_context(|| format!("the figure \"{title}\" has no values"))?;
    let numbers = match &values.exact {
        Some(exact) => exact.to_vec(),
        None => values.data.iter().map(|&v| f64::from(v)).collect(),
    };
    Ok(Tensor::from_vec(numbers, values.shape.clone(), &Device::Cpu)?)
}

/// The values of the first table among the figures, keyed by the first cell of each row.
pub(super) fn table(figures: &[Figure]) -> Result<Answer> {
    let Some(Body::Table { rows, .. }) = figures.iter().map(|f| &f.body).find(|b| matches!(b, Body::Table { .. }))
    else {
        bail!("the method returned no table");
    };
    let number = |row: &Vec<String>| match &row[..] {
        [name, value] => Ok((name.clone(), Tensor::new(value.parse::<f64>()?, &Device::Cpu)?)),
        _ => bail!("a table row has {} cells instead of 2", row.len()),
    };
    rows.iter().map(number).collect()
}

/// Splits an attribution map into the channels that belong to each input of `network`, reshaped to the shape of that input.
pub(super) fn by_input(network: &Network, map: &Tensor) -> Result<Answer> {
    let mut start = 0;
    let mut answer = Answer::new();
    for (name, shape) in &network.inputs {
        let count = if shape.len() == 4 { shape[1] } else { 1 };
        answer.insert(name.clone(), map.narrow(1, start, count)?.reshape(shape.as_slice())?);
        start += count;
    }
    Ok(answer)
}
