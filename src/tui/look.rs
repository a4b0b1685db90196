//! The views of a method's figures that one can turn to.

use super::branching;
use super::state::State;
use crate::render::{Body, Figure, rescale};
use crate::script::message::Frame;

/// Which figures are seen, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Look {
    /// All of them, side by side.
    #[default]
    All,
    /// The one of this number.
    One(usize),
    /// The same, without the picture below it.
    Bare(usize),
    /// The picture that the network sees.
    Input,
}

/// Something to be drawn in a part of the pane.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// What.
    pub figure: Figure,
    /// A number that changes when what is drawn does.
    pub id: u64,
}

/// The views there are, each with its name.
pub fn looks(state: &State) -> Vec<(Look, String)> {
    let figures = seen(state);
    let mut looks = Vec::new();
    if figures.len() > 1 {
        looks.push((Look::All, "all".to_owned()));
    }
    for (index, figure) in figures.iter().enumerate() {
        looks.push((Look::One(index), figure.title.clone()));
        if matches!(figure.body, Body::Map { over: Some(_), .. }) {
            looks.push((Look::Bare(index), "bare".to_owned()));
        }
    }
    if state.picture.is_some() {
        looks.push((Look::Input, "input".to_owned()));
    }
    looks
}

/// The view that is shown: the one wanted, else the first.
pub fn present(state: &State) -> Option<Look> {
    let looks = looks(state);
    let wanted = looks.iter().find(|(look, _)| *look == state.look);
    wanted.or(looks.first()).map(|(look, _)| *look)
}

/// The view so many places on.
pub fn turned(state: &State, by: i32) -> Option<Look> {
    let looks = looks(state);
    let now = present(state)?;
    let at = looks.iter().position(|(look, _)| *look == now)? as i32;
    looks.get((at + by).rem_euclid(looks.len() as i32) as usize).map(|(look, _)| *look)
}

/// What the present view shows.
pub fn exhibits(state: &State) -> Vec<Exhibit> {
    let mut exhibits = beside(state).unwrap_or_else(|| chosen(state));
    let mut figures: Vec<_> = exhibits.iter_mut().map(|e| &mut e.figure).collect();
    rescale(&mut figures, state.lens.scale);
    exhibits
}

fn chosen(state: &State) -> Vec<Exhibit> {
    let figures = seen(state);
    let of = |index: usize, figure: &Figure| Exhibit { figure: figure.clone(), id: id(state.run.id, index, false) };
    match present(state) {
        Some(Look::All) => figures.iter().enumerate().map(|(i, f)| of(i, f)).collect(),
        Some(Look::One(index)) => figures.get(index).map(|f| of(index, f)).into_iter().collect(),
        Some(Look::Bare(index)) => figures
            .get(index)
            .map(|f| Exhibit { figure: bare(f), id: id(state.run.id, index, true) })
            .into_iter()
            .collect(),
        Some(Look::Input) => input(state).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The figure that is looked at, and that of the same title in the other branch; of all the first.
fn beside(state: &State) -> Option<Vec<Exhibit>> {
    let other = state.branches.beside()?;
    let index = match present(state)? {
        Look::One(index) | Look::Bare(index) => index,
        Look::All => 0,
        Look::Input => return None,
    };
    let own = *seen(state).get(index)?;
    let theirs = other.frame.figures.iter().find(|f| f.title == own.title);
    let theirs = theirs.or_else(|| shown(&other.frame).next())?;
    let named = |figure: &Figure, branch: &str, id: u64| {
        let title = format!("{branch}: {}", figure.title);
        Exhibit { figure: Figure { title, body: figure.body.clone() }, id }
    };
    let name = branching::caption(state, state.run.frame.as_ref()?);
    Some(vec![
        named(own, &name, id(state.run.id, index, false)),
        named(theirs, &other.name, id(other.id, index, false)),
    ])
}

fn input(state: &State) -> Option<Exhibit> {
    let picture = state.picture.as_ref()?;
    let figure = Figure { title: picture.name.clone(), body: Body::Image { pixels: picture.pixels.clone() } };
    Some(Exhibit { figure, id: id(picture.id, 0, false) })
}

fn id(run: u64, index: usize, bare: bool) -> u64 {
    (run << 8) | ((index as u64) << 1) | u64::from(bare)
}

fn bare(figure: &Figure) -> Figure {
    let mut figure = figure.clone();
    if let Body::Map { over, .. } = &mut figure.body {
        *over = None;
    }
    figure
}

/// The figures that have no pane of their own.
fn seen(state: &State) -> Vec<&Figure> {
    state.run.frame.iter().flat_map(shown).collect()
}

fn shown(frame: &Frame) -> impl Iterator<Item = &Figure> {
    frame.figures.iter().filter(|f| !matches!(f.body, Body::Classes { .. } | Body::Badge { .. }))
}
