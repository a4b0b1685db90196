//! Zooming, panning and reading values with the keyboard and mouse.

use crate::tui::effect::Effect;
use crate::tui::event::Mouse;
use crate::tui::state::{Pane, State};

/// Center of the visible part of a picture.
const MIDDLE: (f32, f32) = (0.5, 0.5);

/// Zooms by `notches` around the mark, or around the center if there is no mark.
pub fn enlarge(state: &mut State, notches: i32) -> Vec<Effect> {
    let lens = &mut state.lens;
    let about = lens.mark.and_then(|mark| lens.seen(mark)).unwrap_or(MIDDLE);
    lens.enlarge(notches, about);
    if lens.zoom > 1.0 && state.focus != Pane::FIGURES {
        state.focus = Pane::FIGURES;
    }
    Vec::new()
}

/// Places the mark for reading values at the center of the visible part, or removes the mark if there is one.
pub fn inspect(state: &mut State) -> Vec<Effect> {
    state.focus = Pane::FIGURES;
    state.lens.mark = match state.lens.mark {
        Some(_) => None,
        None => Some(state.lens.place(MIDDLE)),
    };
    if state.lens.mark.is_some() {
        state.say("press I to stop; arrows or the mouse move the ring");
    }
    Vec::new()
}

/// Switches to the next color scale for heatmaps.
pub fn turn_scale(state: &mut State) -> Vec<Effect> {
    state.lens.scale = state.lens.scale.next();
    state.say(format!("map scale: {}", state.lens.scale.name()));
    Vec::new()
}

/// Changes the opacity of heatmaps over pictures by `by` steps of 10%. A negative `by` makes heatmaps more transparent.
pub fn strengthen(state: &mut State, by: i32) -> Vec<Effect> {
    let overlay = &mut state.lens.overlay;
    overlay.strength = ((overlay.strength * 10.0).round() + by as f32).clamp(0.0, 10.0) / 10.0;
    let percent = (overlay.strength * 100.0).round();
    state.say(format!("{percent:.0}% map over {:.0}% picture", 100.0 - percent));
    Vec::new()
}

/// Moves the mark or, without one, pans zoomed pictures. Returns false if there is neither a mark nor a zoom.
pub fn go(state: &mut State, x: i32, y: i32) -> bool {
    let size = state.picture.as_ref().and_then(|p| p.pixels.shape.get(1..3)).map_or((64, 64), |s| (s[1], s[0]));
    let lens = &mut state.lens;
    match (lens.mark, lens.zoom > 1.0) {
        (Some(_), _) => lens.move_mark((x, y), size),
        (None, true) => lens.pan((x as f32 / 8.0, y as f32 / 8.0)),
        (None, false) => return false,
    }
    true
}

/// Handles a mouse event on a picture: the wheel zooms around the pointer, a click reads the value, a second click at the same
/// position stops reading, and dragging draws a lasso.
pub fn point(state: &mut State, mouse: Mouse, seen: (f32, f32)) -> Vec<Effect> {
    let place = state.lens.place(seen);
    state.focus = Pane::FIGURES;
    match mouse {
        Mouse::WheelUp => state.lens.enlarge(1, seen),
        Mouse::WheelDown => state.lens.enlarge(-1, seen),
        Mouse::Press if state.lens.mark == Some(place) => state.lens.mark = None,
        Mouse::Press => (state.lens.mark, state.lasso) = (Some(place), vec![place]),
        Mouse::Drag => {
            state.lens.mark = Some(place);
            state.lasso.push(place);
        }
    }
    Vec::new()
}
