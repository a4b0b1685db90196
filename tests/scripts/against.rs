//! Explanations of attacks and defenses against them: linearity, rounding, defenses, interactive training.

use crate::common::{failure, host, method, picture, session, tiny, uniform};
use candle_core::{Device, Tensor};
use gradscope::graph::{Builder, op};
use gradscope::model::Model;
use gradscope::render::{Body, Figure};
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use gradscope::script::summary::Frame;

/// A linear network on pictures of the tiny network's size.
fn linear() -> Model {
    let mut b = Builder::new(&[3, 8, 8]);
    let x = b.add("flatten", op::Flatten, &[0]).unwrap();
    let x = b.add("fc", op::Linear { input: 192, output: 5, bias: true }, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let weights = graph.parameters().into_iter().map(|p| {
        let values = uniform(p.shape.len() as u64, p.shape.iter().product());
        (p.name, Tensor::from_vec(values, p.shape, &Device::Cpu).unwrap())
    });
    let graph = graph.with_weights(weights.collect()).unwrap();
    Model { graph: graph.into(), ..tiny() }
}

/// The test picture rounded to 8 bits.
fn in_bytes() -> Tensor {
    ((picture() * 255.0).unwrap().round().unwrap() / 255.0).unwrap()
}

/// A session with this method and these parameters, run to the end.
fn ended(host: &Host, mut session: Session, name: &str, set: &[(&str, &str)]) -> (Session, Frame) {
    session.open(host.method(name).unwrap());
    for (parameter, value) in set {
        session.set(parameter, value).unwrap();
    }
    let mut frame = session.run(host).unwrap();
    while session.can_go_on() {
        frame = session.step(host).unwrap();
    }
    (session, frame)
}

/// The numbers of the frame's first table, row by row; other cells are skipped.
fn table(figures: &[Figure]) -> Vec<Vec<f64>> {
    let rows = figures.iter().find_map(|f| if let Body::Table { rows, .. } = &f.body { Some(rows) } else { None });
    rows.unwrap().iter().map(|row| row.iter().filter_map(|cell| cell.parse().ok()).collect()).collect()
}

fn scalar(frame: &Frame, name: &str) -> Vec<f64> {
    frame.scalars.iter().find(|(n, _)| n == name).unwrap().1.clone()
}

#[test]
fn the_logit_of_a_linear_network_moves_by_w_eta() {
    let host = host();
    let session = Session::new(&host, linear(), "picture", picture()).unwrap();
    let rows = table(&ended(&host, session, "linear_explanation", &[]).1.figures);
    assert_eq!(rows.len(), 17);
    assert_eq!(rows[16][0], 192.0);
    for row in &rows {
        assert!((row[1] - row[2]).abs() < 1e-4 && row[3].abs() <= row[1].abs() + 1e-4, "{row:?}");
    }
    let bent =
        table(&ended(&host, crate::common::session(&host), "linear_explanation", &[("epsilon", "40")]).1.figures);
    assert!((bent[16][1] - bent[16][2]).abs() > 1e-3, "the tiny network is not linear: {:?}", bent[16]);
}

/// Two classes, scored by a linear function of the pixels: of their mean over all positions, or of each position separately.
fn two_classes(mean: bool) -> Model {
    let mut b = Builder::new(&[3, 8, 8]);
    let x = if mean {
        b.add("avgpool", op::GlobalAvgPool, &[0]).unwrap()
    } else {
        b.add("flatten", op::Flatten, &[0]).unwrap()
    };
    let x = b.add("fc", op::Linear { input: if mean { 3 } else { 192 }, output: 2, bias: false }, &[x]).unwrap();
    let graph = b.finish(x).unwrap();
    let weights = graph.parameters().into_iter().map(|p| {
        let values = uniform(7, p.shape.iter().product());
        (p.name, Tensor::from_vec(values, p.shape, &Device::Cpu).unwrap())
    });
    let graph = graph.with_weights(weights.collect()).unwrap();
    Model { graph: graph.into(), ..tiny() }
}

#[test]
fn a_network_that_averages_over_positions_is_equally_easy_to_fool_at_any_size() {
    let host = host();
    let flat = Tensor::new(&[0.5f32, 0.45, 0.55], &Device::Cpu).unwrap();
    let flat = flat.reshape((1, 3, 1, 1)).unwrap().broadcast_as((1, 3, 8, 8)).unwrap().contiguous().unwrap();
    let session = Session::new(&host, two_classes(true), "flat", flat).unwrap();
    let set = [("sizes", "2 8 40"), ("most", "128")];
    let rows = table(&ended(&host, session, "input_size", &set).1.figures);
    assert_eq!(rows.iter().map(|r| r[2]).collect::<Vec<_>>(), [12.0, 192.0, 4800.0]);
    for row in &rows {
        // width, height, values, margin, w·η, FGSM, if linear, L2/√n, L2
        assert!((row[5] - row[6]).abs() < 0.03 * row[6], "of a linear network both are margin / Σ|w|: {row:?}");
        assert!((row[5] - rows[0][5]).abs() < 0.03 * row[5] && (row[7] - rows[0][7]).abs() < 0.03 * row[7], "{rows:?}");
    }
}

#[test]
fn a_network_with_a_fixed_input_size_is_measured_at_that_size() {
    let host = host();
    let session = Session::new(&host, two_classes(false), "picture", picture()).unwrap();
    let figures = ended(&host, session, "input_size", &[("sizes", "4 16"), ("most", "128")]).1.figures;
    let rows = table(&figures);
    assert_eq!((rows.len(), rows[0][2]), (1, 192.0));
    let (margin, pull, fgsm, length) = (rows[0][3], rows[0][4], rows[0][5], rows[0][8]);
    assert!((fgsm - margin / pull).abs() < 0.03 * fgsm, "{rows:?}");
    let w = uniform(7, 384);
    let norm = (0..192).map(|i| f64::from(w[i] - w[192 + i]).powi(2)).sum::<f64>().sqrt();
    assert!((length - 255.0 * margin / norm).abs() < 0.03 * length, "‖η‖₂ = margin / ‖w‖₂: {rows:?}");
    let told = |f: &Figure| matches!(&f.body, Body::Text { text } if text.contains("4 by 4, 16 by 16"));
    assert!(figures.iter().any(told), "{figures:?}");
}

#[test]
fn below_half_a_level_rounding_restores_the_picture() {
    let host = host();
    let session = Session::new(&host, tiny(), "picture", in_bytes()).unwrap();
    let rows = table(&ended(&host, session, "below_one_level", &[]).1.figures);
    let (small, large): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row[0] < 0.5);
    assert!(small.iter().all(|row| row[2] == small[0][2] && row[3] == 0.0), "{small:?}");
    assert!(small.windows(2).all(|pair| pair[1][1] < pair[0][1]), "the attack grows with epsilon: {small:?}");
    assert!(large.iter().skip(1).all(|row| row[3] > 0.0), "{large:?}");
}

