//! Target expressions: their values against the definitions, their gradients against finite differences, and their errors.

use crate::common::{built, host, method, one_shot, picture};
use candle_core::{Device, Tensor};
use gradscope::model::Model;
use gradscope::render::Body;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::{Session, Target};
use gradscope::tensor::numbers;

fn classifier(host: &Host) -> Model {
    built(
        host,
        r#"["cat", "dog", "black - white"]"#,
        r#"x.conv("conv", 4, 3).relu("relu").flatten("flat").linear("fc", 3)"#,
    )
}

/// A segmentation network with scores of shape (1, 2, 4, 4).
fn segmentation(host: &Host) -> Model {
    built(host, r#"["road", "person"]"#, r#"x.conv("conv", 2, 3, #{ stride: 2, padding: 1 }).tanh("act")"#)
}

/// A detector with scores of shape (1, 36, 2): 36 boxes with two values each.
fn detector(host: &Host) -> Model {
    let build = r#"x.conv("conv", 2, 3).reshape("boxes", [2, 36]).permute("values", [0, 2, 1])"#;
    built(host, r#"["face", "hand"]"#, build)
}

fn input(model: &Model) -> Tensor {
    model.take(&picture()).unwrap()
}

/// The value of the network's output.
fn output(model: &Model) -> Tensor {
    model.graph.forward(&input(model)).unwrap().value(model.graph.output).unwrap().clone()
}

fn value(model: &Model, target: &str) -> f64 {
    model.with_target(target).unwrap_or_else(|e| panic!("{target}: {e:#}")).value(&input(model)).unwrap()
}

fn error(model: &Model, target: &str) -> String {
    format!("{:#}", model.with_target(target).err().unwrap_or_else(|| panic!("{target} is accepted")))
}

fn close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-9 * expected.abs().max(1.0), "{what}: {found} instead of {expected}");
}

#[test]
fn expressions_have_the_values_of_their_definitions() {
    let host = host();
    let model = classifier(&host);
    let z = numbers(&output(&model)).unwrap();
    close(value(&model, "cat - dog"), z[0] - z[1], "difference");
    close(value(&model, "- 2 + cat"), z[0] - z[2], "sum");
    close(value(&model, "\"black - white\" - 0"), z[2] - z[0], "quoted");
    close(value(&model, "output 1"), z[1], "output");

    let model = segmentation(&host);
    let map = output(&model);
    let at = |class: usize, y: usize, x: usize| {
        numbers(&map.get(0).unwrap().get(class).unwrap().get(y).unwrap()).unwrap()[x]
    };
    close(value(&model, "person @ 5,2"), at(1, 1, 2), "point");
    close(value(&model, "person @ 0,0 - road @ 7,7"), at(1, 0, 0) - at(0, 3, 3), "difference of points");
    let mean = (at(0, 0, 1) + at(0, 1, 1) + at(0, 2, 1)) / 3.0;
    close(value(&model, "road @ 2,0,3,5"), mean, "box");
    let most = (0..16).map(|i| at(1, i / 4, i % 4)).fold(f64::NEG_INFINITY, f64::max);
    close(value(&model, "max person"), most, "maximum");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mask.png");
    // Two pixels of one position, and one of another; a dark pixel does not count.
    let mut mask = image::GrayImage::new(8, 8);
    for (x, y, bright) in [(0, 0, 255), (1, 0, 200), (6, 7, 255), (4, 4, 90)] {
        mask.put_pixel(x, y, image::Luma([bright]));
    }
    mask.save(&file).unwrap();
    let masked = (2.0 * at(1, 0, 0) + at(1, 3, 3)) / 3.0;
    close(value(&model, &format!("person in {}", file.display())), masked, "mask");

    let model = detector(&host);
    let boxes = numbers(&output(&model)).unwrap();
    let most = boxes.iter().skip(1).step_by(2).copied().fold(f64::NEG_INFINITY, f64::max);
    close(value(&model, "max hand"), most, "maximum over boxes");
}

