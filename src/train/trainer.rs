//! The trainer: a value that learns from one batch a step.

use super::TrainingOptions;
use super::batch::Batches;
use super::perceptual::Perceptual;
use super::{dropout, fingerprint, init};
use crate::backend;
use crate::data::{Dataset, Preprocess};
use crate::exec::{BatchStatistics, Masks, ScoresNotFinite, Trace};
use crate::explain::{Walk, loss_of_labels};
use crate::graph::{Graph, Node, NodeId};
use crate::model::{Card, ClassMap};
use crate::tensor::add_to;
use anyhow::{Context, Result, ensure};
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Training as a value that steps: no threads of its own, it can be left between any two batches, and a clone goes on by
/// itself.
///
/// Dropout drops as its layers say, drawn for each picture and epoch. The same options on the same machine give the same weights
/// bit by bit, also where training was interrupted and resumed from a checkpoint.
#[derive(Clone)]
pub struct Trainer {
    pub(super) graph: Arc<Graph>,
    pub(super) name: String,
    pub(super) preprocess: Preprocess,
    /// Names of the network's classes.
    pub(super) labels: Arc<[String]>,
    /// Which of them the data set's are; none for a network that draws.
    pub(super) classes: Option<ClassMap>,
    pub(super) data: Arc<Dataset>,
    pub(super) options: TrainingOptions,
    pub(super) batches: Batches,
    /// What the optimizer remembers, by name.
    pub(super) slots: BTreeMap<String, Tensor>,
    /// Steps done.
    pub(super) step: usize,
    /// The best result on other pictures so far.
    pub(super) best: Option<BestResult>,
    /// SHA-256 of the weights it began with.
    pub(super) begun: Arc<str>,
    /// What a network that draws is judged by; none: labels.
    pub(super) critic: Critic,
}

/// What judges the drawings of a network.
#[derive(Clone, Default)]
pub(super) enum Critic {
    /// Nothing: pictures are named, and labels say what is right.
    #[default]
    Labels,
    /// A style.
    Style(Arc<Perceptual>),
    /// The style of this fingerprint, which a training that is resumed has yet to be given.
    Missing(String),
}

/// A result on other pictures, and the weights that gave it.
#[derive(Clone)]
pub(super) struct BestResult {
    pub epoch: usize,
    pub correct: usize,
    pub weights: BTreeMap<String, Tensor>,
}

/// One step done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The epoch it belongs to, from 1.
    pub epoch: usize,
    /// How many there are.
    pub epochs: usize,
    /// The batch within the epoch, from 1.
    pub batch: usize,
    /// How many an epoch has.
    pub batches: usize,
    /// Mean loss of the batch before the step: cross entropy, or what a style says.
    pub loss: f64,
    /// The learning rate of the step.
    pub rate: f64,
}

/// What a batch teaches.
#[derive(Default)]
struct LossAndGradients {
    loss: f64,
    /// The gradient of each parameter by the loss.
    gradients: BTreeMap<String, Tensor>,
    /// What batch norms found, of each run.
    statistics: Vec<(NodeId, BatchStatistics)>,
}

/// Whether a network gives pictures as large as it gets.
fn draws(graph: &Graph) -> bool {
    graph.nodes[0].shape == graph.nodes[graph.logits].shape
}

impl Trainer {
    /// Training from the start: from the graph's weights where it has some, else from drawn ones.
    ///
    /// Errors: labels that the network has no score for, options out of range.
    pub fn new(graph: &Graph, card: &Card, data: impl Into<Arc<Dataset>>, options: TrainingOptions) -> Result<Self> {
        let data = data.into();
        check_trainable(graph, &card.name)?;
        let classes = if draws(graph) { None } else { Some(ClassMap::of_classes(&data, card, graph)?) };
        options.check()?;
        let side = card.input[1].max(card.input[2]);
        ensure!(
            options.shift < side,
            "pictures of {side} pixels can't be shifted by {}; use less than {side}",
            options.shift
        );
        let bare = graph.nodes.iter().any(|n| n.params.len() < n.op.params().len());
        let graph = if bare { init::draw(graph, options.init, options.seed)? } else { graph.clone() };
        let batches = options.batches(data.len());
        let begun = fingerprint::of_weights(&graph.weights())?.into();
        Ok(Self {
            graph: graph.into(),
            name: card.name.clone(),
            preprocess: card.preprocess(),
            labels: card.labels.clone(),
            classes,
            data,
            options,
            batches,
            slots: BTreeMap::new(),
            step: 0,
            best: None,
            begun,
            critic: Critic::Labels,
        })
    }

