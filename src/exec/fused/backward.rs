//! The backward pass of a fused run, which visits the steps in reverse order.

use super::buffer::PooledBuffer;
use super::forward::{FusedRun, dense};
use super::layout::Slot;
use super::step::{Step, StepKernel};
use crate::backend;
use crate::graph::op::{Values, sum_to_input};
use crate::graph::{Graph, Node, NodeId};
use crate::tensor::add_to;
use anyhow::{Context, Result};
use candle_core::Tensor;
use gradscope_engine::{
    Activation, Epilogue, Map, MapMut, View, channel_products, channel_sums, combine, gate_vjp, linear_vjp,
    linear_weight_gradient, matmul, multiply_maps, pass, scatter_add, softmax_vjp, sum_pictures,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The accumulated gradient of one step's value.
#[derive(Clone)]
struct Gradient {
    buffer: Arc<PooledBuffer>,
    at: Slot,
    /// Whether the gradient is already multiplied by the derivative of the step's activation.
    sloped: bool,
}

/// A backward pass in progress.
struct BackwardPass<'a> {
    run: &'a FusedRun,
    graph: &'a Arc<Graph>,
    /// Batch size of the gradients: the number of pictures in the run, or 1 after summation over the batch.
    n: usize,
    /// The step at which gradients are summed over the batch, because the remaining steps are linear.
    summed: Option<usize>,
    gradients: Vec<Option<Gradient>>,
    /// The activation of each step whose gradients may be multiplied by the activation's derivative as they are written.
    slopes: Vec<Option<Activation>>,
    wanted: Vec<bool>,
    /// Gradients of parameters by name, if they were requested.
    params: Option<BTreeMap<String, Tensor>>,
}

/// The gradients that a backward pass computes.
pub struct GradientTargets<'a> {
    /// Nodes whose gradients to return.
    pub to: &'a [NodeId],
    /// Whether to sum node gradients over the batch, to `(1, …)`.
    pub sum: bool,
    /// Whether to compute parameter gradients.
    pub params: bool,
}

/// Node gradients by ID, and parameter gradients by name.
pub type Gradients = (BTreeMap<NodeId, Tensor>, BTreeMap<String, Tensor>);

impl FusedRun {
    /// The gradients at the target nodes, given gradients `seeds` at some nodes; `None` if the fused run does not hold a
    /// separate gradient for each of them, for example because a node lies inside a step. `tick` is called before each step and
    /// may stop the pass with an error.
    pub fn gradient(
        &self,
        graph: &Arc<Graph>,
        seeds: &[(NodeId, Tensor)],
        GradientTargets { to, sum, params }: GradientTargets,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Option<Gradients>> {
        let plan = &*self.plan;
        let steps = |ids: &mut dyn Iterator<Item = NodeId>| ids.map(|id| plan.ends[id]).collect::<Option<Vec<_>>>();
        let (starts, ends) = (steps(&mut seeds.iter().map(|s| s.0)), steps(&mut to.iter().copied()));
        let (Some(starts), Some(ends), None) = (starts, ends, &self.base) else { return Ok(None) };
        // A node that forwards another node's value shares that node's gradient only if it is the sole consumer.
        let own = |(&id, &step): (&NodeId, &usize)| {
            plan.whole[id] && (plan.node(step) == id || (plan.uses[step] == 1 && !starts.contains(&step)))
        };
        if !to.iter().zip(&ends).all(own) || (params && plan.has_folded_norms(graph)) {
            return Ok(None);
        }
        let mut back = BackwardPass::new(self, graph, &starts, &ends, params);
        // Parameter gradients need per-picture gradients.
        if let ([end], true) = (&ends[..], sum && !params) {
            back.summed = back.linear_way(*end, &starts);
        }
        for ((_, seed), &at) in seeds.iter().zip(&starts) {
            back.give_tensor(at, seed)?;
        }
        let mut answer = BTreeMap::new();
        for i in (0..plan.steps.len()).rev() {
            let Some(gradient) = back.gradients[i].take() else { continue };
            tick(&graph.nodes[plan.node(i)])?;
            for (&id, _) in to.iter().zip(&ends).filter(|(_, end)| **end == i) {
                let dims = [&[back.n], &self.dims(id)[1..]].concat();
                let value = gradient.at.tensor(back.n, gradient.buffer.numbers(), &dims)?;
                answer.insert(id, if sum { backend::sum_keepdim(&value, &[0])? } else { value });
            }
            let step = &plan.steps[i];
            if back.wanted[i] && (params || step.reads.iter().chain(&step.add).any(|&r| back.wanted[r])) {
                back.step(i, step, gradient)?;
            }
        }
        Ok(Some((answer, back.params.unwrap_or_default())))
    }
}

impl<'a> BackwardPass<'a> {
    fn new(run: &'a FusedRun, graph: &'a Arc<Graph>, starts: &[usize], ends: &[usize], params: bool) -> Self {
        let steps = &run.plan.steps;
        let (mut slopes, mut wanted) = (vec![], vec![]);
        for (i, step) in steps.iter().enumerate() {
            let seen = starts.contains(&i) || ends.contains(&i);
            // A concatenation of ReLU outputs is positive exactly where the outputs are.
            let all = matches!(step.work, StepKernel::Concat(_))
                && step.reads.iter().all(|&r| slopes[r] == Some(Activation::Relu));
            let own = if all { Some(Activation::Relu) } else { step.activation };
            // Only a ReLU's derivative is idempotent: it may be applied to a term and again to a sum that includes the term.
            let once = |a: &Activation| *a == Activation::Relu || run.plan.uses[i] == 1;
            slopes.push(own.filter(|a| !seen && once(a)));
            let own = params && !graph.nodes[step.first].params.is_empty();
            wanted.push(own || ends.contains(&i) || step.reads.iter().chain(&step.add).any(|&r| wanted[r]));
        }
        let params = params.then(BTreeMap::new);
        Self { run, graph, n: run.n, summed: None, gradients: vec![None; steps.len()], slopes, wanted, params }
    }

