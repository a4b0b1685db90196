//! Quitting, cancelling, closing, and opening the script in an editor.

use super::request::cancel;
use crate::tui::effect::{Effect, ask};
use crate::tui::state::{Pane, State, Tone, headline};
use crate::worker::message::Command;

/// Quits. While steps are playing, the key must be pressed twice.
pub fn quit(state: &mut State) -> Vec<Effect> {
    if state.run.playing && state.run.settling.is_none() && !state.leaving {
        state.leaving = true;
        state.say("Still running. Press q again to quit");
        state.note(Tone::Plain, "q was pressed while steps were playing");
        return Vec::new();
    }
    vec![Effect::Quit]
}

/// Cancels the running computation. Quits on the second press, or if nothing is running.
pub fn interrupt(state: &mut State) -> Vec<Effect> {
    if state.busy.is_none() || state.leaving {
        return vec![Effect::Quit];
    }
    state.leaving = true;
    let effects = cancel(state);
    state.say("Cancelling. Press Ctrl-c again to quit");
    effects
}

/// Cancels the running computation. If nothing is running, dismisses the first of these that is active: the error, the picture zoom,
/// the maximized panel, the filters.
pub fn escape(state: &mut State) -> Vec<Effect> {
    if state.busy.is_some() {
        return cancel(state);
    }
    if let Some(fault) = state.fault.take() {
        state.say(format!("closed: {}", headline(&fault.report)));
    } else if state.lens.mark.is_some() || state.lens.zoom > 1.0 {
        state.lens.reset();
    } else if state.gallery.shown.take().is_some() {
        state.say("gallery closed");
    } else if state.zoomed {
        state.zoomed = false;
    } else {
        state.method_filter.clear();
        state.layer_filter.clear();
        state.layers.filter("");
    }
    Vec::new()
}

/// Opens a script in the editor, at the line of its error if it has one: that of the method under the cursor if the method list is
/// focused, otherwise that of the current method.
pub fn edit(state: &State) -> Vec<Effect> {
    let row = state.method_under_cursor().filter(|_| state.focus == Pane::METHODS);
    let Some(row) = row.or(state.method_row()) else { return Vec::new() };
    let line = row.broken.or_else(|| state.fault.as_ref()?.report.place.as_ref().map(|(_, line, _)| *line));
    match &row.path {
        Some(path) => vec![Effect::Edit(row.name.clone(), path.clone(), line)],
        None => ask(Command::Edit(row.name.clone())),
    }
}
