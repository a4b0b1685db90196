//! Nothing to do: no attack takes a step on a picture that is already misclassified.

use crate::common::{answer, host, method, session};
use gradscope::data::synthetic;
use gradscope::render::Body;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::method::Method;
use gradscope::script::method::data::Data;
use gradscope::script::session::Session;

/// All attacks.
fn attacks(host: &Host) -> Vec<Method> {
    let all: Vec<_> = host.plugins().names().iter().map(|n| host.method(n).unwrap()).filter(|m| m.attack).collect();
    assert!(all.len() >= 18, "{} attacks", all.len());
    all
}

fn has(method: &Method, param: &str) -> bool {
    method.params.iter().any(|p| p.name == param)
}

fn last(session: &Session, name: &str) -> f64 {
    let scalars = session.scalars().pop().unwrap();
    scalars.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1
}

/// The predicted class, and another one.
fn classes(host: &Host) -> (usize, usize) {
    let said = session(host).classes(host, 2).unwrap();
    (said[0].class, said[1].class)
}

#[test]
fn every_attack_ends_at_step_0_on_a_misclassified_picture() {
    let host = host();
    let (said, other) = classes(&host);
    for method in attacks(&host) {
        let name = method.name.clone();
        let mut session = session(&host);
        session.open(method);
        session.set_target(Some(other)).unwrap();
        let frame = session.run(&host).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        let label = |class| session.model().card.label(class);
        assert_eq!(
            frame.done,
            Some(format!("already classified as \"{}\", not \"{}\": nothing to do", label(said), label(other))),
            "{name}"
        );
        assert!(!session.can_go_on() && frame.step == 0, "{name}");
        for length in ["l0", "l0_pixels", "l1", "l2", "linf"] {
            assert_eq!(last(&session, length), 0.0, "{name}: {length}");
        }
    }
}

#[test]
fn every_targeted_attack_ends_at_step_0_if_the_goal_is_already_reached() {
    let host = host();
    let (said, _) = classes(&host);
    for method in attacks(&host).into_iter().filter(|m| has(m, "goal")) {
        let name = method.name.clone();
        let mut session = session(&host);
        session.open(method);
        session.set("goal", &said.to_string()).unwrap();
        let frame = session.run(&host).unwrap_or_else(|e| panic!("{name}: {e:#}"));
        assert_eq!((frame.step, last(&session, "l2")), (0, 0.0), "{name}");
        assert!(frame.done.unwrap().starts_with("already"), "{name}");
    }
}

#[test]
fn attacks_with_random_starts_check_the_picture_itself_first() {
    let host = host();
    let (_, other) = classes(&host);
    for name in ["pgd", "apgd", "fgsm"] {
        let mut session = session(&host);
        session.open(host.method(name).unwrap());
        session.set("random_start", "true").unwrap();
        session.set_target(Some(other)).unwrap();
        session.run(&host).unwrap();
        assert_eq!(last(&session, "linf"), 0.0, "{name}");
    }
}

#[test]
fn stepped_attacks_continue_past_the_boundary_with_stop_off() {
    let host = host();
    let (_, other) = classes(&host);
    let unstopped: Vec<_> = attacks(&host).into_iter().filter(|m| has(m, "stop")).collect();
    let names: Vec<_> = unstopped.iter().map(|m| m.name.as_str()).collect();
    for name in [
        "fgsm",
        "pgd",
        "mi_fgsm",
        "momentum_l2",
        "apgd",
        "spsa",
        "deepfool",
        "fab",
        "jsma",
        "cw",
        "patch",
        "autoattack",
    ] {
        assert!(names.contains(&name), "{name} has no parameter stop");
    }
    for method in unstopped {
        let (name, by_default) =
            (method.name.clone(), method.params.iter().any(|p| p.name == "stop" && p.default.text() == "true"));
        for target in [None, Some(other)].into_iter().filter(|t| t.is_none() || by_default) {
            let mut session = session(&host);
            session.open(method.clone());
            session.set_target(target).unwrap();
            session.set("stop", "false").unwrap();
            if name == "jsma" {
                session.set("gamma", "1").unwrap();
            }
            session.run(&host).unwrap_or_else(|e| panic!("{name}: {e:#}"));
            while session.can_go_on() && session.cursor() < 9 {
                session.advance(&host).unwrap_or_else(|e| panic!("{name}: {e:#}"));
            }
            let few = ["rotation", "jsma", "autoattack"].contains(&name.as_str());
            assert!(session.cursor() == 9 || few, "{name} took {} steps: {:?}", session.cursor(), session.done());
            assert!(session.cursor() > 1, "{name}");
        }
    }
}

