//! The tutorial above the status line.

use super::widget::{framed, paragraph};
use crate::tui::state::{LESSONS, State};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Draws the current lesson, if the tutorial is open.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    let Some((tutor, lesson)) = state.tutor.as_ref().and_then(|tutor| Some((tutor, LESSONS.get(tutor.lesson)?))) else {
        return;
    };
    if area.height < 3 {
        return;
    }
    let title = Line::from(vec![
        Span::styled(format!(" Tutor {}/{} ", tutor.lesson + 1, LESSONS.len()), theme.warn),
        Span::styled(format!("{} ", lesson.title), theme.strong),
        Span::styled(" :tutor next  :tutor end ", theme.dim),
    ]);
    let inner = framed(buf, area, title, theme.warn);
    let text = (lesson.text)(&|action| state.bindings.key_of(action));
    paragraph(buf, inner, [Line::styled(text, Style::new())], true);
}

/// Height of the lesson in rows; 0 if the tutorial is not open.
pub fn height(state: &State) -> u16 {
    let Some(lesson) = state.tutor.as_ref().and_then(|tutor| LESSONS.get(tutor.lesson)) else { return 0 };
    let text = (lesson.text)(&|action| state.bindings.key_of(action));
    let width = usize::from(state.size.0.saturating_sub(8)).max(1);
    (text.chars().count().div_ceil(width) as u16 + 2).min(state.size.1 / 3)
}
