//! Parameters: declared once, validated on every change.

use crate::common::{host, method, picture, session, tiny};
use gradscope::graph::{Graph, Node};
use gradscope::model::Model;
use gradscope::script::session::Session;
use std::sync::Arc;

const SCRIPT: &str = r#"
const PLUGIN = #{
    group: "test",
    params: [
        param("number",  0.5,          0.0..=1.0,    "a number"),
        param("whole",   3,            1..=9,        "a whole number"),
        param("length",  pixels(8),    0.0..=16.0,   "a length"),
        param("switch_", true,                       "a switch"),
        param("choice",  "linf",       ["linf", "l2"], "a choice"),
        param("goal",    class(),                    "a class"),
        param("where_",  layer("conv"),              "a layer"),
        param("unit",    channel(),                  "a channel"),
        param("words",   "hello",                    "a text"),
    ],
};
fn run(cx) {
    let p = cx.params;
    [text(`${p.number} ${p.whole} ${p.length * 255.0} ${p.switch_} ${p.choice} ${p.goal} ${p.where_} ${p.unit} ${p.words}`, "seen")]
}
"#;

fn seen(session: &mut Session, host: &gradscope::script::host::Host) -> String {
    match &session.run(host).expect("a run").figures[0].body {
        gradscope::render::Body::Text { text } => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_script_sees_each_kind_of_parameter_as_its_own_type() {
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, SCRIPT));
    assert_eq!(seen(&mut session, &host), "0.5 3 8.0 true linf  relu2  hello");
    for (name, text) in [
        ("number", "0.25"),
        ("whole", "9"),
        ("length", "2"),
        ("switch_", "off"),
        ("choice", "l2"),
        ("goal", "Cat"),
        ("where_", "-1"),
        ("unit", "4"),
        ("words", "good bye"),
    ] {
        session.set(name, text).unwrap_or_else(|e| panic!("{name}={text}: {e:#}"));
    }
    assert_eq!(seen(&mut session, &host), "0.25 9 2.0 false l2 2 conv2 4 good bye");
}

#[test]
fn invalid_values_are_errors_that_state_the_range_and_change_nothing() {
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, SCRIPT));
    let before = session.params().texts(session.model());
    for (name, text, message) in [
        ("number", "2", "a number from 0 to 1, got 2"),
        ("number", "NaN", "a number from 0 to 1"),
        ("number", "inf", "a number from 0 to 1"),
        ("whole", "0", "an integer from 1 to 9"),
        ("whole", "2.5", "an integer from 1 to 9"),
        ("length", "-1", "in units of 1/255"),
        ("switch_", "maybe", "true or false"),
        ("choice", "l3", "one of linf, l2"),
        ("goal", "zebra", "no class named \"zebra\""),
        ("goal", "5", "no class 5"),
        ("where_", "conv9", "no layer named \"conv9\""),
        ("where_", "relu1", "is of kind relu, not conv"),
        ("where_", "-3", "no layer -3; there are 2"),
        ("unit", "-1", "a channel index"),
        ("numbr", "1", "did you mean \"number\"?"),
    ] {
        let error = format!("{:#}", session.set(name, text).expect_err(&format!("{name}={text}")));
        assert!(error.contains(message), "{name}={text}: {error}");
    }
    assert_eq!(session.params().texts(session.model()), before);
}

const CHOOSER: &str = r#"
const PLUGIN = #{ group: "test", params: [param("of", layer("conv"), "a convolution"), param("any", layer(), "a layer")] };
fn run(cx) { text(cx.params.any, "any") }
"#;

#[test]
fn a_module_stands_for_its_output_or_the_error_says_which_layer_inside_would_do() {
    let host = host();
    let mut graph = Graph::clone(&tiny().graph);
    let inside = |node: &&mut Node| ["conv2", "relu2"].contains(&node.name.as_str());
    graph.nodes.iter_mut().filter(inside).for_each(|node| node.name = format!("block.{}", node.name));
    let mut session = Session::new(&host, Model { graph: Arc::new(graph), ..tiny() }, "drawn", picture()).unwrap();
    session.open(method(&host, CHOOSER));
    session.set("any", "block").unwrap();
    assert_eq!(session.params().texts(session.model())[1].1, "block.relu2");
    let error = session.set("of", "block").unwrap_err().to_string();
    assert_eq!(
        error,
        "the output of \"block\" is \"block.relu2\", of kind relu, not conv; the last conv in \"block\" is \"block.conv2\""
    );
}
