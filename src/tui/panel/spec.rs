//! The specification of a panel.

use crate::tui::effect::Effect;
use crate::tui::keymap::{Action, Binding};
use crate::tui::picture::{PictureStage, WantedPictures};
use crate::tui::state::{Pane, State};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// A panel of the app: name, position, keys, actions and drawing.
#[derive(Debug)]
pub struct Panel {
    /// Name of the panel.
    pub pane: Pane,
    /// Position of the panel on a large terminal.
    pub place: PanelPlace,
    /// When the panel is shown on a small terminal.
    pub small: Small,
    /// Keys that work only in this panel.
    pub keys: &'static [Binding],
    /// The panel's list, if any.
    pub list: Option<List>,
    /// Performs an action; `None` if the panel ignores it. A panel without a list also receives cursor movements.
    pub act: fn(&mut State, Action) -> Option<Vec<Effect>>,
    /// Text shown after the panel's name in its title, given the frame's area.
    pub title: fn(&State, &Theme, Rect) -> Vec<Span<'static>>,
    /// Pictures to draw in the panel, given the area inside its frame and the size of a cell in pixels.
    pub pictures: for<'a> fn(&'a State, Rect, (u16, u16)) -> WantedPictures<'a>,
    /// Draws the content of the panel, given the area inside its frame.
    pub draw: fn(&mut Buffer, Rect, &State, &Theme, &PictureStage),
}

/// Position of a panel on a large terminal. Panels in the same column are stacked in the order of their numbers.
#[derive(Clone, Copy, Debug)]
pub enum PanelPlace {
    /// The panel is in the left column and has this height.
    Left(Height),
    /// The panel is in the center, above the step scrubber.
    Center,
    /// The panel is in the right column and has this height.
    Right(Height),
    /// The panel is in the row at the bottom.
    Bottom,
}

/// Height of a panel in its column.
#[derive(Clone, Copy, Debug)]
pub enum Height {
    /// A number of rows, including the frame, computed from the state and the height of the column.
    Rows(fn(&State, u16) -> u16),
    /// The panel fills the remaining height of the column.
    Rest,
}

/// When a panel is shown on a small terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Small {
    /// The panel is always shown, in the center.
    Always,
    /// The panel is shown on the left if it is the most recently focused `Left` panel.
    Left,
    /// The panel is always shown, in a few rows at the bottom.
    Bottom,
    /// The panel is shown only while focused, replacing the center and the left.
    Focused,
}

/// A list with a cursor in a panel.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// Number of rows of the list.
    pub rows: fn(&State) -> usize,
    /// Whether a click moves the cursor to a row and a second click selects it.
    pub clickable: bool,
    /// Called after the cursor has moved to another row.
    pub moved: fn(&mut State),
}

/// A panel without content, used as the base in struct update syntax.
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
