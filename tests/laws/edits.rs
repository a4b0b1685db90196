//! Properties of runs with edited values.

use crate::common::random::{Random, numbers};
use candle_core::Tensor;
use gradscope::backend::Conv2d;
use gradscope::exec::Trace;
use gradscope::graph::{Builder, Graph, Node, op};
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use std::sync::Arc;

fn with_weights(graph: Graph) -> Arc<Graph> {
    let mut r = Random(3);
    let weights = graph.parameters().into_iter().map(|p| {
        let drawn = (r.tensor(&p.shape) * 0.5).unwrap();
        (p.name.clone(), if p.name.ends_with("running_var") { (drawn + 1.0).unwrap() } else { drawn })
    });
    let weights = weights.collect();
    Arc::new(graph.with_weights(weights).unwrap())
}

/// A network with a skip connection, a concatenation and a value with three readers.
fn network() -> Arc<Graph> {
    let slide = Conv2d { padding: (1, 1), ..Conv2d::default() };
    let conv = |input, output| op::Conv { input, output, kernel: (3, 3), slide, bias: true };
    let mut b = Builder::new(&[2, 6, 6]);
    let first = b.add("conv1", conv(2, 3), &[0]).unwrap();
    let first = b.add("relu1", op::Relu, &[first]).unwrap();
    let second = b.add("conv2", conv(3, 3), &[first]).unwrap();
    let product = b.add("mul", op::Mul, &[second, first]).unwrap();
    let sum = b.add("add", op::Add, &[product, first]).unwrap();
    let both = b.add("cat", op::Concat::default(), &[first, sum]).unwrap();
    let x = b.add("flatten", op::Flatten, &[both]).unwrap();
    let x = b.add("fc", op::Linear { input: 216, output: 4, bias: true }, &[x]).unwrap();
    with_weights(b.finish(x).unwrap())
}

fn resnet() -> Arc<Graph> {
    let built = Architectures::new(Folders::models(None).embedded_only(), &Default::default()).build("resnet20");
    with_weights(built.unwrap_or_else(|e| panic!("{e:#}")).1)
}

/// A picture of the network's size, or half of it, which residual networks accept too and which is four times faster.
fn picture(graph: &Graph, batch: usize) -> Tensor {
    let size = |side: usize| if side == 32 { 16 } else { side };
    let [_, c, h, w] = graph.nodes[0].shape[..] else { panic!("{:?}", graph.nodes[0].shape) };
    Random(5).tensor(&[batch, c, size(h), size(w)])
}

fn assert_same(ours: &Trace, other: &Trace, what: &str) {
    for (id, node) in ours.graph.nodes.iter().enumerate() {
        assert_eq!(ours.value(id).unwrap().dims(), other.value(id).unwrap().dims(), "{what}: {}", node.name);
        assert!(numbers(ours.value(id).unwrap()) == numbers(other.value(id).unwrap()), "{what}: {} differs", node.name);
    }
}

/// Twice the value where it is greater than 0.1, else 0.
fn masked(y: &Tensor) -> anyhow::Result<Tensor> {
    Ok((y.gt(0.1)?.to_dtype(y.dtype())? * (y * 2.0)?)?)
}

#[test]
fn running_again_with_an_edit_gives_the_full_run_bit_for_bit_at_every_node() {
    for (graph, batch) in [(network(), 1), (network(), 3), (resnet(), 2)] {
        let trace = graph.forward(&picture(&graph, batch)).unwrap();
        for name in graph.nodes.iter().map(|n| n.name.as_str()) {
            let chosen = |node: &Node| node.name == name;
            let mut edit = |node: &Node, y: Tensor| if chosen(node) { masked(&y) } else { Ok(y) };
            let full = graph.forward_with(trace.input(), &mut edit).unwrap();
            let again = trace.forward_with(&chosen, &mut edit).unwrap();
            assert_same(&again, &full, name);
        }
    }
}

#[test]
fn several_edited_nodes_see_each_other() {
    let graph = network();
    let trace = graph.forward(&picture(&graph, 2)).unwrap();
    let chosen = |node: &Node| ["relu1", "add"].contains(&node.name.as_str());
    let mut edit = |node: &Node, y: Tensor| if chosen(node) { masked(&y) } else { Ok(y) };
    let full = graph.forward_with(trace.input(), &mut edit).unwrap();
    assert_same(&trace.forward_with(&chosen, &mut edit).unwrap(), &full, "two edits");
}