#[test]
fn bit_depth_limits_the_number_of_levels_and_defenses_are_chained() {
    let script = r#"
        import "lib/defence" as defence;
        const PLUGIN = #{ group: "test" };
        fn run(cx) {
            let two  = defence::pass(cx.input, "bit_depth 1");
            let four = defence::pass(cx.input, " bit_depth 2  median 3 ");
            let self = (cx.input * 3.0).round() / 3.0;
            [text(`${(two * (1.0 - two)).abs().max()} ${(four - self.median_filter(3)).abs().max()}`, "difference")]
        }"#;
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, script));
    let Body::Text { text } = &session.run(&host).unwrap().figures[0].body else { panic!("a text") };
    assert!(text.split(' ').all(|n| n.parse::<f64>().unwrap() < 1e-6), "{text}");
}

#[test]
fn an_unknown_defense_is_reported_with_the_available_ones() {
    let report = |said: &str| {
        let body = format!("import \"lib/defence\" as defence; defence::pass(cx.input, \"{said}\")");
        failure(&body).message
    };
    assert!(report("blur 3").contains("choose bit_depth, jpeg, median or gaussian"), "{}", report("blur 3"));
    assert!(report("jpeg").contains("name and strength"), "{}", report("jpeg"));
    assert!(report("jpeg high").contains("is not a strength"), "{}", report("jpeg high"));
    assert!(report("bit_depth 0").contains("1 to 16 bits"), "{}", report("bit_depth 0"));
}

#[test]
fn one_perturbation_stays_in_its_ball_and_reaches_its_goal() {
    let host = host();
    let set = [("epsilon", "100"), ("step", "10"), ("epochs", "30"), ("goal", "dog")];
    let (_, frame) = ended(&host, session(&host), "universal", &set);
    let delta = frame.figures.iter().find(|f| f.title == "perturbation").unwrap().values().unwrap();
    assert!(delta.data.iter().all(|v| v.abs() <= 100.0 / 255.0 + 1e-6));
    let rates = scalar(&frame, "fooled");
    assert!(rates.iter().rev().find(|r| r.is_finite()).is_some_and(|r| *r > 0.5), "{rates:?}");
}

#[test]
fn interactive_training_learns_and_its_steps_can_be_revisited() {
    let host = host();
    let set = [("epochs", "60"), ("batch", "5"), ("every", "10"), ("rate", "0.01"), ("count", "5")];
    let (mut session, frame) = ended(&host, session(&host), "training", &set);
    let (loss, accuracy) = (scalar(&frame, "loss"), scalar(&frame, "accuracy"));
    assert!(loss.last().unwrap() < &(loss[1] / 4.0) && accuracy.last() == Some(&1.0), "{loss:?} {accuracy:?}");
    let bits = |frame: &Frame| -> Vec<u32> {
        let gradient = frame.figures.iter().find(|f| f.title == "gradient").unwrap().values().unwrap();
        gradient.data.iter().map(|v| v.to_bits()).collect()
    };
    session.seek(&host, 2).unwrap();
    session.set("epsilon", "9").unwrap();
    session.set("epsilon", "8").unwrap();
    let mut again = session.step(&host).unwrap();
    while session.can_go_on() {
        again = session.step(&host).unwrap();
    }
    assert_eq!(bits(&again), bits(&frame));
}
