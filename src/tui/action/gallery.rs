//! Marks methods and classes, and opens the gallery of their results.

use crate::render::{Body, Figure};
use crate::script::summary::MethodRow;
use crate::tui::effect::{Effect, ask};
use crate::tui::keymap::Action;
use crate::tui::state::{MethodListRow, Pane, ShownGallery, State, View, toggle};
use crate::worker::message::{Command, GalleryCell};

/// Marks what is under the cursor for the gallery, and moves the cursor down: a method, the runnable methods of a group, or a class.
pub fn mark(state: &mut State) -> Vec<Effect> {
    match state.focus {
        Pane::CLASSES => {
            if let Some(class) = state.classes().get(state.cursor(Pane::CLASSES).cursor).map(|row| row.class) {
                toggle(&mut state.gallery.classes, class);
            }
            let rows = state.classes().len();
            state.cursor_mut(Pane::CLASSES).step(1, rows);
        }
        Pane::METHODS => {
            if let Some(why) = mark_methods(state) {
                state.say(why);
                return Vec::new();
            }
        }
        _ => {
            let mark = state.bindings.key_of(Action::Mark);
            state.say(format!("{mark} marks the method or class under the cursor; focus one of these panels first"));
            return Vec::new();
        }
    }
    let (methods, classes) = (state.gallery.methods.len(), state.gallery.classes.len());
    let key = state.bindings.key_of(Action::Gallery);
    state.say(format!("marked methods: {methods}, classes: {classes}; {key} shows their results"));
    Vec::new()
}

/// Marks the method or the group under the cursor. Returns why it cannot be marked, if so.
fn mark_methods(state: &mut State) -> Option<String> {
    let at = state.cursor(Pane::METHODS).cursor;
    let rows = state.method_rows();
    let mut refused = None;
    match rows.get(at) {
        Some(MethodListRow::Method(method)) => {
            let name = method.name.clone();
            refused = cannot_run(method).filter(|_| !state.gallery.methods.contains(&name));
            if refused.is_none() {
                toggle(&mut state.gallery.methods, name);
            }
        }
        Some(MethodListRow::Group { name, .. }) => {
            let runs = state.methods.iter().filter(|m| m.group == *name && cannot_run(m).is_none());
            let names: Vec<_> = runs.map(|method| method.name.clone()).collect();
            let marked = &mut state.gallery.methods;
            match names.iter().all(|name| marked.contains(name)) {
                true => marked.retain(|name| !names.contains(name)),
                false => names.into_iter().for_each(|name| {
                    if !marked.contains(&name) {
                        marked.push(name);
                    }
                }),
            }
        }
        None => {}
    }
    let rows = state.method_rows().len();
    state.cursor_mut(Pane::METHODS).step(1, rows);
    state.resting = None;
    refused
}

/// Why a method cannot run, if so.
fn cannot_run(method: &MethodRow) -> Option<String> {
    let broken = || method.broken.map(|line| format!("{} has an error in line {line}", method.title()));
    method.unmet.map(|why| format!("{} {why}", method.title())).or_else(broken)
}

/// Opens a gallery of the marked methods and classes, or closes the open one. Without marked methods, the current one is taken; without
/// marked classes, the target.
pub fn open(state: &mut State) -> Vec<Effect> {
    if state.gallery.shown.take().is_some() {
        return Vec::new();
    }
    let open = || state.method.iter().map(|method| method.name.clone()).collect();
    let methods: Vec<_> = if state.gallery.methods.is_empty() { open() } else { state.gallery.methods.clone() };
    let predicted = || state.target_class().or(state.classes().first().map(|row| row.class)).into_iter().collect();
    let classes: Vec<_> = if state.gallery.classes.is_empty() { predicted() } else { state.gallery.classes.clone() };
    if methods.len() * classes.len() < 2 {
        let (mark, open) = (state.bindings.key_of(Action::Mark), state.bindings.key_of(Action::Gallery));
        state.say(format!("mark methods and classes with {mark}, then press {open} to see their results side by side"));
        return Vec::new();
    }
    state.run.playing = false;
    state.resting = None;
    ask(Command::Gallery { methods, classes })
}

/// Shows a gallery that has begun, without results.
pub fn begin(state: &mut State, methods: Vec<String>, classes: Vec<String>, id: u64) {
    state.gallery.shown = Some(ShownGallery::new(methods, classes, id));
    state.view = View::All;
    state.lens.reset();
}

/// Adds a result to the gallery.
pub fn add(state: &mut State, index: usize, cell: GalleryCell) {
    let place = state.gallery.shown.as_mut().and_then(|shown| shown.cells.get_mut(index));
    place.into_iter().for_each(|place| *place = Some(cell.clone()));
}

/// The figures of the gallery with their IDs, in the current view; `None` if no gallery is open.
pub fn figures(state: &State) -> Option<Vec<(Figure, u64)>> {
    let shown = state.gallery.shown.as_ref()?;
    let all = (0..shown.cells.len()).map(|index| (figure(shown, index), shown.id + index as u64));
    Some(match state.view {
        View::One(index) => all.skip(index).take(1).collect(),
        _ => all.collect(),
    })
}

fn figure(shown: &ShownGallery, index: usize) -> Figure {
    let caption = shown.caption(index);
    let body = match (shown.figure(index), shown.cells.get(index)) {
        (Some(figure), _) => return Figure { title: caption.clone(), caption, ..figure.clone() },
        (None, Some(Some(GalleryCell::Failed(why)))) => Body::Text { text: why.clone() },
        (None, Some(Some(_))) => Body::Text { text: "no figure".into() },
        (None, _) => Body::Text { text: "…".into() },
    };
    Figure::new(caption, body)
}

/// The views of the gallery with their names: all results, and each one; `None` if no gallery is open.
pub fn views(state: &State) -> Option<Vec<(View, String)>> {
    let shown = state.gallery.shown.as_ref()?;
    let one = (0..shown.cells.len()).map(|index| (View::One(index), shown.caption(index)));
    Some([(View::All, "all".to_owned())].into_iter().chain(one).collect())
}