    /// The last step of the chain of linear steps that starts at `end`, in which each value has a single consumer. Once the backward pass
    /// reaches that step, gradients can be summed over the batch.
    fn linear_way(&self, end: usize, starts: &[usize]) -> Option<usize> {
        let plan = &*self.run.plan;
        let (mut at, mut last) = (end, None);
        while plan.uses[at] == 1 && !starts.contains(&at) {
            let Some(next) = plan.steps.iter().position(|s| s.reads == [at]) else { break };
            let step = &plan.steps[next];
            if step.add.is_some() || !step.work.is_linear() {
                break;
            }
            last = Some(next);
            if step.activation.is_some() {
                break;
            }
            at = next;
        }
        last
    }

    /// Propagates the gradient of a step's value to its inputs.
    fn step(&mut self, i: usize, step: &Step, gradient: Gradient) -> Result<()> {
        let run = self.run;
        let gradient = match step.activation {
            Some(activation) if !gradient.sloped => self.times_slope(i, activation, &gradient),
            _ => gradient,
        };
        let gradient = if self.summed == Some(i) { self.sum(&gradient) } else { gradient };
        let n = self.n;
        self.own_params(step, &gradient)?;
        let shared = gradient.clone();
        let dy = shared.at.map(n, shared.buffer.numbers());
        if let Some(add) = step.add {
            self.share(add, gradient.for_others());
        }
        if matches!(step.work, StepKernel::Op) {
            return self.operation(step, &gradient);
        }
        let Some(&x) = step.reads.first() else { return Ok(()) };
        match &step.work {
            StepKernel::Input | StepKernel::Op => {}
            StepKernel::Conv(conv) => {
                let filter = conv.backward()?;
                self.write(x, |dx, epilogue| filter.run(&dy, dx, epilogue));
            }
            StepKernel::Linear(w) => {
                let (output, input) = w.dims2()?;
                let (gradient, rows) = (gradient.dense(n), n * step.to.rows());
                let dy = &gradient.buffer.numbers()[..rows * output];
                let back = |w: &[f32], dx: &mut [f32]| linear_vjp(dy, w, dx, (rows, input, output));
                self.give_dense(x, |dx| backend::with::<f32, _>(w, |w| back(w, &mut dx[..rows * input])))?;
            }
            StepKernel::RowNorm(norm, [gamma, beta]) => {
                let (gradient, from) = (gradient.dense(n), run.dense(x));
                let len = n * step.to.len();
                let (dy, from) = (&gradient.buffer.numbers()[..len], &from.numbers()[..len]);
                if self.params.is_some() {
                    let gradients = norm.parameter_vjp(from, dy).into_iter().zip([gamma, beta]);
                    self.give_params(step.first, gradients.filter(|(_, own)| own.is_some()).map(|(sum, _)| sum))?;
                }
                self.give_dense(x, |dx| {
                    norm.vjp(from, dy, &mut dx[..len], gamma.as_deref(), false);
                    Ok(())
                })?;
            }
            StepKernel::Softmax => {
                let (gradient, y, len) = (gradient.dense(n), run.dense(i), n * step.to.len());
                let (dy, y) = (&gradient.buffer.numbers()[..len], &y.numbers()[..len]);
                self.give_dense(x, |dx| {
                    softmax_vjp(y, dy, &mut dx[..len], step.to.c);
                    Ok(())
                })?;
            }
            StepKernel::Matmul(views) => self.product((step, views), gradient)?,
            StepKernel::Mul => {
                let (z, from) = (step.reads[1], run.map(x));
                let factor = run.map(z);
                self.write(x, |dx, epilogue| multiply_maps(&dy, &factor, dx, epilogue));
                if factor.pixels() == from.pixels() {
                    self.write(z, |dz, epilogue| multiply_maps(&dy, &from, dz, epilogue));
                } else {
                    self.give_dense(z, |dz| {
                        gate_vjp(&dy, &from, &mut dz[..n * factor.c]);
                        Ok(())
                    })?;
                }
            }
            StepKernel::AddBroadcast { inner, .. } => {
                let z = step.reads[1];
                if self.wanted[z] {
                    let dy = gradient.at.tensor(n, gradient.buffer.numbers(), &run.dims(step.node))?;
                    self.give_tensor(z, &sum_to_input(&dy, &[&[n], &inner[..]].concat())?)?;
                }
                self.share(x, gradient.for_others());
            }
            StepKernel::Alias => {
                let (gradient, at) = (gradient.dense(n), run.plan.steps[x].to.alone());
                self.share(x, Gradient { at, sloped: false, ..gradient });
            }
            StepKernel::Copy(view) => {
                let gradient = gradient.dense(n);
                self.scatter(x, view, &gradient.buffer.numbers()[..n * step.to.len()]);
            }
            StepKernel::Max(pool) => {
                let (from, y) = (run.map(x), run.map(i));
                // The kernel applies the derivative of a ReLU, since the ReLU's output is positive exactly where its input is.
                let rectified = self.slopes[x].is_none_or(|a| a == Activation::Relu);
                match self.gradients[x] {
                    None if rectified => self.write(x, |dx, e| pool.max_vjp(&from, &y, &dy, dx, e.slope.is_some())),
                    _ => self.give(x, |dx| {
                        pool.max_vjp(&from, &y, &dy, dx, false);
                        Ok(())
                    })?,
                }
            }
            StepKernel::Mean(windows) => self.give(x, |dx| {
                windows.pool.mean_vjp(&dy, dx, |i, j| windows.divisor(i, j));
                Ok(())
            })?,
            StepKernel::Pick(pick) => self.give(x, |dx| {
                pick.backward(&dy, dx);
                Ok(())
            })?,
            StepKernel::Flatten => {
                let (gradient, to) = (gradient.dense(n), run.plan.steps[x].to.alone());
                let elements = &gradient.buffer.numbers()[..n * to.len()];
                self.give_dense(x, |dx| {
                    to.write(n, elements, dx);
                    Ok(())
                })?;
            }
            StepKernel::Pass(None) => self.share(x, gradient.for_others()),
            StepKernel::Pass(Some(scale)) | StepKernel::Normalized(scale) => {
                let zeros = vec![0.0; scale.len()];
                self.write(x, |dx, epilogue| pass(&dy, dx, Epilogue { affine: Some((scale, &zeros)), ..epilogue }));
            }
            StepKernel::BatchNorm(gamma, _, epsilon) => self.batch_norm((i, x), &dy, gamma, *epsilon)?,
            StepKernel::Mask => {
                let (mask, at) = (run.mask(step)?, step.to.alone());
                self.give(x, |dx| {
                    multiply_maps(&dy, &at.map(n, mask.numbers()), dx, Epilogue::default());
                    Ok(())
                })?;
            }
            StepKernel::Concat(_) => {
                let mut first = gradient.at.first;
                for &read in &step.reads {
                    let c = run.plan.steps[read].to.c;
                    self.share(read, Gradient { at: Slot { first, c, ..gradient.at }, ..gradient.clone() });
                    first += c;
                }
            }
        }
        Ok(())
    }

