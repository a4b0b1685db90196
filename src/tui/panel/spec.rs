//! The specification of a panel.

use crate::tui::effect::Effect;
use crate::tui::keymap::{Action, Binding};
use crate::tui::picture::{PictureStage, WantedPictures};
use crate::tui::state::{Pane, State};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

/// A panel: its name, position, keys, actions and drawing.
#[derive(Debug)]
pub struct Panel {
    /// The name.
    pub pane: Pane,
    /// The position on a large terminal.
    pub place: PanelPlace,
    /// When it is shown on a small terminal.
    pub small: Small,
    /// The keys of this panel alone.
    pub keys: &'static [Binding],
    /// The list that its cursor moves in, if it has one.
    pub list: Option<List>,
    /// Performs an action; `None` if it ignores it. A panel without a list also receives cursor movements.
    pub act: fn(&mut State, Action) -> Option<Vec<Effect>>,
    /// The text after its name in the title, for a frame of this area.
    pub title: fn(&State, &Theme, Rect) -> Vec<Span<'static>>,
    /// The pictures to draw inside its frame, given the cell size in pixels.
    pub pictures: for<'a> fn(&'a State, Rect, (u16, u16)) -> WantedPictures<'a>,
    /// Draws it inside its frame.
    pub draw: fn(&mut Buffer, Rect, &State, &Theme, &PictureStage),
}

/// The position of a panel on a large terminal. Panels of a column are stacked in the order of their numbers.
#[derive(Clone, Copy, Debug)]
pub enum PanelPlace {
    /// In the left column.
    Left(Height),
    /// In the center, above the step scrubber.
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
    /// The remaining height.
    Rest,
}

/// When a panel is shown on a small terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Small {
    /// Always, in the center.
    Always,
    /// On the left, if it is the one of these that was focused last.
    Left,
    /// Always, in a few rows at the bottom.
    Bottom,
    /// While focused, in place of the center and the left.
    Focused,
}

/// A list with a cursor.
#[derive(Clone, Copy, Debug)]
pub struct List {
    /// The number of rows.
    pub rows: fn(&State) -> usize,
    /// Whether a click moves the cursor, and a second one chooses the row.
    pub clickable: bool,
    /// Called after the cursor has moved.
    pub moved: fn(&mut State),
}

/// An empty panel, the base for struct update syntax.
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
