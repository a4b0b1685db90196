//! The picker: a list filtered by typing, with an optional picture or text beside it.

use super::palette;
use crate::render::Colormap;
use crate::script::session::Target;
use crate::tui::action::{copy, model_picker, request};
use crate::tui::effect::{Effect, ask};
use crate::tui::event::{Key as K, Mouse};
use crate::tui::keymap::{Action as A, Binding, Bound, find, row as bind};
use crate::tui::layer::{Handled, Layer};
use crate::tui::picture::PictureStage;
use crate::tui::state::{Choice, Picker, Popup, State};
use crate::tui::theme::Theme;
use crate::tui::view::widget::{centered, cut, framed, mark, paragraph, row, rule};
use crate::worker::message::Command;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

/// The screen layer of the picker.
pub const LAYER: Layer = Layer { keys, find: |_, key| find(KEYS, key), act, text, point, modal: true };

const KEYS: &[Binding] = &[
    bind(&[K::Up, K::Ctrl('p'), K::BackTab], A::Move(-1), "In a list", "up", ""),
    bind(&[K::Down, K::Ctrl('n'), K::Tab], A::Move(1), "In a list", "down", ""),
    bind(&[K::PageUp, K::Ctrl('u')], A::Page(-1), "In a list", "half a page up", ""),
    bind(&[K::PageDown, K::Ctrl('d')], A::Page(1), "In a list", "half a page down", ""),
    bind(&[K::Enter], A::Accept, "In a list", "choose", "choose"),
    bind(&[K::Backspace], A::Backspace, "In a list", "delete a character", ""),
    bind(&[K::Esc, K::Ctrl('c')], A::Escape, "In a list", "close", "close"),
];

/// Height of the description below the list of script functions, in rows.
const WORDS: u16 = 9;

fn keys(state: &State) -> Vec<Bound> {
    KEYS.iter().map(|row| state.bindings.popup(row)).collect()
}

fn open(state: &mut State) -> Option<&mut Picker> {
    match &mut state.popup {
        Some(Popup::Picker(picker)) => Some(picker),
        _ => None,
    }
}

fn act(state: &mut State, action: A) -> Handled {
    let size = state.size;
    let picker = open(state)?;
    match action {
        A::Move(by) => picker.list.step(by, picker.hits.len()),
        A::Page(by) => {
            let half = (rows(size, picker) / 2).max(1) as i32;
            picker.list.step(by * half, picker.hits.len());
        }
        A::Backspace => picker.backspace(),
        A::Accept => {
            let chosen = (picker.of.clone(), picker.value());
            state.popup = None;
            return Some(match chosen {
                (of, Some(value)) => take(state, of, value),
                (_, None) => Vec::new(),
            });
        }
        A::Escape => state.popup = None,
        _ => {}
    }
    Some(Vec::new())
}

fn text(state: &mut State, text: &str) -> Handled {
    let picker = open(state)?;
    text.chars().for_each(|c| picker.push(c));
    Some(Vec::new())
}

/// Handles the mouse: the wheel moves the cursor, a click on a row selects it, and a click outside closes the list.
fn point(state: &mut State, mouse: Mouse, (column, row): (u16, u16)) -> Handled {
    match mouse {
        Mouse::WheelUp => return act(state, A::Move(-1)),
        Mouse::WheelDown => return act(state, A::Move(1)),
        Mouse::Drag => return Some(Vec::new()),
        Mouse::Press => {}
    }
    let size = state.size;
    let picker = open(state)?;
    let area = area(size, picker);
    if !area.contains((column, row).into()) {
        return act(state, A::Escape);
    }
    let target = usize::from(row).checked_sub(usize::from(area.y) + 3).map(|row| picker.list.offset + row);
    match target.filter(|target| *target < picker.hits.len()) {
        Some(target) => {
            picker.list.go(target);
            act(state, A::Accept)
        }
        None => Some(Vec::new()),
    }
}

/// Applies the selected value.
fn take(state: &mut State, of: Choice, value: String) -> Vec<Effect> {
    match of {
        Choice::Method => request::run_method(state, value),
        Choice::Model => model_picker::choose(state, value),
        Choice::Weights(architecture) => model_picker::choose_weights(architecture, value),
        Choice::Target => ask(Command::Target(value.parse().ok().map(Target::Class))),
        Choice::Parameter(name) => request::set(state, name, value),
        Choice::Picture => ask(Command::Picture(value)),
        Choice::Palette => palette::take(state, value),
        Choice::Copy => copy::take(state, value),
        Choice::Reference => Vec::new(),
        Choice::Colors => {
            state.lens.overlay.colors = Colormap::named(&value).unwrap_or_default();
            Vec::new()
        }
    }
}

