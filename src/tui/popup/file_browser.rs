//! The file browser: the rows of a folder and, beside them, what the row under the cursor is.

use crate::tui::action::file_browser;
use crate::tui::event::{Key as K, Mouse};
use crate::tui::files::{FileRow, FileRowKind};
use crate::tui::keymap::{Action as A, Binding, Bound, find, row as bind};
use crate::tui::layer::{Handled, Layer};
use crate::tui::picture::PictureStage;
use crate::tui::state::{FileBrowser, Popup, State};
use crate::tui::theme::Theme;
use crate::tui::view::format::bytes;
use crate::tui::view::widget::{centered, cut_middle, framed, mark, paragraph, row, rule};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The screen layer of the file browser.
pub const LAYER: Layer = Layer { keys, find: meaning, act, text, point, modal: true };

const KEYS: &[Binding] = &[
    bind(&[K::Up, K::Ctrl('p'), K::BackTab], A::Move(-1), "Among files", "up", ""),
    bind(&[K::Down, K::Ctrl('n'), K::Tab], A::Move(1), "Among files", "down", ""),
    bind(&[K::PageUp, K::Ctrl('u')], A::Page(-1), "Among files", "half a page up", ""),
    bind(&[K::PageDown, K::Ctrl('d')], A::Page(1), "Among files", "half a page down", ""),
    bind(&[K::Enter], A::Accept, "Among files", "open the file or folder", "open"),
    bind(&[K::Right], A::Right, "Among files", "enter the folder", "enter"),
    bind(&[K::Left], A::Left, "Among files", "leave the folder", "leave"),
    bind(&[K::Backspace], A::Backspace, "Among files", "delete a character, or leave the folder", ""),
    bind(&[K::Esc, K::Ctrl('c')], A::Escape, "Among files", "close", "close"),
];

/// Further keys while nothing is typed.
const LETTERS: &[Binding] = &[
    bind(&[K::Char('h')], A::Left, "Among files", "leave the folder", ""),
    bind(&[K::Char('j')], A::Move(1), "Among files", "down", ""),
    bind(&[K::Char('k')], A::Move(-1), "Among files", "up", ""),
    bind(&[K::Char('l')], A::Right, "Among files", "enter the folder", ""),
    bind(&[K::Char('/')], A::Filter, "Among files", "type a name that begins with h, j, k or l", "name"),
];

/// Minimum number of columns inside the frame for a description beside the list.
const WIDE: u16 = 48;

fn keys(state: &State) -> Vec<Bound> {
    KEYS.iter().chain(LETTERS).map(|row| state.bindings.popup(row)).collect()
}

fn meaning(state: &State, key: K) -> Option<A> {
    let letters = matches!(&state.popup, Some(Popup::Files(browser)) if browser.query.is_none());
    find(KEYS, key).or_else(|| find(LETTERS, key).filter(|_| letters))
}

fn open(state: &mut State) -> Option<&mut FileBrowser> {
    match &mut state.popup {
        Some(Popup::Files(browser)) => Some(browser),
        _ => None,
    }
}

fn act(state: &mut State, action: A) -> Handled {
    let half = (rows(state.size) / 2).max(1) as i32;
    let browser = open(state)?;
    match action {
        A::Move(by) => browser.list.step(by, browser.hits.len()),
        A::Page(by) => browser.list.step(by * half, browser.hits.len()),
        A::Filter => browser.type_letters(),
        A::Backspace if browser.backspace() => {}
        A::Backspace | A::Left => return Some(file_browser::leave(state)),
        A::Right => return Some(file_browser::enter_chosen(state)),
        A::Accept => return Some(file_browser::accept(state)),
        A::Escape => state.popup = None,
        _ => {}
    }
    Some(Vec::new())
}

fn text(state: &mut State, text: &str) -> Handled {
    open(state)?.push(text);
    Some(Vec::new())
}

/// Handles the mouse: the wheel moves the cursor, a click on a row opens it, and a click outside closes the browser.
fn point(state: &mut State, mouse: Mouse, (column, row): (u16, u16)) -> Handled {
    match mouse {
        Mouse::WheelUp => return act(state, A::Move(-1)),
        Mouse::WheelDown => return act(state, A::Move(1)),
        Mouse::Drag => return Some(Vec::new()),
        Mouse::Press => {}
    }
    let area = area(state.size);
    if !area.contains((column, row).into()) {
        return act(state, A::Escape);
    }
    let browser = open(state)?;
    let target = usize::from(row).checked_sub(usize::from(area.y) + 3).map(|row| browser.list.offset + row);
    match target.filter(|target| *target < browser.hits.len()) {
        Some(target) => {
            browser.list.go(target);
            act(state, A::Accept)
        }
        None => Some(Vec::new()),
    }
}

/// Number of visible rows on a screen of `size` columns and rows.
pub fn rows(size: (u16, u16)) -> usize {
    usize::from(area(size).height.saturating_sub(4)).max(1)
}

