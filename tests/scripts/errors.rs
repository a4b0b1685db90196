//! Error reports of scripts.

use crate::common::{answer, failure, host, one_shot, source};
use gradscope::script::summary::Report;

#[test]
fn a_report_has_message_place_excerpt_and_caret() {
    let report = failure("let x = cx.input;\nlet y = x.reshape([7, 7]);\ny");
    assert_eq!(report.place, Some(("probe".into(), 4, 11)));
    assert!(report.message.contains("cannot reshape [1, 3, 8, 8] to [7, 7]"), "{}", report.message);
    assert_eq!(report.excerpt.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
    let text = report.to_string();
    let caret = text.lines().find(|l| l.trim_end().ends_with('^')).expect("a caret");
    let line = text.lines().find(|l| l.contains("reshape([7")).expect("the line");
    assert_eq!(line.char_indices().nth(caret.find('^').expect("a caret")).expect("below").1, 'r', "{text}");
}

/// Invalid bodies of `run(cx)`, which start on line 3. Message, line, advice.
const WRONG: &[(&str, &str, usize, &str)] = &[
    ("let a = 8 / 255;", "8 / 255 is not an integer", 3, "8.0 / 255"),
    ("let a = 7;\na /= 2;", "7 / 2 is not an integer", 4, "7.0 / 2"),
    ("let a = 1 / 0;", "division by zero", 3, ""),
    ("let a = zeros([2, 3]) + zeros([4]);", "cannot broadcast [2, 3] with [4]", 3, ""),
    ("let a = zeros([2, 3]);\nlet b = matmul(a, a);", "matmul of shapes [2, 3] and [2, 3]", 4, ""),
    ("let a = cx.input.softmaxx(1);", "unknown function softmaxx", 3, "did you mean \"softmax\"?"),
    ("let a = cx.inptu;", "inptu", 3, "did you mean \"input\"?"),
    ("let a = cx.params.epsilom;", "unknown parameter \"epsilom\"", 3, ""),
    ("let a = cx.model.forward(cx.input)[\"conv11\"];", "no layer named \"conv11\"", 3, "conv1"),
    ("let t = cx.model.forward(cx.input);\nbackward(t, t.logit(99)).input", "class 99", 4, ""),
    (
        "let t = cx.model.forward(cx.input);\nbackward(t, t.logit(0), #{ rulse: [] })",
        "rulse",
        4,
        "did you mean \"rules\"?",
    ),
    (
        "let t = cx.model.forward(cx.input);\nbackward(t, t.logit(0), #{ rules: [[\"relu\", |site, r| r.nope()]] })",
        "nope",
        4,
        "",
    ),
    ("let m = #{ a: 1 };\nm.b", "b", 4, ""),
    ("unknown_name", "unknown_name", 3, "can access only their own variables"),
    ("throw \"out of luck\";", "out of luck", 3, ""),
    ("heatmap(cx.input, \"map\", #{ ovr: cx.input })", "ovr", 3, "did you mean \"over\"?"),
    ("cx.model.forward(zeros([1, 3]))", "the network expects pictures of shape (N, 3, 8, 8)", 3, ""),
    ("3", "a method must return a figure", 2, ""),
];

#[test]
fn every_invalid_script_is_reported_with_its_line_and_what_would_have_worked() {
    for (body, message, line, advice) in WRONG {
        let report = failure(body);
        let told = report.to_string();
        assert!(report.message.contains(message), "{body}\n=> {told}");
        assert_eq!(report.place.as_ref().map(|p| p.1), Some(*line), "{body}\n=> {told}");
        assert!(told.contains(advice), "{body}\n=> {told}");
    }
}

#[test]
fn no_report_shows_names_of_rust_types() {
    for (body, ..) in WRONG {
        let told = failure(body).to_string();
        assert!(!told.replace("global::", "").contains("::"), "{body}\n=> {told}");
    }
}

#[test]
fn a_closure_that_captures_its_receiver_is_advised_to_use_the_function_form() {
    let report = failure("let s = [1, 2, 3];\nlet f = |x| x + s.len();\nlet t = s.map(f);\nt");
    assert!(report.message.to_lowercase().contains("data race"), "{report}");
    assert!(report.advice.as_deref().is_some_and(|a| a.contains("function form")), "{report}");
    assert_eq!(report.place.as_ref().map(|p| p.1), Some(5), "{report}");
}

#[test]
fn an_error_inside_a_rule_is_reported_at_the_rules_line() {
    let body = "let t = cx.model.forward(cx.input);\nlet rule = |site, r| {\n  r.reshape([3])\n};\n\
                backward(t, t.logit(0), #{ rules: [[\"relu\", rule]] }).input";
    let report = failure(body);
    assert_eq!(report.place.as_ref().map(|p| p.1), Some(5), "{report}");
    assert!(report.message.contains("reshape"), "{report}");
    assert!(report.message.contains("relu2"), "{report}");
}

#[test]
fn a_syntax_error_is_reported_at_its_line() {
    let host = host();
    let error = host.compile(source(&one_shot("let x = ;\n"))).expect_err("no expression");
    let report = error.downcast::<Report>().expect("a report");
    assert_eq!(report.place.as_ref().map(|p| (p.1, p.2)), Some((3, 9)), "{report}");
}

#[test]
fn invalid_declarations_are_reported() {
    let run = "fn run(cx) { [] }";
    for (text, message) in [
        (run.to_string(), "const PLUGIN"),
        (format!("const PLUGIN = #{{ gruop: \"x\" }}; {run}"), "group"),
        (format!("const PLUGIN = #{{ group: \"x\", parms: [] }}; {run}"), "no field \"parms\""),
        (format!("const PLUGIN = #{{ group: \"x\", params: [1] }}; {run}"), "may contain only param(…)"),
        (
            format!("const PLUGIN = #{{ group: \"x\", params: [param(\"a\", 2.0, 0.0..=1.0, \"\")] }}; {run}"),
            "from 0 to 1",
        ),
        (
            format!("const PLUGIN = #{{ group: \"x\", params: [param(\"a\", \"u\", [\"v\"], \"\")] }}; {run}"),
            "one of v",
        ),
        ("const PLUGIN = #{ group: \"x\" }; fn step(cx, s) { s }".into(), "fn run(cx)"),
        ("  \n".into(), "the script \"probe\" is empty"),
    ] {
        let error = format!("{:#}", host().compile(source(&text)).expect_err(&text));
        assert!(error.contains(message), "{text}\n=> {error}");
    }
}

#[test]
fn comparisons_of_tensors_and_numbers_never_fall_through_to_false() {
    for (expression, expected) in [
        ("(tensor([1, 2, 3]) < 2).sum()", "1.0"),
        ("(2 < tensor([1, 2, 3])).sum()", "1.0"),
        ("(tensor([1, 2, 3]) >= 2.0).sum()", "2.0"),
        ("(2.0 != tensor([1, 2, 3])).sum()", "2.0"),
        ("(tensor([1, 2]) == tensor([1, 3])).sum()", "1.0"),
        ("1 < 1.5", "true"),
        ("1.0 == 1", "true"),
    ] {
        assert_eq!(answer(expression), expected, "{expression}");
    }
}
