//! The figures panel: keys, title and drawing.

use super::arrangement::{Sizes, arrange, picture_area};
use super::{caption, chart, scatter};
use crate::render::Body;
use crate::tui::action::{comparison, lens_actions, units, views};
use crate::tui::effect::{Effect, ask};
use crate::tui::event::Key as K;
use crate::tui::keymap::{Action as A, Binding, row as bind};
use crate::tui::panel::spec::{BLANK, Panel, PanelPlace};
use crate::tui::picture::{PictureStage, Placement, WantedPictures};
use crate::tui::state::{Pane, State, View, VisibleFigure};
use crate::tui::theme::Theme;
use crate::tui::view::widget::{cut, put};
use crate::worker::message::Command;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// The figures panel.
pub const PANEL: Panel =
    Panel { pane: Pane::FIGURES, place: PanelPlace::Center, heading, keys: KEYS, act, title, pictures, draw, ..BLANK };

const KEYS: &[Binding] = &[
    bind(&[K::Enter], A::Choose, "Figures", "choose at the ring, or maximize", "zoom"),
    bind(&[K::Left, K::Char('h')], A::Left, "Figures", "previous view (pan if zoomed)", ""),
    bind(&[K::Right, K::Char('l')], A::Right, "Figures", "next view (pan if zoomed)", ""),
];

fn heading(state: &State) -> Option<String> {
    match &state.gallery.shown {
        Some(shown) => Some(format!("Gallery {}/{}", shown.complete(), shown.cells.len())),
        None => state.method_row().map(|method| method.title().to_owned()),
    }
}

fn sizes(state: &State) -> Sizes {
    match &state.gallery.shown {
        Some(shown) if views::present(state) == Some(View::All) => match shown.methods.len().min(shown.classes.len()) {
            1 => Sizes::Equal,
            _ => Sizes::Columns(shown.methods.len()),
        },
        None if comparison::compared(state).is_some() => Sizes::Equal,
        _ => Sizes::FirstLarge,
    }
}

fn act(state: &mut State, action: A) -> Option<Vec<Effect>> {
    match action {
        A::Choose if !state.pointed.is_empty() => return Some(open_pointed(state)),
        A::Choose => match units::choose(state) {
            Some(effects) => return Some(effects),
            None => state.toggle_zoom(),
        },
        A::Left => go(state, -1, 0),
        A::Right => go(state, 1, 0),
        A::Move(by) => go(state, 0, by),
        _ => return None,
    }
    Some(Vec::new())
}

/// Moves the mark or pans the pictures. If there is neither a mark nor a zoom, switches the view.
fn go(state: &mut State, x: i32, y: i32) {
    if !lens_actions::go(state, x, y) {
        views::turn(state, x + y);
    }
}

/// Opens the picture of the first point under the mark of a scatter plot. The part of the plot that is seen stays.
fn open_pointed(state: &mut State) -> Vec<Effect> {
    let first = state.pointed.first().map(|(name, _)| name.clone());
    first.map_or_else(Vec::new, |name| ask(Command::Picture(name)))
}

fn pictures(state: &State, inner: Rect, cell: (u16, u16)) -> WantedPictures<'_> {
    let arrangement = arrange(&state.visible.figures, inner, cell, sizes(state));
    let place = |(tile, figure): &(Rect, &'_ VisibleFigure)| picture_area(*tile, &figure.figure);
    let pictures =
        arrangement.pictures.iter().map(|both| Placement { area: place(both), figure: both.1, plot: None }).collect();
    let plane = |(area, figure): &(Rect, &'_ VisibleFigure)| match &figure.figure.body {
        Body::Scatter { points } => {
            let area = scatter::plane(chart::below_title(*area), points, state)?;
            Some((area, scatter::look(points, state)))
        }
        _ => None,
    };
    let plot = |both: &(Rect, _)| plane(both).map(|(area, look)| Placement { area, figure: both.1, plot: Some(look) });
    WantedPictures { pictures, plots: arrangement.others.iter().filter_map(plot).collect() }
}

