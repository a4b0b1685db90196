//! The trainer, which trains a network on one batch per step.

use super::TrainingOptions;
use super::batch::Batches;
use super::perceptual::Perceptual;
use super::{dropout, fingerprint, init};
use crate::backend::{self, Accumulation};
use crate::data::{Dataset, Preprocess};
use crate::exec::{BatchStatistics, Masks, ScoresNotFinite, Trace};
use crate::explain::{Walk, loss_of_labels};
use crate::graph::{Graph, Node, NodeId};
use crate::model::{Card, ClassMap};
use crate::tensor::add_to;
use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A training run that proceeds step by step. It has no threads of its own, can be paused between any two batches, and can be
/// cloned to continue independently.
///
/// Dropout masks are drawn for each picture and epoch. On the same machine, the same options give bit-identical weights, even if
/// the run is interrupted and resumed from a checkpoint.
#[derive(Clone)]
pub struct Trainer {
    pub(super) graph: Arc<Graph>,
    pub(super) name: String,
    pub(super) preprocess: Preprocess,
    /// Class names of the network.
    pub(super) labels: Arc<[String]>,
    /// Maps the data set's classes to those of the network; `None` for an image-to-image network.
    pub(super) classes: Option<ClassMap>,
    pub(super) data: Arc<Dataset>,
    pub(super) options: TrainingOptions,
    pub(super) batches: Batches,
    /// Optimizer state, keyed by the kind of state and the name of the weight: `exp_avg.conv1.weight`.
    pub(super) slots: BTreeMap<String, Tensor>,
    /// Number of completed steps.
    pub(super) step: usize,
    /// The best result on the test set so far.
    pub(super) best: Option<BestResult>,
    /// SHA-256 of the initial weights.
    pub(super) begun: Arc<str>,
    /// The source of the training loss.
    pub(super) critic: Critic,
}

/// The source of the training loss.
#[derive(Clone, Default)]
pub(super) enum Critic {
    /// The labels of the data set.
    #[default]
    Labels,
    /// A perceptual style loss, for an image-to-image network.
    Style(Arc<Perceptual>),
    /// The style loss with the given fingerprint, which must be provided before a resumed training run can continue.
    Missing(String),
}

/// A result on the test set, and the weights that achieved it.
#[derive(Clone)]
pub(super) struct BestResult {
    pub epoch: usize,
    pub correct: usize,
    pub weights: BTreeMap<String, Tensor>,
}

/// The outcome of a training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The current epoch, one-based.
    pub epoch: usize,
    /// Total number of epochs.
    pub epochs: usize,
    /// The batch within the epoch, one-based.
    pub batch: usize,
    /// Number of batches per epoch.
    pub batches: usize,
    /// Mean loss of the batch before the step: cross entropy or perceptual loss.
    pub loss: f64,
    /// The learning rate of the step.
    pub rate: f64,
}

/// The loss of a batch, its gradients and its batch norm statistics.
#[derive(Default)]
struct LossAndGradients {
    loss: f64,
    /// Gradient of the loss with respect to each parameter, by name.
    gradients: BTreeMap<String, Tensor>,
    /// Batch statistics of each batch norm node, for each forward pass.
    statistics: Vec<(NodeId, BatchStatistics)>,
}

/// Whether a network is an image-to-image network: its output has the same shape as its input.
fn draws(graph: &Graph) -> bool {
    graph.nodes[0].shape == graph.nodes[graph.logits].shape
}

impl Trainer {
    /// Starts a training run from the graph's weights, or from random weights on the CPU if the graph has none.
    ///
    /// Errors if a label has no class in the network, if an option is out of range, or if the network cannot be trained.
    pub fn new(graph: &Graph, card: &Card, data: impl Into<Arc<Dataset>>, options: TrainingOptions) -> Result<Self> {
        let data = data.into();
        check_trainable(graph, &card.name)?;
        let classes = if draws(graph) { None } else { Some(ClassMap::of_classes(&data, card, graph)?) };
        options.check()?;
        let side = card.input[1].max(card.input[2]);
        ensure!(
            options.shift < side,
            "cannot shift by {} pixels: the longer side of the pictures is {side} pixels, and the shift must be less than that",
            options.shift
        );
        let bare = graph.nodes.iter().any(|n| n.params.len() < n.op.params().len());
        // Weights stored in bf16 or f16 would lose small updates to rounding.
        let graph = match bare {
            true => init::draw(graph, options.init, options.seed)?,
            false => graph.to(graph.dtype(), &graph.device())?,
        };
        // Rounding factors to bf16 would change the gradients, too.
        let graph = match graph.accumulation() {
            Accumulation::Bf16 => graph.with_accumulation(Accumulation::Winograd),
            _ => graph,
        };
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

    /// Trains an image-to-image network with a perceptual style loss instead of labels.
    ///
    /// Errors if the network's output shape differs from its input shape, or if the training run was started with labels or with
    /// another style.
    pub fn with_style(self, style: Perceptual) -> Result<Self> {
        let (first, last) = (&self.graph.nodes[0].shape, &self.graph.nodes[self.graph.logits].shape);
        ensure!(
            draws(&self.graph),
            "\"{}\" maps {first:?} to {last:?}; an image-to-image network must preserve the shape of the picture",
            self.name
        );
        let fits = match &self.critic {
            Critic::Labels => self.step == 0,
            Critic::Missing(fingerprint) => fingerprint == style.fingerprint(),
            Critic::Style(_) => false,
        };
        ensure!(fits, "this training run was started with a different style, loss network or loss weights");
        Ok(Self { critic: Critic::Style(style.into()), ..self })
    }

    /// Moves the training run to another device.
    pub fn to_device(mut self, device: &Device) -> Result<Self> {
        self.graph = self.graph.to(self.graph.dtype(), device)?.into();
        for tensor in self.slots.values_mut().chain(self.best.iter_mut().flat_map(|best| best.weights.values_mut())) {
            *tensor = tensor.to_device(device)?;
        }
        Ok(self)
    }

    /// The training options.
    pub fn options(&self) -> &TrainingOptions {
        &self.options
    }

    /// Number of completed steps and total number of steps.
    pub fn progress(&self) -> (usize, usize) {
        (self.step, self.batches.per_epoch() * self.options.epochs)
    }

    /// The network with its current weights.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The current weights.
    pub fn weights(&self) -> BTreeMap<String, Tensor> {
        self.graph.weights()
    }

    /// Trains on the next batch; returns `None` when all epochs are done.
    ///
    /// Errors if the scores, the loss or an updated weight are not finite. The weights then remain unchanged.
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
            || format!("training at batch {} of epoch {}; a learning rate below {rate} may help", batch + 1, epoch + 1);
        let learned = self.gradients(&numbers, epoch).map_err(|error| match error.is::<ScoresNotFinite>() {
            true if self.step > 0 => error.context(advice()),
            _ => error,
        })?;
        let loss = learned.loss;
        ensure!(
            loss.is_finite(),
            "the loss is {loss} at batch {} of epoch {}; a learning rate below {rate} may help",
            batch + 1,
            epoch + 1
        );
        self.update(&learned, rate)?;
        self.step += 1;
        let epochs = self.options.epochs;
        Ok(Some(StepReport { epoch: epoch + 1, epochs, batch: batch + 1, batches: per_epoch, loss, rate }))
    }

