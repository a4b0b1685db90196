//! Units under the ring: switching them off, and choosing a cell to set a parameter.

use crate::drawing::screen;
use crate::session::*;
use gradscope::render::{Array, Body, Cells, Figure, Scale};
use gradscope::tui::state::State;
use gradscope::worker::message::{Command, Update};

/// The app with a 2 x 2 montage of channels, and a map divided into 2 x 2 positions.
fn opened_units(busy: bool) -> State {
    let mut state = opened(140, 40);
    let values = |count: usize| (0..count).map(|i| i as f32).collect::<Vec<_>>();
    let strings = |what: &str| (0..4).map(|i| format!("{what}{i}")).collect::<Vec<_>>();
    let cells = Cells { units: strings("stem:channel="), ..Cells::default() };
    let tiles = Body::Montage {
        tiles: Array::new(vec![4, 40, 40], values(6400)).unwrap(),
        scale: Scale::Range,
        each: false,
        columns: 2,
        marked: None,
        captions: vec![],
        shown: 4,
        of: 4,
        frames: vec![],
        cells,
    };
    let cells = Cells { grid: [2, 2], parameter: "strength".into(), values: strings("0."), ..Cells::default() };
    let map = Body::Map {
        values: Array::new(vec![16, 16], values(256)).unwrap(),
        scale: Scale::Range,
        over: None,
        note: String::new(),
        cells,
    };
    let mut frame = map_frame(state.asked);
    frame.figures = vec![Figure::new("wall", tiles), Figure::new("map", map)];
    tell(&mut state, Update::Frame(frame));
    tell(&mut state, Update::Busy(busy));
    state
}

#[test]
fn x_switches_the_unit_under_the_ring_off_and_the_header_tells() {
    let mut state = opened_units(false);
    press(&mut state, "I");
    state.lens.mark = Some((0.75, 0.25));
    let unit = "stem:channel=1";
    assert_eq!(asked(&press(&mut state, "x")), [Command::Ablate(Some(unit.into()))]);
    tell(&mut state, Update::Ablated(vec![unit.into()]));
    assert!(screen(&state).lines().next().unwrap().contains("stem:channel=1 off"), "{}", screen(&state));
    assert_eq!(asked(&press(&mut state, "x")), [Command::Ablate(Some(unit.into()))], "again restores it");
    tell(&mut state, Update::Ablated(vec![unit.into(), "stem:channel=2".into()]));
    assert!(screen(&state).lines().next().unwrap().contains("2 units off"));
    press(&mut state, ":");
    write(&mut state, "ablate");
    assert_eq!(asked(&press(&mut state, "Enter")), [Command::Ablate(None)]);
}

#[test]
fn x_without_a_unit_under_the_ring_cancels_or_explains() {
    let mut state = opened_units(false);
    press(&mut state, "3");
    assert!(asked(&press(&mut state, "x")).is_empty());
    assert!(state.toast.as_ref().unwrap().0.contains("press I and move the ring"), "{:?}", state.toast);
    let mut state = opened_units(true);
    press(&mut state, "3");
    assert_eq!(asked(&press(&mut state, "x")), [Command::Cancel]);
}

#[test]
fn enter_sets_the_parameter_of_the_position_under_the_ring() {
    let mut state = opened_units(false);
    press(&mut state, "I");
    state.lens.mark = Some((0.3, 0.9));
    assert_eq!(asked(&press(&mut state, "Enter")), [Command::Set("strength".into(), "0.2".into())]);
    assert!(!state.zoomed);
    state.lens.mark = None;
    press(&mut state, "Enter");
    assert!(state.zoomed, "without a ring, Enter maximizes");
}

#[test]
fn target_expressions_are_completed_word_by_word() {
    let mut state = opened_units(false);
    state.lens.mark = Some((0.5, 0.25));
    press(&mut state, ":");
    write(&mut state, "target bee @");
    press(&mut state, "Tab");
    assert!(screen(&state).contains(":target bee @ 8,4"), "the position under the ring:\n{}", screen(&state));
    let mut state = opened_units(false);
    press(&mut state, ":");
    write(&mut state, "target bee - b");
    press(&mut state, "Tab");
    assert!(screen(&state).contains(":target bee - bee"), "{}", screen(&state));
}
