//! The help, which lists all keys and commands and can be searched.

use super::help_text::{HelpEntry, HelpLine, entries, lines};
use crate::tui::event::{Key as K, Mouse};
use crate::tui::keymap::{Action as A, Binding, Bound, find, row};
use crate::tui::layer::{Handled, Layer};
use crate::tui::state::{Help, Popup, State};
use crate::tui::theme::Theme;
use crate::tui::view::widget::{centered, framed, inside, put, rule};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

/// The screen layer of the help.
pub const LAYER: Layer = Layer { keys, find: meaning, act, text, point, modal: true };

const KEYS: &[Binding] = &[
    row(&[K::Char('j'), K::Down], A::Move(1), "In the help", "down", "scroll"),
    row(&[K::Char('k'), K::Up], A::Move(-1), "In the help", "up", ""),
    row(&[K::Char(' '), K::PageDown, K::Ctrl('d')], A::Page(1), "In the help", "half a page down", ""),
    row(&[K::PageUp, K::Ctrl('u')], A::Page(-1), "In the help", "half a page up", ""),
    row(&[K::Char('g'), K::Home], A::Top, "In the help", "start", ""),
    row(&[K::Char('G'), K::End], A::Bottom, "In the help", "end", ""),
    row(&[K::Char('/')], A::Filter, "In the help", "find", "find"),
    row(&[K::Char('n')], A::Match(1), "In the help", "next match", ""),
    row(&[K::Char('N')], A::Match(-1), "In the help", "previous match", ""),
    row(&[K::Esc, K::Char('q'), K::Char('?'), K::Enter, K::Ctrl('c')], A::Escape, "In the help", "close", "close"),
];

/// The keys while the text to find is typed.
const TYPING: &[Binding] = &[
    row(&[K::Enter], A::Accept, "Finding in the help", "accept", "accept"),
    row(&[K::Backspace], A::Backspace, "Finding in the help", "delete a character", ""),
    row(&[K::Down], A::Match(1), "Finding in the help", "next match", ""),
    row(&[K::Up], A::Match(-1), "Finding in the help", "previous match", ""),
    row(&[K::Esc, K::Ctrl('c')], A::Escape, "Finding in the help", "cancel", "cancel"),
];

/// Minimum number of columns inside the frame for two columns of text.
const WIDE: u16 = 90;

fn bindings(state: &State) -> &'static [Binding] {
    if matches!(&state.popup, Some(Popup::Help(help)) if help.typing) { TYPING } else { KEYS }
}

fn keys(state: &State) -> Vec<Bound> {
    bindings(state).iter().map(|row| state.bindings.popup(row)).collect()
}

fn meaning(state: &State, key: K) -> Option<A> {
    find(bindings(state), key)
}

/// The text of the help and its place on the screen.
struct Page {
    entries: Vec<HelpEntry>,
    lines: Vec<HelpLine>,
    columns: Vec<Rect>,
    /// Number of lines in each column.
    per: usize,
    /// Number of visible lines.
    height: usize,
}

impl Page {
    fn of(state: &State, inner: Rect, searches: bool) -> Self {
        let count = if inner.width >= WIDE { 2 } else { 1 };
        let inner = Rect { height: inner.height.saturating_sub(if searches { 2 } else { 0 }), ..inner };
        let columns = Layout::horizontal(vec![Constraint::Fill(1); count]).spacing(2).split(inner).to_vec();
        let own = KEYS.iter().map(|row| state.bindings.popup(row)).collect();
        let entries = entries(state, own);
        let width = columns.iter().map(|column| column.width).min().unwrap_or(inner.width);
        let lines = lines(&entries, usize::from(width));
        let per = lines.len().div_ceil(count).max(1);
        Self { entries, lines, columns, per, height: usize::from(inner.height) }
    }

    fn last_top(&self) -> usize {
        self.per.saturating_sub(self.height)
    }

    /// The entries with a match.
    fn matches(&self, help: &Help) -> Vec<usize> {
        let text = help.query.to_lowercase();
        let has = |at: &usize| !text.is_empty() && self.entries[*at].has(&text);
        (0..self.entries.len()).filter(has).collect()
    }

    /// The scroll position nearest to `top` that shows an entry.
    fn showing(&self, entry: usize, top: usize) -> usize {
        let Some(line) = self.lines.iter().position(|line| line.entry == entry && !line.left.is_empty()) else {
            return top;
        };
        let row = line % self.per;
        top.clamp((row + 2).saturating_sub(self.height), row).min(self.last_top())
    }
}

