//! The pane of classes: probabilities, and how they changed since the step before.

use super::{bar, mark, pane, row};
use crate::render::ClassRow;
use crate::tui::state::{Pane, State};
use crate::tui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Draws it: `◎` stands before the target, `★` before the most likely one.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme) {
    let title = match state.stepped() && !state.run.foreign {
        true => "± since the step before ",
        false => "t picks the target ",
    };
    let inner = pane(buf, area, Pane::Classes, vec![Span::styled(title, theme.frame)], state, theme);
    let classes = state.classes();
    let bars = usize::from(inner.width) * 3 / 10;
    for (y, class) in classes.iter().skip(state.class_list.offset).take(usize::from(inner.height)).enumerate() {
        let index = y + state.class_list.offset;
        row(buf, inner, y, name(class, index, state, theme), numbers(class, bars, state, theme));
        if index == state.class_list.cursor && state.focus == Pane::Classes {
            mark(buf, inner, y, true, theme);
        }
    }
}

fn name(class: &ClassRow, index: usize, state: &State, theme: &Theme) -> Line<'static> {
    let target = state.target == Some(class.class);
    let sign = match (target, index) {
        (true, _) => "◎",
        (false, 0) => "★",
        _ => " ",
    };
    Line::styled(format!("{sign} {}", class.label), if target { theme.warn } else { Style::new() })
}

fn numbers(class: &ClassRow, bars: usize, state: &State, theme: &Theme) -> Line<'static> {
    let share = Span::styled(format!("{:5.1}% ", class.probability * 100.0), theme.strong);
    let target = state.target == Some(class.class);
    let bar = format!("{:bars$}", bar(class.probability, bars));
    let bar = Span::styled(bar, if target { theme.warn } else { theme.bar });
    match state.stepped() && !state.run.foreign {
        true => Line::from(vec![share, change(state.change(class), theme), bar]),
        false => Line::from(vec![share, bar]),
    }
}

fn change(by: Option<f32>, theme: &Theme) -> Span<'static> {
    match by.map(|by| by * 100.0) {
        Some(by) if by >= 0.05 => Span::styled(format!("{by:+5.1} "), theme.good),
        Some(by) if by <= -0.05 => Span::styled(format!("{by:+5.1} "), theme.bad),
        Some(_) => Span::styled("   =  ", theme.dim),
        None => Span::raw("      "),
    }
}
