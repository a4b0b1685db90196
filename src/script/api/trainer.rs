//! The function `cx.trainer(options)`, which trains a network one batch at a time, for methods that show how a network learns.

use super::options::CallOptions;
use super::{Guard, out, training};
use crate::data::source;
use crate::model::Model;
use crate::script::method::context::Cx;
use crate::train::{StepReport, Trainer, TrainingOptions as Training};
use anyhow::Result;
use rhai::{Dynamic, Engine, FLOAT, INT, Map};
use std::sync::Arc;

/// A network that is being trained. Copies train independently.
#[derive(Clone)]
pub(super) struct Learner {
    trainer: Trainer,
    model: Model,
}

pub(super) fn register(engine: &mut Engine, guard: &Arc<Guard>) {
    engine.register_fn("trainer", |cx: &mut Cx, options: Map| out(Learner::new(cx, options)));
    let g = guard.clone();
    engine.register_fn("learn", move |learner: &mut Learner| out(learner.learn(&g)));
    engine.register_get("model", |learner: &mut Learner| learner.model());
    engine.register_get("steps", |learner: &mut Learner| learner.trainer.progress().1 as INT);
}

impl Learner {
    /// Prepares to train the method's network on the training split of the data set. With the option `fresh`, which is on by
    /// default, training starts from random weights.
    fn new(cx: &Cx, map: Map) -> Result<Self> {
        let o = CallOptions::new("a trainer", map, &[&["fresh"], &training::OPTIONS[..]].concat())?;
        let set = cx.data.get()?;
        let part = source::to_learn_from(&set.name);
        let data = if part == set.name { set } else { source::open(&part)?.into() };
        let mut graph = (*cx.model.graph).clone();
        if o.switch("fresh", true)? {
            graph.nodes.iter_mut().for_each(|node| node.params.clear());
        }
        let trainer = Trainer::new(&graph, &cx.model.card, data, training::options(&o, Training::default())?)?
            .to_device(&cx.model.graph.device())?;
        Ok(Self { trainer, model: cx.model.clone() })
    }

    /// Trains on the next batch and returns a report; returns `()` when all epochs are done.
    fn learn(&mut self, guard: &Guard) -> Result<Dynamic> {
        guard.tick()?;
        Ok(self.trainer.step()?.map_or(Dynamic::UNIT, |report| told(&report).into()))
    }

    /// The network with its current weights.
    fn model(&self) -> Model {
        let hash = format!("{} trained {} steps", self.model.hash, self.trainer.progress().0);
        Model { graph: self.trainer.graph().clone(), hash: hash.into(), ..self.model.clone() }
    }
}

fn told(report: &StepReport) -> Map {
    let whole = |n: usize| Dynamic::from(n as INT);
    Map::from_iter([
        ("epoch".into(), whole(report.epoch)),
        ("epochs".into(), whole(report.epochs)),
        ("batch".into(), whole(report.batch)),
        ("batches".into(), whole(report.batches)),
        ("loss".into(), Dynamic::from(report.loss as FLOAT)),
        ("rate".into(), Dynamic::from(report.rate as FLOAT)),
    ])
}
