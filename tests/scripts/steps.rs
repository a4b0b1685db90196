//! Stepping: forward, backward, on another branch, and after the script changed.

use crate::common::{host, method, session};
use gradscope::render::{Body, Figure};
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use gradscope::script::summary::Frame;

const WALK: &str = r#"
const PLUGIN = #{ group: "test", params: [param("size", 1.0, 0.0..=9.0, "of a step"), param("steps", 50, 1..=99, "at most")] };
fn start(cx) { #{ x: cx.input, at: 0.0, scalars: #{ at: 0.0 } } }
fn step(cx, s) {
    s.x = s.x + cx.params.size * cx.randn(cx.input.shape);
    s.at += cx.params.size;
    s.scalars = #{ at: s.at };
    if cx.step >= cx.params.steps { s.done = "enough"; }
    s
}
fn view(cx, s) { [heatmap(s.x, "x"), text(`${s.at}`, "at")] }
"#;

fn begun(host: &Host) -> Session {
    let mut session = session(host);
    session.open(method(host, WALK));
    session.run(host).expect("a start");
    session
}

fn walk(session: &mut Session, host: &Host, steps: usize) -> Vec<Vec<Figure>> {
    (0..steps).map(|_| session.step(host).expect("a step").figures).collect()
}

fn at(frame: &Frame) -> f32 {
    match &frame.figures[1].body {
        Body::Text { text } => text.parse().expect("a number"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_request_gives_the_same_steps_and_another_seed_different_ones() {
    let host = host();
    let first = walk(&mut begun(&host), &host, 5);
    assert_eq!(first, walk(&mut begun(&host), &host, 5));
    let mut other = begun(&host);
    other.set_seed(1);
    assert_ne!(first, walk(&mut other, &host, 5));
}

#[test]
fn going_back_shows_the_stored_step_and_going_forward_repeats_the_result() {
    let host = host();
    let mut session = begun(&host);
    let figures = walk(&mut session, &host, 5);
    let back = session.seek(&host, 2).expect("a kept step");
    assert_eq!((back.step, back.kept), (2, 6));
    assert_eq!(back.figures, figures[1]);
    assert_eq!(walk(&mut session, &host, 3), figures[2..]);
    assert!(session.seek(&host, 9).is_err());
}

#[test]
fn setting_a_parameter_continues_from_the_step_shown() {
    let host = host();
    let mut session = begun(&host);
    walk(&mut session, &host, 5);
    session.seek(&host, 2).expect("a kept step");
    session.set("size", "3").expect("a size");
    let frame = session.step(&host).expect("a step");
    assert_eq!((frame.step, frame.kept, at(&frame)), (3, 4, 5.0));
    assert_eq!(frame.scalars, [("at".to_string(), vec![0.0, 1.0, 2.0, 5.0])]);
    assert_eq!(at(&session.seek(&host, 1).expect("a kept step")), 1.0);
}

#[test]
fn a_newer_script_continues_from_the_state_of_the_old_one() {
    let host = host();
    let mut session = begun(&host);
    session.set("size", "2").expect("a size");
    walk(&mut session, &host, 3);
    session.reload(method(&host, &WALK.replace("s.at += cx.params.size", "s.at -= cx.params.size")));
    assert_eq!(session.kept(), 4);
    let shown = session.view(&host).expect("the same step");
    assert_eq!((shown.step, at(&shown)), (3, 6.0));
    assert_eq!(at(&session.step(&host).expect("a step")), 4.0);
}

#[test]
fn a_failing_step_of_a_newer_script_leaves_stored_steps_unchanged() {
    let host = host();
    let mut session = begun(&host);
    let figures = walk(&mut session, &host, 3);
    session.reload(method(&host, &WALK.replace("s.at += cx.params.size", "s.at += cx.params.sise")));
    assert!(session.step(&host).is_err());
    assert_eq!((session.cursor(), session.kept()), (3, 4));
    assert_eq!(session.seek(&host, 3).expect("a kept step").figures, figures[2]);
}

#[test]
fn done_ends_the_steps_and_a_larger_limit_continues() {
    let host = host();
    let mut session = begun(&host);
    session.set("steps", "2").expect("a limit");
    walk(&mut session, &host, 2);
    assert_eq!(session.done(), Some("enough"));
    assert!(!session.can_go_on());
    assert!(session.step(&host).is_err());
    session.seek(&host, 1).expect("a kept step");
    session.set("steps", "9").expect("a limit");
    assert_eq!(session.step(&host).expect("a step").done, None);
}

#[test]
fn a_stored_state_shares_nothing_with_later_ones() {
    let host = host();
    let mut session = session(&host);
    let script = "const PLUGIN = #{ group: \"test\" };\n\
                  fn start(cx) { let list = [1]; let f = || list.len(); #{ list: list, deep: #{ list: list } } }\n\
                  fn step(cx, s) { s.list.push(2); s.deep.list.push(3); s }\n\
                  fn view(cx, s) { [text(`${s}`, \"x\"), text(`${s.deep.list.len()}`, \"at\")] }";
    session.open(method(&host, script));
    session.run(&host).expect("a start");
    session.step(&host).expect("a step");
    session.step(&host).expect("a step");
    assert_eq!(at(&session.seek(&host, 0).expect("a kept step")), 1.0);
    assert_eq!(at(&session.seek(&host, 2).expect("a kept step")), 3.0);
}

#[test]
fn a_state_that_holds_a_function_is_refused() {
    let host = host();
    let mut session = session(&host);
    let script = "const PLUGIN = #{ group: \"test\" };\nfn start(cx) { #{ f: |x| x } }\nfn step(cx, s) { s }\nfn view(cx, s) { [] }";
    session.open(method(&host, script));
    let error = format!("{:#}", session.run(&host).expect_err("a function in a state"));
    assert!(error.contains("cannot contain functions"), "{error}");
}

#[test]
fn a_resumed_run_continues_like_an_uninterrupted_one() {
    let host = host();
    let whole = walk(&mut begun(&host), &host, 6);
    let mut first = begun(&host);
    walk(&mut first, &host, 3);
    let file = first.snapshot().expect("a file");
    let mut second = begun(&host);
    second.restore(&file).expect("the same question");
    assert_eq!(second.cursor(), 3);
    assert_eq!(walk(&mut second, &host, 3), whole[3..]);
    assert_eq!(second.scalars().len(), 7);
}

#[test]
fn a_run_with_other_settings_is_not_resumed() {
    let host = host();
    let file = begun(&host).snapshot().expect("a file");
    let refused = |change: &dyn Fn(&mut Session)| {
        let mut other = begun(&host);
        change(&mut other);
        format!("{:#}", other.restore(&file).expect_err("it differs"))
    };
    assert!(refused(&|s| s.set_seed(1)).contains("changed: seed"));
    assert!(refused(&|s| s.set("size", "2").expect("a size")).contains("changed: parameters"));
    assert!(
        refused(&|s| s.set_target(Some(0)).and_then(|()| s.set_target(Some(1))).expect("a class"))
            .contains("changed: target")
    );
    let mut same = begun(&host);
    for damaged in [&file[..file.len() / 2], b"", b"not a file"] {
        assert!(same.restore(damaged).is_err());
    }
}

/// Ten pictures on a map, after this many steps of 5 + 5 iterations.
fn mapped(host: &Host) -> Session {
    let mut session = Session::new(host, crate::common::tiny(), "picture", crate::common::picture()).unwrap();
    let pixels = (0..40 * 192).map(|i: usize| (i * i * 37 % 251) as u8).collect();
    let data = gradscope::data::Dataset::of_bytes("forty", vec![], [3, 8, 8], pixels, (0..40).map(|i| i % 3).collect());
    session.set_data(gradscope::script::method::data::Data::of(data.unwrap()));
    session.open(host.method("tsne").unwrap());
    for (name, value) in [("early", "30"), ("iterations", "60"), ("perplexity", "7")] {
        session.set(name, value).unwrap();
    }
    session
}

#[test]
fn a_t_sne_map_resumed_from_a_file_continues_bit_for_bit() {
    let host = host();
    let mut whole = mapped(&host);
    whole.run(&host).unwrap();
    walk(&mut whole, &host, 2);
    let file = whole.snapshot().expect("a file");
    let mut resumed = mapped(&host);
    resumed.restore(&file).expect("the same question");
    assert_eq!(resumed.cursor(), 2);
    assert_eq!(resumed.told().used()["perplexity"], "7");
    while whole.can_go_on() {
        let (a, b) = (whole.step(&host).unwrap(), resumed.step(&host).unwrap());
        assert_eq!(a.figures, b.figures);
        assert_eq!(a.scalars[0].1.last(), b.scalars[0].1.last());
    }
    assert!(resumed.done().is_some_and(|why| why.starts_with("90 iterations")), "{:?}", resumed.done());
    let damaged: Vec<u8> = file.iter().map(|&b| if b == b'7' { b'8' } else { b }).collect();
    assert!(mapped(&host).restore(&damaged).is_err());
}

#[test]
fn used_values_are_reported_until_the_run_restarts() {
    let host = host();
    let mut session = session(&host);
    let text = r#"
const PLUGIN = #{ group: "test", params: [param("k", 9, 1..=99, "some"), param("e", pixels(4.0), 0.0..=64.0, "radius"), param("l", layer(), "one")] };
fn run(cx) {
    let k = cx.at_most("k", 5);
    cx.used("e", cx.params.e / 2.0);
    cx.used("l", "conv1");
    cx.note("mind the gap");
    cx.note("mind the gap");
    text(`${k}`, "k")
}"#;
    session.open(method(&host, text));
    let frame = session.run(&host).unwrap();
    let used = |frame: &Frame| frame.used.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    assert_eq!(
        (used(&frame), frame.notes),
        (vec!["e=2".into(), "k=5".into(), "l=conv1".into()], vec!["mind the gap".into()])
    );
    session.set("k", "50").unwrap();
    let frame = session.run(&host).unwrap();
    assert_eq!(frame.notes, ["k=50 is more than available; using 5", "mind the gap"], "a clamped parameter is noted");
    assert_eq!(session.as_used()[0], ("k".into(), "5".into()));
    assert_eq!(session.asked_otherwise()[0], ("k".into(), "50".into()));
    session.set("k", "3").unwrap();
    let frame = session.run(&host).unwrap();
    assert_eq!((used(&frame)[1].as_str(), frame.notes.len()), ("k=3", 1));
    let error = crate::common::failure("cx.used(\"kk\", 3); []").message;
    assert!(error.contains("unknown parameter \"kk\""), "{error}");
}

#[test]
fn another_picture_keeps_the_steps_of_a_method_that_ignores_it() {
    let host = host();
    for (declared, kept) in [(", ignores_picture: true", 4), ("", 0)] {
        let mut session = session(&host);
        session.open(method(&host, &WALK.replacen(" };\n", &format!("{declared} }};\n"), 1)));
        session.run(&host).expect("a start");
        walk(&mut session, &host, 3);
        let (model, other) = (session.intact().clone(), (session.input() * 0.5).expect("a picture"));
        let keeps = session.replace_picture(&host, model, "other", other).expect("it is opened");
        assert_eq!((keeps, session.kept(), session.picture()), (kept > 0, kept, "other"));
        if keeps {
            assert_eq!(session.view(&host).expect("a view").step, 3);
        }
    }
}

#[test]
fn methods_that_ignore_the_picture_give_the_same_result_for_all() {
    let host = host();
    let map = |factor: f64| {
        let mut session = session(&host);
        let (model, other) = (session.intact().clone(), (session.input() * factor).expect("a picture"));
        session.replace(&host, model, "other", other).expect("it is opened");
        session.open(host.method("tsne").expect("it compiles"));
        session.run(&host).expect("a start");
        walk(&mut session, &host, 3)
    };
    assert!(host.method("tsne").expect("it compiles").ignores_picture);
    assert_eq!(map(1.0), map(0.5));
}
