//! Draws captions below pictures: title, scale or a value read from the picture, colorbar and note.

use super::caption_text;
use crate::render::{self, Figure, Range, Rescale};
use crate::tui::picture::PictureStage;
use crate::tui::picture::blocks::{self, Blocks};
use crate::tui::state::{State, VisibleFigure};
use crate::tui::theme::{Depth, Theme};
use crate::tui::view::format::brief;
use crate::tui::view::widget::row;
use image::RgbImage;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws the caption of the picture in `rect`, in the rest of its tile: the title with details or the value at the mark, then the colorbar
/// and the note, as far as they fit.
pub fn draw(
    buf: &mut Buffer,
    (tile, rect): (Rect, Rect),
    visible: &VisibleFigure,
    state: &State,
    theme: &Theme,
    stage: &PictureStage,
) {
    let VisibleFigure { figure, range, warning, .. } = visible;
    let lens = &state.lens;
    let left = if rect.width >= 26.min(tile.width) { rect } else { tile };
    let area = Rect { y: rect.bottom(), height: tile.bottom().saturating_sub(rect.bottom()), ..left };
    let notes = note_lines(figure, tile);
    let room = usize::from(area.height).saturating_sub(notes.len());
    let range = range.filter(|range| !range.is_empty() && room > 1);
    let reading = lens.mark.and_then(|mark| render::read(figure, mark));
    let style = match (&reading, warning) {
        (Some(_), _) => theme.focus,
        (None, Some(_)) => theme.bad,
        (None, None) => theme.dim,
    };
    let words = figure.words();
    let details = match &reading {
        // If the position does not fit, the values are shown without it.
        Some(reading) => vec![reading.to_string(), reading.numbers()],
        None => caption_text::details(visible, lens.scale == Rescale::Shared, range.is_some()),
    };
    let zoom = if lens.zoom > 1.0 { format!("×{:.1} ", lens.zoom) } else { String::new() };
    let details: Vec<_> = details.into_iter().map(|text| format!("{zoom}{text}")).collect();
    let rows = room - usize::from(range.is_some());
    let fits = |title: &str| {
        title.chars().count() + 1 + details.first().map_or(0, |text| text.chars().count()) <= usize::from(area.width)
    };
    let title = if reading.is_some() && rows < 2 && !fits(&words) { "" } else { &*words };
    let lines = caption_text::rows(title, &details, area.width.into(), rows);
    for (y, (left, right)) in lines.iter().enumerate() {
        let (left, right) = (Line::styled(left.as_str(), theme.strong), Line::styled(right.as_str(), style));
        if left.width() > 0 { row(buf, area, y, left, right) } else { row(buf, area, y, right, left) }
    }
    let mut y = lines.len();
    if let Some(range) = range {
        let bar = Rect { y: area.y + y as u16, height: 1, ..area };
        draw_bar(buf, bar, figure, range, state, stage);
        y += 1;
    }
    for (note, y) in notes.iter().zip(y..) {
        row(
            buf,
            Rect { x: tile.x, width: tile.width, ..area },
            y,
            Line::styled(note.as_str(), theme.dim),
            Line::default(),
        );
    }
}

/// Draws the colorbar between the ends of its range.
fn draw_bar(buf: &mut Buffer, area: Rect, figure: &Figure, range: Range, state: &State, stage: &PictureStage) {
    let end = |value: f32| match &figure.quantity.unit {
        Some(unit) => unit.text(value),
        None => brief(f64::from(value)),
    };
    let (low, high) = (format!("{} ", end(range.low)), format!(" {}", end(range.high)));
    if low.chars().count() + high.chars().count() > usize::from(area.width) {
        let ends = figure.quantity.unit.as_ref().map(|unit| unit.range(range.low, range.high));
        return row(buf, area, 0, Line::raw(ends.unwrap_or(format!("{}to{high}", low))), Line::default());
    }
    row(buf, area, 0, Line::raw(low.as_str()), Line::raw(high.as_str()));
    let taken = (low.chars().count(), high.chars().count());
    let width = usize::from(area.width).saturating_sub(taken.0 + taken.1) as u16;
    let bar = Rect { x: area.x + taken.0 as u16, width, ..area };
    let colors = render::colorbar(figure, range, state.lens.overlay.colors, 64);
    let ramp = RgbImage::from_fn(colors.len() as u32, 1, |x, _| colors[x as usize]);
    match stage.depth {
        Depth::None if range.symmetric => blocks::signs(buf, bar, &ramp),
        depth => blocks::paint(buf, bar, &ramp, Blocks::Half, depth),
    }
}

/// Height of a caption in rows, without the note: the title and, if the tile is tall enough, the colorbar.
pub fn height(tile: Rect) -> u16 {
    match tile.height {
        0..4 => 0,
        4..9 => 1,
        _ => 2,
    }
}

/// The lines of the note of a heatmap; none if its tile is small.
pub fn note_lines(figure: &Figure, tile: Rect) -> Vec<String> {
    if tile.height >= 14 { caption_text::note(figure, tile.width.into()) } else { vec![] }
}
