//! The line that is typed, with what it may go on as and what was wrong with it.

use super::put;
use crate::tui::prompt::Prompt;
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

/// Draws it, and says where the cursor blinks.
pub fn draw(buf: &mut Buffer, area: Rect, prompt: &Prompt, theme: &Theme) -> Position {
    for (y, offer) in prompt.offers.iter().take(usize::from(area.height - 1)).enumerate() {
        put(buf, (area.x, area.y + y as u16), Line::raw(format!("  {offer}")), area.width);
    }
    let y = area.bottom() - 1;
    if let Some(wrong) = &prompt.wrong {
        put(buf, (area.x, y.saturating_sub(1)), Line::styled(format!(" {wrong}"), theme.bad), area.width);
    }
    let lead = if prompt.filter { "/" } else { ":" };
    let room = usize::from(area.width).saturating_sub(2);
    let skipped = prompt.cursor.saturating_sub(room);
    let seen: String = prompt.text.chars().skip(skipped).collect();
    put(buf, (area.x, y), Line::raw(format!("{lead}{seen}")), area.width);
    Position::new(area.x + 1 + (prompt.cursor - skipped) as u16, y)
}
