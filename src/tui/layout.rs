//! Lays out the screen for any terminal size.

use super::panel::{Height, PANELS, Panel, PanelPlace, Small};
use super::state::{Pane, State};
use super::view::error_pane;
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
    /// The status line at the bottom.
    pub status: Rect,
}

/// The smallest supported terminal size, in columns and rows.
pub const LEAST: (u16, u16) = (40, 8);

/// Size of a row or column that fills the remaining space.
const REST: u16 = u16::MAX;

/// Computes the areas of the screen for a state.
pub fn areas(state: &State) -> Areas {
    let (width, height) = state.size;
    if width < LEAST.0 || height < LEAST.1 {
        return Areas::default();
    }
    let [header, middle, status] = rows(Rect::new(0, 0, width, height), [1, REST, 1]);
    let areas = Areas { header, status, ..Areas::default() };
    match () {
        () if width < 60 || height < 16 || state.zoomed => alone(state, areas, middle),
        () if width >= 100 && height >= 28 => large(state, areas, middle),
        () => small(state, areas, middle),
    }
}

/// Lays out only the focused panel and the step scrubber.
fn alone(state: &State, areas: Areas, middle: Rect) -> Areas {
    let fault = error_pane::height(state).min(middle.height / 2);
    let [pane, scrubber, fault] = rows(middle, [REST, 1, fault]);
    Areas { panes: vec![(state.focus, pane)], scrubber, fault, ..areas }
}

/// Lays out a small terminal, with one list at a time on the left. A [`Small::Focused`] panel replaces the list and the center while
/// it is focused.
fn small(state: &State, areas: Areas, middle: Rect) -> Areas {
    let fault = error_pane::height(state).min(middle.height / 2);
    let few = if middle.height > 18 { 5 } else { 4 };
    let [main, scrubber, below] = rows(middle, [REST, 1, if fault > 0 { fault } else { few }]);
    let of = |small: Small| PANELS.iter().filter(move |panel| panel.small == small).map(|panel| panel.pane);
    let mut panes = vec![(state.focus, main)];
    if !of(Small::Focused).any(|pane| pane == state.focus) {
        let [list, middle] = columns(main, [if main.width < 76 { 20 } else { 24 }, REST]);
        panes = vec![(state.left, list)];
        panes.extend(of(Small::Always).zip(shared(middle, of(Small::Always).count(), Layout::vertical)));
    }
    if fault > 0 {
        return Areas { panes, scrubber, fault: below, ..areas };
    }
    panes.extend(of(Small::Bottom).zip(shared(below, of(Small::Bottom).count(), Layout::horizontal)));
    Areas { panes, scrubber, ..areas }
}

/// Lays out a large terminal, with all panels visible.
fn large(state: &State, areas: Areas, middle: Rect) -> Areas {
    let log = if middle.height > 32 { 5 } else { 4 };
    let fault = error_pane::height(state).min(middle.height / 3);
    let [main, bottom] = rows(middle, [REST, log.max(fault)]);
    let right = (main.width * 30 / 100).clamp(32, 46);
    let [left, center, right] = columns(main, [(main.width * 19 / 100).clamp(22, 32), REST, right]);
    let [center, scrubber] = rows(center, [REST, 1]);
    let in_column = |panel: &Panel| match panel.place {
        PanelPlace::Left(height) => Some((0, height)),
        PanelPlace::Center => Some((1, Height::Rest)),
        PanelPlace::Right(height) => Some((2, height)),
        PanelPlace::Bottom => None,
    };
    let mut panes = Vec::new();
    for (number, column) in [left, center, right].into_iter().enumerate() {
        let within = |panel: &'static Panel| in_column(panel).filter(|(at, _)| *at == number).map(|(_, h)| (panel, h));
        let (panels, heights): (Vec<_>, Vec<_>) = PANELS.iter().filter_map(within).unzip();
        let heights = heights.into_iter().map(|height| match height {
            Height::Rows(rows) => Constraint::Length(rows(state, column.height)),
            Height::Rest => Constraint::Fill(1),
        });
        let areas = Layout::vertical(heights).split(column);
        panes.extend(panels.iter().map(|panel| panel.pane).zip(areas.iter().copied()));
    }
    if fault > 0 {
        return Areas { panes, scrubber, fault: bottom, ..areas };
    }
    let below = || PANELS.iter().filter(|panel| matches!(panel.place, PanelPlace::Bottom)).map(|panel| panel.pane);
    panes.extend(below().zip(shared(bottom, below().count(), Layout::horizontal)));
    Areas { panes, scrubber, ..areas }
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

/// Divides an area into `count` equal parts.
fn shared(area: Rect, count: usize, split: fn(Vec<Constraint>) -> Layout) -> Vec<Rect> {
    split(vec![Constraint::Fill(1); count]).split(area).to_vec()
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
