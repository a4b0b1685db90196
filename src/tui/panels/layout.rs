//! Where everything is, for every size of terminal.

use crate::tui::answer::headline;
use crate::tui::picker::{Choice, Picker};
use crate::tui::state::{Pane, Popup, State};
use ratatui::layout::{Constraint, Layout, Rect};

/// Where everything is. A rectangle without area is not drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Areas {
    /// The line at the top.
    pub header: Rect,
    /// The panes that are seen.
    pub panes: Vec<(Pane, Rect)>,
    /// The line of steps.
    pub scrubber: Rect,
    /// The error, with its lines of the script.
    pub fault: Rect,
    /// The line at the bottom.
    pub status: Rect,
}

/// The smallest terminal that is drawn in.
pub const LEAST: (u16, u16) = (40, 8);

/// Rows for words about the row under the cursor of a list.
pub const WORDS: u16 = 9;

/// Stands for the height or width that is left.
const REST: u16 = u16::MAX;

/// Where everything is in this state.
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

/// One pane, and the steps.
fn alone(state: &State, areas: Areas, middle: Rect) -> Areas {
    let fault = fault_height(state).min(middle.height / 2);
    let [pane, scrubber, fault] = rows(middle, [REST, 1, fault]);
    Areas { panes: vec![(state.focus, pane)], scrubber, fault, ..areas }
}

/// One list at a time on the left; curves and log instead of list and figures.
fn small(state: &State, areas: Areas, middle: Rect) -> Areas {
    let fault = fault_height(state).min(middle.height / 2);
    let classes = if middle.height > 18 { 5 } else { 4 };
    let below = if fault > 0 { fault } else { classes };
    let [main, scrubber, below] = rows(middle, [REST, 1, below]);
    let mut panes = match state.focus {
        Pane::Curves | Pane::Log => vec![(state.focus, main)],
        _ => {
            let [list, figures] = columns(main, [if main.width < 76 { 20 } else { 24 }, REST]);
            vec![(state.left, list), (Pane::Figures, figures)]
        }
    };
    if fault > 0 {
        return Areas { panes, scrubber, fault: below, ..areas };
    }
    panes.push((Pane::Classes, below));
    Areas { panes, scrubber, ..areas }
}

/// Everything.
fn large(state: &State, areas: Areas, middle: Rect) -> Areas {
    let log = if middle.height > 32 { 5 } else { 4 };
    let fault = fault_height(state).min(middle.height / 3);
    let [main, log] = rows(middle, [REST, log.max(fault)]);
    let right = (main.width * 30 / 100).clamp(32, 46);
    let [left, centre, right] = columns(main, [(main.width * 19 / 100).clamp(22, 32), REST, right]);
    let methods = (state.listed().len() as u16 + 2).clamp(5, (left.height * 45 / 100).max(5));
    let [methods, layers] = rows(left, [methods, REST]);
    let [figures, scrubber] = rows(centre, [REST, 1]);
    let params = (state.params().len() as u16 + 3).clamp(4, (right.height / 3).max(4));
    let classes = (state.classes().len() as u16 + 2).clamp(5, (right.height / 3).max(5));
    let [params, classes, curves] = rows(right, [params, classes, REST]);
    let panes = vec![
        (Pane::Methods, methods),
        (Pane::Layers, layers),
        (Pane::Figures, figures),
        (Pane::Parameters, params),
        (Pane::Classes, classes),
        (Pane::Curves, curves),
    ];
    if fault > 0 {
        return Areas { panes, scrubber, fault: log, ..areas };
    }
    Areas { panes: panes.into_iter().chain([(Pane::Log, log)]).collect(), scrubber, ..areas }
}

/// Headline, lines of the script, caret, advice, what stays; and the frame.
fn fault_height(state: &State) -> u16 {
    let Some(fault) = &state.fault else { return 0 };
    let report = &fault.report;
    let width = usize::from(state.size.0.saturating_sub(2)).max(1);
    let lines = |text: &str| text.lines().map(|l| l.chars().count().div_ceil(width).max(1)).sum::<usize>();
    let caret = usize::from(report.place.is_some() && !report.excerpt.is_empty());
    let advice = report.advice.as_deref().map_or(0, lines);
    (lines(&headline(report)) + report.excerpt.len() + caret + advice + 3) as u16
}

