//! Ablations: against interventions that multiply the same values by zero, in sessions, and their errors.

use crate::common::{answer_of, built, host, method, one_shot, picture};
use candle_core::{Device, Tensor};
use gradscope::exec::Trace;
use gradscope::explain::{Walk, logit};
use gradscope::model::{Ablation, Model};
use gradscope::script::host::Host;
use gradscope::script::session::{Session, Target};
use gradscope::tensor::numbers;

/// A transformer with two heads, and random weights, for pictures of 8 x 8 pixels.
const TRANSFORMER: &str = r#"
    let x = x.conv("patches", 8, 2, #{ stride: 2 }).relu("relu").reshape("grid", [8, 16]).permute("tokens", [0, 2, 1]);
    let heads = |name| x.linear(name, 8).reshape(name + "_split", [16, 2, 4]).permute(name + "_heads", [0, 2, 1, 3]);
    let scores = heads.call("q").matmul("attn.scores", heads.call("k").transpose("k_t", -2, -1)).scale("attn.scaled", 0.5);
    scores.softmax("attn.softmax", -1).matmul("attn.mixed", heads.call("v")).permute("merged", [0, 2, 1, 3])
        .reshape("joined", [16, 8]).linear("proj", 8).add("sum", x).mean("pool", 1).linear("fc", 3)
"#;

fn transformer(host: &Host) -> Model {
    built(host, "[]", TRANSFORMER)
}

fn units(text: &str) -> Vec<Ablation> {
    Ablation::parse_list(text).unwrap()
}

fn trace(model: &Model) -> Trace {
    model.graph.forward(&model.take(&picture()).unwrap()).unwrap()
}

/// The logits of a run that multiplies the value of `layer` by a mask with zeros at `indices` of dimension `dim`.
fn intervened(model: &Model, layer: &str, dim: usize, indices: &[usize]) -> Vec<f64> {
    let mut edit = |node: &gradscope::graph::Node, value: Tensor| {
        if node.name != layer {
            return Ok(value);
        }
        let size = value.dim(dim)?;
        let mask: Vec<_> = (0..size).map(|i| if indices.contains(&i) { 0.0 } else { 1.0 }).collect();
        let shape: Vec<_> = (0..value.rank()).map(|d| if d == dim { size } else { 1 }).collect();
        Ok(value.broadcast_mul(&Tensor::from_vec(mask, shape, &Device::Cpu)?)?)
    };
    let x = model.take(&picture()).unwrap();
    numbers(&model.graph.forward_with(&x, &mut edit).unwrap().logits().unwrap()).unwrap()
}

#[test]
fn an_ablated_network_computes_what_an_intervention_computes() {
    let model = transformer(&host());
    let whole = numbers(&trace(&model).logits().unwrap()).unwrap();
    for (unit, layer, dim, indices) in [
        ("relu:channel=0,3", "relu", 1, &[0, 3][..]),
        ("sum:channel=5", "sum", 2, &[5]),
        ("tokens:token=2,3,15", "tokens", 1, &[2, 3, 15]),
        ("attn:head=1", "attn.mixed", 1, &[1]),
        ("attn.softmax:head=0", "attn.mixed", 1, &[0]),
        ("attn.mixed:head=0,1", "attn.mixed", 1, &[0, 1]),
        ("fc:channel=2", "fc", 1, &[2]),
        ("input:channel=1", "input", 1, &[1]),
    ] {
        let found = numbers(&trace(&model.ablated(&units(unit)).unwrap()).logits().unwrap()).unwrap();
        let expected = intervened(&model, layer, dim, indices);
        assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-12), "{unit}: {found:?} or {expected:?}");
        assert_ne!(found, whole, "{unit} changes nothing");
    }
}

#[test]
fn several_units_of_one_layer_are_ablated_together() {
    let model = transformer(&host());
    let both =
        model.ablated(&[units("tokens:token=1"), units("tokens:channel=2"), units("attn:head=1")].concat()).unwrap();
    let names: Vec<_> = both.graph.nodes.iter().filter(|n| n.op.kind() == "ablate").map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["tokens.ablated", "tokens.ablated2", "attn.mixed.ablated"]);
    let value = both.graph.nodes.iter().position(|n| n.name == "tokens.ablated2").unwrap();
    let value = trace(&both).value(value).unwrap().clone();
    for (dim, index) in [(1, 1), (2, 2)] {
        let zeros = value.narrow(dim, index, 1).unwrap();
        assert_eq!(zeros.abs().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap(), 0.0);
    }
    assert_eq!(both.graph.attention().len(), 1, "the attention layer is still found");
    assert_ne!(both.hash, model.hash, "cached features of the intact network are not used");
}

