//! The views of a method's figures.

use super::gallery;
use crate::render::{Body, Figure};
use crate::script::summary::Frame;
use crate::tui::state::{State, View};

/// All available views with their names.
pub fn views(state: &State) -> Vec<(View, String)> {
    if let Some(views) = gallery::views(state) {
        return views;
    }
    let figures = seen(state);
    let mut views = Vec::new();
    if figures.len() > 1 || with_input(state) {
        views.push((View::All, "all".to_owned()));
    }
    for (index, figure) in figures.iter().enumerate() {
        views.push((View::One(index), figure.title.replace('_', " ")));
        if matches!(figure.body, Body::Map { over: Some(_), .. }) {
            views.push((View::Bare(index), "map alone".to_owned()));
        }
    }
    if state.picture.is_some() {
        views.push((View::Input, "input".to_owned()));
    }
    views
}

/// The current view: the one selected by the user if available, otherwise the first.
pub fn present(state: &State) -> Option<View> {
    let views = views(state);
    let wanted = views.iter().find(|(view, _)| *view == state.view);
    wanted.or(views.first()).map(|(view, _)| *view)
}

/// The view `by` positions after the current one, wrapping around.
pub fn turned(state: &State, by: i32) -> Option<View> {
    let views = views(state);
    let now = present(state)?;
    let at = views.iter().position(|(view, _)| *view == now)? as i32;
    views.get((at + by).rem_euclid(views.len() as i32) as usize).map(|(view, _)| *view)
}

/// Switches to the view `by` positions after the current one, wrapping around.
pub fn turn(state: &mut State, by: i32) {
    state.view = turned(state, by).unwrap_or_default();
}

/// Whether the model's input is shown beside the figures: if the first figure is a picture or a map over one, and no figure is the input.
pub fn with_input(state: &State) -> bool {
    let Some(input) = &state.picture else { return false };
    let figures = seen(state);
    let is_input =
        |figure: &&Figure| matches!(&figure.body, Body::Image { pixels } if pixels.data == input.pixels.data);
    let beside = |figure: &&Figure| matches!(figure.body, Body::Image { .. } | Body::Map { over: Some(_), .. });
    !state.run.foreign && figures.first().is_some_and(beside) && !figures.iter().any(is_input)
}

/// The model's input as a figure, with its ID.
pub fn input(state: &State) -> Option<(Figure, u64)> {
    let picture = state.picture.as_ref()?;
    let figure = Figure::new("input", Body::Image { pixels: picture.pixels.clone() });
    Some((figure, id(picture.id, 0, false)))
}

/// The ID of a figure of a run.
pub fn id(run: u64, index: usize, bare: bool) -> u64 {
    (run << 8) | ((index as u64) << 1) | u64::from(bare)
}

/// The figures of the current frame that are not shown in another panel.
pub fn seen(state: &State) -> Vec<&Figure> {
    state.run.frame.iter().flat_map(shown).collect()
}

/// The figures of a frame that are not shown in another panel.
pub fn shown(frame: &Frame) -> impl Iterator<Item = &Figure> {
    frame.figures.iter().filter(|f| !f.is_summary())
}
