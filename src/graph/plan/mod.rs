//! How a network runs fast on f32 on the CPU: channels-last, with batch norms, ReLUs and sums computed by the convolution
//! before them, concatenations written where they are read, and memory used again.
//!
//! A [`Plan`] is made once for pictures of one size; a [`Run`] is one batch through it. Whoever looks at a value gets it
//! channels first as any other tensor, also those in the middle of a step, which are computed when asked for.

mod step;
mod fuse;
mod layout;
mod room;
mod run;
mod back;
mod span;
mod local;

pub use run::Run;

use super::node::{Graph, NodeId};
use crate::kernel;
use crate::sync::LockUnpoisoned;
use anyhow::Result;
use candle_core::{DType, Tensor};
use std::sync::{Arc, Mutex};
use step::Step;

/// The steps of a network for pictures of one size.
#[derive(Debug)]
pub(super) struct Plan {
    /// Sizes of the input without the batch, and whether 3x3 convolutions are summed directly.
    key: (Vec<usize>, bool),
    steps: Vec<Step>,
    /// Numbers a picture in each room that values live in.
    rooms: Vec<usize>,
    /// The last step that reads from each room or writes into it.
    last: Vec<usize>,
    /// Sizes of each node's value for one picture.
    shapes: Vec<Vec<usize>>,
    /// The step whose value is the node's; none for those in the middle of a step.
    ends: Vec<Option<usize>>,
    /// How often a step's value is read by others.
    uses: Vec<usize>,
}

/// Plans of one graph for the sizes that it ran on last. Clones start without: they are about to be changed.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<Vec<Arc<Plan>>>);

/// How many sizes of pictures a graph keeps plans for.
const SIZES: usize = 4;

impl Clone for Plans {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Graph {
    /// The plan for a batch like `x`, or none where operations run one by one: in f64, on other devices, without
    /// weights.
    pub(super) fn plan(&self, x: &Tensor) -> Result<Option<Arc<Plan>>> {
        let fits = |t: &Tensor| t.dtype() == DType::F32 && !kernel::portable::serves(t);
        let loaded = self.nodes.iter().all(|n| n.is_loaded() && n.params.iter().all(fits));
        if !(fits(x) && loaded && x.elem_count() > 0) {
            return Ok(None);
        }
        let key = (x.dims()[1..].to_vec(), kernel::exact());
        let mut plans = self.plans.0.lock_unpoisoned();
        if let Some(at) = plans.iter().position(|p| p.key == key) {
            let plan = plans.remove(at);
            plans.push(plan.clone());
            return Ok(Some(plan));
        }
        let shapes = self.shapes(&key.0)?;
        if !shapes.iter().all(|s| s.len() >= 2 && s.iter().all(|&n| n > 0)) {
            return Ok(None);
        }
        let plan = Arc::new(Plan::new(self, key, shapes)?);
        if plans.len() == SIZES {
            plans.remove(0);
        }
        plans.push(plan.clone());
        Ok(Some(plan))
    }
}

impl Plan {
    fn new(graph: &Graph, key: (Vec<usize>, bool), shapes: Vec<Vec<usize>>) -> Result<Self> {
        let drafts = fuse::drafts(graph, &shapes);
        let (places, rooms, uses) = layout::places(&drafts, &shapes);
        let steps = step::steps(graph, &shapes, &drafts, &places, key.1)?;
        let mut last = vec![0; rooms.len()];
        for (i, step) in steps.iter().enumerate() {
            last[step.to.room] = i;
            step.reads.iter().chain(&step.add).for_each(|&read| last[steps[read].to.room] = i);
        }
        Ok(Self { key, steps, rooms, last, shapes, ends: drafts.ends, uses })
    }

    /// The node whose value a step gives.
    fn node(&self, step: usize) -> NodeId {
        self.steps[step].node
    }
}
