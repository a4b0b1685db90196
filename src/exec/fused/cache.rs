//! The plan cache of a graph.

use super::plan::Plan;
use crate::backend;
use crate::graph::Graph;
use crate::sync::LockUnpoisoned;
use crate::tensor::compute_dtype;
use anyhow::Result;
use candle_core::{DType, Tensor};
use std::sync::{Arc, Mutex};

/// Maximum number of plans per graph.
const SIZES: usize = 4;

/// The most recently used plans of one graph.
#[derive(Debug, Default)]
struct Plans(Mutex<Vec<Arc<Plan>>>);

impl Plans {
    /// The cached plan for the shape `input`, excluding the batch dimension. Marks the plan as most recently used.
    fn get(&self, input: &[usize]) -> Option<Arc<Plan>> {
        let mut plans = self.0.lock_unpoisoned();
        let at = plans.iter().position(|p| p.input == input)?;
        let plan = plans.remove(at);
        plans.push(plan.clone());
        Some(plan)
    }

    /// Adds a plan and returns it, or returns the plan that another thread added in the meantime.
    fn put(&self, plan: Plan) -> Arc<Plan> {
        if let Some(made) = self.get(&plan.input) {
            return made;
        }
        let plan = Arc::new(plan);
        let mut plans = self.0.lock_unpoisoned();
        if plans.len() == SIZES {
            plans.remove(0);
        }
        plans.push(plan.clone());
        plan
    }
}

/// The plan for batches of the shape of `x`; `None` if the network must run node by node: in f64, on another device, or without
/// weights.
///
/// No lock is held while a plan is built, because packing weights uses all cores and a rayon task may reenter this function.
pub(in crate::exec) fn plan(graph: &Graph, x: &Tensor) -> Result<Option<Arc<Plan>>> {
    let fits = |t: &Tensor| compute_dtype(t.dtype()) == DType::F32 && !backend::runs_portably(t);
    let loaded = graph.nodes.iter().all(|n| n.is_loaded() && n.params.iter().all(fits));
    if !(fits(x) && x.dtype() == DType::F32 && loaded && x.elem_count() > 0) {
        return Ok(None);
    }
    let (plans, size) = (graph.derived::<Plans>(), &x.dims()[1..]);
    if let Some(plan) = plans.get(size) {
        return Ok(Some(plan));
    }
    let shapes = graph.shapes(size)?;
    if !shapes.iter().all(|s| s.len() >= 2 && s.iter().all(|&n| n > 0)) {
        return Ok(None);
    }
    Ok(Some(plans.put(Plan::new(graph, size, shapes)?)))
}
