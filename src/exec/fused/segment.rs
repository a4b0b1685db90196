//! Partitions the graph into fused steps.

use crate::graph::op::Pattern;
use crate::graph::{Graph, NodeId};
use gradscope_engine::{Activation, Saves, View};
use std::collections::BTreeMap;

/// A chain of nodes computed by one step, or a view that a step copies.
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
    /// Where the elements that the segment reads are in the values of `reads`, if not all in order: for each factor of a matrix product,
    /// and for a view. Without the batch dimension.
    pub views: Vec<View>,
    /// The step whose value is added, if there is one.
    pub add: Option<usize>,
    /// The activation at the end of the chain.
    pub activation: Option<Activation>,
    /// Whether the value is stored as feature maps, which are channels first as tensors.
    pub maps: bool,
}

/// All segments of a graph, in execution order.
#[derive(Debug)]
pub(super) struct Segments {
    pub steps: Vec<Segment>,
    /// For each node, the step that computes its value.
    pub ends: Vec<Option<usize>>,
    /// For each node, the step that stores its elements, and where. `None` for nodes inside a step.
    pub places: Vec<Option<(usize, View)>>,
    /// For each node, whether all of its readers read it from the step in `ends`, so that the gradient of that step is the node's.
    pub whole: Vec<bool>,
    /// For each node, whether its value depends only on parameters and constants.
    pub constant: Vec<bool>,
}

impl Segments {
    /// Whether step `i` is a view of another step's value that keeps the order in memory.
    pub fn is_alias(&self, i: usize, shapes: &[Vec<usize>]) -> bool {
        let step = &self.steps[i];
        let ([view], Pattern::View) = (&step.views[..], step.pattern) else { return false };
        let from = &shapes[self.steps[step.reads[0]].last];
        view.is_same(&in_order(&shapes[step.last], step.maps)) && view.elements() == from[1..].iter().product::<usize>()
    }
}

/// Where the elements of a value are in a step that stores them in order.
fn in_order(shape: &[usize], maps: bool) -> View {
    match shape[1..] {
        [c, h, w] if maps => View::dense(&[h, w, c]).permute(&[2, 0, 1]),
        ref dims => View::dense(dims),
    }
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

impl Chain {
    fn last(&self) -> NodeId {
        self.nodes[self.nodes.len() - 1]
    }
}

/// Partitions the graph into segments.
pub(super) fn segments(graph: &Graph, shapes: &[Vec<usize>]) -> Segments {
    let constant = constants(graph, shapes);
    let kind = |id| if constant[id] { Pattern::Other } else { pattern(graph, shapes, id) };
    let patterns: Vec<_> = (0..graph.nodes.len()).map(kind).collect();
    let mut taken = vec![false; patterns.len()];
    let mut chains: Vec<Option<Chain>> = patterns.iter().map(|_| None).collect();
    for id in 0..patterns.len() {
        if !taken[id] && !matches!(patterns[id], Pattern::Same | Pattern::View) {
            let chain = chain(graph, shapes, &patterns, &taken, id);
            chain.nodes.iter().for_each(|&n| taken[n] = true);
            let last = chain.last();
            chains[last] = Some(chain);
        }
    }
    let count = patterns.len();
    let (ends, places, whole) = (vec![None; count], vec![None; count], vec![true; count]);
    let all = Segments { steps: vec![], ends, places, whole, constant };
    let mut resolver = Resolver { graph, shapes, patterns, stored: BTreeMap::new(), all };
    for (id, chain) in chains.into_iter().enumerate() {
        match (chain, resolver.patterns[id]) {
            (Some(chain), _) => resolver.chain(chain),
            (None, Pattern::View) => resolver.view(id),
            (None, Pattern::Same) => {
                let root = resolver.root(id);
                let place = resolver.all.places[root].clone();
                // The value may have another shape, but not another number of elements.
                let reshaped = |(step, view): (usize, View)| Some((step, view.reshape(&shapes[id][1..])?));
                resolver.all.places[id] = place.and_then(reshaped);
            }
            _ => {}
        }
    }
    resolver.stored(graph.logits, None);
    for id in (0..count).filter(|&id| resolver.patterns[id] == Pattern::View) {
        resolver.all.whole[id] = resolver.is_whole(id);
    }
    for id in (0..count).filter(|&id| resolver.patterns[id] == Pattern::Same) {
        resolver.all.ends[id] = resolver.all.ends[resolver.root(id)];
    }
    resolver.all
}

/// Resolves nodes to the steps that store their values.
struct Resolver<'a> {
    graph: &'a Graph,
    shapes: &'a [Vec<usize>],
    patterns: Vec<Pattern>,
    /// The steps that store a copy of a node's value, as maps or not.
    stored: BTreeMap<(NodeId, bool), usize>,
    all: Segments,
}

