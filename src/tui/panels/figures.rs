//! The pane of figures: pictures side by side, charts and words, each with its range and scale.

use super::plot::{self, Chartings, Curve};
use super::{bar, brief, pane, paragraph, put, row, scatter};
use crate::render::{self, Bar, Body, Figure, Rescale, Series};
use crate::tui::look::{self, Exhibit};
use crate::tui::picture::Stage;
use crate::tui::picture::cells::{self, Blocks};
use crate::tui::state::{Pane, State};
use crate::tui::theme::Theme;
use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Draws it; a word in the frame says when what is shown is not what was asked for.
pub fn draw(buf: &mut Buffer, area: Rect, state: &State, theme: &Theme, stage: &mut Stage) {
    let inner = pane(buf, area, Pane::Figures, title(area, state, theme), state, theme);
    let note = Line::from(vec![Span::raw(" "), freshness(state, theme), Span::raw(" ")]);
    if note.width() > 2 && area.width > note.width() as u16 + 4 {
        put(buf, (area.right() - 2 - note.width() as u16, area.bottom() - 1), note, area.width);
    }
    let (pictures, others): (Vec<_>, Vec<_>) = look::exhibits(state).into_iter().partition(|e| is_picture(&e.figure));
    let (above, below) = shares(inner, &pictures, &others);
    let shapes: Vec<f64> = pictures.iter().map(|e| aspect(&e.figure)).collect();
    for (exhibit, tile) in pictures.iter().zip(tiles(above, &shapes, stage.cell)) {
        draw_picture(buf, tile, exhibit, state, theme, stage);
    }
    let mut x = below.x;
    for (exhibit, width) in others.iter().zip(widths(below.width, &others)) {
        draw_other(buf, Rect { x, width: width.saturating_sub(1), ..below }, &exhibit.figure, state, theme, stage);
        x += width;
    }
}

/// Columns for each figure: as many as it needs, where all have room; else those that need much share what others leave.
fn widths(room: u16, others: &[Exhibit]) -> Vec<u16> {
    let wanted = |e: &Exhibit| match &e.figure.body {
        Body::Table { columns, rows } => table_widths(columns, rows).iter().sum::<usize>() as u16,
        Body::Text { text } => text.lines().map(|line| line.chars().count()).max().unwrap_or(0) as u16 + 1,
        _ => room,
    };
    let mut order: Vec<(u16, usize)> = others.iter().enumerate().map(|(at, e)| (wanted(e), at)).collect();
    order.sort_unstable();
    let (mut widths, mut left) = (vec![0; others.len()], room);
    for (served, (wanted, at)) in order.into_iter().enumerate() {
        widths[at] = wanted.max(12).min(left / (others.len() - served) as u16);
        left -= widths[at];
    }
    widths
}

/// The views there are, the present one marked; where there is no room, that one alone.
fn title(area: Rect, state: &State, theme: &Theme) -> Vec<Span<'static>> {
    let (present, looks) = (look::present(state), look::looks(state));
    let at = looks.iter().position(|(look, _)| Some(*look) == present).unwrap_or(0);
    let length: usize = looks.iter().map(|(_, name)| name.chars().count() + 3).sum();
    if length + 13 > usize::from(area.width) {
        let name = looks.get(at).map_or("", |(_, name)| name);
        return vec![
            Span::styled(format!("{name} "), theme.strong),
            Span::styled(format!("{}/{} ", at + 1, looks.len()), theme.dim),
        ];
    }
    let mut spans = Vec::new();
    for (number, (_, name)) in looks.iter().enumerate() {
        if number > 0 {
            spans.push(Span::styled("│ ", theme.frame));
        }
        spans.push(Span::styled(format!("{name} "), if number == at { theme.strong } else { theme.dim }));
    }
    spans
}

fn freshness(state: &State, theme: &Theme) -> Span<'static> {
    match (state.stale(), state.busy.is_some(), &state.fault) {
        (true, true, _) => Span::styled("old, the new one is being computed", theme.warn),
        (true, false, Some(_)) => Span::styled("old, the new one failed", theme.bad),
        (true, false, None) => Span::styled("old", theme.warn),
        (false, true, _) => Span::styled("computing", theme.dim),
        (false, false, _) => Span::raw(""),
    }
}

/// A picture, and right below it what it is.
fn draw_picture(buf: &mut Buffer, tile: Rect, exhibit: &Exhibit, state: &State, theme: &Theme, stage: &mut Stage) {
    let notes = note_lines(&exhibit.figure, tile);
    let height = caption_height(tile) + notes.len() as u16;
    let area = Rect { height: tile.height - height, ..tile };
    let rect = stage.place(buf, area, exhibit, &state.lens).unwrap_or(area);
    let wide = if rect.width >= 26.min(tile.width) { rect } else { tile };
    let caption = Rect { x: wide.x, y: rect.bottom(), width: wide.width, height };
    picture_caption(buf, caption, &exhibit.figure, state, theme, stage);
    let below = Rect { y: caption.y, height, ..tile };
    for (line, y) in notes.iter().zip(usize::from(caption_height(tile))..) {
        row(buf, below, y, Line::styled(line.as_str(), theme.dim), Line::default());
    }
}

