//! Panels: a table, and one file per panel.
//!
//! To add a panel, define a [`Panel`] in a new file in this folder and add it to [`PANELS`]. Its position in the table determines
//! its number. The name of the panel, `Pane("name")`, needs a constant in `state/pane.rs` only if other files refer to the panel.
#![allow(clippy::disallowed_methods)]

mod classes;
mod curves;
mod figures;
mod layers;
mod log;
mod methods;
mod parameters;
pub mod search;
mod spec;

pub use spec::{BLANK, List, Panel, PanelPlace};

use super::effect::Effect;
use super::event::Key;
use super::keymap::{Action, Binding, Bound, EVERYWHERE};
use super::picture::PictureStage;
use super::state::{Pane, State};
use super::theme::Theme;
use super::view::widget::framed;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// All panels, in the order of their one-based numbers.
#[rustfmt::skip]
pub const PANELS: &[Panel] = &[
    methods::PANEL,
    layers::PANEL,
    figures::PANEL,
    parameters::PANEL,
    classes::PANEL,
    curves::PANEL,
    log::PANEL,
];

/// Keys that focus a panel by number.
const NUMBERS: [Key; 9] = [
    Key::Char('1'),
    Key::Char('2'),
    Key::Char('3'),
    Key::Char('4'),
    Key::Char('5'),
    Key::Char('6'),
    Key::Char('7'),
    Key::Char('8'),
    Key::Char('9'),
];

/// The specification of a panel.
pub fn of(pane: Pane) -> &'static Panel {
    &PANELS[index(pane)]
}

/// The panel `by` positions after `pane`, wrapping around.
pub fn after(pane: Pane, by: i32) -> Pane {
    PANELS[(index(pane) as i32 + by).rem_euclid(PANELS.len() as i32) as usize].pane
}

/// The panel with a one-based number, if it exists.
pub fn numbered(number: u8) -> Option<Pane> {
    PANELS.get(usize::from(number).checked_sub(1)?).map(|panel| panel.pane)
}

/// Number of the panel focused by a key; `None` for other keys.
pub fn number_of(key: Key) -> Option<u8> {
    let at = NUMBERS.iter().take(PANELS.len()).position(|number| *number == key)?;
    u8::try_from(at + 1).ok()
}

/// The keys that work only in this panel, with the user's bindings taken into account.
pub fn keys(panel: &Panel, state: &State) -> Vec<Bound> {
    panel.keys.iter().map(|row| state.bindings.panel(row)).collect()
}

/// The keys that work in every panel. The number keys are listed after the keys for the next and previous panel.
pub fn keys_everywhere(state: &State) -> Vec<Bound> {
    let numbers: Vec<_> = PANELS.iter().zip(1..).zip(NUMBERS.chunks(1)).map(number_row).collect();
    let at = EVERYWHERE.iter().position(|row| row.action == Action::LastPane).map_or(0, |at| at + 1);
    let (before, after) = EVERYWHERE.split_at(at);
    before.iter().chain(&numbers).chain(after).map(|row| state.bindings.everywhere(row)).collect()
}

/// Moves the cursor of a panel's list by `by` rows. A panel without a list receives the movement as an action.
pub fn step(state: &mut State, panel: &Panel, by: i32) -> Vec<Effect> {
    let Some(list) = &panel.list else {
        return (panel.act)(state, Action::Move(by.signum())).unwrap_or_default();
    };
    let rows = (list.rows)(state);
    state.cursor_mut(panel.pane).step(by, rows);
    (list.moved)(state);
    Vec::new()
}

/// Draws a panel and its frame.
pub fn draw(buf: &mut Buffer, panel: &Panel, area: Rect, state: &State, theme: &Theme, stage: &PictureStage) {
    let focused = state.focus == panel.pane && state.popup.is_none();
    let style = if focused { theme.focus } else { theme.frame };
    let number = Span::styled(format!(" {} ", index(panel.pane) + 1), style);
    let heading = (panel.heading)(state).unwrap_or_else(|| panel.pane.title());
    let name = Span::styled(format!("{heading} "), if focused { theme.focus } else { theme.strong });
    let title = [vec![number, name], (panel.title)(state, theme, area)].concat();
    let inner = framed(buf, area, Line::from(title), style);
    (panel.draw)(buf, inner, state, theme, stage);
}

fn index(pane: Pane) -> usize {
    PANELS.iter().position(|panel| panel.pane == pane).unwrap_or(0)
}

fn number_row(((panel, number), key): ((&Panel, u8), &'static [Key])) -> Binding {
    let says = panel.pane.0.to_owned().into();
    Binding { keys: key, action: Action::Pane(number), section: "Move", says, hint: "" }
}