impl Resolver<'_> {
    /// The node whose value node `id` forwards, or `id` itself.
    fn root(&self, mut id: NodeId) -> NodeId {
        while self.patterns[id] == Pattern::Same {
            id = self.graph.nodes[id].inputs[0];
        }
        id
    }

    /// The step that stores the elements of node `id`, and where.
    fn place(&self, id: NodeId) -> (usize, View) {
        let place = self.all.places[id].clone();
        place.unwrap_or_else(|| unreachable!("a chain ends at any node with several consumers or that begins a view"))
    }

    /// Appends a step, which stores the value of node `segment.last`.
    fn push(&mut self, segment: Segment) -> usize {
        let (id, step) = (segment.last, self.all.steps.len());
        self.all.ends[id].get_or_insert(step);
        self.all.steps.push(segment);
        step
    }

    /// Appends the step of a chain.
    fn chain(&mut self, chain: Chain) {
        let (last, first) = (chain.last(), chain.nodes[0]);
        let mut views = vec![];
        // Whether the values that the chain reads must be maps; `None` if it takes both.
        let wants = match chain.pattern {
            pattern if is_over_rows(pattern) => Some(false),
            Pattern::Mul => factors(self.shapes, first, &chain.reads).flatten(),
            Pattern::Add | Pattern::Activation(_) | Pattern::Mask | Pattern::Other => None,
            _ => Some(true),
        };
        let reads: Vec<_> = match chain.pattern {
            Pattern::Matmul => {
                let places = chain.reads.iter().map(|&id| self.place(id));
                let (steps, found) = places.unzip();
                views = found;
                steps
            }
            Pattern::Mul => {
                let x = self.stored(chain.reads[0], wants);
                let alike = wants.unwrap_or(self.all.steps[x].maps);
                vec![x, self.stored(chain.reads[1], Some(alike))]
            }
            _ => chain.reads.iter().map(|&id| self.stored(id, wants)).collect(),
        };
        let maps = match chain.pattern {
            pattern if is_over_rows(pattern) => false,
            Pattern::Mul | Pattern::Add | Pattern::Activation(_) | Pattern::Mask => self.all.steps[reads[0]].maps,
            Pattern::Other => !self.is_read_by_rows(last),
            _ => true,
        };
        let maps = maps && self.shapes[last].len() == 4;
        let add = chain.add.map(|id| self.stored(id, Some(maps)));
        let Chain { pattern, norm, activation, .. } = chain;
        let step = self.push(Segment { pattern, first, last, norm, reads, views, add, activation, maps });
        self.all.places[last] = Some((step, in_order(&self.shapes[last], maps)));
    }

    /// Finds the place of a node that moves elements. Appends a step that copies them if no view describes the result.
    fn view(&mut self, id: NodeId) {
        let (step, x) = self.place(self.graph.nodes[id].inputs[0]);
        let place = match self.graph.nodes[id].op.view(&x, &self.shapes[id][1..]) {
            Some(view) => (step, view),
            None => (self.copy(id, step, x, false), View::dense(&self.shapes[id][1..])),
        };
        self.all.places[id] = Some(place);
    }

    /// The step that stores the value of node `id` in order: as maps, as rows or, if `maps` is `None`, as either of them. Appends it if there
    /// is none yet.
    fn stored(&mut self, id: NodeId, maps: Option<bool>) -> usize {
        let (rank, root, (step, view)) = (self.shapes[id].len(), self.root(id), self.place(id));
        let wanted: Vec<_> =
            [true, false].into_iter().filter(|&m| maps.is_none_or(|maps| m == maps) || rank != 4).collect();
        let here = |step: usize| rank != 4 || wanted.contains(&self.all.steps[step].maps);
        if let Some(own) = self.all.ends[root].filter(|&own| self.all.steps[own].last == root && here(own)) {
            return own;
        }
        let known = wanted.iter().find_map(|&maps| self.stored.get(&(id, maps && rank == 4)).copied());
        known.unwrap_or_else(|| {
            let alike = |&&maps: &&bool| view.is_same(&in_order(&self.shapes[id], maps));
            let maps = rank == 4 && *wanted.iter().find(alike).unwrap_or(&wanted[wanted.len() - 1]);
            let own = self.copy(id, step, view, maps);
            self.stored.insert((id, maps), own);
            own
        })
    }

    /// Appends a step that stores what `view` selects from the value of step `from`: the value of node `id`.
    fn copy(&mut self, id: NodeId, from: usize, view: View, maps: bool) -> usize {
        let (pattern, reads) = (Pattern::View, vec![from]);
        self.push(Segment {
            pattern,
            first: id,
            last: id,
            norm: None,
            reads,
            views: vec![view],
            add: None,
            activation: None,
            maps,
        })
    }

    /// Whether all readers of a view read it from the step that stores it, rather than from the value that it views.
    fn is_whole(&self, id: NodeId) -> bool {
        let direct = |id| !matches!(self.patterns[id], Pattern::View | Pattern::Same | Pattern::Matmul);
        let stores = [true, false].iter().filter(|&&maps| self.stored.contains_key(&(id, maps))).count();
        stores < 2 && self.graph.readers(id).all(direct)
    }

    /// Whether a node is read by a step over the last dimension.
    fn is_read_by_rows(&self, id: NodeId) -> bool {
        self.graph.readers(id).any(|id| is_over_rows(self.patterns[id]))
    }
}