    /// Trains until all epochs are done or `on` returns `Break`; returns whether all epochs are done. `on` is called after each step.
    ///
    /// A checkpoint is written after each epoch, when `every` has passed since the last checkpoint, and when `on` returns `Break`.
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

    /// Loss and gradients for the pictures `numbers`. With adversarial training, both are weighted sums over unperturbed and
    /// attacked pictures.
    fn gradients(&self, numbers: &[usize], epoch: usize) -> Result<LossAndGradients> {
        let x = self.batches.moved(&self.data.batch(numbers, &self.preprocess)?, numbers, epoch)?;
        let x = x.to_dtype(self.graph.dtype())?.to_device(&self.graph.device())?;
        let masks = dropout::masks(&self.graph, &self.batches, numbers, epoch, &x)?;
        let graph = self.graph.in_training();
        match &self.critic {
            Critic::Labels => {
                ensure!(
                    !draws(&self.graph),
                    "\"{}\" is an image-to-image network; specify the style to learn with --style",
                    self.name
                )
            }
            Critic::Style(style) => {
                return learn(&graph, &x, &masks, |trace| {
                    let (loss, gradient) = style.loss(trace.value(graph.logits)?, &x)?;
                    Ok((loss, (graph.logits, gradient)))
                });
            }
            Critic::Missing(_) => {
                anyhow::bail!("this training run was started with a style; pass the same --style again")
            }
        }
        let classes = self
            .classes
            .as_ref()
            .context("the classes of the data set have not been matched with those of the network")?;
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

    fn update(&mut self, learned: &LossAndGradients, rate: f64) -> Result<()> {
        let mut weights = self.graph.weights();
        for (name, gradient) in &learned.gradients {
            let w = weights.get_mut(name).with_context(|| format!("no weight \"{name}\""))?;
            let gradient = match self.options.weight_decay {
                0.0 => gradient.clone(),
                decay => (gradient + (&*w * decay)?)?,
            };
            *w = self.options.optimizer.step(w, &gradient, (name, &mut self.slots), self.step + 1, rate)?;
            let bad = backend::not_finite(w)?;
            ensure!(
                bad.count() == 0,
                "\"{name}\" is not finite after the step: {bad}; a learning rate below {rate} may help"
            );
        }
        for (id, found) in &learned.statistics {
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

/// Runs a network in training mode on a batch and computes its gradients; `judge` returns the mean loss and its gradient at a
/// node.
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

/// The batch statistics of each batch norm node in a trace.
fn statistics(trace: &Trace) -> Result<Vec<(NodeId, BatchStatistics)>> {
    let tracked = |id: &NodeId| trace.graph.nodes[*id].op.tracked().is_some();
    (0..trace.graph.nodes.len()).filter(tracked).map(|id| Ok((id, trace.batch_statistics(id)?))).collect()
}

/// Sums losses and gradients, each multiplied by its weight, and concatenates the batch statistics.
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

/// Errors if a network has no parameters to train, or has statistics that training would not update.
fn check_trainable(graph: &Graph, name: &str) -> Result<()> {
    let untracked = |n: &&Node| n.op.params().iter().any(|p| !p.trained) && n.op.tracked().is_none();
    if let Some(node) = graph.nodes.iter().find(untracked) {
        anyhow::bail!(
            "\"{name}\" cannot be trained: its layer \"{}\" ({}) has statistics that training does not update",
            node.name,
            node.op.kind()
        );
    }
    ensure!(graph.nodes.iter().any(|n| n.parameter_count() > 0), "\"{name}\" has no parameters to train");
    Ok(())
}
