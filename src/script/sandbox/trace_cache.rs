//! A cache of recent traces. A method, its next step and its figures often need the same trace.

use crate::exec::Trace;
use crate::graph::Graph;
use crate::sync::LockUnpoisoned;
use anyhow::Result;
use candle_core::Tensor;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Maximum number of traces in the cache.
const RUNS: usize = 2;
/// Maximum size of a cached trace in bytes.
const LARGEST: usize = 256 << 20;

/// A cache of the most recent traces, newest last. Tensors are immutable, so running the same network on the same tensor again would
/// produce the same values.
#[derive(Debug, Default)]
pub(in crate::script) struct TraceCache(Mutex<VecDeque<Arc<Trace>>>);

impl TraceCache {
    /// The trace of the network `graph` on the input `x`: the cached trace if there is one, otherwise the one computed by `run`.
    /// Inputs are compared by tensor identity, not by value.
    pub(in crate::script) fn trace(
        &self,
        graph: &Arc<Graph>,
        x: &Tensor,
        run: impl FnOnce() -> Result<Trace>,
    ) -> Result<Arc<Trace>> {
        if let Some(kept) = self.kept(graph, x) {
            return Ok(kept);
        }
        // The oldest trace is dropped first, so that the new run can reuse its buffers.
        self.shrink_to(RUNS - 1);
        let trace = Arc::new(run()?);
        if trace.bytes() <= LARGEST {
            self.runs().push_back(trace.clone());
            self.shrink_to(RUNS);
        }
        Ok(trace)
    }

    /// Drops the oldest traces until at most `count` remain.
    fn shrink_to(&self, count: usize) {
        let surplus: Vec<_> = {
            let mut runs = self.runs();
            let surplus = runs.len().saturating_sub(count);
            runs.drain(..surplus).collect()
        };
        // The buffers of the dropped traces are freed outside the lock.
        drop(surplus);
    }

    /// The cached trace of the network `graph` on the input `x`, if there is one.
    pub(in crate::script) fn kept(&self, graph: &Arc<Graph>, x: &Tensor) -> Option<Arc<Trace>> {
        // A trace computed with direct convolution also satisfies requests that allow Winograd transforms.
        let exact = graph.exact();
        let of_graph = |t: &Trace| Arc::ptr_eq(&t.graph, graph) || Arc::ptr_eq(&t.graph, &exact);
        let same = |t: &&Arc<Trace>| of_graph(t) && t.input().id() == x.id();
        self.runs().iter().find(same).cloned()
    }

    fn runs(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Trace>>> {
        self.0.lock_unpoisoned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;
    use crate::graph::op::Relu;
    use candle_core::Device;

    #[test]
    fn a_new_run_begins_when_the_oldest_is_gone() {
        let mut b = Builder::new(&[1, 2, 2]);
        let end = b.add("relu", Relu, &[0]).unwrap();
        let graph = Arc::new(b.finish(end).unwrap());
        let recent = TraceCache::default();
        let mut held = 0;
        for _ in 0..4 {
            let x = Tensor::ones((1, 1, 2, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
            let run = || {
                held = recent.runs().len();
                graph.forward(&x)
            };
            recent.trace(&graph, &x, run).unwrap();
        }
        assert_eq!((held, recent.runs().len()), (RUNS - 1, RUNS));
    }

    #[test]
    fn the_same_network_on_the_same_tensor_runs_once() {
        let graph = || {
            let mut b = Builder::new(&[1, 2, 2]);
            let end = b.add("relu", Relu, &[0]).unwrap();
            Arc::new(b.finish(end).unwrap())
        };
        let (graph, other) = (graph(), graph());
        let x = Tensor::ones((1, 1, 2, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        let equal = x.copy().unwrap();
        let recent = TraceCache::default();
        let mut runs = 0;
        for (graph, x) in [(&graph, &x), (&graph, &x.clone()), (&graph, &equal), (&other, &x), (&graph, &equal)] {
            let trace = recent.trace(graph, x, || {
                runs += 1;
                graph.forward(x)
            });
            assert_eq!(trace.unwrap().input().id(), x.id());
        }
        assert_eq!(runs, 3);
    }
}