    /// The VJPs of a matrix product `x y`: `dy yᵀ` for `x`, `xᵀ dy` for `y`.
    fn product(&mut self, (step, views): (&Step, &[View; 2]), gradient: Gradient) -> Result<()> {
        let (run, n, gradient) = (self.run, self.n, gradient.dense(self.n));
        let shape = &run.plan.shapes[step.first];
        let dy = (&gradient.buffer.numbers()[..n * step.to.len()], View::dense(&[&[n], &shape[1..]].concat()));
        for (i, view) in views.iter().enumerate().filter(|(i, _)| self.wanted[step.reads[*i]]).collect::<Vec<_>>() {
            let (other, at) = run.viewed(step.reads[1 - i], &views[1 - i]);
            let rank = at.dims.len();
            let at = at.transpose(rank - 2, rank - 1);
            let mut buffer = PooledBuffer::new(n * view.elements());
            let dx = &mut buffer.numbers_mut()[..n * view.elements()];
            match i {
                0 => matmul((dy.0, &dy.1), (other, &at), dx, None, run.plan.algorithm),
                _ => matmul((other, &at), (dy.0, &dy.1), dx, None, run.plan.algorithm),
            }
            self.scatter(step.reads[i], view, dx);
        }
        Ok(())
    }

    /// Adds a gradient with respect to what `view` selects from the value of step `to`.
    fn scatter(&mut self, to: usize, view: &View, dx: &[f32]) {
        if !self.wanted[to] {
            return;
        }
        let (n, at) = (self.n, self.run.plan.steps[to].to.alone());
        let view = view.batch(n, at.len());
        let before = self.gradients[to].take();
        let (own, others) = match before {
            Some(gradient) if !gradient.sloped && gradient.at.is_dense() && gradient.at.first == 0 => {
                match Arc::try_unwrap(gradient.buffer) {
                    Ok(buffer) => (Some(buffer), None),
                    Err(buffer) => (None, Some(Gradient { buffer, ..gradient })),
                }
            }
            before => (None, before),
        };
        let mut buffer = own.unwrap_or_else(|| {
            let mut buffer = PooledBuffer::new(n * at.len());
            buffer.numbers_mut()[..n * at.len()].fill(0.0);
            buffer
        });
        scatter_add(dx, &view, &mut buffer.numbers_mut()[..n * at.len()]);
        self.gradients[to] = others;
        self.share(to, Gradient { buffer: Arc::new(buffer), at, sloped: false });
    }