/// Whether a pattern works on rows, the last dimension of a value, and is stored as such.
pub(super) fn is_over_rows(pattern: Pattern) -> bool {
    use Pattern::{AddBroadcast, Linear, Matmul, RowNorm, Softmax};
    matches!(pattern, Linear | RowNorm(_) | Softmax | AddBroadcast | Matmul)
}

/// The pattern of a node, or a more general pattern if fused steps do not support the node's shapes.
fn pattern(graph: &Graph, shapes: &[Vec<usize>], id: NodeId) -> Pattern {
    let node = &graph.nodes[id];
    let Some(&first) = node.inputs.first() else { return Pattern::Other };
    let (x, rank) = (&shapes[first], shapes[first].len());
    let alike = node.inputs.iter().all(|&i| shapes[i] == shapes[id]);
    match node.op.pattern(x) {
        Pattern::Flatten if rank == 2 || (rank == 4 && x[2..].iter().product::<usize>() == 1) => Pattern::Same,
        Pattern::Add | Pattern::Mul if node.inputs.len() != 2 || node.inputs[0] == node.inputs[1] => Pattern::Other,
        Pattern::Add if !alike && node.inputs.iter().any(|&i| shapes[i] == shapes[id]) => Pattern::AddBroadcast,
        Pattern::Add if !alike => Pattern::Other,
        Pattern::Mul if factors(shapes, id, &node.inputs).is_none() => Pattern::Other,
        Pattern::Conv(_) | Pattern::Max(_) | Pattern::Mean(..) | Pattern::Pick(_) if rank != 4 => Pattern::Other,
        Pattern::Affine | Pattern::BatchNorm(_) if rank != 2 && rank != 4 => Pattern::Other,
        pattern => pattern,
    }
}