#[test]
fn variants_of_an_activation_run_as_one_batch_through_skip_connections() {
    for graph in [network(), resnet()] {
        let alone = picture(&graph, 1);
        let trace = graph.forward(&alone).unwrap();
        let three = graph.forward(&alone.repeat((3, 1, 1, 1)).unwrap()).unwrap();
        for (id, node) in graph.nodes.iter().enumerate() {
            let variants = Random(9).tensor(&[&[3][..], &trace.value(id).unwrap().dims()[1..]].concat());
            let chosen = |n: &Node| n.name == node.name;
            let mut edit = |n: &Node, y: Tensor| Ok(if chosen(n) { variants.clone() } else { y });
            let again = trace.forward_with(&chosen, &mut edit).unwrap();
            assert_same(&again, &graph.forward_with(&alone, &mut edit).unwrap(), &node.name);
            assert_same(&again, &three.forward_with(&chosen, &mut edit).unwrap(), &node.name);
            assert_eq!(again.value(id).unwrap().dims()[0], 3);
        }
    }
}

#[test]
fn an_enlarged_batch_repeats_the_pictures_in_order() {
    let graph = network();
    let trace = graph.forward(&picture(&graph, 2)).unwrap();
    let mut edit =
        |node: &Node, y: Tensor| Ok(if node.name == "conv2" { Tensor::cat(&[&y, &(&y * 2.0)?], 0)? } else { y });
    let four = trace.forward_with(&|node| node.name == "conv2", &mut edit).unwrap();
    let row = |t: &Trace, i: usize| numbers(&t.logits().unwrap().narrow(0, i, 1).unwrap());
    for i in 0..2 {
        assert!(row(&four, i).iter().zip(row(&trace, i)).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_ne!(row(&four, i + 2), row(&trace, i));
    }
}

#[test]
fn nodes_that_depend_on_no_edit_are_not_computed() {
    let graph = network();
    let mut trace = graph.forward(&picture(&graph, 1)).unwrap();
    let mut edit = |_: &Node, y: Tensor| masked(&y);
    let expected = trace.forward_with(&|node| node.name == "add", &mut edit).unwrap();
    let mut without = (*graph).clone();
    without.nodes.iter_mut().filter(|n| n.name.starts_with("conv")).for_each(|n| n.params.clear());
    trace.graph = Arc::new(without);
    assert_same(&trace.forward_with(&|node| node.name == "add", &mut edit).unwrap(), &expected, "add");
    let error = trace.forward_with(&|node| node.name == "relu1", &mut edit).unwrap_err();
    assert!(format!("{error:#}").contains("no weights"), "{error:#}");
}

#[test]
fn an_edit_that_changes_the_shape_is_an_error_that_names_the_layer() {
    let graph = network();
    let trace = graph.forward(&picture(&graph, 2)).unwrap();
    let shapes: [fn(&Tensor) -> candle_core::Result<Tensor>; 4] = [
        |y| y.narrow(1, 0, 2),
        |y| y.narrow(0, 0, 1),
        |y| Tensor::cat(&[y, &y.narrow(0, 0, 1)?], 0),
        |y| y.flatten_from(1),
    ];
    for shape in shapes {
        let mut edit = |_: &Node, y: Tensor| Ok(shape(&y)?);
        let error = trace.forward_with(&|node| node.name == "conv2", &mut edit).unwrap_err();
        assert!(format!("{error:#}").contains("\"conv2\""), "{error:#}");
    }
    let sizes = |node: &Node, y: Tensor| match node.name.as_str() {
        "relu1" => Ok(y.repeat((2, 1, 1, 1))?),
        "conv2" => Ok(y.narrow(0, 0, 2)?.repeat((3, 1, 1, 1))?),
        _ => Ok(y),
    };
    let mut sizes = sizes;
    let error = graph.forward_with(trace.input(), &mut sizes).unwrap_err();
    assert!(format!("{error:#}").contains("a multiple of 4"), "{error:#}");
}