    /// The VJP of batch normalization in training mode, `γ/σ (dy − mean(dy) − x̂ mean(dy x̂))` with `x̂ = (x − μ)/σ`.
    fn batch_norm(&mut self, (i, x): (usize, usize), dy: &Map, gamma: &[f32], epsilon: f32) -> Result<()> {
        let run = self.run;
        let (from, statistics) = (run.map(x), run.statistics(i)?);
        let count = from.pixels() as f32;
        let (sums, products) = channel_products(dy, &from, &statistics.mean);
        let inverse = statistics.inverse(epsilon);
        let scale: Vec<_> = gamma.iter().zip(&inverse).map(|(g, i)| g * i).collect();
        let channels = scale.iter().zip(&inverse).zip(&products);
        let along: Vec<_> = channels.map(|((s, i), p)| -s * i * i * p / count).collect();
        let channels = scale.iter().zip(&sums).zip(along.iter().zip(&statistics.mean));
        let shift: Vec<_> = channels.map(|((s, sum), (a, m))| -s * sum / count - a * m).collect();
        self.write(x, |dx, epilogue| combine(dy, &from, dx, [&scale, &along, &shift], epilogue));
        if self.params.is_some() {
            let gradients = [products.iter().zip(&inverse).map(|(p, i)| p * i).collect(), sums];
            self.give_params(run.plan.steps[i].first, gradients.into_iter())?;
        }
        Ok(())
    }

