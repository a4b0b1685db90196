//! The status line: key hints, messages and progress.

use super::format::clock;
use super::widget::put;
use crate::tui::keymap::Bound;
use crate::tui::state::{RATE, State};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use std::time::Duration;

/// Draws the status line. Progress takes precedence over key hints.
pub fn draw(buf: &mut Buffer, area: Rect, keys: &[Bound], state: &State, theme: &Theme) {
    buf.set_style(area, theme.status);
    let going_on = format!(" {} ", going_on(state));
    let width = (going_on.chars().count() as u16).min(area.width);
    put(buf, (area.right() - width, area.y), Line::raw(going_on), width);
    let left = match &state.toast {
        Some((text, _)) => Line::styled(format!(" {text}"), theme.status.add_modifier(Modifier::BOLD)),
        None => hints(keys, area.width.saturating_sub(width + 2)),
    };
    put(buf, (area.x, area.y), left, area.width.saturating_sub(width + 1));
}

/// As many key hints as fit in `room` columns.
fn hints(keys: &[Bound], room: u16) -> Line<'static> {
    let rows = keys.iter().filter(|b| !b.keys.is_empty() && !b.binding.hint.is_empty());
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    for row in rows {
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
        (None, None) => parts.extend(took(state)),
    }
    parts.extend(state.model.as_ref().map(|m| m.device.clone()));
    if !state.graphics.is_empty() {
        let rate = (state.rate >= RATE).then(|| format!(" {} kB/s", state.rate.div_ceil(1000)));
        parts.push(format!("{}{}", state.graphics, rate.unwrap_or_default()));
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

fn took(state: &State) -> Option<String> {
    let millis = state.run.frame.as_ref().filter(|_| !state.stale())?.millis;
    Some(if millis < 1000.0 { format!("{millis:.0} ms") } else { format!("{:.1} s", millis / 1000.0) })
}
