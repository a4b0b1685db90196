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
    /// Where the panel is shown.
    pub place: PanelPlace,
    /// Text shown as its heading instead of its name, if any.
    pub heading: fn(&State) -> Option<String>,
    /// Keys that work only in this panel.
    pub keys: &'static [Binding],
    /// The panel's list, if any.
    pub list: Option<List>,
    /// Performs an action; `None` if the panel ignores it. A panel without a list also receives cursor movements.
    pub act: fn(&mut State, Action) -> Option<Vec<Effect>>,
    /// Text shown after the heading in the panel's title, given the frame's area.
    pub title: fn(&State, &Theme, Rect) -> Vec<Span<'static>>,
    /// Pictures to draw in the panel, given the area inside its frame and the size of a cell in pixels.
    pub pictures: for<'a> fn(&'a State, Rect, (u16, u16)) -> WantedPictures<'a>,
    /// Draws the content of the panel, given the area inside its frame.
    pub draw: fn(&mut Buffer, Rect, &State, &Theme, &PictureStage),
}

/// Where a panel is shown. Panels in the same place are arranged in the order of their numbers.
#[derive(Clone, Copy, Debug)]
pub enum PanelPlace {
    /// In the left column, which is hidden on a small terminal unless one of its panels is focused. If there is room for only one, it
    /// is the most recently focused.
    Left,
    /// To the right of the left column; always shown.
    Center,
    /// In the row below the center, if it has something to show or is focused. The function returns the number of rows that its
    /// content needs, or `None` if it has nothing to show.
    Below(fn(&State) -> Option<u16>),
    /// In place of the row below the center, only while focused.
    Drawer,
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
    /// Text of a row, for searching.
    pub text: fn(&State, usize) -> String,
    /// Number of rows inside the frame that are not used by the list, given the number of rows inside the frame.
    pub reserved: fn(usize) -> usize,
}

/// A panel without content, used as the base in struct update syntax.
pub const BLANK: Panel = Panel {
    pane: Pane(""),
    place: PanelPlace::Drawer,
    heading: |_| None,
    keys: &[],
    list: None,
    act: |_, _| None,
    title: |_, _, _| Vec::new(),
    pictures: |_, _, _| WantedPictures::default(),
    draw: |_, _, _, _, _| {},
};