    /// Teaches a network that draws a style, in place of labels.
    ///
    /// Errors: a network whose output is no picture as large as its input; a training that was begun with something else.
    pub fn with_style(self, style: Perceptual) -> Result<Self> {
        let (first, last) = (&self.graph.nodes[0].shape, &self.graph.nodes[self.graph.logits].shape);
        ensure!(
            draws(&self.graph),
            "\"{}\" gives {last:?} for {first:?}; what draws gives a picture as large",
            self.name
        );
        let fits = match &self.critic {
            Critic::Labels => self.step == 0,
            Critic::Missing(fingerprint) => fingerprint == style.fingerprint(),
            Critic::Style(_) => false,
        };
        ensure!(fits, "this training was begun with another style, network that sees it, or weights of the loss");
        Ok(Self { critic: Critic::Style(style.into()), ..self })
    }

    /// How it trains.
    pub fn options(&self) -> &TrainingOptions {
        &self.options
    }

    /// Steps done, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        (self.step, self.batches.per_epoch() * self.options.epochs)
    }

    /// The network as it is now.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The weights as they are now.
    pub fn weights(&self) -> BTreeMap<String, Tensor> {
        self.graph.weights()
    }

    /// Learns from the next batch; none when all epochs are done.
    ///
    /// Errors where scores, the loss, or a weight behind the step are not finite; the weights are then those before the step.
    pub fn step(&mut self) -> Result<Option<StepReport>> {
        let (done, all) = self.progress();
        if done >= all {
            return Ok(None);
        }
        let per_epoch = self.batches.per_epoch();
        let (epoch, batch) = (done / per_epoch, done % per_epoch);
        let rate = self.options.rate * self.options.schedule.factor(done, all, per_epoch);
        let numbers = self.batches.numbers(epoch, batch).to_vec();
        let advice =
            || format!("learning at batch {} of epoch {}; a learning rate below {rate} may help", batch + 1, epoch + 1);
        let learnt = self.gradients(&numbers, epoch).map_err(|error| match error.is::<ScoresNotFinite>() {
            true if self.step > 0 => error.context(advice()),
            _ => error,
        })?;
        let loss = learnt.loss;
        ensure!(
            loss.is_finite(),
            "the loss is {loss} at batch {} of epoch {}; a learning rate below {rate} may help",
            batch + 1,
            epoch + 1
        );
        self.update(&learnt, rate)?;
        self.step += 1;
        let epochs = self.options.epochs;
        Ok(Some(StepReport { epoch: epoch + 1, epochs, batch: batch + 1, batches: per_epoch, loss, rate }))
    }

    /// Trains to the end, or until `on` breaks; true at the end.
    ///
    /// A checkpoint is written after each epoch, whenever `every` has passed since the last, and when `on` breaks.
    pub fn run(
        &mut self,
        checkpoint: Option<&Path>,
        every: Duration,
        on: &mut dyn FnMut(&StepReport) -> ControlFlow<()>,
    ) -> Result<bool> {
        let mut written = Instant::now();
        while let Some(report) = self.step()? {
            let stop = on(&report).is_break();
            if let Some(path) = checkpoint
                && (stop || report.batch == report.batches || written.elapsed() >= every)
            {
                self.save(path)?;
                written = Instant::now();
            }
            if stop {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What these pictures teach: as they are, attacked, or both by their shares.
    fn gradients(&self, numbers: &[usize], epoch: usize) -> Result<LossAndGradients> {
        let x = self.batches.moved(&self.data.batch(numbers, &self.preprocess)?, numbers, epoch)?;
        let masks = dropout::masks(&self.graph, &self.batches, numbers, epoch, &x)?;
        let graph = self.graph.in_training();
        match &self.critic {
            Critic::Labels => {
                ensure!(!draws(&self.graph), "a network that draws, as \"{}\", learns a style: --style", self.name)
            }
            Critic::Style(style) => {
                return learn(&graph, &x, &masks, |trace| {
                    let (loss, gradient) = style.loss(trace.value(graph.logits)?, &x)?;
                    Ok((loss, (graph.logits, gradient)))
                });
            }
            Critic::Missing(_) => anyhow::bail!("this training was begun with a style, which has to be given again"),
        }
        let classes = self.classes.as_ref().context("the classes of the data set were matched with none")?;
        let labels = numbers.iter().map(|&i| classes.class(self.data.label(i))).collect::<Result<Vec<_>>>()?;
        let named = |x: &Tensor| {
            learn(&graph, x, &masks, |trace| {
                let (loss, gradient) = loss_of_labels(graph.scores, &trace.scores()?, &labels)?;
                Ok((loss, trace.seed(&gradient)?))
            })
        };
        let Some(adversary) = &self.options.adversary else { return named(&x) };
        let adversary = adversary.after(self.step as f64 / self.batches.per_epoch() as f64);
        let attacked = adversary.attack(&self.graph, &x, &labels, (&self.batches, numbers, epoch))?;
        let both = [(1.0 - adversary.alpha, attacked), (adversary.alpha, x.clone())];
        let wanted = both.iter().filter(|(share, _)| *share > 0.0);
        weighted(wanted.map(|(share, x)| (*share, named(x))))
    }

    fn update(&mut self, learnt: &LossAndGradients, rate: f64) -> Result<()> {
        let mut weights = self.graph.weights();
        for (name, gradient) in &learnt.gradients {
            let w = weights.get_mut(name).with_context(|| format!("no weight \"{name}\""))?;
            let gradient = (gradient + (&*w * self.options.weight_decay)?)?;
            *w = self.options.optimizer.step(w, &gradient, (name, &mut self.slots), self.step + 1, rate)?;
            let bad = backend::not_finite(w)?;
            ensure!(
                bad.count() == 0,
                "\"{name}\" is not finite behind the step: {bad}; a learning rate below {rate} may help"
            );
        }
        for (id, found) in &learnt.statistics {
            let node = &self.graph.nodes[*id];
            let momentum = node.op.tracked().map_or(0.0, |tracked| tracked.momentum);
            let running = node.parameters().filter(|p| !p.trained).zip([&found.mean, &found.variance]);
            for (parameter, batch) in running {
                let name = &parameter.name;
                let old = weights.get_mut(name).with_context(|| format!("no statistics \"{name}\""))?;
                *old = ((&*old * (1.0 - momentum))? + (batch.to_device(old.device())? * momentum)?)?;
            }
        }
        self.graph = self.graph.with_weights(weights)?.into();
        Ok(())
    }
}

/// Runs a network in training on pictures; `judge` gives the mean loss and its gradient at a node.
fn learn(
    graph: &Arc<Graph>,
    x: &Tensor,
    masks: &Masks,
    judge: impl FnOnce(&Trace) -> Result<(f64, (NodeId, Tensor))>,
) -> Result<LossAndGradients> {
    let trace = graph.forward_masked(x, masks)?;
    let (loss, seed) = judge(&trace)?;
    let composite = dropout::composite(&trace, masks);
    let walk = Walk { params: true, keep: false, to: vec![], composite, ..Walk::gradient(&trace, vec![seed]) };
    let gradients = walk.run()?.params;
    Ok(LossAndGradients { loss, gradients, statistics: statistics(&trace)? })
}

/// What each batch norm found.
fn statistics(trace: &Trace) -> Result<Vec<(NodeId, BatchStatistics)>> {
    let tracked = |id: &NodeId| trace.graph.nodes[*id].op.tracked().is_some();
    (0..trace.graph.nodes.len()).filter(tracked).map(|id| Ok((id, trace.batch_statistics(id)?))).collect()
}

/// Losses and gradients by their shares; statistics one after another.
fn weighted(parts: impl Iterator<Item = (f64, Result<LossAndGradients>)>) -> Result<LossAndGradients> {
    let mut sum = LossAndGradients::default();
    for (share, part) in parts {
        let part = part?;
        sum.loss += share * part.loss;
        sum.statistics.extend(part.statistics);
        for (name, gradient) in part.gradients {
            add_to(&mut sum.gradients, name, (gradient * share)?)?;
        }
    }
    Ok(sum)
}

/// Refuses networks with nothing to train, or with statistics that training would leave as they are.
fn check_trainable(graph: &Graph, name: &str) -> Result<()> {
    let untracked = |n: &&Node| n.op.params().iter().any(|p| !p.trained) && n.op.tracked().is_none();
    if let Some(node) = graph.nodes.iter().find(untracked) {
        anyhow::bail!(
            "\"{name}\" cannot be trained here: layer \"{}\" ({}) has statistics that training does not update",
            node.name,
            node.op.kind()
        );
    }
    ensure!(graph.nodes.iter().any(|n| n.parameter_count() > 0), "\"{name}\" has nothing to train: no parameters");
    Ok(())
}
