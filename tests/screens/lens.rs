//! Scale, opacity, zoom and values of the pictures on the screen.

use crate::session::{asked, happen, opened, press, tell, write};
use gradscope::render::{Body, Rescale, Scale};
use gradscope::tui::event::{Event, Mouse};
use gradscope::tui::state::{Pane, State};

fn scale(state: &State) -> Scale {
    match state.visible.figures[0].figure.body {
        Body::Map { scale, .. } => scale,
        ref other => panic!("{other:?} is no map"),
    }
}

#[test]
fn the_map_scale_is_switched_and_named() {
    let mut state = opened(140, 40);
    let own = scale(&state);
    press(&mut state, "Y Y");
    assert_eq!((state.lens.scale, scale(&state)), (Rescale::Symmetric, Scale::Symmetric));
    press(&mut state, "Y Y Y");
    assert_eq!(scale(&state), own);
    press(&mut state, ":");
    write(&mut state, "scale shared");
    press(&mut state, "Enter");
    assert!(matches!(scale(&state), Scale::Fixed(..)));
}

#[test]
fn a_click_reads_a_value_and_the_arrows_move_on() {
    let mut state = opened(140, 40);
    happen(&mut state, Event::Pointed(Mouse::Press, 0.5, 0.5));
    assert_eq!((state.focus, state.lens.mark), (Pane::FIGURES, Some((0.5, 0.5))));
    let view = state.view;
    press(&mut state, "Right Down");
    let mark = state.lens.mark.unwrap();
    assert_eq!(((mark.0 * 16.0) as i32, (mark.1 * 16.0) as i32, state.view), (9, 9, view));
    press(&mut state, "Esc Right");
    assert_eq!(state.lens.mark, None);
    assert_ne!(state.view, view, "without a ring the arrows turn the views");
}

#[test]
fn the_wheel_zooms_at_the_pointer_and_zero_resets() {
    let mut state = opened(140, 40);
    (0..4).for_each(|_| drop(happen(&mut state, Event::Pointed(Mouse::WheelUp, 0.0, 1.0))));
    assert_eq!((state.lens.zoom.round(), state.lens.place((0.0, 1.0))), (4.0, (0.0, 1.0)));
    press(&mut state, "0");
    assert_eq!((state.lens.zoom, state.lens.center), (1.0, (0.5, 0.5)));
}

#[test]
fn the_zoom_persists_across_results() {
    let mut state = opened(140, 40);
    press(&mut state, "+ +");
    let lens = state.lens;
    let effects = press(&mut state, "r");
    assert_eq!(asked(&effects).len(), 1);
    tell(&mut state, gradscope::worker::message::Update::Frame(crate::session::map_frame(1)));
    assert_eq!(state.lens, lens);
}
