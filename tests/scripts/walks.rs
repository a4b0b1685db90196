//! Attacks stepped forward, backward and forward again, by jumps and with changed parameters: results are bit-identical.

use crate::common::{host, session};
use gradscope::script::host::Host;
use gradscope::script::session::Session;
use gradscope::script::summary::Frame;

/// Attacks with and without random numbers, configured to run for at least six steps.
const WALKS: [(&str, &[&str]); 4] = [
    ("fgsm", &["step=0.01", "random_start=true", "epsilon=1"]),
    ("pgd", &["stop=false", "epsilon=8"]),
    ("square", &["epsilon=0.5"]),
    ("mi_fgsm", &["stop=false", "epsilon=8"]),
];

fn begun(host: &Host, name: &str, set: &[&str]) -> Session {
    let mut session = session(host);
    session.open(host.method(name).unwrap());
    set.iter().for_each(|pair| change(&mut session, pair));
    session.run(host).unwrap();
    session
}

fn change(session: &mut Session, pair: &str) {
    let (name, value) = pair.split_once('=').unwrap();
    session.set(name, value).unwrap();
}

fn steps(session: &mut Session, host: &Host, count: usize) -> Frame {
    (0..count).map(|_| session.step(host).unwrap()).last().unwrap()
}

/// Names and the bits of their values.
type Named<T> = Vec<(String, Vec<T>)>;

/// The visible result of a step: the bits of its figures and scalars.
fn bits(frame: &Frame) -> (Named<u32>, Named<u64>) {
    let values = |f: &gradscope::render::Figure| {
        let values = f.values().map(|v| v.data.iter().map(|v| v.to_bits()).collect());
        (f.title.clone(), values.unwrap_or_default())
    };
    let numbers = |(name, curve): &(String, Vec<f64>)| (name.clone(), curve.iter().map(|v| v.to_bits()).collect());
    (frame.figures.iter().map(values).collect(), frame.scalars.iter().map(numbers).collect())
}

#[test]
fn a_state_is_bit_identical_however_it_was_reached() {
    let host = host();
    for (name, set) in WALKS {
        let straight = steps(&mut begun(&host, name, set), &host, 6);
        let mut session = begun(&host, name, set);
        steps(&mut session, &host, 4);
        session.seek(&host, 1).unwrap();
        steps(&mut session, &host, 2);
        session.seek(&host, 0).unwrap();
        session.seek(&host, 2).unwrap();
        // Changing a parameter and changing it back recomputes the stored steps.
        change(&mut session, "epsilon=3");
        steps(&mut session, &host, 1);
        session.seek(&host, 2).unwrap();
        set.iter().for_each(|pair| change(&mut session, pair));
        assert_eq!(bits(&steps(&mut session, &host, 4)), bits(&straight), "{name}");
    }
}

#[test]
fn continuing_with_another_epsilon_equals_a_fresh_run_with_that_schedule() {
    let host = host();
    for (name, set) in WALKS {
        let mut fresh = begun(&host, name, set);
        steps(&mut fresh, &host, 3);
        change(&mut fresh, "epsilon=0.25");
        let expected = steps(&mut fresh, &host, 2);
        let mut session = begun(&host, name, set);
        let whole = steps(&mut session, &host, 5);
        session.seek(&host, 3).unwrap();
        change(&mut session, "epsilon=0.25");
        let changed = steps(&mut session, &host, 2);
        assert_eq!(bits(&changed), bits(&expected), "{name}");
        assert_ne!(bits(&changed), bits(&whole), "{name} does not depend on epsilon");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_different_ones() {
    let host = host();
    for (name, set) in WALKS {
        let run = |seed| {
            let mut session = begun(&host, name, set);
            session.set_seed(seed);
            session.run(&host).unwrap();
            bits(&steps(&mut session, &host, 4))
        };
        assert_eq!(run(7), run(7), "{name}");
        assert!(name == "mi_fgsm" || run(7) != run(8), "{name} does not depend on the seed");
    }
}

#[test]
fn attacking_a_batch_equals_attacking_each_picture() {
    let script = r#"
        const PLUGIN = #{ group: "test" };
        fn run(cx) {
            let x     = cx.data.batch(0, 5);
            let asked = #{ input: x, target: [0, 1, 2, 3, 4], params: "PARAMS" };
            let alone = answer(cx, "NAME", asked).x;
            asked.together = true;
            let both  = answer(cx, "NAME", asked).x;
            [text(`${(alone - both).abs().max()} ${(alone - x).abs().max()}`, "difference")]
        }"#;
    let host = host();
    for (name, params) in
        [("fgsm", "epsilon=40 step=4"), ("pgd", "random_start=false epsilon=40"), ("mi_fgsm", "epsilon=20")]
    {
        let mut session = session(&host);
        session.open(crate::common::method(&host, &script.replace("NAME", name).replace("PARAMS", params)));
        let frame = session.run(&host).unwrap();
        let gradscope::render::Body::Text { text } = &frame.figures[0].body else { panic!("a text") };
        let numbers: Vec<f64> = text.split(' ').map(|n| n.parse().unwrap()).collect();
        assert!(numbers[0] < 1e-6 && numbers[1] > 1e-3, "{name}: {text}");
    }
}
