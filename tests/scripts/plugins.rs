//! Every method that is shipped, on the tiny network: at its defaults and at every extreme of its parameters.

use crate::common::{host, session};
use gradscope::render::Figure;
use gradscope::script::host::Host;
use gradscope::script::message::{ParamKind, ParamRow};
use gradscope::script::session::Session;

/// Runs a method and, when it has steps, three of them.
fn run(session: &mut Session, host: &Host) -> anyhow::Result<Vec<Figure>> {
    let mut frame = session.run(host)?;
    for _ in 0..3 {
        if session.can_go_on() {
            frame = session.step(host)?;
        }
    }
    Ok(frame.figures)
}

/// The values at the edges of what a parameter may be.
fn extremes(row: &ParamRow) -> Vec<String> {
    match &row.kind {
        ParamKind::Number(low, high) | ParamKind::Pixels(low, high) => vec![low.to_string(), high.to_string()],
        ParamKind::Integer(low, high) => vec![low.to_string(), (*high).min(low + 20).to_string()],
        ParamKind::Switch => vec!["true".into(), "false".into()],
        // Another method is asked: whether each answers is held elsewhere.
        ParamKind::Choice(choices) if row.name == "method" => vec!["saliency".into(), choices[0].clone()],
        ParamKind::Choice(choices) => choices.clone(),
        ParamKind::Class => vec!["0".into(), "4".into(), "none".into()],
        ParamKind::Layer(_) => vec!["none".into(), "conv1".into(), "conv2".into()],
        ParamKind::Channel => vec!["none".into(), "0".into()],
        ParamKind::Text | ParamKind::Array | ParamKind::Pictures => vec![],
    }
}

#[test]
fn every_method_compiles_and_says_what_it_does() {
    let methods = host().methods();
    assert!(methods.len() >= 3);
    for row in methods {
        assert_eq!(row.broken, None, "{}: {}", row.name, row.summary);
        assert!(row.summary.len() > 10, "{} says nothing", row.name);
    }
}

/// What methods say that cannot be asked so; they are right.
const REFUSALS: [&str; 6] = [
    "a direction is a number for each channel",
    "a network that draws, such as style_transformer,",
    "already; choose another goal",
    "has no picture of class",
    "no picture of the data set is named as the goal, and a decision alone leads nowhere else",
    "the picture is named as the goal already",
];

#[test]
fn every_method_runs_at_its_defaults_and_at_every_extreme() {
    let host = host();
    for name in host.plugins().names() {
        let mut session = session(&host);
        session.open(host.method(&name).expect("it compiles"));
        let rows = session.params().rows(session.model());
        let cases = rows.iter().flat_map(|r| extremes(r).into_iter().map(|v| Some((r.name.clone(), v))));
        for case in [None].into_iter().chain(cases.collect::<Vec<_>>()) {
            session.open(host.method(&name).expect("it compiles"));
            if let Some((parameter, value)) = &case {
                session.set(parameter, value).unwrap_or_else(|e| panic!("{name}: {e:#}"));
            }
            let figures = match run(&mut session, &host) {
                Err(e) if REFUSALS.iter().any(|says| format!("{e:#}").contains(says)) => continue,
                answer => answer.unwrap_or_else(|e| panic!("{name} {case:?}: {e:#}")),
            };
            assert!(!figures.is_empty(), "{name} {case:?} shows nothing");
            for values in figures.iter().filter_map(Figure::values) {
                assert!(values.data.iter().all(|v| v.is_finite()), "{name} {case:?} has values that are no numbers");
            }
        }
    }
}

fn titles(name: &str) -> Vec<String> {
    let host = host();
    let mut session = session(&host);
    session.open(host.method(name).expect("it compiles"));
    run(&mut session, &host).expect("it runs").into_iter().filter(|f| f.values().is_some()).map(|f| f.title).collect()
}

#[test]
fn outputs_have_the_names_that_others_call() {
    for (name, outputs) in [
        ("saliency", vec!["gradient", "saliency"]),
        ("gradcam", vec!["cam", "cam_raw"]),
        ("fgsm", vec!["adversarial", "magnified", "perturbation"]),
    ] {
        let mut titles = titles(name);
        titles.sort();
        assert_eq!(titles, outputs, "{name}");
    }
}