#[test]
fn similarity_is_the_cosine_of_outputs() {
    let host = host();
    let model = classifier(&host);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, shape: &[usize], values: &[f32]| {
        let file = folder.path().join(name);
        let head = format!(
            "{{'descr': '<f4', 'fortran_order': False, 'shape': {}, }}\n",
            match shape {
                [n] => format!("({n},)"),
                _ => format!("({}, {})", shape[0], shape[1]),
            }
        );
        let numbers: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let bytes = [b"\x93NUMPY\x01\x00", &(head.len() as u16).to_le_bytes()[..], head.as_bytes(), &numbers].concat();
        std::fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_string()
    };
    let z = numbers(&output(&model)).unwrap();
    let length = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let other = [1.0, -2.0, 0.5];
    let dot: f64 = z.iter().zip(other).map(|(a, b)| a * b).sum();
    let cosine = dot / length(&z) / length(&other);
    let (vector, matrix) =
        (write("v.npy", &[3], &[1.0, -2.0, 0.5]), write("m.npy", &[2, 3], &[9.0, 9.0, 9.0, 1.0, -2.0, 0.5]));
    close(value(&model, &format!("text:{vector}")), cosine, "vector");
    close(value(&model, &format!("text:{matrix}[1]")), cosine, "row");
    assert!(error(&model, &format!("text:{matrix}")).contains("choose one"));
    assert!(error(&model, &format!("text:{matrix}[2]")).contains("no row 2"));
    let short = write("s.npy", &[2], &[1.0, 2.0]);
    assert!(error(&model, &format!("text:{short}")).contains("3"));
    let zero = write("z.npy", &[3], &[0.0; 3]);
    assert!(error(&model, &format!("text:{zero}")).contains("no direction"));

    // A picture is as similar to itself as can be.
    let file = folder.path().join("same.png");
    let pixels: Vec<u8> = (0..192).map(|i| (i * 7 % 256) as u8).collect();
    image::RgbImage::from_vec(8, 8, pixels).unwrap().save(&file).unwrap();
    let (_, same) = gradscope::data::source::picture(file.to_str().unwrap()).unwrap();
    let same = model.take(&model.card.preprocess().apply(&same, false).unwrap()).unwrap();
    let head = model.with_target(&format!("like:{}", file.display())).unwrap();
    close(head.value(&same).unwrap(), 1.0, "a picture and itself");
    assert!(head.value(&input(&model)).unwrap() < 1.0);
}