/// A chart or words, below its title.
fn draw_other(buf: &mut Buffer, area: Rect, figure: &Figure, state: &State, theme: &Theme, stage: &mut Stage) {
    let warning = Line::styled(figure.warning().unwrap_or_default(), theme.bad);
    row(buf, area, 0, Line::styled(figure.title.as_str(), theme.strong), warning);
    let area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    if area.is_empty() {
        return;
    }
    match &figure.body {
        Body::Line { series, .. } => {
            plot::draw(buf, area, &series.iter().map(curve).collect::<Vec<_>>(), Chartings::default(), theme);
        }
        Body::Scatter { points } => scatter::draw(buf, area, points, state, theme, stage),
        Body::Bars { bars } => draw_bars(buf, area, bars, theme),
        Body::Table { columns, rows } => table(buf, area, columns, rows, theme),
        Body::Sheet { .. } => {
            row(buf, area, 0, Line::raw(render::text(figure, 80).unwrap_or_default()), Line::default())
        }
        Body::Text { text } => paragraph(buf, area, text.lines().map(Line::raw), false),
        _ => {}
    }
}

fn draw_bars(buf: &mut Buffer, area: Rect, bars: &[Bar], theme: &Theme) {
    let finite = bars.iter().map(|b| b.value.abs()).filter(|v| v.is_finite());
    let most = finite.fold(f32::MIN_POSITIVE, f32::max);
    let width = usize::from(area.width) / 2;
    for (y, b) in bars.iter().enumerate() {
        let part = if b.value.is_finite() { b.value.abs() / most } else { 0.0 };
        let drawn = Span::styled(format!(" {:width$}", bar(part, width)), theme.bar);
        let right = Line::from(vec![Span::raw(brief(f64::from(b.value))), drawn]);
        row(buf, area, y, Line::raw(b.label.as_str()), right);
    }
}

fn is_picture(figure: &Figure) -> bool {
    matches!(figure.body, Body::Map { .. } | Body::Image { .. } | Body::Montage { .. })
}

/// Pictures above, the rest below in as few rows as it needs; where there is little room the pictures have it.
fn shares(area: Rect, pictures: &[Exhibit], others: &[Exhibit]) -> (Rect, Rect) {
    let rows = |figure: &Figure| match &figure.body {
        Body::Bars { bars } => bars.len(),
        Body::Table { rows, .. } => rows.len() + 1,
        Body::Text { text } => text.lines().count(),
        _ => 10,
    };
    let wanted = others.iter().map(|e| rows(&e.figure) as u16 + 1).max().unwrap_or(0);
    let below = match (pictures.is_empty(), area.height) {
        (true, height) => height,
        (false, 0..16) => 0,
        (false, height) => wanted.min(height / 3),
    };
    let above = Rect { height: area.height - below, ..area };
    (above, Rect { y: above.bottom(), height: below, ..area })
}

/// Title and size or scale, and below them the colours from the least to the greatest value.
fn picture_caption(buf: &mut Buffer, area: Rect, figure: &Figure, state: &State, theme: &Theme, stage: &Stage) {
    let range = render::range(figure);
    let lens = &state.lens;
    let about = match (&range, &figure.body) {
        (Some(_), _) if lens.scale == Rescale::Shared => "one scale for all".to_owned(),
        (Some(range), _) => range.chosen.to_owned(),
        (None, Body::Montage { .. }) => "each tile on its own scale".to_owned(),
        (None, Body::Image { pixels }) => crate::tui::tree::shape(&pixels.shape),
        _ => String::new(),
    };
    let warned = figure.warning().is_some();
    let part: Vec<_> = figure.warning().into_iter().chain(figure.part()).collect();
    let part = (!part.is_empty()).then(|| part.join(", "));
    let about = part.iter().cloned().chain(Some(about)).collect::<Vec<_>>().join(", ");
    let zoom = if lens.zoom > 1.0 { format!("×{:.1} ", lens.zoom) } else { String::new() };
    let reading = lens.mark.and_then(|mark| render::read(figure, mark)).map(|reading| reading.to_string());
    let read = reading.is_some();
    let about = format!("{zoom}{}", reading.unwrap_or(about));
    let (room, letters) = (usize::from(area.width), figure.title.chars().count());
    let fits = |about: &str| letters + 1 + about.chars().count() <= room;
    let (title, about) = match part {
        _ if fits(&about) => (figure.title.clone(), about),
        _ if read => (String::new(), about),
        // That something is left out, or not finite, is said before all else.
        Some(part) if fits(&part) => (figure.title.clone(), part),
        Some(part) => {
            let kept: String = figure.title.chars().take(room.saturating_sub(part.chars().count() + 2)).collect();
            (kept + "…", part)
        }
        None => (figure.title.clone(), String::new()),
    };
    let style = if read {
        theme.focus
    } else if warned {
        theme.bad
    } else {
        theme.dim
    };
    row(buf, area, 0, Line::styled(title, theme.strong), Line::styled(about, style));
    let Some(range) = range.filter(|range| area.height > 1 && !range.is_empty()) else { return };
    let (low, high) = (format!("{} ", brief(f64::from(range.low))), format!(" {}", brief(f64::from(range.high))));
    row(buf, area, 1, Line::raw(low.as_str()), Line::raw(high.as_str()));
    let taken = (low.chars().count(), high.chars().count());
    let width = usize::from(area.width).saturating_sub(taken.0 + taken.1) as u16;
    let bar = Rect::new(area.x + taken.0 as u16, area.y + 1, width, 1);
    let colors = render::colorbar(figure, lens.tint.colors, 64).unwrap_or_default();
    let ramp = RgbImage::from_fn(colors.len() as u32, 1, |x, _| colors[x as usize]);
    cells::paint(buf, bar, &ramp, Blocks::Half, stage.depth);
}

