//! Partitions the graph into fused steps.

use crate::graph::op::Pattern;
use crate::graph::{Graph, NodeId};
use gradscope_engine::{Activation, Saves};

/// A chain of nodes computed by one step.
#[derive(Debug)]
pub(super) struct Segment {
    /// The pattern of the first node of the chain.
    pub pattern: Pattern,
    /// The first node of the chain.
    pub first: NodeId,
    /// The last node of the chain, whose value the step computes.
    pub last: NodeId,
    /// The batch norm or other per-channel affine node in the chain.
    pub norm: Option<NodeId>,
    /// The steps whose values the segment reads.
    pub reads: Vec<usize>,
    /// The step whose value is added, if there is one.
    pub add: Option<usize>,
    /// The activation at the end of the chain.
    pub activation: Option<Activation>,
}

/// All segments of a graph, in execution order.
#[derive(Debug)]
pub(super) struct Segments {
    pub steps: Vec<Segment>,
    /// For each node, the step that computes its value.
    pub ends: Vec<Option<usize>>,
}

/// A chain of nodes whose inputs are not yet resolved to steps.
struct Chain {
    pattern: Pattern,
    nodes: Vec<NodeId>,
    norm: Option<NodeId>,
    reads: Vec<NodeId>,
    add: Option<NodeId>,
    activation: Option<Activation>,
}

/// Partitions the graph into segments.
pub(super) fn segments(graph: &Graph, shapes: &[Vec<usize>]) -> Segments {
    let patterns: Vec<_> = (0..graph.nodes.len()).map(|id| pattern(graph, shapes, id)).collect();
    let mut taken = vec![false; patterns.len()];
    let mut chains = vec![];
    for id in 0..patterns.len() {
        if !taken[id] && patterns[id] != Pattern::Same {
            let chain = chain(graph, &patterns, &taken, id);
            chain.nodes.iter().for_each(|&n| taken[n] = true);
            chains.push(chain);
        }
    }
    chains.sort_by_key(|c| c.nodes.last().copied());
    let mut ends = vec![None; patterns.len()];
    for (step, chain) in chains.iter().enumerate() {
        chain.nodes.last().into_iter().for_each(|&n| ends[n] = Some(step));
    }
    for id in (0..patterns.len()).filter(|&id| patterns[id] == Pattern::Same) {
        ends[id] = ends[graph.nodes[id].inputs[0]];
    }
    let step =
        |node: NodeId| ends[node].unwrap_or_else(|| unreachable!("a chain ends at any node with several consumers"));
    let steps = chains.into_iter().map(|c| Segment {
        pattern: c.pattern,
        first: c.nodes[0],
        last: c.nodes[c.nodes.len() - 1],
        norm: c.norm,
        reads: c.reads.iter().map(|&n| step(n)).collect(),
        add: c.add.map(step),
        activation: c.activation,
    });
    let steps = steps.collect();
    Segments { steps, ends }
}

/// The pattern of a node, or a more general pattern if fused steps do not support the node's shapes.
fn pattern(graph: &Graph, shapes: &[Vec<usize>], id: NodeId) -> Pattern {
    let node = &graph.nodes[id];
    let Some(&first) = node.inputs.first() else { return Pattern::Other };
    let (x, rank) = (&shapes[first], shapes[first].len());
    let alike = node.inputs.iter().all(|&i| shapes[i] == shapes[id]);
    match node.op.pattern(x) {
        Pattern::Flatten if rank == 2 || (rank == 4 && x[2..].iter().product::<usize>() == 1) => Pattern::Same,
        Pattern::Add if !alike || node.inputs.len() != 2 || node.inputs[0] == node.inputs[1] => Pattern::Other,
        Pattern::Conv(_) | Pattern::Max(_) | Pattern::Mean(..) | Pattern::Pick(_) if rank != 4 => Pattern::Other,
        Pattern::Affine | Pattern::BatchNorm(_) if rank != 2 && rank != 4 => Pattern::Other,
        Pattern::Linear if rank == 4 => Pattern::Other,
        pattern => pattern,
    }
}

/// The longest chain of nodes, starting at `first`, that one step can compute.
fn chain(graph: &Graph, patterns: &[Pattern], taken: &[bool], first: NodeId) -> Chain {
    let inputs = &graph.nodes[first].inputs;
    let mut c = Chain {
        pattern: patterns[first],
        nodes: vec![first],
        norm: (patterns[first] == Pattern::Affine).then_some(first),
        reads: inputs.clone(),
        add: None,
        activation: if let Pattern::Activation(a) = patterns[first] { Some(a) } else { None },
    };
    if c.pattern == Pattern::Add {
        (c.reads, c.add) = (vec![inputs[0]], Some(inputs[1]));
    }
    let long = matches!(
        c.pattern,
        Pattern::Conv(_) | Pattern::Linear | Pattern::Affine | Pattern::BatchNorm(_) | Pattern::Add | Pattern::Pick(_)
    );
    while let Some(next) =
        sole_consumer(graph, c.nodes[c.nodes.len() - 1]).filter(|&n| long && c.activation.is_none() && !taken[n])
    {
        let last = c.nodes[c.nodes.len() - 1];
        match (c.pattern, patterns[next]) {
            (Pattern::Pick(first), Pattern::Pick(then)) => c.pattern = Pattern::Pick(first.then(then)),
            (Pattern::Pick(_), _) => break,
            // A linear step writes only its result, so it cannot save its activation's input.
            (Pattern::Linear, Pattern::Activation(a)) if a.saves() == Saves::Input => break,
            (_, Pattern::Activation(a)) => c.activation = Some(a),
            (Pattern::Conv(_), Pattern::Affine) if c.norm.is_none() && c.add.is_none() => {
                c.norm = Some(next);
            }
            (pattern, Pattern::Add) if pattern != Pattern::Linear && c.add.is_none() => {
                c.add = graph.nodes[next].inputs.iter().copied().find(|&i| i != last);
            }
            _ => break,
        }
        c.nodes.push(next);
    }
    c
}

/// The sole consumer of a node's value; `None` if there are several, or the node is an output.
fn sole_consumer(graph: &Graph, id: NodeId) -> Option<NodeId> {
    if id == graph.logits || id == graph.output {
        return None;
    }
    let mut readers = graph.readers(id);
    let only = readers.next()?;
    readers.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Conv2d;
    use crate::graph::Builder;
    use crate::graph::op::{Conv, Draw, Flatten, SPECS};

    #[test]
    fn every_activation_that_is_a_formula_fuses_into_the_convolution_before_it() {
        let slide = Conv2d::default();
        for spec in SPECS {
            let case = (spec.draw)(&mut Draw::new(1));
            let Pattern::Activation(activation) = case.op.pattern(&[1, 4, 6, 6]) else { continue };
            let mut builder = Builder::new(&[3, 6, 6]);
            let conv = Conv { input: 3, output: 4, kernel: (1, 1), slide, bias: true };
            let conv = builder.add("conv", conv, &[0]).unwrap();
            let end = builder.add_shared(spec.kind, case.op, &[conv]).unwrap();
            let flat = builder.add("flatten", Flatten, &[end]).unwrap();
            builder.set_logits(flat);
            let graph = builder.finish(flat).unwrap();
            let segments = segments(&graph, &graph.shapes(&[3, 6, 6]).unwrap());
            let fused = &segments.steps[segments.ends[end].unwrap()];
            assert_eq!((fused.first, fused.last, fused.activation), (conv, end, Some(activation)), "{}", spec.kind);
        }
    }
}
