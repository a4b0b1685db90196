//! The gradient of a run: the same steps from the last to the first.

use super::layout::Place;
use super::room::Room;
use super::run::{Run, channels_first};
use super::step::{Step, Work};
use crate::graph::node::{Graph, Node, NodeId};
use crate::graph::trace::Site;
use crate::kernel;
use anyhow::Result;
use candle_core::Tensor;
use gradscope_engine::{Epilogue, Map, MapMut, linear_vjp, pass, sum_pictures, to_channels_last};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The gradient of one step's value, as far as it came together.
#[derive(Clone)]
struct Gradient {
    room: Arc<Room>,
    at: Place,
    /// Whether it is 0 already where the step's ReLU was.
    masked: bool,
}

/// A walk back.
struct Back<'a> {
    run: &'a Run,
    graph: &'a Arc<Graph>,
    /// Pictures in a gradient: those of the run, or one, their sum.
    n: usize,
    /// The step whose gradient is summed over the batch, as all that comes after it is linear.
    summed: Option<usize>,
    gradients: Vec<Option<Gradient>>,
    /// Steps whose gradient may be masked by whoever writes it.
    masks: Vec<bool>,
    wanted: Vec<bool>,
}

impl Run {
    /// The gradients at the nodes `to` from gradients at some nodes; none where one of these stands in the middle of a
    /// step. `sum` asks for their sums over the batch, `(1, …)`. `tick` is asked before each step whether to go on.
    pub fn gradient(
        &self,
        graph: &Arc<Graph>,
        seeds: &[(NodeId, Tensor)],
        (to, sum): (&[NodeId], bool),
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Option<BTreeMap<NodeId, Tensor>>> {
        let plan = &*self.plan;
        let steps = |ids: &mut dyn Iterator<Item = NodeId>| ids.map(|id| plan.ends[id]).collect::<Option<Vec<_>>>();
        let (starts, ends) = (steps(&mut seeds.iter().map(|s| s.0)), steps(&mut to.iter().copied()));
        let (Some(starts), Some(ends)) = (starts, ends) else { return Ok(None) };
        // A node that only hands on what another one gave has that one's gradient if that goes nowhere else.
        let own = |(id, s): (&NodeId, &usize)| plan.node(*s) == *id || (plan.uses[*s] == 1 && !starts.contains(s));
        if !to.iter().zip(&ends).all(own) {
            return Ok(None);
        }
        let mut back = Back::new(self, graph, &starts, &ends);
        if let ([end], true) = (&ends[..], sum) {
            back.summed = back.linear_way(*end, &starts);
        }
        for ((_, seed), &at) in seeds.iter().zip(&starts) {
            back.give(at, |dx| kernel::with::<f32, _>(seed, |s| to_channels_last(s, dx)))?;
        }
        let mut answer = BTreeMap::new();
        for i in (0..plan.steps.len()).rev() {
            let Some(gradient) = back.gradients[i].take() else { continue };
            tick(&graph.nodes[plan.node(i)])?;
            for (&id, _) in to.iter().zip(&ends).filter(|(_, end)| **end == i) {
                let dims = [&[back.n], &self.dims(id)[1..]].concat();
                let value = channels_first(&gradient.at, back.n, gradient.room.numbers(), &dims)?;
                answer.insert(id, if sum { kernel::sum_keepdim(&value, &[0])? } else { value });
            }
            let step = &plan.steps[i];
            if step.reads.iter().chain(&step.add).any(|&r| back.wanted[r]) {
                back.step(i, step, gradient)?;
            }
        }
        Ok(Some(answer))
    }
}

impl<'a> Back<'a> {
    fn new(run: &'a Run, graph: &'a Arc<Graph>, starts: &[usize], ends: &[usize]) -> Self {
        let steps = &run.plan.steps;
        let (mut masks, mut wanted) = (vec![], vec![]);
        for (i, step) in steps.iter().enumerate() {
            let seen = starts.contains(&i) || ends.contains(&i);
            let all = matches!(step.work, Work::Concat(_)) && step.reads.iter().all(|&r| masks[r]);
            masks.push(!seen && (step.relu || all));
            wanted.push(ends.contains(&i) || step.reads.iter().chain(&step.add).any(|&r| wanted[r]));
        }
        Self { run, graph, n: run.n, summed: None, gradients: vec![None; steps.len()], masks, wanted }
    }

