//! The status line: key hints, messages and progress.

use super::format::clock;
use super::widget::{cut, put};
use crate::tui::keymap::{Action, Bound};
use crate::tui::state::{RATE, State};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use std::time::Duration;

/// The actions whose keys are always shown first.
const FIRST: [Action; 2] = [Action::Help, Action::CommandLine];

/// Draws the status line: key hints or a message on the left, progress and unread log lines on the right.
pub fn draw(buf: &mut Buffer, area: Rect, keys: &[Bound], state: &State, theme: &Theme) {
    buf.set_style(area, theme.status);
    let going_on = going_on(state);
    let going_on = if going_on.is_empty() { going_on } else { format!(" {going_on} ") };
    let width = (going_on.chars().count() as u16).min(area.width);
    put(buf, (area.right() - width, area.y), Line::raw(going_on), width);
    let room = area.width.saturating_sub(width + 1);
    let left = match &state.toast {
        Some((text, _)) => {
            let text = cut(text, usize::from(room.saturating_sub(1))).into_owned();
            Line::styled(format!(" {text}"), theme.status.add_modifier(Modifier::BOLD))
        }
        None => hints(keys, room, state),
    };
    put(buf, (area.x, area.y), left, room);
}

/// As many key hints as fit in `room` columns: those for help and commands, then those of the topmost layer.
fn hints(keys: &[Bound], room: u16, state: &State) -> Line<'static> {
    let useful = |action| match action {
        Action::Play | Action::Step(_) => state.stepped(),
        Action::Compare => state.branches.count > 1,
        _ => true,
    };
    let hinted =
        || keys.iter().filter(|b| !b.keys.is_empty() && !b.binding.hint.is_empty() && useful(b.binding.action));
    let first = FIRST.iter().filter_map(|action| hinted().find(|row| row.binding.action == *action));
    let rest = hinted().filter(|row| !FIRST.contains(&row.binding.action));
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    for row in first.chain(rest) {
        let key = row.keys[0].to_string();
        let text = format!(" {}  ", row.binding.hint);
        used += key.chars().count() + text.chars().count();
        if used > usize::from(room) {
            break;
        }
        spans.push(Span::styled(key, Modifier::BOLD));
        spans.push(Span::raw(text));
    }
    Line::from(spans)
}

fn going_on(state: &State) -> String {
    let mut parts = Vec::new();
    match (&state.progress, state.busy) {
        (Some(p), since) if p.total > 0 => parts.push(progress(&p.what, p.done, p.total, since.map(|s| state.now - s))),
        (Some(p), Some(since)) if p.done == 0 => parts.push(spinner(&p.what, state.now, since)),
        (Some(p), _) => parts.push(format!("{} {}", p.what, p.done)),
        (None, Some(since)) => parts.push(spinner("computing", state.now, since)),
        (None, None) => {}
    }
    if state.rate >= RATE {
        parts.push(format!("{} kB/s", state.rate.div_ceil(1000)));
    }
    match state.log.len().saturating_sub(state.read) {
        0 => {}
        new => parts.push(format!("▲{new} log")),
    }
    parts.join(" │ ")
}

fn progress(what: &str, done: usize, total: usize, since: Option<Duration>) -> String {
    let full = (done * 8 / total).min(8);
    let left = since.filter(|_| done > 0).map(|s| s.mul_f64((total - done.min(total)) as f64 / done as f64));
    let left = left.map_or_else(String::new, |left| format!(" {} left", clock(left)));
    format!("{what} {}{} {done}/{total}{left}", "▓".repeat(full), "░".repeat(8 - full))
}

/// A spinner that updates four times per second, followed by the activity and its elapsed seconds.
fn spinner(what: &str, now: Duration, since: Duration) -> String {
    let sign = ["|", "/", "-", "\\"][(now.as_millis() / 250 % 4) as usize];
    let seconds = (now - since).as_secs();
    let time = if seconds > 0 { format!(" {seconds} s") } else { String::new() };
    format!("{sign} {what}{time}")
}
