//! Applies events to the state and returns the resulting effects. The state is not modified anywhere else.

use super::action::{model_picker, picture_picker, pointed, request, views, worker_updates};
use super::effect::Effect;
use super::event::Event;
use super::panel::{self, PANELS, Small};
use super::state::{Popup, Rest, State, Tone};
use super::{action::lens_actions, layout, popup, router};
use std::time::Duration;

/// Applies an event to the state at time `now` since app start. Returns the effects to perform.
pub fn update(state: &mut State, now: Duration, event: Event) -> Vec<Effect> {
    state.now = now;
    let mut effects = apply(state, event);
    effects.extend(pass_time(state));
    views::refresh(state);
    effects.extend(picture_picker::follow_cursor(state));
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
        Event::Completions(offers) => {
            if let Some(Popup::Prompt(prompt)) = &mut state.popup {
                prompt.complete(offers);
            }
        }
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
    let rested = state.resting.as_ref().is_some_and(|(_, until)| *until <= state.now);
    match state.resting.take_if(|_| rested) {
        Some((Rest::Method(name), _)) => request::run_method(state, name),
        Some((Rest::Layer(name), _)) => request::choose_layer(state, name),
        None => Vec::new(),
    }
}

/// Clamps every cursor to its list and scrolls the list so that the cursor is visible.
fn settle(state: &mut State) {
    if panel::of(state.focus).small == Small::Left {
        state.left = state.focus;
    }
    let areas = layout::areas(state);
    for panel in PANELS {
        if let Some(list) = &panel.list {
            let rows = (list.rows)(state);
            state.cursor_mut(panel.pane).fit(rows, areas.rows(panel.pane));
        }
    }
    if let Some(Popup::Picker(picker)) = &mut state.popup {
        let height = popup::picker_rows(state.size, picker);
        picker.list.fit(picker.hits.len(), height);
    }
}

/// Number of effects that request a new result from the worker.
fn questions(effects: &[Effect]) -> u64 {
    effects.iter().filter(|e| matches!(e, Effect::Ask(command) if command.asks())).count() as u64
}