    /// Computes a step's parameter gradients.
    fn own_params(&mut self, step: &Step, gradient: &Gradient) -> Result<()> {
        let (run, n) = (self.run, self.n);
        let node = &self.graph.nodes[step.first];
        if self.params.is_none() || node.params.is_empty() {
            return Ok(());
        }
        match &step.work {
            StepKernel::Conv(conv) => {
                let dy = gradient.at.map(n, gradient.buffer.numbers());
                let mut dw = vec![0f32; node.params[0].elem_count()];
                conv.weight_gradient().run(&dy, &run.map(step.reads[0]), &mut dw);
                let bias = step.bias.is_some().then(|| channel_sums(&dy));
                self.give_params(step.first, std::iter::once(dw).chain(bias))
            }
            StepKernel::Linear(w) => {
                let (output, input) = w.dims2()?;
                let (gradient, rows) = (gradient.clone().dense(n), n * step.to.rows());
                let x = run.dense(step.reads[0]);
                let (dy, x) = (&gradient.buffer.numbers()[..rows * output], &x.numbers()[..rows * input]);
                let mut dw = vec![0f32; output * input];
                linear_weight_gradient(dy, x, &mut dw, (rows, input, output));
                let at = gradient.at;
                let bias = step.bias.is_some().then(|| channel_sums(&at.map(n, gradient.buffer.numbers())));
                self.give_params(step.first, std::iter::once(dw).chain(bias))
            }
            // Other steps add their parameter gradients in the backward pass, or have no trained parameters.
            _ => Ok(()),
        }
    }

    /// Converts gradients with respect to a node's effective parameters to gradients with respect to the stored ones,
    /// and accumulates these.
    fn give_params(&mut self, node: NodeId, gradients: impl Iterator<Item = Vec<f32>>) -> Result<()> {
        let (node, Some(all)) = (&self.graph.nodes[node], &mut self.params) else { return Ok(()) };
        let parameters = || node.parameters().filter(|p| p.trained);
        let gradients = parameters().zip(gradients).map(|(p, gradient)| backend::tensor(gradient, &p.shape));
        let gradients = node.op.effective_vjp(&node.stored()?, gradients.collect::<Result<_>>()?)?;
        parameters().zip(gradients).try_for_each(|(p, gradient)| add_to(all, p.name, gradient))
    }

    /// Propagates a step's gradient through the VJPs of its node.
    fn operation(&mut self, step: &Step, gradient: &Gradient) -> Result<()> {
        let (run, node) = (self.run, &self.graph.nodes[step.node]);
        let dy = gradient.at.tensor(run.n, gradient.buffer.numbers(), &run.dims(step.node))?;
        let x = node.inputs.iter().map(|&i| run.value(self.graph, i).cloned()).collect::<Result<Vec<_>>>()?;
        let (saved, weights) = (Values { x, y: run.value(self.graph, step.node)?.clone() }, node.weights()?);
        if self.params.is_some() && !node.params.is_empty() {
            let gradients = node.op.vjp_params(&saved, &weights, &dy);
            let what = || format!("weight gradients of layer \"{}\" ({})", node.name, node.op.kind());
            let flat = |t: &Tensor| Ok(t.flatten_all()?.to_vec1::<f32>()?);
            let gradients = gradients.with_context(what)?.iter().map(flat).collect::<Result<Vec<_>>>()?;
            self.give_params(step.node, gradients.into_iter())?;
        }
        for (i, &read) in step.reads.iter().enumerate().filter(|(_, r)| self.wanted[**r]).collect::<Vec<_>>() {
            let part = node.op.vjp(&saved, &weights, &dy, i);
            let part =
                part.with_context(|| format!("backward pass of layer \"{}\" ({})", node.name, node.op.kind()))?;
            self.give_tensor(read, &part)?;
        }
        Ok(())
    }