/// How many rows a list to choose from shows.
pub fn picker_rows(size: (u16, u16), picker: &Picker) -> usize {
    let most = usize::from(size.1.saturating_sub(8)).max(1);
    match picker.of {
        Choice::Picture => picker.items.len().max(16).min(most),
        Choice::Reference => most.saturating_sub(usize::from(WORDS)).max(1),
        _ => picker.items.len().clamp(1, most),
    }
}

/// Where that which is open over the panes is.
pub fn popup(state: &State) -> Option<Rect> {
    let (width, height) = state.size;
    match state.popup.as_ref()? {
        Popup::Help(_) => Some(centred(state.size, width.saturating_sub(4).min(98), height.saturating_sub(2).min(36))),
        Popup::Picker(picker) => {
            let rows = picker_rows(state.size, picker) as u16 + 4;
            let room = width.saturating_sub(4);
            match picker.of {
                Choice::Picture => Some(centred(state.size, room.min(104), rows)),
                Choice::Reference => {
                    let wide = room.min((width / 2).max(66));
                    Some(Rect::new(width - wide, 1, wide, (rows + WORDS + 1).min(height.saturating_sub(2))))
                }
                _ => Some(centred(state.size, room.min(64), rows)),
            }
        }
        Popup::Prompt(prompt) => {
            let offers = prompt.offers.len().min(8) as u16;
            let lines = offers + u16::from(prompt.wrong.is_some());
            Some(Rect::new(0, height.saturating_sub(1 + lines), width, 1 + lines))
        }
    }
}

/// Which row of an open list is at this place.
pub fn picker_row(state: &State, column: u16, row: u16) -> Option<usize> {
    let area = popup(state)?;
    let inside = area.contains((column, row).into());
    inside.then(|| usize::from(row).checked_sub(usize::from(area.y) + 3)).map(|row| row.unwrap_or(usize::MAX / 2))
}

/// Where the track of steps is in its line: after the words, before the hint.
pub fn track(line: Rect) -> Rect {
    let before = if line.width > 60 { 36 } else { 24.min(line.width / 2) };
    let after = if line.width > 60 { 27 } else { 1 };
    Rect { x: line.x + before, width: line.width.saturating_sub(before + after), ..line }
}

/// Which kept step is at this column of the line of steps.
pub fn scrubber_place(state: &State, line: Rect, column: u16) -> Option<usize> {
    let track = track(line);
    let kept = state.run.frame.as_ref()?.kept;
    let along = column.checked_sub(track.x).filter(|x| *x < track.width)?;
    let last = kept.saturating_sub(1);
    Some((usize::from(along) * last + usize::from(track.width) / 2) / usize::from(track.width.max(2) - 1))
        .map(|s| s.min(last))
}

impl Areas {
    /// How many rows a pane shows within its frame; 0 when it is not seen.
    pub fn rows(&self, pane: Pane) -> usize {
        self.of(pane).map_or(0, |area| usize::from(area.height.saturating_sub(2)))
    }

    /// Where a pane is.
    pub fn of(&self, pane: Pane) -> Option<Rect> {
        self.panes.iter().find(|(p, _)| *p == pane).map(|(_, area)| *area)
    }

    /// The pane at this place, and its row within the frame.
    pub fn at(&self, column: u16, row: u16) -> Option<(Pane, Option<usize>)> {
        let (pane, area) = self.panes.iter().find(|(_, area)| area.contains((column, row).into()))?;
        let inside = row > area.y && row + 1 < area.bottom();
        Some((*pane, inside.then(|| usize::from(row - area.y - 1))))
    }
}

/// Parts of these heights from top to bottom; [`REST`] takes what is left.
fn rows<const N: usize>(area: Rect, heights: [u16; N]) -> [Rect; N] {
    Layout::vertical(heights.map(constraint)).areas(area)
}

/// Parts of these widths from left to right; [`REST`] takes what is left.
fn columns<const N: usize>(area: Rect, widths: [u16; N]) -> [Rect; N] {
    Layout::horizontal(widths.map(constraint)).areas(area)
}

fn constraint(size: u16) -> Constraint {
    if size == REST { Constraint::Fill(1) } else { Constraint::Length(size) }
}

fn centred((columns, rows): (u16, u16), width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(columns), height.min(rows));
    Rect::new((columns - width) / 2, (rows - height) / 2, width, height)
}