    /// The last step to which the value of `end` comes by nothing but linear steps, and that alone. The sum of gradients
    /// that go back from there is the gradient of their sum.
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
            if step.relu {
                break;
            }
            at = next;
        }
        last
    }

    /// The gradient of a step's value goes on to what it reads.
    fn step(&mut self, i: usize, step: &Step, gradient: Gradient) -> Result<()> {
        let run = self.run;
        let gradient = if step.relu && !gradient.masked { self.masked(i, &gradient) } else { gradient };
        let gradient = if self.summed == Some(i) { self.sum(&gradient) } else { gradient };
        let n = self.n;
        let dy = gradient.at.map(n, gradient.room.numbers());
        if let Some(add) = step.add {
            self.share(add, gradient.for_others());
        }
        let Some(&x) = step.reads.first() else { return Ok(()) };
        match &step.work {
            Work::Input => {}
            Work::Conv(conv) => {
                let filter = conv.backward()?;
                self.write(x, |dx, epilogue| filter.run(&dy, dx, epilogue));
            }
            Work::Linear(w) => {
                let (output, input) = w.dims2()?;
                let dy = &gradient.room.numbers()[..n * output];
                let back = |w: &[f32], dx: &mut [f32]| linear_vjp(dy, w, dx, (n, input, output), None);
                self.give_dense(x, |dx| kernel::with::<f32, _>(w, |w| back(w, &mut dx[..n * input])))?;
            }
            Work::Max(pool) => {
                let (from, y) = (run.map(x), run.map(i));
                match self.gradients[x] {
                    None => self.write(x, |dx, e| pool.max_vjp(&from, &y, &dy, dx, e.mask.is_some())),
                    Some(_) => self.give(x, |dx| {
                        pool.max_vjp(&from, &y, &dy, dx, false);
                        Ok(())
                    })?,
                }
            }
            Work::Mean(windows) => self.give(x, |dx| {
                windows.pool.mean_vjp(&dy, dx, |i, j| windows.divisor(i, j));
                Ok(())
            })?,
            Work::Pick(pick) => self.give(x, |dx| {
                pick.backward(&dy, dx);
                Ok(())
            })?,
            Work::Flatten => {
                let numbers = &gradient.room.numbers()[..n * gradient.at.len()];
                self.give(x, |dx| {
                    to_channels_last(numbers, dx);
                    Ok(())
                })?;
            }
            Work::Pass(None) => self.share(x, gradient.for_others()),
            Work::Pass(Some(scale)) | Work::Normalized(scale) => {
                let zeros = vec![0.0; scale.len()];
                self.write(x, |dx, epilogue| pass(&dy, dx, Epilogue { affine: Some((scale, &zeros)), ..epilogue }));
            }
            Work::Concat(_) => {
                let mut first = gradient.at.first;
                for &read in &step.reads {
                    let c = run.plan.steps[read].to.c;
                    self.share(read, Gradient { at: Place { first, c, ..gradient.at }, ..gradient.clone() });
                    first += c;
                }
            }
            Work::Op => self.operation(step, &gradient)?,
        }
        Ok(())
    }

    /// By the node's own VJP.
    fn operation(&mut self, step: &Step, gradient: &Gradient) -> Result<()> {
        let (run, node) = (self.run, &self.graph.nodes[step.node]);
        let dims = run.dims(step.node);
        let dy = channels_first(&gradient.at, run.n, gradient.room.numbers(), &dims)?;
        let x = node.inputs.iter().map(|&i| run.value(self.graph, i).cloned()).collect::<Result<Vec<_>>>()?;
        let site = Site::new(self.graph.clone(), step.node, x, run.value(self.graph, step.node)?.clone());
        for (i, &read) in step.reads.iter().enumerate().filter(|(_, r)| self.wanted[**r]).collect::<Vec<_>>() {
            let part = site.vjp(&dy, i)?;
            self.give(read, |dx| kernel::with::<f32, _>(&part, |p| to_channels_last(p, dx)))?;
        }
        Ok(())
    }

    /// The gradient with 0 where the step's ReLU was.
    fn masked(&self, i: usize, gradient: &Gradient) -> Gradient {
        let (n, at) = (self.n, gradient.at.alone());
        let mut room = Room::new(n * at.len());
        let from = gradient.at.map(n, gradient.room.numbers());
        let mask = Some(self.run.map(i));
        pass(&from, &mut at.map_mut(n, room.numbers_mut()), Epilogue { mask, ..Epilogue::default() });
        Gradient { room: Arc::new(room), at, masked: true }
    }

    /// The sum over the batch; from here on, gradients are of one picture.
    fn sum(&mut self, gradient: &Gradient) -> Gradient {
        let at = gradient.at.alone();
        let mut room = Room::new(at.len());
        sum_pictures(&gradient.at.map(self.n, gradient.room.numbers()), &mut at.map_mut(1, room.numbers_mut()));
        self.n = 1;
        Gradient { room: Arc::new(room), at, masked: true }
    }

    /// `dx` of a step by a kernel that can add what is there and mask the sum.
    fn write(&mut self, to: usize, kernel: impl FnOnce(&mut MapMut, Epilogue)) {
        if !self.wanted[to] {
            return;
        }
        let n = self.n;
        let at = self.run.plan.steps[to].to.alone();
        let mut room = Room::new(n * at.len());
        let before = self.gradients[to].take();
        let add = before.as_ref().map(|b| b.at.map(n, b.room.numbers()));
        let mask: Option<Map> = self.masks[to].then(|| self.run.map(to));
        kernel(&mut at.map_mut(n, room.numbers_mut()), Epilogue { add, mask, ..Epilogue::default() });
        self.gradients[to] = Some(Gradient { room: Arc::new(room), at, masked: self.masks[to] });
    }

    /// `dx` of a step by a kernel that only writes.
    fn give(&mut self, to: usize, kernel: impl FnOnce(&mut MapMut) -> Result<()>) -> Result<()> {
        let (n, at) = (self.n, self.run.plan.steps[to].to.alone());
        self.give_dense(to, |dx| kernel(&mut at.map_mut(n, dx)))
    }

    /// The same, by a kernel that writes numbers side by side.
    fn give_dense(&mut self, to: usize, kernel: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<()> {
        if !self.wanted[to] {
            return Ok(());
        }
        let at = self.run.plan.steps[to].to.alone();
        let mut room = Room::new(self.n * at.len());
        kernel(room.numbers_mut())?;
        self.share(to, Gradient { room: Arc::new(room), at, masked: false });
        Ok(())
    }

    /// A gradient that another step has already is this one's too, or a part of it.
    fn share(&mut self, to: usize, gradient: Gradient) {
        if !self.wanted[to] {
            return;
        }
        if self.gradients[to].is_none() {
            self.gradients[to] = Some(gradient);
            return;
        }
        let from = gradient.at.map(self.n, gradient.room.numbers());
        self.write(to, |dx, epilogue| pass(&from, dx, epilogue));
    }
}

impl Gradient {
    /// The same numbers for a step whose ReLU is another one.
    fn for_others(&self) -> Self {
        Self { masked: false, ..self.clone() }
    }
}
