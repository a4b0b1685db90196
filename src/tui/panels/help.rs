//! The help: every key there is, made from the keymap.

use super::{framed, put};
use crate::tui::bindings::Bound;
use crate::tui::keymap::Context;
use crate::tui::prompt::ORDERS;
use crate::tui::state::State;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Draws it, the keys of the focused pane first; in two columns where there is room.
pub fn draw(buf: &mut Buffer, area: Rect, row: usize, state: &State, theme: &Theme) {
    let title = Line::styled(" Help  j k scroll  q closes ", theme.focus);
    let inner = framed(buf, area, title, theme.focus);
    let lines = lines(state, theme);
    let count = if inner.width >= 90 { 2 } else { 1 };
    let height = usize::from(inner.height);
    let per = lines.len().div_ceil(count).max(1);
    let top = row.min(per.saturating_sub(height));
    let columns = Layout::horizontal(vec![Constraint::Fill(1); count]).spacing(2).split(inner);
    for (column, lines) in columns.iter().zip(lines.chunks(per)) {
        for (y, line) in lines.iter().skip(top).take(height).enumerate() {
            put(buf, (column.x, column.y + y as u16), line.clone(), column.width);
        }
    }
}

fn lines(state: &State, theme: &Theme) -> Vec<Line<'static>> {
    let here = state.focus.context();
    let of = |c: Context| state.bindings.rows().filter(move |b| b.binding.context == c);
    let panes = state.bindings.rows().filter(|b| b.binding.context != here && b.binding.context != Context::Everywhere);
    let mut lines = Vec::new();
    let mut section = "";
    for bound in of(here).chain(of(Context::Everywhere)).chain(panes) {
        if bound.binding.section != section {
            section = bound.binding.section;
            if !lines.is_empty() {
                lines.push(Line::default());
            }
            lines.push(Line::styled(section, theme.focus));
        }
        lines.push(entry(bound, theme));
    }
    lines.extend([Line::default(), Line::styled("Commands", theme.focus)]);
    lines.extend(ORDERS.iter().map(|(name, wants, says)| pair(format!(":{name} {wants}"), 22, says, theme)));
    lines
}

fn entry(bound: &Bound, theme: &Theme) -> Line<'static> {
    let keys: Vec<_> = bound.keys.iter().map(ToString::to_string).collect();
    pair(keys.join(" "), 14, bound.binding.says, theme)
}

fn pair(left: String, width: usize, right: &'static str, theme: &Theme) -> Line<'static> {
    Line::from(vec![Span::styled(format!(" {left:width$} "), theme.strong), Span::styled(right, Style::new())])
}
