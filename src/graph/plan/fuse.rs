//! Which nodes become one step.

use crate::graph::node::{Graph, NodeId};
use crate::graph::op::Form;

/// What one step is to compute.
#[derive(Debug)]
pub(super) struct Draft {
    /// What it starts with.
    pub form: Form,
    /// The node that it starts with.
    pub first: NodeId,
    /// The node whose value it gives.
    pub last: NodeId,
    /// A batch norm, or another factor and summand a channel.
    pub norm: Option<NodeId>,
    /// The steps it reads.
    pub reads: Vec<usize>,
    /// The step whose value it adds.
    pub add: Option<usize>,
    /// Whether it ends with a ReLU.
    pub relu: bool,
}

/// All steps in the order in which they run.
#[derive(Debug)]
pub(super) struct Drafts {
    pub steps: Vec<Draft>,
    /// The step whose value each node has.
    pub ends: Vec<Option<usize>>,
}

/// A chain of nodes, its inputs still nodes.
struct Chain {
    form: Form,
    nodes: Vec<NodeId>,
    norm: Option<NodeId>,
    reads: Vec<NodeId>,
    add: Option<NodeId>,
    relu: bool,
}

/// Cuts the graph into steps.
pub(super) fn drafts(graph: &Graph, shapes: &[Vec<usize>]) -> Drafts {
    let forms: Vec<_> = (0..graph.nodes.len()).map(|id| form(graph, shapes, id)).collect();
    let mut taken = vec![false; forms.len()];
    let mut chains = vec![];
    for id in 0..forms.len() {
        if !taken[id] && forms[id] != Form::Same {
            let chain = chain(graph, &forms, &taken, id);
            chain.nodes.iter().for_each(|&n| taken[n] = true);
            chains.push(chain);
        }
    }
    chains.sort_by_key(|c| c.nodes.last().copied());
    let mut ends = vec![None; forms.len()];
    for (step, chain) in chains.iter().enumerate() {
        chain.nodes.last().into_iter().for_each(|&n| ends[n] = Some(step));
    }
    for id in (0..forms.len()).filter(|&id| forms[id] == Form::Same) {
        ends[id] = ends[graph.nodes[id].inputs[0]];
    }
    let step = |node: NodeId| ends[node].unwrap_or_else(|| unreachable!("a chain ends where others read"));
    let steps = chains.into_iter().map(|c| Draft {
        form: c.form,
        first: c.nodes[0],
        last: c.nodes[c.nodes.len() - 1],
        norm: c.norm,
        reads: c.reads.iter().map(|&n| step(n)).collect(),
        add: c.add.map(step),
        relu: c.relu,
    });
    let steps = steps.collect();
    Drafts { steps, ends }
}

/// What a node is, where its sizes allow it.
fn form(graph: &Graph, shapes: &[Vec<usize>], id: NodeId) -> Form {
    let node = &graph.nodes[id];
    let Some(&first) = node.inputs.first() else { return Form::Other };
    let maps = shapes[first].len() == 4;
    match node.op.form(&shapes[first]) {
        Form::Flatten if shapes[first][2..].iter().product::<usize>() == 1 => Form::Same,
        Form::Add if node.inputs.len() != 2 || node.inputs[0] == node.inputs[1] => Form::Other,
        Form::Conv(_) | Form::Max(_) | Form::Mean(..) if !maps => Form::Other,
        form => form,
    }
}

/// The longest chain from a node on that one step can compute.
fn chain(graph: &Graph, forms: &[Form], taken: &[bool], first: NodeId) -> Chain {
    let inputs = &graph.nodes[first].inputs;
    let mut c = Chain {
        form: forms[first],
        nodes: vec![first],
        norm: (forms[first] == Form::Affine).then_some(first),
        reads: inputs.clone(),
        add: None,
        relu: forms[first] == Form::Relu,
    };
    if c.form == Form::Add {
        (c.reads, c.add) = (vec![inputs[0]], Some(inputs[1]));
    }
    let long = matches!(c.form, Form::Conv(_) | Form::Linear | Form::Affine | Form::Add | Form::Pick(_));
    while let Some(next) = follower(graph, c.nodes[c.nodes.len() - 1]).filter(|&n| long && !c.relu && !taken[n]) {
        let last = c.nodes[c.nodes.len() - 1];
        match (c.form, forms[next]) {
            (Form::Pick(first), Form::Pick(then)) => c.form = Form::Pick(first.then(then)),
            (Form::Pick(_), _) => break,
            (_, Form::Relu) => c.relu = true,
            (Form::Conv(_), Form::Affine) if c.norm.is_none() && c.add.is_none() => {
                c.norm = Some(next);
            }
            (form, Form::Add) if form != Form::Linear && c.add.is_none() => {
                c.add = graph.nodes[next].inputs.iter().copied().find(|&i| i != last);
            }
            _ => break,
        }
        c.nodes.push(next);
    }
    c
}

/// The only reader of a value that nobody else has a right to see.
fn follower(graph: &Graph, id: NodeId) -> Option<NodeId> {
    if id == graph.logits || id == graph.output {
        return None;
    }
    let mut readers = (id + 1..graph.nodes.len()).filter(|&n| graph.nodes[n].inputs.contains(&id));
    let only = readers.next()?;
    readers.next().is_none().then_some(only)
}
