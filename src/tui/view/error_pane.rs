//! The error pane, which shows an error with an excerpt of the script.

use super::format::clock;
use super::widget::{framed, paragraph};
use crate::script::summary::Report;
use crate::tui::keymap::Action;
use crate::tui::state::{ErrorPane, State, headline};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Draws the error pane, if there is an error.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    let Some(fault) = state.fault.as_ref().filter(|_| area.height > 2) else { return };
    let title = Line::styled(format!(" ✗ Error  {} ", clock(fault.at)), theme.bad);
    let inner = framed(buf, area, title, theme.bad);
    let mut lines = vec![Line::styled(headline(&fault.report), theme.bad)];
    lines.extend(excerpt(&fault.report, theme));
    lines.extend(fault.report.advice.iter().flat_map(|a| a.lines()).map(|l| Line::raw(l.to_owned())));
    lines.extend(fault.report.python.iter().map(|l| Line::raw(l.clone())));
    lines.push(Line::styled(what_now(fault, state), theme.dim));
    paragraph(buf, inner, lines, false);
}

/// Height of the error pane in rows: headline, excerpt, caret, advice, lines of Python, keys and frame; 0 if there is no error.
pub fn height(state: &State) -> u16 {
    let Some(fault) = &state.fault else { return 0 };
    let report = &fault.report;
    let width = usize::from(state.size.0.saturating_sub(2)).max(1);
    let lines = |text: &str| text.lines().map(|l| l.chars().count().div_ceil(width).max(1)).sum::<usize>();
    let caret = usize::from(report.place.is_some() && !report.excerpt.is_empty());
    let advice = report.advice.as_deref().map_or(0, lines);
    let python: usize = report.python.iter().map(|line| lines(line)).sum();
    (lines(&headline(report)) + report.excerpt.len() + caret + advice + python + 3) as u16
}

/// The numbered lines of the script around the error, with a caret below its column.
fn excerpt(report: &Report, theme: &Theme) -> Vec<Line<'static>> {
    let Some((_, line, column)) = report.place else { return Vec::new() };
    let mut lines = Vec::new();
    for (number, text) in &report.excerpt {
        let here = *number == line;
        let sign = if here { "▶" } else { " " };
        let style = if here { theme.warn } else { Style::new() };
        let gutter = Span::styled(format!("{sign}{number:>5} │ "), if here { theme.warn } else { theme.dim });
        lines.push(Line::from(vec![gutter, Span::styled(text.replace('\t', " "), style)]));
        if here {
            let caret = format!("{}^", " ".repeat(column.saturating_sub(1)));
            lines.push(Line::from(vec![Span::styled("       │ ", theme.dim), Span::styled(caret, theme.bad)]));
        }
    }
    lines
}

fn what_now(fault: &ErrorPane, state: &State) -> String {
    let close = format!("{} close", state.bindings.key_of(Action::Escape));
    let stays = if fault.good_stays { "previous result shown · " } else { "" };
    match &fault.report.place {
        Some((_, line, _)) => format!("{stays}{} edit line {line} · {close}", state.bindings.key_of(Action::Edit)),
        None => format!("{stays}{close}"),
    }
}