#[test]
fn no_gradient_and_no_relevance_reaches_an_ablated_unit() {
    let model = transformer(&host()).ablated(&units("attn:head=0")).unwrap();
    let trace = trace(&model);
    let seed = logit(&trace.scores().unwrap(), &[1]).unwrap();
    let gradient = Walk::gradient(&trace, vec![trace.seed(&seed).unwrap()]).run().unwrap();
    let gradient = gradient.get("attn.mixed").unwrap().abs().unwrap().sum(3).unwrap().sum(2).unwrap();
    let by_head = numbers(&gradient).unwrap();
    assert!(by_head[0] == 0.0 && by_head[1] > 0.0, "{by_head:?}");
}

#[test]
fn scripts_ablate_units_of_any_network() {
    let body = r#"
        let off = cx.model.ablated(["attn:head=1", "relu:channel=0"]);
        `${(off.logits(cx.input) - cx.model.logits(cx.input)).abs().max() > 0.0} ${cx.model.ablated([]).layers.len() == cx.model.layers.len()}`
    "#;
    assert_eq!(answer_of(transformer(&host()), body), "true true");
}

#[test]
fn a_session_keeps_target_and_picture_while_units_are_switched() {
    let host = host();
    let model = transformer(&host);
    let mut session = Session::new(&host, model.clone(), "picture", picture()).unwrap();
    session.open(method(&host, &one_shot("[text(cx.model.layers.len().to_string(), \"layers\")]")));
    let target = session.target();
    session.toggle_ablations(&units("attn:head=0,1")).unwrap();
    assert_eq!((session.target(), session.ablations().len()), (target, 2));
    session.toggle_ablations(&units("attn:head=1")).unwrap();
    assert_eq!(session.ablations(), units("attn:head=0"), "a unit that is off is restored");
    session.set_target_text("0 - 1").unwrap();
    let before = session.expression().unwrap().value(session.input()).unwrap();
    session.toggle_ablations(&units("relu:channel=0")).unwrap();
    assert_eq!(session.chosen(), Some(Target::Expression("0 - 1".into())));
    assert_ne!(
        session.expression().unwrap().value(session.input()).unwrap(),
        before,
        "the expression is of the ablated network"
    );
    let intact = session.intact().clone();
    session.replace(&host, intact, "another", picture()).unwrap();
    assert_eq!(session.ablations().len(), 2, "another picture keeps the ablations");
    session.replace(&host, transformer(&host), "another", picture()).unwrap();
    assert!(session.ablations().is_empty(), "another network starts without");
}

#[test]
fn unknown_units_are_errors_that_say_what_exists() {
    let model = transformer(&host());
    for (unit, expected) in [
        ("relu:channel=8", "layer \"relu\" has 8 channels; there is no channel 8"),
        ("tokens:token=16", "layer \"tokens\" has 16 tokens; there is no token 16"),
        ("attn:head=2", "layer \"attn\" has 2 heads; there is no head 2"),
        ("proj:head=0", "no attention layer \"proj\"; the first ones are attn.softmax"),
        ("relu:token=0", "ablate its channels instead"),
        ("rellu:channel=0", "similar names: relu"),
    ] {
        let error = format!("{:#}", model.ablated(&units(unit)).err().unwrap_or_else(|| panic!("{unit} is accepted")));
        assert!(error.contains(expected), "{unit}: {error}");
    }
    for text in [
        "",
        "relu",
        "relu:channel",
        "relu:chanel=1",
        ":channel=1",
        "relu:channel=x",
        "relu:channel=-1",
        "relu:channel=1,",
    ] {
        let error = format!("{:#}", Ablation::parse_list(text).unwrap_err());
        assert!(error.contains("expected LAYER:channel=N"), "{text}: {error}");
    }
    let error =
        built(&host(), "[]", r#"x.conv("conv", 4, 3).flatten("flat").linear("fc", 3)"#).ablated(&units("conv:head=0"));
    assert!(format!("{:#}", error.unwrap_err()).contains("no attention layers"));
}
