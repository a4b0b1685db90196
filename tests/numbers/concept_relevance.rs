//! Concept relevance propagation against zennit-crp on the tiny network, and its conservation laws.
//!
//! The expected values are in `tests/fixtures/crp.json`, written by `scripts/reference/concept_relevance.py`.

use super::attention::assert_near;
use super::zoo::numbers;
use crate::common::{finished, host, picture, tiny};
use gradscope::data::Dataset;
use gradscope::render::{Body, Figure};
use gradscope::script::method::data::Data;
use gradscope::script::session::Session;
use serde_json::Value;

/// Largest difference relative to the largest value.
const TOLERANCE: f64 = 1e-4;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/crp.json")).unwrap()
}

/// The figures of the last step of a method, for the class of the fixture; the data set has five pictures, one of each class.
fn figures(method: &str, set: &[(&str, &str)]) -> Vec<Figure> {
    let host = host();
    let mut session = Session::new(&host, tiny(), "picture", picture()).unwrap();
    let pixels = (0..5 * 192).map(|i: usize| (i * (i + 37) % 251) as u8).collect();
    session.set_data(Data::of(Dataset::of_bytes("five", vec![], [3, 8, 8], pixels, (0..5).collect()).unwrap()));
    session.set_target(fixture()["class"].as_u64().map(|class| class as usize)).unwrap();
    session.open(host.method(method).unwrap());
    set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
    finished(&host, &mut session).unwrap_or_else(|e| panic!("{method} {set:?}: {e:#}"))
}

fn rows(figures: &[Figure], title: &str) -> Vec<Vec<String>> {
    let figure = figures.iter().find(|f| f.title == title).unwrap_or_else(|| panic!("no figure \"{title}\""));
    let Body::Table { rows, .. } = &figure.body else { panic!("\"{title}\" is not a table") };
    rows.clone()
}

/// The column `column` of the table of channels, in the order of the channels.
fn by_channel(figures: &[Figure], column: usize) -> Vec<f64> {
    let mut rows = rows(figures, "channels");
    rows.sort_by_key(|row| row[1].parse::<usize>().unwrap());
    rows.iter().map(|row| row[column].parse().unwrap()).collect()
}

/// A map of the picture, summed over colors.
fn map(figures: &[Figure], title: &str) -> Vec<f64> {
    let values = figures.iter().find(|f| f.title == title).unwrap().values().unwrap();
    let color = |c: usize, i: usize| f64::from(values.data[64 * c + i]);
    (0..64).map(|i| color(0, i) + color(1, i) + color(2, i)).collect()
}

#[test]
fn channels_and_their_heatmaps_are_those_of_zennit_crp() {
    for (composite, cases) in fixture()["cases"].as_object().unwrap() {
        for case in cases.as_array().unwrap() {
            let (within, layer) = (case["within"].as_str().unwrap(), case["layer"].as_str().unwrap());
            let set = [("composite", composite.as_str()), ("within", within), ("layer", layer), ("channels", "top 64")];
            let figures = figures("crp", &set);
            let what = format!("{composite}, {layer} within \"{within}\"");
            assert_near(
                &format!("{what}, relevance"),
                &by_channel(&figures, 2),
                &numbers(&case["relevance"]),
                TOLERANCE,
            );
            assert_near(&format!("{what}, share"), &by_channel(&figures, 3), &numbers(&case["share"]), TOLERANCE);
            let count = by_channel(&figures, 1).len();
            let every_second = |i: &usize| (i / 8).is_multiple_of(2) && i.is_multiple_of(2);
            let ours = (0..count).flat_map(|c| {
                let map = map(&figures, &format!("channel {c}"));
                (0..64).filter(every_second).map(move |i| map[i])
            });
            assert_near(
                &format!("{what}, heatmaps"),
                &ours.collect::<Vec<_>>(),
                &numbers(&case["heatmaps"]),
                TOLERANCE,
            );
        }
    }
}

#[test]
fn the_heatmaps_of_all_channels_add_up_to_the_whole_relevance() {
    for (layer, within) in [("pool1", ""), ("conv2", ""), ("pool1", "relu2:3"), ("pool1", "relu2:0..2 > conv2:1")] {
        let figures = figures("crp", &[("layer", layer), ("within", within), ("channels", "0..3")]);
        let count = if layer == "conv2" { 6 } else { 4 };
        let every = format!("top {count}");
        let all = self::figures("crp", &[("layer", layer), ("within", within), ("channels", every.as_str())]);
        let mut sum = vec![0.0; 64];
        for c in 0..count {
            sum.iter_mut().zip(map(&all, &format!("channel {c}"))).for_each(|(sum, v)| *sum += v);
        }
        assert_near(&format!("{layer} within \"{within}\""), &sum, &map(&all, "relevance"), TOLERANCE);
        assert_eq!(map(&figures, "channel 3"), map(&all, "channel 3"), "the choice of channels changes no map");
    }
}

#[test]
fn a_circuit_lists_what_the_same_conditions_give_one_by_one() {
    let circuit = rows(&figures("crp", &[("layer", "conv2"), ("below", "conv1 pool1"), ("width", "2")]), "circuit");
    assert!(circuit.len() > 6 && circuit.iter().any(|row| row[0].contains('>')), "{circuit:?}");
    for row in circuit {
        let set = [("within", row[0].as_str()), ("layer", row[1].as_str()), ("channels", row[2].as_str())];
        let alone = figures("crp", &set);
        let found = &rows(&alone, "channels")[0];
        assert_eq!((&row[2], &row[3], &row[4]), (&found[1], &found[2], &found[3]), "{row:?}");
    }
}

#[test]
fn the_most_relevant_and_most_active_pictures_are_those_of_zennit_crp() {
    for (how, expected) in fixture()["pictures"].as_object().unwrap() {
        let [by, positions, normalize]: [&str; 3] = how.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let set = [
            ("layer", "conv2"),
            ("channels", "0..5"),
            ("by", by),
            ("positions", positions),
            ("normalize", normalize),
            ("batch", "2"),
        ];
        let rows = rows(&figures("relevant_pictures", &set), "channels of conv2");
        let order: Vec<u64> = rows.iter().map(|row| row[2].parse().unwrap()).collect();
        let theirs = expected["order"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
        assert_eq!(order, theirs.map(|n| n.as_u64().unwrap()).collect::<Vec<_>>(), "{how}");
        let values: Vec<f64> = rows.iter().map(|row| row[row.len() - 1].parse().unwrap()).collect();
        assert_near(how, &values, &numbers(&expected["values"]), TOLERANCE);
    }
}

#[test]
fn wrong_conditions_are_explained() {
    let host = host();
    for (set, says) in [
        ([("layer", "pool1"), ("within", "conv2")], "is not a condition"),
        ([("layer", "pool1"), ("within", "conv2:9")], "has no channel 9"),
        ([("layer", "relu2"), ("within", "conv2:1")], "does not come before"),
        ([("layer", "conv2"), ("below", "relu2")], "does not come before"),
        ([("layer", "conv2"), ("channels", "most")], "is not an integer"),
    ] {
        let mut session = Session::new(&host, tiny(), "picture", picture()).unwrap();
        session.open(host.method("crp").unwrap());
        set.iter().for_each(|(name, value)| session.set(name, value).unwrap());
        let error = format!("{:#}", session.run(&host).unwrap_err());
        assert!(error.contains(says), "{set:?}: {error}");
    }
}
