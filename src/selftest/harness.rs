//! Where a case is asked: its network and one row of its inputs before a plugin, in one type.

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

/// Numbers in f64 by the names that a case expects them under.
pub(super) type Answer = BTreeMap<String, Tensor>;

/// One row of a case in one type.
#[derive(Clone, Copy)]
pub(super) struct Harness<'a> {
    pub host: &'a Host,
    pub case: &'a Value,
    pub row: usize,
    pub dtype: DType,
}

/// What a plugin is asked, beside network and picture.
pub(super) struct PluginCall<'a> {
    pub method: Method,
    pub set: Vec<(&'a str, String)>,
    /// Numbers that stand in no file.
    pub given: Option<(&'a str, Tensor)>,
}

impl<'a> Harness<'a> {
    /// The same desk with another case.
    pub fn with(self, case: &'a Value) -> Self {
        Self { case, row: 0, ..self }
    }

    pub fn params(&self) -> &'a Value {
        &self.case["params"]
    }

    pub fn param(&self, name: &str) -> Result<&'a str> {
        self.params()[name].as_str().with_context(|| format!("the case needs the parameter \"{name}\""))
    }

    /// The class of this row: the case's only one, or one of a list; 0 where it names none.
    pub fn target(&self) -> usize {
        let target = &self.case["target"];
        let class = target.as_u64().or_else(|| target.get(self.row)?.as_u64());
        class.and_then(|class| usize::try_from(class).ok()).unwrap_or(0)
    }

    /// What the case asks about: a class, unless its seed says that it is all outputs.
    pub fn seed(&self) -> Result<CaseSeed> {
        let seed = &self.params()["seed"];
        if let Some(weights) = seed.as_array() {
            let weights = weights.iter().map(|w| w.as_f64().context("a seed's weights are numbers, one an output"));
            return Ok(CaseSeed::Weighted(weights.collect::<Result<_>>()?));
        }
        match seed.as_str() {
            None if seed.is_null() => Ok(CaseSeed::Class),
            Some("target" | "class" | "logit" | "one_hot" | "onehot") => Ok(CaseSeed::Class),
            Some("sum" | "ones" | "all" | "sum_of_outputs") => Ok(CaseSeed::Sum),
            _ => bail!("the seed {seed} is not known to the method {}", self.case["method"]),
        }
    }

    /// The same among a model's classes: a single output is the second of its pair.
    pub fn class(&self, model: &Model) -> usize {
        if model.graph.scores == Scores::Pair { 1 } else { self.target() }
    }

    /// The case's network, this row its picture; it ends in what the case's seed asks about.
    pub fn network(&self, reading: ReadOptions) -> Result<Network> {
        Network::of(self.case, &ReadOptions { row: self.row, seed: self.seed()?, ..reading })
    }

    /// The case's network, this row its picture; it ends in its own outputs.
    pub fn bare(&self, reading: ReadOptions) -> Result<Network> {
        Network::of(self.case, &ReadOptions { row: self.row, seed: CaseSeed::Class, ..reading })
    }

    /// One of the program's own plugins, with parameters.
    pub fn plugin(&self, name: &str, set: &[(&'static str, String)]) -> Result<PluginCall<'static>> {
        Ok(PluginCall { method: self.host.method(name)?, set: set.to_vec(), given: None })
    }

    /// A script of this text, which may import what the plugins share.
    pub fn script(&self, text: &str, set: &[(&'static str, String)]) -> Result<PluginCall<'static>> {
        let source = ScriptSource::of_text("case", text);
        Ok(PluginCall { method: self.host.compile(source)?, set: set.to_vec(), given: None })
    }

    /// The figures of the answer, at its end.
    pub fn ask(&self, network: &Network, question: PluginCall) -> Result<Vec<Figure>> {
        let (model, picture) = network.to(self.dtype)?;
        let single = model.graph.scores == Scores::Pair;
        let known = single || !self.case["target"].is_null() || self.seed()? != CaseSeed::Class;
        ensure!(known, "the case names no \"target\" of {} outputs", model.classes());
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

    /// The map of this title.
    pub fn map(&self, network: &Network, question: PluginCall, title: &str) -> Result<Tensor> {
        map(&self.ask(network, question)?, title)
    }

    /// A map of the picture, input by input.
    pub fn by_input(&self, network: &Network, question: PluginCall, title: &str) -> Result<Answer> {
        by_input(network, &self.map(network, question, title)?)
    }
}

/// The numbers of the figure of this title.
pub(super) fn map(figures: &[Figure], title: &str) -> Result<Tensor> {
    let figure =
        figures.iter().find(|f| f.title == title).with_context(|| format!("there is no figure \"{title}\""))?;
    let values = figure.values().with_context(|| format!("the figure \"{title}\" has no numbers"))?;
    let numbers = match &values.exact {
        Some(exact) => exact.to_vec(),
        None => values.data.iter().map(|&v| f64::from(v)).collect(),
    };
    Ok(Tensor::from_vec(numbers, values.shape.clone(), &Device::Cpu)?)
}

/// The numbers of a table's rows, by their first cells.
pub(super) fn table(figures: &[Figure]) -> Result<Answer> {
    let Some(Body::Table { rows, .. }) = figures.iter().map(|f| &f.body).find(|b| matches!(b, Body::Table { .. }))
    else {
        bail!("there is no table");
    };
    let number = |row: &Vec<String>| match &row[..] {
        [name, value] => Ok((name.clone(), Tensor::new(value.parse::<f64>()?, &Device::Cpu)?)),
        _ => bail!("a row of {} cells", row.len()),
    };
    rows.iter().map(number).collect()
}

/// The channels of each input, in the input's shape.
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
