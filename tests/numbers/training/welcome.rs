//! The embedded networks, and the picture that the app shows first.

use crate::common::host;
use gradscope::data::{Dataset, synthetic};
use gradscope::model::{Model, evaluate};
use gradscope::render::Body;
use gradscope::script::architecture::Architectures;
use gradscope::script::folders::Folders;
use gradscope::script::host::Host;
use gradscope::script::session::Session;

/// The classes of the right objects in `made:welcome`; the labels are those of the left ones.
const RIGHT: [&str; 8] = ["star", "triangle", "cross", "disc", "square", "ring", "crescent", "bolt"];

fn own(host: &Host, name: &str) -> Model {
    Architectures::new(Folders::models(None).embedded_only(), host.guard()).open(name, None).unwrap()
}

/// The first pictures of a set.
fn first(set: &Dataset, count: usize) -> Dataset {
    let shape = set.picture(0).unwrap().shape().unwrap();
    let preprocess = gradscope::data::Preprocess::bilinear(shape, None);
    let numbers: Vec<_> = (0..count).collect();
    let values = set.batch(&numbers, &preprocess).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let pixels = values.into_iter().map(|v| (v * 255.0).round() as u8).collect();
    let labels = numbers.iter().map(|&i| set.label(i)).collect();
    Dataset::of_bytes(&set.name, set.classes.clone(), shape, pixels, labels).unwrap()
}

/// The fraction of a class's Grad-CAM that lies in the left half of a picture of `made:welcome`.
fn left_share(host: &Host, model: &Model, picture: usize, class: usize) -> f32 {
    let x = synthetic::open("welcome").unwrap().batch(&[picture], &model.card.preprocess()).unwrap();
    let mut session = Session::new(host, model.clone(), "made:welcome", x).unwrap();
    session.set_target(Some(class)).unwrap();
    session.open(host.method("gradcam").unwrap());
    let frame = session.run(host).unwrap();
    let Body::Map { values, .. } = &frame.figures[0].body else { panic!("no map") };
    let left: f32 = values.data.chunks_exact(128).flat_map(|row| &row[..64]).sum();
    left / values.data.iter().sum::<f32>()
}

#[test]
fn the_embedded_networks_classify_their_own_pictures() {
    let host = host();
    for (name, count, least) in [("digits", 500, 0.98), ("shapes", 300, 0.95)] {
        let set = first(&synthetic::open(name).unwrap(), count);
        let model = own(&host, name);
        assert_eq!(*model.card.labels, set.classes, "{name}");
        let accuracy = evaluate(&model, &set, &mut |_| Ok(())).unwrap().accuracy();
        assert!(accuracy > least, "{name}: {accuracy}");
    }
}

#[test]
fn the_heatmap_moves_to_the_object_of_the_target_class() {
    let host = host();
    let model = own(&host, "shapes");
    let set = synthetic::open("welcome").unwrap();
    for (i, name) in RIGHT.iter().enumerate() {
        let (left, right) = (set.label(i), set.classes.iter().position(|c| c == name).unwrap());
        let (on_left, on_right) = (left_share(&host, &model, i, left), left_share(&host, &model, i, right));
        assert!(on_left > 0.6 && on_right < 0.4, "picture {i}: {on_left} and {on_right} in the left half");
        assert!(i > 0 || (on_left > 0.8 && on_right < 0.2), "the first picture: {on_left} and {on_right}");
    }
}
