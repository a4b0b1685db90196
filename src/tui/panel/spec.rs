//! What is known of a panel.

use crate::tui::effect::Effect;
use crate::tui::keymap::{Action, Binding};
use crate::tui::picture::{PictureStage, WantedPictures};
use crate::tui::state::{Pane, State};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// A panel: its name, its place, its keys, what they do and how it is drawn.
#[derive(Debug)]
pub struct Panel {
    /// Its name.
    pub pane: Pane,
    /// Where it stands where all panels have room.
    pub place: PanelPlace,
    /// When it is shown on a small terminal.
    pub small: Small,
    /// Its own keys.
    pub keys: &'static [Binding],
    /// The list that its cursor moves in, if it is one.
    pub list: Option<List>,
    /// Performs an action, or ignores it. A panel without a list also gets the movements of the cursor.
    pub act: fn(&mut State, Action) -> Option<Vec<Effect>>,
    /// Spans that follow its name in a frame of this area.
    pub title: fn(&State, &Theme, Rect) -> Vec<Span<'static>>,
    /// The pictures that it wants inside its frame, with cells of this size in pixels.
    pub pictures: for<'a> fn(&'a State, Rect, (u16, u16)) -> WantedPictures<'a>,
    /// Draws it inside its frame.
    pub draw: fn(&mut Buffer, Rect, &State, &Theme, &PictureStage),
}

/// Where a panel stands on a large terminal. The panels of a column stand below each other in the order of their numbers.
#[derive(Clone, Copy, Debug)]
pub enum PanelPlace {
    /// In the left column.
    Left(Height),
    /// In the middle, above the line of steps.
    Centre,
    /// In the right column.
    Right(Height),
    /// In the row at the bottom.
    Bottom,
}

/// The height of a panel in its column.
#[derive(Clone, Copy, Debug)]
pub enum Height {
    /// Rows, frame included, given the height of the column.
    Rows(fn(&State, u16) -> u16),
    /// What the others leave.
    Rest,
}

/// When a panel is shown on a small terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Small {
    /// Always, in the middle.
    Always,
    /// At the left, the one of these that had the focus last.
    Left,
    /// Always, in a few rows at the bottom.
    Bottom,
    /// In place of the middle and the left, while it has the focus.
    Focused,
}

/// A list with a cursor.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// Its number of rows.
    pub rows: fn(&State) -> usize,
    /// Whether a click moves the cursor, and a second one chooses the row.
    pub clickable: bool,
    /// What follows when the cursor has moved.
    pub moved: fn(&mut State),
}

/// A panel that draws nothing, to be completed.
pub const BLANK: Panel = Panel {
    pane: Pane(""),
    place: PanelPlace::Right(Height::Rest),
    small: Small::Focused,
    keys: &[],
    list: None,
    act: |_, _| None,
    title: |_, _, _| Vec::new(),
    pictures: |_, _, _| WantedPictures::default(),
    draw: |_, _, _, _, _| {},
};