#[test]
fn a_run_that_ended_fooled_can_take_another_step_and_a_new_run_stops_again() {
    let host = host();
    let (_, other) = classes(&host);
    let mut session = session(&host);
    session.open(host.method("fgsm").unwrap());
    session.set_target(Some(other)).unwrap();
    session.run(&host).unwrap();
    assert!(session.unstop(&host).unwrap() && session.can_go_on());
    let frame = session.next(&host).unwrap();
    assert_eq!((frame.step, frame.done.clone()), (1, None), "the step beyond the stop condition");
    assert!(last(&session, "linf") > 0.0);
    assert!(!session.unstop(&host).unwrap(), "stop is already off");
    let anew = session.run(&host).unwrap();
    assert_eq!(anew.step, 0);
    assert!(anew.done.is_some(), "stop is on again");
    session.open(host.method("boundary").unwrap());
    session.run(&host).unwrap();
    assert!(!session.unstop(&host).unwrap(), "a method that never stops has no stop parameter to switch off");
}

#[test]
fn changing_a_parameter_after_nothing_to_do_starts_the_attack() {
    let host = host();
    let (said, other) = classes(&host);
    let mut session = session(&host);
    session.open(host.method("pgd").unwrap());
    session.set("goal", &said.to_string()).unwrap();
    session.run(&host).unwrap();
    session.set("epsilon", "4").unwrap();
    let still = session.step(&host).unwrap();
    assert_eq!((still.step, still.done.is_some()), (0, true), "there is still nothing to do");
    session.set("goal", &other.to_string()).unwrap();
    let frame = session.step(&host).unwrap();
    assert_eq!(frame.step, 1);
    assert!(last(&session, "linf") > 0.0);
}

#[test]
fn a_custom_attack_also_skips_misclassified_pictures() {
    let host = host();
    let (_, other) = classes(&host);
    let stepped = "const PLUGIN = #{ group: \"attack\", params: [] };\nfn start(cx) { throw \"started\"; }\nfn step(cx, s) { s }\nfn view(cx, s) { [] }";
    let whole = "const PLUGIN = #{ group: \"mine\", attack: true, params: [] };\nfn run(cx) { throw \"started\"; }";
    for text in [stepped, whole] {
        let mut session = session(&host);
        session.open(method(&host, text));
        assert!(format!("{:#}", session.run(&host).unwrap_err()).contains("started"));
        session.set_target(Some(other)).unwrap();
        let frame = session.run(&host).unwrap();
        assert!(frame.done.unwrap().contains("nothing to do"));
        assert!(frame.figures.iter().any(|f| f.title == "perturbation"));
    }
}

