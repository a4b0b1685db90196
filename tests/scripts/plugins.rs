//! Every shipped method on the tiny network: at its defaults and at the extremes of its parameters.

use crate::common::{host, session};
use gradscope::render::Figure;
use gradscope::script::host::Host;
use gradscope::script::method::data::Data;
use gradscope::script::method::needs::Need;
use gradscope::script::session::Session;
use gradscope::script::summary::{ParamKind, ParamRow};
use std::path::{Path, PathBuf};

/// Runs a method and, if it has steps, three of them.
fn run(session: &mut Session, host: &Host) -> anyhow::Result<Vec<Figure>> {
    let mut frame = session.run(host)?;
    for _ in 0..3 {
        if session.can_go_on() {
            frame = session.step(host)?;
        }
    }
    Ok(frame.figures)
}

/// The extreme values of a parameter.
fn extremes(row: &ParamRow) -> Vec<String> {
    match &row.kind {
        ParamKind::Number(low, high) | ParamKind::Pixels(low, high) => vec![low.to_string(), high.to_string()],
        ParamKind::Integer(low, high) => vec![low.to_string(), (*high).min(low + 20).to_string()],
        ParamKind::Switch => vec!["true".into(), "false".into()],
        // The method that is called; every_method tests the others.
        ParamKind::Choice(choices) if row.name == "method" => vec!["saliency".into(), choices[0].clone()],
        ParamKind::Choice(choices) => choices.clone(),
        ParamKind::Class => vec!["0".into(), "4".into(), "none".into()],
        ParamKind::Layer(_) => vec!["none".into(), "conv1".into(), "conv2".into()],
        ParamKind::Channel => vec!["none".into(), "0".into()],
        ParamKind::Text | ParamKind::Array | ParamKind::Pictures => vec![],
    }
}

#[test]
fn every_method_compiles_and_has_a_summary() {
    let methods = host().methods();
    assert!(methods.len() >= 3);
    for row in methods {
        assert_eq!(row.broken, None, "{}: {}", row.name, row.summary);
        assert!(row.summary.len() > 10, "{} says nothing", row.name);
    }
}

/// The `//!` lines at the top of each shipped method, by file.
fn headers() -> Vec<(PathBuf, Vec<String>)> {
    let folder = |path: &Path| std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let groups = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins"));
    let groups = groups.into_iter().filter(|path| path.is_dir() && !path.ends_with("lib"));
    let files = groups.flat_map(|group| folder(&group)).filter(|path| path.extension().is_some_and(|e| e == "rhai"));
    let header = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().take_while(|line| line.starts_with("//!")).map(String::from).collect()
    };
    files.map(|path| (path.clone(), header(&path))).collect()
}

#[test]
fn every_method_says_what_it_cannot_tell_in_a_paragraph_of_one_line() {
    let all = headers();
    assert!(all.len() > 80, "{}", all.len());
    for (path, lines) in all {
        let is_limit = |line: &&String| line.starts_with("//! Limits: ");
        assert_eq!(lines.iter().filter(is_limit).count(), 1, "{}", path.display());
        assert!(is_limit(&&lines[2]) && lines[1] == "//!" && lines[3] == "//!", "{}", path.display());
        assert!(lines[2].chars().count() <= 110, "{}: {}", path.display(), lines[2]);
    }
}

/// Expected errors of methods that do not support the tiny network or a parameter value.
const REFUSALS: [&str; 11] = [
    "has no attention",
    "`inaudible` needs a network on waveforms",
    "read_as needs a network that reads letter by letter",
    "of=direction needs one value per channel",
    "drawing needs a network whose output has the size of its input",
    "already; choose another goal",
    "has no picture of the class",
    "has no picture of class",
    "no picture of the data set is classified as the goal, so there is no starting point",
    "the picture is named as the goal already",
    "the difference of a logit from itself is 0",
];

/// What a method says if something that it needs is missing, and how the list of methods says it.
const NEEDS: [(&str, &str); 3] = [
    ("needs a data set", "needs a data set"),
    ("has no attention", "needs attention"),
    ("needs a network on waveforms", "needs waveforms"),
];

#[test]
fn the_list_says_what_a_method_misses_before_it_is_run() {
    let host = host();
    let mut session = session(&host);
    session.set_data(Data::default());
    for row in host.methods() {
        session.open(host.method(&row.name).expect("it compiles"));
        let answer = session.run(&host).map_err(|e| format!("{e:#}"));
        let missing = |why: &String| NEEDS.iter().find(|(says, _)| why.contains(says)).map(|(_, listed)| *listed);
        let missing = answer.as_ref().err().and_then(missing);
        let listed = Need::first_unmet(&row.needs, session.model(), session.data());
        assert_eq!(listed, missing, "{}: {:?}", row.name, answer.err());
    }
}

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
            let long = figures.iter().find(|f| f.caption.chars().count() > 48);
            assert!(long.is_none(), "{name} {case:?} has a caption that is too long: {}", long.unwrap().caption);
            // Positions that no patch or mask covers have no value.
            let gaps = ["occlusion", "rise"].contains(&&*name);
            for values in figures.iter().filter_map(Figure::values) {
                let all = values.data.iter().all(|v| v.is_finite() || (gaps && v.is_nan()));
                assert!(all, "{name} {case:?} has non-finite values");
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
fn outputs_have_the_names_used_by_other_libraries() {
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

/// The final map of occlusion on the tiny network's 8x8 picture, and its progress message.
fn occluded(patch: usize, stride: usize) -> (Vec<f32>, String) {
    let host = host();
    let mut session = session(&host);
    session.open(host.method("occlusion").unwrap());
    session.set("patch", &patch.to_string()).unwrap();
    session.set("stride", &stride.to_string()).unwrap();
    let mut frame = session.run(&host).unwrap();
    while session.can_go_on() {
        frame = session.step(&host).unwrap();
    }
    let map = frame.figures.iter().find(|f| f.title == "heatmap").unwrap().values().unwrap().data.to_vec();
    let text = frame.figures.iter().find_map(|f| match &f.body {
        gradscope::render::Body::Text { text } => Some(text.clone()),
        _ => None,
    });
    (map, text.unwrap())
}

#[test]
fn pixels_that_no_patch_covers_have_no_value() {
    for (patch, stride) in [(1, 2), (2, 3), (3, 5), (2, 7), (1, 100), (3, 2), (8, 8), (5, 5), (16, 4)] {
        let (map, text) = occluded(patch, stride);
        let covered = |i: usize| (0..8).step_by(stride).any(|start| (start..start + patch).contains(&i));
        for (place, value) in map.iter().enumerate() {
            let seen = covered(place / 8) && covered(place % 8);
            assert_eq!(value.is_finite(), seen, "patch {patch}, stride {stride}: {value} at {place}");
        }
        let gaps = map.iter().filter(|v| v.is_nan()).count();
        let told = text.contains(&format!("{gaps} of 64 pixels are never covered"));
        assert_eq!(told, gaps > 0, "patch {patch}, stride {stride}: {text}");
        assert_eq!(gaps > 0, stride > patch, "patch {patch}, stride {stride}");
    }
}

#[test]
fn a_map_with_gaps_is_not_evaluated() {
    let host = host();
    let mut session = session(&host);
    session.open(host.method("sparseness").unwrap());
    session.set("method", "occlusion").unwrap();
    session.set("settings", "patch=1 stride=3").unwrap();
    let error = format!("{:#}", session.run(&host).err().unwrap());
    assert!(error.contains("the map has no value at 55 of 64 positions"), "{error}");
}
