//! Lays out the screen for any terminal size.

use super::panel::{self, PANELS, Panel, PanelPlace};
use super::state::{Pane, State, WIDE};
use super::view::{error_pane, tutor};
use ratatui::layout::{Constraint, Layout, Rect};

/// The areas of the screen. An empty area is not drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Areas {
    /// The header line at the top.
    pub header: Rect,
    /// The visible panels and their areas.
    pub panes: Vec<(Pane, Rect)>,
    /// The line of the step scrubber.
    pub scrubber: Rect,
    /// The error pane.
    pub fault: Rect,
    /// The lesson of the tutorial.
    pub tutor: Rect,
    /// The status line at the bottom.
    pub status: Rect,
}

/// The smallest supported terminal size, in columns and rows.
pub const LEAST: (u16, u16) = (40, 8);

/// The height from which the left column shows all its panels, in rows.
const TALL: u16 = 46;
/// Minimum width of a panel in the row below the figures, in columns.
const NARROWEST: u16 = 26;

/// Size of a row or column that fills the remaining space.
const REST: u16 = u16::MAX;

/// Computes the areas of the screen for a state.
pub fn areas(state: &State) -> Areas {
    let (width, height) = state.size;
    if width < LEAST.0 || height < LEAST.1 {
        return Areas::default();
    }
    let screen = Rect::new(0, 0, width, height);
    let [header, middle, tutor, status] = rows(screen, [1, REST, tutor::height(state), 1]);
    let areas = Areas { header, tutor, status, ..Areas::default() };
    match width < 60 || height < 16 || state.zoomed {
        true => alone(state, areas, middle),
        false => together(state, areas, middle),
    }
}

/// Lays out only the focused panel and the step scrubber.
fn alone(state: &State, areas: Areas, middle: Rect) -> Areas {
    let fault = error_pane::height(state).min(middle.height / 2);
    let [pane, scrubber, fault] = rows(middle, [REST, scrubber_height(state), fault]);
    Areas { panes: vec![(state.focus, pane)], scrubber, fault, ..areas }
}

/// Lays out the left column, the figures, and the row below them.
fn together(state: &State, areas: Areas, middle: Rect) -> Areas {
    let wide = state.size.0 >= WIDE.0 && state.size.1 >= WIDE.1;
    let listing = matches!(panel::of(state.focus).place, PanelPlace::Left);
    let list = match (wide, listing) {
        (true, _) => (middle.width * 23 / 100).clamp(26, 38),
        (false, true) => 30.min(middle.width / 2),
        (false, false) => 0,
    };
    let [list, right] = columns(middle, [list, REST]);
    let mut panes = left(state, list);
    let fault = error_pane::height(state).min(right.height / 2);
    let below = if fault > 0 && !wide { 0 } else { below_height(state, right) };
    let [figures, scrubber, fault, below] = rows(right, [REST, scrubber_height(state), fault, below]);
    panes.extend(of(|place| matches!(place, PanelPlace::Center)).map(|panel| (panel.pane, figures)));
    let visible = below_panels(state, below.width);
    let shares = visible.iter().map(|_| Constraint::Fill(1));
    panes.extend(visible.iter().map(|panel| panel.pane).zip(Layout::horizontal(shares).split(below).iter().copied()));
    panes.retain(|(_, area)| !area.is_empty());
    Areas { panes, scrubber, fault, ..areas }
}

/// The panels of the left column: all of them if it is tall, otherwise the one that was focused last.
fn left(state: &State, column: Rect) -> Vec<(Pane, Rect)> {
    let all = of(|place| matches!(place, PanelPlace::Left));
    let shown: Vec<_> = all.map(|panel| panel.pane).filter(|p| column.height >= TALL || *p == state.left).collect();
    let areas = Layout::vertical(shown.iter().map(|_| Constraint::Fill(1))).split(column);
    shown.into_iter().zip(areas.iter().copied()).collect()
}

/// The panels in the row below the figures. If not all of them fit, those that come first and the focused one are shown.
fn below_panels(state: &State, width: u16) -> Vec<&'static Panel> {
    if matches!(panel::of(state.focus).place, PanelPlace::Drawer) {
        return vec![panel::of(state.focus)];
    }
    let wanted = |panel: &&Panel| rows_of(panel, state).is_some();
    let mut shown: Vec<_> = PANELS.iter().filter(wanted).collect();
    let room = usize::from(width / NARROWEST).max(1);
    while shown.len() > room {
        let last = shown.iter().rposition(|panel| panel.pane != state.focus);
        shown.remove(last.unwrap_or(0));
    }
    shown
}

/// The rows that a panel in the row below the figures needs for its content; `None` if it is not shown there.
fn rows_of(panel: &Panel, state: &State) -> Option<u16> {
    let PanelPlace::Below(rows) = panel.place else { return None };
    rows(state).or((panel.pane == state.focus).then_some(1))
}

/// Height of the row below the figures: as much as its panels need, at most about a third of the screen.
fn below_height(state: &State, right: Rect) -> u16 {
    let most = (right.height * 26 / 100).clamp(6, 14);
    if matches!(panel::of(state.focus).place, PanelPlace::Drawer) {
        return most.max(8);
    }
    let rows = below_panels(state, right.width).into_iter().filter_map(|panel| rows_of(panel, state)).max();
    rows.map_or(0, |rows| (rows + 2).clamp(4, most))
}

/// The height of the step scrubber: one row if the method has steps.
fn scrubber_height(state: &State) -> u16 {
    u16::from(state.stepped())
}

fn of(fits: fn(&PanelPlace) -> bool) -> impl Iterator<Item = &'static Panel> {
    PANELS.iter().filter(move |panel| fits(&panel.place))
}

impl Areas {
    /// Number of rows inside a panel's frame; 0 if it is not visible.
    pub fn rows(&self, pane: Pane) -> usize {
        self.of(pane).map_or(0, |area| usize::from(area.height.saturating_sub(2)))
    }

    /// Area of a panel; `None` if it is not visible.
    pub fn of(&self, pane: Pane) -> Option<Rect> {
        self.panes.iter().find(|(p, _)| *p == pane).map(|(_, area)| *area)
    }

    /// The panel at a screen position, and the row inside its frame (`None` on the frame).
    pub fn at(&self, column: u16, row: u16) -> Option<(Pane, Option<usize>)> {
        let (pane, area) = self.panes.iter().find(|(_, area)| area.contains((column, row).into()))?;
        let inside = row > area.y && row + 1 < area.bottom();
        Some((*pane, inside.then(|| usize::from(row - area.y - 1))))
    }
}

/// Splits an area into rows of the given heights. [`REST`] fills the remaining height.
fn rows<const N: usize>(area: Rect, heights: [u16; N]) -> [Rect; N] {
    Layout::vertical(heights.map(constraint)).areas(area)
}

/// Splits an area into columns of the given widths. [`REST`] fills the remaining width.
fn columns<const N: usize>(area: Rect, widths: [u16; N]) -> [Rect; N] {
    Layout::horizontal(widths.map(constraint)).areas(area)
}

fn constraint(size: u16) -> Constraint {
    if size == REST { Constraint::Fill(1) } else { Constraint::Length(size) }
}
