//! The pane of the log, newest lines first.

use super::{pane, row};
use crate::tui::answer::clock;
use crate::tui::state::{Pane, State, Tone};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Draws it.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    let inner = pane(buf, area, Pane::Log, Vec::new(), state, theme);
    let newest = state.log.iter().rev().skip(state.log_back);
    for (y, line) in newest.take(usize::from(inner.height)).enumerate() {
        let (sign, style) = match line.tone {
            Tone::Plain => (" ", Style::new()),
            Tone::Good => ("✓", theme.good),
            Tone::Bad => ("✗", theme.bad),
        };
        let time = Span::styled(format!("{:>6} ", clock(line.at)), theme.dim);
        let text = line.text.lines().next().unwrap_or("").to_owned();
        let left = Line::from(vec![time, Span::styled(format!("{sign} "), style), Span::styled(text, style)]);
        row(buf, inner, y, left, Line::default());
    }
}