fn act(state: &mut State, action: A) -> Handled {
    let Some(Popup::Help(mut help)) = state.popup.take() else { return None };
    let page = Page::of(state, inside(area(state.size)), help.searches());
    let half = (page.height / 2).max(1) as isize;
    help.top = help.top.min(page.last_top());
    match action {
        A::Move(by) => help.top = help.top.saturating_add_signed(by as isize),
        A::Page(by) => help.top = help.top.saturating_add_signed(by as isize * half),
        A::Top => help.top = 0,
        A::Bottom => help.top = usize::MAX,
        A::Filter => help = Help { typing: true, ..Help { top: help.top, ..Help::default() } },
        A::Accept => help.typing = false,
        A::Backspace if help.query.pop().is_some() => help.at = 0,
        A::Backspace => help.end_search(),
        A::Match(by) => help.go(by, page.matches(&help).len()),
        A::Escape if help.searches() => help.end_search(),
        A::Escape => return Some(Vec::new()),
        _ => {}
    }
    help.typing &= action != A::Accept && help.searches();
    if matches!(action, A::Match(_) | A::Backspace) {
        go_to_match(state, &mut help);
    }
    let page = Page::of(state, inside(area(state.size)), help.searches());
    help.top = help.top.min(page.last_top());
    state.popup = Some(Popup::Help(help));
    Some(Vec::new())
}

/// Scrolls to the current match.
fn go_to_match(state: &State, help: &mut Help) {
    let page = Page::of(state, inside(area(state.size)), help.searches());
    if let Some(entry) = page.matches(help).get(help.at) {
        help.top = page.showing(*entry, help.top);
    }
}

/// Adds typed text to the search and goes to the first match.
fn text(state: &mut State, text: &str) -> Handled {
    if let Some(Popup::Help(mut help)) = state.popup.take() {
        if help.typing {
            help.query.extend(text.chars().filter(|letter| !letter.is_control()));
            help.at = 0;
            go_to_match(state, &mut help);
        }
        state.popup = Some(Popup::Help(help));
    }
    Some(Vec::new())
}

/// Handles the mouse: the wheel scrolls the help, and a click closes it.
fn point(state: &mut State, mouse: Mouse, _: (u16, u16)) -> Handled {
    match mouse {
        Mouse::WheelUp => act(state, A::Move(-1)),
        Mouse::WheelDown => act(state, A::Move(1)),
        Mouse::Press => {
            state.popup = None;
            Some(Vec::new())
        }
        Mouse::Drag => Some(Vec::new()),
    }
}

/// Area of the help on a screen of `size` columns and rows.
pub fn area(size: (u16, u16)) -> Rect {
    centered(size, size.0.saturating_sub(4).min(98), size.1.saturating_sub(2).min(36))
}

/// Draws the help, in two columns if they fit. The keys of the focused panel come first; matches of the search are highlighted.
pub fn draw(buf: &mut Buffer, area: Rect, help: &Help, state: &State, theme: &Theme) {
    let title = Line::styled(" Help  / find  q close ", theme.focus);
    let inner = framed(buf, area, title, theme.focus);
    let page = Page::of(state, inner, help.searches());
    let matches = page.matches(help);
    let present = matches.get(help.at);
    let top = help.top.min(page.last_top());
    for (column, lines) in page.columns.iter().zip(page.lines.chunks(page.per)) {
        for (y, line) in lines.iter().skip(top).take(page.height).enumerate() {
            let found = if Some(&line.entry) == present { Modifier::REVERSED } else { Modifier::UNDERLINED };
            let spans =
                [(&line.left, if line.heading { theme.focus } else { theme.strong }), (&line.right, Style::new())];
            let spans = spans.into_iter().flat_map(|(text, style)| highlighted(text, &help.query, style, found));
            put(buf, (column.x, column.y + y as u16), Line::from(spans.collect::<Vec<_>>()), column.width);
        }
    }
    if help.searches() && inner.height > 1 {
        rule(buf, Rect { y: inner.bottom() - 2, ..inner }, theme.frame);
        let count = match (matches.len(), help.query.is_empty()) {
            (_, true) => String::new(),
            (0, false) => "  no match".into(),
            (count, false) => format!("  {}/{count}  n next  N previous", help.at.min(count - 1) + 1),
        };
        let cursor = if help.typing { "▏" } else { "" };
        let line = Line::from(vec![
            Span::styled(format!("/{}{cursor}", help.query), theme.strong),
            Span::styled(count, theme.dim),
        ]);
        put(buf, (inner.x, inner.bottom() - 1), line, inner.width);
    }
}

/// Splits a text into spans, in which the matches of a query also have the modifier `found`. Case is ignored.
fn highlighted(text: &str, query: &str, style: Style, found: Modifier) -> Vec<Span<'static>> {
    let (lower, query) = (text.to_lowercase(), query.to_lowercase());
    // The positions of matches are those of the text only if its letters keep their length in lower case.
    if query.is_empty() || lower.len() != text.len() {
        return vec![Span::styled(text.to_owned(), style)];
    }
    let (mut spans, mut from) = (Vec::new(), 0);
    for (at, hit) in lower.match_indices(&query) {
        let (Some(before), Some(hit)) = (text.get(from..at), text.get(at..at + hit.len())) else { break };
        spans.push(Span::styled(before.to_owned(), style));
        spans.push(Span::styled(hit.to_owned(), style.add_modifier(found)));
        from = at + hit.len();
    }
    spans.push(Span::styled(text.get(from..).unwrap_or("").to_owned(), style));
    spans
}
