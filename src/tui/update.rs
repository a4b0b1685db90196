//! The one place where the state changes: what happened goes in, what is to be done comes out.

use super::keymap::{Action, Key};
use super::msg::{Effect, Mouse, Msg};
use super::panels::layout;
use super::state::{Pane, Popup, Rest, State, Tone};
use super::{act, answer, cloud, gaze, popup, shelf};

/// Lets something happen to the state.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = match msg {
        Msg::Key(key) => press(state, key),
        Msg::Paste(text) => popup::paste(state, &text),
        Msg::Mouse(mouse, column, row) => point(state, mouse, column, row),
        Msg::Pointed(mouse, x, y) => gaze::point(state, mouse, (x, y)),
        Msg::Resize(columns, rows) => {
            state.size = (columns, rows);
            Vec::new()
        }
        Msg::Worker(update) => answer::take(state, *update),
        Msg::Tick => Vec::new(),
        Msg::Completions(offers) => popup::complete(state, offers),
        Msg::Pictures(names) => shelf::found(state, &names),
        Msg::Preview(name, image) => shelf::preview(state, &name, image),
        Msg::Note(text) => {
            state.say(text.clone());
            state.note(Tone::Plain, text);
            Vec::new()
        }
        Msg::Quit => vec![Effect::Quit],
    };
    effects.extend(pass_time(state));
    effects.extend(shelf::follow_cursor(state));
    effects.extend(cloud::follow_mark(state));
    state.asked += questions(&effects);
    settle(state);
    effects
}

fn press(state: &mut State, key: Key) -> Vec<Effect> {
    match state.bindings.action(&state.contexts(), key) {
        Some(action) => {
            let effects = act::act(state, action);
            state.leaving &= matches!(action, Action::Quit | Action::Interrupt);
            effects
        }
        None => popup::letter(state, key),
    }
}

/// What the cursor rested on for long enough is run; what was said for long enough goes.
fn pass_time(state: &mut State) -> Vec<Effect> {
    if state.toast.as_ref().is_some_and(|(_, until)| *until <= state.now) {
        state.toast = None;
    }
    let rested = state.resting.as_ref().is_some_and(|(_, until)| *until <= state.now);
    match state.resting.take_if(|_| rested) {
        Some((Rest::Method(name), _)) => act::run_method(state, name),
        Some((Rest::Layer(name), _)) => act::choose_layer(state, name),
        None => Vec::new(),
    }
}

/// Keeps every cursor in its list and in sight.
fn settle(state: &mut State) {
    if matches!(state.focus, Pane::Methods | Pane::Layers | Pane::Parameters) {
        state.left = state.focus;
    }
    let areas = layout::areas(state);
    let rows = |pane| areas.rows(pane);
    let (methods, layers) = (state.listed().len(), state.layers.rows().len());
    let (params, classes) = (state.params().len(), state.classes().len());
    state.method_list.fit(methods, rows(Pane::Methods));
    state.layer_list.fit(layers, rows(Pane::Layers));
    state.param_list.fit(params, rows(Pane::Parameters));
    state.class_list.fit(classes, rows(Pane::Classes));
    state.log_back = state.log_back.min(state.log.len().saturating_sub(1));
    if let Some(Popup::Picker(picker)) = &mut state.popup {
        let height = layout::picker_rows(state.size, picker);
        picker.list.fit(picker.hits.len(), height);
    }
}

fn point(state: &mut State, mouse: Mouse, column: u16, row: u16) -> Vec<Effect> {
    if state.popup.is_some() {
        return popup::point(state, mouse, column, row);
    }
    let areas = layout::areas(state);
    let dragged = matches!(mouse, Mouse::Press | Mouse::Drag);
    if dragged && areas.scrubber.contains((column, row).into()) {
        return act::seek_at(state, layout::scrubber_place(state, areas.scrubber, column));
    }
    let Some((pane, row)) = areas.at(column, row) else { return Vec::new() };
    match mouse {
        Mouse::Press => click(state, pane, row),
        Mouse::Drag => Vec::new(),
        Mouse::WheelUp => act::step_cursor(state, pane, -1),
        Mouse::WheelDown => act::step_cursor(state, pane, 1),
    }
}

/// A click goes to the pane and to the row; a second one on the same row chooses it.
fn click(state: &mut State, pane: Pane, row: Option<usize>) -> Vec<Effect> {
    let again = state.focus == pane;
    state.focus = pane;
    let Some(row) = row else { return Vec::new() };
    let (list, len) = match pane {
        Pane::Methods => (state.method_list, state.listed().len()),
        Pane::Layers => (state.layer_list, state.layers.rows().len()),
        Pane::Parameters => (state.param_list, state.params().len()),
        Pane::Classes => (state.class_list, state.classes().len()),
        _ => return Vec::new(),
    };
    let target = list.offset + row;
    match target {
        _ if target >= len => Vec::new(),
        _ if again && target == list.cursor => act::act(state, Action::Choose),
        _ => act::step_cursor(state, pane, target as i32 - list.cursor as i32),
    }
}

/// How many of some effects are questions to the worker.
fn questions(effects: &[Effect]) -> u64 {
    effects.iter().filter(|e| matches!(e, Effect::Ask(command) if command.asks())).count() as u64
}
