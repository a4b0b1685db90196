//! Shows the pictures of the points under the mark of a scatter plot.

use crate::render::Body;
use crate::script::summary::Frame;
use crate::tui::effect::Effect;
use crate::tui::state::{ScatterView, State, VisibleFigure};

/// Maximum number of thumbnails for the points inside a lasso.
const SHOWN: usize = 6;
/// Maximum distance between the ends of a closed lasso, as a fraction of the plot's visible width or height.
const CLOSED: f32 = 0.08;

/// Requests thumbnails for the points under the mark if they have changed.
pub fn follow_mark(state: &mut State) -> Vec<Effect> {
    if state.lens.mark.is_none() {
        state.lasso.clear();
        return come_near(state).into_iter().collect();
    }
    let names = pointed(state);
    if names.iter().eq(state.pointed.iter().map(|(name, _)| name)) {
        return vec![];
    }
    let before = std::mem::take(&mut state.pointed);
    let seen = |name: String| {
        let image = before.iter().find(|(n, _)| *n == name).and_then(|(_, image)| image.clone());
        (name, image)
    };
    state.pointed = names.into_iter().map(seen).collect();
    let new = state.pointed.iter().filter(|(_, image)| image.is_none());
    new.map(|(name, _)| Effect::Preview(name.clone())).collect()
}

/// Opens the points' data set in advance, so that the first thumbnail appears quickly.
fn come_near(state: &mut State) -> Option<Effect> {
    state.pointed.clear();
    let frame = state.run.frame.as_ref()?;
    let data = frame.data.as_ref().filter(|data| state.near.as_ref() != Some(data))?;
    let first = has_points(frame).then(|| Effect::Preview(format!("{data}[0]")))?;
    state.near = Some(data.clone());
    Some(first)
}

fn has_points(frame: &Frame) -> bool {
    frame.figures.iter().any(|figure| matches!(figure.body, Body::Scatter { .. }))
}

/// Name of the picture of the point nearest to the mark, or names of the pictures of up to [`SHOWN`] points inside a closed lasso.
fn pointed(state: &State) -> Vec<String> {
    let frame = state.run.frame.as_ref().filter(|frame| has_points(frame));
    let Some((mark, frame)) = state.lens.mark.zip(frame) else { return vec![] };
    let Some(data) = &frame.data else { return vec![] };
    let of = |visible: &'_ VisibleFigure| match &visible.figure.body {
        Body::Scatter { points } => Some(points.clone()),
        _ => None,
    };
    let Some(points) = state.visible.figures.iter().find_map(of) else { return vec![] };
    let view = ScatterView::new(&points);
    let around = if is_closed(&state.lasso, state.lens.zoom) { view.within(&state.lasso) } else { vec![] };
    let count = around.len().min(SHOWN);
    let mut which: Vec<_> = (0..count).map(|k| around[k * around.len() / count]).collect();
    if which.is_empty() {
        which.extend(view.nearest(mark));
    }
    which.into_iter().map(|i| format!("{data}[{}]", points.picture(i))).collect()
}

fn is_closed(line: &[(f32, f32)], zoom: f32) -> bool {
    let ends = line.first().zip(line.last()).filter(|_| line.len() > 7);
    ends.is_some_and(|(a, b)| (a.0 - b.0).hypot(a.1 - b.1) * zoom < CLOSED)
}
