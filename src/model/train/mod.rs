//! Training: from a network, a data set and options to weights, one batch a step.

mod adversary;
mod batch;
mod checkpoint;
mod course;
mod dropout;
mod init;
mod optimizer;
mod perceptual;
mod schedule;

pub use adversary::Adversary;
pub use checkpoint::{labels, write_weights};
pub use course::{Course, News};
pub use init::Init;
pub use optimizer::Optimizer;
pub use perceptual::{Perceptual, Weights};
pub use schedule::Schedule;

use super::{Card, ClassMap};
use crate::backward::{Walk, loss_of_labels};
use crate::data::{Dataset, Preprocess};
use crate::exec::{BatchStatistics, Masks, ScoresNotFinite, Trace};
use crate::graph::{Graph, Node, NodeId};
use crate::kernel;
use crate::tensor::add_to;
use anyhow::{Context, Result, ensure};
use batch::Batches;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// How often each picture is seen.
    pub epochs: usize,
    /// Pictures of one step; the last of an epoch may have fewer.
    pub batch: usize,
    /// The learning rate that the schedule starts from.
    pub rate: f64,
    /// How gradients become steps.
    pub optimizer: Optimizer,
    /// How the rate changes.
    pub schedule: Schedule,
    /// `λ` of the penalty `λ/2 · |w|²`, added to the gradient as PyTorch's SGD and Adam do.
    pub weight_decay: f64,
    /// How first weights are drawn.
    pub init: Init,
    /// What weights, order and shifts are drawn from.
    pub seed: u64,
    /// Pictures are moved by up to this many pixels in either direction, their edges repeated.
    pub shift: usize,
    /// Whether half of the pictures are mirrored left to right.
    pub flip: bool,
    /// The attack that pictures undergo before they are learnt from.
    #[serde(default)]
    pub adversary: Option<Adversary>,
    /// Epochs without a better result on other pictures after which it ends, with the weights of the best; 0: never.
    #[serde(default)]
    pub patience: usize,
}

/// Training as a value that steps: no threads of its own, it can be left between any two batches, and a clone goes on by
/// itself.
///
/// Dropout drops as its layers say, drawn for each picture and epoch. The same options on the same machine give the same weights
/// bit by bit, also where training was interrupted and resumed from a checkpoint.
#[derive(Clone)]
pub struct Trainer {
    graph: Arc<Graph>,
    name: String,
    preprocess: Preprocess,
    /// Names of the network's classes.
    labels: Arc<[String]>,
    /// Which of them the data set's are; none for a network that draws.
    classes: Option<ClassMap>,
    data: Arc<Dataset>,
    options: Options,
    batches: Batches,
    /// What the optimizer remembers, by name.
    slots: BTreeMap<String, Tensor>,
    /// Steps done.
    step: usize,
    /// The best result on other pictures so far.
    best: Option<Best>,
    /// SHA-256 of the weights it began with.
    begun: Arc<str>,
    /// What a network that draws is judged by; none: labels.
    critic: Critic,
}

/// What judges the drawings of a network.
#[derive(Clone, Default)]
enum Critic {
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
struct Best {
    epoch: usize,
    correct: usize,
    weights: BTreeMap<String, Tensor>,
}

/// One step done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
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

impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 5,
            batch: 64,
            rate: 1e-3,
            optimizer: Optimizer::adam(),
            schedule: Schedule::Cosine,
            weight_decay: 0.0,
            init: Init::He,
            seed: 0,
            shift: 0,
            flip: false,
            adversary: None,
            patience: 0,
        }
    }
}

/// Whether a network gives pictures as large as it gets.
fn draws(graph: &Graph) -> bool {
    graph.nodes[0].shape == graph.nodes[graph.logits].shape
}

impl Trainer {
    /// Training from the start: from the graph's weights where it has some, else from drawn ones.
    ///
    /// Errors: labels that the network has no score for, options out of range.
    pub fn new(graph: &Graph, card: &Card, data: impl Into<Arc<Dataset>>, options: Options) -> Result<Self> {
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
        let batches = Batches::new(data.len(), &options);
        let begun = checkpoint::fingerprint_of_weights(&graph.weights())?.into();
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
    pub fn options(&self) -> &Options {
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
    pub fn step(&mut self) -> Result<Option<Report>> {
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
        Ok(Some(Report { epoch: epoch + 1, epochs, batch: batch + 1, batches: per_epoch, loss, rate }))
    }

    /// Trains to the end, or until `on` breaks; true at the end.
    ///
    /// A checkpoint is written after each epoch, whenever `every` has passed since the last, and when `on` breaks.
    pub fn run(
        &mut self,
        checkpoint: Option<&Path>,
        every: Duration,
        on: &mut dyn FnMut(&Report) -> ControlFlow<()>,
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
            let bad = kernel::not_finite(w)?;
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

impl Options {
    fn check(&self) -> Result<()> {
        ensure!(self.epochs > 0 && self.batch > 0, "training needs at least one epoch and one picture a batch");
        ensure!(self.rate.is_finite() && self.rate > 0.0, "a learning rate of {}; it must be above 0", self.rate);
        ensure!(
            self.weight_decay.is_finite() && self.weight_decay >= 0.0,
            "a weight decay of {}; it must be 0 or more",
            self.weight_decay
        );
        if let Some(adversary) = &self.adversary {
            adversary.check()?;
        }
        self.schedule.check()?;
        self.optimizer.check()
    }
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