/// For each node, whether its value depends only on parameters and constants.
fn constants(graph: &Graph, shapes: &[Vec<usize>]) -> Vec<bool> {
    let mut constant = vec![false; graph.nodes.len()];
    for (id, node) in graph.nodes.iter().enumerate().skip(1) {
        // In training mode, some values depend on the batch.
        let pattern = node.inputs.first().map(|&i| node.op.pattern(&shapes[i]));
        let drawn = matches!(pattern, Some(Pattern::Mask | Pattern::BatchNorm(_)));
        constant[id] = !drawn && node.inputs.iter().all(|&i| constant[i]);
    }
    constant
}

/// How the two factors of a product must be stored: as maps, as rows, or both alike if `None`. One factor has the product's shape, the other
/// has the same shape, or one element per channel. `None` for any other product.
fn factors(shapes: &[Vec<usize>], id: NodeId, inputs: &[NodeId]) -> Option<Option<bool>> {
    let shape = &shapes[id];
    let (x, z) = (&shapes[inputs[0]], &shapes[inputs[1]]);
    let z = if x == shape { z } else { x };
    match &z[..] {
        _ if inputs.iter().all(|&i| shapes[i] != *shape) => None,
        same if same == shape => Some(None),
        [_, c, 1, 1] if shape.len() == 4 && *c == shape[1] => Some(Some(true)),
        [_, ones @ .., c] if ones.iter().all(|&n| n == 1) && shape.last() == Some(c) => Some(Some(false)),
        _ => None,
    }
}

/// The longest chain of nodes, starting at `first`, that one step can compute.
fn chain(graph: &Graph, shapes: &[Vec<usize>], patterns: &[Pattern], taken: &[bool], first: NodeId) -> Chain {
    // A linear layer over many rows runs as a convolution.
    let rows = shapes[first].len() > 2;
    let inputs = &graph.nodes[first].inputs;
    let mut c = Chain {
        pattern: patterns[first],
        nodes: vec![first],
        norm: (patterns[first] == Pattern::Affine).then_some(first),
        reads: inputs.clone(),
        add: None,
        activation: if let Pattern::Activation(a) = patterns[first] { Some(a) } else { None },
    };
    // The value of the result's shape comes first.
    if matches!(c.pattern, Pattern::Mul | Pattern::AddBroadcast) && shapes[inputs[0]] != shapes[first] {
        c.reads.reverse();
    }
    if c.pattern == Pattern::Add {
        (c.reads, c.add) = (vec![inputs[0]], Some(inputs[1]));
    }
    let long = matches!(
        c.pattern,
        Pattern::Conv(_)
            | Pattern::Linear
            | Pattern::Affine
            | Pattern::BatchNorm(_)
            | Pattern::Add
            | Pattern::Pick(_)
            | Pattern::Matmul
            | Pattern::Mul
    );
    while let Some(next) =
        sole_consumer(graph, c.nodes[c.nodes.len() - 1]).filter(|&n| long && c.activation.is_none() && !taken[n])
    {
        let last = c.nodes[c.nodes.len() - 1];
        match (c.pattern, patterns[next]) {
            (Pattern::Pick(first), Pattern::Pick(then)) => c.pattern = Pattern::Pick(first.then(then)),
            (Pattern::Pick(_), _) => break,
            // These steps write only their result, so they cannot save their activation's input.
            (Pattern::Linear, Pattern::Activation(a)) if !rows && a.saves() == Saves::Input => break,
            (Pattern::Matmul, Pattern::Activation(a)) if a.saves() == Saves::Input => break,
            (_, Pattern::Activation(a)) => c.activation = Some(a),
            (Pattern::Conv(_), Pattern::Affine) if c.norm.is_none() && c.add.is_none() => {
                c.norm = Some(next);
            }
            (Pattern::Matmul, Pattern::Add) => break,
            (pattern, Pattern::Add) if (rows || pattern != Pattern::Linear) && c.add.is_none() => {
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
