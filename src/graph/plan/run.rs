//! One batch through a plan.

use super::Plan;
use super::layout::Place;
use super::room::Room;
use super::step::{Step, Work};
use crate::graph::node::{Graph, Node, NodeId};
use crate::kernel;
use anyhow::Result;
use candle_core::Tensor;
use gradscope_engine::{Epilogue, linear, pass, to_channels_first, to_channels_last, to_channels_last_scaled};
use std::sync::{Arc, OnceLock};

/// The values of one batch, channels last, and channels first where somebody looked.
#[derive(Debug)]
pub struct Run {
    pub(super) plan: Arc<Plan>,
    pub(in crate::graph) input: Tensor,
    /// Pictures in the batch.
    pub(super) n: usize,
    pub(super) rooms: Vec<Room>,
    seen: Vec<OnceLock<Tensor>>,
}

impl Run {
    /// Runs the plan on `x`; `tick` is asked before each step whether to go on.
    pub(in crate::graph) fn new(
        plan: Arc<Plan>,
        graph: &Graph,
        x: &Tensor,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Self> {
        let mut run = Self::before(plan, x);
        run.go(graph, tick, true)?;
        Ok(run)
    }

    /// The value of the logits' node alone: rooms are free for others as soon as nobody reads them. None where it is no step's value.
    pub(in crate::graph) fn logits(
        plan: Arc<Plan>,
        graph: &Graph,
        x: &Tensor,
        tick: &dyn Fn(&Node) -> Result<()>,
    ) -> Result<Option<Tensor>> {
        if plan.ends[graph.logits].is_none() {
            return Ok(None);
        }
        let mut run = Self::before(plan, x);
        run.go(graph, tick, false)?;
        Ok(Some(run.value(graph, graph.logits)?.clone()))
    }

    /// A run whose rooms are empty yet.
    fn before(plan: Arc<Plan>, x: &Tensor) -> Self {
        let rooms = plan.rooms.iter().map(|_| Room::new(0)).collect();
        let seen: Vec<_> = plan.shapes.iter().map(|_| OnceLock::new()).collect();
        seen[0].get_or_init(|| x.clone());
        Self { plan, input: x.clone(), n: x.dims()[0], rooms, seen }
    }

    /// Computes step by step; `keep` says whether values stay that no step reads any more.
    fn go(&mut self, graph: &Graph, tick: &dyn Fn(&Node) -> Result<()>, keep: bool) -> Result<()> {
        let plan = self.plan.clone();
        let kept = plan.ends[graph.logits].map(|step| plan.steps[step].to.room);
        for (i, step) in plan.steps.iter().enumerate() {
            tick(&graph.nodes[step.node])?;
            let room = step.to.room;
            let len = self.n * plan.rooms[room];
            let mut to = std::mem::replace(&mut self.rooms[room], Room::new(0));
            if to.numbers().len() < len {
                to = Room::new(len);
            }
            let done = self.step(graph, step, &mut to);
            self.rooms[room] = to;
            done?;
            let over = plan.last.iter().enumerate().filter(|&(room, &last)| !keep && last == i && Some(room) != kept);
            over.for_each(|(room, _)| self.rooms[room] = Room::new(0));
        }
        Ok(())
    }

    /// Computes one step into the room of its value.
    fn step(&self, graph: &Graph, step: &Step, room: &mut Room) -> Result<()> {
        let n = self.n;
        let mut y = step.to.map_mut(n, room.numbers_mut());
        let x = |i: usize| self.map(step.reads[i]);
        let add = step.add.map(|s| self.map(s));
        let epilogue = Epilogue { bias: step.bias.as_deref(), add, relu: step.relu, ..Epilogue::default() };
        match &step.work {
            Work::Input if self.only_normalized() => {}
            Work::Input => kernel::with::<f32, _>(&self.input, |x| to_channels_last(x, &mut y))?,
            Work::Normalized(scale) => {
                let shift = step.bias.as_deref().unwrap_or_default();
                kernel::with::<f32, _>(&self.input, |x| to_channels_last_scaled(x, &mut y, scale, shift))?;
            }
            Work::Conv(conv) => conv.forward.run(&x(0), &mut y, epilogue),
            Work::Linear(w) => {
                let sizes = (n, w.dims()[1], w.dims()[0]);
                let x = self.dense(step.reads[0]);
                let y = &mut room.numbers_mut()[..n * sizes.2];
                kernel::with::<f32, _>(w, |w| {
                    linear(&x.numbers()[..n * sizes.1], w, epilogue.bias, y, sizes, step.relu)
                })?;
            }
            Work::Max(pool) => pool.max(&x(0), &mut y),
            Work::Mean(windows) => windows.pool.mean(&x(0), &mut y, |i, j| windows.divisor(i, j)),
            Work::Pick(pick) => pick.forward(&x(0), &mut y),
            Work::Flatten => to_channels_first(&x(0), &mut room.numbers_mut()[..n * step.to.len()]),
            Work::Pass(None) => pass(&x(0), &mut y, epilogue),
            Work::Pass(Some(scale)) => {
                let shift = step.bias.as_deref().unwrap_or_default();
                pass(&x(0), &mut y, Epilogue { bias: None, affine: Some((scale, shift)), ..epilogue });
            }
            Work::Concat(strangers) => {
                for (from, to) in strangers {
                    pass(&self.map(*from), &mut to.map_mut(n, room.numbers_mut()), Epilogue::default());
                }
            }
            Work::Op => {
                let node = &graph.nodes[step.node];
                let x = node.inputs.iter().map(|&i| self.value(graph, i)).collect::<Result<Vec<_>>>()?;
                let value = node.forward(&x)?;
                kernel::with::<f32, _>(&value, |v| to_channels_last(v, &mut y))?;
                self.seen[step.node].get_or_init(|| value);
            }
        }
        Ok(())
    }

    /// Whether nothing reads the pictures but a normalisation, which takes them as they came.
    fn only_normalized(&self) -> bool {
        let reads = |s: &&Step| s.reads.contains(&0) || s.add == Some(0);
        self.plan.steps.iter().filter(reads).all(|s| matches!(s.work, Work::Normalized(_)))
    }

    /// The value of a step.
    pub(super) fn map(&self, step: usize) -> gradscope_engine::Map<'_> {
        let place = &self.plan.steps[step].to;
        place.map(self.n, self.rooms[place.room].numbers())
    }

