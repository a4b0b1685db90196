//! Applies worker messages to the state.

use super::{branches, gallery, picture_picker};
use crate::script::summary::{Frame, MethodCard, MethodRow, ModelCard, Report};
use crate::tui::effect::{Effect, ask};
use crate::tui::state::{
    ErrorPane, LayerTree, OpenPicture, Pane, Progress, Rest, SETTLING, ShownRun, State, Tone, class_rows, headline,
    short,
};
use crate::worker::message::{Command, Update};

/// Applies a worker message to the state.
pub fn take(state: &mut State, update: Update) -> Vec<Effect> {
    match update {
        Update::Methods(rows) => methods(state, rows),
        Update::Models(rows) => state.models = rows,
        Update::RecentFolders(folders) => state.recent_folders = folders,
        Update::Model(card) => model(state, card),
        Update::Picture { name, source, pixels, classes } => {
            state.run.foreign = true;
            let id = next_id(state);
            state.picture = Some(OpenPicture { name, source, pixels, classes, id });
        }
        Update::Method(card) => method(state, card),
        Update::Target(target) => state.target = target,
        Update::Ablated(units) => state.ablated = units,
        Update::Branches { at, count } => branches::open(state, at, count),
        Update::Frame(frame) => return show(state, frame),
        Update::CommandLine { words, repeats } => state.command_line = (words, repeats),
        Update::Gallery { methods, classes } => {
            state.run.id = next_id(state);
            gallery::begin(state, methods, classes, state.run.id << 8);
        }
        Update::GalleryCell(index, cell) => gallery::add(state, index, cell),
        Update::Progress { what, done, total } => state.progress = Some(Progress { what, done, total }),
        Update::Busy(busy) => set_busy(state, busy),
        Update::Reloaded { method, millis } => reloaded(state, &method, millis),
        Update::Script { method, path } => {
            return vec![Effect::Edit(method, path, None)];
        }
        Update::Reference(rows) => {
            state.reference = rows;
            return picture_picker::open_reference(state);
        }
        Update::Failed(report) => failed(state, report),
        Update::Log(line) => state.note(Tone::Plain, line),
        Update::Said(line) => {
            state.note(Tone::Plain, line.clone());
            state.say(line);
        }
    }
    Vec::new()
}

fn methods(state: &mut State, rows: Vec<MethodRow>) {
    let under = state.method_under_cursor().map(|m| m.name.clone()).filter(|_| state.focus == Pane::METHODS);
    state.methods = rows;
    let wanted = under.or(state.method.as_ref().map(|m| m.name.clone()));
    if let Some(place) = wanted.and_then(|name| state.reveal_method(&name)) {
        state.cursor_mut(Pane::METHODS).go(place);
    }
}

fn model(state: &mut State, card: ModelCard) {
    let about = format!("{} on {}, {} classes", card.name, card.device, card.labels.len());
    state.note(Tone::Plain, format!("{about}, {} parameters", short(card.parameters)));
    state.layers = LayerTree::new(&card.layers, state.layers.all());
    state.layer_filter.clear();
    state.gallery.classes.clear();
    state.run.foreign = true;
    state.progress = None;
    state.model = Some(card);
    find_layer(state);
}

/// Sets the current method and moves the cursor to its row, unless the user is moving the cursor.
fn method(state: &mut State, card: MethodCard) {
    let new = state.method.as_ref().is_none_or(|m| m.name != card.name);
    state.edits.retain(|name, value| !new && card.params.iter().any(|p| p.name == *name && p.value != *value));
    if new {
        state.run = ShownRun { id: state.run.id, foreign: true, frame: state.run.frame.take(), ..ShownRun::default() };
        state.cursor_mut(Pane::PARAMETERS).go(0);
        let browsing = matches!(state.resting, Some((Rest::Method(_), _)))
            || state.method_under_cursor().is_some_and(|row| row.name == card.name);
        if !browsing {
            state.method_list.used(&card.name);
            if let Some(row) = state.reveal_method(&card.name) {
                state.cursor_mut(Pane::METHODS).go(row);
            }
        }
    }
    state.method = Some(card);
    find_layer(state);
}

/// Moves the cursor to the layer used by the method, unless the user is moving the cursor.
fn find_layer(state: &mut State) {
    let Some(layer) = state.layer() else { return };
    if state.resting.is_none()
        && let Some(row) = state.layers.reveal(&layer)
    {
        state.cursor_mut(Pane::LAYERS).go(row);
    }
}

/// Shows a frame. The first frame of a method whose steps refine one result is followed by the others.
fn show(state: &mut State, frame: Frame) -> Vec<Effect> {
    state.gallery.shown = None;
    state.run.id = next_id(state);
    state.run.foreign = frame.generation < state.asked && state.run.foreign;
    state.run.history.retain(|step, _| *step < frame.kept.max(frame.step));
    if let Some(rows) = class_rows(&frame.figures) {
        state.run.history.insert(frame.step, rows.to_vec());
    }
    if frame.generation >= state.asked {
        state.edits.clear();
        state.broke = None;
        close_fault(state);
    }
    if let (Some(why), true) = (&frame.done, state.run.playing) {
        state.run.playing = false;
        let line = format!("finished after step {}: {why}", frame.step);
        state.note(Tone::Good, line);
    }
    branches::keep(state, &frame);
    let first = frame.step == 0 && frame.kept == 1 && !frame.partial && frame.done.is_none();
    let settles = first && !state.run.foreign && !state.run.playing && state.settles();
    if let Some(name) = state.method.as_ref().map(|m| m.name.clone()).filter(|_| !frame.partial && !state.run.foreign) {
        state.method_list.ran(&name, state.stepped(), &frame);
    }
    state.run.frame = Some(frame);
    if settles {
        state.run.playing = true;
        state.run.settling = Some(state.now + SETTLING);
        return ask(Command::Play);
    }
    Vec::new()
}

/// Closes the error pane after a newer result, unless the error is in a script and a script is still broken.
fn close_fault(state: &mut State) {
    let in_script = state.fault.as_ref().is_some_and(|f| f.report.place.is_some());
    let broken = state.methods.iter().any(|m| m.broken.is_some());
    if !(in_script && broken) {
        state.fault = None;
    }
}

fn set_busy(state: &mut State, busy: bool) {
    state.busy = busy.then(|| state.busy.unwrap_or(state.now));
    if !busy {
        state.progress = None;
        state.run.playing = false;
    }
}

fn reloaded(state: &mut State, method: &str, millis: f64) {
    state.fault = None;
    state.note(Tone::Good, format!("{method} reloaded ({millis:.1} ms)"));
    state.say(format!("{method} reloaded"));
}

fn failed(state: &mut State, report: Report) {
    state.run.playing = false;
    state.edits.clear();
    state.note(Tone::Bad, headline(&report));
    let method = state.method.as_ref().map(|method| method.name.clone());
    if let (Some((_, line, _)), Some(method)) = (&report.place, method) {
        state.broke = Some((method, *line, report.message.clone()));
    }
    let good_stays = state.run.frame.is_some();
    state.fault = Some(ErrorPane { report, at: state.now, good_stays });
    state.cursor_mut(Pane::LOG).go(0);
}

fn next_id(state: &State) -> u64 {
    state.run.id.max(state.picture.as_ref().map_or(0, |p| p.id)) + 1
}