#[test]
fn pictures_of_a_batch_that_already_fool_stay_unchanged() {
    for (name, together) in [("fgsm", true), ("pgd", true), ("mi_fgsm", true), ("deepfool", false)] {
        let body = format!(
            "let x = cat([cx.input, cx.input.flip(3), cx.input.flip(2)], 0);
             let said = cx.model.logits(x).argmax(1).to_array().map(|c| c.to_int());
             let wrong = [said[0], (said[1] + 1) % 5, said[2]];
             let out = answer(cx, \"{name}\", #{{ input: x, target: wrong, together: {together}, steps: 3, params: \"epsilon=64\" }}).x;
             (out - x).lengths(\"linf\").flatten().to_array()",
            name = name,
        );
        let body = if name == "deepfool" { body.replace(", params: \"epsilon=64\"", "") } else { body };
        let moved: Vec<f64> = answer(&body).trim_matches(['[', ']']).split(", ").map(|n| n.parse().unwrap()).collect();
        assert!(moved[0] > 0.0 && moved[1] == 0.0 && moved[2] > 0.0, "{name}: {moved:?}");
    }
}

#[test]
fn a_step_relative_to_epsilon_equals_the_same_step_in_levels() {
    let host = host();
    let end = |method: &str, set: &[&str]| {
        let mut session = session(&host);
        session.open(host.method(method).unwrap());
        for pair in set.iter().chain(&["stop=false"]) {
            let (key, value) = pair.split_once('=').unwrap();
            session.set(key, value).unwrap_or_else(|e| panic!("{e:#}"));
        }
        session.run(&host).unwrap();
        session.advance(&host).unwrap();
        last(&session, "linf")
    };
    for method in ["fgsm", "mi_fgsm"] {
        let (share, levels) = (end(method, &["epsilon=6", "step=0.25eps"]), end(method, &["epsilon=6", "step=1.5"]));
        assert_eq!(share, levels, "{method}");
        assert!((share - 1.5).abs() < 1e-4, "{method}: {share}");
        assert!((end(method, &["step=0.5 eps", "epsilon=4"]) - 2.0).abs() < 1e-4, "in either order");
    }
    let mut session = session(&host);
    session.open(host.method("fgsm").unwrap());
    let refused = |session: &mut Session, pair: (&str, &str)| format!("{:#}", session.set(pair.0, pair.1).unwrap_err());
    assert!(refused(&mut session, ("epsilon", "0.5eps")).contains("relative to epsilon"));
    assert!(refused(&mut session, ("step", "-1eps")).contains("a number from 0"));
    assert!(refused(&mut session, ("step", "naneps")).contains("a number from 0"));
}

#[test]
fn l0_is_counted_in_values_and_in_pixels() {
    let told = answer(
        "let d = zeros([1, 3, 2, 2]).flatten().to_array();
         let d = tensor([0.0, 0.1, 0.0, 0.0, 0.0, -0.2, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0]).reshape([1, 3, 2, 2]);
         [d.norm(0), (d.abs().max(1) > 0.0).sum()]",
    );
    assert_eq!(told, "[3.0, 2.0]");
    let host = host();
    let mut session = session(&host);
    session.open(host.method("one_pixel").unwrap());
    session.set("pixels", "2").unwrap();
    session.set("stop", "false").unwrap();
    session.run(&host).unwrap();
    assert!(last(&session, "l0_pixels") <= 2.0 && last(&session, "l0") > last(&session, "l0_pixels"));
}

#[test]
fn examples_of_each_epsilon_are_gray_and_captioned_with_the_prediction() {
    let host = host();
    let digits = Architectures::new(Folders::models(None).embedded_only(), host.guard()).open("digits", None).unwrap();
    let set = synthetic::open("digits").unwrap();
    let x = set.batch(&[0], &digits.card.preprocess()).unwrap();
    let mut session = Session::new(&host, digits, "digits", x).unwrap();
    session.set_data(Data::of(set));
    session.open(host.method("fgsm_curve").unwrap());
    for (name, value) in [("count", "40"), ("epsilons", "0 96"), ("examples", "3")] {
        session.set(name, value).unwrap();
    }
    session.run(&host).unwrap();
    while session.can_go_on() {
        session.advance(&host).unwrap();
    }
    let frame = session.view(&host).unwrap();
    let figure = frame.figures.iter().find(|f| f.title == "examples").unwrap();
    let Body::Montage { tiles, captions, columns, .. } = &figure.body else { panic!("no montage") };
    assert_eq!((&tiles.shape[..2], *columns, captions.len()), (&[6, 3][..], 3, 6));
    let plane = tiles.shape[2] * tiles.shape[3];
    assert_eq!(tiles.data[..plane], tiles.data[plane..2 * plane], "gray: red is green");
    let changed = |caption: &String| {
        let (was, is) = caption.lines().last().unwrap().split_once(" → ").unwrap();
        was != is
    };
    assert!(captions[..3].iter().all(|c| c.starts_with("ε 0\n") && !changed(c)), "{captions:?}");
    assert!(captions[3..].iter().all(|c| c.starts_with("ε 96\n") && changed(c)), "{captions:?}");
}
