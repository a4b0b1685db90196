//! Applies events to the state and returns the resulting effects. The state is not modified anywhere else.

use super::action::{file_browser, model_picker, picture_picker, pointed, request, steps, visible, worker_updates};
use super::effect::Effect;
use super::event::Event;
use super::keymap::Action;
use super::panel::{self, PANELS, PanelPlace};
use super::state::{Pane, Popup, Rest, SETTLING, State, Tone, Tutor};
use super::{action::lens_actions, layout, popup, router};
use std::time::Duration;

/// Applies an event to the state at time `now` since app start. Returns the effects to perform.
pub fn update(state: &mut State, now: Duration, event: Event) -> Vec<Effect> {
    state.now = now;
    let mut effects = apply(state, event);
    if let Some(action) = state.pending.take() {
        effects.extend(router::perform(state, action));
    }
    effects.extend(pass_time(state));
    visible::refresh(state);
    effects.extend(picture_picker::follow_cursor(state));
    effects.extend(file_browser::follow_cursor(state));
    effects.extend(pointed::follow_mark(state));
    state.asked += questions(&effects);
    settle(state);
    effects
}

fn apply(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => return router::key(state, key),
        Event::Paste(text) => return router::paste(state, &text),
        Event::Mouse(mouse, column, row) => return router::point(state, mouse, column, row),
        Event::Pointed(mouse, x, y) => return lens_actions::point(state, mouse, (x, y)),
        Event::Worker(update) => return worker_updates::take(state, *update),
        Event::Quit => return vec![Effect::Quit],
        Event::Resize(columns, rows) => state.size = (columns, rows),
        Event::Rate(bytes) => state.rate = bytes,
        Event::Tick => {}
        Event::Completions { text, offers, insert } => {
            if let Some(Popup::Prompt(prompt)) = &mut state.popup {
                prompt.found(&text, offers, insert);
            }
        }
        Event::Folder(folder) => file_browser::listed(state, folder),
        Event::FileAbout(value, about) => file_browser::described(state, &value, about),
        Event::Pictures(names) => picture_picker::found(state, &names),
        Event::ModelFiles(files) => model_picker::found(state, &files),
        Event::Preview(name, image) => picture_picker::preview(state, &name, image),
        Event::Note(text) => {
            state.say(text.clone());
            state.note(Tone::Plain, text);
        }
    }
    Vec::new()
}

/// Runs the method or uses the layer on which the cursor has rested long enough, and removes an expired status message.
fn pass_time(state: &mut State) -> Vec<Effect> {
    if state.toast.as_ref().is_some_and(|(_, until)| *until <= state.now) {
        state.toast = None;
    }
    if state.run.playing && state.run.settling.take_if(|until| *until <= state.now).is_some() {
        let key = state.bindings.key_of(Action::Play);
        state.say(format!("paused after {} s; {key} continues", SETTLING.as_secs()));
        return steps::play(state);
    }
    let rested = state.resting.as_ref().is_some_and(|(_, until)| *until <= state.now);
    match state.resting.take_if(|_| rested) {
        Some((Rest::Method(name), _)) => request::run_method(state, name),
        Some((Rest::Layer(name), _)) => request::choose_layer(state, name),
        None => Vec::new(),
    }
}

/// Clamps every cursor to its list and scrolls the list so that the cursor is visible.
fn settle(state: &mut State) {
    if matches!(panel::of(state.focus).place, PanelPlace::Left) {
        state.left = state.focus;
    }
    if state.focus == Pane::LOG {
        state.read = state.log.len();
    }
    remember_method(state);
    go_on_with_tutor(state);
    let areas = layout::areas(state);
    for panel in PANELS {
        if let Some(list) = &panel.list {
            let (rows, height) = ((list.rows)(state), areas.rows(panel.pane));
            state.cursor_mut(panel.pane).fit(rows, height - (list.reserved)(height).min(height));
        }
    }
    if let Some(Popup::Picker(picker)) = &mut state.popup {
        let height = popup::picker_rows(state.size, picker);
        picker.list.fit(picker.hits.len(), height);
    }
    if let Some(Popup::Files(browser)) = &mut state.popup {
        browser.list.fit(browser.hits.len(), popup::file_rows(state.size));
    }
}

/// Opens the next lesson of the tutorial if the current one is done.
fn go_on_with_tutor(state: &mut State) {
    let Some(tutor) = state.tutor.as_ref().filter(|tutor| tutor.is_done(state)) else { return };
    let next = Tutor::at(tutor.lesson + 1, state);
    state.say(if next.is_some() { "done; here is the next lesson" } else { "that was the last lesson" });
    state.tutor = next;
}

/// Lists the current method among the recent ones, unless the user is browsing the list. The cursor stays on its row.
fn remember_method(state: &mut State) {
    let name = state.method.as_ref().map(|method| &method.name).filter(|_| state.focus != Pane::METHODS);
    let Some(name) = name.filter(|name| !state.method_list.is_latest(name)).cloned() else { return };
    let before = state.method_rows().len();
    state.method_list.used(&name);
    let more = state.method_rows().len().saturating_sub(before);
    let list = state.cursor_mut(Pane::METHODS);
    (list.cursor, list.offset) = (list.cursor + more, list.offset + more);
}

/// Number of effects that request a new result from the worker.
fn questions(effects: &[Effect]) -> u64 {
    effects.iter().filter(|e| matches!(e, Effect::Ask(command) if command.asks())).count() as u64
}
