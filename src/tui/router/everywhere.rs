//! The bottom layer of the screen: actions that work in every panel, and the mouse.

use crate::tui::action::{
    branches, copy, filter, gallery, lens_actions, model_picker, parameters, pickers, picture_picker, request, session,
    steps, units, views,
};
use crate::tui::effect::{Effect, ask};
use crate::tui::event::{Key, Mouse};
use crate::tui::keymap::{self, Action, Bound, EVERYWHERE};
use crate::tui::layer::{Handled, Layer};
use crate::tui::layout;
use crate::tui::panel::{self, search};
use crate::tui::popup::palette;
use crate::tui::state::{Help, Pane, Popup, Prompt, State};
use crate::tui::view::scrubber;
use crate::worker::message::Command;

/// The bottom layer of the screen.
pub const LAYER: Layer = Layer { keys, find, act, text, point, modal: false };

fn keys(state: &State) -> Vec<Bound> {
    panel::keys_everywhere(state)
}

fn find(state: &State, key: Key) -> Option<Action> {
    let bound = || panel::number_of(key).map(Action::Pane).or_else(|| keymap::find(EVERYWHERE, key));
    state.bindings.own(key).or_else(bound)
}

fn act(state: &mut State, action: Action) -> Handled {
    Some(match action {
        Action::Quit => session::quit(state),
        Action::Interrupt => session::interrupt(state),
        Action::Escape => session::escape(state),
        Action::Edit => session::edit(state),
        Action::Redraw => vec![Effect::Redraw],
        Action::Suspend => vec![Effect::Suspend],
        Action::Pane(number) => focus(state, panel::numbered(number)),
        Action::NextPane => focus(state, Some(panel::after(state.focus, 1))),
        Action::LastPane => focus(state, Some(panel::after(state.focus, -1))),
        Action::Zoom => {
            state.toggle_zoom();
            Vec::new()
        }
        Action::ShowLog => {
            state.zoomed = !(state.zoomed && state.focus == Pane::LOG);
            focus(state, Some(Pane::LOG))
        }
        Action::View(by) => {
            views::turn(state, by);
            Vec::new()
        }
        Action::Enlarge(by) => lens_actions::enlarge(state, by),
        Action::Whole => {
            state.lens.reset();
            Vec::new()
        }
        Action::Ablate => units::toggle(state),
        Action::Inspect => lens_actions::inspect(state),
        Action::Scale => lens_actions::turn_scale(state),
        Action::Strength(by) => lens_actions::strengthen(state, by),
        Action::Change(by) => parameters::change(state, by),
        Action::Tenfold(by) => parameters::tenfold(state, by),
        Action::Play => steps::play(state),
        Action::Step(_) | Action::First | Action::Last => steps::go(state, action),
        Action::Match(by) => search::next(state, by),
        Action::Copy => copy::open(state),
        Action::Palette => palette::open(state),
        Action::Undo => ask(Command::Undo),
        Action::Redo => ask(Command::Redo),
        Action::MinimalEpsilon => ask(Command::MinimalEpsilon),
        Action::Fork => ask(Command::Fork),
        Action::Branch(by) => branches::turn(state, by),
        Action::Compare => branches::compare(state),
        Action::Mark => gallery::mark(state),
        Action::Gallery => gallery::open(state),
        Action::Restart => ask(Command::Restart),
        Action::Cancel => request::cancel(state),
        Action::PickMethod => pickers::open_methods(state),
        Action::PickModel => model_picker::open(state),
        Action::PickTarget => pickers::open_target(state),
        Action::PickColors => pickers::open_colors(state),
        Action::PickLayer => pickers::open_layers(state),
        Action::PickPicture => picture_picker::open(state),
        Action::Reference => picture_picker::open_reference(state),
        Action::Help => open(state, Popup::Help(Help::default())),
        Action::Save => prompt(state, "save gradscope-out"),
        Action::OpenPicture => prompt(state, "open "),
        Action::CommandLine => prompt(state, ""),
        Action::Filter if search::list(state).is_some() => open(state, Popup::Prompt(Prompt::filter(""))),
        Action::Filter => filter::open(state),
        _ => return None,
    })
}

/// Treats pasted text as a picture path, since terminals paste the path of a dropped file.
fn text(state: &mut State, text: &str) -> Handled {
    let path = text.trim().trim_matches(['\'', '"']);
    Some(prompt(state, &format!("open {path}")))
}

/// Handles the mouse: a click or drag on the step scrubber goes to a step. Other events go to the panel under the pointer.
fn point(state: &mut State, mouse: Mouse, (column, row): (u16, u16)) -> Handled {
    let areas = layout::areas(state);
    let pressed = matches!(mouse, Mouse::Press | Mouse::Drag);
    if pressed && areas.scrubber.contains((column, row).into()) {
        return Some(steps::seek(state, scrubber::step_at(state, areas.scrubber, column)));
    }
    let (pane, row) = areas.at(column, row)?;
    match mouse {
        Mouse::Press => Some(click(state, pane, row)),
        Mouse::Drag => None,
        Mouse::WheelUp => Some(panel::step(state, panel::of(pane), -1)),
        Mouse::WheelDown => Some(panel::step(state, panel::of(pane), 1)),
    }
}

/// Handles a click on a panel: the first click focuses the panel and moves its cursor to the row, and a second click selects the
/// row.
fn click(state: &mut State, pane: Pane, row: Option<usize>) -> Vec<Effect> {
    let again = state.focus == pane;
    state.focus = pane;
    let panel = panel::of(pane);
    let Some((row, list)) = row.zip(panel.list.filter(|list| list.clickable)) else { return Vec::new() };
    let cursor = state.cursor(pane);
    let target = cursor.offset + row;
    match target {
        _ if target >= (list.rows)(state) => Vec::new(),
        _ if again && target == cursor.cursor => (panel.act)(state, Action::Choose).unwrap_or_default(),
        _ => panel::step(state, panel, target as i32 - cursor.cursor as i32),
    }
}

fn focus(state: &mut State, pane: Option<Pane>) -> Vec<Effect> {
    state.focus = pane.unwrap_or(state.focus);
    Vec::new()
}

fn open(state: &mut State, popup: Popup) -> Vec<Effect> {
    state.popup = Some(popup);
    Vec::new()
}

fn prompt(state: &mut State, line: &str) -> Vec<Effect> {
    open(state, Popup::Prompt(Prompt::command(line)))
}