    /// Multiplies a step's gradient by the derivative of its activation, yielding the gradient with respect to the activation's
    /// input.
    fn times_slope(&self, i: usize, activation: Activation, gradient: &Gradient) -> Gradient {
        let (n, at) = (self.n, gradient.at.alone());
        let mut buffer = PooledBuffer::new(n * at.len());
        let from = gradient.at.map(n, gradient.buffer.numbers());
        let slope = Some((activation, self.run.saved(i, activation)));
        pass(&from, &mut at.map_mut(n, buffer.numbers_mut()), Epilogue { slope, ..Epilogue::default() });
        Gradient { buffer: Arc::new(buffer), at, sloped: true }
    }

    /// Sums a gradient over the batch. All gradients computed afterwards have batch size 1.
    fn sum(&mut self, gradient: &Gradient) -> Gradient {
        let at = gradient.at.alone();
        let mut buffer = PooledBuffer::new(at.len());
        sum_pictures(&gradient.at.map(self.n, gradient.buffer.numbers()), &mut at.map_mut(1, buffer.numbers_mut()));
        self.n = 1;
        Gradient { buffer: Arc::new(buffer), at, sloped: true }
    }

    /// Computes the gradient of step `to` with a kernel that can accumulate and multiply by the activation's derivative.
    fn write(&mut self, to: usize, kernel: impl FnOnce(&mut MapMut, Epilogue)) {
        if !self.wanted[to] {
            return;
        }
        let n = self.n;
        let at = self.run.plan.steps[to].to.alone();
        let mut buffer = PooledBuffer::new(n * at.len());
        let before = self.gradients[to].take();
        let add = before.as_ref().map(|b| b.at.map(n, b.buffer.numbers()));
        let slope = self.slopes[to].map(|activation| (activation, self.run.saved(to, activation)));
        kernel(&mut at.map_mut(n, buffer.numbers_mut()), Epilogue { add, slope, ..Epilogue::default() });
        self.gradients[to] = Some(Gradient { buffer: Arc::new(buffer), at, sloped: slope.is_some() });
    }

    /// Computes the gradient of step `to` with a kernel that can only overwrite.
    fn give(&mut self, to: usize, kernel: impl FnOnce(&mut MapMut) -> Result<()>) -> Result<()> {
        let (n, at) = (self.n, self.run.plan.steps[to].to.alone());
        self.give_dense(to, |dx| kernel(&mut at.map_mut(n, dx)))
    }

    /// Adds a tensor to the gradient of step `to`.
    fn give_tensor(&mut self, to: usize, gradient: &Tensor) -> Result<()> {
        let (n, at) = (self.n, self.run.plan.steps[to].to.alone());
        self.give_dense(to, |dx| backend::with::<f32, _>(gradient, |elements| at.write(n, elements, dx)))
    }

    /// Computes the gradient of step `to` with a kernel that needs contiguous elements.
    fn give_dense(&mut self, to: usize, kernel: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<()> {
        if !self.wanted[to] {
            return Ok(());
        }
        let at = self.run.plan.steps[to].to.alone();
        let mut buffer = PooledBuffer::new(self.n * at.len());
        kernel(buffer.numbers_mut())?;
        self.share(to, Gradient { buffer: Arc::new(buffer), at, sloped: false });
        Ok(())
    }

    /// Passes on all or part of a gradient that another step already holds, without copying if possible.
    fn share(&mut self, to: usize, gradient: Gradient) {
        if !self.wanted[to] {
            return;
        }
        if self.gradients[to].is_none() {
            self.gradients[to] = Some(gradient);
            return;
        }
        let from = gradient.at.map(self.n, gradient.buffer.numbers());
        self.write(to, |dx, epilogue| pass(&from, dx, epilogue));
    }
}

impl Gradient {
    /// The same gradient, marked as not yet multiplied by a derivative, for a step with a different activation.
    fn for_others(&self) -> Self {
        Self { sloped: false, ..self.clone() }
    }

    /// The same gradient with contiguous elements, copied only if necessary.
    fn dense(self, n: usize) -> Self {
        if self.at.is_dense() && self.at.first == 0 {
            return self;
        }
        let buffer = dense(&self.at, n, self.buffer.numbers());
        Self { buffer: Arc::new(buffer), at: self.at.alone(), ..self }
    }
}
