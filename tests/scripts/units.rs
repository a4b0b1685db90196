//! Figures are shown in the unit and with the channels that scripts declare; perturbations are shown in 1/255.

use crate::common::{failure, finished, host, method, one_shot, session};
use gradscope::render::{Body, Channels, Figure, caption, range, read};

fn shown(body: &str) -> Vec<Figure> {
    let host = host();
    let mut session = session(&host);
    session.open(method(&host, &one_shot(body)));
    finished(&host, &mut session).unwrap()
}

#[test]
fn a_figure_is_shown_in_its_unit_and_keeps_its_raw_values() {
    let figures =
        shown("[signed(tensor([[[0.02, -0.01]], [[-0.04, 0.0]]]), \"d\", #{ channels: \"largest\" }).unit(\"1/255\")]");
    let [figure] = &figures[..] else { panic!("one figure") };
    assert_eq!(figure.quantity.channels, Channels::Largest);
    assert_eq!(figure.values().unwrap().data[..], [0.02, -0.01, -0.04, 0.0]);
    assert_eq!(read(figure, (0.0, 0.0)).unwrap().to_string(), "0,0 = -10.2/255");
    assert_eq!(caption(figure), "d  -10.2 to 5.1/255, symmetric, largest of 2 channels");
    let figures = shown("[heatmap(tensor([[1.0, 2.0]]), \"d\").unit(\"logits\")]");
    assert_eq!(caption(&figures[0]), "d  1 to 2 logits, min to max");
}

#[test]
fn a_magnified_picture_is_read_at_its_true_size() {
    let figures =
        shown("[image(tensor([[[0.0, 1.0]], [[0.5, 0.5]], [[0.5, 0.75]]]), \"m\").unit(\"1/255\", 0.5, 16.0 / 255.0)]");
    assert_eq!(read(&figures[0], (0.9, 0.0)).unwrap().to_string(), "1,0 = 8 0 4 /255");
}

#[test]
fn an_unknown_reduction_is_an_error_that_names_the_known_ones() {
    let report = failure("[signed(cx.input, \"d\", #{ channels: \"mean\" })]");
    assert!(report.message.contains("\"sum\", \"largest\"") && report.message.contains("mean"), "{}", report.message);
}

#[test]
fn every_attack_shows_its_perturbation_in_units_of_1_255() {
    let host = host();
    let (mut seen, mut read_in_255) = (0, 0);
    for name in [
        "fgsm",
        "pgd",
        "mi_fgsm",
        "momentum_l2",
        "apgd",
        "deepfool",
        "cw",
        "fab",
        "square",
        "spsa",
        "one_pixel",
        "jsma",
    ] {
        let mut session = session(&host);
        session.open(host.method(name).unwrap());
        let mut frame = session.run(&host).unwrap();
        for _ in 0..3 {
            if session.can_go_on() {
                frame = session.step(&host).unwrap();
            }
        }
        for figure in frame.figures.iter().filter(|f| ["perturbation", "magnified"].contains(&&*f.title)) {
            assert_eq!(
                figure.quantity.unit.as_ref().map(|unit| &*unit.name),
                Some("1/255"),
                "{name}: {}",
                figure.title
            );
            assert!(read(figure, (0.5, 0.5)).unwrap().to_string().ends_with("/255"), "{name}");
            read_in_255 += 1;
            if let Body::Map { values, .. } = &figure.body {
                let largest = values.data.iter().fold(0f32, |most, v| most.max(v.abs()));
                assert_eq!(range(figure).unwrap().high, largest, "{name}: the scale ends at the largest change");
                seen += 1;
            }
        }
    }
    assert!(seen == 12 && read_in_255 > seen, "{seen} perturbations, {read_in_255} figures");
}