/// Number of visible rows on a screen of `size` columns and rows.
pub fn rows(size: (u16, u16), picker: &Picker) -> usize {
    let most = usize::from(size.1.saturating_sub(8)).max(1);
    match picker.of {
        Choice::Picture | Choice::Model | Choice::Weights(_) => picker.items.len().max(16).min(most),
        Choice::Reference => most.saturating_sub(usize::from(WORDS)).max(1),
        _ => picker.items.len().clamp(1, most),
    }
}

/// Area of the picker on a screen of `size` columns and rows.
pub fn area(size: (u16, u16), picker: &Picker) -> Rect {
    let (width, height) = size;
    let rows = rows(size, picker) as u16 + 4;
    let room = width.saturating_sub(4);
    match picker.of {
        Choice::Picture | Choice::Model | Choice::Weights(_) | Choice::Palette | Choice::Copy => {
            centered(size, room.min(104), rows)
        }
        Choice::Reference => {
            let wide = room.min((width / 2).max(66));
            Rect::new(width - wide, 1, wide, (rows + WORDS + 1).min(height.saturating_sub(2)))
        }
        _ => centered(size, room.min(64), rows),
    }
}

/// Draws the picker and returns the position of the text cursor.
pub fn draw(buf: &mut Buffer, area: Rect, picker: &Picker, theme: &Theme, stage: &PictureStage) -> Position {
    let inner = framed(buf, area, Line::styled(format!(" {} ", picker.title), theme.focus), theme.focus);
    let line = Line::from(vec![Span::styled("> ", theme.focus), Span::raw(picker.query.clone())]);
    let count = Line::styled(format!("{}/{}", picker.hits.len(), picker.items.len()), theme.dim);
    row(buf, inner, 0, line, count);
    rule(buf, Rect { y: inner.y + 1, ..inner }, theme.frame);
    let below = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    let list = draw_beside(buf, below, picker, theme, stage);
    draw_list(buf, list, picker, theme);
    let typed = Span::raw(&picker.query).width() as u16;
    Position::new((inner.x + 2 + typed).min(inner.right().saturating_sub(1)), inner.y)
}

/// Draws the thumbnail or description of the row under the cursor, and returns the remaining area for the list.
fn draw_beside(buf: &mut Buffer, area: Rect, picker: &Picker, theme: &Theme, stage: &PictureStage) -> Rect {
    match picker.of {
        Choice::Picture if area.width >= 40 => {
            let wide = area.width * 45 / 100;
            let place = Rect { x: area.right() - wide, width: wide, ..area };
            if let Some((_, Some(image))) = &picker.preview {
                stage.sketch(buf, place, image);
            }
            Rect { width: area.width - wide - 1, ..area }
        }
        Choice::Reference if area.height > WORDS + 2 => {
            let list = Rect { height: area.height - WORDS - 1, ..area };
            rule(buf, Rect { y: list.bottom(), ..area }, theme.frame);
            let words = Rect { y: list.bottom() + 1, height: WORDS, ..area };
            let text = picker.chosen().map_or("", |item| &item.value);
            paragraph(buf, words, text.lines().map(Line::raw), true);
            list
        }
        _ => area,
    }
}

fn draw_list(buf: &mut Buffer, list: Rect, picker: &Picker, theme: &Theme) {
    let hits = picker.hits.iter().skip(picker.list.offset).take(usize::from(list.height));
    for (y, item) in hits.map(|i| &picker.items[*i]).enumerate() {
        let room = usize::from(list.width) / 2;
        let detail = cut(&item.detail, room);
        row(buf, list, y, Line::raw(format!(" {}", item.label)), Line::styled(detail, theme.dim));
        if y + picker.list.offset == picker.list.cursor {
            mark(buf, list, y, true, theme);
        }
    }
    if picker.hits.is_empty() {
        let text = match picker.value() {
            Some(typed) => format!(" Enter opens {typed}"),
            None if picker.takes_paths() => " no files here; type a path".into(),
            None => " no match".into(),
        };
        row(buf, list, 0, Line::styled(text, theme.dim), Line::default());
    }
}