#[test]
fn gradients_of_expressions_agree_with_finite_differences() {
    let host = host();
    let targets = [
        (classifier(&host), "cat - dog"),
        (segmentation(&host), "person @ 5,2"),
        (segmentation(&host), "road @ 2,0,3,5 - max person"),
        (detector(&host), "max face"),
    ];
    for (model, target) in targets {
        let mut session = Session::new(&host, model.clone(), "drawn", picture()).unwrap();
        session.set_target_text(target).unwrap();
        session.open(method(
            &host,
            &one_shot("signed(backward(cx.model.forward(cx.input), logit(cx.target)).input, \"g\")"),
        ));
        let frame = session.run(&host).unwrap_or_else(|e| panic!("{target}: {e:#}"));
        let values = frame.figures.iter().find_map(|f| match &f.body {
            Body::Map { values, .. } => Some(values.data.clone()),
            _ => None,
        });
        let gradient = values.unwrap();
        let head = session.expression().unwrap().clone();
        let x = numbers(&input(&model)).unwrap();
        for at in [0, 37, 100, 191] {
            let moved = |by: f64| {
                let mut x = x.clone();
                x[at] += by;
                head.value(&Tensor::from_vec(x, (1, 3, 8, 8), &Device::Cpu).unwrap()).unwrap()
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let found = f64::from(gradient[at]);
            assert!((found - slope).abs() < 1e-4 * slope.abs().max(1.0), "{target}, pixel {at}: {found} and {slope}");
        }
    }
}

#[test]
fn what_a_network_does_not_have_is_an_error_that_says_what_would_work() {
    let host = host();
    let (classes, map, boxes) = (classifier(&host), segmentation(&host), detector(&host));
    for (model, target, says) in [
        (&classes, "cat @ 1,1", "give only the class"),
        (&classes, "max cat", "give only the class"),
        (&classes, "cat - cow", "cow"),
        (&classes, "output 3", "0 to 2"),
        (&map, "person", "CLASS @ X,Y"),
        (&map, "person - road", "CLASS @ X,Y"),
        (&map, "person @ 8,0", "8 x 8"),
        (&map, "@ 1,1", "name a class"),
        (&map, "person in nowhere.png", "nowhere.png"),
        (&map, "like:nowhere.png", "nowhere.png"),
        (&boxes, "face @ 1,1", "max CLASS"),
    ] {
        let error = error(model, target);
        assert!(error.contains(says), "{target}: {error}");
    }
}

#[test]
fn a_session_keeps_its_expression_for_other_pictures_and_drops_it_for_other_networks() {
    let host = host();
    let model = classifier(&host);
    let mut session = Session::new(&host, model.clone(), "drawn", picture()).unwrap();
    session.set_target_text("dog").unwrap();
    assert_eq!(session.chosen(), Some(Target::Class(1)));
    session.set_target_text("black - white").unwrap();
    assert_eq!(session.chosen(), Some(Target::Class(2)), "the name of a class comes first");
    session.set_target_text("cat - dog").unwrap();
    assert_eq!(session.chosen(), Some(Target::Expression("cat - dog".into())));
    assert_eq!(session.target(), None);
    session.replace(&host, model, "other", (picture() * 0.5).unwrap()).unwrap();
    assert_eq!(session.expression().map(|head| &*head.text), Some("cat - dog"));
    session.replace(&host, segmentation(&host), "drawn", picture()).unwrap();
    assert_eq!(session.chosen(), None);
    assert!(format!("{:#}", session.set_target_text("cow").unwrap_err()).contains("no class named"));
}

#[test]
fn coordinates_are_refused_for_pictures_of_another_size() {
    let host = host();
    let model = segmentation(&host);
    let large = |h, w| Tensor::full(0.5f32, (1, 3, h, w), &Device::Cpu).unwrap();
    for (h, w) in [(16, 16), (8, 12)] {
        let mut session = Session::new(&host, model.clone(), "large", large(h, w)).unwrap();
        let error = format!("{:#}", session.set_target_text("person @ 5,2 - max road").unwrap_err());
        assert!(error.contains("8 x 8") && error.contains(&format!("{w} x {h}")), "{error}");
        session.set_target_text("max person").unwrap();
        session.replace(&host, model.clone(), "large", large(h, w)).unwrap();
        assert!(session.expression().is_some(), "a maximum has no coordinates");
    }
    let mut session = Session::new(&host, model.clone(), "drawn", picture()).unwrap();
    session.set_target_text("person @ 5,2").unwrap();
    session.replace(&host, model, "large", large(16, 16)).unwrap();
    assert_eq!(session.chosen(), None);
}

#[test]
fn the_methods_of_attribution_and_attacks_take_expressions() {
    let host = host();
    for (model, target) in
        [(classifier(&host), "cat - dog"), (segmentation(&host), "person @ 5,2"), (detector(&host), "max face")]
    {
        for name in ["saliency", "lrp", "occlusion", "integrated_gradients", "fgsm", "rise"] {
            let mut session = Session::new(&host, model.clone(), "drawn", picture()).unwrap();
            session.set_target_text(target).unwrap();
            session.open(host.method(name).unwrap());
            let run = session.run(&host);
            assert!(run.is_ok_and(|frame| !frame.figures.is_empty()), "{name} of {target}");
        }
    }
}

/// A trained network of the shared folder with one of its pictures.
#[test]
fn trained_detectors_and_segmentations_answer() {
    let Some(shared) = crate::common::shared::shared() else { return };
    let host = host();
    let architectures = Architectures::new(Folders::models(None).embedded_only(), host.guard());
    let open = |file: &str| architectures.tell(&shared.join("trained").join(file)).unwrap();
    for (file, target) in [
        ("deeplabv3_mnv2_voc_f16.safetensors", "12 @ 100,100"),
        ("deeplabv3_mnv2_voc_f16.safetensors", "12 @ 50,50,150,150"),
        ("selfie_segmentation_f16.safetensors", "@ 100,100"),
        ("yunet_n_face.safetensors", "max 0"),
        ("dscnn_speech_commands.safetensors", "2 - 3"),
    ] {
        let model = open(file);
        let input = model.take(
            &Tensor::full(0.5f32, (1, model.card.input[0], model.card.input[1], model.card.input[2]), &Device::Cpu)
                .unwrap(),
        );
        let head = model.with_target(target).unwrap_or_else(|e| panic!("{file}, {target}: {e:#}"));
        assert!(head.value(&input.unwrap()).unwrap().is_finite(), "{file}, {target}");
    }
}