fn draw(buf: &mut Buffer, inner: Rect, state: &State, theme: &Theme, stage: &PictureStage) {
    let note = Line::from(vec![Span::raw(" "), freshness(state, theme), Span::raw(" ")]);
    let width = if note.width() > 2 { (note.width() as u16).min(inner.width.saturating_sub(2)) } else { 0 };
    put(buf, (inner.right() - 1 - width, inner.bottom()), note, width);
    let room = inner.width.saturating_sub(width + 3);
    put(buf, (inner.x + 1, inner.bottom()), tabs(state, theme, usize::from(room)), room);
    let arrangement = arrange(&state.visible.figures, inner, stage.cell, sizes(state));
    for (tile, figure) in &arrangement.pictures {
        draw_picture(buf, *tile, figure, state, theme, stage);
    }
    for (area, figure) in &arrangement.others {
        chart::draw(buf, *area, figure, state, theme, stage);
    }
}

/// Draws a picture with its caption directly below it.
fn draw_picture(
    buf: &mut Buffer,
    tile: Rect,
    figure: &VisibleFigure,
    state: &State,
    theme: &Theme,
    stage: &PictureStage,
) {
    let area = picture_area(tile, &figure.figure);
    let rect = stage.draw(buf, area, &state.lens).unwrap_or(area);
    caption::draw(buf, (tile, rect), figure, state, theme, stage);
}

/// What the method tells, cut to the title.
fn title(state: &State, theme: &Theme, area: Rect) -> Vec<Span<'static>> {
    let Some(method) = state.method_row().filter(|_| state.gallery.shown.is_none()) else { return Vec::new() };
    let room = usize::from(area.width).saturating_sub(method.title().chars().count() + 9);
    match cut(method.about().trim_end_matches('.'), room) {
        about if room > 20 => vec![Span::styled(format!(" {about} "), theme.dim)],
        _ => Vec::new(),
    }
}

/// The names of all views with the current one highlighted, or only the current one if they do not fit in `room` columns.
fn tabs(state: &State, theme: &Theme, room: usize) -> Line<'static> {
    let (present, all) = (views::present(state), views::views(state));
    if all.len() < 2 {
        return Line::default();
    }
    let at = all.iter().position(|(view, _)| Some(*view) == present).unwrap_or(0);
    let length: usize = all.iter().map(|(_, name)| name.chars().count() + 3).sum();
    if length + 1 > room {
        let name = all.get(at).map_or("", |(_, name)| name);
        let count = format!(" {}/{} ", at + 1, all.len());
        let name = cut(name, room.saturating_sub(count.len() + 1)).into_owned();
        return Line::from(vec![Span::styled(format!(" {name}"), theme.strong), Span::styled(count, theme.dim)]);
    }
    let mut spans = vec![Span::raw(" ")];
    for (number, (_, name)) in all.iter().enumerate() {
        if number > 0 {
            spans.push(Span::styled("│ ", theme.frame));
        }
        spans.push(Span::styled(format!("{name} "), if number == at { theme.strong } else { theme.dim }));
    }
    Line::from(spans)
}

fn freshness(state: &State, theme: &Theme) -> Span<'static> {
    let current = state.method.as_ref().map(|method| method.name.as_str());
    let broke = state.broke.as_ref().filter(|(name, ..)| Some(name.as_str()) == current);
    let broke = broke.map(|(_, line, why)| format!("✗ line {line}: {}", cut(why, 60)));
    let begins = state.stepped() && !state.settles() && state.run.frame.as_ref().is_some_and(|f| f.kept == 1);
    match (state.stale(), state.busy.is_some(), &state.fault) {
        (_, false, _) if state.gallery.shown.is_some() => Span::styled("s saves, Esc closes", theme.focus),
        (_, false, None) if broke.is_some() => Span::styled(broke.unwrap_or_default(), theme.bad),
        (false, false, _) if begins => {
            let key = |action| state.bindings.key_of(action);
            Span::styled(format!("{} steps, {} runs", key(A::Step(1)), key(A::Play)), theme.focus)
        }
        (true, true, _) => Span::styled("updating (previous result shown)", theme.warn),
        (true, false, Some(_)) => Span::styled("failed (previous result shown)", theme.bad),
        (true, false, None) => Span::styled("outdated", theme.warn),
        (false, true, _) => Span::styled("computing", theme.dim),
        (false, false, _) => Span::raw(""),
    }
}