/// Area of the file browser on a screen of `size` columns and rows.
pub fn area(size: (u16, u16)) -> Rect {
    centered(size, size.0.saturating_sub(4).min(116), size.1.saturating_sub(4).min(34))
}

/// Draws the file browser and returns the position of the text cursor.
pub fn draw(buf: &mut Buffer, area: Rect, browser: &FileBrowser, theme: &Theme, stage: &PictureStage) -> Position {
    let goal = browser.goal.title();
    let room = usize::from(area.width).saturating_sub(goal.chars().count() + 6);
    let folder = browser.folder.to_string_lossy().into_owned();
    let title = format!(" {goal}  {} ", cut_middle(&folder, room));
    let inner = framed(buf, area, Line::styled(title, theme.focus), theme.focus);
    let typed = match browser.query.as_deref() {
        Some(query) => Span::raw(query.to_owned()),
        None => Span::styled("type to find", theme.dim),
    };
    let count = format!("{}/{}", browser.hits.len(), browser.rows.len());
    row(buf, inner, 0, Line::from(vec![Span::styled("> ", theme.focus), typed]), Line::styled(count, theme.dim));
    rule(buf, Rect { y: inner.y + 1, ..inner }, theme.frame);
    let below = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    let beside = if inner.width >= WIDE { inner.width * 45 / 100 } else { 0 };
    if beside > 0 {
        let place = Rect { x: below.right() - beside, width: beside, ..below };
        draw_about(buf, place, browser, theme, stage);
    }
    let list = Rect { width: below.width - beside - u16::from(beside > 0), ..below };
    draw_list(buf, list, browser, theme);
    let typed = Span::raw(browser.typed()).width() as u16;
    Position::new((inner.x + 2 + typed).min(inner.right().saturating_sub(1)), inner.y)
}

fn draw_list(buf: &mut Buffer, list: Rect, browser: &FileBrowser, theme: &Theme) {
    let hits = browser.hits.iter().filter_map(|at| browser.rows.get(*at));
    for (y, file) in hits.skip(browser.list.offset).take(usize::from(list.height)).enumerate() {
        let note = note(file);
        let room = usize::from(list.width).saturating_sub(note.chars().count() + 2);
        let style = match file.kind {
            FileRowKind::File | FileRowKind::Whole if !file.fits => theme.dim,
            FileRowKind::Folder | FileRowKind::Parent => Style::new(),
            _ => theme.strong,
        };
        let name = Line::styled(format!(" {}", cut_middle(&file.name, room)), style);
        row(buf, list, y, name, Line::styled(note, theme.dim));
        if y + browser.list.offset == browser.list.cursor {
            mark(buf, list, y, true, theme);
        }
    }
    let shown = browser.hits.len().saturating_sub(browser.list.offset);
    let room = Rect { y: list.y + (shown as u16).min(list.height), ..list };
    let room = Rect { height: list.bottom().saturating_sub(room.y), ..room };
    paragraph(buf, room, message(browser).map(|text| Line::styled(format!(" {text}"), theme.dim)), true);
}

/// What is shown at the right edge of a row.
fn note(file: &FileRow) -> String {
    match file.kind {
        FileRowKind::File => bytes(file.bytes),
        FileRowKind::Whole => "this folder".into(),
        FileRowKind::Drawn => "synthetic".into(),
        FileRowKind::Folder | FileRowKind::Parent => String::new(),
    }
}

/// What is said below the rows.
fn message(browser: &FileBrowser) -> Option<String> {
    if browser.reading {
        return Some("reading …".into());
    }
    let none = browser.hits.is_empty().then(|| match browser.typed_path() {
        Some(typed) => format!("Enter opens {}", typed.display()),
        None => "nothing here".into(),
    });
    let left_out = || (browser.left_out > 0).then(|| format!("… {} more; type their path", browser.left_out));
    browser.wrong.clone().or(none).or_else(left_out)
}

/// Draws what the row under the cursor is: facts in words and, below them, the picture.
fn draw_about(buf: &mut Buffer, area: Rect, browser: &FileBrowser, theme: &Theme, stage: &PictureStage) {
    let Some((_, about)) = &browser.about else { return };
    let Some(about) = about else {
        return row(buf, area, 0, Line::styled("reading …", theme.dim), Line::default());
    };
    let most = if about.picture.is_some() { area.height / 2 } else { area.height };
    let width = usize::from(area.width).max(1);
    let tall: usize = about.lines.iter().map(|line| Span::raw(line).width().div_ceil(width).max(1) + 1).sum();
    let words = Rect { height: most.min((tall - about.lines.len().min(tall)) as u16 + 1), ..area };
    paragraph(buf, words, about.lines.iter().map(|line| Line::raw(line.as_str())), false);
    if let Some(picture) = &about.picture {
        let below = Rect { y: words.bottom(), height: area.bottom() - words.bottom(), ..area };
        stage.sketch(buf, below, picture);
    }
}
