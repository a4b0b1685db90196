//! The prompt for commands and filters, with completions and errors.

use crate::tui::action::filter;
use crate::tui::command::{self, Complete};
use crate::tui::effect::Effect;
use crate::tui::event::{Key as K, Mouse};
use crate::tui::keymap::{Action as A, Binding, Bound, find, row as bind};
use crate::tui::layer::{Handled, Layer};
use crate::tui::panel::{self, search};
use crate::tui::state::{Popup, Prompt, State};
use crate::tui::theme::Theme;
use crate::tui::view::widget::put;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use tui_input::InputRequest;

/// The screen layer of the prompt.
pub const LAYER: Layer = Layer { keys, find: |_, key| find(KEYS, key), act, text, point, modal: true };

const KEYS: &[Binding] = &[
    bind(&[K::Enter], A::Accept, "In the prompt", "accept", "accept"),
    bind(&[K::Tab], A::Complete, "In the prompt", "complete", "complete"),
    bind(&[K::Left], A::Cursor(-1), "In the prompt", "left", ""),
    bind(&[K::Right], A::Cursor(1), "In the prompt", "right", ""),
    bind(&[K::Up], A::Move(-1), "In the prompt", "previous command or row above", ""),
    bind(&[K::Down], A::Move(1), "In the prompt", "next command or row below", ""),
    bind(&[K::Home, K::Ctrl('a')], A::LineStart, "In the prompt", "start", ""),
    bind(&[K::End, K::Ctrl('e')], A::LineEnd, "In the prompt", "end", ""),
    bind(&[K::Backspace], A::Backspace, "In the prompt", "delete to the left", ""),
    bind(&[K::Delete], A::Delete, "In the prompt", "delete to the right", ""),
    bind(&[K::Ctrl('w')], A::DeleteWord, "In the prompt", "delete a word", ""),
    bind(&[K::Ctrl('u')], A::DeleteLine, "In the prompt", "delete the value", ""),
    bind(&[K::Esc, K::Ctrl('c')], A::Escape, "In the prompt", "cancel", "cancel"),
];

/// Maximum number of rows for completions.
const OFFERS: usize = 8;

fn keys(state: &State) -> Vec<Bound> {
    KEYS.iter().map(|row| state.bindings.popup(row)).collect()
}

fn open(state: &mut State) -> Option<&mut Prompt> {
    match &mut state.popup {
        Some(Popup::Prompt(prompt)) => Some(prompt),
        _ => None,
    }
}

fn act(state: &mut State, action: A) -> Handled {
    let State { popup: Some(Popup::Prompt(prompt)), lines, .. } = state else { return None };
    match action {
        A::Escape => return Some(leave(state)),
        A::Accept => return Some(accept(state)),
        A::Complete if !prompt.filter => return Some(complete(state)),
        A::Backspace if prompt.text().is_empty() => return Some(leave(state)),
        A::Backspace => prompt.edit(InputRequest::DeletePrevChar),
        A::Delete => prompt.edit(InputRequest::DeleteNextChar),
        A::DeleteWord => prompt.edit(InputRequest::DeletePrevWord),
        A::DeleteLine => prompt.delete_value(),
        A::Cursor(by) if by < 0 => prompt.edit(InputRequest::GoToPrevChar),
        A::Cursor(_) => prompt.edit(InputRequest::GoToNextChar),
        A::Move(by) if prompt.filter => return Some(panel::step(state, panel::of(state.focus), by)),
        A::Move(by) => prompt.recall(lines, by),
        A::LineStart => prompt.edit(InputRequest::GoToStart),
        A::LineEnd => prompt.edit(InputRequest::GoToEnd),
        _ => {}
    }
    Some(changed(state))
}

fn text(state: &mut State, text: &str) -> Handled {
    open(state)?.insert(text);
    Some(changed(state))
}

/// Handles the mouse: the wheel moves through the history like the arrow keys, and a click cancels the prompt.
fn point(state: &mut State, mouse: Mouse, _: (u16, u16)) -> Handled {
    match mouse {
        Mouse::WheelUp => act(state, A::Move(-1)),
        Mouse::WheelDown => act(state, A::Move(1)),
        Mouse::Press => act(state, A::Escape),
        Mouse::Drag => Some(Vec::new()),
    }
}

/// Applies the text of a filter prompt as it is typed. Finds the files that complete a path as it is typed.
fn changed(state: &mut State) -> Vec<Effect> {
    if let Some(line) = open(state).filter(|prompt| !prompt.filter).map(|prompt| prompt.text().to_owned()) {
        return files(state, &line, false).into_iter().collect();
    }
    if let Some(text) = open(state).filter(|prompt| prompt.filter).map(|prompt| prompt.text().to_owned()) {
        narrow(state, &text);
    }
    Vec::new()
}

/// Applies a filter or a search to the focused panel's list.
fn narrow(state: &mut State, text: &str) {
    match search::list(state) {
        Some(_) => search::narrow(state, text),
        None => filter::narrow(state, text),
    }
}