    /// The value of a step with its numbers side by side.
    pub(super) fn dense(&self, step: usize) -> Dense<'_> {
        let place = &self.plan.steps[step].to;
        if place.is_dense() {
            return Dense::Here(self.rooms[place.room].numbers());
        }
        let mut room = Room::new(self.n * place.len());
        pass(&self.map(step), &mut place.alone().map_mut(self.n, room.numbers_mut()), Epilogue::default());
        Dense::Copy(room)
    }

    /// The value of a node, computed when first asked for.
    pub(in crate::graph) fn value(&self, graph: &Graph, id: NodeId) -> Result<&Tensor> {
        if let Some(value) = self.seen[id].get() {
            return Ok(value);
        }
        let value = match self.plan.ends[id] {
            // Its room is empty where only a normalisation reads it.
            Some(step) if matches!(self.plan.steps[step].work, Work::Input) => self.input.reshape(self.dims(id))?,
            Some(step) => {
                let place = &self.plan.steps[step].to;
                channels_first(place, self.n, self.rooms[place.room].numbers(), &self.dims(id))?
            }
            None => {
                let node = &graph.nodes[id];
                let x = node.inputs.iter().map(|&i| self.value(graph, i)).collect::<Result<Vec<_>>>()?;
                node.forward(&x)?
            }
        };
        Ok(self.seen[id].get_or_init(|| value))
    }

    /// The sizes of a node's value.
    pub(in crate::graph) fn dims(&self, id: NodeId) -> Vec<usize> {
        [&[self.n], &self.plan.shapes[id][1..]].concat()
    }

    /// Whether all its convolutions were summed directly.
    pub(in crate::graph) fn is_exact(&self) -> bool {
        self.plan.key.1
    }

    /// Bytes that its values hold.
    pub(in crate::graph) fn bytes(&self) -> usize {
        self.rooms.iter().map(|r| size_of_val(r.numbers())).sum()
    }
}

/// Numbers side by side: where they are, or a copy.
pub(super) enum Dense<'a> {
    Here(&'a [f32]),
    Copy(Room),
}

impl Dense<'_> {
    pub fn numbers(&self) -> &[f32] {
        match self {
            Self::Here(numbers) => numbers,
            Self::Copy(room) => room.numbers(),
        }
    }
}

/// A tensor of what stands at a place of a room.
pub(super) fn channels_first(place: &Place, n: usize, room: &[f32], dims: &[usize]) -> Result<Tensor> {
    if place.is_dense() && (place.h * place.w == 1 || place.c == 1) {
        return kernel::tensor(room[place.first..][..n * place.len()].to_vec(), dims);
    }
    let mut numbers = vec![0f32; n * place.len()];
    to_channels_first(&place.map(n, room), &mut numbers);
    kernel::tensor(numbers, dims)
}
