//! The figures shown in the current view.

use super::comparison;
use super::gallery;
use super::views::{id, input, present, seen, with_input};
use crate::render::{Figure, rescale};
use crate::tui::state::{State, View, ViewKey, Visible, VisibleFigure};

/// Updates the visible figures if the view has changed. Value ranges are computed once per new figure and scale.
pub fn refresh(state: &mut State) {
    let key = key(state);
    if key != state.visible.key {
        let figures = visible(state);
        state.visible = Visible { key, figures };
    }
}

fn key(state: &State) -> ViewKey {
    let compared = comparison::compared(state).unwrap_or_default();
    ViewKey {
        frame: state.run.frame.as_ref().map(|_| state.run.id),
        picture: state.picture.as_ref().map(|p| p.id),
        view: state.view,
        scale: state.lens.scale,
        gallery: state.gallery.shown.as_ref().map(|shown| (shown.id, shown.complete())),
        compared: compared.into_iter().map(|(at, branch)| (at, branch.id)).collect(),
    }
}

fn visible(state: &State) -> Vec<VisibleFigure> {
    let mut figures = gallery::figures(state).or_else(|| comparison::figures(state)).unwrap_or_else(|| chosen(state));
    let mut all: Vec<_> = figures.iter_mut().map(|(figure, _)| figure).collect();
    rescale(&mut all, state.lens.scale);
    figures.into_iter().map(|(figure, id)| VisibleFigure::new(figure, id)).collect()
}

/// The figures of the current view with their IDs.
fn chosen(state: &State) -> Vec<(Figure, u64)> {
    let figures = seen(state);
    let one = |index: usize| figures.get(index).map(|f| ((*f).clone(), id(state.run.id, index, false)));
    let figure = match present(state) {
        Some(View::All) => {
            let input = input(state).filter(|_| with_input(state));
            return (0..figures.len()).filter_map(one).chain(input).collect();
        }
        Some(View::One(index)) => one(index),
        Some(View::Bare(index)) => figures.get(index).map(|f| (f.bare(), id(state.run.id, index, true))),
        Some(View::Input) => input(state),
        None => None,
    };
    figure.into_iter().collect()
}
