//! The log panel, newest lines first.

use super::spec::{BLANK, List, Panel, PanelPlace};
use crate::tui::effect::Effect;
use crate::tui::event::Key as K;
use crate::tui::keymap::{Action as A, Binding, row as bind};
use crate::tui::picture::PictureStage;
use crate::tui::state::{Pane, State, Tone};
use crate::tui::theme::Theme;
use crate::tui::view::format::clock;
use crate::tui::view::widget::row;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The log panel. Its cursor is the number of lines scrolled back.
pub const PANEL: Panel = Panel {
    pane: Pane::LOG,
    place: PanelPlace::Drawer,
    keys: KEYS,
    list: Some(List {
        rows: |state| state.log.len(),
        clickable: false,
        moved: |_| {},
        text: |state, row| state.log.iter().rev().nth(row).map_or_else(String::new, |line| line.text.clone()),
        reserved: |_| 0,
    }),
    act,
    draw,
    ..BLANK
};

const KEYS: &[Binding] = &[bind(&[K::Enter], A::Choose, "Log", "maximize or restore", "zoom")];

fn act(state: &mut State, action: A) -> Option<Vec<Effect>> {
    (action == A::Choose).then(|| state.toggle_zoom()).map(|()| Vec::new())
}

fn draw(buf: &mut Buffer, inner: Rect, state: &State, theme: &Theme, _: &PictureStage) {
    let newest = state.log.iter().rev().skip(state.cursor(Pane::LOG).cursor);
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