/// Closes the prompt without running its line, removing any filter.
fn leave(state: &mut State) -> Vec<Effect> {
    if open(state).is_some_and(|prompt| prompt.filter) {
        narrow(state, "");
    }
    state.popup = None;
    Vec::new()
}

/// Accepts a filter or runs a command. If the command fails, the prompt stays open and shows the error.
fn accept(state: &mut State) -> Vec<Effect> {
    let Some(Popup::Prompt(mut prompt)) = state.popup.take() else { return Vec::new() };
    if prompt.filter {
        return filter::accept(state);
    }
    if prompt.text().trim().is_empty() {
        return Vec::new();
    }
    match command::execute(state, prompt.text()) {
        Ok(effects) => {
            state.lines.retain(|line| line != prompt.text());
            state.lines.push(prompt.input.into());
            effects
        }
        Err(wrong) => {
            prompt.wrong = Some(wrong);
            state.popup = Some(Popup::Prompt(prompt));
            Vec::new()
        }
    }
}

/// Completes the last word of the line: names immediately, paths via an effect that searches for files.
fn complete(state: &mut State) -> Vec<Effect> {
    let Some(line) = open(state).map(|prompt| prompt.text().to_owned()) else { return Vec::new() };
    let Some((how, start)) = command::completion(&line) else { return Vec::new() };
    if let Some(files) = files(state, &line, true) {
        return vec![files];
    }
    let names = match how {
        Complete::Names(names) | Complete::Words(names) | Complete::Path(names) => names(state),
        Complete::Values(values) => values(state, command::before(&line, start)).unwrap_or_default(),
    };
    let offers = command::offers(line.get(start..).unwrap_or(""), names);
    if let Some(prompt) = open(state) {
        prompt.complete(start, offers);
    }
    changed(state)
}

/// The effect that finds the files that complete the line; `None` if the line does not end with a path.
fn files(state: &State, line: &str, insert: bool) -> Option<Effect> {
    let (how, start) = command::completion(line)?;
    let names = match how {
        Complete::Path(names) => names(state),
        Complete::Values(values) if values(state, command::before(line, start)).is_none() => Vec::new(),
        _ => return None,
    };
    let text = line.get(start..)?.to_owned();
    Some(Effect::Complete { also: command::offers(&text, names), text, insert })
}

/// Area of the prompt and its completions, at the bottom of the screen.
pub fn area((width, height): (u16, u16), prompt: &Prompt) -> Rect {
    let offers = prompt.offers.len().min(OFFERS) as u16;
    let lines = offers + u16::from(prompt.wrong.is_some());
    Rect::new(0, height.saturating_sub(1 + lines), width, 1 + lines)
}

/// Draws the prompt and returns the position of the text cursor.
pub fn draw(buf: &mut Buffer, area: Rect, prompt: &Prompt, theme: &Theme) -> Position {
    let room = usize::from(area.height - 1 - u16::from(prompt.wrong.is_some() && area.height > 1));
    let more = prompt.offers.len() > room && room > 0;
    let shown = room - usize::from(more);
    if more {
        let more = format!("  … {} more", prompt.offers.len() - shown);
        put(buf, (area.x, area.y + shown as u16), Line::styled(more, theme.dim), area.width);
    }
    for (y, offer) in prompt.offers.iter().take(shown).enumerate() {
        put(buf, (area.x, area.y + y as u16), Line::raw(format!("  {offer}")), area.width);
    }
    let y = area.bottom() - 1;
    if let Some(wrong) = &prompt.wrong {
        put(buf, (area.x, y.saturating_sub(1)), Line::styled(format!(" {wrong}"), theme.bad), area.width);
    }
    let lead = if prompt.filter { "/" } else { ":" };
    let room = usize::from(area.width).saturating_sub(2);
    let skipped = prompt.input.visual_scroll(room);
    let seen = Line::raw(format!("{lead}{}", after(prompt.text(), skipped)));
    put(buf, (area.x, y), seen, area.width);
    Position::new(area.x + 1 + (prompt.input.visual_cursor() - skipped) as u16, y)
}

/// A string without its first `columns` columns.
fn after(text: &str, columns: usize) -> String {
    let text = Span::raw(text);
    let mut skipped = 0;
    let letters = text.styled_graphemes(Style::new()).skip_while(|letter| {
        let skip = skipped < columns;
        skipped += Span::raw(letter.symbol).width();
        skip
    });
    letters.map(|letter| letter.symbol).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Depth;

    #[test]
    fn the_cursor_follows_wide_characters_in_lines_of_any_width() {
        let prompt = Prompt::filter("a猫b犬c");
        let seen = |width: u16| {
            let area = Rect::new(0, 0, width, 1);
            let mut buf = Buffer::empty(area);
            let at = draw(&mut buf, area, &prompt, &Theme::new(Depth::None)).x;
            (buf.content.iter().map(|cell| cell.symbol()).collect::<String>(), at)
        };
        assert_eq!(seen(10), ("/a猫 b犬 c  ".into(), 8));
        assert_eq!(seen(6), ("/b犬 c ".into(), 5));
        assert_eq!(seen(5), ("/犬 c ".into(), 4));
    }
}
