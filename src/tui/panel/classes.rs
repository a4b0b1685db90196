//! The classes panel: class probabilities and their changes since the previous step.

use super::spec::{BLANK, List, Panel, PanelPlace};
use crate::render::ClassRow;
use crate::script::session::Target;
use crate::tui::action::comparison;
use crate::tui::effect::{Effect, ask};
use crate::tui::event::Key as K;
use crate::tui::keymap::{Action as A, Binding, row as bind};
use crate::tui::picture::PictureStage;
use crate::tui::state::{Pane, State, class_rows};
use crate::tui::theme::Theme;
use crate::tui::view::widget::{bar, mark, row};
use crate::worker::letter;
use crate::worker::message::Command;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The classes panel.
pub const PANEL: Panel = Panel {
    pane: Pane::CLASSES,
    place: PanelPlace::Below(|state| Some(state.classes().len() as u16).filter(|count| *count > 0)),
    keys: KEYS,
    list: Some(List {
        rows: |state| state.classes().len(),
        clickable: true,
        moved: |_| {},
        text: |state, row| state.classes().get(row).map_or_else(String::new, |class| class.label.clone()),
        reserved: |_| 0,
    }),
    act,
    title: |state, theme, area| match state.stepped() && !state.run.foreign {
        true if area.width >= 32 => vec![Span::styled("± last step ", theme.dim)],
        false if area.width >= 36 => vec![Span::styled("t chooses the target ", theme.dim)],
        _ => Vec::new(),
    },
    draw,
    ..BLANK
};

const KEYS: &[Binding] = &[bind(&[K::Enter], A::Choose, "Classes", "set as target", "target")];

fn act(state: &mut State, action: A) -> Option<Vec<Effect>> {
    if action != A::Choose {
        return None;
    }
    let class = state.classes().get(state.cursor(Pane::CLASSES).cursor).map(|row| row.class);
    Some(class.map_or_else(Vec::new, |class| ask(Command::Target(Some(Target::Class(class))))))
}

/// Draws the classes; `*` marks a class marked for the gallery, `◎` the target, `★` the most likely class.
fn draw(buf: &mut Buffer, inner: Rect, state: &State, theme: &Theme, _: &PictureStage) {
    let cursor = state.cursor(Pane::CLASSES);
    let classes = state.classes();
    let bars = if inner.width < 34 { 0 } else { usize::from(inner.width) * 3 / 10 };
    let beside = beside(state);
    for (y, class) in classes.iter().skip(cursor.offset).take(usize::from(inner.height)).enumerate() {
        let index = y + cursor.offset;
        row(buf, inner, y, name(class, index, state, theme), numbers(class, bars, beside, state, theme));
        if index == cursor.cursor && state.focus == Pane::CLASSES {
            mark(buf, inner, y, true, theme);
        }
    }
}

fn name(class: &ClassRow, index: usize, state: &State, theme: &Theme) -> Line<'static> {
    let target = state.target_class() == Some(class.class);
    let sign = match (target, index) {
        _ if state.gallery.classes.contains(&class.class) => "*",
        (true, _) => "◎",
        (false, 0) => "★",
        _ => " ",
    };
    Line::styled(format!("{sign} {}", class.label), if target { theme.warn } else { Style::new() })
}

fn numbers(
    class: &ClassRow,
    bars: usize,
    beside: Option<(char, &[ClassRow])>,
    state: &State,
    theme: &Theme,
) -> Line<'static> {
    let share = Span::styled(format!("{:5.1}% ", class.probability * 100.0), theme.strong);
    let target = state.target_class() == Some(class.class);
    let bar = format!("{:bars$}", bar(class.probability, bars));
    let bar = Span::styled(bar, if target && beside.is_none() { theme.warn } else { theme.bar });
    match beside {
        Some((letter, rows)) => Line::from(vec![share, other(letter, rows, class), bar]),
        None if state.stepped() && !state.run.foreign => {
            Line::from(vec![share, change(state.change(class), theme), bar])
        }
        None => Line::from(vec![share, bar]),
    }
}

/// The letter and the classes of the other compared branch; `None` if no branches are compared.
fn beside(state: &State) -> Option<(char, &[ClassRow])> {
    let branches = comparison::compared(state)?;
    let (at, other) = branches.into_iter().find(|(at, _)| *at != state.branches.at)?;
    Some((letter(at), class_rows(&other.frame.figures)?))
}

/// The probability of a class in the other compared branch.
fn other(letter: char, rows: &[ClassRow], class: &ClassRow) -> Span<'static> {
    let share = rows.iter().find(|row| row.class == class.class).map(|row| row.probability * 100.0);
    Span::raw(share.map_or_else(|| "         ".to_owned(), |share| format!("{letter} {share:5.1}% ")))
}

fn change(by: Option<f32>, theme: &Theme) -> Span<'static> {
    match by.map(|by| by * 100.0) {
        Some(by) if by >= 0.05 => Span::styled(format!("{by:+5.1} "), theme.good),
        Some(by) if by <= -0.05 => Span::styled(format!("{by:+5.1} "), theme.bad),
        Some(_) => Span::styled("   =  ", theme.dim),
        None => Span::raw("      "),
    }
}