/// One row for the title; a second one for the colours where there is room.
fn caption_height(tile: Rect) -> u16 {
    match tile.height {
        0..4 => 0,
        4..9 => 1,
        _ => 2,
    }
}

/// What a map's caption says beside its scale, in lines as wide as the tile; nothing where there is little room.
fn note_lines(figure: &Figure, tile: Rect) -> Vec<String> {
    match &figure.body {
        Body::Map { note, .. } if tile.height >= 14 => wrapped(note, usize::from(tile.width), 2),
        _ => vec![],
    }
}

/// Words in at most so many lines; what does not fit is left out behind an ellipsis.
fn wrapped(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    // A percent sign stays with its number.
    let text = text.replace(" %", "\u{a0}%");
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            last.push('…');
        }
    }
    lines
}

/// Width over height of a picture.
fn aspect(figure: &Figure) -> f64 {
    let of = render::aspect;
    match &figure.body {
        Body::Map { over: Some(over), .. } => of(&over.shape),
        Body::Map { values, .. } => of(&values.shape),
        Body::Image { pixels } => of(&pixels.shape),
        Body::Montage { tiles, columns, shown, .. } => {
            let (columns, rows) = render::grid(*shown, *columns);
            of(&tiles.shape) * columns as f64 / rows.max(1) as f64
        }
        _ => 1.0,
    }
}

/// A grid of places whose smallest picture is as large as it can be.
fn tiles(area: Rect, shapes: &[f64], cell: (u16, u16)) -> Vec<Rect> {
    let count = shapes.len() as u16;
    if count == 0 || area.is_empty() {
        return Vec::new();
    }
    let widest = shapes.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let size = |columns: u16| {
        let rows = count.div_ceil(columns);
        let width = f64::from(area.width / columns) * f64::from(cell.0);
        let height = f64::from((area.height / rows).saturating_sub(2)) * f64::from(cell.1);
        height.min(width / widest)
    };
    let columns = (1..=count).max_by(|a, b| size(*a).total_cmp(&size(*b))).unwrap_or(1);
    let (width, height) = (area.width / columns, area.height / count.div_ceil(columns));
    let at = |i: u16| Rect::new(area.x + i % columns * width, area.y + i / columns * height, width, height);
    (0..count).map(at).map(|tile| Rect { width: tile.width.saturating_sub(u16::from(columns > 1)), ..tile }).collect()
}

fn curve(series: &Series) -> Curve {
    let points = series.points.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).collect();
    Curve { label: series.label.clone(), points }
}

fn table(buf: &mut Buffer, area: Rect, columns: &[String], rows: &[Vec<String>], theme: &Theme) {
    let widths = table_widths(columns, rows);
    let text =
        |row: &[String]| (0..columns.len()).map(|i| format!("{:1$}", cell(row, i), widths[i])).collect::<String>();
    row(buf, area, 0, Line::styled(text(columns), theme.strong), Line::default());
    for (y, values) in rows.iter().enumerate() {
        row(buf, area, y + 1, Line::raw(text(values)), Line::default());
    }
}

fn cell(row: &[String], column: usize) -> String {
    row.get(column).map(|c| render::short(c)).unwrap_or_default()
}

fn table_widths(columns: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |i: usize| rows.iter().map(|r| cell(r, i).chars().count()).max().unwrap_or(0);
    columns.iter().enumerate().map(|(i, name)| widest(i).max(name.chars().count()) + 2).collect()
}
