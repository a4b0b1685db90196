//! The step scrubber: the current step, the number of steps, and why the method finished.

use super::widget::{cut, put};
use crate::tui::keymap::Action;
use crate::tui::state::State;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws the step scrubber. `area` is empty if the method has no steps.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let (step, kept, stride, done) = match &state.run.frame {
        Some(frame) if !state.run.foreign => (frame.step, frame.kept.max(1), frame.stride, frame.done.as_deref()),
        _ => (0, 1, 1, None),
    };
    let track = track(area);
    let sign = if state.run.playing { "▶" } else { "‖" };
    let room = usize::from(track.x.saturating_sub(area.x + 1));
    let steps = format!("/{}", kept - 1);
    let stride = if stride > 1 { format!(" 1 in {stride} kept") } else { String::new() };
    let used = " ‖ step ".len() + step.to_string().len() + steps.len() + stride.len();
    let done = done.map_or_else(String::new, |why| cut(&format!(": {why}"), room.saturating_sub(used)).into_owned());
    let words = Line::from(vec![
        Span::raw(format!(" {sign} step ")),
        Span::styled(step.to_string(), theme.strong),
        Span::raw(format!("{steps}{done}")),
        Span::styled(stride, theme.warn),
    ]);
    put(buf, (area.x, area.y), words, room as u16);
    draw_track(buf, track, step, kept, theme);
    let key = |action| state.bindings.key_of(action);
    let hint = format!(" {} back  {} next  {} play", key(Action::Step(-1)), key(Action::Step(1)), key(Action::Play));
    put(buf, (track.right(), area.y), Line::styled(hint, theme.dim), area.right().saturating_sub(track.right()));
}

fn draw_track(buf: &mut Buffer, track: Rect, step: usize, kept: usize, theme: &Theme) {
    let last = usize::from(track.width.saturating_sub(1));
    let here = if kept > 1 { step.min(kept - 1) * last / (kept - 1) } else { 0 };
    for x in 0..=last {
        let (sign, style) = match x.cmp(&here) {
            std::cmp::Ordering::Less => ("━", theme.focus),
            std::cmp::Ordering::Equal => ("●", theme.focus),
            std::cmp::Ordering::Greater => ("─", theme.frame),
        };
        buf.set_string(track.x + x as u16, track.y, sign, style);
    }
}

/// Area of the scrubber's track, between its text and its key hints.
pub fn track(line: Rect) -> Rect {
    let before = if line.width > 60 { 36 } else { 24.min(line.width / 2) };
    let after = if line.width > 60 { 27 } else { 1 };
    Rect { x: line.x + before, width: line.width.saturating_sub(before + after), ..line }
}

/// The step at a column of the scrubber's track; `None` outside the track.
pub fn step_at(state: &State, line: Rect, column: u16) -> Option<usize> {
    let track = track(line);
    let kept = state.run.frame.as_ref()?.kept;
    let along = column.checked_sub(track.x).filter(|x| *x < track.width)?;
    let last = kept.saturating_sub(1);
    Some((usize::from(along) * last + usize::from(track.width) / 2) / usize::from(track.width.max(2) - 1))
        .map(|s| s.min(last))
}
